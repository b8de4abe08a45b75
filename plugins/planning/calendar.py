"""The days of a town's school years, from the library `holidays` and the town's own settings.

The library follows the ministry's calendar of zones A, B and C and the public holidays of all
departments; a new release brings a new school year (docs/planning-operating.md). Corsica and the
territories overseas have calendars of their rectors, which stand in the town's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from plugins.planning.rules import Calendar

ZONES = ("A", "B", "C")
REGIONS = {
    "metropole": "",
    "alsace": "6AE",
    "moselle": "57",
    "guadeloupe": "971",
    "martinique": "972",
    "guyane": "973",
    "la-reunion": "974",
    "mayotte": "976",
    "saint-barthelemy": "BL",
    "saint-martin": "MF",
    "saint-pierre-et-miquelon": "PM",
    "nouvelle-caledonie": "NC",
    "polynesie": "PF",
    "wallis-et-futuna": "WF",
}
"""Public holidays by region: our key, and the library's."""
FIRST_YEAR, LAST_YEAR = 2025, 2035
PUBLISHED_UNTIL = date(2027, 8, 31)
"""The end of the last school year that was compared with the ministry's list.

The library goes on by rules of thumb, for years that nobody has decided yet: no day beyond this one
is booked unless the town says so (`known_until` of its settings).
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def days(self) -> Sequence[date]:
        """All of them."""
        return [
            self.first + timedelta(days=number)
            for number in range((self.last - self.first).days + 1)
        ]


@lru_cache(maxsize=64)
def public_holidays(region: str) -> dict[date, str]:
    """The public holidays of a region, with their French names."""
    from holidays.countries.france import France  # noqa: PLC0415 - half a second, once

    code = REGIONS[region]
    found = France(subdiv=code or None, years=range(FIRST_YEAR, LAST_YEAR + 1), language="fr")
    return dict(found.items())


@lru_cache(maxsize=8)
def school_holidays(zone: str) -> frozenset[date]:
    """The school holidays of a zone, as far as the ministry has decided them."""
    from holidays.countries.france import France  # noqa: PLC0415 - half a second, once

    found = France(
        subdiv=f"Zone {zone}",
        categories=("school",),
        years=range(FIRST_YEAR, PUBLISHED_UNTIL.year + 1),
        language="fr",
    )
    return frozenset(found)


def calendar(
    *,
    zone: str | None,
    region: str,
    school_weekdays: frozenset[int],
    own: Sequence[Span] = (),
    known_until: date | None = None,
) -> Calendar:
    """A town's calendar. Without a zone, school holidays are those of `own` only."""
    return _calendar(zone, region, school_weekdays, tuple(own), known_until)


@lru_cache(maxsize=256)
def _calendar(
    zone: str | None,
    region: str,
    school_weekdays: frozenset[int],
    own: tuple[Span, ...],
    known_until: date | None,
) -> Calendar:
    days = frozenset(day for span in own for day in span.days())
    first = date(FIRST_YEAR, 1, 1)
    last = max((span.last for span in own), default=first)
    if zone is not None:
        days |= school_holidays(zone)
        last = max(last, PUBLISHED_UNTIL)
    return Calendar(
        first=first,
        last=known_until or last,
        school_weekdays=school_weekdays,
        holidays=days,
        public=public_holidays(region),
    )
