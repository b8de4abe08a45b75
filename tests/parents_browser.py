"""Parents' browsers without JavaScript: WebTest over the whole application; and the mail server of their mails."""

from __future__ import annotations

import pytest
from webtest import TestApp

from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.dev.mailbox import Receiver, Store
from core.testing.portal import pages_of, record


class Browser:
    """Walks through one town's pages."""

    def __init__(self, application, portal, town="valmont"):
        self.app = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
        self.portal = portal
        self.town = town

    def get(self, path, **options):
        """A page of the town."""
        return self.app.get(f"/{self.town}{path}", **options)

    def form(self, page, field):
        """The form of `page` that has `field`."""
        return next(form for form in page.forms.values() if field in form.fields)

    def fill(self, page, submit=None, **values):
        """Fill the form that has these fields and send it. Redirections are followed."""
        form = self.form(page, next(iter(values)))
        for name, value in values.items():
            form[name] = value
        name, value = submit or (None, None)
        answer = form.submit(name, value=value, expect_errors=True)
        while answer.status_int in {302, 303}:
            if not answer.location.startswith("http://localhost"):
                return answer
            answer = answer.follow(expect_errors=True)
        return answer

    def sign_in(self, family="F001", secret=None):
        """Come in with a fresh code, or with `secret`."""
        secret = secret or self.portal.codes(family, self.town)
        return self.fill(self.get("/connexion"), family_code=family, child_code=secret)


@pytest.fixture
def application(portal):
    return pages_of(portal.runtime)


@pytest.fixture
def browser(application, portal):
    """A browser in Valmont, where F001 and F002 have an invoice each."""
    portal.publish(record("1"), record("2", amount=1000, label="CANTINE mars"), record("9", family="F002"))
    return Browser(application, portal)


@pytest.fixture
def another(application, portal):
    """Makes more browsers."""
    return lambda town="valmont": Browser(application, portal, town)


@pytest.fixture
def store(tmp_path):
    """The mails that `mail_server` took."""
    return Store(tmp_path / "mailbox")


class ServerAtOnePlace:
    """A mail server that stops, and starts again at the same place."""

    def __init__(self, store):
        self._store, self.port = store, free_port()
        self._controller = None

    def start(self):
        self._controller = MailServer(Receiver(self._store), hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self):
        if self._controller is not None:
            self._controller.stop()
            self._controller = None


@pytest.fixture
def mail_server(store):
    made = ServerAtOnePlace(store)
    made.start()
    yield made
    made.stop()
