"""The relay: finds due outbox rows of all towns and hands their ids to Celery.

It only reads when and which: its role sees the outbox and no other table. It wakes up at the
database's notification, which leaves with the commit, and at least once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
import structlog
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from core import metrics
from core.api.context import Clock
from core.services.attempts import POLL
from core.services.outbox import CHANNEL, standing, take_due

log = structlog.get_logger(__name__)

BATCH = 200
QUEUE = 1_000
"""Rows that may wait at the broker. The others wait in the outbox, where no lease of publication
runs out: a mailing to a whole town is published once, however long the workers take."""
TICK = 1.0
"""Seconds between two looks when nothing is heard."""
MEASURE = 15.0
"""Seconds between two measurements of the whole outbox, which only the relay's role can see."""


class Relay:
    """Publishes due rows until it is told to stop."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        publish: Callable[[str, str], Any],
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        """`publish` hands a town and a row's id to the broker; `waiting` counts what it holds."""
        self._url = url
        self._clock = clock
        self._publish = publish
        self._waiting = waiting
        self._engine: Engine = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
        self._stopped = threading.Event()
        self._measured = 0.0

    def stop(self) -> None:
        """Ask the loop to end; it does within a second."""
        self._stopped.set()

    def run(self) -> None:
        """Relay until `stop`. A lost database or broker is waited for."""
        while not self._stopped.is_set():
            try:
                with psycopg.connect(_dsn(self._url), autocommit=True) as listener:
                    listener.execute(f"LISTEN {CHANNEL}")
                    self._listen(listener)
            except psycopg.OperationalError as error:
                log.warning("relay.database_away", reason=str(error).strip())
                self._stopped.wait(2)

    def _listen(self, listener: psycopg.Connection) -> None:
        while not self._stopped.is_set():
            while self.once() == BATCH:
                pass
            if time.monotonic() - self._measured > MEASURE:
                self.measure()
            for _notice in listener.notifies(timeout=TICK, stop_after=1):
                pass

    def once(self) -> int:
        """Publish up to one batch of due rows, as far as the queue has room; how many."""
        now: datetime = self._clock.now()
        try:
            room = QUEUE - self._waiting()
        except Exception as error:  # noqa: BLE001 - the broker's errors are of many families
            self._broker_away(0, error)
            return 0
        if room <= 0:
            return 0
        with Session(self._engine) as session, session.begin():
            rows = take_due(session, now, min(BATCH, room))
        for index, (tenant, row_id) in enumerate(rows):
            try:
                self._publish(tenant, str(row_id))
            except Exception as error:  # noqa: BLE001 - the broker's errors are of many families
                # The rest comes again when its publication lease has run out.
                self._broker_away(len(rows) - index, error)
                return index
            metrics.published.inc()
        metrics.last_look.set(now.timestamp())
        return len(rows)

    def _broker_away(self, left: int, error: Exception) -> None:
        log.warning("relay.broker_away", left=left, reason=str(error))
        self._stopped.wait(2)

    def measure(self) -> None:
        """Tell the metrics how the outbox stands."""
        with Session(self._engine) as session, session.begin():
            found = standing(session, self._clock.now(), POLL)
        for state, number in found.rows.items():
            metrics.outbox_rows.labels(state).set(number)
        metrics.outbox_late.set(found.late.total_seconds())
        metrics.payments_watched.set(found.watched)
        metrics.payments_watched_seconds.set(found.watched_for.total_seconds())
        self._measured = time.monotonic()


def _dsn(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
