"""Amounts of money: integer cents of euro, read from and never rounded to."""

from __future__ import annotations

import re

MAX_CENTS = 10**11
"""No invoice of a canteen reaches a thousand million euros; a larger figure is a damaged file."""

_SPACES = dict.fromkeys(map(ord, " \u00a0\u202f\u2009\t"))
_AMOUNT = re.compile(r"(?P<sign>[+-]?)(?P<euros>\d{1,12})(?:[.,](?P<cents>\d{1,2}))?\Z", re.ASCII)


class AmountError(ValueError):
    """The text is not an amount of euros in French or plain notation."""


def parse_amount(text: str) -> int:
    """Read ``56,87``, ``1 234,56 €`` or ``56.87`` as cents (5687, 123456, 5687).

    A third decimal, an English thousands separator, an exponent or anything else that would need
    a guess raises `AmountError`: an amount is never rounded and never invented.
    """
    bare = text.translate(_SPACES).removesuffix("€").removesuffix("EUR")
    match = _AMOUNT.match(bare)
    if match is None:
        raise AmountError(text)
    cents = int(match["euros"]) * 100 + int((match["cents"] or "0").ljust(2, "0"))
    if cents > MAX_CENTS:
        raise AmountError(text)
    return -cents if match["sign"] == "-" else cents


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
