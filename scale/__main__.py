"""All trials, one after the other, and the tests on several servers: ``make scale``.

Some minutes each. ``ARGS="morning --towns 8"`` runs one, with its own options.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/isolation/test_cells.py",
    "tests/isolation/test_distribution.py",
    "tests/faults/test_object_store.py",
    "tests/platform/test_standby.py",
    "tests/environment/test_partitions.py",
    "tests/faults/test_failover.py",
    "tests/faults/test_processes.py",
)
TRIALS = ("kills", "morning", "months")


def main() -> int:
    """Run what is asked for, or all; the number of those that failed."""
    if len(sys.argv) > 1:
        commands = [["-m", f"scale.{sys.argv[1]}", *sys.argv[2:]]]
    else:
        statements = ["-p", "tests.town_statements", "tests/isolation/test_routes.py"]
        commands = [
            ["-m", "pytest", "-q", *TESTS],
            ["-m", "pytest", "-q", *statements],
            *(["-m", f"scale.{name}"] for name in TRIALS),
        ]
    return sum(
        subprocess.run([sys.executable, *command], cwd=ROOT, check=False).returncode != 0
        for command in commands
    )


if __name__ == "__main__":
    sys.exit(main())
