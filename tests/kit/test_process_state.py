"""The process after a contained call: as it was, whatever the plugin set for all of it."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from core.platform.plugins import process_state
from core.platform.plugins.calls import contain
from core.platform.plugins.rests import FaultError, forget_rests
from core.testing.waiting import PATIENCE_SECONDS


def state():
    return {
        "warnings": tuple(warnings.filters),
        "folder": Path.cwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "locale": locale.setlocale(locale.LC_ALL),
        "hour": time.strftime("%H", time.localtime(0)),
        "time-out": socket.getdefaulttimeout(),
        "depth": sys.getrecursionlimit(),
        "turns": sys.getswitchinterval(),
        "log": (logging.root.manager.disable, logging.root.level, tuple(logging.root.handlers)),
        "collector": gc.isenabled(),
        "streams": (sys.stdout, sys.stderr),
        "arithmetic": (decimal.getcontext().prec, decimal.DefaultContext.prec),
        "signals": (signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    }


@pytest.fixture(autouse=True)
def as_before():
    before = state()
    forget_rests()
    yield
    forget_rests()
    after = state()
    assert {name: after[name] for name in after if after[name] != before[name]} == {}


def hour():
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def lost_folder(tmp_path):
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()


CHANGES = {
    "warnings are errors": lambda _path: warnings.simplefilter("error"),
    "warnings are forgotten": lambda _path: warnings.resetwarnings(),
    "folder": os.chdir,
    "folder that is gone": lost_folder,
    "variable": lambda _path: os.environ.update(HTTPS_PROXY="http://nowhere:1"),
    "no variables": lambda _path: os.environ.clear(),
    "hour": lambda _path: hour(),
    "locale": lambda _path: locale.setlocale(locale.LC_ALL, "C"),
    "time-out": lambda _path: socket.setdefaulttimeout(0.001),
    "depth": lambda _path: sys.setrecursionlimit(300),
    "turns": lambda _path: sys.setswitchinterval(5),
    "no log": lambda _path: logging.disable(logging.CRITICAL),
    "log": lambda _path: logging.basicConfig(force=True, level=logging.CRITICAL),
    "collector": lambda _path: gc.disable(),
    "no streams": lambda _path: [setattr(sys, name, None) for name in ("stdout", "stderr")],
    "arithmetic": lambda _path: setattr(decimal.getcontext(), "prec", 2),
    "arithmetic of threads to come": lambda _path: setattr(decimal.DefaultContext, "prec", 2),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fails", [False, True])
def test_what_a_call_changes_is_changed_back(change, fails, tmp_path):
    decimal.getcontext()

    def call():
        CHANGES[change](tmp_path)
        if fails:
            raise ValueError("a bug")

    if fails:
        with pytest.raises(FaultError):
            contain("broken", "hook", call)
    else:
        contain("broken", "hook", call)


@pytest.mark.parametrize("change", ["warnings are errors", "time-out", "no variables"])
def test_what_hangs_changes_nothing_either(change, tmp_path):
    """It is changed back when nobody waits any more, not when the call comes back, if ever."""
    end = threading.Event()

    def hangs():
        CHANGES[change](tmp_path)
        end.wait(PATIENCE_SECONDS)

    before = state()
    with pytest.raises(FaultError):
        contain("broken", "hook", hangs, seconds=0.5)
    assert state() == before
    end.set()


def test_calls_that_overlap_end_as_the_first_began(tmp_path):
    first, second = threading.Event(), threading.Event()

    def one():
        socket.setdefaulttimeout(0.5)
        first.set()
        second.wait(PATIENCE_SECONDS)

    def other():
        first.wait(PATIENCE_SECONDS)
        contain("other", "hook", lambda: None)
        second.set()

    thread = threading.Thread(target=other)
    thread.start()
    contain("broken", "hook", one)
    thread.join()


def test_signals_of_the_main_thread_are_as_they_were():
    with process_state.kept():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
