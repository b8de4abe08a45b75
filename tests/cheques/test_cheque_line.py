"""The magnetic line and its key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.cheque_import.cmc7 import Cmc7Error, KeyState, Zones, read_line, rlmc
from plugins.cheque_import.records import ChequeRecord, Hasher

lines = st.text("0123456789", min_size=31, max_size=31)
delimiters = st.text("<:;= SI\"'-", min_size=1, max_size=4).filter(lambda t: "?" not in t)


def test_the_specification_s_example():
    assert rlmc("0001234" + "099999000015" + "012345678906") == "63"


@given(lines, delimiters, delimiters, delimiters)
def test_any_transcription_reads_the_same(digits, before, between, after):
    expected = read_line(digits)
    typed = before + digits[:7] + between + digits[7:19] + between + digits[19:] + after
    assert read_line(typed) == expected
    assert expected.zones.digits == digits
    assert expected.key is KeyState.ABSENT


@given(lines)
def test_the_key_recomposes_the_line(digits):
    assert int(digits + rlmc(digits)) % 97 == 0
    assert read_line(digits, f"({rlmc(digits)})").key is KeyState.GOOD


@given(lines, st.integers(0, 30), st.integers(1, 9))
def test_one_wrong_digit_is_always_seen_and_never_mended(digits, at, shift):
    wrong = digits[:at] + str((int(digits[at]) + shift) % 10) + digits[at + 1 :]
    read = read_line(wrong, rlmc(digits))
    assert read.key is KeyState.BAD
    assert read.zones.digits == wrong


@given(lines, st.integers(0, 29))
def test_two_neighbours_swapped_are_always_seen(digits, at):
    swapped = digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :]
    if swapped != digits:
        assert read_line(swapped, rlmc(digits)).key is KeyState.BAD


@given(lines, st.integers(0, 30))
def test_one_unread_digit_is_filled_from_the_key(digits, at):
    read = read_line(digits[:at] + "?" + digits[at + 1 :], rlmc(digits))
    assert read.zones.digits == digits
    assert read.key is KeyState.FILLED


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", ""),
        ("0001234", ""),
        ("0001234 099999000015", ""),
        ("001234 099999000015 012345678906", ""),
        ("0001234 099999000015 012345678906 000000005687", ""),
        ("?001234 099999000015 012345678906", ""),
        ("??01234 099999000015 012345678906", "63"),
        ("0001234 099999000015 012345678906", "98"),
        ("0001234 099999000015 012345678906", "00"),
        ("0001234 099999000015 012345678906", "x"),
        ("٠٠٠١٢٣٤ 099999000015 012345678906", ""),
    ],
)
def test_what_cannot_be_proven_is_refused_in_words(text, key):
    with pytest.raises(Cmc7Error, match=r"\w+ \w+"):
        read_line(text, key)


def record(digits: str, **changes) -> ChequeRecord:
    zones = Zones(digits[:7], digits[7:19], digits[19:])
    values = {"slip": "R1", "rank": 1, "amount": 5687, "number": digits[:7], "zones": zones}
    return ChequeRecord(**(values | changes))


@given(lines, lines)
def test_a_cheque_is_its_three_zones_wherever_it_stands(one, other):
    hasher = Hasher("k" * 32, "ville")
    key = hasher.natural_key(record(one), "CANTINE")
    assert hasher.natural_key(record(one, slip="R9", rank=7, amount=1), "GARDERIE") == key
    assert (hasher.natural_key(record(other), "CANTINE") == key) == (one == other)
    assert one[7:] not in key


@pytest.mark.parametrize(
    "other",
    [{"rank": 2}, {"slip": "R2"}, {"number": "7654321"}, {"issuer": "LEROY"}, {"amount": 1}],
)
def test_without_a_line_a_cheque_is_its_place_and_what_it_says(other):
    """Place alone once lost the next month's cheques, and rewrote another person's."""
    hasher = Hasher("k" * 32, "ville")
    digits = "0001234099999000015012345678906"
    one = record(digits, zones=None, issuer="M MARTIN")
    same = record(digits, zones=None, issuer=" m  Martin", slip="r1 ")
    key = hasher.natural_key(one, "CANTINE")
    assert hasher.natural_key(same, "CANTINE") == key
    assert hasher.natural_key(one, "GARDERIE") != key
    assert hasher.natural_key(replace(one, **other), "CANTINE") != key


def test_another_town_or_secret_changes_all():
    digits = "0001234099999000015012345678906"
    hasher = Hasher("k" * 32, "ville")
    for other in (Hasher("k" * 32, "bourg"), Hasher("l" * 32, "ville")):
        assert other.account(record(digits)) != hasher.account(record(digits))


def test_an_account_is_learned_from_no_line_or_a_false_one():
    hasher = Hasher("k" * 32, "ville")
    digits = "0001234099999000015012345678906"
    assert hasher.account(record(digits, zones=None)) == ""
    misread = record(digits[:-1] + "7", key=KeyState.BAD)
    assert hasher.account(misread) == ""
    assert hasher.account(record(digits)) in hasher.near_accounts(misread)
    assert hasher.account(record(digits)) in hasher.near_accounts(record(digits[:-1] + "7"))
    assert hasher.near_accounts(record(digits, key=KeyState.GOOD)) == frozenset()
