"""Plugins speak the languages of their catalogues, in whatever process they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.api.messages import Notification, Wording
from core.platform import i18n
from core.platform.plugins.discovery import Extensions, discovered
from core.testing.conformance import MessageKindContract
from plugins.planning import plugin

WORDS = "Inscriptions nouvelles"


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have no catalogues but core's, as a process has that has looked for no plugin yet."""
    monkeypatch.setattr(i18n, "_directories", [i18n.DIRECTORY])
    i18n.translations.cache_clear()
    discovered.cache_clear()
    yield
    i18n.translations.cache_clear()


def test_who_makes_extensions_of_plugins_has_their_words() -> None:
    """A test's portal is given plugins; only the process that made the cluster had looked for them."""
    with i18n.use("en"):
        assert i18n.gettext(WORDS) == WORDS
        Extensions({"planning": plugin})
        assert i18n.gettext(WORDS) == "New enrolments"


class _Enrolled:
    key = "enrolled"

    @property
    def label(self) -> str:
        return i18n.gettext(WORDS)

    def write(self, _notification: Notification) -> Wording:
        return Wording(self.label, self.label)


class TestAuthorsWhoNeedNoTown(MessageKindContract):
    """An author's fixture makes the object under test by itself; its words are there all the same."""

    @pytest.fixture
    def kind(self) -> _Enrolled:
        return _Enrolled()

    @pytest.fixture
    def notification(self) -> Notification:
        return Notification("1", 1, {})
