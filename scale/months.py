"""The large tables of a large installation are changed while its pages are served.

The audit trail and the providers' answers are filled as they were before they had partitions. Then an
index is built, a check is validated, both go into partitions (as version 0039 does it), the
next months are made, and all that was before is dropped by rule: while an agent reads the trail page
after page, and others write into both tables as every act does. What is told is how long each step
took, and how long the longest page and the longest write had to wait during it, beside calm.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

sys.path[:0] = [str(Path(__file__).parents[1] / "tests")]
from office_browser import Office

from benchmarks.browser import quiet_logs
from core.dev.embedded import Embedded
from core.platform.db import partitions
from core.platform.db.migrate import LOCK_SECONDS, upgrade
from core.platform.db.rls import OWNER
from core.platform.plugins.discovery import installed
from core.processes.app import make_app
from core.testing.portal import cheap_hashes, make_portal

VERSION = "core.migrations.versions.0039_partitions"
BEFORE = """
INSERT INTO family (tenant_id, code, name) VALUES ('valmont', 'F1', 'x'), ('brumes', 'F1', 'y');
INSERT INTO payment (tenant_id, family_id, regie, state, means, amount, key, created_at)
    SELECT tenant_id, id, 'CANTINE', 'settled', 'card', 100, 'k', now() FROM family
"""
ROWS = {
    "audit_entry": """
INSERT INTO audit_entry (tenant_id, at, actor, action, subject, details)
SELECT CASE n % 5 WHEN 0 THEN 'brumes' ELSE 'valmont' END, now() - n * interval '5 seconds',
       'agent:' || n % 7, 'payment.recorded', 'payment:' || n, '{"amount": 5687}'
FROM generate_series(CAST(:first AS int), :last) n
""",
    "payment_answer": """
INSERT INTO payment_answer (tenant_id, payment_id, at, outcome, raw)
SELECT p.tenant_id, p.id, now() - n * interval '5 seconds', 'settled', '{"resultrans": "P"}'
FROM generate_series(CAST(:first AS int), :last) n
JOIN payment p ON p.tenant_id = CASE n % 5 WHEN 0 THEN 'brumes' ELSE 'valmont' END
""",
}
ANSWER = text("INSERT INTO payment_answer (tenant_id, payment_id, outcome) SELECT tenant_id, id, 'trial' FROM payment")
ONLINE = {
    "an index, CONCURRENTLY": "CREATE INDEX CONCURRENTLY trial ON audit_entry (tenant_id, actor)",
    "a check, NOT VALID": "ALTER TABLE audit_entry ADD CONSTRAINT trial CHECK (action <> '') NOT VALID",
    "the check, validated": "ALTER TABLE audit_entry VALIDATE CONSTRAINT trial",
    "the check, dropped": "ALTER TABLE audit_entry DROP CONSTRAINT trial",
    "the index, dropped": "DROP INDEX CONCURRENTLY trial",
}
PART_ROWS = 500_000
PAUSE_SECONDS = 0.02
CALM_SECONDS = 10


class Clock:
    """Times of one kind of act, as long as it is asked to act."""

    def __init__(self, name, act) -> None:
        self.name, self._act = name, act
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            try:
                self._act()
            except Exception as error:
                self.errors.append(f"{type(error).__name__}: {str(error)[:600]}")
            self.seconds.append(time.perf_counter() - began)
            time.sleep(PAUSE_SECONDS)

    def taken(self) -> str:
        """What was taken since the last time, in words."""
        taken, self.seconds = sorted(self.seconds), []
        if not taken:
            return f"{self.name}: none"
        return (
            f"{self.name}: {len(taken)}, median {1000 * taken[len(taken) // 2]:.0f} ms,"
            f" longest {1000 * taken[-1]:.0f} ms"
        )

    def end(self) -> list[str]:
        """Stop; the errors."""
        self._over.set()
        self._thread.join(30)
        return self.errors


def main() -> None:
    """Fill, migrate, tell."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1_000_000)
    rows = asked.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="preau-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Embedded(folder) as servers, cheap_hashes():
            tell(servers, folder, rows)


def alembic(owner_url: str, step: str) -> None:
    """One direction of the version that makes the partitions, as a migration does it."""
    engine = create_engine(owner_url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        connection.commit()
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with context.begin_transaction(_per_migration=True), Operations.context(context):
            getattr(importlib.import_module(VERSION), step)()
        connection.commit()
    engine.dispose()


def fill(superuser: Engine, rows: int) -> None:
    """So many rows in each of both tables, some at a time; keys and indexes afterwards, which is quicker."""
    version = importlib.import_module(VERSION)
    with superuser.connect() as connection:
        connection.exec_driver_sql(BEFORE)
        connection.exec_driver_sql("SET session_replication_role = replica")
        for table, statement in ROWS.items():
            began = time.perf_counter()
            index, columns = version.INDEXES[table]
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT pk_{table}")
            connection.exec_driver_sql(f"DROP INDEX {index}")
            for first in range(1, rows + 1, PART_ROWS):
                last = min(first + PART_ROWS - 1, rows)
                connection.execute(text(statement), {"first": first, "last": last})
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD {version.KEYS[table][0]}")
            connection.exec_driver_sql(f"CREATE INDEX {index} ON {table} ({columns})")
            connection.exec_driver_sql(f"VACUUM ANALYZE {table}")
            size = connection.scalar(text(f"SELECT pg_size_pretty(pg_total_relation_size('{table}'))"))
            print(f"{table}: {rows:,} rows, {size}, in {time.perf_counter() - began:.0f} s", flush=True)


def count(superuser: Engine, table: str) -> int:
    """Rows that were filled in."""
    column = {"audit_entry": "action", "payment_answer": "outcome"}[table]
    with superuser.connect() as connection:
        return connection.scalar(
            text(f"SELECT count(*) FROM {table} WHERE {column} IN ('payment.recorded', 'settled')")
        )


def tell(servers: Embedded, folder: Path, rows: int) -> None:
    """Fill, change step by step, tell, and fail if anything waited in vain or is not there."""
    servers.create_database("large")
    owner = servers.url(OWNER, "large")
    upgrade(owner, [source.directory for source in installed().hook.migrations()])
    alembic(owner, "downgrade")
    portal = make_portal(servers.addresses("large"), folder / "portal")
    superuser = create_engine(owner.replace("preau_owner", "postgres"), isolation_level="AUTOCOMMIT")
    fill(superuser, rows)
    quiet_logs(portal.runtime)
    office = Office(make_app(portal.runtime), portal).enter()

    def write() -> None:
        with portal.town() as town:
            town.audit.write("trial", "trial")

    def answer() -> None:
        with portal.town() as town:
            town.session.execute(ANSWER)

    clocks = [
        Clock("pages", lambda: office.get("/regie/tracabilite")),
        Clock("writes", write),
        Clock("answers", answer),
    ]

    def step(name: str, act: Callable[[], object]) -> None:
        began = time.perf_counter()
        act()
        taken = time.perf_counter() - began
        failed = sum(len(clock.errors) for clock in clocks)
        told = "; ".join(clock.taken() for clock in clocks)
        print(f"{name}: {taken:.2f} s; {told}; {failed} errors so far", flush=True)

    def calm() -> None:
        time.sleep(CALM_SECONDS)

    step("calm", calm)
    with superuser.connect() as connection:
        for name, statement in ONLINE.items():
            step(name, lambda statement=statement: connection.exec_driver_sql(statement))
    step("calm", calm)
    step("into partitions", lambda: alembic(owner, "upgrade"))
    today = datetime.now(UTC).date()
    step("this month and the next two", lambda: partitions.make_room(owner, today))
    step("calm", calm)
    kept = {table: count(superuser, table) for table in ROWS}
    next_month = partitions.month_after(today.replace(day=1))
    step("the same, when the next month has begun", lambda: partitions.make_room(owner, next_month))
    for table in ROWS:
        step(f"{table}: what was before, dropped", lambda t=table: partitions.drop_past(owner, t, next_month))
    step("calm", calm)
    left = {table: count(superuser, table) for table in ROWS}
    errors = [error for clock in clocks for error in clock.end()]
    print(f"{len(errors)} errors {errors[:3]}; rows after the move {kept}, after the drop {left}")
    superuser.dispose()
    portal.runtime.close()
    if errors or set(kept.values()) != {rows} or any(left.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
