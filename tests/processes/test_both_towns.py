"""The two demonstration towns side by side, by path and by host, and a town whose file is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from webtest import TestApp

from core.cli.demo import fill, load_news
from core.cli.main import preau
from core.platform.plugins.discovery import discovered
from core.platform.settings import get_settings, load
from core.processes.app import make_app
from core.runtime import Runtime, sync_towns

TENANTS = Path(__file__).parents[2] / "tenants"
ADDRESSES = {"PAYFIP_SIMULATOR_URL": "http://127.0.0.1:9", "TELEGRAM_SIMULATOR_URL": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def runtime(module_database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    tenants = folder / "tenants"
    shutil.copytree(TENANTS, tenants)
    (tenants / "faux-bourg").mkdir()
    (tenants / "faux-bourg" / "tenant.toml").write_text('[tenant]\nname = "Faux"\nhots = []\n')
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ADDRESSES.items():
            patch.setenv(name, value)
        settings = load(
            database_url=module_database.database_url,
            owner_url=module_database.owner_url,
            redis_url=module_database.redis_url,
            tenants_dir=tenants,
            data_dir=folder,
            public_base_url="http://localhost",
        )
        made = Runtime(settings, discovered())
        sync_towns(settings.owner_url, made.registry)
        for slug in ("ville-de-demo", "bourg-exemple"):
            with made.unit_of_work(slug) as town:
                load_news(town)
                fill(town, folder / "codes.json", settings.demo_households)
        yield made
        made.close()


@pytest.fixture(scope="module")
def application(runtime):
    return make_app(runtime)


@pytest.fixture
def app(application):
    return TestApp(application, extra_environ={"HTTP_HOST": "localhost"})


def sign_in(app, runtime, slug, family, prefix):
    with runtime.unit_of_work(slug) as town:
        secret = town.families.issue_code(town.families.by_code(family).id, holder="test")
    page = app.get(f"{prefix}/connexion")
    form = next(form for form in page.forms.values() if "family_code" in form.fields)
    form["family_code"], form["child_code"] = family, secret
    return form.submit().follow()


def test_what_a_town_has_not_enabled_is_nowhere(app, runtime):
    sign_in(app, runtime, "ville-de-demo", "F00007", "/ville-de-demo")
    assert "Telegram" in app.get("/ville-de-demo/menu")
    app.get("/ville-de-demo/+telegram_bot/", status=200)
    alerts = app.get("/ville-de-demo/alertes")
    assert "telegram_bot" in alerts.html.find(id="other-ways").parent.a["href"]
    app.reset()
    small = sign_in(app, runtime, "bourg-exemple", "F00001", "/bourg-exemple")
    assert "Telegram" not in small
    assert "Telegram" not in app.get("/bourg-exemple/menu")
    app.get("/bourg-exemple/+telegram_bot/", status=404)
    app.get("/bourg-exemple/+telegram_bot", status=404)
    assert "Être averti autrement" not in app.get("/bourg-exemple/alertes")
    app.get("/bourg-exemple/factures", status=200)


def test_by_host_as_by_path(application, runtime):
    app = TestApp(application, extra_environ={"HTTP_HOST": "ville-de-demo.localhost"})
    page = sign_in(app, runtime, "ville-de-demo", "F00007", "")
    assert "Ville de Démo" in page
    assert 'href="/factures"' in page
    assert "56,87" in app.get("/factures")


def test_the_manuals_family(app, runtime):
    sign_in(app, runtime, "ville-de-demo", "F00007", "/ville-de-demo")
    page = app.get("/ville-de-demo/factures")
    for shown in ("CANTINE", "GARDERIE B", "56,87", "227,80", "179,95", "REGIE EXTRASCOLAIRE"):
        assert shown in page
    page = app.get("/ville-de-demo/factures/payees")
    for shown in ("2012-003-000314", "2012-TS-00-3000314", "Jamie BOND", "25/04/2012", "21,00"):
        assert shown in page


def test_separated_parents(app, runtime):
    sign_in(app, runtime, "ville-de-demo", "F00452", "/ville-de-demo")
    father = app.get("/ville-de-demo/factures").text
    app.reset()
    sign_in(app, runtime, "ville-de-demo", "F00451", "/ville-de-demo")
    mother = app.get("/ville-de-demo/factures").text
    # Each sees the papers of its own home, and in words what the other was invoiced for their child.
    assert father.count("(PDF)") > 0
    assert mother.count("(PDF)") > 0
    assert "Facturé à l’autre foyer" in father
    assert "F00451" not in father


def test_a_tax_certificate(app, runtime):
    sign_in(app, runtime, "ville-de-demo", "F01207", "/ville-de-demo")
    page = app.get("/ville-de-demo/attestations")
    link = next(a["href"] for a in page.html.find_all("a") if a["href"].endswith(".pdf"))
    assert app.get(link).body.startswith(b"%PDF")


def test_a_wrong_file_takes_down_its_own_town_only(app):
    page = app.get("/faux-bourg/", status=503)
    assert "hots" not in page
    app.get("/bourg-exemple/", status=200)


def test_check_names_file_key_and_reason(runtime, monkeypatch):
    monkeypatch.setenv("PREAU_TENANTS_DIR", str(runtime.settings.tenants_dir))
    monkeypatch.setenv("PREAU_DATABASE_URL", runtime.settings.database_url)
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(preau, ["tenants", "check"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 1
    assert "faux-bourg/tenant.toml: tenant.hots" in result.output
    assert "ok     ville-de-demo" in result.output


def test_the_demonstration_shows_titles_and_a_debit_that_came_back(runtime):
    with runtime.unit_of_work("ville-de-demo") as town:
        taken = {one.means: one.count for one in town.accounts.remittances.in_hand("PERISCOLAIRE")}
        assert taken["cesu_paper"] == 3
        (pile,) = [one for one in town.config.means("PERISCOLAIRE") if one.means == "cesu_paper"]
        assert pile.slip_name == "CRCESU"
        rejected = [run for run in town.debits.runs() if run.rejected.count]
        assert sum(run.rejected.count for run in rejected) == 1
        (row,) = town.debits.rejections(rejected[0].regie, rejected[0].day)
        assert town.invoices.get(row.Invoice.id).debit_rejected_on
