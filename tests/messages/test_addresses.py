"""Addresses as they are typed, configured, and as they leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.addresses import (
    AccentsError,
    AddressError,
    configured,
    leaving,
    typed,
)


@pytest.mark.parametrize(
    ("text", "stored", "left"),
    [
        ("camille@exemple.fr", "camille@exemple.fr", "camille@exemple.fr"),
        ("camille@école.fr", "camille@école.fr", "camille@xn--cole-9oa.fr"),
        ("camille@xn--cole-9oa.fr", "camille@école.fr", "camille@xn--cole-9oa.fr"),
        ("camille@e\u0301cole.fr", "camille@école.fr", "camille@xn--cole-9oa.fr"),
        ("camille@ÉCOLE.FR", "camille@école.fr", "camille@xn--cole-9oa.fr"),
        ("\ufeffcamille\u200b@exemple\u200d.fr\u00a0", "camille@exemple.fr", "camille@exemple.fr"),
        ("ca\u00admille@exemple.fr\u2060\u200e", "camille@exemple.fr", "camille@exemple.fr"),
        ("camille@exemple.fr\ufe0f\t", "camille@exemple.fr", "camille@exemple.fr"),
    ],
)
def test_what_is_typed_and_what_leaves(text, stored, left):
    assert typed(text) == stored
    assert leaving(stored) == left
    assert leaving(text).casefold() == left


@pytest.mark.parametrize("text", ["hélène@exemple.fr", "é@école.fr", "камила@exemple.fr"])
def test_accents_before_the_at_are_told_apart(text):
    for read in (typed, leaving):
        with pytest.raises(AccentsError):
            read(text)


@pytest.mark.parametrize(
    "text",
    ["", "camille", "@exemple.fr", "a@b", "a b@exemple.fr", "é", "a@é..fr", "ca\u00a0mille@exemple.fr", "a" * 65 + "@exemple.fr"],
)
def test_what_is_no_address(text):
    with pytest.raises(AddressError) as found:
        typed(text)
    assert not isinstance(found.value, AccentsError)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", ""),
        ("ne-pas-repondre@localhost", "ne-pas-repondre@localhost"),
        ("régie@", None),
        ("régie@ville.fr", None),
        ("regie@école.fr", "regie@école.fr"),
        ("\u200bregie@ville.fr", "regie@ville.fr"),
        ("Régie <regie@ville.fr>", "Régie <regie@ville.fr>"),
        ("nobody", None),
    ],
)
def test_what_is_configured(text, read):
    if read is None:
        with pytest.raises(ValueError, match=r"e-mail|letters"):
            configured(text)
    else:
        assert configured(text) == read


@given(st.text())
def test_what_was_typed_can_leave(text):
    try:
        stored = typed(text)
    except AddressError:
        return
    assert leaving(stored).isascii()
    assert leaving(leaving(stored)) == leaving(stored)
