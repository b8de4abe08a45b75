"""Signs of life: a worker that is at a long work says so, one that died does not.

Without them a work of half an hour would have to be leased for half an hour, and whoever waits for
what a killed worker began would wait as long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.platform.outbox import service as outbox
from core.platform.outbox.process import Process

log = structlog.get_logger(__name__)


@contextmanager
def renewed(
    runtime: Process, tenant: str, claim: outbox.Claim, longest: timedelta
) -> Iterator[None]:
    """Hold the claimed row for as long as the block runs, for `longest` at most."""
    if longest <= outbox.LEASE:  # The claim's own lease is enough.
        yield
        return
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(runtime, tenant, claim, longest, over))
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _keep(
    runtime: Process, tenant: str, claim: outbox.Claim, longest: timedelta, over: threading.Event
) -> None:
    end = time.monotonic() + longest.total_seconds()
    while not over.wait(outbox.LEASE.total_seconds() / 3) and time.monotonic() < end:
        try:
            with runtime.unit_of_work(tenant) as uow:
                if not uow.outbox.heartbeat(claim):
                    return  # Another has it: the work will find out when it ends.
        except SQLAlchemyError as error:
            log.warning("outbox.not_kept", topic=claim.topic, reason=str(error))
