"""Columns of a file among which a régie chooses: the file itself is read once, and not kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from pyramid.request import Request

from core.domain.bank import Column

MAX_COLUMNS: Final = 200
MAX_CHARS: Final = 200


def shown_columns(columns: Sequence[Column]) -> list[Column]:
    """The columns as a page shows them."""
    return [Column(one.name, one.shown[:MAX_CHARS]) for one in columns[:MAX_COLUMNS]]


def sent_columns(request: Request) -> list[Column]:
    """The columns that the page showed, as its form sends them back."""
    pairs = zip(request.POST.getall("name"), request.POST.getall("shown"), strict=False)
    return [Column(name[:MAX_CHARS], shown[:MAX_CHARS]) for name, shown in pairs][:MAX_COLUMNS]


def chosen_columns(request: Request, fields: Collection[str]) -> dict[str, str]:
    """The column that was chosen for each field, of those that the page showed."""
    known = {column.name for column in sent_columns(request)}
    chosen = {field: request.POST.get(f"column-{field}", "") for field in fields}
    return {field: name for field, name in chosen.items() if name in known}
