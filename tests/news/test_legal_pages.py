"""What the law makes a town say, filled from its file; and what its file does not say, named."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from core.cli.main import preau
from core.platform.settings import get_settings
from core.platform.tenancy.config import TenantConfigError, load
from core.platform.tenancy.law import missing
from core.testing.portal import cheap_hashes, make_portal, write_towns

FULL = """
[contact]
email = "regie@valmont.example"
phone = "01 99 00 12 34"
address = ["1 place de la Mairie", "99000 Valmont"]

[legal]
publisher = "Commune de Valmont"
director = "Camille Durand, maire"
host = "Hébergeur Exemple"
host_address = "2 rue du Nord, 99100 Ailleurs"
host_phone = "01 99 00 56 78"
data_protection = "dpd@valmont.example"
processors = ["Société Courrier (envoi des lettres)"]
accounts_years = 12
accessibility = "partiellement conforme"

[accessibility]
rate = 87.5
audited_on = 2026-09-01
auditor = "Cabinet Exemple"
not_conforming = ["Une image sans alternative"]
exempt = ["Les factures d’avant 2024"]
pages = ["Page d’accueil"]
environment = ["Firefox et NVDA"]
plan = "https://www.valmont.example/accessibilite"

[retention]
families = 36
messages = 18
"""


@pytest.fixture
def portal(database, redis, tmp_path):
    """The towns of tests, whose files say all."""
    redis.flushall()
    towns = write_towns(tmp_path / "complete")
    for path in towns.glob("*/tenant.toml"):
        contact = path.read_text("utf-8").index("[contact]")
        rest = path.read_text("utf-8").index("[regies.")
        path.write_text(path.read_text("utf-8")[:contact] + FULL + path.read_text("utf-8")[rest:], "utf-8")
    made = make_portal(database, tmp_path, tenants_dir=towns)
    with cheap_hashes():
        yield made
    made.runtime.redis.close()


def words(page):
    return " ".join(page.html.find("main").get_text(" ").replace("\u00a0", " ").replace("\u202f", " ").split())


def test_the_legal_notice_is_complete(browser):
    page = browser.get("/mentions-legales")
    said = words(page)
    for part in (
        "Commune de Valmont", "1 place de la Mairie", "Camille Durand, maire", "Hébergeur Exemple",
        "2 rue du Nord, 99100 Ailleurs", "EUPL",
    ):  # fmt: skip
        assert part in said, part
    links = {link["href"] for link in page.html.find("main").find_all("a")}
    assert {"tel:0199001234", "tel:0199005678", "mailto:regie@valmont.example"} <= links


def test_the_privacy_page_says_who_how_long_and_which_rights(browser):
    page = browser.get("/mentions-legales")
    said = words(page)
    for part in (
        "12 ans", "36 mois", "18 mois", "180 jours", "12 heures", "vous y opposer", "Société Courrier",
        "FakePay, si vous payez en ligne", "CNIL", "TSA 80715",
    ):  # fmt: skip
        assert part in said, part
    assert page.html.find("a", href="mailto:dpd@valmont.example")
    assert len(page.html.find(string="Cookies").find_parent().find_next("ul").find_all("li")) == 5


def test_the_accessibility_statement_is_complete(browser):
    page = browser.get("/accessibilite")
    said = words(page)
    for part in (
        "partiellement conforme", "87,5 % des critères", "Cabinet Exemple le 1er septembre 2026",
        "Une image sans alternative", "Les factures d’avant 2024", "Page d’accueil", "Firefox et NVDA", "HTML, CSS",
        "Défenseur des droits",
    ):  # fmt: skip
        assert part in said, part
    links = {link["href"] for link in page.html.find("main").find_all("a")}
    assert "https://www.valmont.example/accessibilite" in links
    assert "https://formulaire.defenseurdesdroits.fr/" in links
    assert "mailto:regie@valmont.example" in links


def test_what_the_town_wrote_is_french_on_english_pages(browser):
    home = browser.get("/")
    form = next(form for form in home.forms.values() if "/langue" in form.action)
    form.submit("language", value="en")
    for path in ("/accessibilite", "/mentions-legales"):
        page = browser.get(path)
        french = [part.get_text() for part in page.html.find_all(attrs={"lang": "fr"})]
        assert french, path
    assert "Camille Durand, maire" in french
    assert "Société Courrier (envoi des lettres)" in french


def test_a_full_file_lacks_nothing_and_an_empty_one_all(tmp_path):
    def lacks(more):
        folder = tmp_path / "valmont"
        folder.mkdir(exist_ok=True)
        base = '[tenant]\nname = "Valmont"\n[regies.CANTINE]\nlabel = "C"\n'
        return [lack.key for lack in missing(load(folder, {}, (base + more).encode()))]

    assert lacks(FULL) == []
    bare = lacks("")
    assert {"legal.director", "legal.host_phone", "contact.email", "accessibility.plan", "retention.families"} <= set(bare)
    assert "accessibility.rate" not in bare, "who claims nothing needs no audit"
    claimed = lacks('[legal]\naccessibility = "totalement conforme"\n')
    audit = {"rate", "audited_on", "auditor", "pages", "environment"}
    assert {f"accessibility.{key}" for key in audit} <= set(claimed)
    assert "accessibility.not_conforming" not in claimed
    assert "accessibility.not_conforming" in lacks('[legal]\naccessibility = "partiellement conforme"\n')
    assert "accessibility.rate" in lacks('[legal]\naccessibility = "totalement conforme"\n[accessibility]\nrate = 99\n')
    assert "retention.messages" in lacks("[retention]\nmessages = 0\n")
    for blank in ("  ", "…", "à compléter", "TODO", "[À COMPLÉTER]", "\u00a0"):
        assert "legal.director" in lacks(f'[legal]\ndirector = "{blank}"\n'), blank
        assert "contact.address" in lacks(f'[contact]\naddress = ["{blank}", ""]\n'), blank
    with pytest.raises(TenantConfigError, match="one of: 'non conforme'"):
        lacks('[legal]\naccessibility = "presque"\n')
    with pytest.raises(TenantConfigError, match="plan: has to be an address"):
        lacks('[accessibility]\nplan = "sur le site"\n')


def test_check_names_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / "valmont").mkdir()
    (tmp_path / "valmont" / "tenant.toml").write_text(
        '[tenant]\nname = "Valmont"\n[regies.CANTINE]\nlabel = "C"\n', "utf-8"
    )
    monkeypatch.setenv("PREAU_TENANTS_DIR", str(tmp_path))
    get_settings.cache_clear()
    try:
        result = CliRunner().invoke(preau, ["tenants", "check"])
    finally:
        get_settings.cache_clear()
    assert result.exit_code == 0, result.output
    assert "todo   valmont: legal.director is not said" in result.output


def test_the_switch_of_language_is_this_browser_s_alone(browser, portal):
    """The other parent's mails stay in the language that the family chose."""
    browser.sign_in()
    page = browser.get("/factures")
    form = next(form for form in page.forms.values() if "/langue" in form.action)
    form.submit("language", value="en")
    with portal.town() as town:
        assert town.families.by_code("F001").language == "fr"
    page = browser.get("/alertes")
    form = next(form for form in page.forms.values() if "language" in form.fields and "/langue" not in form.action)
    form["language"] = "en"
    form.submit("action", value="language")
    with portal.town() as town:
        assert town.families.by_code("F001").language == "en"
        assert town.session.scalar(text("SELECT language FROM family WHERE code = 'F001'")) == "en"


def test_invoices_are_french_on_english_pages(browser):
    """RGAA 8.7: the words of a billing program and of an agent are marked, wherever they stand."""
    browser.sign_in()
    page = browser.get("/factures")
    form = next(form for form in page.forms.values() if "/langue" in form.action)
    form.submit("language", value="en")
    page = browser.get("/factures")
    for words_of_the_file in page.html.find_all(string=lambda text_: text_ and "CANTINE" in text_):
        assert words_of_the_file.find_parent(attrs={"lang": True})["lang"] == "fr", words_of_the_file
    assert page.html.find(string="Restauration scolaire").find_parent(attrs={"lang": True})["lang"] == "fr"
    assert page.html.find(string="Pay").find_parent(attrs={"lang": True})["lang"] == "en"
