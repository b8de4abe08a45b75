"""A local mailbox: takes what the portal sends by SMTP, and shows it on a page.

Three kinds of addresses behave badly on purpose, so that bounces can be tried: ``refuse…@`` is
refused for good (550), ``plus-tard…@`` for now (451), and ``retour…@`` takes a mail and sends it
back afterwards, to ``preau mail returned`` as a mail server would.
"""

from __future__ import annotations

import mailbox as maildirs
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import click
import waitress
from aiosmtpd.smtp import SMTP, Envelope, Session
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from core.dev.mail_server import MailServer
from core.platform.settings import get_settings

PAGE_SIZE = 100
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'"
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox;"
    " default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
)
"""Permissions of a mail on the page: show itself and open its links elsewhere."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail, the inline ones included; `number` counts from 0."""

    number: int
    name: str
    content_type: str
    content: bytes


class Mail:
    """One mail as it was received."""

    def __init__(self, key: str, raw: bytes) -> None:
        self.key = key
        self.message: EmailMessage = message_from_bytes(raw, policy=policy.default)

    def header(self, name: str) -> str:
        """A header's decoded value, or ""."""
        return str(self.message.get(name, ""))

    @property
    def recipients(self) -> list[str]:
        """The envelope's recipients."""
        return self.header("X-Envelope-To").split(", ")

    @property
    def date(self) -> datetime | None:
        """Time at which the mail was written; None without a valid ``Date``."""
        try:
            return parsedate_to_datetime(self.header("Date"))
        except ValueError:
            return None

    @property
    def text(self) -> str:
        """The text part, or ""."""
        return self._body("plain")

    @property
    def html(self) -> str:
        """The HTML part, its embedded images pointing to the attachments, or ""."""
        numbers = {
            str(part["Content-ID"]).strip("<>"): number
            for number, part in enumerate(self._parts())
            if part["Content-ID"]
        }
        return re.sub(
            r"cid:([^\"'\s>)]+)",
            lambda match: f"attachments/{numbers.get(match[1], -1)}",
            self._body("html"),
        )

    @property
    def unsubscribe(self) -> str:
        """The address that a mail program posts to on "unsubscribe" (RFC 8058), or ""."""
        match = re.search(r"<(https?://[^>]+)>", self.header("List-Unsubscribe"))
        one_click = "One-Click" in self.header("List-Unsubscribe-Post")
        return match[1] if match and one_click else ""

    @property
    def attachments(self) -> list[Attachment]:
        """The files that came along."""
        return [
            Attachment(
                number,
                part.get_filename() or f"piece-{number + 1}",
                part.get_content_type(),
                part.get_payload(decode=True) or b"",  # type: ignore[arg-type]
            )
            for number, part in enumerate(self._parts())
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything a test may look at."""
        return {
            "id": self.key,
            "date": self.header("Date"),
            "from": self.header("From"),
            "reply_to": self.header("Reply-To"),
            "to": self.recipients,
            "subject": self.header("Subject"),
            "message_id": self.header("Message-ID"),
            "unsubscribe": self.unsubscribe,
            "headers": {name: str(value) for name, value in self.message.items()},
            "text": self.text,
            "html": self.html,
            "attachments": [
                {"name": a.name, "type": a.content_type, "size": len(a.content)}
                for a in self.attachments
            ],
        }

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(part.get_content()) if part else ""

    def _parts(self) -> Iterator[EmailMessage]:
        bodies = (self.message.get_body(("plain",)), self.message.get_body(("html",)))
        for part in self.message.walk():
            if not part.is_multipart() and part not in bodies:
                yield part


class Store:
    """The mails, in a Maildir that outlives the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder / "maildir"

    @property
    def _maildir(self) -> maildirs.Maildir:
        # A new one each time: its cache of the folder is not made for several threads.
        return maildirs.Maildir(self._folder)

    def add(self, content: bytes, recipients: list[str]) -> None:
        """Keep a mail with its envelope."""
        self._maildir.add(f"X-Envelope-To: {', '.join(recipients)}\r\n".encode() + content)

    def mails(self, to: str = "") -> list[Mail]:
        """All mails, or those to one address; the newest first."""
        maildir = self._maildir
        keys = sorted(maildir.keys(), key=_received, reverse=True)
        mails = (Mail(key, maildir.get_bytes(key)) for key in keys)
        return [mail for mail in mails if not to or to in mail.recipients]

    def get(self, key: str) -> Mail | None:
        """One mail, or None."""
        try:
            return Mail(key, self._maildir.get_bytes(key))
        except KeyError:
            return None

    def clear(self) -> None:
        """Throw all mails away."""
        self._maildir.clear()


def _received(key: str) -> tuple[float, str]:
    """A Maildir key starts with the second and the microsecond of its arrival."""
    match = re.match(r"(\d+)\.M(\d+)", key)
    return (float(f"{match[1]}.{int(match[2]):06}") if match else 0.0, key)


class Receiver:
    """aiosmtpd's handler: accepts all mail but that for the addresses that misbehave."""

    def __init__(self, store: Store, give_back: Callable[[str, bytes], None] | None = None) -> None:
        """`give_back` is told of a mail that comes back: to which address, and what it says."""
        self._store = store
        self._give_back = give_back or pipe

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        """Answer ``RCPT TO``."""
        if address.startswith("refuse"):
            return "550 5.1.1 No such mailbox"
        if address.startswith("plus-tard"):
            return "451 4.2.0 Try again later"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Answer ``DATA``."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        self._store.add(raw, [str(address) for address in envelope.rcpt_tos])
        sender = str(envelope.mail_from or "")
        for address in map(str, envelope.rcpt_tos):
            if address.startswith("retour") and sender:
                self._give_back(sender, status_notification(sender, address))
        return "250 OK"


def status_notification(sender: str, refused: str) -> bytes:
    """Mail of a mail server to `sender` when `refused` has no mailbox after all (RFC 3464)."""
    words = MIMEText(f"Le message n’a pas pu être remis à {refused}.", "plain", "utf-8")
    server, recipient = Message(), Message()
    server["Reporting-MTA"] = "dns; mailbox.invalid"
    recipient["Final-Recipient"] = f"rfc822; {refused}"
    recipient["Action"] = "failed"
    recipient["Status"] = "5.1.1"
    recipient["Diagnostic-Code"] = "smtp; 550 5.1.1 No such mailbox"
    status = MIMEBase("message", "delivery-status")
    status.set_payload([server, recipient])
    report = MIMEMultipart("report")
    report.set_param("report-type", "delivery-status")
    report["From"], report["To"] = "MAILER-DAEMON@mailbox.invalid", sender
    report["Subject"] = "Undelivered Mail Returned to Sender"
    report["Auto-Submitted"] = "auto-replied"
    report.attach(words)
    report.attach(status)
    return report.as_bytes()


def pipe(to: str, mail: bytes) -> None:
    """Hand a returned mail to the portal, as a mail server's pipe does; again while it asks to."""

    def run() -> None:
        command = [sys.executable, "-P", "-m", "core.cli.main", "mail", "returned", "--to", to]
        for _attempt in range(5):
            ended = subprocess.run(command, input=mail, check=False)  # noqa: S603 - our own
            if ended.returncode != os.EX_TEMPFAIL:
                return
            time.sleep(2)

    threading.Thread(target=run, daemon=True).start()


def make_app(store: Store) -> Any:
    """The WSGI application that shows the mails."""
    config = Configurator(settings={"jinja2.trim_blocks": True})
    config.include("pyramid_jinja2")
    config.add_request_method(lambda _request: store, "store", reify=True)
    for name, pattern, view, options in (
        ("list", "/", list_mails, {"renderer": "core.dev:templates/mailbox.jinja2"}),
        ("api", "/api/mails", list_as_json, {"renderer": "json"}),
        ("clear", "/clear", clear, {"request_method": "POST"}),
        ("mail", "/{key}/", show_mail, {"renderer": "core.dev:templates/mail.jinja2"}),
        ("html", "/{key}/html", show_html, {}),
        ("raw", "/{key}/source", show_source, {}),
        ("attachment", "/{key}/attachments/{number:\\d+}", attachment, {}),
    ):
        config.add_route(name, pattern)
        config.add_view(view, route_name=name, **options)
    return config.make_wsgi_app()


def list_mails(request: Request) -> Mapping[str, Any]:
    """The newest mails."""
    request.response.headers["Content-Security-Policy"] = PAGE_POLICY
    to = request.params.get("to", "")
    mails = request.store.mails(to)
    return {"mails": mails[:PAGE_SIZE], "total": len(mails), "to": to}


def list_as_json(request: Request) -> list[dict[str, Any]]:
    """All mails, or those ``?to=`` one address, the oldest first."""
    return [mail.as_json() for mail in reversed(request.store.mails(request.params.get("to", "")))]


def clear(request: Request) -> HTTPSeeOther:
    """Empty the mailbox."""
    request.store.clear()
    return HTTPSeeOther(request.route_path("list"))


def show_mail(request: Request) -> Mapping[str, Any]:
    """One mail: headers, text, HTML in a sandbox, attachments."""
    request.response.headers["Content-Security-Policy"] = PAGE_POLICY
    return {"mail": _mail(request)}


def show_html(request: Request) -> Response:
    """The HTML part alone, which may run nothing."""
    page = '<!doctype html><base target="_blank">' + _mail(request).html
    return Response(page, headers={"Content-Security-Policy": MAIL_POLICY})


def show_source(request: Request) -> Response:
    """The mail as it came."""
    return Response(_mail(request).message.as_bytes(), content_type="text/plain", charset="utf-8")


def attachment(request: Request) -> Response:
    """A file of the mail; nothing in it may run."""
    files = _mail(request).attachments
    number = int(request.matchdict["number"])
    if number >= len(files):
        raise HTTPNotFound
    found = files[number]
    response = Response(found.content, content_type=found.content_type)
    response.content_disposition = "inline"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if found.content_type != "application/pdf":  # a browser's PDF reader does not run in a sandbox
        response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _mail(request: Request) -> Mail:
    mail: Mail | None = request.store.get(request.matchdict["key"])
    if mail is None:
        raise HTTPNotFound
    return mail


@click.command()
@click.option("--smtp-port", default=1025, show_default=True, help="Where the portal sends mail.")
@click.option("--http-port", default=8025, show_default=True, help="Where to read it.")
def mailbox(smtp_port: int, http_port: int) -> None:
    """Take the portal's mails and show them on a page. For development only."""
    store = Store(get_settings().data_dir / "mailbox")
    controller = MailServer(
        Receiver(store), hostname="127.0.0.1", port=smtp_port, enable_SMTPUTF8=True
    )
    controller.start()
    try:
        waitress.serve(make_app(store), host="127.0.0.1", port=http_port, threads=4, _quiet=True)
    finally:
        controller.stop()
