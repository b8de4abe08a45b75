"""Connections to the mail server that are kept for the next mail."""

from __future__ import annotations

import select
import smtplib
from email.message import EmailMessage

import pytest

from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.messages.email import smtp
from core.messages.email.channel import send
from core.platform.settings import load
from core.plugin import Delivered, Retry


class Post:
    """Takes mails, and knows how many connections brought them."""

    def __init__(self):
        self.mails, self.sessions, self.answer = [], set(), "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.sessions.add(session.peer)
        self.mails.append(envelope.content)
        return self.answer


@pytest.fixture
def post():
    smtp.forget()
    yield Post()
    smtp.forget()


@pytest.fixture
def start(post, tmp_path):
    started = []

    def starting(handler=post):
        port = free_port()
        controller = MailServer(handler, hostname="127.0.0.1", port=port)
        controller.start()
        started.append(controller)
        settings = load(tenants_dir=tmp_path, data_dir=tmp_path, smtp_host="127.0.0.1", smtp_port=port)
        return controller, settings

    yield starting
    for controller in started:
        if controller.server is not None:
            controller.stop()


def mail():
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@exemple.fr", "b@exemple.fr", "x"
    made["Message-ID"] = "<1@exemple.fr>"
    made.set_content("bonjour")
    return made


def test_mails_that_follow_one_another_share_a_connection(start, post):
    _server, settings = start()
    for _mail in range(3):
        assert isinstance(send(mail(), settings), Delivered)
    assert (len(post.mails), len(post.sessions)) == (3, 1)


def test_a_connection_carries_so_many_mails(start, post, monkeypatch):
    monkeypatch.setattr(smtp, "MAX_MAILS_PER_CONNECTION", 2)
    _server, settings = start()
    for _mail in range(4):
        send(mail(), settings)
    assert len(post.sessions) == 2


def test_a_connection_that_rested_is_not_used_again(start, post, monkeypatch):
    monkeypatch.setattr(smtp, "IDLE_SECONDS", 0.0)
    _server, settings = start()
    for _mail in range(2):
        send(mail(), settings)
    assert len(post.sessions) == 2


def test_a_refusal_ends_the_connection(start, post):
    _server, settings = start()
    post.answer = "451 later"
    assert isinstance(send(mail(), settings), Retry)
    post.answer = "250 OK"
    assert isinstance(send(mail(), settings), Delivered)
    assert len(post.sessions) == 2


def test_a_server_that_hung_up_is_called_again(start, post):
    """Not one mail may be late because a connection was kept."""
    _server, settings = start()
    send(mail(), settings)
    (kept,) = smtp._idle
    kept.server.docmd("QUIT")
    select.select([kept.server.sock], [], [], 60)  # It says good-bye first, and then hangs up.
    assert isinstance(send(mail(), settings), Delivered)
    assert (len(post.mails), len(post.sessions)) == (2, 2)


def test_another_server_gets_a_connection_of_its_own(start, post):
    (_one, first), (_other, second) = start(), start()
    for settings in (first, second, first):
        assert isinstance(send(mail(), settings), Delivered)
    assert len(post.sessions) == 3


def test_a_server_that_is_away_is_a_retry(start):
    server, settings = start()
    server.stop()
    assert isinstance(send(mail(), settings), Retry)
    assert smtp._idle == []
    with pytest.raises(OSError), smtp.connection(settings):
        raise AssertionError


# --- A server that takes the envelope at once ----------------------------------------------------


class AtOnce(Post):
    """Says PIPELINING, and may refuse at any stage."""

    refused = ("", "")

    async def handle_EHLO(self, _server, session, _envelope, hostname, responses):  # noqa: N802
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]]

    def said(self, stage):
        at, answer = self.refused
        return answer if at == stage else "250 OK"

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802
        if self.said("MAIL") == "250 OK":
            envelope.mail_from = address
        return self.said("MAIL")

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        if self.said("RCPT") == "250 OK":
            envelope.rcpt_tos.append(address)
        return self.said("RCPT")

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.said("DATA") == "250 OK":
            await super().handle_DATA(server, session, envelope)
        return self.said("DATA")


class OneByOne(AtOnce):
    """The same without PIPELINING."""

    async def handle_EHLO(self, _server, session, _envelope, hostname, responses):  # noqa: N802
        session.host_name = hostname
        return responses


@pytest.mark.parametrize(("handler", "times"), [(AtOnce, 2), (OneByOne, 4)])
def test_the_envelope_is_spoken_at_once_to_a_server_that_says_so(start, monkeypatch, handler, times):
    spoken = []
    speak = smtplib.SMTP.send
    monkeypatch.setattr(smtplib.SMTP, "send", lambda self, said: (spoken.append(said), speak(self, said)))
    post = handler()
    settings = start(post)[1]
    assert isinstance(send(mail(), settings), Delivered)
    spoken.clear()
    assert isinstance(send(mail(), settings), Delivered)
    assert (len(spoken), len(post.mails), len(post.sessions)) == (times, 2, 1)


@pytest.mark.parametrize(
    "body", ["..\r\n.\r\nQUIT", ".", "a\n.b\n..c\n", "\n", "é.\n.\n"], ids=repr
)
def test_a_line_that_begins_with_a_dot_ends_no_mail(start, body):
    """However a mail is handed over, the same arrives."""
    arrived = []
    for handler in (AtOnce, OneByOne):
        post = handler()
        settings = start(post)[1]
        made = mail()
        made.set_content(body, cte="8bit")
        assert isinstance(send(made, settings), Delivered)
        arrived.append(post.mails)
    assert arrived[0] == arrived[1]
    assert len(arrived[0]) == 1


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["451 4.3.0 later", "550 5.1.1 no such user", "421 4.7.0 bye"])
def test_a_refusal_means_the_same_however_it_came(start, stage, answer):
    ends = []
    for handler in (AtOnce, OneByOne):
        post = handler()
        settings = start(post)[1]
        post.refused = (stage, answer)
        ends.append(send(mail(), settings))
        assert not isinstance(ends[-1], Delivered)
        assert post.mails == []
        post.refused = ("", "")
        assert isinstance(send(mail(), settings), Delivered), "the next mail gets through"
    assert ends[0] == ends[1]
