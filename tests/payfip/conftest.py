"""A running simulator, a portal that hears notifications, and a clock that tests may set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import httpx
import pytest

from core.plugin import InvoiceToPay, PaymentIntent
from core.testing.waiting import PATIENCE_SECONDS, wait_until
from plugins.payfip.client import Client
from plugins.payfip.provider import PayFiPProvider
from plugins.payfip.settings import PayFiPSettings, Regie
from plugins.payfip.simulator.app import Simulator, make_simulator, running


@dataclass
class FakeClock:
    """The time, for Préau and the simulator alike."""

    moment: datetime = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        return self.moment.timestamp()

    def pass_(self, **kwargs: float) -> None:
        self.moment += timedelta(**kwargs)


@dataclass
class Portal:
    """What PayFiP's notification meets: a server that keeps what it is sent."""

    base: str
    heard: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def wait(self, count: int) -> list[str]:
        wait_until(lambda: len(self.heard) >= count, said=lambda: self.heard)
        return self.heard


@pytest.fixture(scope="session", autouse=True)
def _loaded_in_one_thread() -> None:
    """CPython 3.11 mixes up two threads that compile at once: load what the courier would."""
    import weasyprint  # noqa: F401


@pytest.fixture(scope="session")
def _clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def clock(_clock: FakeClock) -> FakeClock:
    _clock.moment = FakeClock.moment
    return _clock


@pytest.fixture
def portal() -> Iterator[Portal]:
    heard: list[str] = []
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(body)
            heard.append(parse_qs(body.decode())["idOp"][0])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Portal(f"http://127.0.0.1:{server.server_port}", heard, bodies)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Running:
    """The simulator over real HTTP."""

    base: str
    simulator: Simulator
    http: httpx.Client

    @property
    def service(self) -> str:
        return f"{self.base}/tpa/services/securite"

    def act(self, id_op: str, action: str, **values: object) -> None:
        url = f"/_simulator/api/operations/{id_op}/act"
        self.http.post(url, json={"action": action, **values}).raise_for_status()

    def fault(self, kind: str, **values: object) -> None:
        url = "/_simulator/api/faults/order"
        self.http.post(url, json={"kind": kind, **values}).raise_for_status()


@pytest.fixture(scope="session")
def _payfip(_clock: FakeClock) -> Iterator[Running]:
    simulator = make_simulator(clock=_clock.seconds)
    with (
        running(simulator) as base,
        httpx.Client(base_url=base, follow_redirects=True, timeout=PATIENCE_SECONDS) as http,
    ):
        yield Running(base, simulator, http)


@pytest.fixture
def payfip(_payfip: Running, clock: FakeClock) -> Running:
    _payfip.http.post("/_simulator/api/reset").raise_for_status()
    return _payfip


@pytest.fixture
def client(payfip: Running) -> Iterator[Client]:
    with Client(payfip.service, connect_timeout=20, read_timeout=20) as made:
        yield made


@pytest.fixture
def settings(payfip: Running) -> PayFiPSettings:
    return PayFiPSettings(
        simulator=payfip.base,
        regies={
            "PERI": Regie(numcli="006382", direct_debit=True),
            "TITRE": Regie(numcli="006383", reference="titre"),
        },
    )


@pytest.fixture
def provider(settings: PayFiPSettings, client: Client, clock: FakeClock) -> PayFiPProvider:
    return PayFiPProvider(settings, client, clock)


@pytest.fixture
def intent(portal: Portal, clock: FakeClock) -> PaymentIntent:
    return PaymentIntent(
        payment_id=42,
        regie="PERI",
        amount=5687,
        email="parent@exemple.fr",
        language="fr",
        invoices=(
            InvoiceToPay(
                number="2018-010-000001",
                payment_reference="2018-TS-00-1000001",
                label="CANTINE & GARDERIE – L’école d’Évry",
                fiscal_year=2018,
                amount=5687,
            ),
        ),
        return_url=f"{portal.base}/paiement/42/retour",
        notify_url=f"{portal.base}/+payfip/notification",
        created_at=clock.now(),
    )
