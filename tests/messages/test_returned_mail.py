"""Mails that come back after the mail server had taken them."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from core.cli import mail
from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.dev.mailbox import Receiver, Store, status_notification
from core.messages.email.bounces import MAX_LOCAL_PART_CHARS, Returned, read, sender_for
from core.platform.db.session import make_engine
from core.runtime import Runtime
from core.testing.portal import make_portal, record

RETURNS = "retours@portail.exemple"
GONE = "retour-camille@exemple.fr"
NUMBER = "0123456789abcdef01234567"


@pytest.fixture
def back():
    return []


@pytest.fixture
def portal(database, redis, tmp_path, back):
    receiver = Receiver(Store(tmp_path / "mailbox"), lambda to, mail: back.append((to, mail)))
    controller = MailServer(receiver, hostname="127.0.0.1", port=free_port())
    controller.start()
    made = make_portal(
        database, tmp_path / "portal", smtp_port=controller.port, mail_returns=RETURNS
    )
    yield made
    made.runtime.close()
    controller.stop()


def register(portal, address):
    """The family's address, as its owner confirmed it."""
    portal.publish(record("0"))
    with portal.town() as town:
        family = town.families.by_code("F001")
        town.alerts.add(family.id, address)
    portal.work()
    return family.id


def note(portal, to, mail):
    found = read(mail, RETURNS, to)
    with portal.town(found.town) as town:
        return town.notifications.returned(found.number, found.reason)


def test_it_shows_on_the_familys_file(portal, back):
    family = register(portal, GONE)
    ((to, mail),) = back
    assert to.startswith("retours+valmont-")
    assert note(portal, to, mail)
    assert note(portal, to, mail)  # Told twice: noted once.
    with portal.town() as town:
        (address,) = town.alerts.addresses(family)
        assert address.refusal == "5.1.1 smtp; 550 5.1.1 No such mailbox"
        (message,) = town.notifications.of_family(family)
        assert message.state == "refused"


def test_another_town_has_no_such_mail(portal, back):
    register(portal, GONE)
    ((to, _mail),) = back
    with portal.town("brumes") as town:
        assert not town.notifications.returned(to.partition("@")[0].rpartition("-")[2], "x")


def test_a_number_that_was_never_sent_is_not_noted(portal):
    register(portal, "camille@exemple.fr")
    with portal.town() as town:
        assert not town.notifications.returned(NUMBER, "x")
        assert not town.notifications.returned("%", "x")


def report(to=f"retours+valmont-{NUMBER}@portail.exemple", **changes):
    mail = status_notification(to, GONE)
    for old, new in changes.items():
        mail = mail.replace(old.encode(), new.encode())
    return mail


def test_what_a_mail_server_says_is_read():
    assert read(report(), RETURNS) == Returned(
        "valmont", NUMBER, "5.1.1 smtp; 550 5.1.1 No such mailbox"
    )


def test_the_envelope_wins_over_headers_and_letter_case_does_not_count():
    to = f"RETOURS+Valmont-{NUMBER.upper()}@Portail.exemple"
    assert read(report(to="autre@portail.exemple"), RETURNS, to).number == NUMBER
    assert read(report(), RETURNS, "autre@portail.exemple") is None


@pytest.mark.parametrize(
    "mail",
    [
        report(failed="delayed"),
        report(to="retours@portail.exemple"),
        report(to=f"retours+valmont-{NUMBER}@ailleurs.exemple"),
        f"To: retours+valmont-{NUMBER}@portail.exemple\n\nJe suis absente.".encode(),
        b"",
    ],
    ids=["a delay", "no number", "another domain", "out of office", "nothing"],
)
def test_what_says_nothing_of_a_mail_of_ours(mail):
    assert read(mail, RETURNS) is None


@given(st.binary() | st.lists(st.sampled_from(report().split(b"\n")), max_size=40).map(b"\n".join))
def test_no_mail_is_too_broken_to_be_read(raw):
    assert read(raw, RETURNS) is None or b"failed" in raw


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True))
def test_the_envelope_sender_names_its_mail_or_is_not_used(town):
    sender = sender_for(RETURNS, town, NUMBER)
    if sender:
        assert read(report(to=sender), RETURNS) == Returned(
            town, NUMBER, "5.1.1 smtp; 550 5.1.1 No such mailbox"
        )
        assert len(sender.partition("@")[0]) <= MAX_LOCAL_PART_CHARS
    else:
        assert len(town) > 30


def test_the_mails_envelope_and_header_differ(portal, back):
    """Parents see the town; mail servers see where to return it."""
    register(portal, GONE)
    ((to, mail),) = back
    assert message_from_bytes(mail, policy=policy.default)["To"] == to
    assert "portail.exemple" in to


def test_the_mail_server_tries_again_when_database_or_town_are_away(portal, back, monkeypatch, servers):
    """Ended with any other number, the mail would be lost."""
    register(portal, GONE)
    ((to, returned),) = back
    away = make_engine(f"postgresql+psycopg://preau_app@127.0.0.1:{free_port()}/preau")
    runtime = Runtime(portal.runtime.settings, portal.runtime.extensions, engine=away)
    monkeypatch.setattr(mail, "get_runtime", lambda: runtime)
    monkeypatch.setattr(mail, "get_settings", lambda: portal.runtime.settings)
    answer = CliRunner().invoke(mail.mail, ["returned", "--to", to], input=returned)
    assert answer.exit_code == 75, answer.output
    monkeypatch.setattr(mail, "get_runtime", lambda: portal.runtime)
    for state, code in (("closed", 75), ("moved", 75), ("open", 0)):
        servers.execute(
            f"UPDATE tenant SET state = '{state}'", database=portal.runtime.engine.url.database
        )
        answer = CliRunner().invoke(mail.mail, ["returned", "--to", to], input=returned)
        assert answer.exit_code == code, answer.output
    assert answer.output == "noted\n"
    runtime.close()
