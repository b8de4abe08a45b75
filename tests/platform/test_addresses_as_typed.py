"""Addresses as people type them: a town's name in capitals, a slash at the end."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("/Valmont/", "/valmont/"),
        ("/VALMONT", "/valmont/"),
        ("/Valmont/aide?x=1&y=%C3%A9", "/valmont/aide?x=1&y=%C3%A9"),
        ("/valmont/aide/", "/valmont/aide"),
        ("/valmont/connexion/?next=%2Ffactures", "/valmont/connexion?next=%2Ffactures"),
        ("/valmont", "/valmont/"),
    ],
)
def test_they_lead_to_the_page(browser, typed, right):
    answer = browser.app.get(typed)
    assert answer.status_int == 308
    assert answer.location == f"http://localhost{right}"
    assert browser.app.get(right).status_int == 200


def test_a_town_s_own_host_has_slashes_too(browser):
    answer = browser.app.get("/aide/", extra_environ={"HTTP_HOST": "valmont.test"})
    assert answer.location == "http://valmont.test/aide"


@pytest.mark.parametrize("path", ["/valmont//evil.example/", "/valmont/%5Cevil.example/", "/valmont/%0d%0aX: y/"])
def test_no_other_host_is_reached(browser, path):
    answer = browser.app.get(path, expect_errors=True)
    if answer.status_int == 308:
        assert answer.location.startswith("http://localhost/valmont/")
        assert "\n" not in answer.location


def test_pages_that_end_with_a_slash_and_forms_stay(browser):
    assert browser.app.get("/valmont/").status_int == 200
    for nowhere in ("nulle-part", "nulle-part/", "aide/nulle-part/", "factures/x.pdf/"):
        assert browser.app.get(f"/valmont/{nowhere}", status=404)
    assert browser.app.post("/valmont/aide/", status="4*").status_int in {400, 403, 404, 405}


def test_who_is_nobody_stays_so(browser):
    assert browser.app.get("/Valmontt/", status=404)
