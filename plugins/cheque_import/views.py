"""The back office's pages. All of them work without JavaScript; a keyboard is enough.

A view reads the form, calls one use case, and redirects. A refusal shows the page again with the
reason and status 422, which also rolls the transaction back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from sqlalchemy import func, select

from core.plugin import (
    Document,
    FamilyInfo,
    InvoiceInfo,
    RegieInfo,
    TenantContext,
    UserError,
    WebConfig,
)
from core.plugin import gettext as _
from plugins.cheque_import import forms
from plugins.cheque_import.intake import Imported, Intake
from plugins.cheque_import.matcher.normalise import bare, words
from plugins.cheque_import.models import (
    PENDING,
    Cheque,
    ChequeBatch,
    ChequeEvent,
    ChequeProposal,
    ChequeState,
)
from plugins.cheque_import.readers.table import FIELDS
from plugins.cheque_import.reconcile import BOUNCE_REASONS, Desk
from plugins.cheque_import.records import Hasher
from plugins.cheque_import.settings import ChequeSettings
from plugins.cheque_import.slips import Slips, name_of

PAGE = 50
_FOUND = 20


View = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal with the names of what it points to."""

    proposal: ChequeProposal
    family: FamilyInfo | None
    invoices: tuple[tuple[InvoiceInfo | None, int], ...]


class Office:
    """One request of an agent: the use cases, bound to who asks."""

    def __init__(self, request: Any) -> None:
        from plugins.cheque_import import plugin  # noqa: PLC0415 - the plugin object imports us

        self.ctx: TenantContext = request.ctx
        self.settings: ChequeSettings = self.ctx.settings(plugin)
        self.actor = str(request.authenticated_userid or "agent")
        self.hasher = Hasher(self.settings.account_key.get_secret_value(), self.ctx.town.slug)
        self.intake = Intake(self.ctx, self.hasher)
        self.desk = Desk(self.ctx, self.settings, actor=self.actor)
        self.slips = Slips(self.ctx, self.settings, actor=self.actor)

    @property
    def regies(self) -> Sequence[RegieInfo]:
        """Those that take cheques."""
        return [regie for regie in self.ctx.town.regies if regie.collects]

    def regie(self, request: Any) -> str:
        """The régie of the page: the one asked for, else the first."""
        asked = str(request.params.get("regie", ""))
        keys = [regie.key for regie in self.regies]
        return asked if asked in keys or not keys else keys[0]

    def cheque(self, request: Any) -> Cheque:
        """The cheque of the address, or a 404."""
        number = forms.whole(request.matchdict["id"], _("Chèque"))
        cheque = self.ctx.session.get(Cheque, (self.ctx.town.slug, number))
        if cheque is None:
            raise HTTPNotFound
        return cheque


def state_labels() -> dict[str, str]:
    """The states as the pages name them; "" is what waits for a person."""
    return {
        "": _("À traiter"),
        ChequeState.CERTAIN: _("Certains"),
        ChequeState.TO_CLASSIFY: _("Recettes à classer"),
        ChequeState.ACCEPTED: _("Acceptés"),
        ChequeState.RETURNED: _("Rendus"),
        ChequeState.BOUNCED: _("Impayés"),
    }


def configure(config: WebConfig) -> None:
    """Add the routes and views."""
    pages: tuple[tuple[str, str, View, View | None], ...] = (
        ("queue", "", queue, post_queue),
        ("upload", "import", upload, post_upload),
        ("entry", "saisie", entry, post_entry),
        ("cheque", r"cheque/{id:[0-9]{1,18}}", cheque, post_cheque),
        ("slips", "remises", slips, post_slips),
    )
    for name, pattern, get, post in pages:
        config.add_route(name, pattern)
        config.add_view(get, route=name, renderer=f"{name}.jinja2", permission="office")
        if post is not None:
            config.add_view(
                post, route=name, method="POST", renderer=f"{name}.jinja2", permission="office"
            )
    config.add_route("slip_file", r"remises/{id:[0-9]{1,18}}/bordereau.{kind:pdf|csv|tlmc}")
    config.add_view(slip_file, route="slip_file", permission="office")
    config.add_view(slip_file, route="slip_file", method="POST", permission="office")


def _or_again(page: View) -> Callable[[View], View]:
    """Show `page` again with the reason when the view is refused."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: Any) -> Any:
            try:
                return view(request)
            except UserError as refusal:
                request.response.status_int = 422
                return {**page(request), "error": refusal.message}

        return wrapped

    return decorate


def _see(request: Any, route: str, **parts: Any) -> HTTPSeeOther:
    return HTTPSeeOther(request.route_path(f"cheque_import.{route}", **parts))


# --- The queue ------------------------------------------------------------------------------


def queue(request: Any) -> dict[str, Any]:
    """The cheques of a régie by state, with the batches' totals against their controls."""
    office = Office(request)
    regie, state = office.regie(request), str(request.params.get("etat", ""))
    after = str(request.params.get("apres", "0"))
    states = PENDING if not state or state not in state_labels() else (state,)
    rows = office.ctx.session.scalars(
        select(Cheque)
        .where(
            Cheque.tenant_id == office.ctx.town.slug,
            Cheque.regie == regie,
            Cheque.state.in_(states),
            Cheque.id > (int(after) if after.isdecimal() else 0),
        )
        .order_by(Cheque.id)
        .limit(PAGE + 1)
    ).all()
    return {
        "regies": office.regies, "regie": regie, "states": state_labels(), "state": state,
        "rows": [(row, _best(office, row)) for row in rows[:PAGE]],
        "next_after": rows[PAGE - 1].id if len(rows) > PAGE else None,
        "counts": _counts(office, regie), "batches": _batches(office, regie),
        "ready": len(office.slips.ready(regie)), "error": "",
    }  # fmt: skip


@_or_again(queue)
def post_queue(request: Any) -> Any:
    """Accept all the certain ones, or match the queue anew."""
    office = Office(request)
    regie = office.regie(request)
    if forms.text(request.POST, "action") == "accepter":
        office.desk.accept_certain(regie)
    else:
        office.desk.rematch(regie)
    return _see(request, "queue", _query={"regie": regie})


def _best(office: Office, row: Cheque) -> Shown | None:
    found = office.ctx.session.scalars(_proposals(office, row).limit(1)).first()
    return _shown(office, found) if found else None


def _proposals(office: Office, row: Cheque) -> Any:
    return (
        select(ChequeProposal)
        .where(
            ChequeProposal.tenant_id == office.ctx.town.slug, ChequeProposal.cheque_id == row.id
        )
        .order_by(ChequeProposal.rank)
    )


def _shown(office: Office, proposal: ChequeProposal) -> Shown:
    return Shown(
        proposal,
        office.ctx.families.get(proposal.family_id),
        tuple((office.ctx.invoices.get(invoice), cents) for invoice, cents in proposal.shares),
    )


def _counts(office: Office, regie: str) -> dict[str, tuple[int, int]]:
    rows = office.ctx.session.execute(
        select(Cheque.state, func.count(), func.sum(Cheque.amount))
        .where(Cheque.tenant_id == office.ctx.town.slug, Cheque.regie == regie)
        .group_by(Cheque.state)
    )
    return {state: (count, int(cents)) for state, count, cents in rows}


def _batches(office: Office, regie: str) -> list[dict[str, Any]]:
    batches = office.ctx.session.scalars(
        select(ChequeBatch)
        .where(ChequeBatch.tenant_id == office.ctx.town.slug, ChequeBatch.regie == regie)
        .order_by(ChequeBatch.id.desc())
        .limit(5)
    ).all()
    shown = []
    for batch in batches:
        totals = office.desk.totals(batch.id)
        shown.append({
            "batch": batch,
            "totals": totals,
            "count": sum(count for count, _cents in totals.values()),
            "cents": sum(cents for _count, cents in totals.values()),
        })
    return shown


# --- One cheque -----------------------------------------------------------------------------


def cheque(request: Any) -> dict[str, Any]:
    """A cheque with its ranked proposals, its history, and a family searched by hand."""
    office = Office(request)
    row = office.cheque(request)
    search = str(request.params.get("famille", "")).strip()
    families = _search(office, search)
    chosen = families[0] if len(families) == 1 else None
    return {
        "cheque": row,
        "proposals": [
            _shown(office, proposal)
            for proposal in office.ctx.session.scalars(_proposals(office, row))
        ],
        "history": office.ctx.session.scalars(
            select(ChequeEvent)
            .where(ChequeEvent.tenant_id == row.tenant_id, ChequeEvent.cheque_id == row.id)
            .order_by(ChequeEvent.id)
        ).all(),
        "search": search, "families": families, "chosen": chosen,
        "parts": _parts(office, row, chosen), "bounce_reasons": BOUNCE_REASONS,
        "pending": row.state in {*PENDING, ChequeState.TO_CLASSIFY}, "states": state_labels(),
        "error": "",
    }  # fmt: skip


def _search(office: Office, search: str) -> list[FamilyInfo]:
    if not search:
        return []
    wanted = set(words(search))
    found = [
        number
        for number, code, names in office.ctx.families.names()
        if bare(code) == bare(search) or (wanted and any(wanted <= set(words(n)) for n in names))
    ]
    infos = (office.ctx.families.get(number) for number in sorted(found)[:_FOUND])
    return [info for info in infos if info is not None]


def _parts(
    office: Office, row: Cheque, family: FamilyInfo | None
) -> list[tuple[InvoiceInfo, int]]:
    """The family's invoices with the part each would take: oldest first (Code civil 1342-10)."""
    if family is None:
        return []
    left, parts = row.amount, []
    for info in office.ctx.invoices.unpaid(family.id):
        if info.regie == row.regie:
            taken = min(left, info.balance)
            left -= taken
            parts.append((info, taken))
    return parts


@_or_again(cheque)
def post_cheque(request: Any) -> Any:
    """Decide on one cheque, then go on to the next one."""
    office = Office(request)
    row, form = office.cheque(request), request.POST
    why = forms.text(form, "pourquoi")
    keep = forms.text(form, "avoir") == "oui"
    desk = office.desk
    action = forms.text(form, "action")
    if action == "accepter":
        rank = forms.whole(forms.text(form, "proposition") or "1", _("Proposition"))
        desk.accept(row.id, rank, keep_excess=keep)
    elif action == "repartir":
        family = forms.whole(forms.text(form, "famille_id"), _("Famille"))
        desk.split(row.id, family, forms.shares(form), keep_excess=keep)
    elif action == "classer":
        desk.classify(row.id, why)
    elif action == "rendre":
        desk.give_back(row.id, why)
    elif action == "corriger":
        desk.correct(row.id, forms.cents(forms.text(form, "montant"), _("Montant")))
        desk.rematch(row.regie)
        return _see(request, "cheque", id=row.id)
    elif action == "annuler":
        desk.undo(row.id, why)
        desk.rematch(row.regie)
        return _see(request, "cheque", id=row.id)
    elif action == "impaye":
        desk.bounce(row.id, forms.text(form, "motif"), why)
    elif action == "representer":
        desk.represent(row.id, why)
        desk.rematch(row.regie)
    else:
        raise UserError(_("Choisissez une action."))
    following = office.ctx.session.scalars(
        select(Cheque.id)
        .where(
            Cheque.tenant_id == office.ctx.town.slug,
            Cheque.regie == row.regie,
            Cheque.state == ChequeState.REVIEW,
            Cheque.id > row.id,
        )
        .order_by(Cheque.id)
        .limit(1)
    ).first()
    if following is None:
        return _see(request, "queue", _query={"regie": row.regie})
    return _see(request, "cheque", id=following)


# --- Coming in ------------------------------------------------------------------------------


def upload(request: Any) -> dict[str, Any]:
    """The page to send a file, and to name the columns of the town's own spreadsheet."""
    office = Office(request)
    return {
        "regies": office.regies, "regie": office.regie(request), "fields": FIELDS,
        "layout": office.intake.layout(), "done": None, "error": "",
    }  # fmt: skip


@_or_again(upload)
def post_upload(request: Any) -> Any:
    """Import a file, all or nothing; or save the columns."""
    office = Office(request)
    regie, form = office.regie(request), request.POST
    if forms.text(form, "action") == "colonnes":
        office.intake.save_layout({field: forms.text(form, f"col_{field}") for field in FIELDS})
        return _see(request, "upload", _query={"regie": regie})
    name, content = forms.upload(form, "fichier")
    done: Imported = office.intake.import_file(
        name, content, regie=regie, actor=office.actor, slip=forms.text(form, "remise"),
        **forms.controls(form),
    )  # fmt: skip
    if done.problems:
        request.response.status_int = 422
        return {**upload(request), "done": done}
    office.desk.rematch(regie)
    return {**upload(request), "done": done}


def entry(request: Any) -> dict[str, Any]:
    """The page to type cheques, one after another, in a sitting."""
    office = Office(request)
    regie = office.regie(request)
    name = str(request.params.get("remise", "")).strip()
    batch = office.intake.find_sitting(regie, name) if name else None
    totals = office.desk.totals(batch.id) if batch else {}
    rows = office.ctx.session.scalars(
        select(Cheque)
        .where(
            Cheque.tenant_id == office.ctx.town.slug, Cheque.batch_id == (batch.id if batch else 0)
        )
        .order_by(Cheque.rank.desc())
        .limit(10)
    ).all()
    return {
        "regies": office.regies, "regie": regie, "name": name, "batch": batch, "rows": rows,
        "count": sum(count for count, _cents in totals.values()),
        "cents": sum(cents for _count, cents in totals.values()),
        "typed": request.POST, "error": "",
    }  # fmt: skip


@_or_again(entry)
def post_entry(request: Any) -> Any:
    """Store one typed cheque, and be ready for the next."""
    office = Office(request)
    regie, form = office.regie(request), request.POST
    name = forms.text(form, "remise")
    batch = office.intake.sitting(
        regie, actor=office.actor, name=name, **forms.controls(form)
    )
    if forms.text(form, "action") != "ouvrir":
        record = forms.typed_cheque(form, town=office.ctx.town.slug, regie=regie)
        office.intake.enter(batch, record, actor=office.actor)
    return _see(request, "entry", _query={"regie": regie, "remise": name})


# --- Going out ------------------------------------------------------------------------------


def slips(request: Any) -> dict[str, Any]:
    """The slips, and what the next one would hold."""
    office = Office(request)
    regie = office.regie(request)
    ready = office.slips.ready(regie)
    return {
        "regies": office.regies, "regie": regie, "ready": ready,
        "total": sum(row.amount for row in ready),
        "slips": [(slip, name_of(slip)) for slip in office.slips.all()], "error": "",
    }  # fmt: skip


@_or_again(slips)
def post_slips(request: Any) -> Any:
    """Freeze a slip over what is ready."""
    office = Office(request)
    regie = office.regie(request)
    office.slips.make(regie, **forms.controls(request.POST))
    return _see(request, "slips", _query={"regie": regie})


def slip_file(request: Any) -> Any:
    """A slip as PDF or CSV; as TLMC when the cheque reader's files are sent along."""
    office = Office(request)
    try:
        slip = office.slips.get(int(request.matchdict["id"]))
    except UserError:
        raise HTTPNotFound from None
    kind = request.matchdict["kind"]
    if kind == "tlmc":
        if request.method != "POST":
            raise HTTPNotFound
        _name, content = forms.upload(request.POST, "fichier")
        return _download(request, office.slips.tlmc(slip, [content], office.hasher))
    return _download(request, office.slips.pdf(slip) if kind == "pdf" else office.slips.csv(slip))


def _download(request: Any, document: Document) -> Any:
    response = request.response
    response.content_type = document.media_type
    response.content_disposition = f'attachment; filename="{document.name}"'
    response.body = document.content
    return response
