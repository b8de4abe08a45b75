"""Reading what comes back from a call of the Bot API: was the message taken, and who is to act?

Answers come from three places: from the Bot API, which always answers a JSON object with ``ok``;
from what stands before it (nginx, a load balancer, a town's outgoing proxy), which answers pages of
its own; or from nowhere, when the connection fails. Only the Bot API itself can speak of a chat.

The descriptions are those of the server's source (tdlib/telegram-bot-api 10.0, ``Client.cpp``:
``fail_query_with_error`` and ``check_chat_access``) and, in capitals, those that it hands on from
Telegram's own servers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    """The outcome of one call."""

    TAKEN = "taken"
    NOT_SENT = "not sent"
    """Nothing happened: the same call may succeed later."""
    UNKNOWN = "unknown"
    """The call may have been taken."""
    WAIT = "wait"
    """Nothing happened, and nothing may be sent before `Answer.after`."""
    CLOSED = "closed"
    """The parent blocked the bot, or deleted the account: this chat is over."""
    UNREACHABLE = "unreachable"
    """The bot does not reach this chat. The chat may be over, or the token another bot's."""
    FORBIDDEN = "forbidden"
    """Telegram forbids it for a reason that this module does not know."""
    BOT_REFUSED = "bot refused"
    """The token is wrong or revoked: an operator has to act."""
    BARRED = "barred"
    """Something on the way to Telegram refuses the call: an operator has to act."""
    UNCHANGED = "unchanged"
    """The message already reads so."""
    UNEDITABLE = "uneditable"
    """The message cannot be edited; a new one may be sent."""
    REFUSED = "refused"
    """Telegram does not take this content: a mistake of ours."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A fate, its reason in Telegram's words, and how long Telegram asks to wait."""

    fate: Fate
    reason: str = ""
    after: timedelta | None = None


REPEATABLE = frozenset(
    ("getme", "getupdates", "setwebhook", "deletewebhook", "getwebhookinfo", "setmycommands",
     "editmessagetext", "editmessagereplymarkup", "answercallbackquery", "leavechat")
)  # fmt: skip
"""Methods that may be called twice without harm: for them, unknown is not sent."""

WAIT_UNSAID = timedelta(seconds=10)
"""Time to wait after a 429 that names no time."""
MAX_ANSWER_WAIT = timedelta(hours=6)
"""More than Telegram ever asked for in public reports; beyond, the number is not believed."""

_CLOSED = (
    "bot was blocked by the user", "user_is_blocked",
    "user is deactivated", "input_user_deactivated",
)  # fmt: skip
_UNREACHABLE = (
    "chat not found", "peer_id_invalid", "user not found", "chat_id_invalid",
    "bot can't initiate conversation with a user",
)  # fmt: skip
_UNCHANGED = ("message is not modified", "message_not_modified")
_BOT_IS_OFF = ("logged out", "bot has already been closed", "frozen_method_invalid")
_QUOTED = re.compile(r"""(["']).*\1""", re.DOTALL)
_RETRY_AFTER = re.compile(r"retry after (\d{1,9})")
_TAKEN_BUT_CUT = re.compile(rb'\s*\{\s*"ok"\s*:\s*true')


def read_answer(method: str, status: int, body: bytes) -> Answer:
    """Read the answer to a call of `method`; the description counts more than the status."""
    said = _said(body)
    if said is None or not isinstance(said.get("ok"), bool):
        return _not_the_bot_api(method, status, body)
    if said["ok"]:
        if 200 <= status < 300 and "result" in said:
            return Answer(Fate.TAKEN)
        return _maybe(method, f"an odd answer ({status})")
    code = said.get("error_code")
    description = said.get("description")
    return _refusal(
        method,
        code if isinstance(code, int) and not isinstance(code, bool) else status,
        description if isinstance(description, str) else "",
        said.get("parameters"),
    )


def unanswered(method: str, reason: str, *, sent: bool) -> Answer:
    """Judge a call that nobody answered; `sent` tells whether it left this machine whole."""
    return _maybe(method, reason) if sent else Answer(Fate.NOT_SENT, reason)


def _maybe(method: str, reason: str) -> Answer:
    fate = Fate.NOT_SENT if method.lower() in REPEATABLE else Fate.UNKNOWN
    return Answer(fate, reason)


def _said(body: bytes) -> dict[str, Any] | None:
    try:
        read = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _not_the_bot_api(method: str, status: int, body: bytes) -> Answer:
    """Judge what something before the Bot API answered: it handed nothing on."""
    reason = f"an answer that is not Telegram's ({status})"
    if 200 <= status < 300 and (not body.strip() or _TAKEN_BUT_CUT.match(body)):
        # Cut short on its way back, after the Bot API had worked.
        return _maybe(method, reason)
    if status == 429:
        return Answer(Fate.WAIT, reason, WAIT_UNSAID)
    if status == 413:
        return Answer(Fate.REFUSED, reason)
    if status >= 500 or status == 408:
        return Answer(Fate.NOT_SENT, reason)
    # Some gateways bar files or know few methods. What bars plain messages bars the bot.
    return Answer(Fate.BARRED if method.lower() == "sendmessage" else Fate.NOT_SENT, reason)


def _refusal(method: str, code: int, description: str, parameters: Any) -> Answer:
    # Telegram quotes what it refuses, as a link to pay: nothing for logs.
    reason = _QUOTED.sub("'…'", description)[:300] or f"error {code}"
    said = description.lower().replace("’", "'")
    if code == 429:
        return Answer(Fate.WAIT, reason, _wait(said, parameters))
    if code in {401, 404}:
        return Answer(Fate.BOT_REFUSED, reason)
    if code in {400, 403}:
        return Answer(_about_the_chat(method, code, said), reason)
    if code == 413:
        return Answer(Fate.REFUSED, reason)
    # 409 is about who fetches updates, 5xx are troubles of Telegram's own.
    return Answer(Fate.NOT_SENT, reason)


def _about_the_chat(method: str, code: int, said: str) -> Fate:
    for fate, known in (
        (Fate.CLOSED, _CLOSED), (Fate.UNREACHABLE, _UNREACHABLE),
        (Fate.UNCHANGED, _UNCHANGED), (Fate.BOT_REFUSED, _BOT_IS_OFF),
    ):  # fmt: skip
        if any(words in said for words in known):
            return fate
    if code == 403:
        return Fate.FORBIDDEN
    # Whatever it is: a new message either shows the screen, or meets the same refusal.
    return Fate.UNEDITABLE if method.lower().startswith("editmessage") else Fate.REFUSED


def _wait(said: str, parameters: Any) -> timedelta:
    asked = parameters.get("retry_after") if isinstance(parameters, dict) else None
    if isinstance(asked, str) and asked.isdecimal():
        asked = int(asked[:9])
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not asked > 0:
        found = _RETRY_AFTER.search(said)
        asked = int(found[1]) if found else 0
    if asked <= 0:
        return WAIT_UNSAID
    return min(timedelta(seconds=min(asked, MAX_ANSWER_WAIT.total_seconds())), MAX_ANSWER_WAIT)
