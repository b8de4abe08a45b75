"""The charts of a town: drawn anew each time, or, where that takes long, by a worker and kept.

A village sees the last cent. In a town of a million invoices drawing takes seconds: its page shows
what was drawn last, says when, and asks a worker to draw it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.domain.figures import Report
from core.overview.models import KeptReport
from core.platform import i18n
from core.platform.db.limits import regies_of
from core.platform.outbox.service import Outbox

REDRAW = "overview.report"
"""Topic of the rows that draw a kept report again."""
SLOW_REPORT_SECONDS = 0.5
"""Seconds that a report may take without being kept: a village always sees the last cent."""
CACHE_LIFE = timedelta(minutes=10)
"""Age at which a kept report is drawn again, when somebody looks."""


@dataclass(frozen=True, slots=True)
class CachedReport:
    """A report, and when it was drawn."""

    at: datetime
    report: Report


@cache
def _json() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


class Charts:
    """The reports of one town, drawn or kept."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        draw: Callable[[date | None], Report],
        outbox: Outbox,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._draw = draw
        self._outbox = outbox

    def get(self, language: str) -> CachedReport:
        """The report of the last months."""
        now, name = self._clock.now(), self._name(language)
        kept = self._session.scalar(
            select(KeptReport).where(
                KeptReport.tenant_id == self._tenant, KeptReport.language == name
            )
        )
        known = _read(kept) if kept is not None else None
        if kept is not None and known is not None:
            if now - kept.at > CACHE_LIFE:
                # One question for each drawing, whoever looks.
                self._outbox.add(REDRAW, _asked(name), key=f"{name}/{kept.at.isoformat()}")
            return CachedReport(kept.at, known)
        started = time.perf_counter()
        report = self._draw(None)
        if time.perf_counter() - started > SLOW_REPORT_SECONDS:
            self._keep(language, report)
        return CachedReport(now, report)

    def of_month(self, month: date) -> Report:
        """The report of one month, for its paper."""
        return self._draw(month)

    def redraw(self, language: str) -> None:
        """Draw a kept report again."""
        with i18n.use(language):
            self._keep(language, self._draw(None))

    def redraw_all(self) -> None:
        """Ask for every kept report anew: once a day, so that none is older."""
        now = self._clock.now().isoformat()
        for name in self._session.scalars(
            select(KeptReport.language).where(KeptReport.tenant_id == self._tenant)
        ).all():
            self._outbox.add(REDRAW, _asked(name), key=f"{name}/{now}", bulk=True)

    def _name(self, language: str) -> str:
        """Name that a report is kept under: its language, and the régies it is limited to."""
        return "/".join((language, *(regies_of(self._session) or ())))

    def _keep(self, language: str, report: Report) -> None:
        row = {"at": self._clock.now(), "report": _json().dump_python(report, mode="json")}
        new = insert(KeptReport).values(
            tenant_id=self._tenant, language=self._name(language), **row
        )
        self._session.execute(
            new.on_conflict_do_update(index_elements=("tenant_id", "language"), set_=row)
        )


def _asked(name: str) -> dict[str, Any]:
    """Request to a worker to draw."""
    language, *regies = name.split("/")
    return {"language": language, "regies": regies}


def _read(kept: KeptReport) -> Report | None:
    """The report that was kept; None when an earlier version of this program drew another kind."""
    try:
        return _json().validate_python(kept.report)
    except ValidationError:
        return None
