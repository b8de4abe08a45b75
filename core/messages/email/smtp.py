"""Connections to the mail server, kept for the next mail.

A publication is thousands of mails: greeting, TLS and password for each of them would take longer
than the mails. A connection that rested too long, carried enough, or was closed by the server is
not used again; one on which anything went wrong is closed.
"""

from __future__ import annotations

import os
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
