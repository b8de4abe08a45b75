"""Only writing is forgiven: what an answer means is never changed by how it is compared."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from plugins.payfip.weighing import cents, same

PLAIN = "0123456789AZaz"
ODD = PLAIN + " -\u00a0\u202f\t._/+,É１٥"


@given(st.text(alphabet=ODD, max_size=14))
@example("5 687")
@example("56 87")
@example("5687.00")
def test_an_amount_is_its_digits_or_nothing(text: str) -> None:
    found = cents(text)
    groups = re.split("[ \u00a0\u202f\t]", text)
    whole = all(re.fullmatch("[0-9]+", group) for group in groups)
    thousands = all(len(group) == 3 for group in groups[1:])
    readable = whole and (len(groups) == 1 or (thousands and len(groups[0]) <= 3))
    assert found == (int("".join(groups)) if readable else None)


@given(st.text(alphabet=PLAIN, min_size=1, max_size=30), st.text(alphabet=ODD, max_size=34))
@example("ABCDEF", "abcdef")
@example("ABCDEF", "AB-CD EF")
@example("ABCDEF", "ABCDE")
def test_references_are_the_same_by_their_letters_and_digits(asked: str, answered: str) -> None:
    bare = re.sub("[ \u00a0\u202f\t-]", "", answered)
    assert same("refdet", asked, answered) == (bare.upper() == asked.upper() and bare.isascii())


@given(st.from_regex(r"[0-9]{6}", fullmatch=True), st.text(alphabet=ODD, max_size=8))
@example("006382", "6382")
@example("006382", "63820")
def test_client_numbers_are_numbers_of_six_digits(asked: str, answered: str) -> None:
    digits = re.fullmatch("[0-9]{1,6}", answered) is not None
    assert same("numcli", asked, answered) == (digits and int(answered) == int(asked))


@given(st.sampled_from(["numcli", "refdet", "saisie", "idOp"]), st.text(alphabet=PLAIN, max_size=9))
def test_what_is_not_there_is_never_the_same(name: str, text: str) -> None:
    assert not same(name, text, "")
    assert not same(name, "", text)
