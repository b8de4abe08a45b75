"""Events: what happened, handed after the commit to each plugin and to the families' messages."""

from __future__ import annotations

from typing import Any

from core.extensions import Extensions
from core.services.outbox import Outbox

TOPIC = "event"
NOTIFY = "notify"


class Events:
    """Emits the events of one town."""

    def __init__(self, outbox: Outbox, extensions: Extensions, enabled: frozenset[str]) -> None:
        self._outbox = outbox
        self._extensions = extensions
        self._enabled = enabled

    def emit(self, hook: str, event_id: str, event: dict[str, Any]) -> None:
        """Write one outbox row per plugin that implements `hook`, and one for the messages.

        One row each, so that a plugin that fails neither blocks nor repeats the others.
        """
        for plugin in self._extensions.implementers(self._enabled, hook):
            self._outbox.add(
                TOPIC,
                {"plugin": plugin, "hook": hook, "event": event},
                key=f"{plugin}/{event_id}",
            )
        self._outbox.add(NOTIFY, {"kind": hook, "event": event}, key=event_id)
