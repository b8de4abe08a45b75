"""A PostgreSQL cluster with a migrated database, made once for all workers of a run of the tests.

Migrating takes seconds of processor time, copying the files that came of it a tenth of one. Nothing
is kept from one run to the next: the migrations of this run made it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.dev.embedded import Embedded
from core.platform.db.migrate import upgrade
from core.platform.db.rls import OWNER
from core.platform.plugins.discovery import installed

FOLDER = "PREAU_TEST_SHARED"
"""Names, in the environment, the folder that the workers of this run share."""


def shared_folder(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of this run have."""
    folder = factory.getbasetemp()
    # Not by the environment, which a run that a test starts has from that test's worker.
    return folder.parent if hasattr(config, "workerinput") else folder


def put_cluster(data_dir: Path, shared: Path | None = None) -> None:
    """Put a copy where `Embedded(data_dir)` looks for its cluster; its database is migrated."""
    data_dir.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_cluster(shared or Path(os.environ[FOLDER])), data_dir / "postgresql")


def _cluster(shared: Path) -> Path:
    made = shared / "cluster"
    with alone(shared / "cluster.lock"):
        if not made.exists():
            _make(made)
    return made


def _make(cluster: Path) -> None:
    # Not below pytest's folder: where PostgreSQL has to run as "nobody", it cannot go in there.
    with tempfile.TemporaryDirectory(prefix="preau-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        with Embedded(folder, durable=False) as servers:
            sources = installed().hook.migrations()
            upgrade(servers.url(OWNER), [source.directory for source in sources])
        unfinished = cluster.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(folder / "postgresql", unfinished)
        unfinished.rename(cluster)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Do what the other workers of this run, who name the same file, wait for meanwhile."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
