"""A family is forgotten once the books no longer need its name."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from core.api.payments import Means
from core.books.period import Period
from core.testing.portal import record

MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)


def set_clock(portal, moment):
    portal.clock.pass_time(seconds=(moment - portal.clock.now()).total_seconds())


@pytest.fixture
def family(portal):
    """One that paid all it owed, in March."""
    set_clock(portal, datetime(2026, 3, 10, 9, tzinfo=UTC))
    portal.publish(record("E1", family="F900", debtor="PARTANT Zoé"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("E1")
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=5687,
            paid_at=portal.clock.now(), payer="PARTANT Zoé", shares=[(invoice.id, 5687)], key="E1",
        )  # fmt: skip
        return invoice.family_id


def erase(portal, family):
    with portal.town() as town:
        return town.personal_data.erase(family)


def names(portal, family):
    with portal.town() as town:
        query = text(
            "SELECT f.name, p.payer FROM family f JOIN payment p ON p.tenant_id = f.tenant_id"
            " AND p.family_id = f.id WHERE f.id = :id"
        )
        return tuple(town.session.execute(query, {"id": family}).one())


def close(portal, month, regie="CANTINE"):
    with portal.town() as town:
        town.accounts.closings.close(Period(regie, month))


def test_the_payer_stays_until_the_month_is_closed(portal, family):
    assert erase(portal, family) is False
    assert names(portal, family) == ("PARTANT Zoé", "PARTANT Zoé")
    set_clock(portal, datetime(2026, 4, 2, 9, tzinfo=UTC))
    with portal.town() as town:
        assert town.personal_data.retain()[0] == 0
    assert names(portal, family)[0] == "PARTANT Zoé"
    close(portal, MARCH)
    with portal.town() as town:
        assert town.personal_data.retain()[0] == 1
        assert town.personal_data.retain()[0] == 0
    assert names(portal, family) == ("", "")


def test_after_the_closing_it_is_done_at_once(portal, family):
    set_clock(portal, datetime(2026, 4, 2, 9, tzinfo=UTC))
    close(portal, MARCH)
    assert erase(portal, family) is True
    assert names(portal, family) == ("", "")


def test_another_regie_s_closing_is_not_this_one_s(portal, family):
    set_clock(portal, datetime(2026, 4, 2, 9, tzinfo=UTC))
    close(portal, MARCH, "GARDERIE")
    assert erase(portal, family) is False


def test_a_regie_that_closes_is_waited_for_as_long_as_it_takes(portal, family):
    set_clock(portal, datetime(2026, 9, 2, 9, tzinfo=UTC))
    close(portal, APRIL)
    assert erase(portal, family) is False


def test_a_regie_that_never_closes_does_not_keep_a_name_for_ever(portal, family):
    set_clock(portal, datetime(2026, 4, 30, 9, tzinfo=UTC))
    assert erase(portal, family) is False
    set_clock(portal, datetime(2026, 5, 2, 9, tzinfo=UTC))
    with portal.town() as town:
        assert town.personal_data.retain()[0] == 1
    assert names(portal, family) == ("", "")


def test_who_owes_again_meanwhile_is_not_erased(portal, family):
    assert erase(portal, family) is False
    portal.publish(record("E2", family="F900"))
    set_clock(portal, datetime(2026, 4, 2, 9, tzinfo=UTC))
    close(portal, MARCH)
    with portal.town() as town:
        assert town.personal_data.retain()[0] == 0
    assert names(portal, family)[0] == "PARTANT Zoé"
