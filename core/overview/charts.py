"""The charts of a town, made anew each time, or kept for a while where that takes long."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pyramid.request import Request

from core.domain.figures import Report
from core.platform.clock import today

SLOW_REPORT_SECONDS = 0.5
"""Seconds that a report may take without being kept: a village always sees the last cent."""
CACHE_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class CachedReport:
    """A report, and when it was drawn."""

    at: datetime
    report: Report


class Charts:
    """The reports that this process keeps, by town, language and month."""

    def __init__(self) -> None:
        self._cached: dict[tuple[str, str, date | None], CachedReport] = {}

    def get(self, request: Request, month: date | None = None) -> CachedReport:
        """The report of a month, or of the last ones."""
        now = request.ctx.clock.now()
        key = request.town.slug, request.language, month
        found = self._cached.get(key)
        if found is not None and now - found.at < CACHE_LIFE and found.report.day == today(now):
            return found
        started = time.perf_counter()
        made = CachedReport(now, request.ctx.figures.report(month))
        if time.perf_counter() - started > SLOW_REPORT_SECONDS:
            self._cached[key] = made
        return made


CHARTS = Charts()
