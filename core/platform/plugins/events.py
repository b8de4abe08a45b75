"""Events: what happened, handed after the commit to each plugin and to the families' messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from core.platform.outbox.service import Outbox
from core.platform.plugins.discovery import Extensions

TOPIC = "event"
NOTIFY = "notify"
TO_MANY = frozenset({"invoices_published", "invoice_due"})
"""Events that come for a whole town at once: what follows from them lets other effects pass."""
FAMILIES_PER_ROW = 50
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

    def tell_plugins(self, hook: str, event_id: str, event: Any) -> None:
        """Tell each plugin that implements `hook` of an event, which is no family's affair."""
        self._outbox.add_many(
            [
                (TOPIC, {"plugin": plugin, "hook": hook, "event": asdict(event)},
                 f"{plugin}/{event_id}")
                for plugin in self._extensions.implementers(self._enabled, hook)
            ]
        )  # fmt: skip

    def tell(self, kind: str, event_id: str, event: dict[str, Any]) -> None:
        """Tell a family of what concerns no plugin: by its channels, as `emit` does."""
        self._outbox.add(NOTIFY, {"kind": kind, "events": [event]}, key=event_id)

    def emit_many(
        self,
        hook: str,
        events: Sequence[tuple[str, dict[str, Any]]],
        *,
        families_per_row: int = FAMILIES_PER_ROW,
    ) -> None:
        """Write one outbox row per plugin that implements `hook`, and a few for the messages.

        So for each of `events`, which are ids and what happened, in one statement. A plugin has a
        row for each event, so that one that fails neither blocks nor repeats the others.
        """
        effects: list[tuple[str, dict[str, Any], str]] = [
            (TOPIC, {"plugin": plugin, "hook": hook, "event": event}, f"{plugin}/{event_id}")
            for plugin in self._extensions.implementers(self._enabled, hook)
            for event_id, event in events
        ]
        for start in range(0, len(events), families_per_row):
            group = events[start : start + families_per_row]
            payload = {"kind": hook, "events": [event for _id, event in group]}
            effects.append((NOTIFY, payload, group[0][0]))
        self._outbox.add_many(effects, bulk=hook in TO_MANY)
