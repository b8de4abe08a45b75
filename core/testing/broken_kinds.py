"""Broken plugins: each one does something else that no plugin should.

`BROKEN` names them. Each is a `Broken` that is told what to do; a town that enables it must lose
nothing of core's, and its neighbour must notice nothing.
"""

from __future__ import annotations

import decimal
import itertools
import logging
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from core.api.chat import ChatAnswer, ChatButton, ChatRule
from core.api.context import TenantContext
from core.api.messages import Address, ChannelCapabilities
from core.api.payments import Capabilities
from core.api.plugin import HealthCheck
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


class Lie(str):
    """Words that are no words as soon as one looks at them."""

    __slots__ = ()

    def _lies(self, *_arguments: Any) -> Any:
        raise ValueError("a lie")

    __eq__ = __hash__ = __lt__ = __str__ = __format__ = __html__ = _lies

    def __len__(self) -> int:
        return 1


class _Unwilling(list[Any]):
    """A list that gives nothing."""

    def _refuses(self, *_arguments: Any) -> Any:
        raise ValueError("no list")

    __iter__ = __len__ = __bool__ = __getitem__ = _refuses


_LIE = Lie("broken")


def _half_way(_ctx: TenantContext) -> Iterator[MenuEntry]:
    yield MenuEntry("x", "broken.page")
    raise ValueError("half way")


def _changes_the_process(_ctx: TenantContext) -> None:
    warnings.simplefilter("error")
    socket.setdefaulttimeout(0.001)
    decimal.getcontext().prec = 2
    sys.setrecursionlimit(200)
    logging.disable(logging.CRITICAL)


def _leaves_threads(_ctx: TenantContext) -> None:
    for _number in range(20):
        threading.Thread(target=time.sleep, args=(HANG_SECONDS,), daemon=True).start()


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

EVENTS = ("invoices_published", "payment_settled", "payment_reversed")

BROKEN: Mapping[str, Mapping[str, Deed]] = {
    # --- Hooks that fail -----------------------------------------------------------------------
    "raises everywhere": dict.fromkeys(EVERY_HOOK, _raises),
    "hangs in its hooks": dict.fromkeys(("menu_entries", "todo_entries", "tile_lines"), _hangs),
    "takes the processor": {"tile_lines": _spins},
    "gives numbers": dict.fromkeys(EVERY_HOOK, lambda _ctx: 42),
    "gives without end": dict.fromkeys(
        EVERY_HOOK, lambda _ctx: itertools.repeat(MenuEntry("x", "broken.page"))
    ),
    "gives up half way": dict.fromkeys(EVERY_HOOK, _half_way),
    "gives what cannot be read": dict.fromkeys(EVERY_HOOK, lambda _ctx: _Unwilling([1])),
    "gives a million": dict.fromkeys(
        EVERY_HOOK, lambda _ctx: [MenuEntry("x", "broken.page")] * 1_000_000
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
    "leaves a copy open": dict.fromkeys((*EVERY_HOOK, *EVENTS), DEEDS["copy"]),
    "keeps every session": dict.fromkeys((*EVERY_HOOK, *EVENTS), DEEDS["keeps its sessions"]),
    # --- The process ---------------------------------------------------------------------------
    "changes the process": dict.fromkeys((*EVERY_HOOK, *EVENTS), _changes_the_process),
    "leaves threads": dict.fromkeys((*EVERY_HOOK, *EVENTS), _leaves_threads),
    "fails without words": dict.fromkeys((*EVERY_HOOK, *EVENTS), DEEDS["has no words"]),
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
    "a channel of endless addresses": {
        "notification_channels": _gives(
            _channel(addresses=lambda family, _kind: itertools.repeat(Address("x", family)))
        ),
    },
    "a channel that lies": {
        "notification_channels": _gives(
            _channel(label=_LIE, addresses=lambda family, _kind: (Address(_LIE, family),))
        ),
    },
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
    "a group without end": {
        "family_groups": _gives(
            _thing(fields=(), describe=lambda _c: _LIE, families=lambda _c: itertools.repeat(1))
        ),
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
    "entries that lie": {
        "menu_entries": _gives(MenuEntry(_LIE, Lie("broken.page"))),
        "todo_entries": _gives(TodoEntry(1, _LIE, _LIE, Lie("broken.page"), {"a": _LIE})),
        "tile_lines": _gives(TileLine(Lie("broken.page"), _LIE)),
        "health_checks": _gives(HealthCheck("broken", lambda: _LIE)),
    },
    "words with controls": {"menu_entries": _gives(MenuEntry("a\r\nSet-Cookie: x=1", "broken.x"))},
    "changes its settings": {"health_checks": _meddles},
}
"""Deeds of each broken plugin, by the hook at which it does them."""


def break_(plugin: Broken, name: str) -> None:
    """Let the plugin be this one of `BROKEN`."""
    plugin.does.clear()
    plugin.does.update(BROKEN[name])


__all__ = ["BROKEN", "EVERY_HOOK", "break_"]
