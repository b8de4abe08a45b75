"""People who hold a régie, and the reports of its till when they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.payments import Means
from core.books.entries import Entries
from core.books.models import Officer, TillReport
from core.books.period import Period
from core.books.remittances import InHand, Remittances
from core.journal.models import JournalEntry
from core.journal.service import Journal
from core.platform.audit.service import Audit
from core.platform.clock import PARIS, today
from core.platform.documents.render import signatures
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tabular.writing import Cents, Table
from core.platform.templating import money
from core.platform.tenancy.config import TenantConfig

MAX_NAME_CHARS = 120


class OfficerRole(StrEnum):
    """Role of a person in a régie."""

    REGISSEUR = "regisseur"
    DEPUTY = "suppleant"
    AGENT = "mandataire"


class ReportKind(StrEnum):
    """Occasion of a report."""

    CHANGE = "change"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of régisseur that is not made yet, and the till that changes hands."""

    name: str
    since: date
    ending: Sequence[tuple[str, date]]
    """Régisseurs whose office ends, with their last day."""
    staying: Sequence[str]
    """Other people in office, whose office goes on."""
    in_hand: Sequence[InHand]
    waiting: Sequence[str]
    """Remittances that were made and have not left."""


class Officers:
    """The officers and till reports of one town's régies."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        entries: Entries,
        remittances: Remittances,
        journal: Journal,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._entries = entries
        self._remittances = remittances
        self._journal = journal
        self._audit = audit

    def all(self, regie: str) -> Sequence[Officer]:
        """Everybody who was ever appointed to a régie; those in office first."""
        return self._session.scalars(
            select(Officer)
            .where(Officer.tenant_id == self._tenant, Officer.regie == regie)
            .order_by(Officer.until.is_not(None), Officer.since.desc(), Officer.id.desc())
        ).all()

    def appoint(
        self, regie: str, *, role: str, name: str, act: str, since: date
    ) -> Officer:
        """Note an appointment. A new régisseur takes the office of the one before.

        Raises:
            UserError: the name or the role is missing.
        """
        if role not in set(OfficerRole) or not name.strip():
            raise UserError(_("Saisissez le nom et la fonction."))
        if role == OfficerRole.REGISSEUR:
            for before in self.all(regie):
                if before.role == role and before.until is None:
                    before.until = max(since, before.since)
        made = Officer(
            tenant_id=self._tenant,
            regie=regie,
            role=role,
            name=name.strip()[:MAX_NAME_CHARS],
            act=act.strip()[:MAX_NAME_CHARS],
            since=since,
            actor=self._audit.actor,
            noted_at=self._clock.now(),
        )
        self._session.add(made)
        self._session.flush()
        self._audit.write(
            "officer.appointed", f"regie:{regie}", officer=made.name, role=made.role, act=made.act
        )
        return made

    def look(self, regie: str, *, name: str, act: str, since: date) -> Change:
        """Changes by a new régisseur; nothing is done.

        Raises:
            UserError: as `appoint` would.
        """
        ending = [
            one for one in self.all(regie)
            if one.role == OfficerRole.REGISSEUR and one.until is None
        ]  # fmt: skip
        names = [one.name for one in ending]
        nested = self._session.begin_nested()
        try:
            self.appoint(regie, role=OfficerRole.REGISSEUR, name=name, act=act, since=since)
            days = [one.until for one in ending if one.until]
        finally:
            nested.rollback()
        remittances = self._remittances.page(regie).rows
        return Change(
            name=name.strip()[:MAX_NAME_CHARS],
            since=since,
            ending=list(zip(names, days, strict=True)),
            staying=[
                one.name for one in self.all(regie)
                if one.role != OfficerRole.REGISSEUR and one.until is None
            ],
            in_hand=self._remittances.in_hand(regie),
            waiting=[
                one.name for one in remittances if not one.left_at and not one.cancelled_at
            ],
        )  # fmt: skip

    def end(self, regie: str, officer_id: int, day: date) -> None:
        """Note the last day of somebody's office.

        Raises:
            NotFoundError: nobody of this régie has this number.
            UserError: it ended already, or began later.
        """
        found = self._session.get(Officer, (self._tenant, officer_id))
        if found is None or found.regie != regie:
            raise NotFoundError
        if found.until is not None or day < found.since:
            raise UserError(_("Cette fonction a déjà pris fin, ou commence plus tard."))
        found.until = day
        self._audit.write("officer.ended", f"regie:{regie}", officer=found.name)

    def reports(self, regie: str) -> Sequence[TillReport]:
        """The reports of a régie, the last one first."""
        return self._session.scalars(
            select(TillReport)
            .where(TillReport.tenant_id == self._tenant, TillReport.regie == regie)
            .order_by(TillReport.id.desc())
            .limit(100)
        ).all()

    def report(self, report_id: int) -> TillReport:
        """One report. Raises `NotFoundError` when there is none."""
        found = self._session.get(TillReport, (self._tenant, report_id))
        if found is None:
            raise NotFoundError
        return found

    def make_report(
        self, regie: str, *, kind: str, outgoing: str, incoming: str, counted: int, note: str
    ) -> TillReport:
        """Freeze what the books say of the till now, beside what was counted (cents).

        Raises:
            UserError: who hands over, or who takes over, is not named.
        """
        if kind not in set(ReportKind) or not outgoing.strip() or not incoming.strip():
            raise UserError(_("Nommez les deux personnes qui signent le procès-verbal."))
        if counted < 0:
            raise UserError(_("Le montant compté n’est pas négatif."))
        self._journal.open(regie)  # Nothing is entered while it is looked at.
        now = self._clock.now()
        year = today(now).year
        last = self._session.scalar(
            select(func.max(TillReport.number)).where(
                TillReport.tenant_id == self._tenant,
                TillReport.regie == regie,
                TillReport.year == year,
            )
        )
        entry = self._session.scalar(
            select(JournalEntry)
            .where(JournalEntry.tenant_id == self._tenant, JournalEntry.regie == regie)
            .order_by(JournalEntry.year.desc(), JournalEntry.number.desc())
            .limit(1)
        )
        made = TillReport(
            tenant_id=self._tenant,
            regie=regie,
            year=year,
            number=(last or 0) + 1,
            at=now,
            kind=kind,
            outgoing=outgoing.strip()[:MAX_NAME_CHARS],
            incoming=incoming.strip()[:MAX_NAME_CHARS],
            counted=counted,
            note=note.strip()[:MAX_NAME_CHARS],
            state=self._state(regie, entry),
            hash=entry.hash if entry else "",
            actor=self._audit.actor,
        )
        self._session.add(made)
        self._session.flush()
        self._audit.write("till.reported", f"regie:{regie}", number=made.name, kind=kind)
        return made

    def _state(self, regie: str, entry: JournalEntry | None) -> dict[str, Any]:
        settings = self._town.file.regies[regie]
        remittances = self._remittances.page(regie).rows
        in_hand = self._remittances.in_hand(regie)
        year = Period(regie, today(self._clock.now()), whole_year=True)
        sums = self._entries.sums(year)
        return {
            "in_hand": [[one.means, one.held_count, one.held] for one in in_hand],
            "returned": [
                [one.means, one.returned_count, one.returned] for one in in_hand if one.returned
            ],
            "float": settings.cash_float or 0,
            "entry": f"{entry.year}/{entry.number}" if entry else "",
            "receipt": entry.receipt if entry else "",
            "remittance": remittances[0].name if remittances else "",
            "waiting": [
                one.name for one in remittances if not one.left_at and not one.cancelled_at
            ],
            "came": sums.came,
            "went": sums.went,
        }

    def paper(self, one: TillReport) -> Table:
        """The *procès-verbal*, to be signed by both."""
        state = one.state
        rows = [
            (means_label(means), count, Cents(cents)) for means, count, cents in state["in_hand"]
        ]
        title = (
            _("Procès-verbal de remise de service")
            if one.kind == ReportKind.CHANGE
            else _("Procès-verbal de vérification de caisse")
        )
        return Table(
            f"proces-verbal-{one.name.lower()}",
            " – ".join((title, one.name, self._town.regie_label(one.regie))),
            (_("En caisse, par moyen"), _("Règlements"), _("Montant")),
            rows or [(_("Rien"), 0, Cents(0))],
            (_("Total"), sum(row[1] for row in rows), Cents(sum(row[2] for row in rows))),
            _remarks(one),
            paper=signatures([one.outgoing, one.incoming]),
        )


def _remarks(one: TillReport) -> list[str]:
    """What a report says beside what is in hand."""
    state = one.state
    cash = sum(cents for means, _count, cents in state["in_hand"] if means == Means.CASH)
    returned = sum(cents for _means, _count, cents in state.get("returned", ()))
    expected = cash + state["float"]
    notes = [
        _("Établi le %(at)s.") % {"at": f"{one.at.astimezone(PARIS):%d/%m/%Y %H:%M}"},
        _("%(outgoing)s remet, %(incoming)s prend en charge.")
        % {"outgoing": one.outgoing, "incoming": one.incoming}
        if one.kind == ReportKind.CHANGE
        else _("Vérifié par %(incoming)s, en présence de %(outgoing)s.")
        % {"outgoing": one.outgoing, "incoming": one.incoming},
        _("Espèces à trouver : %(expected)s, dont %(float)s de fonds de caisse.")
        % {"expected": money(expected), "float": money(state["float"])},
        _("Espèces comptées : %(counted)s. Écart : %(gap)s.")
        % {"counted": money(one.counted), "gap": money(one.counted - expected)},
        _("Depuis le 1er janvier : encaissé %(came)s, rendu %(went)s.")
        % {"came": money(state["came"]), "went": money(state["went"])},
        _("Dernier versement : %(name)s.") % {"name": state["remittance"] or "–"},
    ]
    if returned:
        notes.append(
            _(
                "À déduire du prochain versement, pour des règlements revenus après le leur : "
                "%(amount)s."
            )
            % {"amount": money(-returned)}
        )
    if state["waiting"]:
        notes.append(
            _("Versements établis et pas encore partis : %(names)s.")
            % {"names": ", ".join(state["waiting"])}
        )
    notes.append(
        _("Dernière écriture : %(entry)s, reçu %(receipt)s. Empreinte : %(hash)s")
        % {
            "entry": state["entry"] or "–",
            "receipt": state["receipt"] or "–",
            "hash": one.hash or "–",
        }
    )
    if one.note:
        notes.append(one.note)
    return notes
