"""One town's books, as its pages and exports ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from core.api.context import Clock
from core.books.activities import Activities
from core.books.closings import Closings
from core.books.corrections import Corrections
from core.books.entries import Entries
from core.books.matching import Matching
from core.books.officers import Officers
from core.books.owed import Owed
from core.books.papers import Papers
from core.books.period import Period
from core.books.remittances import Remittances
from core.books.statements import Statements
from core.journal.service import Journal
from core.payments.ledger import Ledger
from core.payments.titles import Titles
from core.platform.audit.service import Audit
from core.platform.plugins.events import Events
from core.platform.tenancy.config import TenantConfig


class Accounts:
    """The books of one town's régies: entries, closings and statements."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        journal: Journal,
        audit: Audit,
        events: Callable[[], Events],
        ledger: Ledger,
        titles: Titles,
        ask_plugins: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
        names: Callable[[], Mapping[str, str]],
    ) -> None:
        self._town = town
        self.entries = Entries(session, town.slug)
        self.closings = Closings(
            session, town.slug, clock, entries=self.entries, journal=journal, audit=audit
        )
        self.remittances = Remittances(
            session, town, clock, journal=journal, titles=titles, audit=audit, events=events
        )
        self.corrections = Corrections(
            session,
            town,
            ledger=ledger,
            journal=journal,
            titles=titles,
            closings=self.closings,
            remittances=self.remittances,
            audit=audit,
            ask_plugins=ask_plugins,
        )
        self.activities = Activities(session, town.slug)
        self.matching = Matching(session, town.slug)
        self.statements = Statements(
            town=town,
            clock=clock,
            entries=self.entries,
            activities=self.activities,
            owed=Owed(session, town.slug, clock),
            closings=self.closings,
            remittances=self.remittances,
            names=names,
        )
        self.officers = Officers(
            session,
            town,
            clock,
            entries=self.entries,
            remittances=self.remittances,
            journal=journal,
            audit=audit,
        )
        self.papers = Papers(town, self.remittances, self.statements, self.activities)

    def regies(self) -> list[str]:
        """Those whose money is counted here, as the town's file orders them."""
        return [key for key in self._town.file.regies if self._town.collects(key)]

    @staticmethod
    def period(regie: str, month: date, day: date | None = None) -> Period:
        """The month that begins on `month`, or one day of it."""
        return Period(regie, month, day)
