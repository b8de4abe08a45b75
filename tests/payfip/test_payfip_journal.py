"""The journal against our records."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.payfip.journal import (
    Comparison,
    Difference,
    DifferenceKind,
    JournalLine,
    OurPayment,
    compare,
    describe,
    read,
)

LINE = JournalLine(date(2026, 11, 24), "2018TS001000001", 5687, "P", "123456", 2)
OURS = OurPayment(1, "2018-TS-00-1000001", 5687, settled=True, authorisation="123456")


def kinds(lines: list[JournalLine], payments: list[OurPayment]) -> list[DifferenceKind]:
    return [one.kind for one in compare(lines, payments).differences]


def test_the_plain_file() -> None:
    journal = read(
        "Date;Référence de la dette;Montant;Résultat;N° autorisation\r\n"
        "24/11/2026;2018-TS-00-1000001;56,87;P;123456\r\n"
        "\r\n"
        "25/11/2026;PREAU2026112500000002;1 234,56 €;Refusé;\r\n".encode("cp1252"),
    )
    assert journal.problems == ()
    assert journal.lines == (
        LINE,
        JournalLine(date(2026, 11, 25), "PREAU2026112500000002", 123456, "R", "", 4),
    )
    assert [one.paid for one in journal.lines] == [True, False]


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_separators_and_encodings(separator: str, encoding: str) -> None:
    rows = [
        ["Régie périscolaire"],
        ["dattrans", "refdet", "montant", "resultrans", "numauto"],
        ["24112026", "2018TS001000001", "56.87", "p", "123456"],
    ]
    text = "\n".join(separator.join(row) for row in rows)
    assert read(text.encode(encoding)).lines == (replace(LINE, line=3),)


def test_what_cannot_be_read_says_where() -> None:
    journal = read(
        b"date;refdet;montant;resultat\n"
        b"31/02/2026;A;1,00;P\n"
        b"24/11/2026;\xc3\xa9;1,00;P\n"
        b"24/11/2026;A;1.2345;P\n"
        b"24/11/2026;A;1,00;peut-etre\n"
        b"24/11/2026\n",
        "journal.csv",
    )
    assert journal.lines == ()
    assert [(one.line, one.column) for one in journal.problems] == [
        (2, "date"), (3, "refdet"), (4, "amount"), (5, "result"), (6, "refdet"),
    ]  # fmt: skip
    assert {one.file for one in journal.problems} == {"journal.csv"}


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"a;b;c\n1;2;3", b"%PDF-1.7"])
def test_another_file_is_a_problem_not_a_crash(content: bytes) -> None:
    journal = read(content)
    assert journal.lines == ()
    assert journal.problems


@given(st.binary(max_size=300))
def test_noise_never_raises(content: bytes) -> None:
    read(content)
    read(b"date;refdet;montant;resultat\n" + content)


def test_agreement() -> None:
    assert compare([LINE], [OURS]) == Comparison(agreed=1, agreed_amount=5687)
    # Our record of a debit has no authorisation number: nothing to disagree on.
    assert kinds([LINE], [replace(OURS, authorisation="")]) == []


def test_each_difference_has_its_name() -> None:
    k = DifferenceKind
    unsettled = replace(OURS, settled=False)
    back = replace(unsettled, reversed=True)
    assert kinds([LINE], []) == [k.UNKNOWN_HERE]
    assert kinds([LINE], [unsettled]) == [k.PAID_NOT_HERE]
    assert kinds([], [OURS]) == [k.SETTLED_NOT_THERE]
    assert kinds([replace(LINE, result="R")], [OURS]) == [k.SETTLED_NOT_THERE]
    assert kinds([replace(LINE, amount=5688)], [OURS]) == [k.AMOUNT]
    assert kinds([replace(LINE, authorisation="654321")], [OURS]) == [k.AUTHORISATION]
    assert kinds([LINE, replace(LINE, authorisation="2")], [OURS]) == [k.PAID_TWICE]
    assert kinds([LINE], [back]) == [k.REVERSED_HERE]
    assert kinds([], [unsettled]) == []
    assert kinds([replace(LINE, result="A")], []) == []


def test_a_second_attempt_that_was_also_paid() -> None:
    second = replace(OURS, payment_id=2, settled=False, authorisation="")
    found = compare([LINE, replace(LINE, authorisation="7", line=3)], [OURS, second])
    assert found.agreed == 1
    assert found.differences == (
        Difference(
            DifferenceKind.PAID_NOT_HERE,
            LINE.refdet,
            replace(LINE, authorisation="7", line=3),
            second,
        ),
    )


def test_attempts_of_one_reference_are_paired_by_authorisation() -> None:
    other = replace(OURS, payment_id=2, amount=1000, authorisation="9")
    lines = [replace(LINE, amount=1000, authorisation="9"), LINE]
    assert compare(lines, [OURS, other]).agreed == 2


payments = st.lists(
    st.builds(
        OurPayment,
        st.integers(1, 99),
        st.sampled_from("ABC"),
        st.integers(1, 3),
        settled=st.booleans(),
        authorisation=st.sampled_from(["", "1", "2"]),
    ),
    max_size=6,
)
lines = st.lists(
    st.builds(
        JournalLine,
        st.just(date(2026, 1, 1)),
        st.sampled_from("ABC"),
        st.integers(1, 3),
        st.sampled_from("PVRA"),
        st.sampled_from(["", "1", "2"]),
    ),
    max_size=6,
)


@given(lines, payments)
def test_every_euro_is_in_the_report_once(lines, payments) -> None:
    found = compare(lines, payments)
    told = [one for one in found.differences if one.line is not None]
    assert found.agreed + len(told) == sum(line.paid for line in lines)
    ours = [one for one in found.differences if one.payment is not None and one.payment.settled]
    assert found.agreed + len(ours) == sum(payment.settled for payment in payments)


@pytest.mark.parametrize("kind", list(DifferenceKind))
def test_every_difference_is_explained(kind: DifferenceKind) -> None:
    assert describe(kind).endswith(".")
