"""The client of PayFiP's web service.

lxml and httpcore rather than zeep: three operations over flat strings need no generic SOAP engine.
Ours opens no WSDL at start, sends exactly the bytes that the interface describes, bounds the size
and the time of an answer, and keeps its connections (`benchmarks/payfip_client.py` compares them).
zeep stays where a third party's view is wanted: in the tests, against the same contract.wsdl.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Self

from plugins.payfip import contract, wire
from plugins.payfip.breaker import Breaker
from plugins.payfip.contract import MalformedAnswerError, Operation
from plugins.payfip.faults import CircuitOpenError, PayFiPFaultError, UnavailableError
from plugins.payfip.fields import Creation

log = logging.getLogger(__name__)

ID_OP = re.compile(r"[0-9A-Za-z-]{8,64}")
"""A UUID as far as is known; all that matters is that addresses, forms and the database take it."""


@dataclass(frozen=True, slots=True)
class PaymentDetail:
    """Answer of PayFiP about an idOp, field by field, word for word."""

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
    """Answer of PayFiP about a client number: up to three lines of name."""

    libelleN1: str  # noqa: N815
    libelleN2: str  # noqa: N815
    libelleN3: str  # noqa: N815
    numcli: str

    @property
    def label(self) -> str:
        """The name in one line."""
        return " ".join(filter(None, (self.libelleN1, self.libelleN2, self.libelleN3)))


class Client:
    """Talks with one PayFiP service. Safe between threads; one per process and service.

    Retries: establishing the connection is tried twice for every operation. The two reads are also
    asked again once when the connection broke under them. `create` never is: it answers with a new
    idOp each time. Time-outs are never retried here, because somebody waits; the poller comes back.
    `read_timeout` is for the whole answer, headers and redirects included.

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
        self.moved_to = ""
        """Address to which the service last sent its callers; "" if the service has not moved."""
        self._breaker = breaker or Breaker()
        self._clock = clock
        self._wire = wire.Wire(
            endpoint,
            headers={
                "Content-Type": contract.MEDIA_TYPE,
                "Accept": "text/xml",
                "Accept-Encoding": "identity",
                "SOAPAction": '""',
                "User-Agent": "Preau",
            },
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            clock=clock,
        )

    def create(self, creation: Creation) -> str:
        """Open a payment and return its idOp."""
        id_op = self._call(Operation.CREATE, dict(creation.items()))["idOp"]
        if not ID_OP.fullmatch(id_op):
            # What is no name of a payment can be neither asked after nor told of.
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
        self._wire.close()

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
            answer = self._wire.post(
                self.endpoint, body, repeatable=operation is not Operation.CREATE
            )
        except wire.TIMEOUTS as error:
            raise UnavailableError(f"{operation}: {type(error).__name__}") from None
        except wire.BROKEN as error:
            words = str(error) or type(error).__name__
            raise UnavailableError(f"{operation}: {words}") from None
        except (wire.RedirectError, wire.TooLargeError) as error:
            raise UnavailableError(f"{operation}: {error}", answered=True) from None
        self._note_place(answer.url)
        if answer.status not in {200, 500}:
            # 500 carries the SOAP faults; anything else is a proxy's or a firewall's word.
            raise UnavailableError(f"{operation}: HTTP {answer.status}", answered=True)
        try:
            return contract.answer(operation, answer.content)
        except MalformedAnswerError as error:
            raise UnavailableError(
                f"{operation}: HTTP {answer.status}, {error}", answered=True
            ) from None

    def _note_place(self, url: str) -> None:
        moved = "" if url == self.endpoint else url
        if moved and moved != self.moved_to:
            log.warning("payfip the service moved to %s", moved)
        self.moved_to = moved

    def _log(self, operation: Operation, started: float, result: str) -> None:
        # Neither e-mail nor URL: only what was called, how long it took, how it ended.
        log.info("payfip %s %.3fs %s", operation, self._clock() - started, result)
