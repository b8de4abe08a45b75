"""Statements that a portal says to PostgreSQL, for tests that count them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from core.testing.portal import Portal


@contextmanager
def statements(portal: Portal) -> Iterator[list[str]]:
    """Statements of the block, in order; each transaction's beginning is one."""
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        said.append(statement)

    event.listen(portal.runtime.engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(portal.runtime.engine, "before_cursor_execute", hear)
