"""The dashboard's charts: drawn anew each time, or, where that takes long, by a worker and kept."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.overview import charts
from core.testing.portal import record


@pytest.fixture
def slow(monkeypatch):
    """A town whose charts take long, whatever the clock says."""
    monkeypatch.setattr(charts, "SLOW_REPORT_SECONDS", -1.0)


def kept(portal):
    with portal.town() as town:
        return town.session.execute(text("SELECT count(*) FROM kept_report")).scalar_one()


def owed(portal):
    with portal.town() as town:
        return town.charts.get("fr").report.owed


def test_a_village_sees_the_last_cent(portal):
    portal.publish(record("1", amount=1000))
    assert owed(portal) == 1000
    portal.publish(record("2", amount=500))
    assert owed(portal) == 1500
    assert kept(portal) == 0


@pytest.mark.usefixtures("slow")
def test_a_large_town_sees_what_was_drawn_last_and_a_worker_draws_anew(portal):
    portal.publish(record("1", amount=1000))
    portal.work()
    with portal.town() as town:
        first = town.charts.get("fr")
        drawn = town.figures.report()
    with portal.town() as town:
        assert town.charts.get("fr") == first  # Out of the table as it went in.
        assert first.report == drawn
    portal.publish(record("2", amount=500))
    assert owed(portal) == 1000
    portal.clock.pass_time(seconds=charts.CACHE_LIFE.total_seconds() + 1)
    assert [owed(portal) for _look in range(3)] == [1000] * 3
    asked = [row for row in portal.outbox() if row.topic == charts.REDRAW]
    assert len(asked) == 1
    portal.work()
    assert owed(portal) == 1500
    with portal.town() as town:
        assert town.charts.get("fr").at == portal.clock.now()


@pytest.mark.usefixtures("slow")
def test_each_language_has_its_own_and_all_are_drawn_once_a_day(portal):
    portal.publish(record("1", amount=1000))
    with portal.town() as town:
        labels = {name: town.charts.get(name).report.unpaid[0].label for name in ("fr", "en")}
    assert kept(portal) == 2
    portal.publish(record("2", amount=500))
    with portal.town() as town:
        town.charts.redraw_all()
    portal.work()
    with portal.town() as town:
        for name in labels:
            assert town.charts.get(name).report.owed == 1500
        assert town.charts.get("en").report.unpaid[0].label == "not due yet"
        assert town.charts.get("fr").report.unpaid[0].label == "pas encore échu"


@pytest.mark.usefixtures("slow")
def test_a_report_that_an_earlier_version_drew_is_drawn_anew(portal):
    """What it kept may lack what this version shows: the dashboard must not fail by it."""
    portal.publish(record("1", amount=1000))
    assert owed(portal) == 1000
    with portal.town() as town:
        town.session.execute(text("UPDATE kept_report SET report = report - 'unpaid'"))
        town.session.commit()
    assert owed(portal) == 1000
    with portal.town() as town:
        assert town.session.execute(text("SELECT report ? 'unpaid' FROM kept_report")).scalar_one()
