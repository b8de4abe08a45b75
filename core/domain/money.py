"""Amounts of money: integer cents of euro, read from and never rounded to."""

from __future__ import annotations

import re

MAX_CENTS = 10**11
"""No invoice of a canteen reaches a thousand million euros; a larger figure is a damaged file."""

MAX_DIGITS = len(str(MAX_CENTS // 100))

_SPACES = " \u00a0\u202f\u2009"
"""Signs that may stand between thousands: a space, a no-break space and the thin spaces."""

_AMOUNT = re.compile(
    rf"""
    (?P<sign>[+\-\u2212]?) [{_SPACES}]?
    (?P<euros> \d{{1,12}} | [1-9]\d{{0,2}} (?:[{_SPACES}]\d{{3}}){{1,3}} )
    (?:[.,](?P<cents>\d{{1,2}}))?
    (?:[{_SPACES}]* (?:€|eur|euros?) )?
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_DECIMAL = re.compile(
    r"(?P<sign>[+-]?)(?=\.?\d)(?P<euros>\d*)(?:\.(?P<cents>\d{0,2})0*)?", re.ASCII
)
_NOT_DIGITS = dict.fromkeys(map(ord, _SPACES))


class AmountError(ValueError):
    """The text is not an amount of euros in French or plain notation."""


def parse_amount(text: str) -> int:
    """Read ``56,87``, ``1 234,56 €`` or ``56.87`` as cents (5687, 123456, 5687).

    Every text has one reading, or none: a space that does not part groups of three digits, a third
    decimal, an English thousands separator, an exponent or anything else that would need a guess
    raises `AmountError`. An amount is never rounded and never invented. All accepted spellings
    stand in ``docs/amounts-and-dates.md``.
    """
    return _cents(text, _AMOUNT.fullmatch(text.strip(_SPACES + "\t")))


def parse_decimal(text: str) -> int:
    """Read an amount as XML and programs write it (``xs:decimal``): ``56.87``, ``.50``, ``2.500``.

    Zeros after the cents say nothing; any other third decimal raises `AmountError`.
    """
    return _cents(text, _DECIMAL.fullmatch(text.strip(" \t\r\n")))


def _cents(text: str, match: re.Match[str] | None) -> int:
    if match is None:
        raise AmountError(text)
    euros, fraction = match["euros"].translate(_NOT_DIGITS), match["cents"] or ""
    if len(euros.lstrip("0")) > MAX_DIGITS:  # Before int(): it takes the square of a long text.
        raise AmountError(text)
    cents = int(euros or "0") * 100 + int(fraction.ljust(2, "0"))
    if cents > MAX_CENTS:
        raise AmountError(text)
    return -cents if match["sign"] in {"-", "\N{MINUS SIGN}"} else cents


def decimal_text(cents: int) -> str:
    """Write cents as a plain French decimal, ``56,87``: what exports and `parse_amount` share."""
    sign = "-" if cents < 0 else ""
    euros, rest = divmod(abs(cents), 100)
    return f"{sign}{euros},{rest:02d}"


def split_pro_rata(total: int, weights: list[int]) -> list[int]:
    """Share `total` cents over `weights` so that the parts add up to `total` exactly.

    Largest remainder (Hamilton): what rounding leaves goes to the largest fractions, ties to the
    first. `weights` are non-negative and not all zero unless `total` is zero.
    """
    whole = sum(weights)
    if whole == 0:
        if total:
            raise ValueError("nothing to share the amount over")
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    by_fraction = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_fraction[:left]:
        parts[index] += 1
    return parts
