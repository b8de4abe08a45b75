"""The client of PayFiP's web service.

lxml and httpx rather than zeep: three operations over flat strings need no generic SOAP engine.
Ours opens no WSDL at start, sends exactly the bytes that the interface describes, bounds the size
and the time of an answer, and keeps its connections (`benchmarks/payfip_client.py` compares them).
zeep stays where a third party's view is wanted: in the tests, against the same contract.wsdl.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from plugins.payfip import contract
from plugins.payfip.breaker import Breaker
from plugins.payfip.contract import MalformedAnswerError, Operation
from plugins.payfip.faults import CircuitOpenError, PayFiPFaultError, UnavailableError
from plugins.payfip.fields import Creation

log = logging.getLogger(__name__)

MAX_ANSWER = 256 * 1024
"""Bytes. A real answer has two thousand; more is somebody's error page."""

_LOST = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""The connection broke while it was used, as a kept one does when the other side closed it."""


_HERE = {"localhost", "127.0.0.1", "::1"}
"""This machine, where only a simulator is: no proxy leads to it."""


@dataclass(frozen=True, slots=True)
class PaymentDetail:
    """What PayFiP says of an idOp, field by field, word for word."""

    dattrans: str
    exer: str
    heurtrans: str
    idOp: str  # noqa: N815 - the interface's spelling, which is a trap when written otherwise
    mel: str
    montant: str
    numauto: str
    numcli: str
    objet: str
    refdet: str
    resultrans: str
    saisie: str

    def raw(self) -> dict[str, str]:
        """The answer as it is kept with the payment."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ClientDetail:
    """What PayFiP knows of a client number: up to three lines of name."""

    libelleN1: str  # noqa: N815
    libelleN2: str  # noqa: N815
    libelleN3: str  # noqa: N815
    numcli: str

    @property
    def label(self) -> str:
        """The name in one line."""
        return " ".join(filter(None, (self.libelleN1, self.libelleN2, self.libelleN3)))


def _proxy(endpoint: str) -> str | None:
    """The outgoing proxy that the environment names for this service, as curl and pip read it."""
    url = urlsplit(endpoint)
    host = url.hostname or ""
    if host in _HERE or proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{found}" if found and "://" not in found else found


class Client:
    """Talks with one PayFiP service. Safe between threads; one per process and service.

    Retries: establishing the connection is tried twice for every operation, since nothing was
    sent yet (once through a proxy, which httpx asks no second time). The two reads are also asked
    again once when the connection broke under them. `create` never is: it answers with a new idOp
    each time. Time-outs are never retried here, because somebody waits; the poller comes back.

    Every method raises `PayFiPFaultError` for the service's own faults, `UnavailableError` when
    there was no usable answer, and `CircuitOpenError` without asking after a row of failures.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        connect_timeout: float = 3.0,
        read_timeout: float = 12.0,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint = endpoint
        self._read_timeout = read_timeout
        self._breaker = breaker or Breaker()
        self._clock = clock
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(
                proxy=_proxy(endpoint),
                retries=1,
                limits=httpx.Limits(max_connections=20, keepalive_expiry=5.0),
            ),
            timeout=httpx.Timeout(read_timeout, connect=connect_timeout),
            headers={
                "Content-Type": contract.MEDIA_TYPE,
                "SOAPAction": '""',
                "User-Agent": "Preau",
            },
            follow_redirects=False,
        )

    def create(self, creation: Creation) -> str:
        """Open a payment and return its idOp."""
        id_op = self._call(Operation.CREATE, dict(creation.items()))["idOp"]
        if not id_op:
            raise UnavailableError("creerPaiementSecurise: no idOp in the answer")
        return id_op

    def payment(self, id_op: str) -> PaymentDetail:
        """Ask how the payment `id_op` stands: a read, to be repeated at will."""
        return PaymentDetail(**self._call(Operation.PAYMENT, {"idOp": id_op}))

    def regie(self, numcli: str) -> ClientDetail:
        """Ask what PayFiP knows of a client number."""
        return ClientDetail(**self._call(Operation.CLIENT, {"numCli": numcli}))

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _call(self, operation: Operation, values: dict[str, str]) -> dict[str, str]:
        if wait := self._breaker.enter():
            raise CircuitOpenError(
                f"{operation}: not asked, the service failed repeatedly",
                after=timedelta(seconds=wait),
            )
        started = self._clock()
        try:
            answer = self._ask(operation, contract.request(operation, values))
        except PayFiPFaultError as fault:
            if fault.functional:
                self._breaker.succeeded()
            else:
                self._breaker.failed()
            self._log(operation, started, str(fault.detail))
            raise
        except UnavailableError as error:
            self._breaker.failed()
            self._log(operation, started, error.reason)
            raise
        self._breaker.succeeded()
        self._log(operation, started, "ok")
        return answer

    def _ask(self, operation: Operation, body: bytes) -> dict[str, str]:
        try:
            status, content = self._post(body, again=operation is not Operation.CREATE)
        except httpx.TimeoutException as error:
            raise UnavailableError(f"{operation}: {type(error).__name__}") from None
        except httpx.HTTPError as error:
            raise UnavailableError(f"{operation}: {error or type(error).__name__}") from None
        if status not in {200, 500}:
            # 500 carries the SOAP faults; anything else is a proxy's or a firewall's word.
            raise UnavailableError(f"{operation}: HTTP {status}", answered=True)
        try:
            return contract.answer(operation, content)
        except MalformedAnswerError as error:
            raise UnavailableError(f"{operation}: HTTP {status}, {error}", answered=True) from None

    def _post(self, body: bytes, *, again: bool) -> tuple[int, bytes]:
        try:
            return self._exchange(body)
        except _LOST:
            if not again:
                raise
        return self._exchange(body)

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        """One exchange. httpx's read time-out is for each piece; this bounds them together."""
        deadline = self._clock() + self._read_timeout
        content = bytearray()
        with self._http.stream("POST", self.endpoint, content=body) as response:
            for piece in response.iter_bytes():
                content += piece
                if len(content) > MAX_ANSWER:
                    raise httpx.DecodingError("the answer is too large")
                if self._clock() > deadline:
                    raise httpx.ReadTimeout("the answer takes too long")
        return response.status_code, bytes(content)

    def _log(self, operation: Operation, started: float, result: str) -> None:
        # Neither e-mail nor URL: only what was called, how long it took, how it ended.
        log.info("payfip %s %.3fs %s", operation, self._clock() - started, result)
