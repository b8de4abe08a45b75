"""Passwords that everybody tries first are refused; how a password is made up is nobody's business."""

from __future__ import annotations

import pytest
from argon2 import extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from core.api.errors import UserError
from core.platform import passwords
from core.platform.passwords import NOBODY, hash_password, verify_password
from core.testing.portal import real_hashes

ABOUT = ("camille.durand@exemple.fr", "saint-cloud")


@pytest.mark.parametrize("password", [
    "1q2w3e4r5t", "1234567890", "Qwertyuiop", "sonyericsson",
    "Motdepasse2026!", "cantine-2026", "CANTINE2026", "régisseur01", "azertyuiop123", "préau2026!!",
    "Saint-Cloud92210", "saintcloud2026", "durand123456", "Camille.Durand", "0000000000", "cantinecantine",
])  # fmt: skip
def test_what_is_tried_first_is_refused(password):
    with pytest.raises(UserError):
        hash_password(password, minimum=10, about=ABOUT)


@pytest.mark.parametrize("password", [
    "correct cheval pile", "a long password", "héron cendré au bord", "xK7-mP2-rT9-v", "x" * 3 + "yzéàç œuf",
    "le chat de camille dort", "p" * 60 + "q" * 4,
])  # fmt: skip
def test_any_characters_will_do(password):
    kept = hash_password(password, minimum=10, about=ABOUT)
    assert verify_password(kept, password)
    for other in (password + " ", password.upper(), password[:-1], " " + password):
        assert not verify_password(kept, other), "checked as it was typed, and whole"


@given(st.text(max_size=9))
def test_short_ones_are_refused_whatever_they_are(password):
    with pytest.raises(UserError):
        hash_password(password, minimum=10)


@given(st.text(min_size=10, max_size=200), st.text(max_size=30))
def test_no_password_is_an_error_of_ours(password, about):
    try:
        kept = hash_password(password, minimum=10, about=(about,))
    except UserError:
        return
    assert verify_password(kept, password)


def test_a_guess_costs_what_owasp_asks_for():
    with real_hashes():
        kept = hash_password("héron cendré au bord", minimum=10)
        cost = dict(passwords.COST)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert cost == {"time_cost": 2, "memory_cost": 19_456, "parallelism": 1}


def test_a_guess_at_nobody_s_password_costs_as_much():
    with real_hashes():
        kept = hash_password("héron cendré au bord", minimum=10)
    assert extract_parameters(NOBODY) == extract_parameters(kept)
    assert not verify_password(NOBODY, "héron cendré au bord")
