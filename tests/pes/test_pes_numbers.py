"""One debt, one number, through the years."""

from __future__ import annotations

from itertools import product

import pytest
from pes_writing import line, pes, piece, slip, write

from core.plugin import InvoiceKind, SourceFile
from plugins.pes_recette import PesSettings
from plugins.pes_recette.source import PesSource


@pytest.fixture
def number(tmp_path):
    def reading(made, kind="06", budget="00", **more):
        content = pes(slip(made, total="41.60", kind=kind, **more))
        content = content.replace('<CodBud V="00"/>', f'<CodBud V="{budget}"/>')
        path = write(tmp_path, content)
        (found,) = PesSource(PesSettings(regie="CANTINE")).read(SourceFile(path, "f.xml", 0))
        return found.number

    return reading


def test_debts_of_one_number_are_told_apart_by_year_and_period(number):
    found = {
        number(piece(line(), NumeroFacture=given, Per=period), Exer=year)
        for year, period, given in product(("2025", "2026"), ("1", "2", ""), ("",))
    }
    assert len(found) == 6


@pytest.mark.parametrize("given", ["314", "000314"])
def test_an_issuer_s_number_that_is_the_debt_s_tells_no_more_than_it(number, given):
    """Noethysweb writes one number into both, and of the month its first digit."""
    made = piece(line(), NumeroFacture=given)
    assert number(made) == number(piece(line(), NumeroFacture=""))
    assert number(made, Exer="2025") != number(made)


@pytest.mark.parametrize(
    ("given", "year", "expected"),
    [
        ("2026-010-000314", "2026", "2026-010-000314"), ("FA314", "2026", "2026-FA314"),
        ("FA314", "2025", "2025-FA314"), ("12026", "2026", "2026-12026"),
    ],
)  # fmt: skip
def test_an_issuer_s_own_number_is_kept_behind_its_year(number, given, year, expected):
    assert number(piece(line(), NumeroFacture=given), Exer=year) == expected


def test_zeros_before_a_debt_are_no_other_debt(number):
    made = [piece(line(), NumeroFacture="", NumDette=debt) for debt in ("314", "000314")]
    assert number(made[0]) == number(made[1])


def test_series_of_slips_and_budgets_are_apart(number):
    """Each kind of slip and each budget counts from 1."""
    bare = {"NumDette": "", "NumeroFacture": "", "IdPce": "12"}
    found = [
        number(piece(line(), kind=kind, NatPce=nature, **bare), kind=bord, budget=budget)
        for bord, kind, nature in (("01", "01", "01"), ("02", "02", "06"), ("03", "12", "01"),
                                   ("06", "15", "01"))
        for budget in ("00", "02")
    ]  # fmt: skip
    debt = piece(line(), NumeroFacture="", NumDette="12", Per="42")
    assert len({*found, number(debt)}) == 9


def test_a_credit_note_never_takes_the_number_of_what_it_corrects(tmp_path):
    """It may name the invoice's number or debt in the same places as the invoice does."""
    titre = piece(line())
    back = piece(line(), kind="02", NatPce="06")
    slips = slip(titre, total="41.60"), slip(back, total="41.60", kind="02", IdBord="3")
    path = write(tmp_path, pes(*slips))
    invoice, note = PesSource(PesSettings(regie="CANTINE")).read(SourceFile(path, "f.xml", 0))
    assert (invoice.kind, note.kind) == (InvoiceKind.INVOICE, InvoiceKind.CREDIT_NOTE)
    assert invoice.number != note.number
    assert note.payment_reference == ""


@pytest.mark.parametrize(
    ("said", "former"),
    [
        ({"NumeroFacture": ""}, ("314",)),
        ({"NumeroFacture": "314"}, ("314",)),
        ({"NumeroFacture": "FA314"}, ("FA314",)),
        ({"NumeroFacture": "2026-010-000314"}, ()),
        ({"NumeroFacture": "", "NumDette": ""}, ("2026-42-9314",)),
    ],
)
def test_numbers_of_earlier_versions_are_said(tmp_path, said, former):
    """So that a file that was imported then changes nothing, and no family is asked twice."""
    path = write(tmp_path, pes(slip(piece(line(), **said), total="41.60")))
    (found,) = PesSource(PesSettings(regie="CANTINE")).read(SourceFile(path, "f.xml", 0))
    assert found.former_numbers == former
