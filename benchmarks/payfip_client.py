"""PayFiP's client and simulator, as ratios to a bare HTTP exchange of the same bytes.

    python benchmarks/payfip_client.py [--rounds 300] [--json]

The bare exchange posts the same request with http.client over a kept connection to a server that
answers fixed bytes without reading them: what no SOAP client over HTTP can beat. All candidates
take turns within each round, so that a busy machine slows all of them alike; medians are shown.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from statistics import median, quantiles
from urllib.parse import urlsplit

import httpx
import zeep

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
    """Seconds from process start to a client that could ask, best of three."""
    times = []
    for _round in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds
    with ExitStack() as stack:
        fixed_url = stack.enter_context(serving_fixed())
        base = stack.enter_context(running(make_simulator()))
        url = f"{base}/tpa/services/securite"

        ours_fixed = stack.enter_context(Client(fixed_url))
        ours = stack.enter_context(Client(url))
        theirs = zeep.Client(str(contract.WSDL))
        binding = "{" + contract.SERVICE + "}PaiementSecuriseServiceSoapBinding"
        zeep_fixed = theirs.create_service(binding, fixed_url)
        zeep_sim = theirs.create_service(binding, url)
        values = dict(CREATION.items())
        paid = ours.create(CREATION)
        httpx_post = f"{base}/_simulator/api/operations/{paid}/act"
        httpx.post(httpx_post, json={"action": "accept"}).raise_for_status()

        candidates: dict[str, Callable[[], object]] = {
            "bare exchange, fixed answer": bare(fixed_url),
            "our client, fixed answer": lambda: ours_fixed.create(CREATION),
            "zeep, fixed answer": lambda: zeep_fixed.creerPaiementSecurise(arg0=values),
            "bare exchange, simulator": bare(url),
            "our client, simulator: create": lambda: ours.create(CREATION),
            "our client, simulator: outcome": lambda: ours.payment(paid),
            "zeep, simulator: create": lambda: zeep_sim.creerPaiementSecurise(arg0=values),
        }
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for number in range(rounds + 10):
            for name, call in candidates.items():
                started = time.perf_counter()
                call()
                if number >= 10:
                    times[name].append(time.perf_counter() - started)

    rows = {
        name: {
            "median_ms": median(taken) * 1e3,
            "p95_ms": quantiles(taken, n=20)[-1] * 1e3,
            "ratio": median(taken) / median(times["bare exchange, fixed answer"]),
        }
        for name, taken in times.items()
    }
    ours_cold = cold("import httpx\nfrom lxml import etree\nhttpx.Client().close()")
    zeep_cold = cold(f"import zeep\nzeep.Client({str(contract.WSDL)!r})")
    if options.json:
        print(json.dumps({"exchanges": rows, "cold_s": {"ours": ours_cold, "zeep": zeep_cold}}))
        return
    print(f"{'':34}{'median':>10}{'p95':>10}{'ratio':>8}")
    for name, row in rows.items():
        print(f"{name:34}{row['median_ms']:8.2f}ms{row['p95_ms']:8.2f}ms{row['ratio']:8.1f}")
    print(f"process to client: httpx and lxml {ours_cold:.2f}s, zeep {zeep_cold:.2f}s")


if __name__ == "__main__":
    main()
