"""Families: the list, a file, its codes and letters, its households, its data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Form, SelectField, StringField, TextAreaField
from wtforms.validators import Length

from core.api.errors import UserError
from core.api.messages import Document
from core.domain.access_codes import grouped
from core.families.lists import DUE, Asked
from core.families.models import Family
from core.platform.errors import NotFoundError, TooManyAddressesError
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Cents, Table
from core.platform.web import listing
from core.platform.web import query_params as asked
from core.platform.web.files import download, pdf
from core.platform.web.forms import EmailForm, number, required

T = "office"
OWES = "doit"


class FileForm(Form):
    """Details for a family's letters: name, address and language."""

    name = required("Saisissez le nom de la famille.")
    address = TextAreaField(validators=[Length(max=500, message="Cette saisie est trop longue.")])
    language = SelectField(choices=["fr", "en"])

    def lines(self) -> list[str]:
        """The address, a line each."""
        return [line.strip() for line in (self.address.data or "").splitlines() if line.strip()]


class ChangeFileForm(FileForm):
    """Details for a family's letters, and its code as the billing software writes it."""

    spelling = StringField(
        filters=[lambda value: value.strip() if isinstance(value, str) else value],
        validators=[Length(max=40, message="Cette saisie est trop longue.")],
    )


class NewFileForm(FileForm):
    """A family that no import brought."""

    code = required("Saisissez le code famille.", limit=40)


@view_config(
    route_name="office_families", renderer=f"{T}/families.jinja2", permission="office", reads=True
)
def families(request: Request) -> dict[str, Any]:
    """All families, by name and by what they owe."""
    which = _which(request)
    page = request.ctx.family_list.page(which, before=asked.number(request, "avant"))
    return {
        "total": request.ctx.family_list.total(which),
        "without_code": len(request.ctx.families.without_code()),
        **listing.for_page(request, page, "office_families_file"),
    }


def _which(request: Request) -> Asked:
    chosen = listing.filters(request)
    return Asked(
        name=asked.word(request, "nom"),
        owes=asked.word(request, "etat", {OWES}) == OWES,
        sort=asked.word(request, "tri", {DUE}),
        **{name: chosen[name] for name in ("regie", "family_id", "least", "most")},
    )


@view_config(route_name="office_families_file", permission="office", reads=True)
def families_file(request: Request) -> Response:
    """The same families as a file."""
    which = _which(request)
    return listing.as_file(
        request, lambda most: request.ctx.family_list.page(which, limit=most), _table
    )


def _table(rows: Sequence[Any]) -> Table:
    return Table(
        "familles",
        _("Familles"),
        (_("Code famille"), _("Famille"), _("Adresse"), _("Reste dû")),
        [
            (row.Family.code, row.Family.name, ", ".join(row.Family.address), Cents(row.due))
            for row in rows
        ],
    )


@view_config(
    route_name="office_family_new",
    request_method="GET",
    renderer=f"{T}/family_new.jinja2",
    permission="office",
)
def new_page(_request: Request) -> dict[str, Any]:
    """The form for a new file."""
    return {"form": NewFileForm()}


@view_config(
    route_name="office_family_new",
    request_method="POST",
    renderer=f"{T}/family_new.jinja2",
    permission="office",
)
def new(request: Request) -> dict[str, Any] | Response:
    """Open a file."""
    form = NewFileForm(request.POST)
    if form.validate():
        try:
            family_id = request.ctx.files.create(
                form.code.data, form.name.data, form.lines(), form.language.data
            )
        except UserError as error:
            form.form_errors.append(error.message)
        else:
            return _see(request, family_id)
    request.response.status_int = 422
    return {"form": form}


@view_config(route_name="office_family", request_method="GET", permission="office")
def family(request: Request) -> Response:
    """The whole file on one page; that of a duplicate is what it became."""
    found = _family(request)
    if found.merged_into is not None:
        return _see(request, found.merged_into)
    return _page(request)


@view_config(route_name="office_family", request_method="POST", permission="office")
def act(request: Request) -> Response:
    """Whatever the file's buttons do."""
    family_id = request.ctx.files.get(int(request.matchdict["id"])).id
    action = request.POST.get("action", "")
    if action not in _ACTIONS:
        raise HTTPNotFound
    form = _FORMS[action](request.POST) if action in _FORMS else None
    error = ""
    if form is None or form.validate():
        try:
            message = _ACTIONS[action](request, family_id, form)
        except NotFoundError:
            raise
        except UserError as refusal:
            error = refusal.message
        else:
            request.session.flash(message, "success")
            return _see(request, family_id)
    response = _page(request, form=form if action == "change" else None,
                     email=form if action == "address" else None, error=error)  # fmt: skip
    response.status_int = 422
    return response


def _change(request: Request, family_id: int, form: Any) -> str:
    request.ctx.files.change(
        family_id,
        name=form.name.data,
        address=form.lines(),
        language=form.language.data,
        spelling=form.spelling.data or None,
    )
    return _("Le dossier est modifié.")


def _add_address(request: Request, family_id: int, form: Any) -> str:
    try:
        request.ctx.alerts.add(family_id, form.email.data)
    except TooManyAddressesError as error:
        raise UserError(error.message) from None
    return _("Un message vient de partir vers cette adresse : ouvrez-le pour la confirmer.")


def _resend(request: Request, family_id: int, _form: Any) -> str:
    request.ctx.alerts.resend(family_id, _number(request))
    return _("Le message de confirmation vient de repartir.")


def _remove(request: Request, family_id: int, _form: Any) -> str:
    request.ctx.alerts.remove(family_id, _number(request))
    return _("L’adresse est retirée.")


def _revoke(request: Request, family_id: int, _form: Any) -> str:
    request.ctx.files.revoke(family_id, _number(request))
    return _("Ce code n’ouvre plus rien.")


def _unlink(request: Request, family_id: int, _form: Any) -> str:
    request.ctx.access.remove(family_id, _number(request))
    return _("Ce compte n’ouvre plus le dossier.")


def _share(request: Request, family_id: int, _form: Any) -> str:
    request.ctx.files.share_child(
        family_id,
        request.POST.get("child_code", "").strip()[:100],
        sees_all=request.POST.get("sees_all") == "yes",
    )
    return _("L’enfant est rattaché à cette famille.")


def _unshare(request: Request, family_id: int, _form: Any) -> str:
    request.ctx.files.unshare_child(family_id, _number(request))
    return _("L’enfant n’est plus rattaché à cette famille.")


def _erase(request: Request, family_id: int, _form: Any) -> str:
    if not request.agent.is_regisseur:
        raise UserError(_("Cette action n’est pas permise"))
    if not request.ctx.personal_data.erase(family_id):
        return _(
            "C’est noté : les données seront effacées une fois arrêtés les mois de ses paiements."
        )
    return _("Les données de la famille sont effacées ; ses factures et règlements restent.")


_ACTIONS = {
    "change": _change,
    "address": _add_address,
    "resend": _resend,
    "remove": _remove,
    "revoke": _revoke,
    "unlink": _unlink,
    "share": _share,
    "unshare": _unshare,
    "erase": _erase,
}
_FORMS: dict[str, type[Form]] = {"change": ChangeFileForm, "address": EmailForm}


@view_config(route_name="office_family_codes", request_method="POST", permission="office")
def codes(request: Request) -> Response:
    """Draw a new code: shown once, on a page that prints its letter."""
    found = _family(request)
    holder = request.POST.get("holder", "").strip()[:100]
    secret = request.ctx.files.issue(found.id, holder=holder)
    context = {"family": found, "holder": holder, "secret": grouped(secret)}
    return render_to_response(f"{T}/family_code.jinja2", context, request)


@view_config(route_name="office_family_letter", request_method="POST", permission="office")
def letter(request: Request) -> Response:
    """The letter with the code that was just drawn; it is stored nowhere."""
    return pdf(request.ctx.files.letter(_family(request).id, request.POST.get("secret", "")))


@view_config(route_name="office_letters", request_method="POST", permission="office")
def letters(request: Request) -> Response:
    """Letters for the next families without a code."""
    document: Document | None = request.ctx.files.letters()
    if document is None:
        request.session.flash(_("Toutes les familles ont déjà un code."), "info")
        return HTTPSeeOther(location=request.route_path("office_families"))
    return download(document)


@view_config(route_name="office_family_data", request_method="POST", permission="office")
def data(request: Request) -> Response:
    """All that is held of a family, for the person who asks."""
    found = _family(request)
    content = json.dumps(
        request.ctx.personal_data.export(found.id), ensure_ascii=False, indent=1, default=str
    )
    name = "".join(c for c in found.code if c.isalnum() and c.isascii())
    return download(Document(f"donnees-{name}.json", "application/json", content.encode()))


@view_config(
    route_name="office_family_merge",
    request_method="GET",
    renderer=f"{T}/family_merge.jinja2",
    permission="regisseur",
)
def merge_page(request: Request) -> dict[str, Any]:
    """Show the files that may be this family's too, and the effect of a merge with one."""
    code = asked.word(request, "code")
    return _merge(request, code)


@view_config(
    route_name="office_family_merge",
    request_method="POST",
    renderer=f"{T}/family_merge.jinja2",
    permission="regisseur",
)
def merge(request: Request) -> dict[str, Any] | Response:
    """Make the other file a part of this one."""
    found = _family(request)
    code = request.POST.get("code", "").strip()[:100]
    try:
        other = request.ctx.merging.find(found.id, code)
        request.ctx.merging.merge(found.id, other.id)
    except NotFoundError:
        raise
    except UserError as error:
        request.response.status_int = 422
        return _merge(request, code) | {"error": error.message}
    request.session.flash(_("Les deux dossiers n’en font plus qu’un."), "success")
    return _see(request, found.id)


def _merge(request: Request, code: str) -> dict[str, Any]:
    found, other, error = _family(request), None, ""
    if code:
        try:
            other = request.ctx.merging.find(found.id, code)
        except UserError as refusal:
            error = refusal.message
    return {
        "family": found,
        "other": other,
        "facts": [_facts(request, one) for one in (found, other) if one is not None],
        "code": code,
        "alike": request.ctx.merging.alike(found.id),
        "error": error,
    }


def _facts(request: Request, family: Family) -> dict[str, Any]:
    """Facts of a file, by which to see if two files are one family's."""
    ctx = request.ctx
    return {
        "family": family,
        "children": [child.label for child in ctx.files.children(family.id)],
        "addresses": [row.address for row in ctx.alerts.addresses(family.id)],
        "invoices": [row.Invoice for row in ctx.invoice_list.page(family_id=family.id).rows[:5]],
    }


@view_config(
    route_name="office_retention", renderer=f"{T}/retention.jinja2",
    permission="regisseur", reads=True,
)
def retention(request: Request) -> dict[str, Any]:
    """Show the data that the rules of retention will erase next, before they do."""
    return {
        "expired": request.ctx.personal_data.expired(),
        "rules": request.town.file.retention,
    }


# --- Pieces --------------------------------------------------------------------------------------


def _family(request: Request) -> Family:
    found: Family = request.ctx.files.get(int(request.matchdict["id"]))
    return found


def _number(request: Request) -> int:
    return number(request.POST.get("id", ""))


def _see(request: Request, family_id: int) -> Response:
    return HTTPSeeOther(location=request.route_path("office_family", id=family_id))


def _page(request: Request, *, form: Any = None, email: Any = None, error: str = "") -> Response:
    found = _family(request)
    uow, files = request.ctx, request.ctx.files
    invoices = uow.invoice_list.page(family_id=found.id, before=asked.number(request, "factures"))
    payments = uow.payment_list.page(family_id=found.id, before=asked.number(request, "paiements"))
    context = {
        "family": found,
        "form": form
        or ChangeFileForm(
            data={
                "spelling": found.spelling or "",
                "name": found.name,
                "address": "\n".join(found.address),
                "language": found.language,
            }
        ),
        "email_form": email or EmailForm(),
        "error": error,
        "error_form": form or email,
        "due": sum(invoice.balance for invoice in request.ctx.invoices.unpaid(found.id)
                   if invoice.family_id == found.id and invoice.debited_on is None),
        "credits": request.ctx.credits.waiting(family_id=found.id),
        "invoices": invoices.rows,
        "invoice_pages": asked.pages(request, invoices.more, name="factures"),
        "payments": payments.rows,
        "payment_pages": asked.pages(request, payments.more, name="paiements"),
        "children": files.children(found.id),
        "codes": files.codes(found.id),
        "accounts": request.ctx.access.accounts(found.id),
        "addresses": request.ctx.alerts.addresses(found.id),
        "messages": request.ctx.notifications.of_family(found.id),
        "channels": request.ctx.channels,
        "trail": uow.trail.page(subject=f"family:{found.id}").rows,
        "names": request.ctx.agents.names(),
    }  # fmt: skip
    return render_to_response(f"{T}/family.jinja2", context, request)
