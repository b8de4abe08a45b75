"""The audit trail of a large installation goes into partitions while its pages are served.

A database of the version before is filled, and migrated while an agent reads the trail page after
page and another writes into it, as every act of an agent does. What is told is how long the steps
took, and how long the longest page and the longest write had to wait during them, beside before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import create_engine, text

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "office")]
from office_browser import Office

from benchmarks.browser import quiet_logs
from core.dev.embedded import Embedded
from core.platform.db import partitions
from core.platform.db.migrate import downgrade, upgrade
from core.platform.db.rls import OWNER
from core.platform.plugins.discovery import installed
from core.processes.app import make_app
from core.testing.portal import cheap_hashes, make_portal

BEFORE = "0038"
ROWS = """
INSERT INTO audit_entry (tenant_id, at, actor, action, subject, details)
SELECT CASE n % 5 WHEN 0 THEN 'brumes' ELSE 'valmont' END, now() - n * interval '5 seconds',
       'agent:' || n % 7, 'payment.recorded', 'payment:' || n, '{"amount": 5687}'
FROM generate_series(1, :rows) n
"""
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
                self.errors.append(f"{type(error).__name__}: {str(error)[:200]}")
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


def tell(servers: Embedded, folder: Path, rows: int) -> None:
    servers.create_database("large")
    owner = servers.url(OWNER, "large")
    versions = [source.directory for source in installed().hook.migrations()]
    upgrade(owner, versions)
    # Down again, as plugins' tables need all of core's: the rows come in between.
    downgrade(owner, versions, to=BEFORE)
    portal = make_portal(servers.addresses("large"), folder / "portal")
    superuser = create_engine(owner.replace("preau_owner", "postgres"), isolation_level="AUTOCOMMIT")
    began = time.perf_counter()
    with superuser.connect() as connection:
        connection.execute(text(ROWS), {"rows": rows})
        connection.exec_driver_sql("VACUUM ANALYZE audit_entry")
        size = connection.scalar(text("SELECT pg_size_pretty(pg_total_relation_size('audit_entry'))"))
    print(f"{rows:,} rows, {size}, in {time.perf_counter() - began:.0f} s")
    quiet_logs(portal.runtime)
    office = Office(make_app(portal.runtime), portal).enter()

    def write() -> None:
        with portal.town() as town:
            town.audit.write("trial", "trial")

    clocks = [Clock("pages", lambda: office.get("/regie/tracabilite")), Clock("writes", write)]
    time.sleep(CALM_SECONDS)
    print("before;", "; ".join(clock.taken() for clock in clocks))
    began = time.perf_counter()
    upgrade(owner, versions)
    print(f"migrated in {time.perf_counter() - began:.1f} s")
    print("during;", "; ".join(clock.taken() for clock in clocks))
    began = time.perf_counter()
    made = partitions.make_room(owner, datetime.now(UTC).date())
    print(f"{len(made)} partitions in {1000 * (time.perf_counter() - began):.0f} ms")
    time.sleep(CALM_SECONDS)
    print("after;", "; ".join(clock.taken() for clock in clocks))
    errors = [error for clock in clocks for error in clock.end()]
    print(f"{len(errors)} errors {errors[:3]}")
    with superuser.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM audit_entry WHERE action <> 'trial'"))
    print(f"{found:,} rows and the agent's own are there")
    superuser.dispose()
    portal.runtime.close()
    if errors or found < rows:
        sys.exit(1)


if __name__ == "__main__":
    main()
