"""The magnetic line and its key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugin import UserError
from plugins.cheque_import import coupon, keyboard
from plugins.cheque_import.cmc7 import Cmc7Error, KeyState, Zones, read_line, rlmc
from plugins.cheque_import.matcher.normalise import bare, check_character
from plugins.cheque_import.records import DOUBTED, ChequeRecord, Hasher

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
        ("0001234 099999000015 012345678906 00000005687", ""),
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
    # A key that proves the line: only what a false key was said of before may be this account.
    proven = hasher.near_accounts(record(digits, key=KeyState.GOOD))
    assert all(one.startswith(DOUBTED) for one in proven)
    assert hasher.doubted(misread) in proven & hasher.near_accounts(misread)
    assert hasher.doubted(record(digits)) == hasher.doubted(record(digits, key=KeyState.GOOD)) == ""


# --- Readers as they are ------------------------------------------------------------------------

WHOLE = "0001234099999000015012345678906"


@pytest.mark.parametrize(
    "typed",
    [
        "A0001234A099999000015C012345678906B",
        "<0001234<099999000015:012345678906;",
        "<0001234<099999000015:012345678906;000000005687>",
        "0001234 099999000015 012345678906 000000005687",
        WHOLE + "000000005687",
        "0001234 0999 9900 0015 0123 4567 8906",
        "D0001234D099999000015E012345678906",
        "⑆0001234⑆ 099999000015⑈ 012345678906",
    ],
)
def test_a_reader_s_own_transcription_is_read(typed):
    assert read_line(typed).zones.digits == WHOLE


ZONES = ("0001234", "099999000015", "012345678906")


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("<%s<%s:%s;000000005687: (63)", KeyState.GOOD),
        ("<%s<%s:%s;000000005687:63", KeyState.GOOD),
        ("%s %s %s 000000005687 63", KeyState.GOOD),
        ("%s%s%s63", KeyState.GOOD),
        ("%s%s%s00000000568763", KeyState.GOOD),
        ("%s%s%s000000005687", KeyState.ABSENT),
        # The question mark is one of the signs that readers end a zone with.
        ("?%s?%s?%s?", KeyState.ABSENT),
        ("%s?%s?%s? (63)", KeyState.GOOD),
        ("<%s<%s:%s;            :", KeyState.ABSENT),
        ("\x02<%s<%s:%s;\x03\r\n", KeyState.ABSENT),
        ("\u2446%s\u2446%s\u2448%s\u2449", KeyState.ABSENT),
    ],
)
def test_what_stands_behind_the_zones_and_between_them_differs_with_the_reader(typed, key):
    read = read_line(typed % ZONES)
    assert (read.zones.digits, read.key) == ("".join(ZONES), key)


@pytest.mark.parametrize("sign", "*@#!_?")
@given(lines, st.integers(0, 30))
def test_a_digit_that_was_not_read_has_many_signs(sign, digits, at):
    unread = digits[:at] + sign + digits[at + 1 :]
    line = f"<{unread[:7]}<{unread[7:19]}:{unread[19:]};"
    read = read_line(line, rlmc(digits))
    assert (read.zones.digits, read.key) == (digits, KeyState.FILLED)
    with pytest.raises(Cmc7Error):
        read_line(line)


def test_the_key_may_stand_behind_the_zones():
    assert read_line("0001234 099999000015 012345678906 63").key is KeyState.GOOD
    assert read_line("<0001234<099999000015:012345678906; (64)").key is KeyState.BAD


TYPED_FR = {  # the American key of each sign, and what a French machine writes for it
    **dict(zip("1234567890", "&é\"'(-è_çà", strict=True)), "<": ".", ":": "M", ";": "m", " ": " ",
    "|": "µ", "-": ")", "(": "9", ")": "0", ">": "/", "?": "§", "*": "8", "$": "4", "=": "=",
    **dict(zip("QAWZM", "AQZW?", strict=True)), **dict(zip("qawzm", "aqzw,", strict=True)),
}  # fmt: skip


def french(text):
    return "".join(TYPED_FR.get(sign, sign) for sign in text)


@given(lines, st.sampled_from(["<{}<{}:{};", "{} {} {}", "{}{}{}", "<{}<{}:{};>"]))
def test_an_american_scanner_on_a_french_machine_is_understood(digits, written):
    typed = french(written.format(digits[:7], digits[7:19], digits[19:]))
    assert typed != digits
    assert read_line(typed).zones.digits == digits
    assert read_line(typed, rlmc(digits)).key is KeyState.GOOD


@pytest.mark.parametrize("number", ["2025-010-000042", "FAC_2025/7", "MAZWQ-12345", "2026|11 A"])
def test_a_coupon_that_an_american_scanner_typed_is_understood(number):
    check = check_character(bare(number))
    text = f"mazwq|CANTINE|{number}|{check}|5687"
    # The key of a tilde writes nothing there.
    found = coupon.read(keyboard_of(text).replace("~", ""), town="mazwq", regie="CANTINE")
    assert found == coupon.read(text, town="mazwq", regie="CANTINE")


def keyboard_of(text):
    meant = {keyboard.meant(sign): sign for sign in "²&é\"'(-è_çà)=1234567890°+azertyuiop$qsdfghjklmù*"
             "wxcvbn,;:!AZERTYUIOP£QSDFGHJKLM%µWXCVBN?./§"}  # fmt: skip
    return "".join(meant.get(sign, sign) for sign in text)


def test_the_two_layouts_map_one_to_one():
    signs = "²&é\"'(-è_çà)=1234567890°+azertyuiop$qsdfghjklmù*wxcvbn,;:!AZERTYUIOP£QSDFGHJKLM%µWXCVBN?./§"
    assert len({keyboard.meant(sign) for sign in signs}) == len(signs)
    assert all(keyboard.meant(typed) == us for us, typed in TYPED_FR.items())


@pytest.mark.parametrize("digits", ["1234567", "12345678901234567890123456789"])
def test_what_cannot_be_undone_names_the_keyboard(digits):
    with pytest.raises(Cmc7Error, match="QWERTY"):
        read_line(french(digits))
    with pytest.raises(UserError, match="QWERTY"):
        coupon.read(french(f"ville|CANTINE|{digits}|0|1"), town="ville", regie="CANTINE")
    with pytest.raises(Cmc7Error) as plain:
        read_line("1234567")
    assert "QWERTY" not in str(plain.value)
