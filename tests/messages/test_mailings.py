"""A mailing to many families: rows of the outbox carry some mails each, which end one by one."""

from __future__ import annotations

import multiprocessing
import os

import pytest
from sqlalchemy import text

from core.api.errors import PermanentError
from core.letters import service as letters
from core.messages import service as notifications
from core.messages.email import channel as email
from core.platform.outbox.service import LEASE
from core.testing.portal import make_portal, record
from core.testing.waiting import PATIENCE_SECONDS

FAMILIES = 45


KILLED = 9
"""How the worker ends that dies in the middle: at once, without a handler of errors."""


@pytest.fixture
def portal(database, redis, tmp_path, mail_server):
    """A town of many families, each with an address: ``parent-<n>@exemple.fr``."""
    made = make_portal(database, tmp_path / "portal", smtp_port=mail_server.port)
    made.publish(*(record(f"old-{n}", family=f"F{n:03}") for n in range(FAMILIES)))
    with made.town() as town:
        town.session.execute(text(
            "INSERT INTO contact_email (tenant_id, family_id, address, confirmed_at)"
            " SELECT tenant_id, id, 'parent-' || substr(code, 2)::int || '@exemple.fr', now()"
            " FROM family"
        ))  # fmt: skip
        town.session.execute(text("DELETE FROM outbox"))
    yield made
    made.runtime.close()


def publish(portal):
    """New invoices for all, and the rows that will tell of them."""
    portal.publish(*(record(f"new-{n}", family=f"F{n:03}") for n in range(FAMILIES)))


def rows(portal):
    return [row for row in portal.outbox() if row.topic == "message.send"]


def address(portal, number, becomes):
    with portal.town() as town:
        town.session.execute(
            text("UPDATE contact_email SET address = :new WHERE address = :old"),
            {"old": f"parent-{number}@exemple.fr", "new": becomes},
        )


def received(store):
    return sorted(mail.recipients[0] for mail in store.mails())


def states(portal):
    with portal.town() as town:
        found = town.session.execute(text("SELECT state, count(*) FROM message GROUP BY state"))
        return dict(row for row in found)


def test_every_family_gets_its_own_mail_once(portal, store):
    publish(portal)
    portal.work()
    assert len(rows(portal)) == 3
    assert {row.state for row in rows(portal)} == {"done"}
    assert received(store) == sorted(f"parent-{n}@exemple.fr" for n in range(FAMILIES))
    ways_out = {mail.unsubscribe for mail in store.mails()}
    assert len(ways_out) == FAMILIES, "each leads to its own address"
    assert {mail.header("Subject") for mail in store.mails()} == {"Valmont – Une facture est disponible"}
    assert states(portal) == {"sent": FAMILIES}


def test_a_mailbox_that_is_busy_or_refuses_keeps_no_neighbour_off(portal, store):
    address(portal, 3, "plus-tard@exemple.fr")
    address(portal, 4, "refuse@exemple.fr")
    publish(portal)
    portal.work(rounds=5)
    assert len(received(store)) == FAMILIES - 2
    assert states(portal) == {"sent": FAMILIES - 2, "queued": 1, "refused": 1}
    (waiting,) = [row for row in rows(portal) if row.state != "done"]
    assert "451" in waiting.last_error
    with portal.town() as town:
        town.session.execute(text("UPDATE message SET address = 'parent-3@exemple.fr' WHERE state = 'queued'"))
    portal.clock.pass_time(hours=1)
    portal.work()
    assert len(received(store)) == FAMILIES - 1, "only the one that was left is sent again"
    assert states(portal) == {"sent": FAMILIES - 1, "refused": 1}


def test_a_server_that_is_away_is_not_asked_for_each_mail(portal, store, mail_server, monkeypatch):
    publish(portal)
    mail_server.stop()
    tries = []
    send = email.send
    monkeypatch.setattr(email, "send", lambda *a, **k: (tries.append(1), send(*a, **k))[1])
    portal.work(rounds=4)
    assert len(tries) == 3 * notifications.MAX_CONSECUTIVE_FAILURES
    mail_server.start()
    portal.clock.pass_time(hours=1)
    portal.work()
    assert len(received(store)) == FAMILIES
    assert states(portal) == {"sent": FAMILIES}


def test_a_worker_that_dies_sends_nothing_again_but_what_it_had_in_hand(portal, store):
    publish(portal)
    fork = multiprocessing.get_context("fork")
    send, sent, in_hand = email.send, [], fork.SimpleQueue()

    def dying(mail, *args, **kwargs):
        done = send(mail, *args, **kwargs)
        sent.append(mail["To"])
        if len(sent) == 7:
            in_hand.put(str(mail["To"]))
            os._exit(KILLED)
        return done

    def work():
        portal.runtime.forked()
        email.send = dying
        portal.work()

    worker = fork.Process(target=work)
    worker.start()
    worker.join(PATIENCE_SECONDS)
    worker.kill()
    worker.join()
    assert worker.exitcode == KILLED
    assert states(portal)["sent"] == 6
    twice_sent = in_hand.get()
    portal.clock.pass_time(seconds=LEASE.total_seconds() + 1)
    portal.work()
    found = received(store)
    assert len(found) == FAMILIES + 1
    assert found.count(twice_sent) == 2, "it may not have left: a mailbox shows it once"
    twice = [mail for mail in store.mails() if mail.recipients[0] == twice_sent]
    assert len({mail.header("Message-ID") for mail in twice}) == 1


def test_one_that_cannot_be_written_is_shown_and_keeps_no_neighbour_off(portal, store, monkeypatch):
    publish(portal)
    compose = letters.compose

    def broken(letter):
        if letter.unsubscribe_url and "new-9" in str(letter.data):
            raise ValueError("a fault of ours")
        return compose(letter)

    monkeypatch.setattr(letters, "compose", broken)
    portal.work(rounds=4)
    assert len(received(store)) == FAMILIES - 1
    (waiting,) = [row for row in rows(portal) if row.state != "done"]
    assert "a fault of ours" in waiting.last_error


def test_those_that_are_never_taken_let_the_others_come_later(portal, store, monkeypatch):
    address(portal, 3, "plus-tard@exemple.fr")
    # More than say that a server is away, and in any order.
    never = {f"parent-{n}@exemple.fr" for n in range(4, 4 + 8 * notifications.MAX_CONSECUTIVE_FAILURES)}
    send = email.send

    def picky(mail, *args, **kwargs):
        if mail["To"] in never:
            raise PermanentError("never")
        return send(mail, *args, **kwargs)

    monkeypatch.setattr(email, "send", picky)
    # Both in one row, whatever the order is in which they are sent.
    monkeypatch.setattr(notifications, "MAIL_BATCH_SIZE", FAMILIES)
    publish(portal)
    portal.work(rounds=5)
    (row,) = rows(portal)
    assert (row.state, len(received(store))) == ("ready", FAMILIES - len(never) - 1)
    with portal.town() as town:
        town.session.execute(text("UPDATE message SET address = 'parent-3@exemple.fr' WHERE address LIKE 'plus%'"))
    portal.clock.pass_time(hours=1)
    portal.work()
    assert len(received(store)) == FAMILIES - len(never)
    (row,) = rows(portal)
    assert row.state == "dead"
    assert "never" in row.last_error


def test_an_invoice_that_was_read_together_is_read_again_after_a_while(portal):
    with portal.town() as town:
        family = town.families.by_code("F001")
        (known,) = town.invoices.unpaid(family.id)
        with town.invoices.prefetch([known.id]):
            town.session.execute(text("UPDATE invoice SET label = 'changed' WHERE id = :id"), {"id": known.id})
            assert town.invoices.several([known.id])[0].label == known.label
            portal.clock.pass_time(seconds=6)
            assert town.invoices.several([known.id])[0].label == "changed"


def test_a_row_of_an_earlier_version_still_sends_its_mail(portal, store):
    publish(portal)
    with portal.town() as town:
        town.session.execute(text("DELETE FROM outbox WHERE topic = 'message.send'"))
    portal.work(rounds=1)
    portal.work(rounds=1)
    with portal.town() as town:
        numbers = town.session.scalars(text("SELECT id FROM message")).all()
        town.session.execute(text("DELETE FROM outbox WHERE topic = 'message.send'"))
        for number in numbers:
            town.outbox.add("message.send", {"message_id": number}, key=f"old-{number}")
    portal.work()
    assert len(received(store)) == FAMILIES
