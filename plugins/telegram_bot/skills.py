"""The door for skills: something that may be said, and what is done about it, by one name.

A skill is made of pure recognisers (`Intent`), which say whether a text means it, and of a
handler, which answers. The bot's own stand beside `Conversation`; whoever adds one for another
plugin joins it with `Skills.joined_by`. The conversation asks this registry and nothing else: to
understand what was typed, to answer it, and to find whom a tapped button belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from core.plugin import FamilyInfo, TenantContext
from plugins.telegram_bot.events import Action, Button, Incoming, Screen
from plugins.telegram_bot.understanding import Intent, Intents, Meaning


class Talk(Protocol):
    """One update of one chat, as a skill sees it."""

    @property
    def ctx(self) -> TenantContext:
        """The town and its unit of work."""
        ...

    @property
    def incoming(self) -> Incoming:
        """The update itself."""
        ...

    @property
    def families(self) -> Mapping[int, FamilyInfo]:
        """The families that this chat sees, by number; a skill acts for no other."""
        ...

    @property
    def today(self) -> date:
        """The day on which the parent reads the answer."""
        ...

    @property
    def language(self) -> str:
        """The language that the chat speaks."""
        ...

    def replace(self, screen: Screen) -> list[Action]:
        """Show `screen` in place of the message whose button was tapped."""
        ...


Handler = Callable[[Any, Meaning], list[Action]]
"""Answers what was typed, from a `Talk`. Words change nothing: it asks back with a `tap` button."""
Tapped = Callable[[Talk, str], list[Action]]
"""Acts on a tapped button of the skill; the text is the button's own, which may be forged."""

TAP = "do"
_MAX_DATA_BYTES = 64
"""Bytes that Telegram takes in a button."""


@dataclass(frozen=True)
class Skill:
    """Something that the bot can do for a parent.

    Attributes:
        name: unique among all; that of its intents.
        handler: answers when it is meant.
        intents: what is recognised as it; none for what only a command asks for.
        tapped: acts on its buttons (`tap`); None when it has none.
    """

    name: str
    handler: Handler
    intents: tuple[Intent, ...] = ()
    tapped: Tapped | None = None


class Skills:
    """All skills of a town's bot. Made once and kept: putting its rules together takes a while."""

    def __init__(self, skills: Iterable[Skill]) -> None:
        """Register `skills`.

        Raises:
            ValueError: two have one name, or an intent has another name than its skill.
        """
        self._skills: dict[str, Skill] = {}
        for skill in skills:
            if skill.name in self._skills:
                raise ValueError(f"two skills are named {skill.name}")
            if any(intent.name != skill.name for intent in skill.intents):
                raise ValueError(f"an intent of {skill.name} has another name")
            self._skills[skill.name] = skill
        self.intents = Intents(
            intent for skill in self._skills.values() for intent in skill.intents
        )

    def joined_by(self, more: Sequence[Skill]) -> Skills:
        """These skills and some more; the same object when there are none."""
        return Skills([*self._skills.values(), *more]) if more else self

    def handler(self, name: str) -> Handler | None:
        """Handler of the skill of this name, or None."""
        skill = self._skills.get(name)
        return skill.handler if skill else None

    def tapped(self, data: str) -> tuple[Tapped, str] | None:
        """Whom a button's data belongs to, with the rest of it; None when to no skill."""
        verb, _, rest = data.partition(":")
        name, _, argument = rest.partition(":")
        skill = self._skills.get(name) if verb == TAP else None
        return (skill.tapped, argument) if skill and skill.tapped else None


def tap(label: str, skill: str, argument: str = "") -> Button:
    """Make a button that brings `argument` back to the skill's `tapped`.

    Raises:
        ValueError: it is longer than Telegram takes.
    """
    data = f"{TAP}:{skill}:{argument}"
    if len(data.encode()) > _MAX_DATA_BYTES:
        raise ValueError(f"a button's data is longer than {_MAX_DATA_BYTES} bytes")
    return Button(label, data=data)
