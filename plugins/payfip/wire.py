"""One HTTP exchange with PayFiP, bounded as a whole.

httpcore without httpx on top: a read time-out of httpx is for each piece, so that headers which
drip hold a worker as long as they like. httpcore's network backend is where every wait passes.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore

from plugins.payfip.places import proxy_for, redirect_target

MAX_ANSWER_BYTES = 256 * 1024
"""A real answer has two thousand; more is somebody's error page."""
MAX_REDIRECTS = 3

LOST = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)
"""The connection broke while it was used, as a kept one does when the other side closed it."""
TIMEOUTS = (httpcore.TimeoutException,)
BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, OSError)


class TooLargeError(Exception):
    """The answer is longer than any of PayFiP's."""


class RedirectError(Exception):
    """The service sends elsewhere, and what it sends is not followed there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to an exchange: status, content, and the address that gave it."""

    status: int
    content: bytes
    url: str


class Deadline:
    """The moment at which an exchange must be over, for the thread that waits for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._local = threading.local()

    def start(self, seconds: float) -> None:
        """Begin an exchange that may take so long."""
        self._local.at = self._clock() + seconds

    def put_off(self, seconds: float) -> None:
        """Not count what was spent on connecting, which has a bound of its own."""
        self._local.at += seconds

    def bound(self, timeout: float | None) -> float:
        """Longest time that a wait may take now, in seconds.

        Raises:
            httpcore.ReadTimeout: the exchange has had its time.
        """
        left = float(self._local.at) - self._clock()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer takes too long")
        return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection on which no wait goes beyond the exchange's deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.bound(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.bound(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        bound = self._deadline.bound(timeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, bound), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """httpcore's own way to the network, whose connections keep the deadline."""

    def __init__(self, deadline: Deadline, clock: Callable[[], float]) -> None:
        self._inner = httpcore.SyncBackend()
        self._deadline = deadline
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        started = self._clock()
        try:
            inner = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        finally:
            self._deadline.put_off(self._clock() - started)
        return _Stream(inner, self._deadline)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class Wire:
    """Posts messages and gives the answers. Safe between threads.

    Establishing the connection is tried twice, since nothing was sent yet (once through a proxy,
    which httpcore asks no second time). `max_answer_seconds` bounds what follows, as a whole.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: dict[str, str],
        connect_timeout: float,
        read_timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._read_timeout = read_timeout
        self._waits = {
            "connect": connect_timeout,
            "read": read_timeout,
            "write": read_timeout,
            "pool": read_timeout,
        }
        self._deadline = Deadline(clock)
        self._pool = _pool(proxy_for(endpoint), _Backend(self._deadline, clock))

    def post(self, url: str, content: bytes, *, repeatable: bool) -> Answer:
        """Send a message; what is `repeatable` is sent again once when the connection breaks.

        Follows redirects as `redirect_target` allows, and sends what is not repeatable only where a
        redirect keeps the method by its definition (307, 308), once.

        Raises:
            RedirectError: a redirect that is not followed.
            TooLargeError: the answer is none of PayFiP's.
            httpcore.TimeoutException, httpcore.NetworkError...: no answer.
        """
        self._deadline.start(self._read_timeout)
        limit = MAX_REDIRECTS if repeatable else 1
        keeping = {301, 302, 307, 308} if repeatable else {307, 308}
        for _hop in range(limit + 1):
            answer, location = self._sent(url, content, repeatable=repeatable)
            if not 300 <= answer.status < 400:
                return answer
            target = redirect_target(url, location)
            if answer.status not in keeping or not target:
                raise RedirectError(f"HTTP {answer.status} {location[:200]}".strip())
            url = target
        raise RedirectError("too many redirects")

    def location(self, url: str) -> str:
        """Address to which a page redirects a browser; "" when the page answers by itself.

        Raises:
            httpcore.TimeoutException, httpcore.NetworkError...: no answer.
        """
        self._deadline.start(self._read_timeout)
        waits = {"timeout": self._waits}
        with self._pool.stream("GET", url, headers=self._headers, extensions=waits) as response:
            return _location(response) if 300 <= response.status < 400 else ""

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.close()

    def _sent(self, url: str, content: bytes, *, repeatable: bool) -> tuple[Answer, str]:
        try:
            return self._exchange(url, content)
        except LOST:
            if not repeatable:
                raise
        return self._exchange(url, content)

    def _exchange(self, url: str, content: bytes) -> tuple[Answer, str]:
        found = bytearray()
        with self._pool.stream(
            "POST", url, headers=self._headers, content=content, extensions={"timeout": self._waits}
        ) as response:
            for piece in response.iter_stream():
                found += piece
                if len(found) > MAX_ANSWER_BYTES:
                    raise TooLargeError("the answer is too large")
        return Answer(response.status, bytes(found), url), _location(response)


def _location(response: httpcore.Response) -> str:
    found = (value for name, value in response.headers if name.lower() == b"location")
    return next(found, b"").decode("ascii", "replace")


def _pool(proxy: str | None, backend: _Backend) -> httpcore.ConnectionPool:
    from httpx import create_ssl_context  # noqa: PLC0415 - the authorities as SSL_CERT_FILE has them

    options: dict[str, Any] = {
        "ssl_context": create_ssl_context(),
        "max_connections": 20,
        "keepalive_expiry": 5.0,
        "network_backend": backend,
        "retries": 1,
    }
    if proxy is None:
        return httpcore.ConnectionPool(**options)
    parts = urlsplit(proxy)
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    auth = None
    if parts.username is not None:
        auth = (unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme.startswith("socks"):
        return httpcore.SOCKSProxy(bare, proxy_auth=auth, **options)
    return httpcore.HTTPProxy(bare, proxy_auth=auth, **options)
