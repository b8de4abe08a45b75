"""``preau outbox``: what was given up is listed town by town, and tried again when told so."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from core.api.errors import PermanentError
from core.cli import invoices
from core.cli import outbox as module
from core.cli.outbox import outbox


@pytest.fixture
def run(portal, monkeypatch):
    for place in (module, invoices):
        monkeypatch.setattr(place, "get_runtime", lambda: portal.runtime)
    return lambda *arguments: CliRunner().invoke(outbox, [str(a) for a in arguments])


@pytest.fixture
def dead(portal, monkeypatch):
    """Three effects of Valmont and one of Brumes, given up; their cause is then mended."""

    def broken(*_args):
        raise PermanentError("it is broken")

    with monkeypatch.context() as patch:
        patch.setattr("core.messages.service.Notifications.fan_out", broken)
        for slug, count in (("valmont", 3), ("brumes", 1)):
            with portal.town(slug) as town:
                for number in range(count):
                    payload = {"kind": "payment_settled", "event": {"family_id": 0, "id": "x"}}
                    town.outbox.add("notify", payload, key=f"n{number}")
        portal.work()
    assert states(portal) == ["dead"] * 3


def states(portal, slug="valmont"):
    return [row.state for row in portal.outbox(slug) if row.topic == "notify"]


@pytest.mark.usefixtures("dead")
def test_what_was_given_up_is_listed_town_by_town(run):
    lines = run("dead").output.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["brumes", *["valmont"] * 3]
    assert all("it is broken" in line for line in lines)
    assert len(run("dead", "brumes").output.splitlines()) == 1
    assert run("dead", "nowhere").exit_code == 1


@pytest.mark.usefixtures("dead")
def test_one_effect_is_tried_again_and_the_trail_says_who_asked(run, portal):
    number = run("dead", "valmont").output.split("\t")[1]
    assert run("retry", "valmont", number).exit_code == 0
    portal.work()
    assert sorted(states(portal)) == ["dead", "dead", "done"]
    with portal.town() as town:
        trail = town.session.execute(text("SELECT actor FROM audit_entry WHERE action = 'outbox.retried'"))
        assert trail.scalar_one().startswith("cli:")
    again = run("retry", "valmont", number)
    assert again.exit_code == 1
    assert "déjà" in again.output


@pytest.mark.usefixtures("dead")
def test_all_are_tried_again_in_one_town_only(run, portal, monkeypatch):
    monkeypatch.setattr("core.platform.outbox.dead.PAGE_ROWS", 2)
    assert "3 effect(s)" in run("retry", "valmont", "--all").output
    portal.work()
    assert states(portal) == ["done"] * 3
    assert states(portal, "brumes") == ["dead"]
    assert "0 effect(s)" in run("retry", "brumes", "--all", "--topic", "message.send").output
    assert "1 effect(s)" in run("retry", "brumes", "--all", "--topic", "notify").output


@pytest.mark.parametrize("arguments", [(), ("--topic", "x"), ("not-a-number",)])
def test_what_is_meant_has_to_be_said(run, arguments):
    assert run("retry", "valmont", *arguments).exit_code == 2
