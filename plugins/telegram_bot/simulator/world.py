"""State of the simulated Telegram: bots, people, their conversations, and pending updates."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BURST = 3
"""Telegram lets a chat exceed one message a second for a moment; so does the simulator."""
PER_BOT = 30
"""Messages a second that one bot may send."""


@dataclass
class Webhook:
    """Address to which a bot wants its updates; a bot without one polls."""

    url: str
    secret_token: str = ""
    last_error: str = ""


@dataclass
class Bot:
    """A bot and what waits for it."""

    token: str
    username: str
    name: str
    webhook: Webhook | None = None
    allowed_updates: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    next_update: int = 1
    next_message: int = 1
    commands: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """The number before the colon of the token."""
        return int(self.token.partition(":")[0])

    def user(self) -> dict[str, Any]:
        """The bot as a *User*."""
        return {"id": self.id, "is_bot": True, "first_name": self.name, "username": self.username}


@dataclass
class Person:
    """Someone with the application on their telephone."""

    id: int
    first_name: str
    language: str = "fr"
    deleted: bool = False

    def user(self) -> dict[str, Any]:
        """The person as a *User*."""
        return {
            "id": self.id,
            "is_bot": False,
            "first_name": self.first_name,
            "language_code": self.language,
        }


@dataclass
class Chat:
    """The conversation of one bot with one person (or in one group, whose id is negative)."""

    id: int
    title: str
    started: bool = False
    blocked: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    """*Message* objects, oldest first."""
    notice: str = ""
    """Answer to the last tapped button, as the telephone shows it for a moment."""
    revision: int = 0
    """Grows with everything that the telephone shows."""

    def chat(self) -> dict[str, Any]:
        """The conversation as a *Chat*."""
        if self.id < 0:
            return {"id": self.id, "type": "group", "title": self.title}
        return {"id": self.id, "type": "private", "first_name": self.title}

    def message(self, message_id: int) -> dict[str, Any] | None:
        """The message of this number, or None."""
        return next((m for m in self.messages if m["message_id"] == message_id), None)


@dataclass
class Fault:
    """An error to answer with, `times` times; ``*`` is every method."""

    method: str
    status: int
    description: str
    retry_after: int = 0
    times: int = 1


@dataclass
class StoredFile:
    """A file that a bot sent. `content` is base64, so that the state stays plain JSON."""

    name: str
    media_type: str
    content: str

    @property
    def data(self) -> bytes:
        """The file itself."""
        return base64.b64decode(self.content)


class World:
    """All of it, behind one lock; every change is seen by whoever waits, and saved if asked.

    Args:
        path: a JSON file that keeps the state between two runs.
        limits: answer 429 beyond 1 message a second in a chat and 30 a second for a bot.
    """

    def __init__(self, path: Path | None = None, *, limits: bool = False) -> None:
        self._path = path
        self._limits = limits
        self._sent: dict[tuple[str, int], deque[float]] = {}
        self._callbacks: dict[str, tuple[str, int, float]] = {}
        self.changed = threading.Condition(threading.RLock())
        self.bots: dict[str, Bot] = {}
        self.people: dict[int, Person] = {}
        self.chats: dict[str, dict[int, Chat]] = {}
        self.files: dict[str, StoredFile] = {}
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        """Every call of the Bot API: token, method, parameters. For tests."""
        self._generation: dict[str, int] = {}
        if path and path.is_file():
            self._load(json.loads(path.read_text("utf-8")))
        if not self.people:
            for number, name in ((1001, "Camille"), (1002, "Dominique")):
                self.people[number] = Person(number, name)

    # --- keeping -------------------------------------------------------------------------------

    @contextmanager
    def change(self) -> Iterator[None]:
        """Change something: alone, then seen by all."""
        with self.changed:
            yield
            self._save()
            self.changed.notify_all()

    def wait_beyond(self, chat: Chat, revision: int, seconds: float) -> None:
        """Return when `chat` has changed since `revision`, or after `seconds`."""
        with self.changed:
            self.changed.wait_for(lambda: chat.revision > revision, seconds)

    def _save(self) -> None:
        if self._path is None:
            return
        state = {
            "bots": [asdict(bot) for bot in self.bots.values()],
            "people": [asdict(person) for person in self.people.values()],
            "chats": {t: [asdict(c) for c in chats.values()] for t, chats in self.chats.items()},
            "files": {file_id: asdict(file) for file_id, file in self.files.items()},
        }
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps(state, ensure_ascii=False), "utf-8")
        partial.replace(self._path)

    def _load(self, state: dict[str, Any]) -> None:
        for kept in state["bots"]:
            webhook = kept.pop("webhook")
            bot = Bot(**kept, webhook=Webhook(**webhook) if webhook else None)
            self.bots[bot.token] = bot
        self.people = {kept["id"]: Person(**kept) for kept in state["people"]}
        self.chats = {
            token: {kept["id"]: Chat(**kept) for kept in chats}
            for token, chats in state["chats"].items()
        }
        self.files = {file_id: StoredFile(**kept) for file_id, kept in state["files"].items()}

    # --- finding -------------------------------------------------------------------------------

    def add_bot(self, token: str, username: str, name: str = "") -> Bot:
        """Register a bot, as BotFather would."""
        with self.change():
            bot = self.bots.setdefault(token, Bot(token, username, name or username))
            bot.username, bot.name = username, name or bot.name
            return bot

    def add_person(self, first_name: str, language: str = "fr") -> Person:
        """Give someone a telephone."""
        with self.change():
            number = max(self.people, default=1000) + 1
            person = self.people[number] = Person(number, first_name, language)
            return person

    def bot_named(self, username: str) -> Bot | None:
        """The bot of this user name, or None."""
        wanted = username.lower()
        return next((b for b in self.bots.values() if b.username.lower() == wanted), None)

    def chat(self, bot: Bot, chat_id: int) -> Chat | None:
        """The conversation, or None when neither person nor group is known."""
        known = self.chats.setdefault(bot.token, {})
        person = self.people.get(chat_id)
        if chat_id not in known and person:
            known[chat_id] = Chat(chat_id, person.first_name)
        return known.get(chat_id)

    # --- what people do ------------------------------------------------------------------------

    def types(self, bot: Bot, person: Person, text: str, *, group: int = 0) -> None:
        """`person` writes `text` to the bot, or in a group where the bot is."""
        with self.change():
            if group:
                chat = self.chats.setdefault(bot.token, {}).setdefault(group, Chat(group, "Groupe"))
            else:
                found = self.chat(bot, person.id)
                if found is None or found.blocked:
                    return
                chat = found
            chat.started = True
            chat.notice = ""
            message = self._message(bot, chat, person.user()) | {"text": text}
            if text.startswith("/"):
                length = len(text.split(maxsplit=1)[0])
                message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
            chat.messages.append(message)
            chat.revision += 1
            self._push(bot, "message", message)

    def taps(self, bot: Bot, person: Person, message_id: int, row: int, column: int) -> None:
        """`person` taps a callback button under one of the bot's messages."""
        with self.change():
            chat = self.chat(bot, person.id)
            message = chat.message(message_id) if chat else None
            if chat is None or message is None or chat.blocked:
                return
            try:
                button = message["reply_markup"]["inline_keyboard"][row][column]
            except (KeyError, IndexError):
                return
            query = secrets.token_hex(8)
            chat.notice = ""
            self._callbacks[query] = (bot.token, chat.id, time.monotonic())
            update = {
                "id": query,
                "from": person.user(),
                "message": message,
                "chat_instance": str(chat.id * 7919),
                "data": button.get("callback_data", ""),
            }
            self._push(bot, "callback_query", update)

    def blocks(self, bot: Bot, person: Person, *, blocked: bool) -> None:
        """`person` blocks the bot, or takes it back."""
        with self.change():
            chat = self.chat(bot, person.id)
            if chat is None or chat.blocked == blocked:
                return
            chat.blocked = blocked
            chat.revision += 1
            old, new = ("member", "kicked") if blocked else ("kicked", "member")
            update = {
                "chat": chat.chat(),
                "from": person.user(),
                "date": int(time.time()),
                "old_chat_member": self._member(bot, old),
                "new_chat_member": self._member(bot, new),
            }
            self._push(bot, "my_chat_member", update)

    @staticmethod
    def _member(bot: Bot, status: str) -> dict[str, Any]:
        until = {"until_date": 0} if status == "kicked" else {}
        return {"user": bot.user(), "status": status, **until}

    # --- what bots do --------------------------------------------------------------------------

    def says(self, bot: Bot, chat: Chat, content: dict[str, Any]) -> dict[str, Any]:
        """The bot's message appears in the conversation. Called inside `change`."""
        message = self._message(bot, chat, bot.user()) | content
        chat.messages.append(message)
        chat.revision += 1
        return message

    def keep_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file; returns its ``file_id``. Called inside `change`."""
        file_id = secrets.token_urlsafe(24)
        self.files[file_id] = StoredFile(name, media_type, base64.b64encode(content).decode())
        return file_id

    def answers(self, bot: Bot, query: str, text: str) -> bool:
        """A tapped button is answered: once, and soon (15 minutes here)."""
        with self.change():
            token, chat_id, asked = self._callbacks.pop(query, ("", 0, 0.0))
            if token != bot.token or time.monotonic() - asked > 900:
                return False
            chat = self.chats[token][chat_id]
            chat.notice = text
            chat.revision += bool(text)
            return True

    def too_fast(self, bot: Bot, chat_id: int) -> int:
        """Seconds to wait before the bot may send to this chat; 0 when it may now."""
        if not self._limits:
            return 0
        now = time.monotonic()
        for key, count, span in (
            ((bot.token, chat_id), BURST, float(BURST)),
            ((bot.token, 0), PER_BOT, 1.0),
        ):
            sent = self._sent.setdefault(key, deque())
            while sent and now - sent[0] >= span:
                sent.popleft()
            if len(sent) >= count:
                return max(1, round(span - (now - sent[0])))
        for key in ((bot.token, chat_id), (bot.token, 0)):
            self._sent[key].append(now)
        return 0

    def fault_for(self, method: str) -> Fault | None:
        """The error that was ordered for this call, if any; used up by being taken."""
        with self.changed:
            for fault in self.faults:
                if fault.method in {method, "*"}:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    # --- updates -------------------------------------------------------------------------------

    def start_polling(self, bot: Bot) -> int:
        """Begin a ``getUpdates``: an older one of the same bot ends with a conflict."""
        with self.changed:
            generation = self._generation.get(bot.token, 0) + 1
            self._generation[bot.token] = generation
            self.changed.notify_all()
            return generation

    def is_polling(self, bot: Bot, generation: int) -> bool:
        """True if this ``getUpdates`` is still the bot's newest."""
        return self._generation.get(bot.token) == generation

    def _message(self, bot: Bot, chat: Chat, sender: dict[str, Any]) -> dict[str, Any]:
        number, bot.next_message = bot.next_message, bot.next_message + 1
        date = int(time.time())
        return {"message_id": number, "from": sender, "chat": chat.chat(), "date": date}

    def _push(self, bot: Bot, kind: str, content: dict[str, Any]) -> None:
        if bot.allowed_updates and kind not in bot.allowed_updates:
            return
        # A copy: what is edited later must not change what was announced.
        update = {"update_id": bot.next_update, kind: json.loads(json.dumps(content))}
        bot.next_update += 1
        bot.updates.append(update)
