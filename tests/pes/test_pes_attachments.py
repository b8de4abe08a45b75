"""A PDF is shown to the one whose invoice it is, and to nobody else."""

from __future__ import annotations

import pytest
from pes_writing import attachment, line, pes, piece, refers_to, slip, write

from core.plugin import InvoiceRecord, SourceFile, SourceProblem
from plugins.pes_recette import PesSettings
from plugins.pes_recette.source import PesSource

PDF, OTHER = b"%PDF-1.7\nfacture\n%%EOF\n", b"%PDF-1.7\nautre\n%%EOF\n"
PETIT = {"RefTiers": "F00007", "Nom": "PETIT", "Prenom": "ANNE"}


@pytest.fixture
def shown(tmp_path):
    """What each family is shown."""

    def reading(*pieces, files, total, kind="06"):
        path = write(tmp_path, pes(slip(*pieces, total=total, kind=kind), attachments=files))
        found = list(PesSource(PesSettings(regie="CANTINE")).read(SourceFile(path, "f.xml", 0)))
        assert not [one for one in found if isinstance(one, SourceProblem)], found
        return [
            (one.family_code, one.document and one.document.read())
            for one in found
            if isinstance(one, InvoiceRecord)
        ]

    return reading


@pytest.mark.parametrize("kind", ["010", "007", "10", "7"])
def test_the_debtor_s_own_invoice_is_shown(shown, kind):
    files = [attachment("A", PDF, kind=kind)]
    assert shown(piece(line(), inside=refers_to("A")), files=files, total="41.60") == [
        ("F01207", PDF)
    ]


@pytest.mark.parametrize("kind", ["001", "002", "003", "006", "008", "011", "012", "", "999"])
def test_other_kinds_of_attachments_are_never_an_invoice(shown, kind):
    """A justification may list all debtors of a titre, a leaflet is nobody's invoice."""
    files = [attachment("A", PDF, kind=kind)]
    assert shown(piece(line(), inside=refers_to("A")), files=files, total="41.60") == [
        ("F01207", None)
    ]


def test_the_better_kind_is_taken_whatever_the_order(shown):
    files = [attachment("A", OTHER, kind="007"), attachment("B", PDF, kind="010")]
    inside = refers_to("A") + refers_to("B")
    assert shown(piece(line(), inside=inside), files=files, total="41.60") == [("F01207", PDF)]


def two(first, second, **more):
    return (
        piece(line(), number=1, inside=first),
        piece(line(debtor=PETIT), number=2, inside=second, **more),
    )


def test_what_two_debtors_cite_is_shown_to_neither(shown):
    files = [attachment("A", PDF)]
    pieces = two(refers_to("A"), refers_to("A"))
    assert shown(*pieces, files=files, total="83.20") == [("F01207", None), ("F00007", None)]


def test_the_same_content_under_two_keys_is_shown_to_neither(shown):
    files = [attachment("A", PDF), attachment("B", PDF)]
    pieces = two(refers_to("A"), refers_to("B"))
    assert shown(*pieces, files=files, total="83.20") == [("F01207", None), ("F00007", None)]


def test_one_key_for_two_documents_is_nobody_s(shown):
    files = [attachment("A", PDF), attachment("A", OTHER)]
    assert shown(piece(line(), inside=refers_to("A")), files=files, total="41.60") == [
        ("F01207", None)
    ]


def test_a_shared_attachment_does_not_hide_one_s_own(shown):
    files = [attachment("A", OTHER, kind="010"), attachment("B", PDF, kind="007")]
    pieces = two(refers_to("A") + refers_to("B"), refers_to("A"))
    assert shown(*pieces, files=files, total="83.20") == [("F01207", PDF), ("F00007", None)]


def test_one_family_may_have_one_document_for_two_invoices(shown):
    files = [attachment("A", PDF)]
    pieces = (piece(line(), number=n, inside=refers_to("A")) for n in (1, 2))
    assert shown(*pieces, files=files, total="83.20") == [("F01207", PDF)] * 2


def test_a_collective_titre_s_attachment_is_shown_to_nobody_and_a_line_s_to_its_debtor(shown):
    lines = (
        line("41.60", attached=refers_to("M")),
        line("15.00", debtor=PETIT, rank=2, attached=refers_to("P")),
    )
    made = piece(*lines, kind="01", inside=refers_to("ETAT"), NumDette="")
    files = [attachment("ETAT", b"%PDF-1.7 etat"), attachment("M", PDF), attachment("P", OTHER)]
    found = shown(made, files=files, total="56.60", kind="01")
    assert found == [("F01207", PDF), ("F00007", OTHER)]
    found = shown(made, files=files[:1], total="56.60", kind="01")
    assert found == [("F01207", None), ("F00007", None)]


def test_a_debtor_who_is_not_certain_owns_no_attachment(shown):
    """What a refused or foreign piece cites is not another's invoice either."""
    files = [attachment("A", PDF)]
    company = {"RefTiers": "", "IdTiers": "", "Nom": "", "Prenom": "", "CatTiers": "60"}
    pieces = (
        piece(line(), number=1, inside=refers_to("A")),
        piece(line(debtor=company), number=2, inside=refers_to("A")),
    )
    assert shown(*pieces, files=files, total="83.20")[0] == ("F01207", None)
