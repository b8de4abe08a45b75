"""What a process loads when it starts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

HEAVY = ("openpyxl", "pypdf", "weasyprint", "zeep", "telegram", "zxcvbn", "numpy", "PIL", "celery",
         "lxml", "dateparser", "limits", "email_validator", "httpx", "markdown_it")  # fmt: skip

START = """
import json, linecache, sys
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
