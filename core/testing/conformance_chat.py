"""The contract of a plugin's skill for chats."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from core.api.chat import ChatAnswer, ChatPress, ChatQuestion, ChatSkill
from core.platform.plugins.chat import sound
from core.platform.plugins.discovery import rules_of

TODAY = date(2026, 3, 10)
OTHER_FAMILY = 999_999_999


class ChatSkillContract:
    """Rules that a chat relies on when it asks a skill."""

    said: tuple[str, ...] = ()
    """Texts that the skill answers, with a button each. Override it."""

    @pytest.fixture
    def skill(self) -> ChatSkill:
        """The skill under test. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def families(self) -> tuple[int, ...]:
        """The families of a chat that `said` concerns. Override it."""
        raise NotImplementedError

    def question(self, words: str, families: tuple[int, ...]) -> ChatQuestion:
        """Question that a chat makes of words; override it if the skill reads more."""
        tomorrow = TODAY + timedelta(days=1)
        return ChatQuestion(
            words, tuple(words.casefold().split()), "", families, "fr", TODAY, (tomorrow, tomorrow)
        )

    def test_its_rules_are_plain_phrases(self, skill: ChatSkill) -> None:
        """Rules are words, no patterns."""
        assert rules_of(skill)
        assert skill.label.strip()

    def test_its_answers_can_be_shown(self, skill: ChatSkill, families: tuple[int, ...]) -> None:
        """Answers have words, and buttons that every chat takes."""
        assert self.said
        for words in self.said:
            answer = skill.answer(self.question(words, families))
            assert isinstance(answer, ChatAnswer)
            assert sound("plugin.skill", answer) == answer

    def test_any_text_is_answered_or_left(
        self, skill: ChatSkill, families: tuple[int, ...]
    ) -> None:
        """No text is a fault."""
        for words in ("", "?", "x" * 1000, "🍎", "1234567890 " * 20, "<b>' OR 1=1 --"):
            answer = skill.answer(self.question(words, families))
            assert answer is None or isinstance(answer, ChatAnswer)

    def test_a_press_repeats_and_acts_for_its_own_families_only(
        self, skill: ChatSkill, families: tuple[int, ...]
    ) -> None:
        """A button may be pressed twice, or in a chat that sees other families meanwhile."""
        for words in self.said:
            answer = skill.answer(self.question(words, families))
            assert answer is not None
            for button in (button for row in answer.rows for button in row if button.data):
                for family_ids in (families, families, (OTHER_FAMILY,), ()):
                    press = ChatPress(button.data, f"key-{button.data}", family_ids, "fr", TODAY)
                    assert sound("plugin.skill", skill.press(press)).text

    def test_data_that_it_never_gave_is_answered_in_words(
        self, skill: ChatSkill, families: tuple[int, ...]
    ) -> None:
        """A button of an earlier version of the plugin is pressed after an upgrade."""
        for data in ("", "x", "0", "-1", "1:2:3:4", "9" * 30):
            assert isinstance(
                skill.press(ChatPress(data, f"key-{data}", families, "fr", TODAY)), ChatAnswer
            )


__all__ = ["ChatSkillContract"]
