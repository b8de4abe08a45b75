"""How a town's machinery is, on its page and on the operator's command line."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from core.cli import invoices as cli
from core.cli import towns as towns_command
from core.platform.db.standby import Standby


@pytest.fixture
def told(portal, monkeypatch):
    """What `preau towns` says, and whether it was content."""
    monkeypatch.setattr(towns_command, "get_runtime", lambda: portal.runtime)
    monkeypatch.setattr(cli, "get_runtime", lambda: portal.runtime)

    def run(*arguments):
        answer = CliRunner().invoke(towns_command.towns, arguments)
        return answer.exit_code, answer.output

    return run


def test_all_is_well(work, told):
    code, output = told()
    assert code == 0, output
    assert "valmont" in output
    page = work.get("/regie/etat")
    assert "E-mail" in page
    assert "FakePay" in page


def test_what_waits_too_long_and_what_was_given_up_shows(work, portal, told):
    with portal.town() as town:
        town.outbox.add("housekeeping", {}, key="late")
        town.outbox.add("housekeeping", {}, key="dead")
        town.session.execute(text("UPDATE outbox SET state = 'dead' WHERE dedupe_key = 'dead'"))
    portal.clock.pass_time(minutes=11)
    with portal.town() as town:
        queue = town.health.queue()
        assert queue.dead == 1
        assert queue.is_late(town.clock.now())
    assert "plus de dix minutes" in work.get("/regie/etat")
    code, output = told("valmont")
    assert code == 1
    assert "1 given up" in output


def test_the_last_answer_of_the_provider_is_known(work, portal):
    """Whatever it says: that it is still pending is an answer too; being away is none."""
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        payment = town.attempts.create(
            invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="k"
        )
    with portal.town() as town:
        town.attempts.start(payment)
    asked = portal.clock.now() + timedelta(minutes=5)
    portal.clock.pass_time(minutes=5)
    with portal.town() as town:
        town.attempts.poll(payment)
    portal.clock.pass_time(minutes=5)
    portal.bank.down = OSError("away")
    with portal.town() as town, pytest.raises(Exception, match=r"."):
        town.attempts.poll(payment)
    with portal.town() as town:
        (state,) = town.health.providers()
    assert (state.answered_at, state.watched) == (asked, 1)


def test_payments_that_wait_for_a_plugin_that_is_gone_are_told(portal, work):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        payment = town.attempts.create(
            invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="k"
        )
        town.attempts.start(payment)
    page = work.get("/regie/etat")
    assert "des paiements l’attendent" not in page
    with portal.town() as town:
        town.session.execute(
            text("UPDATE payment SET provider = 'tirelire' WHERE id = :id"), {"id": payment}
        )
    page = work.get("/regie/etat")
    assert "tirelire absent, des paiements l’attendent" in " ".join(page.html.get_text(" ").split())


def test_a_channel_shows_what_it_delivered_and_what_was_refused(portal, work):
    with portal.town() as town:
        family = town.families.by_code("F001")
        for number, state in enumerate(("sent", "refused", "queued")):
            town.notifications.queue(
                "lost_codes", address="a@b.fr", family_id=family.id,
                language="fr", payload={}, key=str(number),
            )  # fmt: skip
            town.session.execute(
                text("UPDATE message SET state = :s, sent_at = :now WHERE key = :k"),
                {"s": state, "k": str(number), "now": town.clock.now()},
            )
        channel = next(one for one in town.health.channels() if one.key == "email")
        assert (channel.delivered_at, channel.waiting, channel.refused) == (town.clock.now(), 1, 1)


def test_what_the_mail_server_refuses_is_told(work, portal):
    with portal.town() as town:
        town.alerts.add(town.families.by_code("F001").id, "camille@exemple.fr")
        town.session.execute(
            text("UPDATE message SET problem = 'MAIL FROM: 550 5.4.5 Daily sending quota exceeded'")
        )
    page = work.get("/regie/etat")
    assert "limite de messages" in page
    assert "1 e-mail attend" in page
    assert "550 5.4.5 Daily sending quota exceeded" in page


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("ok", "en ordre"), ("late", "en retard"), ("away", "ne répond pas"),
        ("no standby", "n’est pas une copie"),
    ],
)  # fmt: skip
def test_the_copy_that_lists_are_read_from_is_told(work, portal, monkeypatch, state, words):
    assert "Copie de lecture" not in work.get("/regie/etat")
    monkeypatch.setattr(portal.runtime, "standby", Mock(spec_set=Standby, state=lambda: state))
    found = work.get("/regie/etat").html.find("th", string="Copie de lecture").parent
    row = found.get_text(" ")
    assert words in row
    # On a phone a cell lays its children side by side: its words are one child.
    assert len(found.find("td").find_all(recursive=False)) == 1
    assert ("rien n’y manque" in row) is (state != "ok")
