"""Whatever people write, PayFiP is sent what it takes, or nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.payfip import fields
from plugins.payfip.fields import FieldError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L’école d'Évry – goûter nº 3", "L ecole d Evry gouter no 3"),
        ("Œuvre & cœur", "OEuvre coeur"),
        ("CANTINE  (10/2018)", "CANTINE 10 2018"),
        ("à 5 €", "a 5 euros"),
        ("ﬁn ½", "fin 1 2"),
        ("汉字", ""),
        ("x" * 99 + " yz", "x" * 99),
    ],
)
def test_object_is_made_plain(text: str, expected: str) -> None:
    assert fields.objet(text) == expected


@given(st.text(max_size=300))
def test_any_object_is_acceptable_and_stable(text: str) -> None:
    made = fields.objet(text)
    assert re.fullmatch(r"[A-Za-z0-9 ]{0,100}", made)
    assert made == made.strip()
    assert fields.objet(made) == made


@given(st.text(max_size=60))
def test_a_reference_keeps_every_letter_and_digit_or_is_refused(text: str) -> None:
    try:
        made = fields.refdet(text)
    except FieldError:
        return
    assert re.fullmatch(r"[A-Za-z0-9]{6,30}", made)
    assert made == "".join(char for char in text if char.isascii() and char.isalnum())
    # Nothing that carries meaning was dropped: what is gone is only separators.
    assert not any(char.isalnum() and not char.isascii() for char in text)


@pytest.mark.parametrize("printed", ["2012-TS-00-3000314", "2012 TS 00 3000314", "2012–TS–00–3000314"])
def test_a_printed_reference_loses_its_dashes(printed: str) -> None:
    assert fields.refdet(printed) == "2012TS003000314"


@given(st.text(alphabet="AZaz09 -.\u2011/_é°１", max_size=45))
def test_what_is_said_to_be_a_reference_is_one(text: str) -> None:
    if fields.is_refdet(text):
        assert re.fullmatch(r"[A-Za-z0-9]{6,30}", fields.refdet(text))
    else:
        with pytest.raises(FieldError):
            fields.refdet(text)


# The recorded service refuses ABCD (R3) and lets ABCDEF pass.
@pytest.mark.parametrize(
    "wrong",
    ["", "---", "É2012A", "x" * 31, "12;3456", "１２３４５６", "A", "ABCD", "A-B-C-D-E", "N°2026/12"],
)
def test_a_reference_that_would_have_to_be_changed_is_refused(wrong: str) -> None:
    with pytest.raises(FieldError) as caught:
        fields.refdet(wrong)
    assert caught.value.field == "refdet"


@given(st.integers(min_value=fields.MIN_CENTS, max_value=fields.MAX_CENTS))
def test_amounts_are_integer_cents(cents: int) -> None:
    assert int(fields.montant(cents)) == cents
    assert re.fullmatch(r"[0-9]{3,8}", fields.montant(cents))


@pytest.mark.parametrize("cents", [-5687, 0, 99, 10_000_001])
def test_amounts_beyond_the_limits_are_refused(cents: int) -> None:
    with pytest.raises(FieldError):
        fields.montant(cents)


@pytest.mark.parametrize("value", [56.87, 5687.0, True, "5687"])
def test_no_float_ever_becomes_an_amount(value: object) -> None:
    with pytest.raises(TypeError):
        fields.montant(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["a@b.fr", " parent@exemple.fr ", "x" * 69 + "@exemple.fr"])
def test_addresses_that_pass(address: str) -> None:
    assert fields.mel(address) == address.strip()


@pytest.mark.parametrize(
    "address",
    ["", "a@b.f", "parent", "a@b.fr, c@d.fr", "é@exemple.fr", "x" * 70 + "@exemple.fr", "a b@c.fr"],
)
def test_addresses_that_do_not(address: str) -> None:
    with pytest.raises(FieldError):
        fields.mel(address)


@pytest.mark.parametrize(
    "address", ["", "/retour", "ftp://x/y", "http://", "https://été.fr/", "https://x/a b", "javascript:1"]
)
def test_urls_must_be_absolute_and_plain(address: str) -> None:
    with pytest.raises(FieldError) as caught:
        fields.url("urlnotif", address)
    assert caught.value.field == "urlnotif"


@pytest.mark.parametrize("number", ["", "12345", "1234567", "12345a", "１２３４５６"])
def test_client_numbers_have_six_digits(number: str) -> None:
    with pytest.raises(FieldError):
        fields.numcli(number)


def test_fiscal_years_have_four_digits() -> None:
    assert fields.exer(2026) == "2026"
    for year in (26, 1999, 20260):
        with pytest.raises(FieldError):
            fields.exer(year)
