"""The clients of a process, made and loaded when the first of them is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from plugins.payfip.breaker import Breaker

if TYPE_CHECKING:
    from plugins.payfip.client import Client


class Clients:
    """The clients of this process, one per service and set of time-outs.

    Shared, because the breaker and the connections are worth something only over many calls. A
    forked child must not use its parent's sockets: `forget` is registered for it. `breaker` makes
    the circuit breaker of a new client.
    """

    def __init__(self, breaker: Callable[[], Breaker] = Breaker) -> None:
        self._breaker = breaker
        self._clients: dict[tuple[str, float, float], Client] = {}
        self._lock = threading.Lock()

    def get(self, endpoint: str, *, connect_timeout: float, read_timeout: float) -> Client:
        """The client of `endpoint`, made on first use."""
        key = (endpoint, connect_timeout, read_timeout)
        with self._lock:
            if key not in self._clients:
                from plugins.payfip.client import Client  # noqa: PLC0415 - it loads httpx

                self._clients[key] = Client(
                    endpoint,
                    connect_timeout=connect_timeout,
                    read_timeout=read_timeout,
                    breaker=self._breaker(),
                )
            return self._clients[key]

    def forget(self) -> None:
        """Start afresh in a forked child, leaving the parent's sockets untouched."""
        self._lock = threading.Lock()
        self._clients = {}

    def close(self) -> None:
        """Close every client."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
