"""Sends what the simulator owes after an outcome: notifications and ticket mails."""

from __future__ import annotations

import logging
import smtplib
import threading
from email.message import EmailMessage

import httpx

from plugins.payfip.simulator import ticket
from plugins.payfip.simulator.store import EffectRow, Operation, Store

log = logging.getLogger(__name__)

SENDER = "ne-pas-repondre@simulateur.payfip.invalid"
TIMEOUT_SECONDS = 10.0
PERIOD_SECONDS = 0.5
THREADS = 4
"""A portal that hangs, or a ticket being drawn, must not hold up everybody's notifications."""


class Courier:
    """Threads that do the effects that are due, each effect at most once."""

    def __init__(self, store: Store, smtp: tuple[str, int] | None = None) -> None:
        self._store = store
        self._smtp = smtp
        self._something = threading.Event()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to send in the background."""
        for number in range(THREADS):
            thread = threading.Thread(
                target=self._run, name=f"payfip-courier-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End after what is being sent."""
        self._ending.set()
        self._something.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS + 1)

    def wake(self) -> None:
        """Look now whether something is due."""
        self._something.set()

    def run_due(self) -> int:
        """Send everything that is due, and tell how much that was."""
        count = 0
        while (effect := self._store.take_due()) is not None:
            count += 1
            result = self._do(effect)
            self._store.effect_done(effect.id, result)
            if effect.kind == "notify":
                # What was held back lets this one pass and comes after it: out of order.
                self._store.release(except_for=effect.id_op)
        return count

    def _run(self) -> None:
        while not self._ending.is_set():
            self._something.wait(PERIOD_SECONDS)
            if not self._ending.is_set():
                self._something.clear()
                self.run_due()

    def _do(self, effect: EffectRow) -> str:
        operation = self._store.operation(effect.id_op)
        if operation is None:
            return "forgotten"
        try:
            if effect.kind == "notify":
                return self._post(operation)
            return self._send(operation)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, smtplib.SMTPException) as error:
            # The real service does not insist either; whoever is told nothing must ask.
            log.warning("payfip-simulator: %s failed: %s", effect.kind, type(error).__name__)
            return type(error).__name__

    def _post(self, operation: Operation) -> str:
        answer = httpx.post(
            operation.urlnotif, data={"idOp": operation.id_op}, timeout=TIMEOUT_SECONDS
        )
        return f"HTTP {answer.status_code}"

    def _send(self, operation: Operation) -> str:
        if self._smtp is None:
            return "no SMTP server given"
        message: EmailMessage = ticket.mail(self._store, operation, SENDER)
        host, port = self._smtp
        with smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS) as smtp:
            smtp.send_message(message)
        return "sent"
