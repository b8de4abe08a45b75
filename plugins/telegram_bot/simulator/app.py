"""The simulator as a WSGI application, and as a server."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup
from pyramid.config import Configurator
from pyramid.events import NewResponse
from pyramid.request import Request
from pyramid.response import Response
from waitress.server import create_server
from waitress.wasyncore import close_all

from plugins.telegram_bot.simulator import api, phone
from plugins.telegram_bot.simulator.delivery import Delivery
from plugins.telegram_bot.simulator.markup import shown
from plugins.telegram_bot.simulator.world import Fault, World

THREADS = 32
TEMPLATES = "plugins.telegram_bot.simulator:templates"
_CSP = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'"


def make_app(world: World) -> Any:
    """The WSGI application: the Bot API and the telephone on one port."""
    config = Configurator()
    config.registry["world"] = world
    config.include("pyramid_jinja2")
    config.commit()
    config.get_jinja2_environment().filters.update(
        clock=_clock, markup=lambda html: Markup(shown(html))  # noqa: S704 - checked on arrival
    )
    config.add_static_view("static", "plugins.telegram_bot.simulator:static")
    for name, pattern, view, method, template in (
        ("api", "/bot{token}/{method}", api.answer, None, None),
        ("api_file", "/file/bot{token}/documents/{file_id}", api.file, "GET", None),
        ("fault", "/_panne", _fault, "POST", None),
        ("home", "/", phone.home, "GET", "home"),
        ("people", "/personnes", phone.add_person, "POST", None),
        ("faults", "/pannes", phone.order_fault, "POST", None),
        ("log", r"/telephone/{person:\d+}/{bot}/messages", phone.log, "GET", "_messages"),
        ("chat", r"/telephone/{person:\d+}/{bot}", phone.conversation, "GET", "chat"),
        ("act", r"/telephone/{person:\d+}/{bot}/faire", phone.act, "POST", None),
        ("file", "/fichier/{file_id}", phone.file, "GET", None),
        ("deep_link", "/{username}", phone.deep_link, "GET", "start"),
    ):
        config.add_route(name, pattern)
        renderer = f"{TEMPLATES}/{template}.jinja2" if template else None
        options = {"request_method": method} if method else {}
        config.add_view(view, route_name=name, renderer=renderer, **options)
    config.add_subscriber(_secure, NewResponse)
    return config.make_wsgi_app()


def _fault(request: Request) -> Response:
    """Order an error by program: ``{"method", "status", "description", "retry_after", "times"}``.

    ``{}`` forgets what was ordered.
    """
    world: World = request.registry["world"]
    with world.change():
        if request.json_body:
            world.faults.append(Fault(**request.json_body))
        else:
            world.faults.clear()
    return Response(status=204)


def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, ZoneInfo("Europe/Paris")).strftime("%H:%M")


def _secure(event: NewResponse) -> None:
    # What a bot sends is shown here: it must not be able to run anything.
    event.response.headers["Content-Security-Policy"] = _CSP
    event.response.headers["X-Content-Type-Options"] = "nosniff"
    event.response.headers["Cache-Control"] = "no-store"


class Simulator:
    """The application behind a server: `serve` in the foreground or in a thread, then `close`."""

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self._sockets: dict[int, Any] = {}
        self._left: dict[int, Any] = {}
        self._woken = threading.Event()
        # Each bot that polls holds one thread for as long as it waits.
        self._server = create_server(
            make_app(world), map=self._sockets, host=host, port=port, threads=THREADS
        )
        self.url = f"http://{host}:{self._server.effective_port}"
        self._delivery = Delivery(world)

    def serve(self) -> None:
        """Serve until `close` or an interruption."""
        self._delivery.start()
        try:
            self._server.run()
        finally:
            self._delivery.stop()
            # In this order: who ends, or ends us, wakes the loop through one of the sockets.
            self._server.task_dispatcher.shutdown()
            if self._left:
                self._woken.wait()
            close_all(self._left or self._sockets, ignore_all=True)

    def close(self) -> None:
        """End the waiting, then the server; its own thread closes its sockets."""
        with self.world.change():
            for bot in self.world.bots.values():
                self.world.start_polling(bot)
        self._server.trigger.pull_trigger(self._end_loop)
        self._woken.set()

    def _end_loop(self) -> None:
        self._left.update(self._sockets)
        self._sockets.clear()


def open_world(path: Path | None, bots: dict[str, str], *, limits: bool = True) -> World:
    """A world kept in `path`, with `bots` (user name by token)."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    world = World(path, limits=limits)
    for token, username in bots.items():
        world.add_bot(token, username)
    return world

