"""What only the demonstration needs is not installed in production."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli.main import DEMONSTRATION
from core.testing.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]


def test_the_modules_are_those_of_the_extra():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    names = re.findall(r"^[\w-]+", setup["options.extras_require"]["demo"], re.MULTILINE)
    assert {name.replace("-", "_") for name in names} == DEMONSTRATION


@pytest.mark.parametrize(
    ("command", "module"),
    [(["payfip-simulator", "--port", "0"], "waitress"), (["telegram-simulator"], "waitress"), (["mailbox"], "waitress")],
)
def test_a_command_says_what_it_lacks(command, module, tmp_path):
    """A production's environment, in which the module cannot be found."""
    hides = "import sys; sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(',')));"
    run = subprocess.run(
        [sys.executable, "-c", f"{hides} from core.cli.main import main; main()", module, *command],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=2 * PATIENCE_SECONDS,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "PREAU_TENANTS_DIR": str(ROOT / "tenants")},
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        f"Error: this command needs {module}, which production does not install:"
        " pip install -r requirements/demo.txt"
    )
    assert "Traceback" not in run.stderr
