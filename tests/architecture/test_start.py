"""What a process loads when it starts."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("openpyxl", "pypdf", "weasyprint", "zeep", "telegram", "zxcvbn", "numpy", "PIL",
         "limits", "email_validator", "httpx", "markdown_it")  # fmt: skip


def test_pages_start_without_what_only_some_of_them_need():
    """Each of these is a part of a second, and is loaded where it is first used."""
    code = (
        "import sys, core.processes.app; from core.platform.plugins.discovery import Extensions; Extensions.discover();"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    command = [sys.executable, "-W", "ignore", "-P", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
