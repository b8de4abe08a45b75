"""The simulator as a WSGI application, and as a server of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from waitress import wasyncore
from waitress.server import create_server

from plugins.payfip.settings import PAGE_PATH, SERVICE_PATH
from plugins.payfip.simulator import control, pages, soap
from plugins.payfip.simulator.bank import Bank
from plugins.payfip.simulator.courier import Courier
from plugins.payfip.simulator.store import Store

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # The idOp stands in the addresses: it is nobody else's business.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
THREADS = 16
"""Faults that take their time hold a thread each."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """The application, its memory, and the courier that sends what it owes."""

    wsgi: Callable[..., Any]
    store: Store
    courier: Courier
    bank: Bank

    def close(self) -> None:
        """Stop sending and close the memory."""
        self.courier.stop()
        self.store.close()


def make_simulator(
    *,
    state: Path | None = None,
    smtp: tuple[str, int] | None = None,
    clock: Callable[[], float] = time.time,
) -> Simulator:
    """Build the simulator.

    `state` is the file that keeps its memory over restarts, `smtp` the server that takes the
    tickets. The courier does nothing until it is started, or told `run_due`.
    """
    store = Store(state, clock)
    courier = Courier(store, smtp)
    bank = Bank(store, courier)
    config = Configurator()
    config.registry.store = store
    config.registry.courier = courier
    config.registry.bank = bank
    config.include("pyramid_jinja2")
    config.add_settings({"jinja2.undefined": "strict"})
    _service(config)
    _pages(config)
    _control(config)
    config.add_static_view("_simulator/static", "plugins.payfip.simulator:static")
    config.add_tween("plugins.payfip.simulator.app.headers")
    return Simulator(config.make_wsgi_app(), store, courier, bank)


def headers(handler: Callable[[Request], Response], _registry: object) -> Callable[..., Response]:
    """Tween: the same strict headers on every answer."""

    def tween(request: Request) -> Response:
        response = handler(request)
        response.headers.update(_HEADERS)
        return response

    return tween


@contextmanager
def running(simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve in the background until the block is left; gives the base address."""
    sockets: dict[int, Any] = {}
    server = create_server(simulator.wsgi, map=sockets, host=host, port=port, threads=THREADS)
    ending = threading.Event()

    def serve() -> None:
        # Waitress's own `run` can only be ended from its thread; this loop looks up now and then.
        while not ending.is_set():
            wasyncore.loop(timeout=1.0, map=sockets, count=1)

    thread = threading.Thread(target=serve, name="payfip-simulator", daemon=True)
    thread.start()
    simulator.courier.start()
    try:
        yield f"http://{host}:{server.effective_port}"
    finally:
        ending.set()
        server.pull_trigger()
        thread.join()
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)
        simulator.close()


def _service(config: Configurator) -> None:
    config.add_route("service", SERVICE_PATH)
    config.add_view(soap.wsdl, route_name="service", request_method="GET")
    config.add_view(soap.service, route_name="service", request_method="POST")


def _pages(config: Configurator) -> None:
    config.add_exception_view(pages.not_now, context=pages.NotNowError)
    config.add_route("choice", PAGE_PATH)
    config.add_view(
        pages.choice, route_name="choice", renderer=_template("choice"), request_method="GET"
    )
    config.add_view(pages.choose, route_name="choice", request_method="POST")
    for name, path, view in (
        ("card", "/tpa/carte.web", pages.card),
        ("secure", "/tpa/3ds.web", pages.secure),
        ("debit", "/tpa/prelevement.web", pages.debit),
        ("result", "/tpa/resultat.web", pages.result),
    ):
        config.add_route(name, path)
        config.add_view(view, route_name=name, renderer=_template(name))
    config.add_route("ticket", "/tpa/ticket.pdf")
    config.add_view(pages.ticket_pdf, route_name="ticket")


def _control(config: Configurator) -> None:
    config.add_route("control", "/_simulator")
    config.add_view(control.page, route_name="control", renderer=_template("control"))
    for name, view in (("action", control.page_action), ("fault", control.page_fault)):
        config.add_route(f"control.{name}", f"/_simulator/{name}")
        config.add_view(view, route_name=f"control.{name}", request_method="POST")
    api = "/_simulator/api"
    for name, path, method, view in (
        ("operations", "operations", "GET", control.operations),
        ("operation", "operations/{id_op}", "GET", control.operation),
        ("act", "operations/{id_op}/act", "POST", control.act),
        ("faults", "faults", "GET", control.faults),
        ("order_fault", "faults/order", "POST", control.order_fault),
        ("clear_faults", "faults/clear", "POST", control.clear_faults),
        ("reset", "reset", "POST", control.reset),
        ("release", "notifications/release", "POST", control.release),
        ("client", "clients/{numcli}", "PUT", control.set_client),
    ):
        config.add_route(f"api.{name}", f"{api}/{path}")
        config.add_view(view, route_name=f"api.{name}", request_method=method, renderer="json")


def _template(name: str) -> str:
    return f"plugins.payfip.simulator:templates/{name}.jinja2"
