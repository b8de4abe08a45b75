"""From the start of a process to its first page, and what a town weighs in memory.

The baseline of the start is a bare Pyramid application with one view and one template of the same
engine. A town's weight is what the registry of ten thousand towns adds to the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Aim, Result, compared, in_turns, main, seconds
from benchmarks.portal import DATABASE, servers

TOWN = """\
[tenant]
name = "Ville {n}"
hosts = ["ville-{n}.test"]
[contact]
email = "regie@ville-{n}.test"
phone = "01 99 00 {n:05d}"
address = ["{n} place de la Mairie", "99000 Ville {n}"]
[regies.CANTINE]
label = "Restauration scolaire de Ville {n}"
[regies.GARDERIE]
label = "Accueil périscolaire de Ville {n}"
"""

OURS = """
import json, os, sys
os.environ.update(json.loads(sys.argv[1]))
from core.processes.wsgi import app
from webob import Request
assert Request.blank("/ville-1/").get_response(app).status_int == 200
"""

BARE = """
from pyramid.config import Configurator
from webob import Request
config = Configurator()
config.include("pyramid_jinja2")
config.add_settings({"jinja2.search_path": "."})
config.add_route("home", "/")
config.add_view(lambda request: {"town": "Ville"}, route_name="home", renderer="bare.jinja2")
config.commit()
config.get_jinja2_environment().loader.searchpath.insert(0, __import__("sys").argv[1])
assert Request.blank("/").get_response(config.make_wsgi_app()).status_int == 200
"""

WEIGHT = """
import json, os, sys
os.environ.update(json.loads(sys.argv[1]))
import resource
from core.platform.plugins.discovery import discovered
from core.runtime import read_towns
from core.platform.settings import get_settings
from core.platform.tenancy import config  # noqa: F401
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
settings, extensions = get_settings(), discovered()
before = resident()
registry = read_towns(settings, extensions)
print((resident() - before) / len(registry.towns))
"""


def python(code: str, *arguments: str, compiled: Path | None = None) -> str:
    """Run a program. `compiled` keeps bytecode, which an installation has beside its modules."""
    command = [sys.executable, "-W", "ignore", "-P", "-c", code, *arguments]
    kept = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled)} if compiled else {}
    return subprocess.run(
        command, env=os.environ | kept, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def write_towns(folder: Path, count: int) -> Path:
    for n in range(1, count + 1):
        (folder / f"ville-{n}").mkdir(parents=True)
        (folder / f"ville-{n}" / "tenant.toml").write_text(TOWN.format(n=n), "utf-8")
    return folder


def run(quick: bool) -> Iterator[Result]:
    rounds, towns = (1, 100) if quick else (5, 10_000)
    with servers() as (embedded, folder):
        given = embedded.addresses(DATABASE).environment() | {
            "PREAU_TENANTS_DIR": str(write_towns(folder / "few", 1)),
            "PREAU_DATA_DIR": str(folder),
            "PREAU_CACHE_DIR": str(folder / "cache"),
            "PREAU_LOG_LEVEL": "error",
        }
        (folder / "bare.jinja2").write_text("<h1>{{ town }}</h1>")
        took = in_turns(
            {
                way: partial(seconds, partial(python, *program, compiled=folder / "compiled"))
                for way, program in {
                    "ours": (OURS, json.dumps(given)),
                    "bare": (BARE, str(folder)),
                }.items()
            },
            rounds,
        )
        yield compared(
            "process start to first page", took["ours"], took["bare"], "s",
            Aim("at most", 1.5, of="difference"),
            baseline="Pyramid with Jinja2, one view, one template",
            compiled="modules and templates, both ways",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        given = {"PREAU_TENANTS_DIR": str(write_towns(Path(name) / "many", towns))}
        weight = float(python(WEIGHT, json.dumps(given))) / 1024
    yield Result(
        "memory per town", weight, None, "kB", Aim("at most", 20, of="figure"),
        conditions={"towns": towns, "counted": "resident memory that the registry adds"},
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
