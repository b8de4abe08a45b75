"""Two dozen broken plugins: each one does something else that no plugin should.

`BROKEN` names them. Each is a `Broken` that is told what to do; a town that enables it must lose
nothing of core's, and its neighbour must notice nothing.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from core.api.chat import ChatAnswer, ChatButton, ChatRule
from core.api.context import TenantContext
from core.api.messages import Address, ChannelCapabilities
from core.api.payments import Capabilities
from core.api.web import MenuEntry, TileLine, TodoEntry
from core.testing.broken_plugins import DEEDS, Broken, Deed, says

HANG_SECONDS = 3.0
"""Longer than a page waits in tests, and short enough that a test's end waits for no thread."""


def _hangs(*_arguments: Any) -> Any:
    time.sleep(HANG_SECONDS)


def _raises(*_arguments: Any) -> Any:
    raise ValueError("a bug")


def _spins(*_arguments: Any) -> Any:
    end = time.monotonic() + HANG_SECONDS
    while time.monotonic() < end:
        pass


def _gives(*items: Any) -> Deed:
    return lambda _ctx: list(items)


def _thing(**members: Any) -> Any:
    return SimpleNamespace(**{"key": "broken", "label": "Broken"} | members)


def _channel(**members: Any) -> Any:
    whole = {
        "addresses": lambda family_id, _kind: (Address("x", family_id),),
        "deliver": _raises,
    }
    return _thing(**whole | members)


def _provider(**members: Any) -> Any:
    whole = {"capabilities": lambda _regie: None, "start": _raises, "outcome": _raises}
    return _thing(**whole | members)


_BONJOUR = (ChatRule(("bonjour",)),)


def _skill(answer: Callable[..., Any], rules: Any = _BONJOUR) -> Any:
    return _thing(answer=answer, press=_raises, rules=rules)


def _meddles(ctx: TenantContext) -> Any:
    settings: Any = ctx.settings(SimpleNamespace(name="broken"))  # type: ignore[arg-type]
    settings.__dict__["greeting"] = "stolen"
    return []


EVERY_HOOK = (
    "invoice_sources", "payment_providers", "notification_channels", "menu_entries",
    "message_kinds", "chat_skills", "record_imports", "tile_lines", "todo_entries",
    "family_groups",
    "health_checks",
)  # fmt: skip

BROKEN: Mapping[str, Mapping[str, Deed]] = {
    # --- Hooks that fail -----------------------------------------------------------------------
    "raises everywhere": dict.fromkeys(EVERY_HOOK, _raises),
    "hangs in its hooks": dict.fromkeys(("menu_entries", "todo_entries", "tile_lines"), _hangs),
    "takes the processor": {"tile_lines": _spins},
    "gives numbers": dict.fromkeys(EVERY_HOOK, lambda _ctx: 42),
    "gives without end": dict.fromkeys(
        EVERY_HOOK, lambda _ctx: itertools.repeat(MenuEntry("x", "broken.page"))
    ),
    "is cancelled": dict.fromkeys(EVERY_HOOK, DEEDS["is cancelled"]),
    "exits": dict.fromkeys(EVERY_HOOK, DEEDS["exits"]),
    "runs out of memory": dict.fromkeys(EVERY_HOOK, DEEDS["runs out of memory"]),
    # --- The database --------------------------------------------------------------------------
    "hides a failed statement": dict.fromkeys(EVERY_HOOK, DEEDS["fails and hides it"]),
    "leaves settings on the connection": dict.fromkeys(EVERY_HOOK, DEEDS["search path"]),
    "makes the connection read only": dict.fromkeys(EVERY_HOOK, DEEDS["read only"]),
    "keeps advisory locks": dict.fromkeys(EVERY_HOOK, DEEDS["advisory lock"]),
    "locks a table": dict.fromkeys(EVERY_HOOK, DEEDS["locks"]),
    "sleeps in the database": {"payment_providers": DEEDS["sleeps"]},
    "ends the transaction": dict.fromkeys(EVERY_HOOK, DEEDS["commits by statement"]),
    "reaches for another town": dict.fromkeys(EVERY_HOOK, DEEDS["another town"]),
    # --- Events and an agent's acts --------------------------------------------------------------
    "fails in events": dict.fromkeys(
        ("invoices_published", "payment_settled", "payment_reversed"), _raises
    ),
    "aborts an event's transaction": dict.fromkeys(
        ("invoices_published", "payment_settled"), says("SELECT 1 / 0")
    ),
    "fails in an export": {"family_data": _raises},
    # --- What it brings ------------------------------------------------------------------------
    "a channel that fails": {"notification_channels": _gives(_channel(addresses=_raises))},
    "a channel that hangs": {"notification_channels": _gives(_channel(addresses=_hangs))},
    "a channel that delivers nonsense": {
        "notification_channels": _gives(_channel(deliver=lambda *_a: "sent")),
    },
    "a channel of no capabilities": {
        "notification_channels": _gives(_channel(capabilities="all")),
    },
    "a channel that claims e-mail's work": {
        "notification_channels": _gives(
            _channel(
                addresses=lambda *_a: (),
                capabilities=ChannelCapabilities(bulk=True, bounces=True),
            )
        ),
    },
    "a provider that fails": {"payment_providers": _gives(_provider(capabilities=_raises))},
    "a provider of fractions": {
        "payment_providers": _gives(
            _provider(capabilities=lambda _regie: Capabilities(minimum=1.5))  # type: ignore[arg-type]
        ),
    },
    "a provider under another's name": {"payment_providers": _gives(_provider(key="fakepay"))},
    "a source that cannot read": {"invoice_sources": _gives(_thing())},
    "a kind of message without words": {"message_kinds": _gives(_thing(write=None))},
    "a group of families that fails": {
        "family_groups": _gives(_thing(fields=(), describe=_raises, families=_raises)),
    },
    "a group of names": {
        "family_groups": _gives(
            _thing(fields=(), describe=lambda _c: "x", families=lambda _c: ["F001"])
        ),
    },
    "a group without fields": {
        "family_groups": _gives(
            _thing(fields=42, describe=lambda _c: "x", families=lambda _c: [])
        ),
    },
    "a skill that hangs": {"chat_skills": _gives(_skill(_hangs))},
    "a skill of patterns": {"chat_skills": _gives(_skill(_raises, rules=("(a+)+$",)))},
    "a skill with a button too long": {
        "chat_skills": _gives(
            _skill(lambda _q: ChatAnswer("x", ((ChatButton("y", "d" * 60),),)))
        ),
    },
    "a line of another's tile": {"tile_lines": _gives(TileLine("invoices", "Rien à payer"))},
    "an entry without end": {"todo_entries": _gives(TodoEntry(1, "x" * 5000, "y", "z"))},
    "words with controls": {"menu_entries": _gives(MenuEntry("a\r\nSet-Cookie: x=1", "broken.x"))},
    "changes its settings": {"health_checks": _meddles},
}
"""Deeds of each broken plugin, by the hook at which it does them."""


def break_(plugin: Broken, name: str) -> None:
    """Let the plugin be this one of `BROKEN`."""
    plugin.does.clear()
    plugin.does.update(BROKEN[name])


__all__ = ["BROKEN", "EVERY_HOOK", "break_"]
