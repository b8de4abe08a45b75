"""Processes that one forks which has loaded the code: real ones, as `subprocess` starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from core.testing.preloaded import popen
from core.testing.waiting import PATIENCE_SECONDS, is_alive, wait_until

PROBE = """
import functools, gc, json, os, random, signal, socket, sys, threading
from pathlib import Path

kept = [
    f"{item.__module__}.{item.__qualname__}" for item in gc.get_objects()
    if isinstance(item, functools._lru_cache_wrapper) and item.cache_info().currsize
]
files = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]
handled = [n.name for n in signal.valid_signals() if isinstance(n, signal.Signals) and signal.getsignal(n) not in
    (signal.SIG_DFL, None)]
print(json.dumps({
    "argv": sys.argv, "orig": sys.orig_argv, "folder": os.getcwd(), "said": os.environ.get("SAID"),
    "variables": sorted(os.environ), "loaded": "core.processes.app" in sys.modules, "name": __name__,
    "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "session": os.getsid(0),
    "kept": sorted(name for name in kept if name.startswith(("core.", "plugins."))),
    "files": files, "handled": handled, "tasks": len(os.listdir("/proc/self/task")),
    "drawn": random.random(), "read": sys.stdin.read(), "custom": getattr(sys, "custom", None),
    "called": Path("/proc/self/comm").read_text().strip(),
}))
print("an error", file=sys.stderr)
sys.exit(int(os.environ["CODE"]))
"""
SLEEPER = "print('here', flush=True)\nimport time\ntime.sleep(600)"


@pytest.fixture
def folder(tmp_path):
    for name, code in {"probe": PROBE, "sleeper": SLEEPER, "sitecustomize": "import sys; sys.custom = list(sys.argv)"}.items():
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
    return tmp_path


def start(folder, module, *arguments, **options):
    variables = {"PYTHONPATH": str(folder), "CODE": "7", "SAID": "été", **options.pop("env", {})}
    return popen([sys.executable, "-P", "-m", module, *arguments], env=variables, cwd=folder, **options)


def probe(folder, *arguments, **options):
    asked = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = start(folder, "probe", *arguments, **(asked | options))
    said, wrong = process.communicate("line\n", timeout=PATIENCE_SECONDS)
    return process, json.loads(said), wrong


def test_it_has_the_command_the_folder_the_environment_and_the_files_that_were_named(folder):
    process, told, wrong = probe(folder, "a", "--b=c d")
    assert process.returncode == 7
    assert wrong == "an error\n"
    assert told["argv"] == [str(folder / "probe.py"), "a", "--b=c d"]
    assert told["orig"] == [sys.executable, "-P", "-m", "probe", "a", "--b=c d"]
    assert (told["folder"], told["said"], told["read"]) == (str(folder), "été", "line\n")
    assert told["called"] == "probe"
    assert (told["name"], told["custom"]) == ("__main__", ["-m", "a", "--b=c d"])
    assert set(told["variables"]) <= {"PYTHONPATH", "CODE", "SAID", "PROMETHEUS_MULTIPROC_DIR", "LC_CTYPE"}


def test_it_is_a_child_of_the_test_as_any_other(folder):
    process, told, _wrong = probe(folder)
    assert (told["pid"], told["parent"]) == (process.pid, os.getpid())
    assert (told["group"], told["session"]) == (os.getpgid(0), os.getsid(0))
    process, told, _wrong = probe(folder, start_new_session=True)
    assert (told["group"], told["session"]) == (process.pid, process.pid)


def test_the_code_is_loaded_and_nothing_has_begun(folder):
    """What a fork takes along must hold nothing: no thread, no connection, no answer of another environment."""
    _process, told, _wrong = probe(folder)
    assert told["loaded"]
    assert told["tasks"] == 1
    assert {name.partition(":")[0] for name in told["files"]} == {"pipe"}, "the three that it was given"
    # What who started the tests had ignored (nohup: SIGHUP) is so in any child.
    ignored = {one for one in signal.valid_signals() if signal.getsignal(one) is signal.SIG_IGN}
    assert set(told["handled"]) == {"SIGINT"} | {signal.Signals(one).name for one in ignored}
    assert told["kept"] == []
    _process, again, _wrong = probe(folder)
    assert again["drawn"] != told["drawn"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(folder, number):
    process = start(folder, "sleeper", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout.readline() == b"here\n"
    assert process.poll() is None
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number


def test_what_does_not_load_ends_with_a_traceback(folder):
    process = start(folder, "nowhere", stderr=subprocess.PIPE, text=True)
    assert "No module named nowhere" in process.communicate()[1]
    assert process.returncode == 1


OUTER = """
import signal, subprocess, sys
from core.dev.embedded import die_with_parent
from core.testing.preloaded import popen
child = popen([sys.executable, "-P", "-m", "sleeper"], stdout=subprocess.PIPE, preexec_fn=die_with_parent(signal.SIGTERM))
child.stdout.readline()
print(child.pid, flush=True)
input()
"""


def test_it_ends_with_its_parent_where_that_is_wanted(folder):
    outer = subprocess.Popen(
        [sys.executable, "-c", OUTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )  # fmt: skip
    child = int(outer.stdout.readline())
    assert is_alive(child)
    outer.send_signal(signal.SIGKILL)
    outer.communicate()
    wait_until(lambda: not is_alive(child))
