"""Dates and moments that come from outside: which spellings are read, and how far they reach."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = date(2100, 12, 31)
"""Nothing of a canteen lies outside. Years near 1 or 9999 break what reads them back: in another
time zone such a moment has no year at all."""

YEARS: Final = range(EARLIEST.year, LATEST.year + 1)

SURPRISING_DAYS: Final = 366
"""A paper dated further than this from today is asked about."""

_DAY = re.compile(
    r"(?P<day>\d{1,2})(?P<mark>[/.-])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})"
    r"|(?P<iso_year>\d{4})-(?P<iso_month>\d{2})-(?P<iso_day>\d{2})",
    re.ASCII,
)
_MOMENT = re.compile(
    r"(?P<day>\S+)[T ](?P<hour>\d{1,2})(?::|[ ]?h[ ]?)(?P<minute>\d{2})"
    r"(?::\d{2}(?:\.\d{1,6})?)?",
    re.ASCII,
)
_SPACES = " \t\u00a0\u202f\u2009"


class DateError(ValueError):
    """The text is no date, or one out of bounds."""


def parse_day(text: str, *, marks: str = "/", short_years: bool = False) -> date:
    """Read ``25/11/2026`` or ``2026-11-25``.

    For files that are known to write otherwise, `marks` are the others that may stand between day,
    month and year (``25.11.2026``), and `short_years` takes those of two digits, of this century.
    The day comes first wherever the year comes last, as in France.

    Raises:
        DateError: it is written otherwise, does not exist, or lies outside `EARLIEST` to `LATEST`.
    """
    found = _DAY.fullmatch(text.strip(_SPACES))
    if found is None or (found["mark"] or "/") not in marks:
        raise DateError(text)
    written = found["year"] or found["iso_year"]
    if len(written) < 4 and not short_years:
        raise DateError(text)
    year = int(written) + (2000 if len(written) < 4 else 0)
    try:
        day = date(
            year,
            int(found["month"] or found["iso_month"]),
            int(found["day"] or found["iso_day"]),
        )
    except ValueError:
        raise DateError(text) from None
    return in_bounds(day)


def parse_moment(text: str, zone: ZoneInfo) -> datetime:
    """Read ``2026-11-25T08:30`` as a browser sends it, or ``25/11/2026 8 h 30``, in `zone`.

    Seconds are left out. A time that a clock in `zone` never shows, in the night when summer time
    begins, raises `DateError`; the one that it shows twice is the first.

    Raises:
        DateError: it is no moment, or one out of bounds; see `parse_day`.
    """
    found = _MOMENT.fullmatch(text.strip(_SPACES))
    if found is None:
        raise DateError(text)
    day = parse_day(found["day"])
    try:
        moment = datetime(
            day.year, day.month, day.day, int(found["hour"]), int(found["minute"]), tzinfo=zone
        )
    except ValueError:
        raise DateError(text) from None
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise DateError(text)
    return moment


def in_bounds(day: date) -> date:
    """The same day, or moment.

    Raises:
        DateError: it lies outside `EARLIEST` to `LATEST`.
    """
    if day.year not in YEARS:
        raise DateError(day.isoformat())
    return day


def is_surprising(day: date, today: date) -> bool:
    """True if a paper of that day, seen today, is more than a year old or a year early."""
    return abs(day - today) > timedelta(days=SURPRISING_DAYS)
