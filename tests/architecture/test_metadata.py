"""The tables are known whole in each process, whichever modules it happens to load."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.testing.waiting import PATIENCE_SECONDS

SCRIPT = """
import importlib, sys
importlib.import_module(sys.argv[1])
from sqlalchemy.orm import configure_mappers
from core.platform.db.base import Base
configure_mappers()
known = {mapper.local_table.name for mapper in Base.registry.mappers if mapper._sorted_tables}
import core.rooms
assert known == set(Base.metadata.tables), set(Base.metadata.tables) - known
"""


@pytest.mark.parametrize(
    "module", ["core.runtime", "core.unit_of_work", "core.processes.worker", "core.processes.app"]
)
def test_each_process_knows_every_table(module: str) -> None:
    """A table that is missing fails at the first write, when a foreign key cannot be followed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, module],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
