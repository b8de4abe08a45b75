"""Installing a distribution as its author would, and running its own tests beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from core.testing.waiting import PATIENCE_SECONDS


def install(*folders: Path, target: Path) -> None:
    """Install `folders` by pip into `target`: no network, no other package touched."""
    run(
        [
            sys.executable, "-P", "-m", "pip", "install", "--quiet", "--no-deps",
            "--no-build-isolation", "--no-index", "--disable-pip-version-check",
            "--target", str(target), *map(str, folders),
        ],
        cwd=folders[0].parent,
    )  # fmt: skip


def run(
    command: list[str], *, cwd: Path, path: Path | None = None, ends: int = 0, **variables: str
) -> str:
    """Run in a process of its own that also finds what lies in `path`; what it said."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREAU_", "PYTEST_"))
    }
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        command, check=False, cwd=cwd, env=environment | variables, capture_output=True, text=True,
        timeout=4 * PATIENCE_SECONDS,
    )
    assert done.returncode == ends, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def own_tests(*folders: Path, target: Path) -> str:
    """Run the tests of the distribution in a folder, or of several, with their code from `target`."""
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider"]
    if len(folders) == 1:
        return run([*command, "-q", "tests"], cwd=folders[0], path=target)
    # Files of the same name, each in a folder of its own.
    command += ["-v", "--import-mode=importlib", "--rootdir", str(folders[0].parent)]
    return run([*command, *(str(folder / "tests") for folder in folders)], cwd=folders[0].parent, path=target)


def preau(*arguments: str, cwd: Path, path: Path, ends: int = 0, **variables: str) -> str:
    """The command ``preau`` with what lies in `path` installed."""
    code = "import warnings; warnings.simplefilter('ignore'); from core.cli.main import main; main()"
    return run([sys.executable, "-P", "-c", code, *arguments], cwd=cwd, path=path, ends=ends, **variables)
