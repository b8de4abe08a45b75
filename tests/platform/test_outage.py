"""The database goes away, or may only be read, while a parent or an agent is signed in."""

from __future__ import annotations

import logging

import pytest

from core.dev.embedded import free_port
from core.platform.db.session import make_engine, make_session_factory

AWAY = "maintenance"


@pytest.fixture
def away(portal, monkeypatch):
    """Makes the database of the running application unreachable, or only readable."""

    def lose() -> None:
        engine = make_engine(f"postgresql+psycopg://preau_app@127.0.0.1:{free_port()}/preau")
        monkeypatch.setattr(portal.runtime, "engine", engine)
        monkeypatch.setattr(portal.runtime, "sessions", make_session_factory(engine))

    return lose


@pytest.fixture
def read_only(portal, servers):
    """Makes the database refuse writes, as a standby does."""
    name = portal.runtime.engine.url.database

    def refuse() -> None:
        servers.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        portal.runtime.engine.dispose()

    yield refuse
    servers.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    portal.runtime.engine.dispose()


@pytest.mark.parametrize("path", ["/", "/factures", "/factures/payees", "/menu", "/compte", "/nulle-part"])
def test_a_signed_in_parent_sees_the_page_for_maintenance(browser, away, path):
    browser.sign_in()
    away()
    page = browser.get(path, status=503)
    assert AWAY in page
    assert page.headers["Retry-After"] == "60"
    assert "Content-Security-Policy" in page.headers


@pytest.mark.parametrize("path", ["/", "/connexion", "/regie", "/regie/factures"])
def test_a_visitor_sees_it_too(browser, away, path):
    away()
    page = browser.get(path, expect_errors=True)
    assert page.status_int in {200, 302, 303, 503}
    if page.status_int == 503:
        assert AWAY in page


def test_a_link_that_opens_something_stays_out_of_the_log(browser, away, caplog):
    away()
    with caplog.at_level(logging.DEBUG):
        browser.get("/payer/s3cr3t-of-a-link", status=503)
        browser.get("/codes-perdus/s3cr3t-of-a-link", status=503)
    assert "s3cr3t" not in caplog.text


def test_a_page_that_fails_beyond_its_own_error_page_is_still_a_page(browser, portal, monkeypatch):
    """Nothing of ours may reach the server as an exception: it would log the whole address."""
    browser.sign_in()
    monkeypatch.setattr("core.platform.web.rendering.get_csrf_token", lambda _request: 1 / 0)
    page = browser.get("/factures", status=500)
    assert "text/html" in page.content_type
    assert page.headers["X-Request-ID"] in page
    assert 'lang="fr"' in page


def test_a_database_that_only_reads_is_not_ready(browser, read_only):
    ready = browser.app.get("/health/ready")
    assert "database ok" in ready
    read_only()
    page = browser.app.get("/health/ready", status=503)
    assert "database read-only" in page


def test_a_write_to_a_database_that_only_reads_is_an_outage(browser, portal, read_only):
    form = browser.get("/connexion")
    secret = portal.codes("F001", "valmont")
    read_only()
    page = browser.fill(form, family_code="F001", child_code=secret)
    assert page.status_int == 503
    assert AWAY in page
