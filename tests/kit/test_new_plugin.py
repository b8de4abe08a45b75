"""From ``preau plugin new`` to a town that uses the plugin, as a new author would go."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from kit_installing import install, own_tests, preau

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
    install(folder, target)
    assert "4 passed" in own_tests(folder, target)

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


@pytest.mark.parametrize("kind", ["source", "provider", "channel"])
def test_each_kind_passes_its_tests_and_the_checklist(tmp_path, kind):
    arguments = ["new", f"my-{kind}", "--kind", kind, "--folder", str(tmp_path)]
    made = CliRunner().invoke(plugin, arguments)
    assert made.exit_code == 0, made.output
    folder, target = tmp_path / f"preau-my-{kind}", tmp_path / "site"
    install(folder, target)
    assert "passed" in own_tests(folder, target)
    told = preau("plugin", "check", f"my_{kind}", cwd=tmp_path, path=target, ends=int(kind == "source"))
    # A format has words, and only its author can translate them.
    wrong = [line for line in told.splitlines() if line.startswith("✗")]
    assert wrong == (["✗ its words have an English catalogue"] if kind == "source" else [])


@pytest.mark.parametrize("name", ["Cantine", "9lives", "a b", "../x", "class", "payfip", ""])
def test_what_cannot_be_a_plugin_is_refused(tmp_path, name):
    with pytest.raises(ValueError):
        create(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    create("cantine-plus", tmp_path)
    with pytest.raises(ValueError, match="exists"):
        create("cantine_plus", tmp_path)
