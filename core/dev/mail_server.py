"""A mail server in a thread, for development and tests."""

from __future__ import annotations

from asyncio import WriteTransport
from typing import Any
from weakref import WeakSet

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


class MailServer(Controller):
    """Ends every connection before it stops.

    aiosmtpd leaves open what a client keeps: a socket without an owner, which Python complains of
    whenever it is collected. From Python 3.12 on its stop waits for such a client for ever.
    """

    def __init__(self, handler: Any, **options: Any) -> None:
        self._connections: WeakSet[SMTP] = WeakSet()
        super().__init__(handler, **options)

    def factory(self) -> SMTP:
        """The protocol of one connection."""
        connection = super().factory()
        self._connections.add(connection)
        return connection

    def cancel_tasks(self, stop_loop: bool = True) -> None:
        """Abort the connections; the loop closes their sockets before it stops."""
        for connection in tuple(self._connections):
            transport = connection.transport
            if isinstance(transport, WriteTransport):
                transport.abort()
        self.loop.call_soon(super().cancel_tasks, stop_loop)
