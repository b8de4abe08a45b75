"""The checklist: each point finds what it is for, and the bundled plugins pass all of it."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest
from click.testing import CliRunner

from core.cli.plugin_check import check
from core.cli.plugins import plugin

GOOD = """
from core.plugin import Plugin, PluginSettings, hookimpl
class One(Plugin[PluginSettings]):
    name, label, Settings = "one", "One", PluginSettings
    @hookimpl
    def menu_entries(self, audience):
        return []
plugin = One()
"""


@pytest.fixture
def checked(tmp_path, monkeypatch):
    count = iter(range(100))

    def look(code=GOOD, **files):
        package = f"checked_{tmp_path.name}_{next(count)}".replace("[", "").replace("]", "")
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text(code, "utf-8")
        for name, content in files.items():
            path = folder / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        found = check(import_module(package).plugin)
        del sys.modules[package]
        return {point.words: point.found for point in found if point.found}

    return look


def test_a_good_plugin_has_nothing_against_it(checked):
    assert checked() == {}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("def f():\n    from core.platform.signing import keyed_hash\n", "imports core.platform.signing"),
        ("def f():\n    from core import runtime\n", "imports core.runtime"),
        ("import datetime\ndef f():\n    return datetime.datetime.now()\n", "datetime.now()"),
        ("from datetime import date\ndef f():\n    return date.today()\n", "date.today()"),
        ("amount: float = 1.5\n", "amount is a float"),
        ("from core.plugin import gettext as _\ndef f():\n    return _('Bonjour')\n", "1 phrases"),
    ],
)
def test_what_code_should_not_do_is_named_with_its_line(checked, more, words):
    found = checked(GOOD + more)
    assert len(found) == 1
    assert words in next(iter(found.values()))[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("@hookimpl\n", "\n", "no hook"),
        ('"one", "One"', '"one", " "', "label is empty"),
        ('Settings = "one", "One", PluginSettings', 'Settings = "one", "One", Loose', "unknown keys pass"),
    ],
)
def test_what_the_object_lacks_is_named(checked, old, new, words):
    loose = "from pydantic import BaseModel\nclass Loose(BaseModel): pass\n"
    found = checked(loose + GOOD.replace(old, new))
    assert any(words in one for some in found.values() for one in some)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"versions__a_dot_py": "op.create_table('one_thing')\n"}, "without protect('one_thing')"),
        ({"templates__a_dot_jinja2": '<form method="post"><button>x</button></form>'}, "csrf"),
        ({"templates__a_dot_jinja2": '{% extends "core:web/templates/layout.jinja2" %}'}, "short name"),
    ],
)
def test_what_its_files_lack_is_named(checked, files, words):
    found = checked(**files)
    assert any(words in one for some in found.values() for one in some)


@pytest.mark.parametrize("name", ["payfip", "cheque_import", "telegram_bot", "pes_recette"])
def test_the_bundled_plugins_pass(name):
    told = CliRunner().invoke(plugin, ["check", name])
    assert told.exit_code == 0, told.output
    assert told.output.count("✓") == 9


def test_a_plugin_that_is_not_installed_is_said():
    told = CliRunner().invoke(plugin, ["check", "nobody"])
    assert told.exit_code == 1
    assert "nobody" in told.output
