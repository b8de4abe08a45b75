"""What a process loads when it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

HEAVY = ("openpyxl", "pypdf", "weasyprint", "zeep", "telegram", "zxcvbn", "numpy", "PIL", "celery",
         "lxml", "dateparser", "limits", "email_validator", "httpx", "markdown_it", "rich", "pygments")  # fmt: skip

START = """
import json, linecache, sys
import core.platform.logging  # First, as in `core.processes.wsgi`.
import core.processes.app
from core.platform.plugins.discovery import Extensions
from core.platform.web import scanning
Extensions.discover()
scanning.without_source_lines()
from core.families import office
from venusian import ATTACH_ATTR
print(json.dumps({
    "modules": list(sys.modules),
    "read": list(linecache.cache),
    "page": office.__file__,
    "attached": hasattr(office.families, ATTACH_ATTR),
}))
"""


@pytest.fixture(scope="module")
def started() -> Any:
    """What a process tells of itself that has loaded the application, the plugins, and a page."""
    command = [sys.executable, "-W", "ignore", "-P", "-c", START]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_pages_start_without_what_only_some_of_them_need(started: Any):
    """Each of these is a part of a second, and is loaded where it is first used."""
    assert [name for name in HEAVY if name in started["modules"]] == []


def test_a_page_is_registered_without_reading_its_source(started: Any):
    """Looking up each page's line of source was a tenth of a start."""
    assert started["attached"]
    assert started["page"] not in started["read"]


WORKER = """
import gc, os, sys
from types import SimpleNamespace
from celery.signals import celeryd_after_setup
import core.cli.main, core.processes.worker
((_receiver, fault),) = celeryd_after_setup.send(
    sender="tests", instance=SimpleNamespace(concurrency=2)
)
assert fault is None, fault
# A worker, the relay and beat show no page.
assert not {"pyramid", "pkg_resources", "rich", "pygments"} & set(sys.modules)
if not os.fork():
    gc.collect()
    with open("/proc/self/smaps_rollup") as found:
        kilobytes = {name: int(rest.split()[0]) for name, rest in
                     (line.split(":", 1) for line in found if line.rstrip().endswith("kB"))}
    print(kilobytes["Rss"], kilobytes["Private_Dirty"], flush=True)
    os._exit(0)
os.wait()
"""


def test_a_forked_worker_shares_what_its_parent_loaded(tmp_path: Any):
    """Collecting garbage once made each worker process copy 56 of its 98 MB."""
    command = [sys.executable, "-W", "ignore", "-P", "-c", WORKER]
    environment = os.environ | {
        "PREAU_TENANTS_DIR": str(tmp_path), "PREAU_DATA_DIR": str(tmp_path),
        # Nobody connects: a worker's parent has no business there.
        "PREAU_DATABASE_URL": "postgresql://preau_app@localhost/none",
        "PREAU_REDIS_URL": "redis://localhost/0",
    }  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    whole, own = map(int, done.stdout.split()[-2:])
    assert own < whole / 8


COMMAND = """
import json, sys
import core.cli.main
print(json.dumps(sorted(sys.modules)))
"""
GENERATIONS = """
import json, sys
import core.processes.generations
print(json.dumps(sorted(sys.modules)))
"""
RELAY = """
import json, sys
from unittest import mock
from core.cli.main import preau
from core.platform.outbox.relay import Relay

def run(relay):
    from core.processes.queue import app
    app.finalize()
    assert app.conf.task_default_queue
    print(json.dumps(sorted(sys.modules)))

with mock.patch.object(Relay, "run", run):
    preau(["relay"], standalone_mode=False)
"""


@pytest.mark.parametrize(
    ("code", "needed", "spared"),
    [
        (COMMAND, "click", {"rich", "pygments", "celery", "redis", "core.runtime", "core.unit_of_work"}),
        # It only starts gunicorn, and looks after it.
        (GENERATIONS, "selectors", {"structlog", "pydantic", "sqlalchemy", "click", "gunicorn.app.base"}),
        # It hands over ids: what they stand for, it could not even read.
        (RELAY, "celery", {"rich", "pygments", "pyramid", "core.processes.consumers", "core.runtime", "core.unit_of_work",
                           "plugins.payfip", "plugins.telegram_bot"}),
    ],
)  # fmt: skip
def test_what_serves_nobody_starts_without_what_serving_needs(code, needed, spared, tmp_path):
    environment = os.environ | {
        "PREAU_RELAY_URL": "postgresql://preau_relay@localhost/none", "PREAU_REDIS_URL": "redis://localhost/0",
        "PREAU_TENANTS_DIR": str(tmp_path), "PREAU_DATA_DIR": str(tmp_path),
    }  # fmt: skip
    command = [sys.executable, "-W", "ignore", "-P", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert needed in loaded
    assert spared & loaded == set()
