"""A telephone may put a town's portal among its applications, and keeps nothing of a family."""

from __future__ import annotations

import re


def test_the_manifest_names_the_town_and_its_pages(browser, another):
    page = browser.get("/")
    link = page.html.select_one("link[rel=manifest]")["href"]
    answer = browser.app.get(link)
    assert answer.content_type == "application/manifest+json"
    said = answer.json
    assert said["start_url"] == "/valmont/factures"
    assert said["scope"] == "/valmont/"
    assert said["theme_color"] == page.html.select_one("meta[name=theme-color]")["content"]
    for icon in said["icons"]:
        picture = browser.app.get(icon["src"]).body
        assert picture.startswith(b"\x89PNG")
        width = int.from_bytes(picture[16:20], "big")
        assert icon["sizes"] == f"{width}x{width}"
    assert another("brumes").get("/manifest.webmanifest").json["name"] != said["name"]


def test_nothing_is_kept_to_be_read_offline(browser):
    """No service worker, and the pages of a family are not stored."""
    browser.sign_in()
    page = browser.get("/factures")
    assert page.headers["Cache-Control"] == "no-store"
    for source in re.findall(r'<script src="([^"]+)"', page.text):
        assert "serviceWorker" not in browser.app.get(source).text
