"""Processes that begin with the code loaded: one that has loaded it forks itself for each of them.

Loading what a process of ``preau`` needs takes two seconds of processor time, and a test that kills
processes starts dozens. `popen` is `subprocess.Popen` for those: real processes, children of the
test, with the command, files, folder and environment that it names. They run the module that the
command names, from its first line on.

What differs from a start by the system: modules are loaded already, the seed of hashes is the same
in all, each process counts for itself (`core.platform.metrics`), and ``/proc`` shows the command of
the one that forked. Tests of the start itself, and of what is counted, use `subprocess`.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import io
import os
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from unittest import mock

from core.dev.embedded import die_with_parent
from core.platform.shared_counters import SHARED

MODULES = (
    "celery.apps.beat", "celery.apps.worker", "celery.bin.celery", "celery.concurrency.prefork",
    "celery.worker.components", "core.cli.main", "core.cli.processes", "core.cli.relay",
    "core.cli.run", "core.dev.mailbox", "core.processes.app", "core.processes.consumers",
    "core.processes.generations", "core.processes.routes", "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread", "kombu.transport.redis", "psycopg", "telegram.ext",
)  # fmt: skip
"""What they load, besides the plugins. Not the queue and the worker, which read the settings."""
STARTERS = {"run", "web", "mailbox"}
"""Commands whose processes start others of these."""
_MOVED = 500
"""First number of a file while it waits for its place."""
_PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 15, 36
NURSERY = "nursery"
"""Name, in ``/proc/…/comm``, of a process that forks itself; the others have their command's."""
_libc = ctypes.CDLL(None)
_execv = os.execv
_given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
_PATH = [place for place in sys.path if place not in _given]
"""Where modules are found, without what the environment adds."""


@dataclass(frozen=True)
class _Order:
    """A process that somebody wants to have started."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    parent: int
    places: list[int]
    """The number that each file which comes with the order shall have."""
    told: int
    """The number of the file in which `subprocess` wants to read what goes wrong."""
    own_session: bool
    before: Callable[[], None] | None


class _Wanted(NamedTuple):
    """What `subprocess` gives to the function that forks and executes, by its places there."""

    arguments: list[Any]
    executables: tuple[bytes, ...]
    close_fds: bool
    kept: tuple[int, ...]
    folder: Any
    environment: list[bytes] | None
    stdin: int
    to_stdin: int
    from_stdout: int
    stdout: int
    from_stderr: int
    stderr: int
    from_told: int
    told: int
    restore_signals: bool
    own_session: bool
    process_group: int
    gid: int | None
    gids: list[int] | None
    uid: int | None
    umask: int
    before: Callable[[], None] | None


class _Execution(BaseException):
    """A process wants to become another module of Python's; its stack is left first."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments


class Nursery:
    """The asking side: one line to a process that forks itself."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._one = threading.Lock()
        self._original: Callable[..., int] = subprocess._fork_exec  # type: ignore[attr-defined]  # noqa: SLF001

    def fork_exec(self, *given: Any) -> int:
        """Start a process in the place of `subprocess`'s own function; its number.

        Whatever is no module of Python, or is to have another user or group, is started as ever.
        """
        wanted = _Wanted(*given[: len(_Wanted._fields)])
        arguments = [os.fsdecode(part) for part in wanted.arguments]
        other = wanted.process_group, wanted.gid, wanted.uid, wanted.umask
        if not _is_module(arguments) or other != (-1, None, None, -1):
            return self._original(*given)
        if wanted.environment is None:
            environment = dict(os.environ)
        else:
            pairs = (os.fsdecode(pair).partition("=") for pair in wanted.environment)
            environment = {name: value for name, _, value in pairs}
        standard = enumerate((wanted.stdin, wanted.stdout, wanted.stderr))
        files = {place: place if number < 0 else number for place, number in standard}
        files |= {number: number for number in wanted.kept}
        order = _Order(
            arguments, environment, os.fsdecode(wanted.folder or Path.cwd()), os.getpid(),
            list(files), wanted.told, wanted.own_session, wanted.before,
        )  # fmt: skip
        with self._one, _adopting():
            socket.send_fds(self._line, [pickle.dumps(order)], list(files.values()))
            if not (answer := self._line.recv(32)):
                raise OSError("the process that forks itself is gone")
            return int(answer)


def popen(arguments: list[Any], **options: Any) -> subprocess.Popen[Any]:
    """Start ``python -P -m module …`` from a process that has loaded the code.

    The same as `subprocess.Popen`, whose options these are. To be called from the main thread, and
    `preexec_fn` has to be known to `pickle`.
    """
    with mock.patch.object(subprocess, "_fork_exec", _nursery().fork_exec):
        return subprocess.Popen(arguments, **options)  # noqa: S603 - what a test names


@cache
def _nursery() -> Nursery:
    """The one of this process, which ends with it."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    code = f"from core.testing import preloaded; preloaded.main({there.fileno()})"
    with there:
        process = subprocess.Popen(  # noqa: S603 - this module
            [sys.executable, "-P", "-W", "ignore", "-c", code],
            pass_fds=[there.fileno()],
            preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - not from a thread
        )

    def end() -> None:
        here.close()
        process.wait()

    atexit.register(end)
    return Nursery(here)


def main(number: int) -> None:
    """Load the code, and fork for each order that comes by the file of this number."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # It ends with whoever asks.
    _name_this(NURSERY)
    # Else prometheus_client would open files for its counters when it is loaded.
    os.environ.pop(SHARED, None)
    load()
    line: socket.socket | None = socket.socket(fileno=number)
    while line is not None:
        order, files = _serve(line)
        line = _begin(order, files)
    while True:
        try:
            _run(order)
        except _Execution as execution:
            order = replace(
                order,
                arguments=execution.arguments,
                environment=dict(os.environ),
                folder=str(Path.cwd()),
            )
        else:
            return


def load() -> None:
    """Load what processes need; it starts nothing, opens nothing, and computes nothing."""
    gc.disable()
    for plugin in entry_points(group="preau.plugins"):
        plugin.load()
    for name in MODULES:
        import_module(name)
    gc.collect()
    gc.freeze()
    gc.enable()


def _serve(line: socket.socket) -> tuple[_Order, list[int]]:
    """Fork for each order; comes back in what was forked only."""
    while True:
        message, files, _flags, _address = socket.recv_fds(line, 1 << 20, 32)
        if not message:
            os._exit(0)
        # A fork takes no other thread along, and what that holds is held for ever; an open file
        # would be closed, sooner or later, under a number that another has by then.
        assert len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - their number
        open_files = set(map(int, os.listdir("/proc/self/fd"))) - {*files, line.fileno()}  # noqa: PTH208
        assert len(open_files - {0, 1, 2}) == 1, "that of the list itself"
        between = os.fork()
        if not between:
            between = os.getpid()
            if os.fork():
                os._exit(0)  # Whoever asked becomes the parent.
            order: _Order = pickle.loads(message)  # noqa: S301 - from the process that started us
            while os.getppid() == between:
                time.sleep(0.0005)
            if os.getppid() != order.parent:
                os._exit(1)
            line.send(str(os.getpid()).encode())
            line.close()
            return order, files
        os.waitpid(between, 0)
        for file in files:
            os.close(file)


def _begin(order: _Order, files: list[int]) -> socket.socket | None:
    """Do what `subprocess` does between fork and execution.

    A process that starts others has one that forks itself, as the test has: there, this gives the
    line on which to serve.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if order.own_session:
        os.setsid()
    moved = [fcntl.fcntl(file, fcntl.F_DUPFD, _MOVED) for file in files]
    os.closerange(3, _MOVED)
    if _command(order.arguments) in STARTERS:
        here, there = map(_moved, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        dies = die_with_parent(signal.SIGKILL)
        if not os.fork():
            dies()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            here.close()
            for file in moved:
                os.close(file)
            return there
        there.close()
        subprocess._fork_exec = Nursery(here).fork_exec  # type: ignore[attr-defined]  # noqa: SLF001
    for file, place in zip(moved, order.places, strict=True):
        os.dup2(file, place)
        os.close(file)
    os.execv = _execute
    try:
        if order.before:
            order.before()
    except BaseException:  # noqa: BLE001 - as there
        os.write(order.told, b"SubprocessError:0:Exception occurred in preexec_fn.")
        os._exit(255)
    os.close(order.told)
    return None


def _run(order: _Order) -> None:
    """Run the module as a start by the system does, from the environment on."""
    module, arguments = order.arguments[3], order.arguments[4:]
    _name_this(_command(order.arguments) or module.rpartition(".")[2])
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    sys.orig_argv = list(order.arguments)
    sys.argv = ["-m", *arguments]
    places = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:] = [*places, *_PATH]
    _open_standard_files(unbuffered=bool(os.environ.get("PYTHONUNBUFFERED")))
    if custom := PathFinder.find_spec("sitecustomize", places):
        assert custom.loader is not None
        custom.loader.exec_module(module_from_spec(custom))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _open_standard_files(*, unbuffered: bool) -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        writes = number > 0
        at_once = writes and unbuffered
        file = open(number, "wb" if writes else "rb", 0 if at_once else -1, closefd=False)  # noqa: SIM115
        stream = io.TextIOWrapper(
            file,
            encoding="utf-8",
            errors="backslashreplace" if name == "stderr" else "strict",
            line_buffering=name == "stderr",
            write_through=at_once,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _execute(path: Any, arguments: Any) -> NoReturn:
    """In the place of `os.execv`."""
    if _is_module(arguments):
        raise _Execution(list(arguments))
    _execv(path, arguments)


def _is_module(arguments: Sequence[str]) -> bool:
    return list(arguments[:3]) == [sys.executable, "-P", "-m"] and len(arguments) > 3


def _name_this(name: str) -> None:
    _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def _command(arguments: Sequence[str]) -> str:
    """The command of ``preau`` that is started, if it is one."""
    return arguments[4] if arguments[3] == "core.cli.main" and len(arguments) > 4 else ""


def _moved(end: socket.socket) -> socket.socket:
    """The same under a number that no file of an order has."""
    with end:
        return socket.socket(fileno=fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _MOVED))


@contextmanager
def _adopting() -> Iterator[None]:
    """Become the parent of what descends from this process and loses its own, meanwhile."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
