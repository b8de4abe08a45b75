"""Rights by régie: a session that is limited to some régies finds no row of another.

A condition is added to each statement of such a session, on every table that says whose a row is:
by a column ``regie``, by ``regies`` (all that a row holds of), or by a row that it belongs to. No
view, list, sum or export has to think of it, a plugin's neither. Sessions without a limit pay
nothing for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import ClauseElement, ColumnElement, Table, Text, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.sql import visitors

from core.platform.db.base import Base

_REGIES = "regies"
"""Key of a limited session's information: the régies that it sees."""


WHOLE_TOWN = "whole_town"
"""Execution option of a statement that names its régies itself, or that answers yes or no to
something that has to be known of all of the town."""


class PastTheLimitError(Exception):
    """A statement of a limited session would read rows of any régie."""


def limit(session: Session, regies: Iterable[str]) -> None:
    """Let a session see these régies only, from here on; none: no régie at all."""
    session.info[_REGIES] = tuple(sorted(regies))


def regies_of(session: Session) -> Sequence[str] | None:
    """The régies that a session is limited to; None without a limit."""
    found: Sequence[str] | None = session.info.get(_REGIES)
    return found


def keep_to_limit(state: ORMExecuteState) -> None:
    """Add the session's limit to a statement.

    Raises:
        PastTheLimitError: it is none of the ORM's, and names a table whose rows are a régie's.
    """
    regies = regies_of(state.session)
    if regies is None or state.execution_options.get(WHOLE_TOWN):
        return
    if state.is_orm_statement:
        if state.is_select or state.is_update or state.is_delete:
            tenant = state.session.info.get("tenant", "")
            criteria = _criteria(tenant, tuple(regies), _tables())
            state.statement = state.statement.options(*criteria)
        return
    elements = visitors.iterate(cast("ClauseElement", state.statement))
    named = {element.name for element in elements if isinstance(element, Table)}
    limited = named & _limited_tables(_tables())
    if limited:
        raise PastTheLimitError(", ".join(sorted(limited)))


def _tables() -> int:
    """Number of known tables: a plugin brings its own when it is first asked."""
    return len(Base.metadata.tables)


@lru_cache(maxsize=200)
def _criteria(tenant: str, regies: tuple[str, ...], _known: int) -> tuple[Any, ...]:
    found = []
    for mapper in Base.registry.mappers:
        condition = _condition(mapper.class_.__table__, mapper.class_, tenant, regies)
        if condition is not None:
            found.append(with_loader_criteria(mapper.class_, condition, include_aliases=True))
    return tuple(found)


def _condition(
    table: Table, columns: Any, tenant: str, regies: tuple[str, ...]
) -> ColumnElement[bool] | None:
    """SQL: a row is one of these régies; None for a table whose rows are of none.

    `columns` has the table's columns as attributes: a mapped class, or an alias' ``c``.
    """
    if "regie" in table.c:
        return cast("ColumnElement[bool]", columns.regie.in_(regies))
    if "regies" in table.c:
        held = bindparam(None, list(regies), type_=ARRAY(Text), unique=True)
        return cast("ColumnElement[bool]", columns.regies.contained_by(held))
    found: ColumnElement[bool] | None = None
    for name, target in _owners(table):
        owner = target.alias()
        inside = _condition(target, owner.c, tenant, regies)
        if inside is not None:
            ids = select(owner.c.id).where(owner.c.tenant_id == tenant, inside)
            one = getattr(columns, name).in_(ids)
            found = one if found is None else found & one
    return found


def _owners(table: Table) -> list[tuple[str, Table]]:
    """The rows that a row of a table always belongs to: columns, and the tables they lead to."""
    found = []
    for constraint in table.foreign_key_constraints:
        for element in constraint.elements:
            target = element.column.table
            if (
                element.column.name == "id"
                and target is not table
                and not element.parent.nullable
                and _is_limited(target)
            ):
                found.append((element.parent.name, target))
    return sorted(found, key=lambda one: one[0])


def _is_limited(table: Table) -> bool:
    return "regie" in table.c or "regies" in table.c or bool(_owners(table))


@lru_cache(maxsize=10)
def _limited_tables(_known: int) -> frozenset[str]:
    return frozenset(name for name, table in Base.metadata.tables.items() if _is_limited(table))
