"""The contract of a plugin's own kind of message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.api.messages import MessageKind, Notification, Wording
from core.messages.kinds import sound
from core.platform import i18n
from core.platform.plugins.discovery import discovered


class MessageKindContract:
    """Rules that core relies on when it sends a plugin's messages."""

    languages = ("fr", "en")

    @pytest.fixture(autouse=True)
    def catalogues(self) -> None:
        """Words of all that is installed, as a process has them that serves."""
        discovered()

    @pytest.fixture
    def kind(self) -> MessageKind:
        """The kind of message under test. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def notification(self) -> Notification:
        """A message that there is something to say in. Override it."""
        raise NotImplementedError

    def test_it_has_a_name_and_words_for_lists(self, kind: MessageKind) -> None:
        """The key is a name; the label is words in each language."""
        assert kind.key.isascii()
        assert kind.key.isidentifier()
        for language in self.languages:
            with i18n.use(language):
                assert 0 < len(kind.label) <= 80

    def test_its_words_are_sound_in_each_language(
        self, kind: MessageKind, notification: Notification
    ) -> None:
        """A message says something, in the language of its family."""
        said = {}
        for language in self.languages:
            with i18n.use(language):
                wording = kind.write(notification)
            assert isinstance(wording, Wording)
            assert sound(wording) == wording
            said[language] = wording.text
        assert len(set(said.values())) == len(self.languages), "the words are not translated"

    def test_the_same_message_has_the_same_words(
        self, kind: MessageKind, notification: Notification
    ) -> None:
        """A message that leaves again is the same one."""
        assert kind.write(notification) == kind.write(notification)

    def test_a_family_that_is_gone_is_no_fault(
        self, kind: MessageKind, notification: Notification
    ) -> None:
        """Between the wish and the message, a family may be erased."""
        wording = kind.write(replace(notification, family_id=0))
        assert wording is None or isinstance(wording, Wording)


__all__ = ["MessageKindContract"]
