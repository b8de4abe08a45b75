"""``preau run``: the whole portal on one machine, in the foreground, with nothing installed."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click
import httpx

from core.cli.addresses import PORTS, announced, tell
from core.cli.supervisor import ProcessEndedError, Supervisor
from core.dev.embedded import Embedded, EmbeddedError, free_port
from core.platform.settings import Settings, SettingsError, get_settings, load


@dataclass(frozen=True, slots=True)
class Service:
    """A process of the portal: a command of ``preau``, and the port to wait for."""

    name: str
    command: tuple[str, ...]
    port: str = ""
    plugin: str = ""
    """The plugin that gives the command; without a town that enables it there is no work for it."""
    title: str = ""
    """Name of the page at its port, as the terminal shows it."""


SERVICES = (
    Service(
        "mailbox",
        ("mailbox", "--smtp-port", "{smtp}", "--http-port", "{mailbox}"),
        port="mailbox",
        title="Mails it sends",
    ),
    Service(
        "payfip",
        (
            "payfip-simulator", "--port", "{payfip}", "--smtp", "127.0.0.1:{smtp}",
            "--state", "{data}/payfip.sqlite",
        ),
        port="payfip",
        plugin="payfip",
        title="PayFiP, simulated",
    ),
    Service(
        "telegram",
        ("telegram-simulator", "--port", "{telegram}", "--state", "{data}/telegram.json"),
        port="telegram",
        plugin="telegram_bot",
        title="Telegram, simulated",
    ),
    # One process of many threads: it is imports that a start waits for.
    Service(
        "web",
        ("web", "--port", "{web}", "--workers", "1", "--threads", "16"),
        port="web",
    ),
    Service("worker", ("worker",)),
    Service("relay", ("relay",)),
    Service("beat", ("beat",)),
    Service("bot", ("telegram", "poll"), plugin="telegram_bot"),
)

CHILDREN = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
"""Lines come as they are written; what libraries have to say to programmers, tests hear."""

READY_SECONDS = 300.0
"""A process that ends is told of at once: this is for a machine that is slow or busy."""

LOG_FILE = "portal.log"
"""In the data folder's ``log``: what the processes say, a line each."""


@click.command()
@click.option("--port", type=int, default=PORTS["web"], show_default=True, help="The portal's.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Kept data.")
@click.option("--no-demo", is_flag=True, help="Start without the demonstration towns' data.")
@click.option("--verbose", is_flag=True, help="Show the log here, too, not only in its file.")
def run(port: int, data_dir: Path | None, no_demo: bool, verbose: bool) -> None:
    """Run everything here: database, broker, portal, workers, simulators, a mailbox.

    Data stay in the data folder; Ctrl-C stops all. Not for production: there, each process is a
    service of the system (docs/operating.md).
    """
    started = time.monotonic()
    interruption = _Interruption()
    try:
        with ExitStack() as stack:
            settings = _settings(data_dir)
            stack.enter_context(_alone(settings.data_dir))
            ports = choose_ports(shifted(port))
            tell(ports, settings)
            servers = stack.enter_context(_servers(settings))
            get_settings.cache_clear()
            settings = get_settings()
            log = settings.data_dir / "log" / LOG_FILE
            log.parent.mkdir(exist_ok=True)
            supervisor = Supervisor(CHILDREN | os.environ, log=None if verbose else log)
            stack.callback(supervisor.stop)
            stack.callback(click.echo, "Stopping…")
            stack.callback(interruption.ignore)
            for name, process in servers.items():
                supervisor.watch(name, process)
            services = _services()
            # What one clicks on loads while the schema and the demonstration are made ready.
            for service in services:
                if service.port:
                    _start(supervisor, service, ports)
            _prepare(settings, demo=not no_demo)
            interruption.check()
            _await(supervisor, services, ports)
            # Nobody waits for the others, and what they will do stands in the outbox.
            for service in services:
                if not service.port:
                    _start(supervisor, service, ports)
            stack.enter_context(announced(settings.data_dir))
            interruption.check()
            click.echo(f"\nPréau is ready ({time.monotonic() - started:.1f} s).")
            _welcome(services, ports, settings, demo=not no_demo)
            while True:
                supervisor.check()
                interruption.check()
                time.sleep(0.2)
    except KeyboardInterrupt:
        click.echo("Stopped; the data are kept.")
    except (ProcessEndedError, EmbeddedError, SettingsError) as error:
        raise click.ClickException(str(error)) from None
    finally:
        interruption.end()


class _Interruption:
    """Turns the first signal to stop into `KeyboardInterrupt`, and ignores the others.

    Stopping takes seconds at most: a second Ctrl-C must not leave half of it undone. The wish is
    kept too, because an exception that is raised inside a destructor or a callback is lost. A
    terminal that closes ends nothing that was begun by ``nohup``.
    """

    def __init__(self) -> None:
        self._wished = False
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._handle) for number in numbers}

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if not self._wished:
            self._wished = True
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise what may have been lost."""
        if self._wished:
            raise KeyboardInterrupt

    def ignore(self) -> None:
        """From here on, no signal interrupts."""
        self._wished = True

    def end(self) -> None:
        """Let signals do what they did before."""
        for number, before in self._before.items():
            signal.signal(number, before)


@contextmanager
def _servers(settings: Settings) -> Iterator[Mapping[str, subprocess.Popen[bytes]]]:
    """Start servers of our own where the settings name none, and put them in the environment."""
    if settings.database_url and settings.redis_url:
        yield {}
        return
    with Embedded(settings.data_dir) as embedded:
        os.environ |= embedded.addresses().environment()
        yield embedded.processes


def _settings(data_dir: Path | None) -> Settings:
    if data_dir is not None:
        os.environ["PREAU_DATA_DIR"] = str(data_dir)
    settings = load()
    if settings.is_production:
        raise click.ClickException(
            "preau run is for development and demonstrations; docs/operating.md tells how"
            " production runs web, worker, relay and beat."
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREAU_CACHE_DIR", str(settings.data_dir / "cache"))
    return settings


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for us alone; the lock ends with the process, however it ends."""
    with (data_dir / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(
                f"Préau runs already on {data_dir}. Stop it, or choose another --data-dir."
            ) from None
        yield


def shifted(port: int) -> dict[str, int]:
    """The ports we like beside `port`: two runs far apart stay out of each other's way."""
    return {name: liked + port - PORTS["web"] for name, liked in PORTS.items()}


def choose_ports(wanted: Mapping[str, int]) -> dict[str, int]:
    """The wanted ports, each replaced by a free one, with a word, where somebody listens."""
    chosen: dict[str, int] = {}
    for name, preferred in wanted.items():
        candidates = (*range(preferred, min(preferred + 100, 65536), 10), free_port())
        chosen[name] = next(
            port
            for port in candidates
            if 0 < port < 65536 and port not in chosen.values() and _is_free(port)
        )
        if chosen[name] != preferred:
            click.echo(f"Port {preferred} ({name}) is taken; using {chosen[name]}.")
    return chosen


def _is_free(port: int) -> bool:
    # Both: a browser asks ::1 first for localhost, and would meet somebody else there.
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            if family == socket.AF_INET or error.errno == errno.EADDRINUSE:
                return False
    return True


def _prepare(settings: Settings, *, demo: bool) -> None:
    """Bring the schema up to date, and fill the demonstration towns if they are empty."""
    from core.cli.database import migrate_all
    from core.cli.demo import load_demo
    from core.runtime import get_runtime

    if demo:
        load_demo(settings)
    else:
        migrate_all(settings)
    get_runtime().close()  # from here on, this process only watches


def _services() -> list[Service]:
    """Those that have work to do."""
    from core.runtime import enabled_towns

    return [s for s in SERVICES if not s.plugin or enabled_towns(s.plugin)]


def _start(supervisor: Supervisor, service: Service, ports: Mapping[str, int]) -> None:
    data = get_settings().data_dir
    arguments = [part.format(**ports, data=data) for part in service.command]
    supervisor.start(service.name, [sys.executable, "-P", "-m", "core.cli.main", *arguments])


def _await(supervisor: Supervisor, services: Sequence[Service], ports: Mapping[str, int]) -> None:
    """Wait until all services with a port answer."""
    waiting = [service for service in services if service.port]

    def ready() -> bool:
        waiting[:] = [s for s in waiting if not _answers(s.name, ports[s.port])]
        return not waiting

    if not supervisor.wait_until(ready, READY_SECONDS):
        names = ", ".join(service.name for service in waiting)
        raise ProcessEndedError(f"{names}: no answer after {READY_SECONDS:.0f} seconds")


def _answers(name: str, port: int) -> bool:
    if name != "web":
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    try:
        # Asked through the front door: the application has loaded, not only its listener.
        return not httpx.get(f"http://127.0.0.1:{port}/health/live", trust_env=False).is_error
    except httpx.TransportError:
        return False


def _problems(settings: Settings) -> list[str]:
    """Problems in the towns' files: the reasons why towns are in maintenance."""
    from core.platform.plugins.discovery import PluginLoadError, discovered
    from core.runtime import read_towns

    try:
        broken = read_towns(settings, discovered()).broken
    except PluginLoadError as error:
        return [str(error)]
    return [str(problem) for problems in broken.values() for problem in problems]


def _welcome(
    services: Sequence[Service], ports: Mapping[str, int], settings: Settings, *, demo: bool
) -> None:
    """Tell where to click, and with which codes."""
    places = [("Portal", f"{settings.public_base_url}/")]
    places += [(s.title, f"http://127.0.0.1:{ports[s.port]}/") for s in services if s.title]
    log = f"{settings.data_dir}/log/{LOG_FILE}"
    lines = [f"Ctrl-C stops it; the data stay in {settings.data_dir}/, the log in {log}", ""]
    lines += [f"  {title:<21}{url}" for title, url in places]
    broken = [f"  In maintenance: {problem}" for problem in _problems(settings)]
    lines += ["", *broken] if broken else []
    if demo:
        from core.cli.demo import access_lines

        lines += ["", *(f"  {line}" for line in access_lines())]
    click.echo("\n".join([*lines, ""]))
    sys.stdout.flush()
