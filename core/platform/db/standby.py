"""Reading from a streaming standby: only what is not older than the reader already knows.

A standby shows the past, by a little. It is asked only when it has reached the position in the
journal that its reader needs (`core.domain.wal`), and never waited for: whoever it cannot serve now
is served by the primary.
"""

from __future__ import annotations

import select
import threading
from dataclasses import dataclass
from time import monotonic

import psycopg
import structlog
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from core.domain.wal import UNKNOWN, Sightings, position_of
from core.platform.db.outage import is_gone
from core.platform.db.session import make_engine, make_session_factory

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 2
"""Time that the standby may take to accept a connection; libpq knows no shorter one."""
ANSWER_SECONDS = 1.0
"""Time that the standby may take to say how far it is, before each reading."""
READING_SECONDS = 30
"""Time that one statement may take there."""
REST_SECONDS = 5.0
"""Time for which a standby that failed is left alone."""
MAX_REST_SECONDS = 60.0
"""The same after many failures in a row."""

_HOW_FAR = (
    b"SELECT pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn(), '0/0'),"
    b" (SELECT system_identifier FROM pg_control_system())"
)
_POSITION = text(
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
    " ELSE pg_current_wal_flush_lsn() END::text,"
    " (SELECT system_identifier FROM pg_control_system())::text"
)
"""The flushed position: that of the last insert may lie behind a page's edge, where no standby
comes to before somebody writes again."""

_REPLAYED, _SYSTEM = "replayed", "system"


class StandbyError(Exception):
    """The standby cannot be read from; the message says why."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why the standby does not serve a reading."""

    why: str
    """``away``, ``late``, ``own_write`` or ``no_standby``."""


class Standby:
    """One standby, as this process sees it."""

    def __init__(self, url: str, *, lag_seconds: float) -> None:
        """`lag_seconds` is how old what it shows may be, for readers who wrote nothing."""
        self.engine = make_engine(
            url,
            connect={
                "connect_timeout": CONNECT_SECONDS,
                "options": f"-c statement_timeout={READING_SECONDS}s",
            },
            wait_seconds=ANSWER_SECONDS,
        )
        event.listen(self.engine, "checkout", _ask_how_far)
        self._sessions = make_session_factory(self.engine.execution_options(reads=True))
        self._sightings = Sightings(lag_seconds)
        self._system = ""
        self._lock = threading.Lock()
        self._failures = 0
        self._away_until = 0.0
        self.behind = 0
        """Bytes of journal between the primary and the standby, when it was last asked."""

    def open(self, tenant: str, mark: int, primary: Session) -> Session | Refusal:
        """A session that can only read, or why there is none.

        `mark` is the position that this reader needs, whatever others do without. `primary` is a
        session of the same reader on the primary, which is asked how far that is.
        """
        if mark >= UNKNOWN:
            return Refusal("own_write")
        if not self._may_be_asked():
            return Refusal("away")
        floor = self._floor(primary)
        session = self._sessions(info={"tenant": tenant})
        try:
            found = session.connection().info
        except PoolTimeoutError:
            session.close()
            return Refusal("away")
        except (SQLAlchemyError, StandbyError) as error:
            session.close()
            self.failed(error)
            return Refusal("away")
        self._answered()
        self.behind = max(0, self._sightings.newest - found[_REPLAYED])
        refusal = self._refusal(found[_REPLAYED], found[_SYSTEM], mark, floor)
        if refusal is not None:
            session.close()
            return refusal
        return session

    def state(self) -> str:
        """In a word, for whoever asks after the process's health: ok, late, away or no standby."""
        if not self._may_be_asked():
            return "away"
        try:
            with self.engine.connect() as connection:
                found = connection.info
        except (SQLAlchemyError, StandbyError) as error:
            self.failed(error)
            return "away"
        self._answered()
        with self._lock:
            floor = self._sightings.floor(monotonic())
        # Where nobody read of late, nothing is known of the primary to compare with.
        floor = 0 if floor == UNKNOWN else floor
        refusal = self._refusal(found[_REPLAYED], found[_SYSTEM], 0, floor)
        return refusal.why.replace("_", " ") if refusal else "ok"

    def failed(self, error: Exception) -> None:
        """Leave the standby alone for a while if it is gone; each time longer."""
        if isinstance(error, DBAPIError) and not is_gone(error):
            return
        with self._lock:
            rest = min(REST_SECONDS * 2**self._failures, MAX_REST_SECONDS)
            self._failures = min(self._failures + 1, 10)
            self._away_until = monotonic() + rest
        log.warning("standby.away", reason=type(error).__name__, rest_seconds=rest)

    def _may_be_asked(self) -> bool:
        with self._lock:
            now = monotonic()
            if now < self._away_until:
                return False
            if self._failures:
                # One tries for all: the others need not wait for what may be away still.
                self._away_until = now + CONNECT_SECONDS + ANSWER_SECONDS
            return True

    def _answered(self) -> None:
        with self._lock:
            self._failures, self._away_until = 0, 0.0

    def _floor(self, primary: Session) -> int:
        now = monotonic()
        with self._lock:
            due = self._sightings.is_due(now)
        if due:
            position, system = where(primary)
            with self._lock:
                self._system = system
                self._sightings.add(now, position)
        with self._lock:
            return self._sightings.floor(now)

    def _refusal(self, replayed: int, system: str, mark: int, floor: int) -> Refusal | None:
        if replayed == 0 or (self._system and system != self._system):
            # A promoted or foreign server: what it holds is not this primary's past.
            return Refusal("no_standby")
        if replayed < mark:
            return Refusal("own_write")
        if replayed < floor:
            return Refusal("late")
        return None


def where(primary: Session) -> tuple[int, str]:
    """The position up to which the primary's journal is on its disk, and which cluster that is."""
    lsn, system = primary.connection().execute(_POSITION).one()
    return position_of(lsn), system


def _ask_how_far(
    connection: psycopg.Connection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    """Note how far the standby is, on each connection that is taken from the pool.

    By libpq's own calls, which can be waited for with an end: a server that hangs keeps its
    connections, and no time-out of its own ends a statement there.

    Raises:
        StandbyError: no answer in time.
    """
    try:
        in_recovery, replayed, system = _answer(connection.pgconn)
    except (psycopg.Error, ValueError, OSError) as error:
        raise StandbyError(str(error)) from None
    record.info[_REPLAYED] = position_of(replayed) if in_recovery == "t" else 0
    record.info[_SYSTEM] = system


def _answer(raw: PGconn) -> list[str]:
    raw.send_query(_HOW_FAR)
    raw.flush()
    deadline = monotonic() + ANSWER_SECONDS
    waiting = select.poll()
    waiting.register(raw.socket, select.POLLIN)
    row: list[str] = []
    while True:
        while raw.is_busy():
            left = deadline - monotonic()
            if left <= 0 or not waiting.poll(1000 * left):
                raise StandbyError(f"no answer within {ANSWER_SECONDS} s")
            raw.consume_input()
        result = raw.get_result()
        if result is None:
            break
        if result.status != ExecStatus.TUPLES_OK:
            raise StandbyError("no answer")
        row = [(result.get_value(0, column) or b"").decode() for column in range(3)]
    if not row:
        raise StandbyError("no answer")
    return row
