"""The processes that serve: web, worker, beat. `preau run` and the systemd units use the same."""

from __future__ import annotations

import os
import runpy
import sys
from typing import NoReturn

import click

from core.platform import shared_counters
from core.platform.settings import get_settings

DEBT_OF_LIBRARIES = "ignore:pkg_resources is deprecated"
"""Pyramid's, for ``PYTHONWARNINGS``: nothing that an operator could act on, in each log."""


def check_plugins() -> None:
    """Refuse to start where plugins claim each other's work: Celery would start, and do nothing.

    Raises:
        ClickException: one fails, or claims a topic that another has.
    """
    from core.platform.plugins.discovery import discovered
    from core.processes.consumers import TwoConsumersError, check_work

    try:
        check_work(discovered())
    except (TwoConsumersError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error


def become(module: str, *arguments: str) -> NoReturn:
    """Replace this process by ``python -m module arguments``: signals reach it directly.

    ``-P`` keeps the current folder off the path, where a folder might be called like a package.
    """
    sys.stdout.flush()
    # Also of the processes that it starts.
    os.environ.setdefault("PYTHONWARNINGS", DEBT_OF_LIBRARIES)
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606


def go_on_as_celery(*arguments: str) -> NoReturn:
    """Go on as ``python -m celery arguments`` in this process.

    The plugins were loaded to be checked, and are most of what a worker loads: another interpreter
    would take two seconds to load them again.
    """
    # Of the process that takes its place when it is told to start anew.
    os.environ.setdefault("PYTHONWARNINGS", DEBT_OF_LIBRARIES)
    sys.argv[1:] = arguments
    runpy.run_module("celery", run_name="__main__", alter_sys=True)
    raise SystemExit(0)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port to listen on.")
@click.option("--workers", default=2, show_default=True, help="Processes; one a core or two.")
@click.option("--threads", default=8, show_default=True, help="Threads of each process.")
@click.option(
    "--max-requests", default=20_000, show_default=True, help="Then a process is replaced."
)
def web(host: str, port: int, workers: int, threads: int, max_requests: int) -> None:
    """Serve the pages, behind a proxy that ends TLS.

    SIGTERM lets running requests finish; SIGHUP starts new processes on the code and the tenants'
    files as they are then, and ends the old ones when these serve. Nothing else loads new code.
    """
    shared_counters.share()
    become(
        "core.processes.generations",
        host,
        str(port),
        "--workers", str(workers),
        "--threads", str(threads),
        "--worker-class", "gthread",
        "--timeout", "60",
        "--graceful-timeout", "25",
        "--max-requests", str(max_requests),
        "--max-requests-jitter", str(max_requests // 10),
        "--name", "preau",
        # For gunicorn's own command, in the home folder: a service has none that it may write to.
        "--no-control-socket",
        # The heartbeat file must not wait for a disk.
        *(["--worker-tmp-dir", "/dev/shm"] if os.access("/dev/shm", os.W_OK) else []),  # noqa: S108
        "--log-level", "warning",
        "core.processes.wsgi:app",
    )  # fmt: skip


@click.command()
@click.option("--concurrency", default=2, show_default=True, help="Processes that do the work.")
@click.option("--metrics-port", type=int, help="Show Prometheus metrics on this local port.")
def worker(concurrency: int, metrics_port: int | None) -> None:
    """Do the work that leaves after the commit: mails, receipts, questions to PayFiP."""
    # Before the plugins are loaded, and with them what counts.
    shared_counters.share()
    try:
        check_plugins()
    except BaseException:
        shared_counters.unshare()
        raise
    if metrics_port:
        os.environ[shared_counters.PORT] = str(metrics_port)
    go_on_as_celery(
        "--app", "core.processes.worker",
        "--quiet",
        "worker",
        "--pool", "prefork",
        "--concurrency", str(concurrency),
        "--loglevel", get_settings().log_level,
        # Workers need not know one another: the broker is all that they share.
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    )  # fmt: skip


@click.command()
def beat() -> None:
    """Ask for the periodic work: one of it, or several that write the same rows."""
    check_plugins()
    settings = get_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    go_on_as_celery(
        "--app", "core.processes.worker",
        "--quiet",
        "beat",
        "--loglevel", settings.log_level,
        "--schedule", str(settings.data_dir / "beat-schedule"),
        "--pidfile", "",
    )  # fmt: skip
