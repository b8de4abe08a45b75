"""Remittances (*versements*): what is in hand, the act with its preview, and what was remitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.books.office import asked_regie
from core.books.papers import means_table, payments_table, remittance_state
from core.books.remittances import InHand
from core.books.statements import returned_rule
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.templating import money
from core.platform.web import query_params as asked
from core.platform.web.files import download
from core.platform.web.forms import day as typed_day

LIST, ONE = "office/remittances.jinja2", "office/remittance.jinja2"
MAX_NOTE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """Money that an agent chose to remit: the days of its entries, and its means."""

    since: date
    until: date
    means: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pile:
    """Titles in hand that leave by a slip of their own."""

    name: str
    means: tuple[str, ...]
    count: int
    amount: int

    @property
    def links(self) -> list[tuple[str, str]]:
        """The means, as the address of their preview names them."""
        return [("moyen", means) for means in self.means]


@view_config(
    route_name="office_remittances", request_method="GET", renderer=LIST, permission="office"
)
def remittances(request: Request) -> dict[str, Any]:
    """Page of what is in hand, of the next remittance, and of those that were made."""
    preview = bool(request.GET.get("voir"))
    try:
        return _list(request, _choice(request.GET) if preview else None)
    except UserError as error:
        return _list(request, None, error.message)


@view_config(
    route_name="office_remittances", request_method="POST", renderer=LIST, permission="office"
)
def make(request: Request) -> dict[str, Any] | Response:
    """Remit what was shown, unless it changed since."""
    regie = asked_regie(request)
    chosen: Choice | None = None
    try:
        chosen = _choice(request.POST)
        made = request.ctx.accounts.remittances.make(
            regie,
            since=chosen.since,
            until=chosen.until,
            means=chosen.means,
            note=request.POST.get("note", "").strip()[:MAX_NOTE_CHARS],
            expected=_expected(request),
        )
    except UserError as error:
        request.response.status_int = 422
        return _list(request, chosen, error.message)
    request.session.flash(
        _("Le versement %(number)s est établi, pour %(amount)s.")
        % {"number": made.name, "amount": money(made.total)},
        "success",
    )
    return HTTPSeeOther(location=request.route_path("office_remittance", id=made.id))


@view_config(
    route_name="office_remittance", request_method="GET", renderer=ONE, permission="office"
)
def remittance(request: Request) -> dict[str, Any]:
    """One remittance: its means, its payments, its papers."""
    return _one(request)


@view_config(
    route_name="office_remittance", request_method="POST", renderer=ONE, permission="office"
)
def act(request: Request) -> dict[str, Any] | Response:
    """Note that it left, or cancel it."""
    number = int(request.matchdict["id"])
    request.ctx.accounts.remittances.get(number)
    try:
        message = _act(request, number)
    except UserError as error:
        request.response.status_int = 422
        return _one(request, error.message)
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_remittance", id=number))


@view_config(route_name="office_remittance_file", permission="office", reads=True)
def file(request: Request) -> Response:
    """The *bordereau* as PDF, or its payments as CSV or XLSX."""
    books = request.ctx.accounts
    found = books.remittances.get(int(request.matchdict["id"]))
    kind = request.matchdict["format"]
    if kind == "pdf":
        slip = books.papers.slip(found, request.ctx.agents.names())
        return download(slip.pdf(request.town.name, language=request.language))
    detail = books.papers.detail(found)
    return download(detail.csv() if kind == "csv" else detail.xlsx())


def _act(request: Request, number: int) -> str:
    action = request.POST.get("action", "")
    books = request.ctx.accounts.remittances
    if action == "leave":
        carrier = request.POST.get("carrier", "").strip()
        if not carrier:
            raise UserError(_("Saisissez qui emporte le versement."))
        books.leave(number, carrier=carrier)
        return _("Le départ du versement est noté : il ne s’annule plus.")
    if action != "cancel":
        raise HTTPNotFound
    if not request.agent.is_regisseur:
        raise UserError(_("Seul le régisseur annule un versement."))
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise UserError(_("Saisissez le motif."))
    books.cancel(number, reason=reason)
    return _(
        "Le versement est annulé par une écriture contraire : sa somme est de nouveau en caisse."
    )


def _choice(typed: Any) -> Choice:
    means = frozenset(value for value in typed.getall("moyen") if asked.is_means(value))
    if not means:
        raise UserError(_("Cochez au moins un moyen de paiement."))
    chosen = Choice(typed_day(typed.get("du", "")), typed_day(typed.get("au", "")), means)
    if chosen.since > chosen.until:
        raise UserError(_("Le premier jour est après le dernier."))
    return chosen


def _expected(request: Request) -> int:
    text = request.POST.get("montant", "")
    if not text.removeprefix("-").isdecimal() or len(text) > 15:
        raise UserError(_("Vérifiez le versement avant de l’établir."))
    return int(text)


def _list(request: Request, chosen: Choice | None, error: str = "") -> dict[str, Any]:
    books = request.ctx.accounts
    regie = asked_regie(request)
    in_hand: list[InHand] = books.remittances.in_hand(regie)
    day = today(request.ctx.clock.now())
    preview = None
    if chosen:
        found = books.remittances.in_hand(regie, since=chosen.since, until=chosen.until)
        taken = [one for one in found if one.means in chosen.means]
        preview = means_table(_("À verser"), taken)
    piles = _piles(request, regie, in_hand)
    # What has a slip of its own is not proposed on that of the others.
    apart = frozenset(means for pile in piles for means in pile.means)
    page = books.remittances.page(regie, before=asked.number(request, "avant"))
    settings = request.town.file.regies[regie]
    return {
        "regie": regie,
        "regies": [info for info in request.ctx.town.regies if info.collects],
        "in_hand": in_hand,
        "returned_rule": returned_rule() if any(one.returned for one in in_hand) else "",
        "table": means_table(_("En caisse"), in_hand),
        "where": {"regie": regie},
        "cash_float": settings.cash_float,
        "over": [one for one in books.remittances.over_ceilings() if one.regie == regie],
        "since": chosen.since if chosen else books.remittances.first_day(regie) or day,
        "until": chosen.until if chosen else day,
        "piles": piles,
        "chosen": chosen.means if chosen else {one.means for one in in_hand} - apart,
        "preview": preview,
        "preview_total": preview.foot[2] if preview else 0,
        "note": request.POST.get("note", ""),
        "rows": page.rows,
        "state": remittance_state,
        "names": request.ctx.agents.names(),
        "error": error,
        **asked.pages(request, page.more),
    }


def _piles(request: Request, regie: str, in_hand: Sequence[InHand]) -> list[Pile]:
    """Titles in hand by the slip that the town's file gives their means."""
    found: dict[str, list[InHand]] = {}
    for one in in_hand:
        settings = request.town.one_means(regie, one.means)
        if settings.is_title and settings.slip_name and one.amount > 0:
            found.setdefault(settings.slip_name, []).append(one)
    return [
        Pile(
            name,
            tuple(one.means for one in pile),
            sum(one.count for one in pile),
            sum(one.amount for one in pile),
        )
        for name, pile in found.items()
    ]


def _one(request: Request, error: str = "") -> dict[str, Any]:
    books = request.ctx.accounts.remittances
    found = books.get(int(request.matchdict["id"]))
    payments = payments_table(found.name, found.name, books.payments_of(found.id))
    return {
        "remittance": found,
        "table": means_table(found.name, books.parts(found)),
        "payments": payments,
        "rows": payments.lines,
        "where": {"regie": found.regie},
        "state": remittance_state(found),
        "agrees": books.agrees(found),
        "entries": books.entries_of(found.id),
        "names": request.ctx.agents.names(),
        "typed": request.POST,
        "error": error,
    }
