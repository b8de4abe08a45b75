"""A plugin for the fault tests, installed as a third party's is: by an entry point.

Everything that leaves the house is a line in a file, as the bank's ledger and the family's mailbox
would have it: the tests compare these with the database.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.plugin import (
    Address,
    Capabilities,
    Consumer,
    Delivered,
    Effect,
    Means,
    Pending,
    Plugin,
    PluginSettings,
    Redirect,
    Settled,
    hookimpl,
)

WORK, SLOW = "faults.work", "faults.slow"


def outside() -> Path:
    """The world outside."""
    return Path(os.environ["FAULTS_OUTSIDE"])


def note(name: str, line: str) -> None:
    """Append a line in one write, which no kill can cut."""
    with (outside() / name).open("ab", buffering=0) as file:
        file.write(f"{line}\n".encode())


def lines(name: str) -> list[str]:
    """The lines noted so far."""
    path = outside() / name
    return path.read_text("utf-8").splitlines() if path.exists() else []


class Bank:
    """A payment provider whose ledger is a file."""

    key = "faults"
    label = "Faults"

    def capabilities(self, regie):
        return Capabilities(several_invoices=True)

    def start(self, intent):
        reference = f"F-{intent.payment_id}-{time.monotonic_ns()}"
        note("announced", f"{reference} {intent.amount}")
        return Redirect(reference, f"https://bank.invalid/{reference}")

    def outcome(self, attempt):
        note("asked", attempt.reference)
        if attempt.reference in lines("paid"):
            return Settled(attempt.amount, Means.CARD, datetime.now(UTC), "A1")
        return Pending()


class Mailbox:
    """A channel to a file: one line a message that arrived, with its key."""

    key = "mailbox"
    label = "Mailbox"

    def addresses(self, family_id, kind):
        return (Address(f"family-{family_id}", family_id),)

    def deliver(self, message, to, key):
        note("inbox", key)
        return Delivered(key)


class FaultSettings(PluginSettings):
    """None."""


class Faults(Plugin[FaultSettings]):
    """The plugin object."""

    name = "faults"
    label = "Faults"
    Settings = FaultSettings

    @hookimpl
    def payment_providers(self, ctx):
        return [Bank()]

    @hookimpl
    def notification_channels(self, ctx):
        return [Mailbox()]

    @hookimpl
    def consumers(self):
        short = timedelta(seconds=2)
        return [
            Consumer(WORK, self.work, Effect.DATABASE, lease=short, attempts=1000),
            Consumer(SLOW, self.slow, Effect.DATABASE, lease=short, attempts=1000),
        ]

    def work(self, ctx, payload):
        """An effect that nothing but the outbox keeps from being there twice."""
        ctx.audit.write("effect", str(payload["n"]))

    def slow(self, ctx, payload):
        """The same, with time to be killed in between."""
        self.work(ctx, payload)
        ctx.session.flush()
        note("started", str(payload["n"]))
        while (outside() / "hang").exists():
            time.sleep(0.02)


plugin = Faults()
