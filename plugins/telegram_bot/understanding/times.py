"""Months, years, dates and words like *le mois dernier* in what was typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janvier janv january jan janeiro",
            "fevrier fevr fev february feb fevereiro",
            "mars march",
            "avril avr april apr abril",
            "mai",
            "juin june jun junho",
            "juillet juil july jul julho",
            "aout august aug agosto",
            "septembre sept september sep setembro",
            "octobre oct october outubro",
            "novembre nov november novembro",
            "decembre dec december dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_NUMERIC = re.compile(r"(?<![\d/.-])([0-3]?\d)[/.-]([01]?\d)(?:[/.-](20\d\d|\d\d))?(?![\d/-])")
_NAMED = re.compile(r"\b(1er|[0-3]?\d)\s+(" + "|".join(MONTHS) + r")\b(?:\s+(20\d\d)\b)?")
_YEAR = re.compile(r"(?<![\d,.])20[0-4]\d(?![\d,.]\d)")
_LAST = r"(?:dernier|derniere|passe|passee|precedent|precedente|d avant)"
_RELATIVE = (
    (re.compile(r"\b(?:le |du )?mois " + _LAST + r"\b|\blast month\b"), "month", -1),
    (re.compile(r"\b(?:ce|du) mois(?: ci| en cours| si)?\b(?! d)|\bthis month\b"), "month", 0),
    (re.compile(r"\b(?:annee|l an) " + _LAST + r"\b|\blast year\b"), "year", -1),
    (re.compile(r"\bcette annee\b|\bthis year\b"), "year", 0),
    (re.compile(r"\b(?:la )?semaine " + _LAST + r"\b|\blast week\b"), "week", -1),
    (re.compile(r"\bcette semaine\b|\bthis week\b"), "week", 0),
    (re.compile(r"\bavant hier\b"), "day", -2),
    (re.compile(r"\bhier\b|\byesterday\b"), "day", -1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Time:
    """A time that was named, and the plain text without it."""

    month: int
    year: int
    days: tuple[date, date] | None
    rest: str


def read_time(raw: str, plain: str, today: date) -> Time:
    """Find the time in a text; `plain` is the same as normalised words joined by spaces."""
    days: tuple[date, date] | None = None
    month = year = 0
    for numeric in _NUMERIC.finditer(raw):
        if day := _day(int(numeric[1]), int(numeric[2]), numeric[3] or "", today):
            days = (day, day)
            for piece in filter(None, numeric.groups()):
                plain = re.sub(rf"(?:^|(?<= )){piece}(?= |$)", " ", plain, count=1)
            break
    if days is None and (found := _NAMED.search(plain)):
        number = 1 if found[1] == "1er" else int(found[1])
        if day := _day(number, MONTHS[found[2]], found[3] or "", today):
            days = (day, day)
            plain = plain.replace(found[0], " ", 1)
    for pattern, unit, shift in _RELATIVE:
        if days is None and not month and (found := pattern.search(plain)):
            plain = plain.replace(found[0], " ", 1)
            month, year, days = _relative(unit, shift, today)
    words = plain.split()
    if days is None:
        month = month or next((MONTHS[word] for word in words if word in MONTHS), 0)
        if found := _YEAR.search(plain):
            year = int(found[0])
            words = [word for word in words if word != found[0]]
    words = [word for word in words if word not in MONTHS]
    return Time(month, year, days, " ".join(words))


def _relative(unit: str, shift: int, today: date) -> tuple[int, int, tuple[date, date] | None]:
    if unit == "month":
        first = today.replace(day=1)
        first = (first - timedelta(days=1)).replace(day=1) if shift else first
        return first.month, first.year, None
    if unit == "year":
        return 0, today.year + shift, None
    if unit == "week":
        monday = today - timedelta(days=today.weekday() - 7 * shift)
        return 0, 0, (monday, monday + timedelta(days=6))
    day = today + timedelta(days=shift)
    return 0, 0, (day, day)


def _day(day: int, month: int, year: str, today: date) -> date | None:
    """The date; without a year, the nearest one to today."""
    try:
        if year:
            return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
        near = [date(today.year + shift, month, day) for shift in (-1, 0, 1)]
    except ValueError:
        return None
    return min(near, key=lambda found: abs(found - today))
