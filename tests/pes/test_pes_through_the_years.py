"""What becomes of debts from one file to the next, in a town: years, cancellations, new titres."""

from __future__ import annotations

import pytest
from pes_writing import attachment, block, line, pes, piece, refers_to, slip, write
from sqlalchemy import text

from core.plugin import SourceFile
from core.testing.portal import make_portal
from plugins.pes_recette import plugin

TOWN = """\
[plugins.pes_recette]
regie = "CANTINE"
[plugins.pes_recette.products.GA01]
regie = "GARDERIE"
"""
PETIT = {"RefTiers": "F00008", "Nom": "PETIT", "Prenom": "ANNE"}


@pytest.fixture
def portal(database, redis, tmp_path):
    redis.flushall()
    made = make_portal(database, tmp_path, plugins={"pes_recette": plugin}, toml=TOWN)
    yield made
    made.runtime.close()


@pytest.fixture
def run(portal, tmp_path):
    def running(*slips, publish=True, **options):
        path = write(tmp_path, pes(*slips, **options))
        with portal.town() as town:
            source = town.sources["pes_recette"]
            report = town.imports.run(source, SourceFile(path, path.name, path.stat().st_size))
            assert not report.refused, report.problems
            if report.batch_id and publish:
                town.imports.publish(report.batch_id)
            return report

    return running


@pytest.fixture
def due(portal):
    """What families are asked for: number and cents of each open invoice."""

    def asking(family="F01207"):
        with portal.town() as town:
            found = town.families.by_code(family)
            return {one.number: one.balance for one in town.invoices.unpaid(found.id)}

    return asking


@pytest.fixture
def waiting(portal):
    """What waits for a person on the dashboard."""

    def asking():
        with portal.town() as town:
            rows = town.invoice_list.page(to_link=True).rows
            assert len(rows) == town.figures.waiting().to_link
            return [row.Invoice.number for row in rows]

    return asking


def titre(number=832, amount="41.60", nature="01", kind="01", inside="", debtor=None, **more):
    said = {"NumDette": "", "NumeroFacture": "", "IdPce": str(number), "NatPce": nature} | more
    return piece(line(amount, inside=inside, debtor=debtor), kind=kind, **said)


def titres(*pieces, total="41.60", bord="42", **more):
    return slip(*pieces, kind="01", total=total, IdBord=bord, **more)


def origin(number=832, year="2026"):
    return block("RattachPiece", {
        "NatPceOrig": "01", "ExerRat": year, "IdPceOrig": str(number), "IdLigneOrig": "1",
    })  # fmt: skip


def back(number=832, amount="41.60", own=12, bord="3", year="2026", **more):
    inside = origin(number, year) if number else ""
    made = titre(own, amount, nature="06", kind="02", inside=inside, **more)
    return slip(made, kind="02", total=amount, IdBord=bord)


# --- Years ---------------------------------------------------------------------------------------


def test_a_debt_of_another_year_or_period_is_another_invoice(run, due):
    debts = (("2025", "1", "30.00"), ("2026", "1", "50.00"), ("2026", "2", "7.00"))
    for year, period, amount in debts:
        made = piece(line(amount), NumeroFacture="", Per=period)
        report = run(slip(made, total=amount, Exer=year, DteBordEm=f"{year}-11-03"))
        assert report.counts["created"] == 1
    assert sorted(due().values()) == [700, 3000, 5000]


def test_a_number_that_was_another_family_s_last_year_is_no_obstacle(run, due):
    run(slip(piece(line("30.00"), NumeroFacture=""), total="30.00", Exer="2025"))
    run(slip(piece(line("50.00", debtor=PETIT), NumeroFacture=""), total="50.00"))
    assert (list(due().values()), list(due("F00008").values())) == ([3000], [5000])


# --- Cancellations -------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["before", "after", "together", "together, turned"])
def test_a_cancelled_titre_is_no_longer_asked_for(run, due, waiting, order):
    first, second = titres(titre()), back()
    if order == "after":
        run(second)
        assert waiting() == ["2026-A3-12"]
        run(first)
    elif order == "before":
        run(first)
        assert list(due().values()) == [4160]
        run(second)
    else:
        run(*((first, second) if order == "together" else (second, first)))
    assert due() == {}
    assert waiting() == []


def test_a_reduction_takes_its_amount_off(run, due, waiting):
    run(titres(titre()))
    run(back(amount="10.00"))
    assert list(due().values()) == [3160]
    run(back(amount="1.60", own=13))
    assert list(due().values()) == [3000]
    assert waiting() == []


def test_the_same_cancellation_again_takes_nothing_off_again(run, due):
    run(titres(titre()))
    for _time in range(2):
        run(back(amount="10.00"))
    assert list(due().values()) == [3160]


@pytest.mark.parametrize(
    "note",
    [
        back(999), back(832, year="2025"), back(None), back(832, debtor=PETIT),
        back(832, own=12).replace("RS01", "GA01"),
    ],
    ids=["unknown", "another year", "names none", "another family", "another régie"],
)  # fmt: skip
def test_what_cannot_be_linked_waits_for_a_person_and_is_told_at_the_import(
    run, due, waiting, note
):
    run(titres(titre()))
    report = run(note, publish=False)
    assert [notice.value for notice in report.notices] == ["2026-A3-12"]
    assert list(due().values()) == [4160]
    assert waiting() == ["2026-A3-12"]


def test_an_article_of_two_roles_is_told_by_its_debt_else_it_waits(run, due, waiting):
    """Each role counts its articles from 1, and a cancellation does not name the role."""
    for debt, bord in (("314", "10"), ("315", "11")):
        made = piece(line(), NumeroFacture="", NumDette=debt, IdPce="12")
        run(slip(made, total="41.60", IdBord=bord))
    run(back(12))
    assert waiting() == ["2026-A3-12"]
    assert len(due()) == 2
    run(back(12, own=13, NumDette="315", Per="1"))
    assert list(due()) == ["2026-P1-314"]
    assert waiting() == ["2026-A3-12"]


def test_a_titre_that_was_imported_before_its_names_were_kept(run, portal, due, waiting):
    run(titres(titre()))
    with portal.town() as town:
        town.session.execute(text("UPDATE invoice SET piece_keys = '{}'"))
    run(back())
    assert waiting() == ["2026-A3-12"]
    report = run(titres(titre()))
    assert report.batch_id is None, "the same file again"
    assert (waiting(), due()) == ([], {})


def test_one_cancellation_of_two_titres_is_two_notes(run, due, waiting):
    run(titres(titre(832), titre(833, "15.00"), total="56.60"))
    lines = line(inside=origin(832)) + line("15.00", inside=origin(833), rank=2)
    made = piece(lines, kind="02", NatPce="06", NumDette="", NumeroFacture="", IdPce="12")
    run(slip(made, kind="02", total="56.60", IdBord="3"))
    assert (due(), waiting()) == ({}, [])


def test_taking_a_note_s_import_back_asks_for_the_titre_again(run, portal, due):
    run(titres(titre()))
    report = run(back())
    assert due() == {}
    with portal.town() as town:
        town.imports.undo(report.batch_id)
    assert list(due().values()) == [4160]


def test_a_titre_of_another_budget_is_not_cancelled(run, portal, tmp_path, due, waiting):
    run(titres(titre()))
    content = pes(back()).replace('<CodBud V="00"/>', '<CodBud V="02"/>')
    path = write(tmp_path, content)
    with portal.town() as town:
        report = town.imports.run(town.sources["pes_recette"], SourceFile(path, "f.xml", 0))
        town.imports.publish(report.batch_id)
    assert list(due().values()) == [4160]
    assert len(waiting()) == 1


# --- Titres in place of others, and beside them --------------------------------------------------


def test_a_titre_issued_anew_waits_until_the_first_is_settled(run, due, waiting):
    run(titres(titre()))
    report = run(titres(titre(900, nature="08", inside=origin()), bord="50"))
    assert [notice.value for notice in report.notices] == ["2026-50-900"]
    assert waiting() == ["2026-50-900"]
    run(back())
    assert waiting() == []
    assert due() == {"2026-50-900": 4160}


def test_a_complement_is_asked_for_beside_the_first(run, due, waiting):
    run(titres(titre()))
    run(titres(titre(900, "5.00", nature="07", inside=origin()), total="5.00", bord="50"))
    assert (sorted(due().values()), waiting()) == ([500, 4160], [])


def test_a_shared_attachment_stays_hidden_in_the_town(run, portal):
    files = [attachment("A", b"%PDF-1.7\netat\n%%EOF\n")]
    pieces = (
        titre(832).replace("</BlocPiece>", refers_to("A") + "</BlocPiece>"),
        titre(833, debtor=PETIT).replace("</BlocPiece>", refers_to("A") + "</BlocPiece>"),
    )
    run(titres(*pieces, total="83.20"), attachments=files)
    with portal.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM document")) == 0
