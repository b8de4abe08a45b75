"""Statements that the product sends to tables of towns without naming the town.

Row-level security adds the town to each of them, but a database that is distributed by town (Citus)
would send a statement that does not name it to every node. With ``pytest -p tests.town_statements``, as
`make scale` does, each test looks at what it made the product send. What a test sends itself, relying
on the wall, is its own affair.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from core.platform.db.base import Base
from core.platform.db.rls import APP

ROOT = Path(__file__).parents[1]
_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(?:ONLY\s+)?(?:public\.)?\"?([a-z_]+)")
_OURS = tuple(f"{ROOT / name}/" for name in ("core", "plugins", "tests", "benchmarks"))
_OF_TESTS = tuple(f"{ROOT / name}/" for name in ("core/testing", "core/dev", "tests", "benchmarks"))
_NAMED = re.compile(
    # A condition, or columns that are written. That a column is read says nothing of where its rows are.
    r"\btenant_id\"?(?:::\w+)?\s*(?:=|IN\b)|=\s*(?:\w+\.)?tenant_id\b|\bUSING \(tenant_id\b"
    r"|\bINSERT INTO (?:public\.)?\w+(?: AS \w+)?\s*\([^)]*\btenant_id\b"
)


def names_town(statement: str) -> bool:
    """True if a statement says which town's rows it reads or writes."""
    return bool(_NAMED.search(statement))


@cache
def scoped_names(_count: int) -> frozenset[str]:
    """Names of the tables that have a town's rows, of those that are known by now."""
    return frozenset(name for name, table in Base.metadata.tables.items() if "tenant_id" in table.columns)


def tables_of(statement: str) -> set[str]:
    """Tables of towns that a statement reads or writes."""
    return scoped_names(len(Base.metadata.tables)) & set(_TABLE.findall(statement))


class TownStatements:
    """Statements of this process that name no town, with who sent them."""

    def __init__(self) -> None:
        self._judged: set[str] = set()
        self.nameless: list[str] = []

    def note(self, connection: Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        """Judge a statement, once: for an event of SQLAlchemy's engines."""
        if statement in self._judged or connection.engine.url.username != APP:
            return
        self._judged.add(statement)
        if names_town(statement) or not tables_of(statement):
            return
        sender = _sender()
        if not sender.startswith(_OF_TESTS):
            self.nameless.append(f"{sender}: {statement}")

    def taken(self) -> list[str]:
        """What was noted since the last time."""
        found, self.nameless = self.nameless, []
        return found


def _sender() -> str:
    frame = sys._getframe(1)
    while frame := frame.f_back:
        name = frame.f_code.co_filename
        if name.startswith(_OURS) and not name.startswith(__file__):
            return f"{name}:{frame.f_lineno}"
    return ""


@pytest.fixture(scope="session")
def statements() -> Iterator[TownStatements]:
    """What this process sends to tables of towns without naming the town."""
    found = TownStatements()
    event.listen(Engine, "before_cursor_execute", found.note)
    yield found
    event.remove(Engine, "before_cursor_execute", found.note)


@pytest.fixture(autouse=True)
def statements_name_the_town(statements: TownStatements) -> Iterator[None]:
    """Check that what the product sends during a test could go to one node of a cluster."""
    yield
    assert statements.taken() == []
