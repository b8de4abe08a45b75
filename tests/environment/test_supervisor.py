"""The supervisor: nothing restarted silently, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from core.cli import supervisor as module
from core.cli.supervisor import ProcessEndedError, Supervisor
from core.testing.waiting import PATIENCE_SECONDS, is_alive, wait_until

OBEDIENT = "import time\nprint('hello', flush=True)\ntime.sleep(600)"
STUBBORN_WITH_CHILD = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
OUTER = """
import os, sys, time
from core.cli.supervisor import Supervisor
supervisor = Supervisor(os.environ)
supervisor.start("child", [sys.executable, "-c",
    "import os, time; print(os.getpid(), flush=True); time.sleep(600)"])
time.sleep(600)
"""


def _python(code):
    return [sys.executable, "-c", code]


def _said(capfd, word):
    """Everything that was written, once `word` is in it."""
    text = ""

    def is_said():
        nonlocal text
        text += capfd.readouterr().out
        return word in text

    wait_until(is_said, said=lambda: text)
    return text


@pytest.fixture
def supervisor():
    made = Supervisor(os.environ)
    yield made
    made.stop()


def test_lines_bear_the_name_of_who_said_them(supervisor, capfd):
    supervisor.start("web", _python(OBEDIENT))
    assert "web | hello" in _said(capfd, "hello")


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("raise SystemExit(3)", r"relay ended \(3\)"),
        ("pass", r"relay ended \(0\)"),
        ("import os; os.kill(os.getpid(), 9)", "relay was killed by SIGKILL"),
    ],
)
def test_one_that_ends_is_named(supervisor, code, word):
    supervisor.start("web", _python(OBEDIENT))
    supervisor.start("relay", _python(code))
    with pytest.raises(ProcessEndedError, match=word):
        supervisor.wait_until(lambda: False, PATIENCE_SECONDS)


def test_stop_ends_the_stubborn_and_their_children(supervisor, capfd, monkeypatch):
    monkeypatch.setattr(module, "STOP_SECONDS", 0.3)
    supervisor.start("worker", _python(STUBBORN_WITH_CHILD))
    child = int(_said(capfd, "|").split("|")[1])
    supervisor.stop()
    assert "worker does not stop" in _said(capfd, "worker does not stop")
    wait_until(lambda: not is_alive(child))


def test_stopping_the_obedient_waits_for_no_time_to_be_over(supervisor, capfd, monkeypatch):
    monkeypatch.setattr(module, "STOP_SECONDS", 300)
    for name in ("a", "b", "c"):
        supervisor.start(name, _python(OBEDIENT))
    _said(capfd, "c | hello")
    supervisor.stop()
    assert "does not stop" not in capfd.readouterr().out


def test_children_end_with_a_supervisor_that_is_killed():
    outer = subprocess.Popen(_python(OUTER), stdout=subprocess.PIPE, text=True)
    child = int(outer.stdout.readline().split("|")[1])
    outer.send_signal(signal.SIGKILL)
    outer.communicate()
    wait_until(lambda: not is_alive(child))


def test_with_a_log_only_errors_and_last_words_are_shown(capfd, tmp_path):
    """The codes of the demonstration stay in sight; the log of requests has a file."""
    log = tmp_path / "portal.log"
    supervisor = Supervisor(os.environ, log=log)
    talks = "print('2026-11-30 [info     ] request'); print('2026-11-30 [error    ] web.fault', flush=True)"
    try:
        supervisor.start("web", _python(f"import time; {talks}; time.sleep(600)"))
        shown = _said(capfd, "web.fault")
        assert "request" not in shown
        supervisor.start("relay", _python("print('no such database'); raise SystemExit(3)"))
        with pytest.raises(ProcessEndedError, match=r"relay ended \(3\)"):
            supervisor.wait_until(lambda: False, PATIENCE_SECONDS)
        shown = _said(capfd, "no such database")
        assert "request" not in shown, "only the one that ended tells its last words"
    finally:
        supervisor.stop()
    kept = log.read_text("utf-8")
    assert "web | 2026-11-30 [info     ] request" in kept
    assert "relay | no such database" in kept
