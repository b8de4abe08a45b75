"""Other sides that misbehave: a server on this machine for each way in which one can."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum


class Peer(StrEnum):
    """Way in which the other side misbehaves."""

    ABSENT = "absent"
    """Nobody listens."""
    SILENT = "silent"
    """It takes the connection and never says a word."""
    CLOSING = "closing"
    """It takes the connection and closes it."""
    BABBLE = "babble"
    """It says what belongs to no protocol."""
    PAGE = "page"
    """It answers 200 with the page of a service under maintenance."""
    BROKEN = "broken"
    """It answers 500 and nothing."""
    TORN = "torn"
    """It promises a long answer and breaks off."""


PEERS = tuple(Peer)

_PAGE = b"<!doctype html><title>Maintenance</title><p>Le service reviendra."
_ANSWERS = {
    Peer.CLOSING: b"",
    Peer.BABBLE: b"\x00\xff\xfe<<<>>>\r\n\r\n" * 40,
    Peer.PAGE: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_PAGE), _PAGE),
    Peer.BROKEN: b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n",
    Peer.TORN: b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 9000\r\n\r\n<?xml ",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Address of the other side."""

    host: str
    port: int
    visits: list[int] = field(default_factory=list, compare=False)
    """One for each connection that it took."""

    @property
    def url(self) -> str:
        """As the address of an HTTP service, without a slash at its end."""
        return f"http://{self.host}:{self.port}"


@contextmanager
def peer(kind: Peer) -> Iterator[Place]:
    """A server that misbehaves in this way while the block runs."""
    if kind is Peer.ABSENT:
        with socket.socket() as deaf:  # Kept, so that nobody else comes to listen there.
            deaf.bind(("127.0.0.1", 0))
            yield Place(*deaf.getsockname())
        return
    listener = socket.create_server(("127.0.0.1", 0))
    place = Place(*listener.getsockname()[:2])
    open_ones: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _address = listener.accept()
                place.visits.append(1)
                open_ones.append(connection)
                if kind is not Peer.SILENT:
                    threading.Thread(target=_misbehave, args=(connection, kind)).start()

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield place
    finally:
        # On Linux, closing alone would leave `accept` waiting.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join()
        for connection in open_ones:
            connection.close()


def _misbehave(connection: socket.socket, kind: Peer) -> None:
    with suppress(OSError), connection:
        if kind is not Peer.CLOSING and kind is not Peer.BABBLE:
            connection.settimeout(20)
            connection.recv(65536)
        connection.sendall(_ANSWERS[kind])
        connection.shutdown(socket.SHUT_WR)
