"""Comparing what PayFiP answered with what it was asked, and reading the moment it names.

A difference of meaning (another amount, debt, régie or payment) stops the money. A difference of
writing (case, spaces, a fiscal year cut short) never does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")

COMPARED = ("numcli", "refdet", "montant", "saisie")
"""The fields that must come back with the meaning that they were sent with, or nothing settles."""
NOTED = ("exer",)
"""The fields whose difference is only kept: recorded answers carry ``20`` where 2019 was asked."""

CLOCK_TOLERANCE = timedelta(minutes=10)
"""Allowed difference between PayFiP's clock and ours; PayFiP's times also have no seconds."""

_BLANKS = " \t\u00a0\u2009\u202f"
_AMOUNT = re.compile(rf"[0-9]+|[0-9]{{1,3}}(?:[{_BLANKS}][0-9]{{3}})+")
_SEPARATORS = re.compile(rf"[{_BLANKS}\-]+")


def differences(
    asked: Mapping[str, str], answered: Mapping[str, str], names: tuple[str, ...]
) -> Iterator[str]:
    """Name the fields whose meaning is not the same on both sides."""
    for name in names:
        if not same(name, asked.get(name, ""), answered.get(name, "")):
            yield name


def same(name: str, asked: str, answered: str) -> bool:
    """True if both sides mean the same. An empty field means nothing, so it is never the same."""
    if not asked or not answered:
        return False
    if name == "montant":
        return cents(answered) == int(asked)
    if name == "numcli" and answered.isascii() and answered.isdigit():
        # Six digits: one that went through a number on its way has lost its leading zeros.
        answered = answered.zfill(len(asked))
    elif name == "refdet":
        asked, answered = _SEPARATORS.sub("", asked), _SEPARATORS.sub("", answered)
    # Not casefold(): it would take other alphabets' letters for these.
    return answered.isascii() and asked.lower() == answered.lower()


def cents(text: str) -> int | None:
    """Read integer cents: digits, in groups of three at most; None for anything else.

    int() alone would also take ``+5687``, ``5_687`` and other scripts' digits.
    """
    if not _AMOUNT.fullmatch(text):
        return None
    return int(re.sub(rf"[{_BLANKS}]", "", text))


def paid_at(dattrans: str, heurtrans: str, *, fold: int = 0) -> datetime | None:
    """Read ``DDMMYYYY`` and ``HHMM`` (legal time in France) as UTC; None if unreadable.

    Without a time it is the day's first moment. `fold` chooses between autumn's doubled hours.
    """
    day, time = _day(dattrans), _time(heurtrans) if heurtrans.strip() else timedelta()
    if day is None or time is None:
        return None
    return (day + time).replace(tzinfo=PARIS, fold=fold).astimezone(UTC)


def believable(
    dattrans: str, heurtrans: str, *, earliest: datetime, latest: datetime
) -> datetime | None:
    """Read the moment of a payment; None if it cannot be one.

    A moment before `earliest` (the payment was asked for) or after `latest` (now) is an error of a
    clock or of a file, not a fact. Where the time alone is unreadable the day is kept. A payment
    with a broken date is still paid: the caller takes the present instead.
    """
    for fold in (0, 1):
        found = paid_at(dattrans, heurtrans, fold=fold)
        if found and earliest - CLOCK_TOLERANCE <= found <= latest + CLOCK_TOLERANCE:
            return min(found, latest)
    day = _day(dattrans)
    if day is None or _time(heurtrans) is not None:
        return None
    # Some moment of that day, between the two that are known.
    start = day.replace(tzinfo=PARIS).astimezone(UTC)
    end = (day + timedelta(days=1)).replace(tzinfo=PARIS).astimezone(UTC)
    return max(start, earliest) if start <= latest and earliest < end else None


def _day(text: str) -> datetime | None:
    digits = re.sub(r"[\s/.\-]", "", text)
    if not digits.isascii() or not digits.isdigit() or len(digits) not in {7, 8}:
        return None
    # Seven: the day went through a number and lost its leading zero.
    for pattern in ("%d%m%Y", "%Y%m%d"):
        try:
            return datetime.strptime(digits.zfill(8), pattern)  # noqa: DTZ007 - legal time, see above
        except ValueError:
            continue
    return None


def _time(text: str) -> timedelta | None:
    """``HHMM``; ``HHMMSS`` also stands in answers, and either may have lost a leading zero."""
    digits = re.sub(r"[\s:hH]", "", text)
    if not digits.isascii() or not digits.isdigit() or len(digits) not in {3, 4, 5, 6}:
        return None
    digits = digits.zfill(4 if len(digits) < 5 else 6).ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
