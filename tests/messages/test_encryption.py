"""TLS from the first byte, STARTTLS, and what the doctor says of a server that wants the other."""

from __future__ import annotations

import socket
import ssl
import subprocess
from email.message import EmailMessage

import pytest

from core.cli import doctor
from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.messages.email import smtp
from core.messages.email.channel import send
from core.platform.settings import SettingsError, load
from core.plugin import Delivered, Retry
from core.testing.waiting import PATIENCE_SECONDS


class Post:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append(session.ssl is not None or server.transport.get_extra_info("cipher"))
        return "250 OK"


class Over(MailServer):
    """A controller that looks as a client whether it is ready: its own context is a server's."""

    def _trigger_server(self):
        if self.ssl_context is None:
            super()._trigger_server()
            return
        context = ssl._create_unverified_context()
        with (
            socket.create_connection((self.hostname, self.port), 5) as plain,
            context.wrap_socket(plain) as made,
        ):
            made.recv(1024)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return folder


@pytest.fixture
def serve(certificate, tmp_path, monkeypatch):
    """Starts a server, and gives the settings that reach it."""
    smtp.forget()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    started = []

    def start(kind, **settings):
        if kind == "tls" and not settings.get("smtp_tls"):
            # Each side waits for the other to speak first: in vain, and in the others' tests not at all.
            monkeypatch.setattr(doctor, "CHECK_TIMEOUT_SECONDS", 2)
            monkeypatch.setattr(smtp, "REPLY_TIMEOUT_SECONDS", 2)
        options = {"tls": {"ssl_context": context}, "starttls": {"tls_context": context}, "plain": {}}
        post = Post()
        controller = Over(post, hostname="localhost", port=free_port(), **options[kind])
        controller.start()
        started.append(controller)
        installation = load(
            tenants_dir=tmp_path, data_dir=tmp_path, smtp_host="localhost",
            smtp_port=controller.port, **settings,
        )  # fmt: skip
        return post, installation

    yield start
    for controller in started:
        controller.stop()
    smtp.forget()


def mail():
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@exemple.fr", "b@exemple.fr", "x"
    made["Message-ID"] = "<1@exemple.fr>"
    made.set_content("bonjour")
    return made


@pytest.mark.parametrize(
    ("kind", "settings"), [("tls", {"smtp_tls": True}), ("starttls", {"smtp_starttls": True})]
)
def test_a_mail_leaves_encrypted(serve, kind, settings):
    post, installation = serve(kind, **settings)
    assert isinstance(send(mail(), installation), Delivered)
    assert post.mails[0]
    assert [found.good for found in doctor.check_smtp(installation)] == [True]


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("tls", {}, "PREAU_SMTP_TLS=true"),
        ("tls", {"smtp_starttls": True}, "PREAU_SMTP_TLS=true"),
        ("plain", {"smtp_tls": True}, "PREAU_SMTP_STARTTLS=true"),
        ("plain", {"smtp_starttls": True}, "does not offer STARTTLS"),
        ("plain", {"smtp_user": "preau", "smtp_password": "x"}, "sign-in"),
    ],
)
def test_the_doctor_names_the_setting(serve, kind, settings, words):
    _post, installation = serve(kind, **settings)
    (found,) = doctor.check_smtp(installation)
    assert found.fatal
    assert words in found.text
    assert isinstance(send(mail(), installation), Retry)


def test_a_certificate_of_nobody_is_refused(serve, monkeypatch):
    post, installation = serve("tls", smtp_tls=True)
    monkeypatch.delenv("SSL_CERT_FILE")
    (found,) = doctor.check_smtp(installation)
    assert "certificate" in found.text
    assert isinstance(send(mail(), installation), Retry)
    assert post.mails == []


def test_a_server_that_is_not_there(tmp_path):
    installation = load(tenants_dir=tmp_path, smtp_host="127.0.0.1", smtp_port=free_port())
    (found,) = doctor.check_smtp(installation)
    assert "nothing answers" in found.text


def test_both_at_once_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="exclude"):
        load(tenants_dir=tmp_path, smtp_tls=True, smtp_starttls=True)
