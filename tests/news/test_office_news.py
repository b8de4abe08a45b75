"""News: written, looked at, shown and hidden."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from webtest import Upload

from core.api.errors import UserError
from core.news.markdown import picture_line, render
from core.news.pictures import MAX_WIDTH_PIXELS, prepare


def write(work, **values):
    return work.press(work.get("/regie/actualites/nouvelle"), values.pop("action", "save"), **values)


def front(work):
    return work.app.get("/valmont/")


@pytest.fixture
def work(office):
    return office.enter()


def test_a_draft_is_nobodys_until_it_is_shown(work, portal):
    page = write(work, title="Rentrée", body="**Bonjour** à tous")
    assert "Rentrée" not in front(work)
    page = work.press(page, "show")
    assert "Rentrée" in front(work)
    assert "<strong>Bonjour</strong>" in front(work).click("Rentrée")
    work.press(page, "hide")
    assert "Rentrée" not in front(work)


def test_a_moment_to_come_is_waited_for(work, portal):
    page = write(work, title="Rentrée", body="x")
    work.press(page, "show", at="2026-03-12T08:00")
    assert "Rentrée" not in front(work)
    portal.clock.pass_time(days=3)
    assert "Rentrée" in front(work)


def test_the_preview_stores_nothing_and_runs_nothing(work, portal):
    page = write(work, action="preview", title="Essai", body="# Gros\n<script>alert(1)</script>\n\n[x](javascript:y)")
    assert page.status_int == 200
    assert "<script>alert" not in page.text.replace("&lt;", "")
    assert 'href="javascript' not in page
    with portal.town() as town:
        assert town.news.page().rows == []


def test_what_is_missing_is_told(work):
    page = write(work, title="", body="")
    assert page.status_int == 422
    assert "Saisissez le titre" in page


def test_it_is_corrected(work):
    page = write(work, title="Rentrée", body="x")
    page = work.press(page, "save", title="Rentrée 2026", kind="notice")
    assert "Rentrée 2026" in work.get("/regie/actualites")
    work.press(page, "show")
    assert "Bon à savoir" in front(work)


# --- Pictures ------------------------------------------------------------------------------------


def photo(size=(40, 30), kind="JPEG", **options):
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, kind, **options)
    return out.getvalue()


def with_place():
    """A photograph on its side, that says where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by a quarter.
    exif[0x010E] = "devant chez Camille"
    return photo((40, 30), exif=exif)


def send(work, page, content=None, alt="Le préau sous la pluie", name="photo.jpg"):
    files = Upload(name, content or photo(), "image/jpeg")
    return work.press(page, "picture", picture=files, alt=alt)


def shown(work):
    return re.search(r'<img[^>]*src="([^"]*)"[^>]*>', front(work).click("Rentrée").text)


def test_a_picture_is_shown_with_its_words(work, portal):
    page = send(work, write(work, title="Rentrée", body="Bonjour"), with_place())
    assert "L’image est à la fin du texte" in page
    address = re.search(r'src="(/valmont/actualites/images/\d+)"', page.text)[1]
    make = work.app.__class__(work.app.app, extra_environ={"HTTP_HOST": "localhost"})
    assert make.get(address, status=404)  # A draft is nobody's.
    assert work.app.get(address).content_type == "image/webp"
    work.press(page, "show")
    assert 'alt="Le préau sous la pluie"' in shown(work)[0]
    kept = make.get(address)
    assert b"Camille" not in kept.body
    assert Image.open(io.BytesIO(kept.body)).size == (30, 40)  # Upright.


@pytest.mark.parametrize("alt", ["", "   "])
def test_a_picture_without_words_is_refused_and_what_was_typed_stays(work, portal, alt):
    page = write(work, title="Rentrée", body="Bonjour")
    page = send(work, work.press(page, "save", body="Bonjour à tous"), alt=alt)
    assert page.status_int == 422
    assert "Chaque image a besoin d’un texte" in page
    page = work.press(page, "save", body="![](image:1)")
    assert page.status_int == 422
    with portal.town() as town:
        (item,) = town.news.page().rows
        assert (item.body, list(town.news.pictures(item.id))) == ("Bonjour à tous", [])


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg onload='alert(1)'/>", b"GIF89a", photo()[:300], b"\x89PNG\r\n\x1a\n" + b"0" * 50],
    ids=["empty", "svg", "head only", "cut", "noise"],
)
def test_what_is_no_picture_is_refused(work, content):
    page = write(work, title="Rentrée", body="Bonjour")
    page = send(work, page, content or b" ")
    assert page.status_int == 422
    assert "pas une image lisible" in page


def test_a_picture_too_large_is_refused_and_a_large_one_made_small():
    with pytest.raises(UserError, match="trop lourde"):
        prepare(b"x" * 10_000_001)
    with pytest.raises(UserError, match="trop grande"):
        prepare(photo((8000, 7000), "PNG"))
    kept = prepare(photo((3000, 1500), "PNG"))
    assert (kept.width, kept.height) == (MAX_WIDTH_PIXELS, MAX_WIDTH_PIXELS // 2)


def test_only_its_own_pictures_are_shown(work, portal):
    first = send(work, write(work, title="Une", body="x"))
    number = int(re.search(r"images/(\d+)", first.text)[1])
    page = write(work, title="Rentrée", body=f"![là](image:{number})")
    assert "n’est pas de cette actualité" in page
    page = write(work, title="Rentrée", body="![là](https://ailleurs.fr/x.png)")
    assert "n’est pas de cette actualité" in page


@pytest.mark.parametrize("words", ["un préau", "[a] \\ b", "a](http://x) ![b", '<b> "c"'])
def test_words_are_words_whatever_is_in_them(words):
    html = str(render(picture_line(words, 7), lambda number: f"/p/{number}"))
    assert html.count("<img") == 1
    assert 'src="/p/7"' in html
    assert "<b>" not in html
    assert "<a" not in html


def test_a_date_that_is_none_is_told(work):
    page = write(work, title="Rentrée", body="x")
    page = work.press(page, "show", at="2026-02-31T10:00")
    assert page.status_int == 422
    assert "Cette date n’existe pas" in page
    assert "Rentrée" not in front(work)


@pytest.mark.parametrize("at", ["0001-01-01T00:00", "1999-12-31T23:59", "9999-12-31T23:59", "2101-01-01T00:00", "2026-11-25T08:30+05:00"])
def test_a_date_far_away_shows_nothing_and_breaks_no_page(work, at):
    page = work.press(write(work, title="Rentrée", body="x"), "show", at=at)
    assert page.status_int == 422
    assert "entre 2000 et 2100" in page
    assert front(work).status_int == work.get("/regie/actualites").status_int == 200
