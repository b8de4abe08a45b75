"""The mode d'emploi: the help with pictures of the town's own pages, for eyes and for screen readers."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

from pypdf import PdfReader

from core.guide import parents
from core.testing.waiting import PATIENCE_SECONDS


def pictures(content):
    """The alternatives of the document's figures, and the sizes of its pictures."""
    reader = PdfReader(io.BytesIO(content))

    def walk(kids):
        for kid in kids if isinstance(kids, list) else [kids]:
            tag = kid.get_object()
            if isinstance(tag, dict) and "/S" in tag:
                if tag["/S"] == "/Figure":
                    yield str(tag["/Alt"])
                yield from walk(tag.get("/K", []))

    sizes = [image.image.size for page in reader.pages for image in page.images]
    return list(walk(reader.trailer["/Root"]["/StructTreeRoot"]["/K"])), sizes


def test_it_shows_the_towns_own_pages(browser, another):
    """It is a PDF/UA-1 too, which is asked of every paper that a test makes."""
    answer = browser.get("/mode-d-emploi.pdf")
    assert answer.content_type == "application/pdf"
    told, sizes = pictures(answer.body)
    assert len(told) == 5
    assert "Connexion" in told[0]
    assert all(width > 300 and 300 < height < 3000 for width, height in sizes)
    text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.body)).pages)
    assert "Régler une facture" in text
    # Drawn once: a second visit takes what the first one left, and another town has its own.
    assert browser.get("/mode-d-emploi.pdf").body == answer.body
    assert another("brumes").get("/mode-d-emploi.pdf").body != answer.body


def test_drawing_it_leaves_threads_for_all_else(browser, monkeypatch):
    """Strangers who all open it at first hold no more than two: one who draws, one who waits."""
    begun, drawn = threading.Event(), threading.Event()
    draw = parents.screens

    def slowly(request):
        begun.set()
        assert drawn.wait(PATIENCE_SECONDS)
        return draw(request)

    monkeypatch.setattr(parents, "screens", slowly)
    monkeypatch.setattr(parents, "_kept", {})
    waiting = threading.Event()
    places = parents._places

    class Places:
        """Tells that the second reader has come in."""

        def acquire(self, blocking):
            taken = places.acquire(blocking=blocking)
            if taken and begun.is_set():
                waiting.set()
            return taken

        release = staticmethod(places.release)

    monkeypatch.setattr(parents, "_places", Places())
    with ThreadPoolExecutor(2) as readers:
        first = readers.submit(browser.get, "/mode-d-emploi.pdf")
        assert begun.wait(PATIENCE_SECONDS)
        second = readers.submit(browser.get, "/mode-d-emploi.pdf")
        assert waiting.wait(PATIENCE_SECONDS)
        refused = browser.get("/mode-d-emploi.pdf")
        told = refused.follow()
        drawn.set()
        assert first.result().body == second.result().body
    assert refused.status_int == 303
    assert "Le mode d’emploi se prépare" in told
    assert browser.get("/mode-d-emploi.pdf").content_type == "application/pdf"
