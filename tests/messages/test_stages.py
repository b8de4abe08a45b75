"""A real mail server that refuses at each stage: what becomes of the mail and of the mailbox."""

from __future__ import annotations

import pytest
from aiosmtpd.smtp import AuthResult

from core.cli import doctor
from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.domain.smtp_replies import Cause
from core.messages.email import smtp
from core.testing.portal import make_portal, record

ADDRESS = "camille@exemple.fr"


class Relay:
    """Answers each command with what `answers` says, or takes it."""

    def __init__(self):
        self.answers, self.taken, self.asked = {}, [], 0

    def _say(self, stage, usual="250 OK", address=""):
        answer = self.answers.get(stage, usual)
        return answer(address) if callable(answer) else answer

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
        session.host_name = hostname
        return [self.answers["EHLO"]] if "EHLO" in self.answers else responses

    async def handle_HELO(self, server, session, envelope, hostname):  # noqa: N802
        session.host_name = hostname
        return self._say("EHLO")

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        envelope.mail_from = address
        return self._say("MAIL")

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        self.asked += 1
        answer = self._say("RCPT", address=address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        answer = self._say("DATA")
        if answer.startswith("250"):
            self.taken.append(envelope.rcpt_tos[0])
        return answer


@pytest.fixture
def relay():
    smtp.forget()
    yield Relay()
    smtp.forget()


@pytest.fixture
def opened(database, redis, tmp_path, relay):
    """Opens a portal whose family's one address gets a mail over `relay`."""
    ended = []

    def open_(**options):
        settings = options.pop("settings", {})
        controller = MailServer(relay, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        portal = make_portal(database, tmp_path / "portal", smtp_port=controller.port, **settings)
        ended.extend((portal.runtime.close, controller.stop))
        portal.publish(record("0"))
        with portal.town() as town:
            town.alerts.add(town.families.by_code("F001").id, ADDRESS)
        portal.work()
        return portal

    yield open_
    for end in ended:
        end()


def standing(portal):
    """The state of the mail, whether the mailbox refuses, and what is told of the relay."""
    with portal.town() as town:
        family = town.families.by_code("F001").id
        (message,) = town.notifications.of_family(family)
        (address,) = town.alerts.addresses(family)
        causes = [trouble.cause for trouble in town.health.mail_troubles()]
        return message.state, address.refused_at is not None, causes


@pytest.mark.parametrize(
    ("stage", "answer", "cause"),
    [
        ("EHLO", "550 5.7.1 you are not welcome", Cause.SERVER),
        ("MAIL", "550 5.1.1 User unknown", Cause.SENDER),
        ("MAIL", "550 5.4.5 Daily user sending quota exceeded", Cause.QUOTA),
        ("MAIL", "553 5.7.1 Sender address rejected: not owned by user", Cause.SENDER),
        ("RCPT", "554 5.7.1 Relay access denied", Cause.SERVER),
        ("RCPT", "550 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org", Cause.POLICY),
        ("RCPT", "550 5.1.8 Sender address rejected: Domain not found", Cause.SENDER),
        ("DATA", "550 5.7.1 Spam message rejected", Cause.POLICY),
        ("DATA", "554 5.6.0 malformed", Cause.CONTENT),
        ("DATA", "552 5.3.4 Message too big", Cause.CONTENT),
        ("DATA", "550 no", Cause.POLICY),
    ],
)
def test_the_relays_trouble_is_no_familys(opened, relay, stage, answer, cause):
    relay.answers[stage] = answer
    portal = opened()
    assert standing(portal) == ("queued", False, [cause])
    relay.answers.clear()
    portal.clock.pass_time(hours=3)
    portal.work()
    assert relay.taken == [ADDRESS]
    assert standing(portal) == ("sent", False, [])


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("RCPT", "550 5.1.1 No such mailbox"),
        ("RCPT", "556 no"),
        ("RCPT", "553 5.1.2 no such domain"),
        ("DATA", "550 5.1.1 User unknown"),
    ],
)
def test_what_speaks_of_the_mailbox_marks_it(opened, relay, stage, answer):
    relay.answers[stage] = answer
    assert standing(opened()) == ("refused", True, [])


@pytest.mark.parametrize("answer", ["452 4.2.2 over quota", "552 5.2.2 over quota", "450 greylisted"])
def test_a_mailbox_that_is_full_or_busy_is_neithers_trouble(opened, relay, answer):
    relay.answers["RCPT"] = answer
    assert standing(opened()) == ("queued", False, [])


def test_a_password_that_is_wrong_is_the_operators(opened, relay):
    portal = opened(
        authenticator=lambda *_given: AuthResult(success=False, handled=False),
        auth_require_tls=False,
        settings={"smtp_user": "preau", "smtp_password": "wrong"},
    )
    assert standing(portal) == ("queued", False, [Cause.SIGN_IN])


def test_a_relay_that_is_away_is_the_operators(opened, relay, monkeypatch):
    portal = opened(settings={"smtp_host": "127.0.0.2"})
    assert standing(portal) == ("queued", False, [Cause.SERVER])


def test_the_doctor_says_what_the_relay_said(opened, relay, monkeypatch):
    relay.answers["MAIL"] = "550 5.4.5 Daily user sending quota exceeded"
    portal = opened()
    monkeypatch.setattr(doctor, "get_runtime", lambda: portal.runtime)
    (found,) = doctor.check_mails(portal.runtime.settings)
    assert not found.good
    assert "valmont" in found.text
    assert "sending limit" in found.text
    assert "550 5.4.5 Daily user sending quota exceeded" in found.text


def test_what_came_back_for_another_reason_is_sent_once_more(opened, relay):
    portal = opened()
    blocked = "5.7.1 smtp; 550 5.7.1 messages from [192.0.2.1] weren't sent, on our block list"

    def come_back():
        with portal.town() as town:
            (message,) = town.notifications.of_family(town.families.by_code("F001").id)
            number = message.reference.strip("<>").partition("@")[0]
            assert town.notifications.returned(number, blocked)
            assert town.notifications.returned(number, blocked)

    come_back()
    assert standing(portal) == ("queued", False, [Cause.POLICY])
    portal.work()
    assert relay.taken == [ADDRESS]
    portal.clock.pass_time(hours=7)
    portal.work()
    assert relay.taken == [ADDRESS, ADDRESS]
    assert standing(portal) == ("sent", False, [])
    come_back()
    assert standing(portal) == ("returned", False, [Cause.POLICY])
    portal.clock.pass_time(days=8)
    assert standing(portal) == ("returned", False, [])


NEIGHBOUR = "alix@exemple.fr"


@pytest.mark.parametrize(
    "answer", ["550 Rejected", "550", "551 no", "553 no", "554 Transaction failed", "550 5.0.0 no"]
)
def test_a_refusal_without_a_word_of_whom_marks_nothing(opened, relay, answer):
    relay.answers["RCPT"] = answer
    portal = opened()
    assert standing(portal) == ("queued", False, [Cause.UNSAID])
    relay.answers.clear()
    portal.clock.pass_time(hours=7)
    portal.work()
    assert standing(portal) == ("sent", False, [])


def refuse_for_days(portal, relay, days, others):
    """Addresses are refused without a word; `others` gets a mail a day, which is taken."""
    with portal.town() as town:
        family = town.families.by_code("F001").id
    for day in range(days):
        portal.clock.pass_time(days=1)
        with portal.town() as town:
            town.notifications.queue(
                "address_confirmation",
                address=others,
                family_id=family,
                language="fr",
                payload={"contact_id": town.alerts.addresses(family)[0].id},
                key=f"neighbour/{day}",
            )
        relay.answers["RCPT"] = lambda address: "250 OK" if address == others else "550 Rejected"
        portal.work()


def state_of(portal, address):
    """Whether an address is marked, and the states of its mails."""
    with portal.town() as town:
        family = town.families.by_code("F001").id
        mails = [one for one in town.notifications.of_family(family) if one.address == address]
        (known,) = [one for one in town.alerts.addresses(family) if one.address == address]
        return known.refused_at is not None, {one.state for one in mails}


def test_what_is_refused_for_days_while_its_neighbours_are_not_is_dead(opened, relay):
    relay.answers["RCPT"] = "550 Rejected"
    portal = opened()
    refuse_for_days(portal, relay, 1, NEIGHBOUR)
    assert state_of(portal, ADDRESS) == (False, {"queued"})
    refuse_for_days(portal, relay, 2, NEIGHBOUR)
    assert state_of(portal, ADDRESS) == (True, {"refused"})


def test_a_whole_domain_that_refuses_is_nobodys_dead_mailbox(opened, relay):
    relay.answers["RCPT"] = "550 Rejected"
    portal = opened()
    refuse_for_days(portal, relay, 5, "alix@autre.fr")
    assert state_of(portal, ADDRESS) == (False, {"queued"})


def test_a_mail_that_is_taken_ends_the_doubt(opened, relay):
    relay.answers["RCPT"] = "550 Rejected"
    portal = opened()
    refuse_for_days(portal, relay, 1, NEIGHBOUR)
    relay.answers.clear()
    portal.clock.pass_time(days=1)
    portal.work()
    assert state_of(portal, ADDRESS) == (False, {"sent"})
    portal.clock.pass_time(days=1)
    with portal.town() as town:
        family = town.families.by_code("F001").id
        town.alerts.resend(family, town.alerts.addresses(family)[0].id)
    refuse_for_days(portal, relay, 1, NEIGHBOUR)
    assert state_of(portal, ADDRESS) == (False, {"sent", "queued"})


def test_a_refusal_without_a_word_is_not_tried_for_ever(opened, relay):
    relay.answers["RCPT"] = "550 Rejected"
    portal = opened()
    for _try in range(30):
        portal.clock.pass_time(hours=7)
        portal.work()
    with portal.town() as town:
        assert town.health.queue().dead == 1
        assert town.health.queue().later == 0
    assert relay.asked == 20


def test_mails_that_come_back_without_a_word_mark_at_last(opened, relay):
    portal = opened()
    without = "5.0.0 smtp; 550 Rejected (in reply to RCPT TO command)"

    def come_back():
        with portal.town() as town:
            for message in town.notifications.of_family(town.families.by_code("F001").id):
                if message.address == ADDRESS and message.state == "sent":
                    number = message.reference.strip("<>").partition("@")[0]
                    assert town.notifications.returned(number, without)

    come_back()
    portal.clock.pass_time(hours=7)
    portal.work()
    come_back()
    assert state_of(portal, ADDRESS) == (False, {"returned"})
    refuse_for_days(portal, relay, 3, NEIGHBOUR)
    relay.answers.clear()
    with portal.town() as town:
        family = town.families.by_code("F001").id
        town.alerts.resend(family, town.alerts.addresses(family)[0].id)
    portal.work()
    come_back()
    assert state_of(portal, ADDRESS) == (True, {"returned", "refused"})
