"""From ``preau plugin new`` to a town that uses the plugin, as a new author would go."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner
from kit_installing import install, own_tests, preau, run

from core.cli.plugins import create, plugin

TOWN = """\
[tenant]
name = "Valmont"
[regies.CANTINE]
label = "Cantine"
[plugins.cantine_plus]
greeting = "Bonjour Valmont"
"""


def test_a_new_plugin_passes_its_tests_and_serves_a_town(tmp_path, module_database):
    made = CliRunner().invoke(plugin, ["new", "cantine-plus", "--folder", str(tmp_path)])
    assert made.exit_code == 0, made.output
    folder, target = tmp_path / "preau-cantine-plus", tmp_path / "site"
    install(folder, target=target)
    assert "4 passed" in own_tests(folder, target=target)

    town = tmp_path / "tenants" / "valmont"
    town.mkdir(parents=True)
    (town / "tenant.toml").write_text(TOWN, "utf-8")
    settings = {"PREAU_TENANTS_DIR": str(tmp_path / "tenants"), "COLUMNS": "160"}
    checked = preau("tenants", "check", cwd=tmp_path, path=target, **settings)
    assert "cantine_plus" in checked
    listed = preau("plugins", "--quick", cwd=tmp_path, path=target, **settings)
    for word in ("cantine_plus", "Cantine plus", "preau-cantine-plus", "0.1.0", "valmont", "menu_entries"):
        assert word in listed

    settings |= {
        "PREAU_DATABASE_URL": module_database.database_url,
        "PREAU_REDIS_URL": module_database.redis_url,
    }
    assert health(preau("plugins", cwd=tmp_path, path=target, **settings)) == "well"
    (town / "tenant.toml").write_text(TOWN.replace("Bonjour Valmont", ""), "utf-8")
    ill = preau("plugins", cwd=tmp_path, path=target, ends=1, **settings)
    assert health(ill) == "valmont: Message d’accueil: Le message d’accueil est vide."


def health(table: str) -> str:
    """What the list says of the plugin's health: the last column of its row."""
    (row,) = (line for line in table.splitlines() if "cantine_plus" in line)
    return row.strip("│ ").rpartition("│")[2].strip()


KINDS = ("source", "provider", "channel")


def test_each_kind_passes_its_tests_and_the_checklist(tmp_path):
    """All kinds in one go: pip, servers and migrations cost more than what is tried of each."""
    target = tmp_path / "site"
    folders = [tmp_path / f"preau-my-{kind}" for kind in KINDS]
    for kind in KINDS:
        arguments = ["new", f"my-{kind}", "--kind", kind, "--folder", str(tmp_path)]
        made = CliRunner().invoke(plugin, arguments)
        assert made.exit_code == 0, made.output
    install(*folders, target=target)
    said = own_tests(*folders, target=target)
    assert "passed" in said
    for folder in folders:
        assert f"{folder.name}/tests/test_plugin.py" in said, f"the tests of {folder.name} did not run"
    told = json.loads(run([sys.executable, "-P", "-c", CHECK, *KINDS], cwd=tmp_path, path=target))
    for kind in KINDS:
        # A format has words, and only its author can translate them.
        lacking = ["✗ its words have an English catalogue"] if kind == "source" else []
        code, output = told[kind]
        assert [line for line in output.splitlines() if line.startswith("✗")] == lacking
        assert code == len(lacking), output


CHECK = """
import json, sys, warnings
warnings.simplefilter("ignore")
from click.testing import CliRunner
from core.cli.main import preau
told = {kind: CliRunner().invoke(preau, ["plugin", "check", f"my_{kind}"]) for kind in sys.argv[1:]}
print(json.dumps({kind: (result.exit_code, result.output) for kind, result in told.items()}))
"""


@pytest.mark.parametrize("name", ["Cantine", "9lives", "a b", "../x", "class", "payfip", ""])
def test_what_cannot_be_a_plugin_is_refused(tmp_path, name):
    with pytest.raises(ValueError):
        create(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    create("cantine-plus", tmp_path)
    with pytest.raises(ValueError, match="exists"):
        create("cantine_plus", tmp_path)
