"""Storage of the simulator: SQLite, in memory or in a file that outlives the process."""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from plugins.payfip.simulator.scenarios import Scenario

Row = TypeVar("Row")

PARIS = ZoneInfo("Europe/Paris")
PAGE_LIFE = timedelta(minutes=15)
BANK_LIFE = timedelta(hours=2)
KEPT = timedelta(days=365)
CLEANING_HOUR = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS operation (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id_op TEXT NOT NULL UNIQUE, created REAL NOT NULL,
    exer TEXT NOT NULL, mel TEXT NOT NULL, montant TEXT NOT NULL, numcli TEXT NOT NULL,
    objet TEXT NOT NULL, refdet TEXT NOT NULL, saisie TEXT NOT NULL,
    urlnotif TEXT NOT NULL, urlredirect TEXT NOT NULL,
    resultrans TEXT NOT NULL DEFAULT '', finished REAL NOT NULL DEFAULT 0,
    visible REAL NOT NULL DEFAULT 0, numauto TEXT NOT NULL DEFAULT '',
    brand TEXT NOT NULL DEFAULT '', last4 TEXT NOT NULL DEFAULT '',
    scenario TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0,
    at_bank INTEGER NOT NULL DEFAULT 0, forgotten INTEGER NOT NULL DEFAULT 0,
    told TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS client (
    numcli TEXT PRIMARY KEY, label1 TEXT NOT NULL, label2 TEXT NOT NULL, label3 TEXT NOT NULL,
    direct_debit INTEGER NOT NULL, secure INTEGER NOT NULL, known INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS effect (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id_op TEXT NOT NULL,
    due REAL NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    done REAL NOT NULL DEFAULT 0, result TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS fault (
    id INTEGER PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL, kind TEXT NOT NULL,
    seconds REAL NOT NULL, remaining INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Operation:
    """A payment that was announced. Moments are seconds since 1970; "" and 0 mean not yet."""

    number: int
    id_op: str
    created: float
    exer: str
    mel: str
    montant: str
    numcli: str
    objet: str
    refdet: str
    saisie: str
    urlnotif: str
    urlredirect: str
    resultrans: str
    finished: float
    visible: float
    numauto: str
    brand: str
    last4: str
    scenario: str
    tries: int
    at_bank: int
    forgotten: int
    told: str
    """Field that the web service gives wrongly, on purpose: ``montant`` or ``refdet``."""

    @property
    def paid(self) -> bool:
        """True if money was taken or promised, in the simulation."""
        return self.resultrans in {"P", "V"}

    @property
    def used_up(self) -> bool:
        """True if the parent's pages take no further try."""
        return self.open_ended or self.paid or (
            bool(self.resultrans) and self.scenario == Scenario.SINGLE_USE
        )

    @property
    def open_ended(self) -> bool:
        """True if there is a result, but not one that says whether money was taken."""
        return self.resultrans not in {"", "P", "V", "R", "Z", "A"}

    @property
    def transaction(self) -> str:
        """The bank's reference of the transaction."""
        return f"PAYFIP{self.number:015d}"

    @property
    def cents(self) -> int:
        """The amount, in cents."""
        return int(self.montant)

    @property
    def finished_at(self) -> datetime:
        """Time of the last outcome, in legal time."""
        return datetime.fromtimestamp(self.finished, PARIS)


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A body that is paid."""

    numcli: str
    label1: str
    label2: str
    label3: str
    direct_debit: int
    secure: int
    known: int


@dataclass(frozen=True, slots=True)
class EffectRow:
    """Something to be sent after an outcome: ``notify`` or ``mail``."""

    id: int
    kind: str
    id_op: str
    due: float
    held: int
    done: float
    result: str


@dataclass(frozen=True, slots=True)
class FaultRow:
    """A fault to be shown to the next `remaining` calls of `operation` (``*`` for any)."""

    id: int
    operation: str
    kind: str
    seconds: float
    remaining: int


class Store:
    """All reading and writing of the simulator's state. Safe between threads."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.now = clock
        self._lock = threading.RLock()
        self._db = sqlite3.connect(str(path) if path else ":memory:", check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        with self._transaction() as db:
            db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def reset(self) -> None:
        """Forget everything."""
        with self._transaction() as db:
            for table in ("operation", "client", "effect", "fault"):
                db.execute(f"DELETE FROM {table}")

    # --- operations -----------------------------------------------------------------------

    def create(self, values: dict[str, str]) -> Operation:
        """Announce a payment; the values are the request's fields."""
        id_op = str(uuid.uuid4())
        columns = (
            "exer", "mel", "montant", "numcli", "objet", "refdet", "saisie", "urlnotif",
            "urlredirect",
        )  # fmt: skip
        with self._transaction() as db:
            db.execute(
                f"INSERT INTO operation (id_op, created, {', '.join(columns)})"
                f" VALUES (?, ?{', ?' * len(columns)})",
                (id_op, self.now(), *(values[name] for name in columns)),
            )
        found = self.operation(id_op)
        if found is None:
            raise LookupError(id_op)
        return found

    def operation(self, id_op: str) -> Operation | None:
        """The operation of this idOp, unless it was cleaned away (P1)."""
        with self._lock:
            row = self._db.execute("SELECT * FROM operation WHERE id_op = ?", (id_op,)).fetchone()
        if row is None:
            return None
        found = _as(Operation, row)
        return None if self._gone(found) else found

    def operations(self, limit: int = 50) -> list[Operation]:
        """The newest operations, forgotten ones included."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM operation ORDER BY number DESC LIMIT ?", (limit,)
            ).fetchall()
        return [_as(Operation, row) for row in rows]

    def page_open(self, operation: Operation) -> bool:
        """True if the parent's first page still takes this idOp (else P4)."""
        return self.now() - operation.created <= PAGE_LIFE.total_seconds()

    def bank_open(self, operation: Operation) -> bool:
        """True if the bank's page, once reached, still takes this idOp."""
        return self.now() - operation.created <= BANK_LIFE.total_seconds()

    def reach_bank(self, id_op: str) -> None:
        """Note that the parent went on to the bank: from now on the idOp is kept."""
        with self._transaction() as db:
            db.execute("UPDATE operation SET at_bank = 1 WHERE id_op = ?", (id_op,))

    def choose_card(self, id_op: str, *, brand: str, last4: str, scenario: str) -> None:
        """Keep what may be kept of a card until 3-D Secure is passed: brand and four digits."""
        with self._transaction() as db:
            db.execute(
                "UPDATE operation SET brand = ?, last4 = ?, scenario = ?, tries = tries + 1"
                " WHERE id_op = ?",
                (brand, last4, scenario, id_op),
            )

    def finish(
        self, id_op: str, result: str, *, numauto: str = "", told: str = "", hidden: float = 0
    ) -> bool:
        """Give an operation its outcome, known outside after `hidden` seconds.

        A refusal or a cancellation may be followed by another outcome; a payment may not: tells
        whether this call was the one that did it.
        """
        now = self.now()
        with self._transaction() as db:
            done = db.execute(
                "UPDATE operation SET resultrans = ?, finished = ?, visible = ?, numauto = ?,"
                " told = ? WHERE id_op = ? AND resultrans NOT IN ('P', 'V')",
                (result, now, now + hidden, numauto, told, id_op),
            )
            return done.rowcount == 1

    def age(self, id_op: str, seconds: float) -> None:
        """Make an operation older than it is."""
        with self._transaction() as db:
            db.execute(
                "UPDATE operation SET created = created - ?, visible = visible - ? WHERE id_op = ?",
                (seconds, seconds, id_op),
            )

    def forget(self, id_op: str) -> None:
        """Let the nightly cleaning take this operation now."""
        with self._transaction() as db:
            db.execute("UPDATE operation SET forgotten = 1 WHERE id_op = ?", (id_op,))

    def _gone(self, operation: Operation) -> bool:
        if operation.forgotten:
            return True
        if operation.at_bank or operation.resultrans:
            return self.now() - operation.created > KEPT.total_seconds()
        # Abandoned before the bank's page: the next night's cleaning takes it, but never one
        # whose page may still be open.
        now = datetime.fromtimestamp(self.now(), PARIS)
        cleaned = now.replace(hour=CLEANING_HOUR, minute=0, second=0, microsecond=0)
        if cleaned > now:
            cleaned -= timedelta(days=1)
        return operation.created < (cleaned - PAGE_LIFE).astimezone(UTC).timestamp()

    # --- clients --------------------------------------------------------------------------

    def client(self, numcli: str) -> ClientRow | None:
        """A client that was set up here, or None."""
        with self._lock:
            row = self._db.execute("SELECT * FROM client WHERE numcli = ?", (numcli,)).fetchone()
        return None if row is None else _as(ClientRow, row)

    def set_client(self, client: ClientRow) -> None:
        """Set up a client, or change it."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO client VALUES (?, ?, ?, ?, ?, ?, ?)",
                tuple(getattr(client, field.name) for field in fields(client)),
            )

    # --- effects --------------------------------------------------------------------------

    def add_effect(self, kind: str, id_op: str, *, after: float = 0, held: bool = False) -> None:
        """Ask for a notification or a mail."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO effect (kind, id_op, due, held) VALUES (?, ?, ?, ?)",
                (kind, id_op, self.now() + after, int(held)),
            )

    def take_due(self) -> EffectRow | None:
        """The next effect that is due, taken: it is done at most once."""
        with self._transaction() as db:
            row = db.execute(
                "UPDATE effect SET done = ? WHERE id = (SELECT id FROM effect"
                " WHERE done = 0 AND held = 0 AND due <= ? ORDER BY kind = 'mail', due, id LIMIT 1)"
                " RETURNING *",
                (self.now(), self.now()),
            ).fetchone()
        return None if row is None else _as(EffectRow, row)

    def effect_done(self, effect_id: int, result: str) -> None:
        """Keep how sending went."""
        with self._transaction() as db:
            db.execute("UPDATE effect SET result = ? WHERE id = ?", (result, effect_id))

    def release(self, except_for: str = "") -> int:
        """Let held notifications go, but those of one operation; tells how many."""
        with self._transaction() as db:
            return db.execute(
                "UPDATE effect SET held = 0, due = ? WHERE held = 1 AND id_op <> ?",
                (self.now(), except_for),
            ).rowcount

    def effects(self, id_op: str) -> list[EffectRow]:
        """Everything that was or is to be sent about an operation, oldest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT * FROM effect WHERE id_op = ? ORDER BY id", (id_op,)
            ).fetchall()
        return [_as(EffectRow, row) for row in rows]

    # --- faults ---------------------------------------------------------------------------

    def add_fault(self, operation: str, kind: str, *, seconds: float, count: int) -> None:
        """Let the next `count` calls of an operation go wrong."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO fault (operation, kind, seconds, remaining) VALUES (?, ?, ?, ?)",
                (operation, kind, seconds, count),
            )

    def take_fault(self, operation: str) -> FaultRow | None:
        """The fault that this call is to meet, one use of it spent."""
        with self._transaction() as db:
            row = db.execute(
                "UPDATE fault SET remaining = remaining - 1 WHERE id = (SELECT id FROM fault"
                " WHERE remaining > 0 AND operation IN ('*', ?) ORDER BY id LIMIT 1)"
                " RETURNING *",
                (operation,),
            ).fetchone()
        return None if row is None else _as(FaultRow, row)

    def faults(self) -> list[FaultRow]:
        """The faults that are still to come."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM fault WHERE remaining > 0 ORDER BY id")
            return [_as(FaultRow, row) for row in rows.fetchall()]

    def clear_faults(self) -> None:
        """Work well from now on."""
        with self._transaction() as db:
            db.execute("DELETE FROM fault")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._db:
            yield self._db


def _as(kind: type[Row], row: sqlite3.Row) -> Row:
    return kind(**{key: row[key] for key in row.keys()})  # noqa: SIM118 - a Row iterates values
