"""Skills that a plugin can offer a parent in a chat, whichever plugin carries the chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from core.api.checked import Checked


@dataclass(frozen=True, slots=True)
class ChatRule(Checked):
    """Words by which a skill is recognised.

    A phrase is plain words as they are compared: small letters without accents, parted by single
    spaces; ``*`` at a word's end stands for any ending ("absen*", "pas la demain"). One of
    `phrases` has to be said, and none of `unless`. Rules of all skills, the chat's own too, are
    tried by `rank`, lowest first: 5 to 40 come before most words about invoices. `argument` is
    handed to the skill.
    """

    phrases: tuple[str, ...]
    unless: tuple[str, ...] = ()
    rank: int = 8
    argument: str = ""


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """Something that a parent typed, and what the chat made of it."""

    text: str
    """As it was typed."""
    words: tuple[str, ...]
    """The plain words that say more than how one talks: a child's name, a service."""
    argument: str
    """That of the rule that was met."""
    family_ids: tuple[int, ...]
    """The families that this chat sees: a skill acts for no other."""
    language: str
    today: date
    days: tuple[date, date] | None = None
    """The first and last day of a date or week that is named."""
    month: int = 0
    year: int = 0
    chat: str = ""
    """A name for the chat, the same each time."""


@dataclass(frozen=True, slots=True)
class ChatPress:
    """A button of this skill that was pressed: in the chat to which it was shown, surely.

    The same `key` again is the same press. It may come late, or again: what it asks for is decided
    anew.
    """

    data: str
    key: str
    family_ids: tuple[int, ...]
    language: str
    today: date
    chat: str = ""


@dataclass(frozen=True, slots=True)
class ChatButton(Checked):
    """A button below an answer: it opens `url`, or brings `data` back to the skill's `press`.

    `data` and the skill's name (``<plugin>.<key>``) have together 47 ASCII characters at most.
    """

    label: str
    data: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ChatAnswer(Checked):
    """Plain text, and rows of buttons."""

    text: str
    rows: tuple[tuple[ChatButton, ...], ...] = ()


class ChatSkill(Protocol):
    """Something that a plugin can do for a parent in a chat."""

    key: str
    """A name within the plugin; chats call the skill ``<plugin>.<key>``."""
    label: str
    """An example of what may be said, for the chat's help ("Léa absente demain")."""
    rules: Sequence[ChatRule]

    def answer(self, question: ChatQuestion) -> ChatAnswer | None:
        """Answer words; None: they mean something else.

        It can only read, because words alone change nothing: what would change something is asked
        back, with a button.
        """
        ...

    def press(self, press: ChatPress) -> ChatAnswer:
        """Do what a button says, and tell what was done. What it writes is committed."""
        ...


@dataclass(frozen=True, slots=True)
class ChatSkillInfo:
    """A skill, as a chat sees it."""

    name: str
    label: str
    rules: tuple[ChatRule, ...]
