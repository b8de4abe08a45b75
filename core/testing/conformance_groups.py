"""The contract of a plugin's group of families."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from core.api.groups import FamilyGroup
from core.platform import i18n
from core.platform.plugins.discovery import discovered, fields_of


class FamilyGroupContract:
    """Rules that core relies on when an agent writes to a plugin's group."""

    languages = ("fr", "en")

    @pytest.fixture(autouse=True)
    def catalogues(self) -> None:
        """Words of all that is installed, as a process has them that serves."""
        discovered()

    @pytest.fixture
    def group(self) -> FamilyGroup:
        """The group under test, in a town where it means somebody. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def chosen(self) -> Mapping[str, str]:
        """A choice of its fields that means at least one family. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def nobody(self) -> Mapping[str, str]:
        """A choice of its fields that means no family. Override it."""
        raise NotImplementedError

    def test_it_has_a_name_and_words_in_each_language(self, group: FamilyGroup) -> None:
        """The key is a name; labels and fields are words in each language."""
        assert group.key.isascii()
        assert group.key.isidentifier()
        labels = set()
        for language in self.languages:
            with i18n.use(language):
                assert 0 < len(group.label) <= 80
                fields_of(group)
                labels.add(group.label)
        assert len(labels) == len(self.languages), "the label is not translated"

    def test_a_choice_is_one_that_its_fields_offer(
        self, group: FamilyGroup, chosen: Mapping[str, str]
    ) -> None:
        """The agent can choose what the tests choose."""
        for field in fields_of(group):
            value = chosen.get(field.key, "")
            assert value or field.is_optional
            if value and field.choices:
                assert value in dict(field.choices)

    def test_it_means_families_by_number_and_says_which(
        self, group: FamilyGroup, chosen: Mapping[str, str]
    ) -> None:
        """Numbers are whole; the same choice means the same families, in words of each language."""
        found = group.families(chosen)
        assert found
        assert all(type(number) is int and number > 0 for number in found)
        assert set(found) == set(group.families(chosen))
        said = set()
        for language in self.languages:
            with i18n.use(language):
                words = group.describe(chosen)
            assert 0 < len(words) <= 300
            said.add(words)
        assert len(said) == len(self.languages), "the words are not translated"

    def test_what_means_nobody_is_no_fault(
        self, group: FamilyGroup, nobody: Mapping[str, str]
    ) -> None:
        """An empty group is empty, and has its words."""
        assert not group.families(nobody)
        assert group.describe(nobody)


__all__ = ["FamilyGroupContract"]
