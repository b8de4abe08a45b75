"""Tables that only grow, in a partition for each month: an old month is dropped, not deleted from.

The key stays ``(tenant_id, id)``. Each month has a block of numbers of its own, and the sequence
steps to the block when its month begins: a partition by number is one by time, and no query has to
know. Partitions stand in a schema that nobody but the owner may enter; what is allowed, the table
itself says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

PARTITIONED = ("audit_entry", "payment_answer")
SCHEMA = "preau_parts"
BLOCK = 1_000_000_000
"""Numbers of one month: more than any installation uses."""
AHEAD = 2
"""Months whose partitions are there before they begin."""
LOCK_SECONDS = 2
"""Time for which whoever makes or drops a partition waits for the table."""
_FIRST_YEAR = 2000
_LOCK = 7_270_002
_DETACHING = {False: "CONCURRENTLY", True: "FINALIZE", None: ""}
"""Way to detach one that is attached, half detached, or detached."""
_FOREIGN_KEYS = text(
    "SELECT conname FROM pg_constraint WHERE conrelid = CAST(:name AS regclass) AND contype = 'f'"
)
_NAME = re.compile(r"(?P<table>\w+?)_(?:until_)?(?P<year>\d{4})_(?P<month>\d{2})\Z")


def block_of(month: date) -> int:
    """The first number of a month."""
    return ((month.year - _FIRST_YEAR) * 12 + month.month - 1) * BLOCK


def month_after(month: date, count: int = 1) -> date:
    """The first day of the month that is `count` months later."""
    months = month.year * 12 + month.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def make_room(owner_url: str, today: date) -> list[str]:
    """See that this month and the next ones have their partitions; which were made.

    From then on this month's numbers are used. Where nobody calls it, rows go on into the last
    month that was begun.
    """
    this_month, made = today.replace(day=1), []
    with _as_owner(owner_url) as connection:
        for table in PARTITIONED:
            names = _names(connection)
            for ahead in range(AHEAD + 1):
                month = month_after(this_month, ahead)
                if not _is_there(names, table, month):
                    _make(connection, table, month)
                    made.append(_called(table, month))
            before = [name for name in names if "_until_" in name]
            if not _is_there(before, table, this_month):
                _step_to(connection, table, block_of(this_month))
    return made


def _called(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"


def _is_there(names: Iterable[str], table: str, month: date) -> bool:
    """Tell whether a month has its partition: its own, or the one of all that was before."""
    for name in names:
        parts = _NAME.match(name)
        if parts is None or parts["table"] != table:
            continue
        own = date(int(parts["year"]), int(parts["month"]), 1)
        if own == month or ("_until_" in name and month <= own):
            return True
    return False


def _make(connection: Connection, table: str, month: date) -> None:
    name, block = f'{SCHEMA}."{_called(table, month)}"', block_of(month)
    with connection.begin():
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        for statement in (
            f'CREATE TABLE {name} (LIKE public."{table}" INCLUDING DEFAULTS)',
            (f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY,"
            " ALTER COLUMN tenant_id SET (n_distinct = -0.001)"),
            # Unlike CREATE ... PARTITION OF, it lets everybody read and write meanwhile.
            (f'ALTER TABLE public."{table}" ATTACH PARTITION {name}'
            f" FOR VALUES FROM ({block}) TO ({block + BLOCK})"),
        ):
            connection.exec_driver_sql(statement)


def _step_to(connection: Connection, table: str, block: int) -> None:
    """Let numbers go on from `block`, unless they are there already: never back."""
    with connection.begin():
        numbers = connection.scalar(
            text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": f"public.{table}"}
        )
        reached = connection.scalar(text(f"SELECT last_value FROM {numbers}")) or 0
        if reached < block:
            connection.execute(
                text("SELECT setval(CAST(:numbers AS regclass), :block, false)"),
                {"numbers": numbers, "block": block},
            )


def past(names: Sequence[str], table: str, keep_from: date) -> list[str]:
    """The partitions of `table` of which every row is from before the month of `keep_from`."""
    found = []
    for name in sorted(names):
        parts = _NAME.match(name)
        if parts is None or parts["table"] != table:
            continue
        if (int(parts["year"]), int(parts["month"])) < (keep_from.year, keep_from.month):
            found.append(name)
    return found


def drop_past(owner_url: str, table: str, keep_from: date) -> list[str]:
    """Drop the partitions of `table` that are wholly before a month; which they were.

    Who reads or writes goes on meanwhile.
    """
    with _as_owner(owner_url) as connection:
        names = _names(connection)
        dropped = past(list(names), table, keep_from)
        # Outside a transaction: CONCURRENTLY is nothing for one.
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        for name in dropped:
            # One that was interrupted half way is ended first.
            if way := _DETACHING[names[name]]:
                connection.exec_driver_sql(
                    f'ALTER TABLE public."{table}" DETACH PARTITION {SCHEMA}."{name}" {way}'
                )
            # A table that is dropped with its keys locks what they point to, which every page
            # reads, until its files are gone: seconds, where it is large.
            for key in connection.scalars(_FOREIGN_KEYS, {"name": f'{SCHEMA}."{name}"'}).all():
                connection.exec_driver_sql(f'ALTER TABLE {SCHEMA}."{name}" DROP CONSTRAINT "{key}"')
            connection.exec_driver_sql(f'DROP TABLE {SCHEMA}."{name}"')
    return dropped


@contextmanager
def _as_owner(url: str) -> Iterator[Connection]:
    """A connection of which one at a time is there, on whatever machine."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        connection.commit()
        yield connection


def _names(connection: Connection) -> dict[str, bool | None]:
    """The partitions, each with whether it is half detached; None: it is, wholly."""
    with connection.begin():
        rows = connection.execute(
            text(
                "SELECT c.relname AS name, i.inhdetachpending AS pending"
                " FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
                " WHERE c.relnamespace = CAST(:schema AS regnamespace) AND relkind = 'r'"
            ),
            {"schema": SCHEMA},
        ).all()
    return {row.name: row.pending for row in rows}
