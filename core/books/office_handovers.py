"""Handing unpaid invoices over to the trésorerie: the choice, its preview, and the lists made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.books.office import asked_regie
from core.books.period import Period
from core.families.models import Family
from core.invoices.handover_models import Handover
from core.invoices.models import Invoice
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Cents, Table
from core.platform.templating import money
from core.platform.web import query_params as asked
from core.platform.web.files import download
from core.platform.web.forms import number

LIST, ONE = "office/handovers.jinja2", "office/handover.jinja2"
MAX_SHOWN = 500
"""Invoices that one page offers: the next list takes the others."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An invoice that a list may take."""

    invoice: Invoice
    family: Family
    left: int
    """Cents that the list would tell; negative where lists before told too much."""
    is_over: bool
    """It went over already, and waits for its list, or for the next one."""
    is_small: bool
    """All that its family owes is too little for the trésorerie to take."""
    is_told: bool = False
    """A list told of it; what is left of it changed since: a cheque bounced, a credit note came."""


@view_config(
    route_name="office_handovers", request_method="GET", renderer=LIST, permission="office"
)
def handovers(request: Request) -> dict[str, Any]:
    """Page of what may be handed over, and of the lists that were made."""
    return _list(request)


@view_config(
    route_name="office_handovers", request_method="POST", renderer=LIST, permission="office"
)
def make(request: Request) -> dict[str, Any] | Response:
    """Show what is ticked, or hand over what was shown."""
    regie = asked_regie(request)
    chosen = {number(text) for text in request.POST.getall("invoice")}
    try:
        if request.POST.get("action") != "confirm":
            if not chosen:
                raise UserError(_("Cochez les factures à transmettre."))  # noqa: TRY301
            return _list(request, chosen=chosen, preview=True)
        made = request.ctx.handovers.make(regie, chosen, expected=_expected(request))
    except UserError as error:
        request.response.status_int = 422
        return _list(request, chosen=chosen, error=error.message)
    request.session.flash(
        _("La liste %(name)s est établie, pour %(amount)s.")
        % {"name": made.name, "amount": money(made.total)},
        "success",
    )
    return HTTPSeeOther(location=request.route_path("office_handover", id=made.id))


@view_config(route_name="office_handover", request_method="GET", renderer=ONE, permission="office")
def handover(request: Request) -> dict[str, Any]:
    """One list, line by line."""
    return _one(request)


@view_config(route_name="office_handover", request_method="POST", renderer=ONE, permission="office")
def act(request: Request) -> dict[str, Any] | Response:
    """Note that it left, or take it back before."""
    found = int(request.matchdict["id"])
    request.ctx.handovers.get(found)
    try:
        message = _act(request, found)
    except UserError as error:
        request.response.status_int = 422
        return _one(request, error.message)
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_handover", id=found))


@view_config(route_name="office_handover_file", permission="office", reads=True)
def file(request: Request) -> Response:
    """The list as CSV, XLSX or PDF."""
    found = request.ctx.handovers.get(int(request.matchdict["id"]))
    table = _table(request, found)
    kind = request.matchdict["format"]
    if kind == "pdf":
        return download(table.pdf(request.town.name, language=request.language))
    return download(table.csv() if kind == "csv" else table.xlsx())


def _act(request: Request, handover_id: int) -> str:
    action = request.POST.get("action", "")
    lists = request.ctx.handovers
    if action == "leave":
        lists.leave(handover_id)
        return _("Le départ de la liste est noté : elle ne se reprend plus.")
    if action != "cancel":
        raise HTTPNotFound
    if not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur reprend une liste."))
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise UserError(_("Saisissez le motif."))
    lists.cancel(handover_id, reason=reason)
    return _("La liste est reprise : ses factures se règlent de nouveau ici.")


def _expected(request: Request) -> int:
    text = request.POST.get("montant", "")
    if not text.removeprefix("-").isdecimal() or len(text) > 15:
        raise UserError(_("Vérifiez la liste avant de la transmettre."))
    return int(text)


def _candidates(request: Request, regie: str) -> Sequence[Candidate]:
    books, day = request.ctx.accounts, today(request.ctx.clock.now())
    late = books.statements.owed.late(Period(regie, day.replace(day=1)))
    small = books.statements.owed.small(late)
    return [
        *(
            Candidate(
                row.Invoice, row.Family, row.left, is_over=True, is_small=False,
                is_told=row.told != 0,
            )
            for row in request.ctx.handovers.unlisted(regie)
        ),
        *(
            Candidate(
                row.Invoice, row.Family, row.left, is_over=False, is_small=row.Family.id in small
            )
            for row in late
        ),
    ]


def _list(
    request: Request, *, chosen: set[int] | None = None, preview: bool = False, error: str = ""
) -> dict[str, Any]:
    regie = asked_regie(request)
    found = _candidates(request, regie)
    if preview and chosen is not None:
        found = [one for one in found if one.invoice.id in chosen]
    page = request.ctx.handovers.page(regie, before=asked.number(request, "avant"))
    return {
        "regie": regie,
        "regies": [info for info in request.ctx.town.regies if info.collects],
        "where": {"regie": regie},
        "candidates": found[:MAX_SHOWN],
        "others": len(found) - MAX_SHOWN,
        "total": sum(one.left for one in found[:MAX_SHOWN]),
        "ticked": {one.invoice.id for one in found if not one.is_small}
        if chosen is None
        else chosen,
        "preview": preview,
        "rows": page.rows,
        "year": today(request.ctx.clock.now()).year,
        "state": _state,
        "names": request.ctx.agents.names(),
        "error": error,
        **asked.pages(request, page.more),
    }


def _one(request: Request, error: str = "") -> dict[str, Any]:
    found = request.ctx.handovers.get(int(request.matchdict["id"]))
    table = _table(request, found)
    return {
        "handover": found,
        "table": table,
        "where": {"regie": found.regie},
        "state": _state(found),
        "names": request.ctx.agents.names(),
        "typed": request.POST,
        "error": error,
    }


def _state(one: Handover) -> str:
    if one.cancelled_at:
        return _("Reprise")
    return _("Partie") if one.left_at else _("Prête à partir")


def _table(request: Request, found: Handover) -> Table:
    names = request.ctx.agents.names()
    lines = request.ctx.handovers.lines(found.id)
    rows = [
        (
            row.HandoverLine.rank, row.Family.name, ", ".join(row.Family.address),
            row.Family.code, row.Invoice.number, row.Invoice.payment_reference,
            row.Invoice.label, row.Invoice.issued_on, row.Invoice.due_on,
            Cents(row.Invoice.amount), row.HandoverLine.taken_back_at,
            Cents(0 if row.HandoverLine.taken_back_at else row.HandoverLine.amount),
        )
        for row in lines
    ]  # fmt: skip
    notes = [
        _("Établie le %(day)s par %(who)s, pour %(total)s.")
        % {
            "day": f"{today(found.made_at):%d/%m/%Y}",
            "who": names.get(found.actor, found.actor),
            "total": money(found.total),
        }
    ]
    if found.left_at:
        notes.append(_("Partie le %(day)s.") % {"day": f"{today(found.left_at):%d/%m/%Y}"})
    if found.cancelled_at:
        notes.append(
            _("REPRISE le %(day)s par %(who)s : %(why)s")
            % {
                "day": f"{today(found.cancelled_at):%d/%m/%Y}",
                "who": names.get(found.cancelled_by, found.cancelled_by),
                "why": found.cancel_reason,
            }
        )
    return Table(
        f"transmission-{found.name.lower()}",
        " – ".join(
            (
                _("Liste des factures transmises n°\u00a0%(name)s") % {"name": found.name},
                request.town.regie_label(found.regie),
            )
        ),
        (
            _("Rang"), _("Débiteur"), _("Adresse"), _("Code famille"), _("Facture"),
            _("Référence"), _("Objet"), _("Émise le"), _("Échéance"), _("Montant"),
            _("Reprise le"), _("Transmis"),
        ),
        rows,
        (
            _("Total"), *[None] * 8, Cents(sum(row[9] for row in rows)), None,
            Cents(sum(row[11] for row in rows)),
        ),
        notes,
        [("invoice", row.Invoice.id) for row in lines],
        brief=(0, 1, 3, 4, 8, 10, 11),
    )  # fmt: skip
