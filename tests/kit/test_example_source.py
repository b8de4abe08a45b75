"""A plugin outside this repository's own, installed by pip from its own folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from kit_installing import install, own_tests, preau

EXAMPLE = Path(__file__).parents[2] / "examples" / "preau-json-invoices"

TOWN = """\
[tenant]
name = "Valmont"
[regies.CANTINE]
label = "Cantine"
[plugins.json_invoices]
regie = "CANTINE"
"""


def test_the_example_keeps_the_contract_and_serves_a_town(tmp_path):
    """Its own tests are the contract of sources, what its files say, and a town."""
    folder, target = tmp_path / EXAMPLE.name, tmp_path / "site"
    # A copy: building writes beside the sources.
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    install(folder, target=target)
    shutil.rmtree(folder / "src")  # What is tested is what was installed.
    said = own_tests(folder, target=target)
    assert " passed" in said
    assert "skipped" not in said

    town = tmp_path / "tenants" / "valmont"
    town.mkdir(parents=True)
    (town / "tenant.toml").write_text(TOWN, "utf-8")
    settings = {"PREAU_TENANTS_DIR": str(tmp_path / "tenants"), "COLUMNS": "160"}
    listed = preau("plugins", "--quick", cwd=tmp_path, path=target, **settings)
    for word in ("json_invoices", "preau-json-invoices", "valmont", "invoice_sources"):
        assert word in listed
