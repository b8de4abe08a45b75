"""The Pythons that are tested: said alike everywhere, chosen for both commands, others warned of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from core.cli.main import preau
from core.cli.pythons import NEWEST, OLDEST, warning_for
from core.testing.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
TESTED = [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_a_tested_python_starts_without_a_word(version):
    assert warning_for(version) == ""


@pytest.mark.parametrize("version", [(3, 10), (3, 15), (3, 20), (4, 0)])
def test_another_is_warned_of(version):
    assert f"Python {version[0]}.{version[1]} is untested" in warning_for(version)
    assert "3.11 to 3.14" in warning_for(version)


@pytest.mark.parametrize(("version", "warned"), [((3, 13, 0), False), ((3, 15, 0), True)])
def test_every_command_says_so_on_the_side(monkeypatch, version, warned):
    monkeypatch.setattr(sys, "version_info", version)
    answer = CliRunner().invoke(preau, ["plugins"], catch_exceptions=False)
    assert ("is untested" in answer.stderr) is warned
    assert "untested" not in answer.stdout


def test_the_same_versions_stand_everywhere():
    metadata = (ROOT / "setup.cfg").read_text("utf-8")
    assert re.findall(r"Programming Language :: Python :: (3\.\d+)", metadata) == TESTED
    assert f"python_requires = >={TESTED[0]}\n" in metadata
    assert f"Python {TESTED[0]} to {TESTED[-1]}" in (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^PYTHONS := (.*)$", makefile, re.MULTILINE)[1].split() == TESTED


def make(*words):
    """What `make` would do, which it prints and does not do."""
    return subprocess.run(
        ["make", "--no-print-directory", "--dry-run", *words], cwd=ROOT, text=True, capture_output=True, check=False, timeout=PATIENCE_SECONDS
    )


@pytest.mark.parametrize("command", ["test", "run"])
def test_a_python_of_one_s_own_has_an_environment_of_its_own(command):
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for asked in (sys.executable, running):
        answer = make(command, f"PYTHON={asked}")
        assert answer.returncode == 0, answer.stderr
        assert f".venv-{running}/bin/" in answer.stdout
        assert " .venv/bin/" not in answer.stdout


@pytest.fixture
def pythons(tmp_path, monkeypatch):
    """Makes a machine that has these Pythons; one is `whole` if it can make environments."""

    def have(*versions, whole=True):
        for version in versions:
            python = tmp_path / f"python{version}"
            python.write_text(
                f"#!/bin/sh\ncase $2 in *ensurepip*) {'echo' if whole else 'false'} {version} ;; *) echo {version} ;; esac\n"
            )
            python.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))

    return have


def newest():
    return subprocess.run(
        ["/usr/bin/make", "--no-print-directory", "--dry-run", "MAKE=:", "test-newest"],
        cwd=ROOT, text=True, capture_output=True, check=True, timeout=PATIENCE_SECONDS,
    ).stdout  # fmt: skip


def test_the_newest_python_at_hand_is_tested_too(pythons):
    pythons("3.11", "3.12", "3.14")
    assert "PYTHON=3.14" in newest()
    assert "No newer Python" not in newest()


@pytest.mark.parametrize("only", ["3.11", "3.13"])
def test_a_machine_with_one_python_says_so_and_is_content(pythons, only):
    pythons(only)
    assert "No newer Python is at hand" in newest()
    assert "PYTHON=" not in newest()


def test_a_python_that_makes_no_environments_is_none_to_test_on(pythons):
    pythons("3.13", whole=False)
    pythons("3.11")
    assert "No newer Python is at hand" in newest()


def test_the_whole_check_tests_the_oldest_and_then_the_newest():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert re.search(r"make test && exec make test-newest$", script, re.MULTILINE)


@pytest.mark.parametrize("asked", ["/nowhere/python3", "2.7", "python-of-nobody", "/bin/false"])
def test_a_python_that_is_none_is_refused_in_words(asked):
    answer = make("run", f"PYTHON={asked}")
    assert answer.returncode != 0
    assert f"PYTHON={asked}" in answer.stderr
    assert "Python 3.11 or newer" in answer.stderr
