"""Days and amounts in the cells of tables from elsewhere."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from core.domain.dates import DateError, parse_day
from core.domain.money import AmountError, parse_amount

_DATE_MARKS: Final = "/.-"


def day_of(cell: str) -> date | None:
    """The day that a cell holds, or None."""
    # A workbook's moment, or one that a bank writes with its hour.
    bare = re.sub(r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?Z?\Z", "", cell)
    try:
        return parse_day(bare, marks=_DATE_MARKS, short_years=True)
    except DateError:
        return None


def cents_of(cell: str) -> int | None:
    """The cents that a cell holds, or None."""
    try:
        return parse_amount(cell) if cell else None
    except AmountError:
        return None
