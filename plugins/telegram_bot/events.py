"""Updates from Telegram, reduced to the needs of the conversation, and the actions in reply.

Nothing from Telegram is trusted: an update is read by strict models, what does not fit is dropped,
and what is not needed (surnames, pictures, places, contacts) is never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.plugin import Document

MAX_TEXT_CHARS = 1000
"""Characters that are read of what a parent typed: questions are shorter, floods are longer."""

CONTENTS = (
    "animation", "audio", "checklist", "contact", "dice", "document", "game", "live_photo",
    "location", "paid_media", "photo", "poll", "sticker", "story", "venue", "video", "video_note",
    "voice",
)  # fmt: skip
"""Contents that a parent may send besides text. Everything else without text is Telegram's own
notice: a pinned message, a timer, a new picture of the chat."""



def _is_a_chat(number: int) -> int:
    if number == 0:
        raise ValueError("no chat has this number")
    return number


def _storable(text: Any) -> Any:
    """Take out of a text what PostgreSQL keeps in none: NUL, and halves of characters."""
    if not isinstance(text, str):
        return text
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "")


_Text = Annotated[str, BeforeValidator(_storable), Field(strict=True)]
_ChatNumber = Annotated[
    int, Field(strict=True, ge=-(2**63), lt=2**63), AfterValidator(_is_a_chat)
]


class Kind(StrEnum):
    """Kind of event in a chat."""

    TYPED = "typed"
    TAPPED = "tapped"
    BLOCKED = "blocked"
    """The bot was blocked or removed: it may not write here any more."""
    GROUP = "group"
    """Something in a chat that several people read."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One update. `key` is unique over all bots; `text` is what was typed, or the button's data."""

    key: str
    kind: Kind
    chat_id: int
    text: str = ""
    name: str = ""
    language: str = ""
    message_id: int = 0
    query_id: str = ""
    date: int = 0
    """Time at which a bot was blocked, in seconds since 1970; 0 where it is not said."""

    @property
    def number(self) -> int:
        """The update's number: the bot's later updates have higher ones, but for quiet weeks."""
        number = self.key.rpartition(":")[2]
        return int(number) if number.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message: it opens `url`, or sends `data` (64 bytes) back to us."""

    label: str
    data: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Screen:
    """A message: Telegram's HTML, its rows of buttons, and the invoices that it shows."""

    html: str
    rows: tuple[tuple[Button, ...], ...] = ()
    invoice_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Show:
    """Write `screen`, in place of message `edit` when there is one."""

    screen: Screen
    edit: int = 0


@dataclass(frozen=True, slots=True)
class SendFile:
    """Send a document."""

    document: Document
    caption: str


@dataclass(frozen=True, slots=True)
class Notice:
    """End the waiting on a tapped button, with a word for the parent or without."""

    query_id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave a group."""


Action = Show | SendFile | Notice | Leave


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class _WithContents(_Model):
    # What is sent is never kept, only that something was.
    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    @property
    def has_contents(self) -> bool:
        """True if something other than text was sent."""
        return any((self.model_extra or {}).get(name) is not None for name in CONTENTS)


class _Chat(_Model):
    id: _ChatNumber
    type: Literal["private", "group", "supergroup", "channel"]


class _User(_Model):
    is_bot: bool = False
    first_name: _Text = ""
    language_code: _Text = ""


class _Message(_WithContents):
    message_id: Annotated[int, Field(strict=True, ge=0, lt=2**31)]
    chat: _Chat
    sender: _User | None = Field(default=None, alias="from")
    text: _Text = ""
    caption: _Text = ""
    media_group_id: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")] = ""


class _Query(_Model):
    id: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    sender: _User = Field(alias="from")
    message: _Message | None = None
    data: Annotated[_Text, Field(max_length=64)] = ""


class _Member(_Model):
    status: str


class _Membership(_Model):
    chat: _Chat
    new_chat_member: _Member
    date: Annotated[int, Field(strict=True, ge=0, lt=2**40)] = 0


class _Update(_Model):
    update_id: Annotated[int, Field(strict=True, ge=0, lt=2**63)]
    message: _Message | None = None
    callback_query: _Query | None = None
    my_chat_member: _Membership | None = None


WANTED_UPDATES = ("message", "callback_query", "my_chat_member")
"""Kinds of update that Telegram is asked to send."""


def read_update(bot_id: str, raw: Any) -> Incoming | None:
    """Read an update of the bot `bot_id`; None for what is malformed or of no interest."""
    try:
        update = _Update.model_validate(raw)
    except ValidationError:
        return None
    key = f"{bot_id}:{update.update_id}"
    if update.message is not None:
        return _typed(key, update.message)
    if update.callback_query is not None:
        return _tapped(key, update.callback_query)
    if update.my_chat_member is not None:
        return _membership(key, update.my_chat_member)
    return None


def _typed(key: str, message: _Message) -> Incoming | None:
    if message.chat.type != "private":
        return Incoming(key, Kind.GROUP, message.chat.id)
    if message.sender is None or message.sender.is_bot:
        return None
    text = message.text or message.caption
    if not text and not message.has_contents:
        return None
    if message.media_group_id:
        # An album comes as a message for each picture: it is answered once.
        key = f"{key.partition(':')[0]}:album-{message.media_group_id}"
    return Incoming(
        key,
        Kind.TYPED,
        message.chat.id,
        text=text[:MAX_TEXT_CHARS],
        name=message.sender.first_name[:64],
        language=message.sender.language_code[:2],
    )


def _tapped(key: str, query: _Query) -> Incoming | None:
    message = query.message
    if message is None or message.chat.type != "private":
        return None
    return Incoming(
        key,
        Kind.TAPPED,
        message.chat.id,
        text=query.data,
        name=query.sender.first_name[:64],
        language=query.sender.language_code[:2],
        message_id=message.message_id,
        query_id=query.id,
    )


def _membership(key: str, change: _Membership) -> Incoming | None:
    gone = change.new_chat_member.status in {"kicked", "left"}
    if change.chat.type != "private":
        return None if gone else Incoming(key, Kind.GROUP, change.chat.id)
    if not gone:
        return None
    return Incoming(key, Kind.BLOCKED, change.chat.id, date=change.date)
