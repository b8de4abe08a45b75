"""Skills of all plugins for the plugin that carries a chat: asked in bounds, buttons signed."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from urllib.parse import urlsplit

from core.api.chat import ChatAnswer, ChatButton, ChatPress, ChatQuestion, ChatSkillInfo
from core.api.errors import PermanentError
from core.platform.plugins.calls import ContractError, call_bounded
from core.platform.plugins.guests import HeldSkill
from core.platform.plugins.visits import Access
from core.platform.signing import keyed_hash

NAME_AND_DATA_CHARACTERS = 47
"""Of a skill's name and a button's data: Telegram takes 64 bytes, of which 17 are the chat's."""
SIGNATURE_BYTES = 9
TEXT_CHARACTERS = 3500
LABEL_CHARACTERS = 64
MAX_BUTTONS = 30


class Chat:
    """The skills of one town."""

    def __init__(
        self, tenant: str, secret_key: str, *, skills: Callable[[], Mapping[str, HeldSkill]]
    ) -> None:
        self._tenant = tenant
        self._secret_key = secret_key
        self._skills = skills

    def skills(self) -> Sequence[ChatSkillInfo]:
        """All skills of the plugins that the town enables, by name."""
        return [
            ChatSkillInfo(name, skill.label, skill.rules)
            for name, skill in sorted(self._skills().items())
        ]

    def answer(self, name: str, question: ChatQuestion) -> ChatAnswer | None:
        """Have a skill answer words; None: they mean something else.

        Raises:
            PreauError: it failed, or is not there.
        """
        skill = self._skill(name)

        def answered() -> ChatAnswer | None:
            answer = skill.answer(question)
            return sound(name, answer) if isinstance(answer, ChatAnswer) else answer

        return call_bounded(
            skill.plugin,
            "chat_skills.answer",
            answered,
            (ChatAnswer, NoneType),
            town=self._tenant,
        )

    def press(self, name: str, press: ChatPress) -> ChatAnswer:
        """Have a skill do what one of its buttons says.

        Raises:
            PreauError: it failed, or is not there.
        """
        skill = self._skill(name)

        def pressed() -> ChatAnswer:
            answer = skill.press(press)
            return sound(name, answer) if isinstance(answer, ChatAnswer) else answer

        return call_bounded(
            skill.plugin,
            "chat_skills.press",
            pressed,
            (ChatAnswer,),
            town=self._tenant,
            access=Access.WRITE,
        )

    def sign(self, name: str, data: str, chat: str) -> str:
        """Make a button's data such that nobody else can: for this skill, in this chat."""
        return f"{data}:{self._signature(name, data, chat)}"

    def read(self, name: str, signed: str, chat: str) -> str | None:
        """Give the data that `sign` made for this chat; None for anything else."""
        data, _colon, signature = signed.rpartition(":")
        expected = self._signature(name, data, chat)
        return data if hmac.compare_digest(signature.encode(), expected.encode()) else None

    def _signature(self, name: str, data: str, chat: str) -> str:
        signed = f"{self._tenant}\0{chat}\0{name}\0{data}"
        digest = keyed_hash(self._secret_key, "chat-button", signed)
        return urlsafe_b64encode(digest[:SIGNATURE_BYTES]).decode()

    def _skill(self, name: str) -> HeldSkill:
        try:
            return self._skills()[name]
        except KeyError:
            raise PermanentError(f"no skill {name!r} here") from None


def sound(name: str, answer: ChatAnswer) -> ChatAnswer:
    """Give back an answer that every chat can show.

    Raises:
        ContractError: it cannot be shown.
    """
    if not 0 < len(answer.text.strip()) <= TEXT_CHARACTERS:
        raise ContractError(f"answered {len(answer.text)} characters")
    buttons = [button for row in answer.rows for button in row]
    if len(buttons) > MAX_BUTTONS:
        raise ContractError(f"gave {len(buttons)} buttons")
    for button in buttons:
        _check(name, button)
    return answer


def _check(name: str, button: ChatButton) -> None:
    if not 0 < len(button.label.strip()) <= LABEL_CHARACTERS:
        raise ContractError(f"gave a button {button.label!r:.80}")
    if bool(button.data) == bool(button.url):
        raise ContractError(f"gave a button {button.label!r} without data or url, or with both")
    if button.url and urlsplit(button.url).scheme not in {"http", "https"}:
        raise ContractError(f"gave a button that leads to {button.url!r:.80}")
    data = button.data
    if not data.isascii() or (data and not data.isprintable()) or " " in data:
        raise ContractError(f"gave a button with the data {data!r:.80}")
    if len(name) + len(data) > NAME_AND_DATA_CHARACTERS:
        raise ContractError(f"gave a button with {len(data)} characters of data")


__all__ = ["Chat", "sound"]
