"""A bank's file about direct debits: read, shown line by line, and done as an agent accepts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.debits.files import Accepted, Planned
from core.debits.models import DebitJob
from core.debits.reasons import reason_words
from core.domain.bank import Column
from core.domain.bank_accounts import may_be_account
from core.domain.dates import DateError, parse_day
from core.domain.debit_decisions import SETTLING, Finding
from core.domain.debit_files.reading import read_debits
from core.domain.debit_files.report import DebitFileError, DebitFileFault, DebitReport, Told
from core.domain.debit_files.table import FIELDS, debit_columns
from core.domain.direct_debits import reject_code
from core.domain.figures import Sum
from core.domain.money import MAX_CENTS
from core.imports.layouts import DEBITS
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.i18n import ngettext
from core.platform.templating import money, quantity
from core.platform.web import query_params as asked
from core.platform.web.columns import chosen_columns, sent_columns, shown_columns
from core.platform.web.forms import day as typed_day
from core.platform.web.forms import number

TEMPLATE, JOB = "office/debit_file.jinja2", "office/debit_job.jinja2"
MAX_UPLOAD_BYTES: Final = 10 * 1024 * 1024
MAX_LINES: Final = 3000
"""Debits of a file; those of a town of a hundred thousand."""
MAX_KIND_CHARS: Final = 10


@view_config(
    route_name="office_debit_file", request_method="GET", renderer=TEMPLATE, permission="office"
)
def debit_file(request: Request) -> dict[str, Any]:
    """Page of the form for a file."""
    return _page(request)


@view_config(
    route_name="office_debit_file", request_method="POST", renderer=TEMPLATE, permission="office"
)
def act(request: Request) -> dict[str, Any] | Response:
    """Read a file, or its columns; keep which is what; or do what was accepted."""
    kind = request.POST.get("as", "")
    try:
        if kind in {"keep", "forget"}:
            return _layout(request, kind)
        if kind == "apply":
            return _apply(request)
        content = _given(request)
        if kind == "columns":
            return _page(request, columns=_columns(content))
        return _plan(request, content)
    except UserError as error:
        request.response.status_int = 422
        return _page(request, error.message, columns=sent_columns(request))


def _given(request: Request) -> bytes:
    given = request.POST.get("file")
    if not hasattr(given, "file"):
        raise UserError(_("Choisissez le fichier de la banque."))
    with given.file:
        content: bytes = given.file.read(MAX_UPLOAD_BYTES + 1)
    if not content:
        raise UserError(_("Choisissez le fichier de la banque."))
    if len(content) > MAX_UPLOAD_BYTES:
        raise UserError(_("Ce fichier est trop grand : prenez un seul mois."))
    return content


def _plan(request: Request, content: bytes) -> dict[str, Any]:
    regie = asked.regie(request)
    request.ctx.debits.check(regie)
    default = Told.REJECTED if request.POST.get("told") == "rejected" else Told.SETTLED
    default_day = typed_day(request.POST.get("day", ""))
    kept = request.ctx.layouts.find(DEBITS, regie)
    try:
        report = read_debits(content, default, kept)
    except DebitFileError as error:
        raise UserError(refusal(error)) from None
    if len(report.lines) > MAX_LINES:
        raise UserError(_("Ce fichier a trop de prélèvements : prenez un seul mois."))
    planned = request.ctx.debit_files.plan(regie, report, default_day)
    remitted = request.ctx.debit_files.remitted(regie, report)
    return _page(request, report=report, planned=planned, remitted=remitted)


def _apply(request: Request) -> Response:
    regie, accepted = asked.regie(request), _accepted(request)
    if not accepted:
        raise UserError(_("Cochez ce qui est à constater."))
    if any(line.told is Told.REJECTED for line in accepted) and not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur constate un rejet."))
    kind = request.POST.get("kind", "")[:MAX_KIND_CHARS]
    kind = kind if kind.replace(".", "").isalnum() else ""
    done = request.ctx.debit_files.accept(regie, kind, accepted)
    if isinstance(done, DebitJob):
        return HTTPSeeOther(location=request.route_path("office_debit_job", id=done.id))
    for message in _done(done.settled, done.rejected):
        request.session.flash(message, "success")
    if done.left_out:
        request.session.flash(_left_out(done.left_out), "warning")
    return HTTPSeeOther(location=request.route_path("office_debits"))


def _done(settled: Sum, rejected: Sum) -> list[str]:
    messages = []
    if settled.count:
        messages.append(
            ngettext(
                "%(num)s prélèvement constaté, pour %(amount)s.",
                "%(num)s prélèvements constatés, pour %(amount)s.",
                settled.count,
            )
            % {"num": quantity(settled.count), "amount": money(settled.cents)}
        )
    if rejected.count:
        messages.append(
            ngettext(
                "%(num)s rejet constaté, pour %(amount)s : la famille en est avertie.",
                "%(num)s rejets constatés, pour %(amount)s : les familles en sont averties.",
                rejected.count,
            )
            % {"num": quantity(rejected.count), "amount": money(rejected.cents)}
        )
    return messages


def _left_out(count: int) -> str:
    return ngettext(
        "%(num)s ligne était déjà faite, ou ne convient plus : rien n’en a été changé.",
        "%(num)s lignes étaient déjà faites, ou ne conviennent plus : rien n’en a été changé.",
        count,
    ) % {"num": quantity(count)}


@view_config(route_name="office_debit_job", renderer=JOB, permission="office")
def job(request: Request) -> dict[str, Any]:
    """A large file: how far it is, then what came of it."""
    found = request.ctx.debit_files.job(int(request.matchdict["id"]))
    return {
        "job": found,
        "messages": _done(
            Sum(found.settled, found.settled_cents), Sum(found.rejected, found.rejected_cents)
        ),
        "left_out": _left_out(found.left_out) if found.left_out else "",
    }


@view_config(route_name="office_debit_job_state", renderer="json", permission="office")
def job_state(request: Request) -> dict[str, Any]:
    """For the page that waits."""
    found = request.ctx.debit_files.job(int(request.matchdict["id"]))
    return {"done": found.done, "total": found.total, "final": found.ended_at is not None}


def line_value(planned: Planned) -> str:
    """Values that a ticked line sends back: the file itself is not kept."""
    cents = "" if planned.line.cents is None else planned.line.cents
    return "/".join(
        (
            str(planned.invoice_id), planned.line.told, str(cents),
            planned.day.isoformat() if planned.day else "",
            reject_code(planned.line.code), planned.finding,
        )
    )  # fmt: skip


def _accepted(request: Request) -> list[Accepted]:
    """The lines that were ticked."""
    return [_line(text) for text in request.POST.getall("line")[:MAX_LINES]]


def _line(text: object) -> Accepted:
    parts = text.split("/") if isinstance(text, str) else []
    try:
        invoice_id, told, cents, day, code, finding = parts
        return Accepted(
            number(invoice_id), Told(told), _cents(cents), parse_day(day), reject_code(code),
            Finding(finding),
        )  # fmt: skip
    except (ValueError, DateError):
        raise UserError(
            _("Ce formulaire n’est plus lisible : envoyez de nouveau le fichier.")
        ) from None


def _cents(text: str) -> int | None:
    """The sum of a line, which is one that a file may have.

    Raises:
        ValueError: no file has it.
    """
    if not text:
        return None
    cents = number(text)
    if not 0 < cents <= MAX_CENTS:
        raise ValueError(text)
    return cents


# --- Columns -------------------------------------------------------------------------------------


def _columns(content: bytes) -> list[Column]:
    try:
        return shown_columns(debit_columns(content))
    except DebitFileError as error:
        raise UserError(refusal(error)) from None


def _layout(request: Request, kind: str) -> Response:
    regie = asked.regie(request)
    if kind == "forget":
        request.ctx.layouts.remove(DEBITS, regie)
        message = _("Les colonnes de ces fichiers sont oubliées.")
    else:
        chosen = chosen_columns(request, FIELDS)
        twice = len(set(chosen.values())) < len(chosen)
        if "reference" not in chosen or twice or any(map(may_be_account, chosen.values())):
            raise UserError(
                _("Indiquez au moins la colonne du numéro de facture. Une colonne ne sert qu’une "
                  "fois.")
            )  # fmt: skip
        request.ctx.layouts.keep(DEBITS, regie, chosen)
        message = _("Les colonnes sont gardées pour les fichiers de cette régie.")
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_debit_file", _query={"regie": regie}))


# --- The page ------------------------------------------------------------------------------------


def _page(
    request: Request,
    error: str = "",
    *,
    columns: Sequence[Column] = (),
    report: DebitReport | None = None,
    planned: Sequence[Planned] = (),
    remitted: Sequence[Any] = (),
) -> dict[str, Any]:
    regie = asked.regie(request)
    kept = request.ctx.layouts.find(DEBITS, regie) or {}
    return {
        "regie": regie,
        "regies": [info for info in request.ctx.town.regies if info.collects],
        "today": today(request.ctx.clock.now()),
        "told": request.POST.get("told", "settled"),
        "report": report,
        "groups": _groups(planned),
        "remitted": remitted,
        "line_value": line_value,
        "findings": finding_words(),
        "reason_words": lambda code: reason_words(reject_code(code)),
        "columns": columns,
        "fields": {
            "reference": _("Numéro de la facture, ou sa référence"), "date": _("Date"),
            "amount": _("Montant"), "status": _("Résultat (prélevé ou rejeté)"),
            "reason": _("Motif du rejet"),
        },
        "chosen": {
            field: request.POST.get(f"column-{field}", kept.get(field, "")) for field in FIELDS
        },
        "kept": kept,
        "error": error,
    }  # fmt: skip


def _groups(planned: Sequence[Planned]) -> list[tuple[str, str, list[Planned]]]:
    """The lines by what is to be done about them: key, title and lines, none empty."""
    groups: list[tuple[str, str, list[Planned]]] = [
        ("settle", _("Prélèvements à constater"), []),
        ("reject", _("Rejets à constater"), []),
        ("doubt", _("À décider : lisez avant de cocher"), []),
        ("nothing", _("Rien à faire"), []),
        ("unknown", _("Sans facture"), []),
    ]
    lines = {key: found for key, _title, found in groups}
    for one in planned:
        if one.invoice_id is None:
            lines["unknown"].append(one)
        elif not one.may_act:
            lines["nothing"].append(one)
        elif not one.is_clear:
            lines["doubt"].append(one)
        else:
            lines["settle" if one.finding in SETTLING else "reject"].append(one)
    return [group for group in groups if group[2]]


def finding_words() -> dict[Finding, str]:
    """Meaning of each finding, for an agent."""
    return {
        Finding.SETTLE: _("Prélevée, comme prévu."),
        Finding.SETTLE_ANEW: _(
            "Elle n’était pas, ou plus, au prélèvement ; la somme est exactement ce qui reste dû."
        ),
        Finding.OTHER_AMOUNT: _(
            "La banque a pris une autre somme que ce qui reste dû. Cochez pour constater la somme "
            "de la banque : le reste se règle autrement, un trop-perçu devient un avoir."
        ),
        Finding.PAID_TWICE: _(
            "Déjà réglée autrement, et la banque l’a prise aussi. Cochez pour garder la somme en "
            "avoir de la famille."
        ),
        Finding.PAID: _("Déjà réglée autrement, et le fichier ne donne pas de somme."),
        Finding.HELD: _(
            "Un paiement en ligne est en cours : s’il aboutit aussi, le trop-perçu sera un avoir."
        ),
        Finding.AFTER_REJECT: _(
            "Un rejet est constaté depuis peu : est-ce bien une nouvelle présentation ?"
        ),
        Finding.NOTED: _("Déjà constatée."),
        Finding.NOTED_OTHERWISE: _(
            "Déjà constatée, pour une autre somme : si elle est fausse, annulez ce paiement, puis "
            "envoyez de nouveau le fichier."
        ),
        Finding.CAME_BACK: _("Revenue depuis : ce prélèvement est déjà rejeté."),
        Finding.NOT_COME: _("Ce jour n’est pas encore venu."),
        Finding.NOT_ISSUED: _("À cette date, la facture n’était pas encore émise."),
        Finding.REVERSE: _(
            "Constatée, puis rejetée : le règlement est annulé, la famille est avertie."
        ),
        Finding.REVERSE_OTHER: _(
            "La somme rejetée n’est pas celle qui est constatée. Cochez si c’est bien ce "
            "prélèvement : tout ce qui est constaté est annulé."
        ),
        Finding.REFUSE: _(
            "Rejetée avant d’être constatée : la facture se règle autrement, la famille est "
            "avertie."
        ),
        Finding.REFUSE_PAID: _("Rejetée, mais réglée autrement entre-temps : rien n’est à payer."),
        Finding.KNOWN: _("Ce rejet est déjà constaté."),
        Finding.NOT_DEBITED: _("Cette facture n’était pas au prélèvement."),
        Finding.NO_DAY: _("Le fichier ne donne pas de date."),
        Finding.UNKNOWN: _("Aucune facture de cette régie ne porte ce numéro."),
        Finding.AMBIGUOUS: _("Plusieurs factures peuvent être celle-ci."),
    }


def refusal(error: DebitFileError) -> str:
    """Reason why a file is not read, and what to do about it."""
    said = _faults()[error.fault]
    if not error.line:
        return said
    return _("Ligne %(line)s de ce fichier : %(fault)s") % {"line": error.line, "fault": said}


def _faults() -> dict[DebitFileFault, str]:
    return {
        DebitFileFault.UNKNOWN: _(
            "Ce fichier ne se lit pas ici. Prenez le compte rendu pain.002, l’avis camt.054 ou le "
            "relevé camt.053 de votre banque, ou une liste en CSV ou en classeur."
        ),
        DebitFileFault.EMPTY: _("Aucun prélèvement dans ce fichier."),
        DebitFileFault.ENCODING: _(
            "Ce fichier mélange deux encodages. Téléchargez-le de nouveau, sans l’ouvrir dans un "
            "autre logiciel."
        ),
        DebitFileFault.QUOTES: _("Un guillemet n’est pas refermé."),
        DebitFileFault.CELL: _("Une cellule est trop longue : le fichier est abîmé."),
        DebitFileFault.WORKBOOK: _(
            "Ce classeur ne s’ouvre pas : il est abîmé, trop grand, ou protégé par un mot de passe."
        ),
        DebitFileFault.SHEETS: _(
            "Plusieurs feuilles de ce classeur portent des prélèvements : envoyez-en une à la fois."
        ),
        DebitFileFault.COLUMNS: _(
            "Aucun titre ne dit où se trouve le numéro de la facture. Dites ci-dessous quelle "
            "colonne est quoi."
        ),
        DebitFileFault.STATUS: _("Le résultat ne se lit pas : ni prélevé, ni rejeté."),
        DebitFileFault.DATE: _("La date ne se lit pas."),
        DebitFileFault.AMOUNT: _("Le montant ne se lit pas."),
        DebitFileFault.SIDE: _("Le sens du mouvement, débit ou crédit, manque."),
        DebitFileFault.CURRENCY: _("Ce mouvement n’est pas en euros."),
        DebitFileFault.TRANSFERS: _("Ce compte rendu parle de virements, pas de prélèvements."),
        DebitFileFault.WHOLE: _(
            "La banque a refusé toute la remise, sans nommer les prélèvements : aucun n’a eu lieu. "
            "Rien n’est à constater ici ; remettez-la de nouveau, et reportez le jour s’il change."
        ),
    }

