"""Doing one outbox row: claimed, handled, and finished in the transaction of its effect."""

from __future__ import annotations

import faulthandler
import random
import signal
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import cast

import structlog
from sqlalchemy.orm import Session

from core.api.context import TenantContext
from core.api.errors import PermanentError, RetryableError, TownClosedError
from core.api.work import Consumer
from core.platform import metrics
from core.platform.db.session import (
    begin_without_waiting,
    mark_foreign,
    never_wait,
    restore,
    retire,
)
from core.platform.interruption import Interruption, error_words, errors_only
from core.platform.outbox.heartbeat import renewed
from core.platform.outbox.process import Process, UnitOfWork
from core.platform.outbox.service import Claim, LostClaimError, NotOverError
from core.platform.sharing import NotNowError
from core.platform.tenancy.registry import UnknownTownError

log = structlog.get_logger(__name__)

KILL_AFTER_SECONDS = 20.0
"""Time between the end of a lease and the end of the process, if its work cannot be stopped."""
DISABLED_PLUGIN_DELAY = timedelta(hours=1)
"""Time that a row waits if the town has disabled its plugin meanwhile: kept, not lost."""


def deliver(
    runtime: Process,
    consumers: Mapping[str, tuple[str, Consumer]],
    tenant: str,
    row_id: uuid.UUID,
) -> None:
    """Handle a due row, if it is still due and nobody else has it."""
    try:
        _deliver(runtime, consumers, tenant, row_id)
    except TownClosedError:
        # It is taken up where the town opens again.
        log.info("outbox.town_closed", tenant=tenant, row=str(row_id))


def _deliver(
    runtime: Process,
    consumers: Mapping[str, tuple[str, Consumer]],
    tenant: str,
    row_id: uuid.UUID,
) -> None:
    try:
        uow = runtime.open(tenant)
    except UnknownTownError:
        log.warning("outbox.no_town", tenant=tenant)
        return
    with (
        _lent(uow.session),
        structlog.contextvars.bound_contextvars(tenant=tenant, row=str(row_id)),
    ):
        # Undone by a crash of the database, a claim is a row that is due again, as after a lease.
        begin_without_waiting(uow.session)
        claim = uow.outbox.claim(row_id)
        uow.session.commit()
        if claim is None:
            return
        topic = claim.topic
        plugin, consumer = consumers.get(topic, ("", None))
        if consumer is None or (plugin and plugin not in uow.config.enabled):
            error = RetryableError(f"nobody handles {topic!r} here", DISABLED_PLUGIN_DELAY)
            _end(uow, claim, error, None)
            return
        if claim.attempt > consumer.attempts:
            # An attempt counts at the claim, and errors end it below: reaching this line means
            # that the worker process died each time, so stop retrying.
            _end(uow, claim, PermanentError("its workers died"), consumer)
            return
        try:
            with (
                metrics.timed(metrics.effect_seconds, topic),
                renewed(runtime, tenant, claim, consumer.lease),
                _time_limit(consumer.lease),
            ):
                _handle(uow, plugin, consumer, claim)
            uow.outbox.finish(claim)
            uow.session.commit()
            metrics.effects.labels(topic, "done").inc()
        except LostClaimError:
            uow.session.rollback()
            metrics.effects.labels(topic, "lost").inc()
            log.warning("outbox.lost_claim", topic=topic)
        except (Exception, OutOfTimeError) as fault:  # noqa: BLE001 - the row must not be stuck
            _end(uow, claim, fault, consumer)


@contextmanager
def _lent(session: Session) -> Iterator[None]:
    """Use a session for one row; a plugin that keeps it opens nothing by it afterwards."""
    try:
        with session:
            yield
    finally:
        retire(session)


def _handle(uow: UnitOfWork, plugin: str, consumer: Consumer, claim: Claim) -> None:
    """Do the work of a row; a plugin's leaves the connection and the transaction as they were."""
    if not consumer.durable:
        never_wait(uow.session)
    with errors_only():
        if not plugin:
            consumer.handler(cast("TenantContext", uow), claim.payload)
            return
        mark_foreign(uow.session)
        consumer.handler(cast("TenantContext", uow), claim.payload)
        restore(uow.session)


_may_die = False
"""True if another process takes this one's place."""


def let_die() -> None:
    """Let this process be ended with a work that nothing else ends: a worker's is replaced."""
    global _may_die  # noqa: PLW0603 - one for the process
    _may_die = True


class OutOfTimeError(Interruption):
    """The work took longer than its lease. What contains a plugin's faults lets it pass."""


@contextmanager
def _time_limit(lease: timedelta) -> Iterator[None]:
    """End what takes longer than its lease, where a signal can: in a worker's main thread.

    After the lease another worker may take the row, and work that hangs would eat them all.

    Raises:
        OutOfTimeError: anywhere inside the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError(f"not done within {lease}")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, lease.total_seconds())
    if _may_die:
        # Code that catches all, or that never comes back to the interpreter, hears no signal. The
        # row's lease ends with the process, and whoever takes it over counts one more attempt.
        faulthandler.dump_traceback_later(
            lease.total_seconds() + KILL_AFTER_SECONDS, exit=True, file=sys.__stderr__ or 2
        )
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if _may_die:
            faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def _said(error: BaseException) -> str:
    """An error's words; its kind, where it cannot say them."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a plugin's error does what it likes
        return error_words(error)


def _end(uow: UnitOfWork, claim: Claim, error: BaseException, consumer: Consumer | None) -> None:
    """Give the row back, or mark it dead where a person sees it."""
    if isinstance(error, OutOfTimeError):
        uow.session.invalidate()  # It may have been stopped in the middle of a statement.
    uow.session.rollback()
    attempts = consumer.attempts if consumer else 10_000
    end = "later"
    try:
        if isinstance(error, NotNowError):
            log.info("outbox.not_now", topic=claim.topic, reason=error.reason)
            after = error.after
            if after is not None:  # Not all of them at once.
                after *= random.uniform(1.0, 1.5)  # noqa: S311 - no secret
            uow.outbox.give_back(claim, error.reason, after)
        elif isinstance(error, NotOverError):
            log.info("outbox.later", topic=claim.topic, reason=error.reason)
            uow.outbox.come_back(claim, error.after)
        elif isinstance(error, PermanentError) or claim.attempt >= attempts:
            words = _said(error)
            log.error("outbox.dead", topic=claim.topic, reason=words)
            uow.outbox.mark_dead(claim, words)
            end = "dead"
        elif isinstance(error, RetryableError):
            log.info("outbox.later", topic=claim.topic, reason=error.reason)
            uow.outbox.retry_later(claim, error.reason, error.after)
        else:
            log.error("outbox.fault", topic=claim.topic, exc_info=error)
            uow.outbox.retry_later(claim, error_words(error), None)
        uow.session.commit()
    except LostClaimError:
        uow.session.rollback()
        end = "lost"
        log.warning("outbox.lost_claim", topic=claim.topic)
    metrics.effects.labels(claim.topic, end).inc()
