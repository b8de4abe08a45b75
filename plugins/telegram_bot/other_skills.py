"""Other plugins' skills, as skills of the bot: core asks them in bounds and signs their buttons."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from core.plugin import (
    ChatAnswer,
    ChatButton,
    ChatPress,
    ChatQuestion,
    ChatRule,
    ChatSkillInfo,
    PreauError,
    TenantContext,
)
from plugins.telegram_bot import screens
from plugins.telegram_bot.events import Action, Button, Screen, Show
from plugins.telegram_bot.skills import Skill, Skills, Talk, tap
from plugins.telegram_bot.understanding import Intent, Meaning, understand
from plugins.telegram_bot.words import gettext as _

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_CHARACTERS = 3500


def joined(ctx: TenantContext, own: Skills) -> Skills:
    """The bot's own skills and those of the town's other plugins."""
    return own.joined_by([_adapted(skill, own) for skill in ctx.chat.skills()])


def _adapted(skill: ChatSkillInfo, own: Skills) -> Skill:
    name = skill.name
    return Skill(
        name,
        partial(_answer, name, own),
        tuple(_intent(name, rule) for rule in skill.rules),
        partial(_press, name),
    )


@lru_cache(maxsize=1000)
def _intent(name: str, rule: ChatRule) -> Intent:
    """An intent of plain phrases. Kept, with the pattern that it puts together when first asked."""
    return Intent(
        name,
        rule.rank,
        tuple(map(_pattern, rule.phrases)),
        tuple(map(_pattern, rule.unless)),
        rule.argument,
    )


def _pattern(phrase: str) -> str:
    return re.escape(phrase).replace(r"\*", r"\w*").replace(r"\ ", " ")


def _answer(name: str, own: Skills, talk: Talk, meaning: Meaning) -> list[Action]:
    """Have the skill answer; where the words mean something else, the bot answers by itself."""
    question = ChatQuestion(
        text=talk.incoming.text,
        words=meaning.words,
        argument=meaning.argument,
        family_ids=tuple(talk.families),
        language=talk.language,
        today=talk.today,
        days=meaning.days,
        month=meaning.month,
        year=meaning.year,
        chat=str(talk.incoming.chat_id),
    )
    answer = _asked(partial(talk.ctx.chat.answer, name, question))
    if answer is not None:
        return [Show(_screen(talk, name, answer))]
    otherwise = understand(talk.incoming.text, talk.today, own.intents)
    handler = own.handler(otherwise.wish)
    return handler(talk, otherwise) if handler else [Show(screens.puzzled(talk.ctx.town))]


def _press(name: str, talk: Talk, signed: str) -> list[Action]:
    data = talk.ctx.chat.read(name, signed, str(talk.incoming.chat_id))
    if data is None:
        return talk.replace(screens.said(_("Ce bouton ne sert plus.")))
    press = ChatPress(
        data=data,
        key=talk.incoming.key,
        family_ids=tuple(talk.families),
        language=talk.language,
        today=talk.today,
        chat=str(talk.incoming.chat_id),
    )
    answer = _asked(partial(talk.ctx.chat.press, name, press)) or _away()
    return talk.replace(_screen(talk, name, answer))


def _asked(ask: Callable[[], ChatAnswer | None]) -> ChatAnswer | None:
    try:
        return ask()
    except PreauError:
        # Logged already. The parent waits for an answer now, and may ask again.
        return _away()


def _away() -> ChatAnswer:
    return ChatAnswer(
        _("Ce service ne répond pas pour le moment : rien n’est sûr. Réessayez dans un instant.")
    )


def _screen(talk: Talk, name: str, answer: ChatAnswer) -> Screen:
    rows = tuple(tuple(_button(talk, name, button) for button in row) for row in answer.rows)
    return Screen(screens.safe(answer.text, TEXT_CHARACTERS), rows)


def _button(talk: Talk, name: str, button: ChatButton) -> Button:
    if button.url:
        return Button(button.label, url=button.url)
    signed = talk.ctx.chat.sign(name, button.data, str(talk.incoming.chat_id))
    return tap(button.label, name, signed)
