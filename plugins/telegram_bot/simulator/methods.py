"""The methods of the Bot API, with the errors that Telegram gives for each mistake."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from plugins.telegram_bot.simulator.markup import MarkupError, plain
from plugins.telegram_bot.simulator.world import Bot, Chat, Webhook, World

UPDATE_KINDS = frozenset(
    ("message", "edited_message", "callback_query", "my_chat_member", "chat_member", "inline_query")
)
_COMMAND = re.compile(r"[a-z0-9_]{1,32}\Z")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")
_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))


class ApiError(Exception):
    """An answer with ``ok: false``."""

    def __init__(self, status: int, description: str, retry_after: int = 0) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after


@dataclass(frozen=True)
class Upload:
    """A file of a multipart request."""

    name: str
    media_type: str
    content: bytes


@dataclass
class Call:
    """One call: who calls, and with what. Its readers raise what Telegram answers."""

    world: World
    bot: Bot
    values: dict[str, Any]
    uploads: dict[str, Upload] = field(default_factory=dict)

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text."""
        value = self.values.get(name, default)
        return value if isinstance(value, str) else json.dumps(value)

    def number(self, name: str, default: int = 0) -> int:
        """A parameter as a whole number; what is none counts as not given."""
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError):
            return default

    def boolean(self, name: str) -> bool:
        """A parameter as a truth value."""
        return self.text(name).lower() in {"true", "1"}

    def json(self, name: str, kind: type[Any], refusal: str) -> Any:
        """A parameter as JSON of one kind, or None when it was not given."""
        value = self.values.get(name)
        if value in (None, ""):
            return None
        try:
            read = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ApiError(400, f"Bad Request: {refusal}") from None
        if not isinstance(read, kind):
            raise ApiError(400, f"Bad Request: {refusal}")
        return read

    def chat(self) -> Chat:
        """The chat that is named, which the bot may write to."""
        if not self.text("chat_id"):
            raise ApiError(400, "Bad Request: chat_id is empty")
        chat_id = self.number("chat_id")
        chat = self.world.chat(self.bot, chat_id)
        if chat is None:
            raise ApiError(400, "Bad Request: chat not found")
        person = self.world.people.get(chat_id)
        if person and person.deleted:
            raise ApiError(403, "Forbidden: user is deactivated")
        if chat.blocked:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if not chat.started:
            raise ApiError(403, "Forbidden: bot can't initiate conversation with a user")
        return chat

    def own_message(self, chat: Chat, what: str) -> dict[str, Any]:
        """The message that is named, which the bot itself sent."""
        if not self.text("message_id"):
            raise ApiError(400, "Bad Request: message identifier is not specified")
        message = chat.message(self.number("message_id"))
        if message is None:
            raise ApiError(400, f"Bad Request: message to {what} not found")
        if message["from"]["id"] != self.bot.id:
            raise ApiError(400, f"Bad Request: message can't be {what}ed")
        return message

    def content(self, name: str, longest: int) -> dict[str, str]:
        """A text with its formatting, as the fields of a message."""
        raw = self.text(name)
        mode = self.text("parse_mode")
        if mode not in {"", "HTML"}:
            raise ApiError(400, "Bad Request: unsupported parse_mode")
        try:
            seen = plain(raw) if mode else raw
        except MarkupError as error:
            raise ApiError(400, f"Bad Request: can't parse entities: {error}") from None
        if len(seen) > longest:
            raise ApiError(400, f"Bad Request: message {'caption ' * (name == 'caption')}"
                                "is too long")  # fmt: skip
        return {name: seen, f"{name}_html": raw if mode else ""}

    def keyboard(self) -> dict[str, Any] | None:
        """The buttons, each with one thing to do."""
        refusal = "can't parse reply keyboard markup JSON object"
        markup = self.json("reply_markup", dict, refusal)
        if markup is None or "inline_keyboard" not in markup:
            return markup
        for row in markup["inline_keyboard"]:
            for button in row:
                _check_button(button)
        return markup if any(markup["inline_keyboard"]) else None

    def pace(self, chat: Chat) -> None:
        """Refuse a message that comes too soon after the others."""
        wait = self.world.too_fast(self.bot, chat.id)
        if wait:
            raise ApiError(429, f"Too Many Requests: retry after {wait}", wait)


def _check_button(button: dict[str, Any]) -> None:
    if not isinstance(button, dict) or not button.get("text"):
        raise ApiError(400, "Bad Request: can't parse inline keyboard button: "
                            'Field "text" must be of type String')  # fmt: skip
    actions = [key for key in ("url", "callback_data") if button.get(key)]
    if len(actions) != 1:
        raise ApiError(400, "Bad Request: can't parse inline keyboard button: "
                            "Text buttons are unallowed in the inline keyboard")  # fmt: skip
    if len(str(button.get("callback_data", "")).encode()) > 64:
        raise ApiError(400, "Bad Request: BUTTON_DATA_INVALID")
    if "url" in button:
        parts = urlsplit(str(button["url"]))
        # Telegram refuses hosts without a dot; the portal on this machine has to pass.
        known = parts.hostname and ("." in parts.hostname or parts.hostname in _LOOPBACK)
        if parts.scheme not in {"http", "https", "tg"} or not known:
            raise ApiError(400, f"Bad Request: inline keyboard button URL '{button['url']}' "
                                "is invalid: Wrong HTTP URL")  # fmt: skip


def _public(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if not key.endswith("_html")}


def get_me(call: Call) -> dict[str, Any]:
    """Tell the bot who it is."""
    return call.bot.user() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def get_updates(call: Call) -> list[dict[str, Any]]:
    """Wait up to ``timeout`` seconds for updates from ``offset`` on; older ones are forgotten."""
    bot, world = call.bot, call.world
    if bot.webhook:
        raise ApiError(409, "Conflict: can't use getUpdates method while webhook is active; "
                            "use deleteWebhook to delete the webhook first")  # fmt: skip
    generation = world.start_polling(bot)
    offset = call.number("offset")
    limit = min(max(call.number("limit", 100), 1), 100)
    with world.change():
        _set_allowed(call)
        if offset > 0:
            bot.updates = [u for u in bot.updates if u["update_id"] >= offset]
        elif offset < 0:
            bot.updates = bot.updates[offset:]

    def over() -> bool:
        return bool(bot.updates) or not world.is_polling(bot, generation)

    with world.changed:
        world.changed.wait_for(over, min(max(call.number("timeout"), 0), 50))
        if not world.is_polling(bot, generation):
            raise ApiError(409, "Conflict: terminated by other getUpdates request; "
                                "make sure that only one bot instance is running")  # fmt: skip
        return bot.updates[:limit]


def _set_allowed(call: Call) -> None:
    kinds = call.json("allowed_updates", list, "can't parse allowed_updates")
    if kinds is not None:
        call.bot.allowed_updates = [kind for kind in kinds if kind in UPDATE_KINDS]


def set_webhook(call: Call) -> bool:
    """Have updates posted to a URL. Telegram asks for https; a loopback address passes here."""
    parts = urlsplit(call.text("url"))
    if not parts.hostname:
        return delete_webhook(call)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ApiError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
    secret = call.text("secret_token")
    if secret and not _SECRET.match(secret):
        raise ApiError(400, "Bad Request: secret token contains unallowed characters")
    with call.world.change():
        _set_allowed(call)
        call.bot.webhook = Webhook(call.text("url"), secret)
        if call.boolean("drop_pending_updates"):
            call.bot.updates.clear()
    return True


def delete_webhook(call: Call) -> bool:
    """Go back to polling."""
    with call.world.change():
        call.bot.webhook = None
        if call.boolean("drop_pending_updates"):
            call.bot.updates.clear()
    return True


def get_webhook_info(call: Call) -> dict[str, Any]:
    """Tell how the webhook fares."""
    webhook = call.bot.webhook
    info: dict[str, Any] = {
        "url": webhook.url if webhook else "",
        "has_custom_certificate": False,
        "pending_update_count": len(call.bot.updates),
    }
    if webhook and webhook.last_error:
        info |= {"last_error_date": int(time.time()), "last_error_message": webhook.last_error}
    return info


def send_message(call: Call) -> dict[str, Any]:
    """Write into a chat."""
    with call.world.change():
        chat = call.chat()
        content = call.content("text", 4096)
        if not content["text"].strip():
            raise ApiError(400, "Bad Request: message text is empty")
        keyboard = call.keyboard()
        call.pace(chat)
        if keyboard:
            return _public(call.world.says(call.bot, chat, content | {"reply_markup": keyboard}))
        return _public(call.world.says(call.bot, chat, content))


def send_document(call: Call) -> dict[str, Any]:
    """Send a file, of up to 50 MB."""
    with call.world.change():
        chat = call.chat()
        named = call.text("document").removeprefix("attach://") or "document"
        upload = call.uploads.get(named)
        if upload is None:
            raise ApiError(400, "Bad Request: there is no document in the request")
        if not upload.content:
            raise ApiError(400, "Bad Request: file must be non-empty")
        if len(upload.content) > 50 * 2**20:
            raise ApiError(413, "Request Entity Too Large")
        content: dict[str, Any] = dict(call.content("caption", 1024))
        keyboard = call.keyboard()
        call.pace(chat)
        file_id = call.world.keep_file(upload.name, upload.media_type, upload.content)
        content["document"] = {
            "file_id": file_id,
            "file_unique_id": file_id[:16],
            "file_name": upload.name,
            "mime_type": upload.media_type,
            "file_size": len(upload.content),
        }
        if keyboard:
            content["reply_markup"] = keyboard
        return _public(call.world.says(call.bot, chat, content))


def _edit(call: Call, **changes: Any) -> dict[str, Any]:
    chat = call.chat()
    message = call.own_message(chat, "edit")
    if "text" in changes and "text" not in message:
        raise ApiError(400, "Bad Request: there is no text in the message to edit")
    before = {key: message.get(key) for key in (*changes, "reply_markup")}
    changes["reply_markup"] = call.keyboard()
    if before == changes:
        raise ApiError(400, "Bad Request: message is not modified: specified new message content "
                            "and reply markup are exactly the same as a current content and reply "
                            "markup of the message")  # fmt: skip
    message.update(changes, edit_date=int(time.time()))
    chat.revision += 1
    if message["reply_markup"] is None:
        del message["reply_markup"]
    return _public(message)


def edit_message_text(call: Call) -> dict[str, Any]:
    """Replace a message's text and buttons."""
    with call.world.change():
        content = call.content("text", 4096)
        if not content["text"].strip():
            raise ApiError(400, "Bad Request: message text is empty")
        return _edit(call, **content)


def edit_message_reply_markup(call: Call) -> dict[str, Any]:
    """Replace a message's buttons."""
    with call.world.change():
        return _edit(call)


def delete_message(call: Call) -> bool:
    """Take a message back."""
    with call.world.change():
        chat = call.chat()
        chat.messages.remove(call.own_message(chat, "delete"))
        chat.revision += 1
    return True


def answer_callback_query(call: Call) -> bool:
    """End the little wheel on a tapped button, with a word or without."""
    if len(call.text("text")) > 200:
        raise ApiError(400, "Bad Request: MESSAGE_TOO_LONG")
    if not call.world.answers(call.bot, call.text("callback_query_id"), call.text("text")):
        raise ApiError(400, "Bad Request: query is too old and response timeout expired or query "
                            "ID is invalid")  # fmt: skip
    return True


def set_my_commands(call: Call) -> bool:
    """Name the commands that the telephone proposes."""
    commands = call.json("commands", list, "can't parse commands")
    if commands is None:
        raise ApiError(400, 'Bad Request: parameter "commands" is required')
    for command in commands:
        if not _COMMAND.match(str(command.get("command", ""))):
            raise ApiError(400, "Bad Request: BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= 256:
            raise ApiError(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
    with call.world.change():
        call.bot.commands[call.text("language_code")] = commands
    return True


def get_my_commands(call: Call) -> list[dict[str, str]]:
    """Tell the commands of one language."""
    return call.bot.commands.get(call.text("language_code"), [])


def delete_my_commands(call: Call) -> bool:
    """Forget the commands of one language."""
    with call.world.change():
        call.bot.commands.pop(call.text("language_code"), None)
    return True


def get_chat(call: Call) -> dict[str, Any]:
    """Describe a chat."""
    return call.chat().chat() | {"accent_color_id": 0, "max_reaction_count": 11}


def leave_chat(call: Call) -> bool:
    """Leave a group."""
    chat = call.chat()
    if chat.id > 0:
        raise ApiError(400, "Bad Request: can't leave a private chat")
    with call.world.change():
        del call.world.chats[call.bot.token][chat.id]
    return True


def send_chat_action(call: Call) -> bool:
    """Show *is typing…*; nothing to see here."""
    call.chat()
    if not call.text("action"):
        raise ApiError(400, 'Bad Request: parameter "action" is required')
    return True


def get_file(call: Call) -> dict[str, Any]:
    """Tell where a file can be fetched."""
    file_id = call.text("file_id")
    stored = call.world.files.get(file_id)
    if stored is None:
        raise ApiError(400, "Bad Request: invalid file_id")
    return {
        "file_id": file_id,
        "file_unique_id": file_id[:16],
        "file_size": len(stored.data),
        "file_path": f"documents/{file_id}",
    }


METHODS: dict[str, Callable[[Call], Any]] = {
    "getme": get_me,
    "getupdates": get_updates,
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": get_webhook_info,
    "sendmessage": send_message,
    "senddocument": send_document,
    "editmessagetext": edit_message_text,
    "editmessagereplymarkup": edit_message_reply_markup,
    "deletemessage": delete_message,
    "answercallbackquery": answer_callback_query,
    "setmycommands": set_my_commands,
    "getmycommands": get_my_commands,
    "deletemycommands": delete_my_commands,
    "getchat": get_chat,
    "leavechat": leave_chat,
    "sendchataction": send_chat_action,
    "getfile": get_file,
}
"""By their names in small letters: Telegram does not mind the case."""
