"""A town's move is killed at each of its steps, as by a power cut, and asked for again.

Real processes: `preau tenant move` ends itself by SIGKILL when a step begins, with files of papers and
rows half on their way. After each, the town is open in one installation at most; the last move ends,
and everything is compared. What is told is how long the town was closed, with papers ahead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from core.cells import archive, catalogue, closing
from core.cells.moving import Step
from core.dev.embedded import SUPERUSER, Embedded, postgresql_binaries
from core.platform.db.migrate import upgrade
from core.platform.db.rls import OWNER
from core.platform.plugins.discovery import installed
from core.testing.portal import Portal, Records, cheap_hashes, make_portal, record

ROOT = Path(__file__).parents[1]
TOWN = "valmont"
PAPER_BYTES = 30_000
KILLED = """
import os, signal, sys
from functools import partial
from core.cells import moving
from core.cli.main import preau

wanted = sys.argv.pop(1)

def at(step):
    if step == wanted:
        os.kill(os.getpid(), signal.SIGKILL)

moving.move = partial(moving.move, at=at)
preau()
"""


def main() -> None:
    """Fill, move, kill, tell."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--families", type=int, default=300)
    asked.add_argument("--papers", type=int, default=2000)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="preau-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Embedded(folder) as servers, cheap_hashes():
            tell(servers, folder, options.families, options.papers)


def cell(servers: Embedded, folder: Path, name: str) -> Portal:
    """An installation with the role that moves towns."""
    servers.create_database(name)
    upgrade(servers.url(OWNER, name), [source.directory for source in installed().hook.migrations()])
    url = make_url(servers.url(SUPERUSER, name))
    subprocess.run(
        [postgresql_binaries() / "psql", "-X", "-q", "-h", url.query["host"], "-U", SUPERUSER, "-d", name,
         "-v", "mover=secret", "-f", ROOT / "deploy" / "postgresql" / "mover.sql"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return make_portal(servers.addresses(name), folder / name)


def environment(servers: Embedded, portal: Portal, name: str) -> dict[str, str]:
    """Settings of an installation, for a command."""
    settings = portal.runtime.settings
    return {
        "PREAU_MOVER_URL": servers.url("preau_mover", name),
        "PREAU_DATABASE_URL": settings.database_url,
        "PREAU_REDIS_URL": settings.redis_url,
        "PREAU_TENANTS_DIR": str(settings.tenants_dir),
        "PREAU_SECRET_KEY": settings.secret_key,
    }


def fill(portal: Portal, families: int, papers: int) -> None:
    """A town with invoices and papers."""
    items = [record(f"N{n}", family=f"F{n:05d}") for n in range(families)]
    with portal.town(TOWN) as town:
        report = town.imports.run(Records(*items), portal.file())
        town.imports.publish(report.batch_id)
    with portal.town(TOWN) as town:
        for _paper in range(papers):
            town.document_files.add("a.pdf", "application/pdf", b"%PDF" + os.urandom(PAPER_BYTES))


def contents(connection: psycopg.Connection) -> dict[str, archive.Content]:
    """All rows of the town, by table."""
    return {table.name: archive.content_of(connection, TOWN, table) for table in catalogue.tables(connection)}


def tell(servers: Embedded, folder: Path, families: int, papers: int) -> None:
    """Kill at each step, then let it end."""
    portals = {name: cell(servers, folder, name) for name in ("one", "two")}
    fill(portals["one"], families, papers)
    settings = {name: environment(servers, portal, name) for name, portal in portals.items()}
    other = folder / "two.env"
    other.write_text("".join(f"{key}={value}\n" for key, value in settings["two"].items()))
    look = {
        name: psycopg.connect(
            make_url(values["PREAU_MOVER_URL"]).set(drivername="postgresql").render_as_string(hide_password=False),
            autocommit=True,
        )
        for name, values in settings.items()
    }
    before = contents(look["one"])

    def move(step: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED, step, "tenant", "move", TOWN, "--to", str(other)],
            env={**os.environ, **settings["one"]}, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    wrong = []
    for step in Step:
        began = time.perf_counter()
        ended = move(step)
        states = [str(closing.state_of(look[name], TOWN)) for name in ("one", "two")]
        arrived = look["two"].execute("SELECT count(*) FROM document WHERE tenant_id = %s", [TOWN]).fetchone()
        print(
            f"killed at {step}: {time.perf_counter() - began:.1f} s; here {states[0]}, there {states[1]},"
            f" {arrived[0] if arrived else 0} papers there",
            flush=True,
        )
        if ended.returncode != -9 or states.count("open") > 1:
            wrong.append(f"{step}: {ended.returncode} {states} {ended.stderr[-500:]}")
    ended = move("nowhere")
    print(ended.stdout, ended.stderr)
    if contents(look["two"]) != before:
        wrong.append("other rows")
    # The way back, for the time: what was left behind is found.
    back = folder / "one.env"
    back.write_text("".join(f"{key}={value}\n" for key, value in settings["one"].items()))
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "core.cli.main", "tenant", "move", TOWN, "--to", str(back)],
        env={**os.environ, **settings["two"]}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print("back:", ended.stdout, ended.stderr)
    if contents(look["one"]) != before:
        wrong.append("other rows after the way back")
    for connection in look.values():
        connection.close()
    for portal in portals.values():
        portal.runtime.close()
    print("wrong:", wrong)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
