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
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.platform import metrics
from core.platform.db.outage import is_outage
from core.platform.db.session import libpq_arguments
from core.platform.outbox.service import CHANNEL, stats, take_due

log = structlog.get_logger(__name__)

BATCH = 200
QUEUE, BULK_QUEUE = 1_000, 20
"""Messages that may wait at the broker, and above how many no bulk is added. All other rows wait in
the outbox, where no lease of publication runs out: a mailing to a whole town is published once,
however long the workers take, and whatever else comes up has few of its mails before it."""
TICK, SOON = 1.0, 0.1
"""Seconds between two looks when nothing is heard: in quiet times, and while there is work."""
MEASURE_SECONDS = 15.0
"""Seconds between two measurements of the whole outbox, which only the relay's role can see."""


class Relay:
    """Publishes due rows until it is told to stop."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        publish: Callable[[str, str], Any],
        waiting: Callable[[], int] = lambda: 0,
        watched: str = "",
    ) -> None:
        """Make a relay.

        Args:
            url: the database, as the relay's role.
            clock: the time.
            publish: hands a row, by tenant and id, over as a message.
            waiting: counts the messages at the broker.
            watched: the topic of questions about payments under way, for the metrics.
        """
        self._listening = {**libpq_arguments(url), "autocommit": True}
        self._clock = clock
        self._publish = publish
        self._waiting = waiting
        self._watched = watched
        self._engine: Engine = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
        self._stopped = threading.Event()
        self._measured = 0.0
        self._full = False

    def stop(self) -> None:
        """Ask the loop to end; it does within a second."""
        self._stopped.set()

    def run(self) -> None:
        """Relay until `stop`. A lost database or broker is waited for."""
        while not self._stopped.is_set():
            try:
                with psycopg.connect(**self._listening) as listener:
                    listener.execute(f"LISTEN {CHANNEL}")
                    self._listen(listener)
            except (psycopg.OperationalError, DBAPIError) as error:
                if isinstance(error, DBAPIError) and not is_outage(error):
                    raise
                # The next connections find the primary, if that was demoted.
                self._engine.dispose()
                log.warning("relay.database_away", reason=str(error).strip())
                self._stopped.wait(2)

    def _listen(self, listener: psycopg.Connection) -> None:
        while not self._stopped.is_set():
            published = self.once()
            if time.monotonic() - self._measured > MEASURE_SECONDS:
                self.measure()
            # A batch that was full is hardly the last one; a queue that was full has room soon.
            pause = 0.0 if published >= BATCH else SOON if published or self._full else TICK
            for _notice in listener.notifies(timeout=pause, stop_after=1):
                pass

    def once(self) -> int:
        """Publish a batch of due rows and one of bulk, as far as the queue has room; how many."""
        now: datetime = self._clock.now()
        taken = published = 0
        try:
            held = self._waiting()
            self._full = held >= BULK_QUEUE
            for bulk, room in ((False, QUEUE - held), (True, BULK_QUEUE - held)):
                rows = self._take(now, min(BATCH, room), bulk=bulk)
                taken += len(rows)
                for tenant, row_id in rows:
                    self._publish(tenant, row_id)
                    published += 1
                    metrics.published.inc()
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - the broker's errors are of many families
            # What it did not take comes again when its publication lease has run out.
            log.warning("relay.broker_away", left=taken - published, reason=str(error))
            self._stopped.wait(2)
        else:
            metrics.last_look.set(now.timestamp())
        return published

    def _take(self, now: datetime, limit: int, *, bulk: bool) -> list[tuple[str, str]]:
        if limit <= 0:
            return []
        with Session(self._engine) as session, session.begin():
            rows = take_due(session, now, limit, bulk=bulk)
        return [(tenant, str(row_id)) for tenant, row_id in rows]

    def measure(self) -> None:
        """Tell the metrics how the outbox stands."""
        with Session(self._engine) as session, session.begin():
            found = stats(session, self._clock.now(), self._watched)
        for state, number in found.rows.items():
            metrics.outbox_rows.labels(state).set(number)
        metrics.outbox_late.set(found.late.total_seconds())
        metrics.payments_watched.set(found.watched)
        metrics.payments_watched_seconds.set(found.watched_for.total_seconds())
        self._measured = time.monotonic()
