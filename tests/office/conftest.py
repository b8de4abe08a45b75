"""Browsers of agents, in towns with a few invoices."""

from __future__ import annotations

import pytest
from office_browser import Office

from core.testing.portal import pages_of, record


@pytest.fixture
def application(portal):
    return pages_of(portal.runtime)


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
