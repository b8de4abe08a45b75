"""What every answer tells the browser, whatever it answers: pages, errors, files, redirections."""

from __future__ import annotations

import re

import pytest
from webtest import TestApp

from core.platform.web.headers import CSP
from core.testing.portal import pages_of

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PATHS = (
    "/", "/valmont", "/valmont/", "/valmont/connexion", "/valmont/menu", "/valmont/nowhere",
    "/valmont/factures", "/valmont/theme.css", "/valmont/logo", "/valmont/aide",
    "/valmont/paiements/1", "/valmont/regie", "/valmont/regie/connexion", "/nowhere", "/%FF",
    "/health/live", "/health/ready", "/metrics", "/static/css/preau.css", "/static/nowhere",
    "/static/../../setup.cfg", "/valmont/connexion?next=%FF", "/valmont/codes-perdus/x",
)  # fmt: skip


@pytest.fixture
def app(portal):
    return TestApp(pages_of(portal.runtime))


def check(answer):
    for name, value in ALWAYS.items():
        assert answer.headers[name] == value, name
    policy = answer.headers["Content-Security-Policy"]
    assert policy == CSP or policy.startswith("default-src 'none'")
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", answer.headers["X-Request-ID"])
    assert "Server" not in answer.headers
    assert "X-Powered-By" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers(app, path):
    for method in ("GET", "POST", "HEAD", "PUT", "TRACE"):
        answer = app.request(path, method=method, expect_errors=True)
        assert answer.status_int < 500, (method, answer.status)
        check(answer)


def test_an_error_of_ours_has_them_too_and_tells_nothing(app, portal, monkeypatch):
    def broken(_self):
        raise RuntimeError("secret-detail-of-the-code")

    monkeypatch.setattr("core.news.service.NewsDesk.notice", broken)
    answer = app.get("/valmont/", expect_errors=True)
    assert answer.status_int == 500
    check(answer)
    assert "secret-detail" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


def test_the_policy_lets_nothing_in_from_elsewhere():
    assert "default-src 'self'" in CSP
    assert "unsafe" not in CSP
    assert not re.search(r"https?:|\*", CSP)
    for part in ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in CSP


def signed_in(app, portal):
    with portal.town() as town:
        token = town.web_sessions.open(town.families.by_code("F001").id)
    app.set_cookie("preau_family", token)


@pytest.mark.parametrize("path", ["/menu", "/factures", "/factures/payees", "/compte", "/connexion"])
def test_a_family_s_pages_stay_in_no_cache(app, portal, path):
    signed_in(app, portal)
    assert "no-store" in app.get(f"/valmont{path}").headers["Cache-Control"]


def test_a_document_runs_nothing_and_stays_in_no_cache(app, portal):
    signed_in(app, portal)
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
    answer = app.get(f"/valmont/factures/{invoice.id}.pdf")
    assert answer.headers["Content-Security-Policy"].endswith("sandbox")
    assert "no-store" in answer.headers["Cache-Control"]
    check(answer)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_are_the_town_s_and_no_script_s(app, portal, scheme):
    with portal.town() as town:
        secret = town.families.issue_code(town.families.by_code("F001").id)
    environ = {"wsgi.url_scheme": scheme, "HTTP_HOST": "localhost"}
    page = app.get("/valmont/connexion", extra_environ=environ)
    form = next(f for f in page.forms.values() if "family_code" in f.fields)
    form["family_code"], form["child_code"] = "F001", secret
    answer = form.submit(extra_environ=environ)
    assert answer.status_int == 303
    found = page.headers.getall("Set-Cookie") + answer.headers.getall("Set-Cookie")
    prefix = "__Secure-" if scheme == "https" else ""
    assert {cookie.partition("=")[0] for cookie in found} == {
        f"{prefix}preau_web", f"{prefix}preau_family",
    }  # fmt: skip
    for cookie in found:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/valmont"} <= attributes, cookie
        assert ("secure" in attributes) is (scheme == "https")
    wanted = "max-age=31536000; includeSubDomains" if scheme == "https" else None
    assert answer.headers.get("Strict-Transport-Security") == wanted


def test_a_town_s_own_host_has_cookies_that_nobody_can_plant(app, portal):
    """``__Host-``: browsers take it over TLS only, for ``/`` only, and from this very host."""
    environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "valmont.test"}
    with portal.town() as town:
        secret = town.families.issue_code(town.families.by_code("F002").id)
    page = app.get("/connexion", extra_environ=environ)
    form = next(f for f in page.forms.values() if "family_code" in f.fields)
    form["family_code"], form["child_code"] = "F002", secret
    answer = form.submit(extra_environ=environ)
    found = page.headers.getall("Set-Cookie") + answer.headers.getall("Set-Cookie")
    for cookie in found:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert cookie.startswith("__Host-preau_")
        assert {"secure", "path=/"} <= attributes
        assert not any(part.startswith("domain") for part in attributes)
    token = next(c for c in found if "family" in c).partition("=")[2].partition(";")[0]
    # A neighbour's cookie without the prefix is not even looked at.
    for name, status in (("__Host-preau_family", 200), ("__Secure-preau_family", 303), ("preau_family", 303)):
        bare = TestApp(app.app, extra_environ=environ)
        assert bare.get("/menu", headers={"Cookie": f"{name}={token}"}).status_int == status


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_form_from_elsewhere_does_nothing_and_says_so_in_french(app, origin):
    """Over TLS, the origin is looked at besides the token."""
    environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "localhost", "HTTP_ORIGIN": origin}
    page = app.get("/valmont/connexion", extra_environ=environ)
    token = next(f for f in page.forms.values() if "csrf_token" in f.fields)["csrf_token"].value
    answer = app.post("/valmont/codes-perdus", {"csrf_token": token, "email": "a@b.fr"}, extra_environ=environ)
    assert answer.status_int == 303
    assert "trop longtemps" in answer.follow(extra_environ=environ).text


@pytest.mark.parametrize("path", ["/valmont/deconnexion", "/valmont/regie/deconnexion"])
def test_going_out_leaves_nothing_in_the_browser(app, path):
    environ = {"wsgi.url_scheme": "https", "HTTP_HOST": "localhost", "HTTP_ORIGIN": "https://localhost"}
    page = app.get("/valmont/connexion", extra_environ=environ)
    token = next(f for f in page.forms.values() if "csrf_token" in f.fields)["csrf_token"].value
    answer = app.post(path, {"csrf_token": token}, extra_environ=environ)
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    gone = [c for c in answer.headers.getall("Set-Cookie") if "Max-Age=0" in c and "preau_web" not in c]
    assert gone
    assert all(c.startswith("__Secure-") and "secure" in c.lower() for c in gone)


@pytest.mark.parametrize("number", ["x" * 65, "a b c d e f g h", "évidemment", "<script>", ""])
def test_a_request_s_number_is_taken_only_in_its_shape(app, number):
    answer = app.get("/health/live", headers={"X-Request-ID": number.encode().decode("latin-1")})
    assert answer.headers["X-Request-ID"] != number
    assert app.get("/health/live", headers={"X-Request-ID": "proxy-0001"}).headers[
        "X-Request-ID"
    ] == "proxy-0001"  # fmt: skip
