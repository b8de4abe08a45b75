"""Amounts and numbers in what was typed."""

from __future__ import annotations

import re

_EURO = r"(?:€|euros?\b|eur\b)"
_AMOUNT = re.compile(
    rf"(?<![\w,.])(\d{{1,3}}(?:[ \u00a0\u202f]\d{{3}})+|\d{{1,7}})"
    rf"(?:\s*[,.]\s*(\d{{1,2}})(?!\d)\s*{_EURO}?|\s*{_EURO}\s*(\d{{2}})?(?!\d))",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?=[a-z]*\d)[a-z0-9]{1,24}")


def read_amounts(raw: str) -> tuple[tuple[int, ...], str]:
    """The amounts in a text, in cents, and the text without them."""
    found = []

    def take(match: re.Match[str]) -> str:
        euros = int(re.sub(r"\s", "", match[1]))
        cents = (match[2] or match[3] or "0").ljust(2, "0")
        found.append(euros * 100 + int(cents))
        return " "

    rest = _AMOUNT.sub(take, raw)
    return tuple(found), rest


def read_numbers(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The words that may be an invoice's number, and the others."""
    numbers = tuple(word for word in words if _NUMBER.fullmatch(word))
    return numbers, [word for word in words if word not in numbers]
