"""Events: what happened, handed after the commit to each plugin and to the families' messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.extensions import Extensions
from core.services.outbox import Outbox

TOPIC = "event"
NOTIFY = "notify"
TO_MANY = frozenset({"invoices_published", "invoice_due"})
"""Events that come for a whole town at once: what follows from them lets other effects pass."""
TOGETHER = 50
"""Families whose messages one row prepares."""


class Events:
    """Emits the events of one town."""

    def __init__(self, outbox: Outbox, extensions: Extensions, enabled: frozenset[str]) -> None:
        self._outbox = outbox
        self._extensions = extensions
        self._enabled = enabled

    def emit(self, hook: str, event_id: str, event: dict[str, Any]) -> None:
        """Tell of one event: see `emit_many`."""
        self.emit_many(hook, [(event_id, event)])

    def emit_many(self, hook: str, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Write one outbox row per plugin that implements `hook`, and a few for the messages.

        So for each of `events`, which are ids and what happened; together they cost a statement per
        plugin, and one. A plugin has a row for each event, so that one that fails neither blocks
        nor repeats the others.
        """
        bulk = hook in TO_MANY
        for plugin in self._extensions.implementers(self._enabled, hook):
            self._outbox.add_many(
                TOPIC,
                [
                    ({"plugin": plugin, "hook": hook, "event": event}, f"{plugin}/{event_id}")
                    for event_id, event in events
                ],
                bulk=bulk,
            )
        self._outbox.add_many(
            NOTIFY,
            [
                ({"kind": hook, "events": [event for _id, event in together]}, together[0][0])
                for together in (
                    events[start : start + TOGETHER] for start in range(0, len(events), TOGETHER)
                )
            ],
            bulk=bulk,
        )
