"""A message to many families: counted, told once each, taken back, stopped, and who may not be reached."""

from __future__ import annotations

import multiprocessing
import os

import pytest
from sqlalchemy import text

from core.api.errors import UserError
from core.broadcasts import service as broadcasts
from core.broadcasts.models import BroadcastState
from core.broadcasts.service import Draft
from core.messages.email import channel as email
from core.messages.kinds import NEWS
from core.platform.outbox.service import LEASE
from core.testing.portal import make_portal, record
from core.testing.statements import statements
from core.testing.waiting import PATIENCE_SECONDS

FAMILIES = 12
WITHOUT = {"F010", "F011"}
"""Families without an address."""
KILLED = 9


@pytest.fixture
def portal(database, redis, tmp_path, mail_server):
    """A town of twelve families, ten with an address: ``parent-<n>@exemple.fr``."""
    made = make_portal(database, tmp_path / "portal", smtp_port=mail_server.port)
    made.publish(*(record(f"old-{n}", family=f"F{n:03}") for n in range(FAMILIES)))
    with made.town() as town:
        town.session.execute(text(
            "INSERT INTO contact_email (tenant_id, family_id, address, confirmed_at)"
            " SELECT tenant_id, id, 'parent-' || substr(code, 2)::int || '@exemple.fr', now()"
            " FROM family WHERE code < 'F010'"
        ))  # fmt: skip
        town.session.execute(text("DELETE FROM outbox"))
    yield made
    made.runtime.close()


@pytest.fixture
def small_steps(monkeypatch):
    """Steps of a few families, as a town of a hundred thousand has thousands of."""
    for name, size in (("FAMILIES_AT_ONCE", 4), ("FAMILIES_PER_COUNT", 3), ("FAMILIES_PER_ROW", 3)):
        monkeypatch.setattr(broadcasts, name, size)


def draft(**changes):
    given = {
        "title": "Grève du 12 mars", "body": "La cantine est fermée.\nPrévoyez un repas.\n\nMerci.", "group": "all",
        "given": {}, "is_necessary": True, "on_news": False,
    }  # fmt: skip
    return Draft(**given | changes)


def write(portal, **changes):
    with portal.town() as town:
        number = town.broadcasts.write(None, draft(**changes)).id
    portal.work()
    return number


def send(portal, number, **options):
    with portal.town() as town:
        return town.broadcasts.send(number, revision=town.broadcasts.get(number).revision, **options)


def leave(portal, number):
    send(portal, number)
    portal.clock.pass_time(minutes=2, seconds=1)
    portal.work()


def seen(portal, number):
    """Its state, its count, and what became of it."""
    with portal.town() as town:
        found = town.broadcasts.get(number)
        return found.state, town.broadcasts.counted(found), town.broadcasts.sent(found)


def received(store):
    return sorted(mail.recipients[0] for mail in store.mails())


def everybody(*without):
    return sorted(f"parent-{n}@exemple.fr" for n in range(10) if n not in without)


@pytest.mark.usefixtures("small_steps")
def test_each_family_is_counted_and_told_once_whatever_the_steps(portal, store):
    number = write(portal)
    _state, count, _sent = seen(portal, number)
    assert (count.families, count.asked, count.unreachable, dict(count.by_channel)) == (12, 12, 2, {"email": 10})
    leave(portal, number)
    assert received(store) == everybody()
    assert {mail.header("Subject") for mail in store.mails()} == {"Valmont – Grève du 12 mars"}
    assert len([row for row in portal.outbox() if row.topic == broadcasts.TELL]) == 4
    portal.clock.pass_time(minutes=3)
    portal.work()
    state, _count, sent = seen(portal, number)
    assert (state, sent.families, sent.copies, sent.waiting) == (BroadcastState.SENT, 10, 10, 0)
    with portal.town() as town:
        assert {family.code for family in town.broadcasts.unreachable(number)} == WITHOUT
        town.session.execute(text("DELETE FROM message"))
    assert seen(portal, number)[2] == sent, "its figures outlast its messages, which retention erases"


def test_nothing_leaves_before_its_moment_and_it_is_taken_back_whole(portal, store):
    number = write(portal)
    leaves = send(portal, number)
    assert leaves == portal.clock.now() + broadcasts.UNDO_TIME
    portal.work()
    with portal.town() as town:
        town.broadcasts.undo(number)
    portal.clock.pass_time(minutes=10)
    portal.work()
    assert seen(portal, number)[0] == BroadcastState.DRAFT
    assert received(store) == []
    leave(portal, number)
    assert received(store) == everybody(), "a draft that was taken back can leave, and once"
    with portal.town() as town, pytest.raises(UserError, match="n’attend plus"):
        town.broadcasts.undo(number)


def test_it_leaves_at_the_moment_that_was_chosen_and_to_whom_it_concerns_then(portal, store):
    number = write(portal, group="open")
    with portal.town() as town, pytest.raises(UserError, match="passé"):
        town.broadcasts.send(number, revision=1, moment=portal.clock.now().replace(year=2025))
    moment = portal.clock.now().replace(hour=23)
    send(portal, number, moment=moment)
    with portal.town() as town:
        invoice = town.invoices.by_number("old-3")[0]
        town.billing.cancel(invoice.id, reason="erreur")
    while portal.clock.now() < moment:
        portal.clock.pass_time(hours=1)
    portal.work()
    assert received(store) == everybody(3)


def test_what_changed_since_it_was_looked_at_does_not_leave(portal):
    number = write(portal)
    with portal.town() as town:
        before = town.broadcasts.get(number).revision
        town.broadcasts.write(number, draft(title="Autre"))
    with portal.town() as town, pytest.raises(UserError, match="a changé"):
        town.broadcasts.send(number, revision=before)
    send(portal, number)
    with portal.town() as town, pytest.raises(UserError, match="brouillon"):
        town.broadcasts.write(number, draft())


@pytest.mark.usefixtures("small_steps")
def test_it_is_not_sent_before_all_families_are_counted(portal):
    with portal.town() as town:
        number = town.broadcasts.write(None, draft()).id
    assert seen(portal, number)[1].asked == 4
    with pytest.raises(UserError, match="comptées"):
        send(portal, number)
    portal.work()
    send(portal, number)


def test_a_message_that_is_stopped_says_how_many_it_reached_and_no_other_leaves(portal, store):
    """The first mails are out, the others wait: those never leave, the news is taken down."""
    number = write(portal, on_news=True)
    taken = []

    def stop_after_three(*args, **options):
        taken.append(1)
        if len(taken) == 4:
            with portal.town() as town:
                town.broadcasts.stop(number)
        return real(*args, **options)

    real = email.send
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(email, "send", stop_after_three)
        leave(portal, number)
    assert len(received(store)) == 4, "the one that was on its way arrives"
    state, _count, sent = seen(portal, number)
    assert (state, sent.families, sent.waiting) == (BroadcastState.STOPPED, 4, 0)
    with portal.town() as town:
        assert town.news.latest() == []
    portal.clock.pass_time(days=1)
    portal.work()
    assert len(received(store)) == 4
    with portal.town() as town, pytest.raises(UserError, match="pas en train"):
        town.broadcasts.stop(number)


def test_the_news_shows_the_very_words(portal):
    body = "1. Menu *spécial* <b>\n# Pâtes & [riz](http://x.fr)\n\n- fin_du_mois_"
    number = write(portal, on_news=True, body=body)
    leave(portal, number)
    from core.news.markdown import render

    with portal.town() as town:
        (item,) = town.news.latest()
    shown = render(item.body, str)
    assert str(shown) == (
        "<p>1. Menu *spécial* &lt;b&gt;<br>\n# Pâtes &amp; [riz](http://x.fr)</p>\n<p>- fin_du_mois_</p>\n"
    )


def test_only_news_of_the_town_can_be_switched_off(portal, store):
    with portal.town() as town:
        family = town.families.by_code("F001")
        assert NEWS in [name for name, _label, _wanted in town.messages.choices(family.id)]
        town.messages.choose(family.id, [])
    leave(portal, write(portal, is_necessary=False))
    assert received(store) == everybody(1)
    assert "Être averti" in store.mails()[0].text
    store.clear() if hasattr(store, "clear") else None
    before = len(received(store))
    leave(portal, write(portal, is_necessary=True))
    assert len(received(store)) == before + 10
    assert all(mail.unsubscribe for mail in store.mails()), "an address is always taken off by its own link"


def test_each_family_reads_its_own_language(portal, store):
    with portal.town() as town:
        town.families.set_language(town.families.by_code("F002").id, "en")
    leave(portal, write(portal, translations={"en": ("Strike on 12 March", "No canteen.")}))
    subjects = {mail.recipients[0]: mail.header("Subject") for mail in store.mails()}
    assert subjects.pop("parent-2@exemple.fr") == "Valmont – Strike on 12 March"
    assert set(subjects.values()) == {"Valmont – Grève du 12 mars"}


def test_what_is_previewed_is_what_leaves(portal, store):
    number = write(portal)
    with portal.town() as town:
        ((_label, _language, shown),) = town.broadcasts.previews(town.broadcasts.get(number), {"email": "E-mail"})
    leave(portal, number)
    mail = store.mails()[0]
    assert mail.header("Subject") == shown.subject
    said, _sign, _way_out = shown.text.partition("-- \n")
    assert mail.text.replace("\r\n", "\n").startswith(said)


def test_a_duplicate_that_is_merged_on_the_way_is_told_once(portal, store):
    number = write(portal)
    send(portal, number)
    portal.clock.pass_time(minutes=2, seconds=1)
    with portal.town() as town:
        found = town.broadcasts.get(number)
        town.broadcasts.depart(number, found.leaves_at.isoformat())
        town.merging.merge(town.families.by_code("F001").id, town.families.by_code("F002").id)
    portal.work()
    assert received(store) == everybody(), "both addresses are the one family's now"


@pytest.mark.usefixtures("small_steps")
def test_a_worker_that_dies_on_the_way_tells_nobody_twice_and_forgets_nobody(portal, store):
    """Killed at each step: while the copies are queued, and after the server took a mail."""
    number = write(portal)
    send(portal, number)
    portal.clock.pass_time(minutes=2, seconds=1)

    def die_in_the_middle():
        portal.runtime.forked()
        taken = []

        def dying(*args, **options):
            taken.append(1)
            if len(taken) == 5:
                os._exit(KILLED)
            return real(*args, **options)

        real = email.send
        email.send = dying
        portal.work()

    worker = multiprocessing.get_context("fork").Process(target=die_in_the_middle)
    worker.start()
    worker.join(PATIENCE_SECONDS)
    assert worker.exitcode == KILLED
    portal.clock.pass_time(seconds=int(LEASE.total_seconds()) + 1)
    portal.work()
    portal.clock.pass_time(minutes=5)
    portal.work()
    assert received(store) == everybody()
    assert seen(portal, number)[2].families == 10


def test_two_departures_are_one(portal, store):
    number = write(portal)
    send(portal, number)
    portal.clock.pass_time(minutes=2, seconds=1)
    with portal.town() as town:
        at = town.broadcasts.get(number).leaves_at.isoformat()
    for _time in range(2):
        with portal.town() as town:
            town.broadcasts.depart(number, at)
    with portal.town() as town:
        town.broadcasts.tell(number, 0, 10**9, bulk=False)
    portal.work()
    assert received(store) == everybody()


def test_families_are_read_together_not_one_by_one(portal):
    number = write(portal)
    send(portal, number)
    portal.clock.pass_time(minutes=2, seconds=1)
    with statements(portal) as said:
        portal.work(rounds=2)
    assert seen(portal, number)[0] in {BroadcastState.LEAVING, BroadcastState.SENT}
    assert [one for one in said if "FROM family" in one and "family.id = %(pk" in one] == []
