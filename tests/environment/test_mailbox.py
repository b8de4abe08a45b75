"""The development mailbox: what goes in by SMTP comes out on the page and as JSON."""

from __future__ import annotations

import smtplib
import socket
import threading
from contextlib import suppress
from email.message import EmailMessage

import pytest
from webtest import TestApp

from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.dev.mailbox import Receiver, Store, make_app
from core.testing.waiting import PATIENCE_SECONDS


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "mailbox")


@pytest.fixture
def smtp(store):
    controller = MailServer(
        Receiver(store), hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True
    )
    controller.start()
    with smtplib.SMTP("127.0.0.1", controller.port) as client:
        yield client
    controller.stop()


@pytest.fixture
def page(store):
    return TestApp(make_app(store))


def _receipt(to="parent@example.org"):
    mail = EmailMessage()
    mail["From"] = "Ville de démo <ne-pas-repondre@example.org>"
    mail["To"] = to
    mail["Subject"] = "Votre paiement à l’école"
    mail["Date"] = "Tue, 24 Nov 2026 14:00:00 +0100"
    mail["List-Unsubscribe"] = "<mailto:x@example.org>, <http://localhost:8080/u/abc>"
    mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content("Réglé : 56,87 €\nhttp://localhost:8080/recu")
    mail.add_alternative('<p>Réglé <img src="cid:logo"> <script>alert(1)</script></p>', "html")
    html = mail.get_payload()[1]
    html.add_related(b"\x89PNG", "image", "png", cid="<logo>", filename="logo.png")
    mail.add_attachment(b"%PDF-1.7", "application", "pdf", filename="facturette.pdf")
    return mail


def test_a_mail_with_everything(smtp, page):
    smtp.send_message(_receipt())
    [mail] = page.get("/api/mails").json
    assert mail["to"] == ["parent@example.org"]
    assert mail["subject"] == "Votre paiement à l’école"
    assert "56,87 €" in mail["text"]
    assert mail["unsubscribe"] == "http://localhost:8080/u/abc"
    assert {a["name"] for a in mail["attachments"]} == {"logo.png", "facturette.pdf"}

    shown = page.get("/").click("Votre paiement")
    assert "Réglé : 56,87" in shown
    assert "<script>" not in shown
    assert shown.click("facturette.pdf").body == b"%PDF-1.7"


def test_html_runs_nothing_and_finds_its_images(smtp, page):
    smtp.send_message(_receipt())
    [mail] = page.get("/api/mails").json
    html = page.get(f"/{mail['id']}/html")
    assert html.headers["Content-Security-Policy"].startswith("sandbox allow-popups")
    assert "script-src" not in html.headers["Content-Security-Policy"]
    assert 'src="attachments/0"' in html
    assert page.get(f"/{mail['id']}/attachments/0").body == b"\x89PNG"


def test_only_the_mails_to_one_address_oldest_first(smtp, page):
    for to in ("a@example.org", "b@example.org", "a@example.org"):
        smtp.send_message(_receipt(to))
    assert len(page.get("/api/mails?to=a@example.org").json) == 2
    ids = [mail["id"] for mail in page.get("/api/mails").json]
    assert len(ids) == 3
    first = page.get("/api/mails").json[0]
    assert first["to"] == ["a@example.org"]


def test_addresses_that_misbehave(smtp, page):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        smtp.send_message(_receipt("refuse-1@example.org"))
    assert refused.value.recipients["refuse-1@example.org"][0] == 550
    with pytest.raises(smtplib.SMTPRecipientsRefused) as later:
        smtp.send_message(_receipt("plus-tard@example.org"))
    assert later.value.recipients["plus-tard@example.org"][0] == 451
    assert page.get("/api/mails").json == []


def test_empty_page_says_what_to_expect_and_clearing_empties(smtp, page):
    assert "Aucun courriel" in page.get("/")
    smtp.send_message(_receipt())
    page.get("/").forms[0].submit().follow()
    assert "Aucun courriel" in page.get("/")


@pytest.mark.parametrize("path", ["/x/", "/x/html", "/x/source", "/x/attachments/0"])
def test_unknown_mail_is_404(page, path):
    page.get(path, status=404)


def test_a_broken_mail_is_shown_all_the_same(smtp, page):
    smtp.sendmail("a@example.org", ["b@example.org"], b"Subject: \xff\xfe\r\nDate: never\r\n\r\n\xff")
    [mail] = page.get("/api/mails").json
    page.get(f"/{mail['id']}/")
    assert page.get("/").status_int == 200


def test_a_server_that_stops_lets_go_of_a_client_that_stays(store):
    """It neither waits for it, as from Python 3.12 on, nor leaves a socket that nobody closes."""
    server = MailServer(Receiver(store), hostname="127.0.0.1", port=free_port())
    server.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as client:
        assert client.recv(1024).startswith(b"220 ")
        connection = server.smtpd.transport
        ending = threading.Thread(target=server.stop, daemon=True)
        ending.start()
        ending.join(PATIENCE_SECONDS)
        assert not ending.is_alive()
        assert connection.get_extra_info("socket") is not None
        assert connection.get_extra_info("socket").fileno() == -1
        with suppress(ConnectionResetError):
            assert client.recv(1024) == b""
