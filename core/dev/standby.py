"""A streaming standby of an embedded PostgreSQL, for tests and trials on one machine."""

from __future__ import annotations

import signal
import time
from dataclasses import asdict, replace
from pathlib import Path

from sqlalchemy import make_url

from core.dev.embedded import (
    START_SECONDS,
    SUPERUSER,
    Addresses,
    Embedded,
    EmbeddedError,
    _Confinement,
)


class EmbeddedStandby(Embedded):
    """A hot standby: copied from the primary at its first start, it follows it from then on."""

    def __init__(self, data_dir: Path, primary: Embedded, *, name: str = "standby") -> None:
        """`name` is what ``synchronous_standby_names`` of the primary may ask for."""
        super().__init__(data_dir, durable=primary.durable)
        self._primary = primary
        self.name = name
        self.postgresql_settings = {
            "cluster_name": name,
            # A primary that was away is looked for again soon.
            "wal_retrieve_retry_interval": "200ms",
        }

    def start(self) -> Addresses:
        """Start PostgreSQL alone, and wait until it answers.

        Raises:
            EmbeddedError: with its last words.
        """
        (self.data_dir / "log").mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._start_postgresql()
        except BaseException:
            self.stop()
            raise
        return self.addresses()

    def kill(self) -> None:
        """End PostgreSQL at once, as a machine that is gone does."""
        process = self.processes.pop("postgresql")
        process.send_signal(signal.SIGQUIT)
        process.wait(START_SECONDS)

    def pause(self) -> None:
        """Receive what the primary does, and show nothing of it."""
        self.execute("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        """Show what was received."""
        self.execute("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Wait until everything is shown that the primary has written by now.

        Raises:
            EmbeddedError: it is not within the time for a start.
        """
        with self._primary.connect() as primary, self.connect() as standby:
            (wanted,) = primary.execute("SELECT pg_current_wal_flush_lsn()").fetchone() or ("",)
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline:
                seen = standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", [wanted])
                if seen.fetchone() == (True,):
                    return
                time.sleep(0.01)
        raise EmbeddedError(f"{self.name} does not catch up.")

    def promote(self) -> None:
        """Become a primary, and wait until it is one."""
        self.execute("SELECT pg_promote(true, 120)")

    def follow(self, primary: Embedded) -> None:
        """Follow another primary from now on: one that was promoted."""
        self._primary = primary
        self.execute(
            "ALTER SYSTEM SET primary_conninfo ="
            f" 'host={primary.sockets} user={SUPERUSER} application_name={self.name}'",
            "SELECT pg_reload_conf()",
        )

    def received(self) -> int:
        """How far its journal goes, shown or not: of several, the farthest is promoted."""
        with self.connect() as connection:
            row = connection.execute(
                "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'"
            ).fetchone()
        return int(row[0]) if row else 0

    def _fill_cluster(self, binaries: Path, folder: Path, confinement: _Confinement) -> None:
        arguments = [
            str(binaries / "pg_basebackup"),
            f"--pgdata={folder}",
            f"--dbname=host={self._primary.sockets} user={SUPERUSER}",
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            *([] if self.durable else ["--no-sync"]),
        ]
        self._finish(arguments, confinement)

    def _make_roles(self) -> None:
        """Take the primary's."""


def either(addresses: Addresses, *servers: Embedded) -> Addresses:
    """The addresses with all servers as hosts, of which clients take the one that can be written.

    SQLAlchemy writes several hosts as several ``host=`` of the query.
    """
    query = {
        "host": [str(server.sockets) for server in servers],
        "target_session_attrs": "read-write",
    }
    return replace(
        addresses,
        **{
            name: make_url(url).set(query=query).render_as_string(hide_password=False)
            for name, url in asdict(addresses).items()
            if url.startswith("postgresql")
        },
    )
