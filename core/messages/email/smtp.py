"""Connections to the mail server, kept for the next mail.

A publication is thousands of mails: greeting, TLS and password for each of them would take longer
than the mails. A connection that rested too long, carried enough, or was closed by the server is
not used again; one on which anything went wrong is closed.
"""

from __future__ import annotations

import os
import re
import select
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

REPLY_TIMEOUT_SECONDS = 20
"""Seconds that a mail server may take for one answer."""
IDLE_SECONDS = 10.0
"""Seconds for which an idle connection is kept: well below what servers wait for."""
MAX_MAILS_PER_CONNECTION = 100
"""Mails of one connection; some servers allow no more."""
MAX_IDLE_CONNECTIONS = 8
"""Connections that are kept; threads that need more open their own."""

_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
"""A dot alone on a line ends a mail: one that begins a line is doubled."""


class Server(Protocol):
    """Settings of the server that takes outgoing mail."""

    @property
    def smtp_host(self) -> str:
        """Its name."""
        ...

    @property
    def smtp_port(self) -> int:
        """Its port."""
        ...

    @property
    def smtp_user(self) -> str:
        """The name to sign in with; "": nobody signs in."""
        ...

    @property
    def smtp_password(self) -> str:
        """The password of `smtp_user`."""
        ...

    @property
    def smtp_tls(self) -> bool:
        """TLS from the first byte."""
        ...

    @property
    def smtp_starttls(self) -> bool:
        """TLS by STARTTLS."""
        ...


@dataclass(slots=True)
class _Kept:
    """A connection, and how it was opened: another server's is of no use."""

    server: smtplib.SMTP
    opened_for: tuple[object, ...]
    mails: int = 0
    since: float = 0.0

    def is_good(self, wanted: tuple[object, ...]) -> bool:
        """True if the next mail may go over this connection."""
        return (
            self.opened_for == wanted
            and self.mails < MAX_MAILS_PER_CONNECTION
            and time.monotonic() - self.since < IDLE_SECONDS
            and _is_silent(self.server)
        )

    def close(self) -> None:
        """Hang up; that the server may not hear it does not matter."""
        with suppress(OSError):
            self.server.close()


_idle: list[_Kept] = []
# A forked worker must not speak on its parent's connections.
os.register_at_fork(after_in_child=_idle.clear)


@contextmanager
def connection(installation: Server) -> Iterator[smtplib.SMTP]:
    """A connection that is ready for a mail. Kept afterwards, unless the block raises.

    Raises:
        smtplib.SMTPException, OSError: the server is away, or does not want us.
    """
    kept = _take(installation)
    try:
        yield kept.server
    except BaseException:
        kept.close()
        raise
    kept.mails += 1
    kept.since = time.monotonic()
    if len(_idle) < MAX_IDLE_CONNECTIONS:
        _idle.append(kept)
    else:
        kept.close()


def forget() -> None:
    """Close what is kept."""
    while _idle:
        _idle.pop().close()


def hand_over(server: smtplib.SMTP, sender: str, recipient: str, content: bytes) -> None:
    """Give the server a mail for one recipient; `content` has the line ends of SMTP.

    Both addresses are bare ones. Where the server says PIPELINING (RFC 2920), its answers to
    sender, recipient and DATA are waited for together: two round trips instead of four.

    Raises:
        smtplib.SMTPException, OSError: the mail was not taken; the connection is of no more use.
    """
    server.ehlo_or_helo_if_needed()
    size = f" size={len(content)}" if server.has_extn("size") else ""
    envelope = (f"MAIL FROM:<{sender}>{size}", f"RCPT TO:<{recipient}>", "DATA")
    if any(end in command for command in envelope for end in "\r\n"):
        raise ValueError("a line's end in an address")
    lines = [f"{command}\r\n" for command in envelope]
    turns = ["".join(lines), "", ""] if server.has_extn("pipelining") else lines
    # One after the other: a server that refuses the sender may hang up before it answers the rest.
    code, said = _answer(server, turns[0])
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, said, sender)
    code, said = _answer(server, turns[1])
    if code not in (250, 251):
        raise smtplib.SMTPRecipientsRefused({recipient: (code, said)})
    code, said = _answer(server, turns[2])
    if code != 354:
        raise smtplib.SMTPDataError(code, said)
    body = _LEADING_DOT.sub(b"..", content)
    server.send(body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n"))
    code, said = server.getreply()
    if code != 250:
        raise smtplib.SMTPDataError(code, said)


def _answer(server: smtplib.SMTP, command: str) -> tuple[int, bytes]:
    """The next answer; what it answers is sent now, or "" was sent before."""
    if command:
        server.send(command)
    return server.getreply()


def dial(installation: Server, seconds: float) -> smtplib.SMTP:
    """Open a connection, encrypted and signed in as the settings want it.

    Raises:
        smtplib.SMTPException, OSError: the server is away, or does not want us.
    """
    host, port = installation.smtp_host, installation.smtp_port
    if installation.smtp_tls:
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=seconds, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=seconds)
    try:
        if installation.smtp_starttls:
            server.starttls(context=ssl.create_default_context())
        if installation.smtp_user:
            server.login(installation.smtp_user, installation.smtp_password)
    except BaseException:
        server.close()
        raise
    return server


def _take(installation: Server) -> _Kept:
    wanted = (
        installation.smtp_host,
        installation.smtp_port,
        installation.smtp_tls,
        installation.smtp_starttls,
        installation.smtp_user,
        installation.smtp_password,
    )
    with suppress(IndexError):  # Other threads take from it too.
        while True:
            kept = _idle.pop()
            if kept.is_good(wanted):
                return kept
            kept.close()
    return _Kept(dial(installation, REPLY_TIMEOUT_SECONDS), wanted)


def _is_silent(server: smtplib.SMTP) -> bool:
    """True if the server said nothing meanwhile: neither a good-bye, nor a hang-up."""
    if server.sock is None:
        return False
    waiting = select.poll()
    waiting.register(server.sock, select.POLLIN)
    return not waiting.poll(0)
