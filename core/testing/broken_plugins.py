"""Plugins that do to the database, and to their process, what no plugin should.

A town that enables `Broken` is a bad neighbour. Its neighbours must notice nothing, and it must
itself lose nothing but what the plugin brings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.api.context import TenantContext
from core.api.plugin import Plugin, PluginSettings, hookimpl

Deed = Callable[[TenantContext], Any]


class BrokenSettings(PluginSettings):
    """``[plugins.broken]``: nothing to set."""


class Broken(Plugin[BrokenSettings]):
    """Does at each hook what it is told: `does` names a deed for each."""

    name: ClassVar[str] = "broken"
    label: ClassVar[str] = "Broken"
    Settings = BrokenSettings

    def __init__(self) -> None:
        self.does: dict[str, Deed] = {}

    def _do(self, hook: str, ctx: TenantContext) -> Any:
        return self.does.get(hook, lambda _ctx: None)(ctx)

    @hookimpl
    def invoice_sources(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("invoice_sources", ctx)

    @hookimpl
    def payment_providers(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("payment_providers", ctx)

    @hookimpl
    def notification_channels(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("notification_channels", ctx)

    @hookimpl
    def menu_entries(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("menu_entries", ctx)

    @hookimpl
    def message_kinds(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("message_kinds", ctx)

    @hookimpl
    def family_groups(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("family_groups", ctx)

    @hookimpl
    def record_imports(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("record_imports", ctx)

    @hookimpl
    def chat_skills(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("chat_skills", ctx)

    @hookimpl
    def tile_lines(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("tile_lines", ctx)

    @hookimpl
    def todo_entries(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("todo_entries", ctx)

    @hookimpl
    def health_checks(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("health_checks", ctx)

    @hookimpl
    def invoices_published(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("invoices_published", ctx)

    @hookimpl
    def invoice_due(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("invoice_due", ctx)

    @hookimpl
    def payment_settled(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("payment_settled", ctx)

    @hookimpl
    def payment_reversed(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("payment_reversed", ctx)

    @hookimpl
    def demonstrate(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("demonstrate", ctx)

    @hookimpl
    def family_data(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("family_data", ctx)

    @hookimpl
    def family_erased(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("family_erased", ctx)

    @hookimpl
    def means_corrected(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("means_corrected", ctx)

    @hookimpl
    def families_merged(self, ctx: TenantContext) -> Any:
        """As told."""
        return self._do("families_merged", ctx)


def says(*statements: str, quietly: bool = True) -> Deed:
    """Say something to the database and, `quietly`, hide what it answers."""

    def deed(ctx: TenantContext) -> None:
        for statement in statements:
            try:
                ctx.session.execute(text(statement))
            except SQLAlchemyError:
                if not quietly:
                    raise

    return deed


def then(first: Deed, end: str) -> Deed:
    """Do something, and end the session's transaction by its method `end`."""

    def deed(ctx: TenantContext) -> None:
        first(ctx)
        getattr(ctx.session, end)()

    return deed


def raising(error: type[BaseException]) -> Deed:
    """Raise what may end a thread, or a process."""

    def deed(_ctx: TenantContext) -> None:
        raise error

    return deed


def _meddles_with_connection(ctx: TenantContext) -> None:
    raw: Any = ctx.session.connection().connection.driver_connection
    with suppress(Exception):
        raw.autocommit = False
    raw.execute("SET search_path = nowhere")


_KEPT: list[Any] = []
"""Things that a plugin keeps, and that would end if nobody held them."""


def forget_kept() -> None:
    """Let go of what the plugins kept."""
    _KEPT.clear()


def _driver(ctx: TenantContext) -> Any:
    return ctx.session.connection().connection.driver_connection


def _leaves_a_copy(ctx: TenantContext) -> None:
    copy = _driver(ctx).cursor().copy("COPY (SELECT generate_series(1, 100000)) TO STDOUT")
    copy.__enter__()
    _KEPT.append(copy)


def _leaves_a_pipeline(ctx: TenantContext) -> None:
    pipeline = _driver(ctx).pipeline()
    pipeline.__enter__()
    _driver(ctx).execute("SELECT 1")
    _KEPT.append(pipeline)


def _leaves_cursors(ctx: TenantContext) -> None:
    ctx.session.execute(text("DECLARE kept CURSOR WITH HOLD FOR SELECT 1"))
    ctx.session.execute(text("DECLARE another CURSOR FOR SELECT generate_series(1, 1000)"))


def _connects_by_itself(ctx: TenantContext) -> None:
    engine: Any = ctx.session.get_bind()
    with engine.connect() as connection:
        connection.execute(text("SET search_path = nowhere"))
        connection.execute(text("SET default_transaction_read_only = on"))
        connection.commit()


def _raw(ctx: TenantContext) -> Any:
    """Take a connection of the pool, of which no listener of SQLAlchemy's hears."""
    engine: Any = ctx.session.get_bind()
    return getattr(engine, "engine", engine).raw_connection()


def _takes_a_raw_connection(ctx: TenantContext) -> None:
    raw = _raw(ctx)
    raw.driver_connection.execute("SET search_path = nowhere")
    raw.driver_connection.execute("SET default_transaction_read_only = on")
    raw.driver_connection.execute("CREATE TEMP TABLE family (id int); LISTEN preau_outbox")
    raw.close()


def _drops_a_raw_connection(ctx: TenantContext) -> None:
    raw = _raw(ctx)
    raw.driver_connection.execute("SELECT pg_advisory_lock(77)")
    raw.driver_connection.execute("SET app.tenant = 'brumes'")


def _connects_without_transactions(ctx: TenantContext) -> None:
    engine: Any = ctx.session.get_bind()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 1"))
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))


def _keeps_its_sessions(ctx: TenantContext) -> None:
    _KEPT.append(ctx.session)
    for session in _KEPT:
        with suppress(Exception):
            session.execute(text("SELECT 1"))


class WordlessError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


def _forgets_the_town(ctx: TenantContext) -> None:
    ctx.session.execute(text("SELECT set_config('app.tenant', 'brumes', true)"))
    ctx.session.execute(text("UPDATE family SET name = 'STOLEN'"))


SETTINGS: Mapping[str, Deed] = {
    "search path": says("SET search_path = nowhere"),
    "read only": says("SET default_transaction_read_only = on"),
    "time limit": says("SET statement_timeout = 1"),
    "lock limit": says("SET lock_timeout = 1"),
    "role": says("SET ROLE NONE", "SET session_replication_role = replica"),
    "authorization": says("SET SESSION AUTHORIZATION preau_app"),
    "row security": says("SET row_security = off"),
    "prepared statement": says("PREPARE _pg3_0 AS SELECT 1"),
    "forgotten plans": says("DEALLOCATE ALL"),
    "temporary table": says(
        "CREATE TEMP TABLE invoice (id int)",
        "CREATE TEMP TABLE family (id int)",
        "CREATE TEMP TABLE outbox (id int)",
    ),
    "listening": says("LISTEN preau_outbox"),
    "advisory lock": says("SELECT pg_advisory_lock(hashtextextended('brumes', 1))"),
    "time zone": says("SET TIME ZONE 'Asia/Tokyo'", "SET datestyle = 'SQL, MDY'"),
    "driver": _meddles_with_connection,
    "copy": _leaves_a_copy,
    "pipeline": _leaves_a_pipeline,
    "cursors": _leaves_cursors,
    "own connection": _connects_by_itself,
    "raw connection": _takes_a_raw_connection,
    "dropped connection": _drops_a_raw_connection,
    "no transactions": _connects_without_transactions,
    "commit, then settings": says(
        "COMMIT",
        "SET app.tenant = 'brumes'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "LISTEN preau_outbox",
        "BEGIN",
    ),
    "formats": says(
        "SET bytea_output = 'escape'",
        "SET extra_float_digits = -5",
        "SET IntervalStyle = 'iso_8601'",
        "SET client_encoding = 'LATIN1'",
        "SET standard_conforming_strings = off",
    ),
}
"""Deeds whose effects stay on a connection, if nobody takes them back."""

DEEDS: Mapping[str, Deed] = {
    **SETTINGS,
    "fails": says("SELECT 1 / 0", quietly=False),
    "fails and hides it": says("SELECT 1 / 0"),
    "no such table": says("SELECT * FROM nowhere"),
    "rolls back": then(says("SELECT 1"), "rollback"),
    "closes": then(says("SELECT 1"), "close"),
    "rolls back by statement": says("ROLLBACK"),
    "commits by statement": says("COMMIT"),
    "locks": says("LOCK TABLE family IN ACCESS EXCLUSIVE MODE"),
    "sleeps": says("SELECT pg_sleep(30)"),
    "sleeps without limit": says(
        "SET statement_timeout = 0",
        "SET client_connection_check_interval = 0",
        "SELECT pg_sleep(30)",
    ),
    "another town": _forgets_the_town,
    "keeps its sessions": _keeps_its_sessions,
    "closes the driver": lambda ctx: _driver(ctx).close(),
    "has no words": raising(WordlessError),
    "is cancelled": raising(asyncio.CancelledError),
    "exits": raising(SystemExit),
    "ends a generator": raising(GeneratorExit),
    "interrupts": raising(KeyboardInterrupt),
    "runs out of memory": raising(MemoryError),
    "recurses": raising(RecursionError),
}
"""All that is done at a hook."""

__all__ = [
    "DEEDS", "SETTINGS", "Broken", "Deed", "WordlessError",
    "forget_kept", "raising", "says", "then",
]  # fmt: skip
