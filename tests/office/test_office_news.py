"""News: written, looked at, shown and hidden."""

from __future__ import annotations

import pytest


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
        assert town.news.all() == []


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
