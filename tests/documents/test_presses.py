"""Many papers: set by several processes, in order, and several in one file."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader

from core.platform.documents.presses import Press, PressError, print_all
from core.platform.documents.render import Paper, invoice, together


def texts(content: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


@pytest.fixture
def papers(invoice_sheet) -> list[Paper]:
    return [invoice(replace(invoice_sheet, number=f"2025-{number}")) for number in range(5)]


def test_processes_give_each_paper_in_its_order(papers):
    """What a process sets is what this one would set, byte for byte."""
    asked = iter(papers)
    made = list(print_all(asked, processes=2))
    assert [paper.name for paper, _content in made] == [paper.name for paper in papers]
    assert made[3][1] == papers[3].document().content


def test_one_may_stop_reading_before_the_end(papers):
    made = print_all(iter(papers), processes=1)
    assert next(made)[0] is papers[0]
    made.close()


def test_a_process_that_dies_is_told_and_replaced(papers):
    with Press() as press:
        press.set(papers[0])
        press._process.kill()
        press._process.wait()
        with pytest.raises(PressError, match="facture-2025-1"):
            press.set(papers[1])
        assert press.set(papers[1]).startswith(b"%PDF")


def test_a_process_that_hangs_ends_by_itself(papers):
    """By a paper of some thousand pages: it would be minutes until it is set."""
    endless = replace(papers[0], html='<p style="break-after: page">x</p>' * 5000)
    with Press(seconds=1) as press:
        with pytest.raises(PressError, match="facture-2025-0"):
            press.set(endless)
        assert press._process is None


def test_papers_of_one_file_keep_their_own_pages_and_coupons(invoice_sheet):
    """PDF/UA is checked by `papers_are_accessible`."""
    long = replace(invoice_sheet, number="2025-1", lines=invoice_sheet.lines * 40)
    short = replace(invoice_sheet, number="2025-2", language="en")
    file = together([invoice(long), invoice(short)], "factures-1", "Factures 1–2").document()
    assert file.name == "factures-1.pdf"
    *first, last = texts(file.content)
    assert len(first) >= 2
    assert "2025-1" in first[0]
    assert first[1].splitlines()[-1] == "Facture n°\xa02025-1 2"  # The running head.
    assert "2025-2" in last
    assert "2025-1" not in last
    assert sum("À détacher" in text for text in first) == 1
