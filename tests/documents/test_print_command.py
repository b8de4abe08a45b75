"""``preau invoices print``: an import's invoices as files for a printer."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from pypdf import PdfReader

from core.cli import invoices
from core.platform.documents.presses import Press, PressError
from core.testing.portal import record


@pytest.fixture
def run(portal, monkeypatch):
    monkeypatch.setattr(invoices, "get_runtime", lambda: portal.runtime)
    return lambda *arguments: CliRunner().invoke(invoices.invoices, [str(a) for a in arguments])


def test_invoices_come_sorted_by_family_in_files_of_so_many(run, portal, tmp_path):
    codes = ["F003", "F001", "F002"]
    portal.publish(*(record(f"2026-{code}", family=code) for code in codes))
    with portal.town() as town:
        (batch, *_earlier) = town.imports.batches()
    said = run("print", "valmont", batch.id, "--to", tmp_path / "out", "--each", 2, "--processes", 1)
    assert said.exit_code == 0, said.output
    assert said.output.startswith("3 invoices in 2 files, 0 as their source gave them")
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"factures-{batch.id}-{n:04d}.pdf" for n in (1, 2)]
    pages = [page.extract_text() for file in files for page in PdfReader(file).pages]
    for text, code in zip(pages, sorted(codes), strict=True):
        assert f"2026-{code}" in text


def test_one_that_cannot_be_printed_is_named_and_the_others_are_printed(run, portal, tmp_path, monkeypatch):
    """A process ends at it, as where the typesetter crashes: alone, and in a file of several."""
    codes = ["F001", "F002", "F003"]
    portal.publish(*(record(f"2026-{code}", family=code) for code in codes))
    with portal.town() as town:
        (batch, *_earlier) = town.imports.batches()
    set_one = Press.set

    def breaks(press, paper):
        if "2026-F002" in paper.html:
            raise PressError("the process ended")
        return set_one(press, paper)

    monkeypatch.setattr(Press, "set", breaks)
    said = run("print", "valmont", batch.id, "--to", tmp_path / "out", "--each", 2, "--processes", 1)
    assert said.exit_code == 1
    assert "2 invoices in 2 files" in said.output
    assert "not printed: facture-2026-F002" in said.output
    files = sorted((tmp_path / "out").iterdir())
    pages = [page.extract_text() for file in files for page in PdfReader(file).pages]
    assert ["2026-F001" in pages[0], "2026-F003" in pages[1], len(pages)] == [True, True, 2]


def test_another_town_or_import_prints_nothing(run, tmp_path):
    assert run("print", "valmont", 999, "--to", tmp_path).output.startswith("0 invoices in 0 files")
    assert run("print", "nowhere", 1, "--to", tmp_path).exit_code == 1
