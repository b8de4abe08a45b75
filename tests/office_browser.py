"""Agents' browsers without JavaScript, in towns with a few invoices: WebTest over the whole application."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from pyotp import TOTP
from webtest import TestApp

from core.domain.roles import Role
from core.testing.portal import record

PASSWORD = "une longue phrase sans surprise"


class Office:
    """Walks through one town's back office."""

    def __init__(self, application, portal, town="valmont"):
        self.app = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
        self.portal = portal
        self.town = town
        self.secrets = {}

    def get(self, path="", **options):
        """A page of the back office; a path that starts with a slash is the town's."""
        return self.app.get(f"/{self.town}{path or '/regie'}", **options)

    def form(self, page, field):
        """The form of `page` that has `field`, by name."""
        return next(form for form in page.forms.values() if field in form.fields)

    def fill(self, page, submit=None, **values):
        """Fill the form that has these fields and send it. Redirections are followed."""
        form = self.form(page, next(iter(values)))
        for name, value in values.items():
            form[name] = value
        return self.follow(form.submit(*(submit or ()), expect_errors=True))

    def press(self, page, value, **values):
        """Press the button of this value, its form's fields filled in."""
        form = next(
            f
            for f in page.forms.values()
            if any(getattr(b, "_value", None) == value for b in f.fields.get("action", []))
        )
        for field, text in values.items():
            form[field] = text
        return self.follow(form.submit("action", value=value, expect_errors=True))

    def follow(self, answer):
        while answer.status_int in {302, 303}:
            answer = answer.follow(expect_errors=True)
        return answer

    def invite(self, email="regie@valmont.fr", role=Role.REGISSEUR, name="Claude Martin"):
        """The path of an invitation."""
        with self.portal.town(self.town) as town:
            agent_id = town.agents.create(email, name, role)
            return f"/regie/invitation/{town.agent_invitations.new(agent_id)}"

    def enrol(self, path):
        """Use an invitation; the page with the recovery codes."""
        page = self.get(path)
        email = self.form(page, "username")["username"].value
        self.secrets[email] = re.search(r'class="secret">(\w+)<', page.text)[1]
        return self.fill(page, password=PASSWORD, again=PASSWORD, code=self.code(email))

    def code(self, email="regie@valmont.fr"):
        return TOTP(self.secrets[email]).at(self.portal.clock.now())

    def sign_in(self, email="regie@valmont.fr", password=PASSWORD, code=None):
        """Come in by the door."""
        page = self.get("/regie/connexion")
        return self.fill(page, email=email, password=password, code=code or self.code(email))

    def enter(self, role=Role.REGISSEUR, email=None):
        """Come in as a new agent of this role, without the door: most tests are not about it."""
        email = email or f"{role}@{self.town}.fr"
        with self.portal.town(self.town) as town:
            agent_id = town.agents.create(email, f"Claude {role}", role)
            town.agents.get(agent_id).password_hash = "x"
            token = town.agent_sessions.open(agent_id)
        self.app.set_cookie("preau_agent", token)
        return self

    def path_of(self, answer):
        return urlsplit(answer.request.url).path.removeprefix(f"/{self.town}")


@pytest.fixture
def make_office(application, portal):
    """Makes browsers, by default in Valmont."""
    return lambda town="valmont": Office(application, portal, town)


@pytest.fixture
def office(make_office):
    """A browser of nobody yet, in Valmont."""
    return make_office()


@pytest.fixture
def work(make_office, portal):
    """The régisseur's browser in Valmont, where F001 owes 66,87 € and F002 56,87 €."""
    portal.publish(
        record("1"), record("2", amount=1000, label="CANTINE mars"),
        record("9", family="F002", debtor="MARTIN Léa"),
    )  # fmt: skip
    return make_office().enter()
