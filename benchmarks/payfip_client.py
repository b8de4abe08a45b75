"""PayFiP's client, beside zeep and a bare HTTP exchange of the same bytes.

The bare exchange posts the same request with http.client over a kept connection to a server that
answers fixed bytes without reading them: what no SOAP client over HTTP can beat. All candidates
take turns within each round, so that a busy machine slows all of them alike; medians are shown.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

import httpx
import zeep

from benchmarks.measure import Result, compared, in_turns, main, seconds
from plugins.payfip import contract
from plugins.payfip.client import Client
from plugins.payfip.contract import Operation
from plugins.payfip.fields import Creation
from plugins.payfip.simulator.app import make_simulator, running

CREATION = Creation(
    exer="2026",
    mel="parent@exemple.fr",
    montant="5687",
    numcli="006382",
    objet="CANTINE NOVEMBRE",
    refdet="20198701010000000069",
    saisie="T",
    urlnotif="http://127.0.0.1:9/n",
    urlredirect="http://127.0.0.1:9/r",
)
REQUEST = contract.request(Operation.CREATE, dict(CREATION.items()))
ANSWER = contract.envelope(
    contract.wrapped(
        f"{Operation.CREATE}Response", "return", [("idOp", "e19a1e58-4f3a-4038-a2e8-f4a43c22ae99")]
    ),
    prefix="S",
)


@contextmanager
def serving_fixed() -> Iterator[str]:
    """The address of a service that always says the same."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(ANSWER)}\r\n\r\n"

    def converse(connection: socket.socket) -> None:
        with connection:
            seen = b""
            while piece := connection.recv(65536):
                seen += piece
                if seen.rstrip().endswith(b"Envelope>"):
                    connection.sendall(head.encode() + ANSWER)
                    seen = b""

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _address = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/tpa/services/securite"
        listener.shutdown(socket.SHUT_RDWR)


def bare(url: str) -> Callable[[], object]:
    """One POST and its answer, nothing read of it."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)

    def post() -> bytes:
        connection.request("POST", parts.path, REQUEST, {"Content-Type": contract.MEDIA_TYPE})
        return connection.getresponse().read()

    return post


def cold(code: str) -> float:
    """Seconds from process start to a client that could ask."""
    return seconds(lambda: subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True))


def run(quick: bool) -> Iterator[Result]:
    rounds = 5 if quick else 300
    with ExitStack() as stack:
        fixed_url = stack.enter_context(serving_fixed())
        base = stack.enter_context(running(make_simulator()))
        url = f"{base}/tpa/services/securite"

        ours_fixed = stack.enter_context(Client(fixed_url))
        ours = stack.enter_context(Client(url))
        theirs = zeep.Client(str(contract.WSDL))
        binding = "{" + contract.SERVICE + "}PaiementSecuriseServiceSoapBinding"
        zeep_fixed = theirs.create_service(binding, fixed_url)
        values = dict(CREATION.items())
        paid = ours.create(CREATION)
        act = f"{base}/_simulator/api/operations/{paid}/act"
        httpx.post(act, json={"action": "accept"}).raise_for_status()

        calls: dict[str, Callable[[], object]] = {
            "bare": bare(fixed_url),
            "ours": lambda: ours_fixed.create(CREATION),
            "zeep": lambda: zeep_fixed.creerPaiementSecurise(arg0=values),
            "bare, simulator": bare(url),
            "ours, simulator": lambda: ours.create(CREATION),
            "outcome, simulator": lambda: ours.payment(paid),
        }
        took = in_turns({name: partial(seconds, call) for name, call in calls.items()}, rounds)
    milliseconds = {name: [1000 * one for one in times] for name, times in took.items()}
    for name, way, base_way in (
        ("PayFiP client: creation", "ours", "bare"),
        ("zeep: creation", "zeep", "bare"),
        ("PayFiP client: creation, simulator", "ours, simulator", "bare, simulator"),
        ("PayFiP client: outcome, simulator", "outcome, simulator", "bare, simulator"),
    ):
        yield compared(
            name, milliseconds[way], milliseconds[base_way], "ms",
            baseline="http.client posting the same bytes on a kept connection",
        )  # fmt: skip
    imports = in_turns(
        {
            "ours": partial(cold, "import httpx\nfrom lxml import etree\nhttpx.Client().close()"),
            "zeep": partial(cold, f"import zeep\nzeep.Client({str(contract.WSDL)!r})"),
        },
        1 if quick else 3,
    )
    yield compared(
        "PayFiP client: start of process", imports["ours"], imports["zeep"], "s",
        baseline="zeep, with its WSDL read",
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
