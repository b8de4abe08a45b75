"""Who owes: the principal debtor, whoever else a line names."""

from __future__ import annotations

import pytest
from pes_writing import line, pes, piece, slip, tiers, write

from core.plugin import InvoiceRecord, SourceFile, SourceProblem
from plugins.pes_recette import PesSettings
from plugins.pes_recette.parties import looks_like_nir
from plugins.pes_recette.source import PesSource

NIR = "2850599123456" + str(97 - 2850599123456 % 97).zfill(2)


@pytest.fixture
def read(tmp_path):
    def reading(content, **settings):
        path = write(tmp_path, content)
        source = PesSource(PesSettings(**({"regie": "CANTINE"} | settings)))
        return list(source.read(SourceFile(path, path.name, 0)))

    return reading


def one(first, *others, kind="15", **more):
    """A piece of one line whose ``Tiers`` are these, in this order."""
    made = line()
    whole = made.replace(tiers(), "".join((first, *others)))
    bord = "06" if kind == "15" else "01"
    return pes(slip(piece(whole, kind=kind, **more), total="41.60", kind=bord))


MARTIN = tiers()
DURAND = {"RefTiers": "F09999", "Nom": "DURAND", "Prenom": "PAUL"}


@pytest.mark.parametrize("kind", ["03", "04", "05", "06", "07", "30"])
@pytest.mark.parametrize("order", [1, -1])
def test_the_principal_debtor_owes_and_nothing_of_the_others_is_his(read, kind, order):
    content = one(*[MARTIN, tiers(TypTiers=kind, ComplNom="EPOUX", **DURAND)][::order])
    (invoice,) = read(content)
    assert (invoice.family_code, invoice.debtor) == ("F01207", "MARTIN CÉLINE")


def test_the_code_of_a_co_debtor_is_never_borrowed(read):
    (problem,) = read(one(tiers(RefTiers=""), tiers(TypTiers="04", **DURAND)))
    assert (problem.column, problem.value) == ("RefTiers", "")


@pytest.mark.parametrize(
    "parties",
    [
        (tiers(TypTiers="04"), tiers(TypTiers="04", **DURAND)),
        (tiers(TypTiers="01"), tiers(TypTiers="01", **DURAND)),
        (tiers(TypTiers="05"),),
    ],
    ids=["two co-debtors", "two principals", "an employer alone"],
)
def test_a_debtor_that_is_not_certain_is_asked_about(read, parties):
    (problem,) = read(one(*parties))
    assert isinstance(problem, SourceProblem)
    assert problem.column == "TypTiers"


@pytest.mark.parametrize("kind", ["", "01", "1", "02", "03", "04"])
def test_a_debtor_who_stands_alone_owes(read, kind):
    (invoice,) = read(one(tiers(TypTiers=kind)))
    assert invoice.family_code == "F01207"


def test_the_same_principal_twice_is_one(read):
    (invoice,) = read(one(MARTIN, MARTIN))
    assert invoice.family_code == "F01207"


def test_of_two_addresses_the_principal_one_is_written_to(read):
    second = tiers().replace('<TypAdr V="1"/>', '<TypAdr V="2"/>').replace("LAVOIR", "AUTRE")
    addresses = [part.partition("</Adresse>")[0] for part in second.split("<Adresse>")[1:]]
    both = MARTIN.replace("<Adresse>", f"<Adresse>{addresses[0]}</Adresse><Adresse>", 1)
    (invoice,) = read(one(both))
    assert invoice.address == ("1 RUE DU LAVOIR", "99000 DEMOVILLE")


# --- The family's code ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "who",
    [
        {"RefTiers": "", "IdTiers": NIR[:13], "NatIdTiers": "04"},
        {"RefTiers": "", "IdTiers": "F77", "NatIdTiers": "4"},
        {"RefTiers": "", "IdTiers": NIR},
        {"RefTiers": NIR},
        {"RefTiers": NIR[:13], "IdTiers": NIR[:13], "NatIdTiers": "04"},
    ],
    ids=["declared", "declared by one digit", "undeclared", "as reference", "as both"],
)
def test_a_social_security_number_is_no_family_code_and_is_never_shown(read, who):
    (problem,) = read(one(tiers(**who)))
    assert isinstance(problem, SourceProblem)
    assert "sécurité sociale" in problem.message
    assert NIR[:13] not in repr(problem)


def test_beside_a_reference_the_social_security_number_is_passed_over(read):
    (invoice,) = read(one(tiers(IdTiers=NIR, NatIdTiers="04")))
    assert invoice.family_code == "F01207"
    assert NIR not in repr(invoice)


def test_an_identifier_that_is_no_social_security_number_is_a_code(read):
    (invoice,) = read(one(tiers(RefTiers="", IdTiers="4711", NatIdTiers="09")))
    assert invoice.family_code == "4711"


def test_numbers_of_corsica_have_their_key_too():
    corsican = "285052A123456"
    key = 97 - int(corsican.replace("2A", "19")) % 97
    assert looks_like_nir(f"{corsican}{key:02d}")
    assert not looks_like_nir(f"{corsican}{(key + 1) % 97:02d}")


# --- Several debtors -----------------------------------------------------------------------------


def test_a_collective_titre_is_an_invoice_for_each_debtor(read):
    petit = {"RefTiers": "F00008", "Nom": "PETIT", "Prenom": "ANNE"}
    lines = (
        line("41.60"), line("15.00", debtor=petit, rank=2), line("8.40", "GARDERIE", rank=3),
    )  # fmt: skip
    titre = piece(*lines, kind="01", number=832, NumDette="", NumeroFacture="")
    found = read(pes(slip(titre, total="65.00", kind="01")))
    assert [(one.family_code, one.amount, one.debtor) for one in found] == [
        ("F01207", 5000, "MARTIN CÉLINE"), ("F00008", 1500, "PETIT ANNE"),
    ]  # fmt: skip
    assert len({one.number for one in found}) == 2
    assert all(isinstance(one, InvoiceRecord) for one in found)


def test_lines_of_one_code_and_two_names_are_asked_about(read):
    lines = (line(), line("1.00", debtor={"Nom": "AUTRE"}))
    (problem,) = read(pes(slip(piece(*lines, kind="01"), total="42.60", kind="01")))
    assert (problem.column, problem.value) == ("Nom", "AUTRE")
