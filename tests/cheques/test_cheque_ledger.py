"""Over PostgreSQL and the real ledger: money moves once, comes back, and stays in its town."""

from __future__ import annotations

import threading

import pytest
from cheque_fakes import HEADER, SETTINGS, line
from sqlalchemy import select

from core.db.migrate import upgrade
from core.plugin import Means, UserError
from core.testing.portal import make_portal, record
from plugins.cheque_import import plugin
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.models import Cheque, ChequeEvent
from plugins.cheque_import.records import Hasher
from plugins.cheque_import.slips import Slips


@pytest.fixture
def portal(empty_database, redis, tmp_path):
    upgrade(empty_database.owner_url, [plugin.migrations().directory])
    made = make_portal(empty_database, tmp_path)
    yield made
    made.runtime.close()


def load(town, *lines, name="remise.csv"):
    hasher = Hasher("k" * 32, town.town.slug)
    content = "\n".join((HEADER, *lines)).encode()
    done = Intake(town, hasher).import_file(name, content, regie="CANTINE", actor="agent:1")
    assert done.problems == ()
    Matching(town, SETTINGS).rematch("CANTINE")
    return Desk(town, SETTINGS, actor="agent:1")


GOOD = line(issuer="MME DURAND CAMILLE", ref="2026-0001")


def test_a_cheque_pays_bounces_and_pays_again(portal):
    portal.publish(record())
    with portal.town() as town:
        assert load(town, GOOD).accept_certain("CANTINE") == 1
    with portal.town() as town:
        (cheque,) = town.session.scalars(select(Cheque)).all()
        payment = town.payments.get(cheque.payment_id)
        assert (payment.means, payment.amount, payment.payer) == (
            Means.CHEQUE, 5687, "MME DURAND CAMILLE",
        )  # fmt: skip
        assert town.invoices.unpaid(cheque.family_id) == []
        (paid,) = town.invoices.paid(cheque.family_id)
        assert paid.payer == "MME DURAND CAMILLE"
        slip = Slips(town, SETTINGS, actor="agent:1").make("CANTINE", control_total=5687)
        assert slip.number == 1
    with portal.town() as town:
        desk = Desk(town, SETTINGS, actor="agent:1")
        desk.bounce(cheque.id, "sans provision")
        (due,) = town.invoices.unpaid(cheque.family_id)
        assert due.balance == 5687
        desk.represent(cheque.id, "accord")
        Matching(town, SETTINGS).rematch("CANTINE")
        desk.accept(cheque.id)
        assert town.invoices.unpaid(cheque.family_id) == []
        actions = town.session.scalars(select(ChequeEvent.action).order_by(ChequeEvent.id)).all()
        assert actions == ["received", "accepted", "deposited", "bounced", "represented", "accepted"]


def test_one_town_s_cheques_are_not_another_s(portal):
    portal.publish(record())
    with portal.town() as town:
        load(town, GOOD)
    with portal.town("brumes") as town:
        assert town.session.scalars(select(Cheque)).all() == []
        with pytest.raises(UserError):
            Desk(town, SETTINGS, actor="agent:2").accept(1)


def test_two_agents_accept_one_cheque_at_once(portal):
    portal.publish(record())
    with portal.town() as town:
        load(town, GOOD)
        (cheque,) = town.session.scalars(select(Cheque)).all()
    outcomes = []
    start = threading.Barrier(2)

    def accept():
        with portal.town() as town:
            start.wait()
            try:
                Desk(town, SETTINGS, actor="agent").accept(cheque.id)
                outcomes.append("accepted")
            except UserError:
                outcomes.append("refused")

    threads = [threading.Thread(target=accept) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["accepted", "refused"]
    with portal.town() as town:
        assert len(town.payments.history(cheque.family_id or 1)) == 1
