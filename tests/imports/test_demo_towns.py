"""The demonstration's files are imports like any other, and hold the manual's facts."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from core.api.context import RegieInfo
from core.api.invoices import InvoiceKind, InvoiceRecord, SourceFile, TaxKind
from core.api.payments import Means
from core.cli.demo_data import DemoPayment, town_files
from core.imports.format.csv import CsvSource
from core.platform.plugins.discovery import Extensions
from core.platform.tenancy.registry import load_registry

ROOT = Path(__file__).parents[2]
TOWNS = ROOT / "tenants"
SAMPLES = TOWNS / "ville-de-demo" / "samples"
DAYS = [date(2026, 11, 24), date(2026, 3, 1), date(2028, 2, 29), date(2027, 1, 3)]
FEW = 40
"""As few as the browser's tests have (tests/browser/conftest.py)."""


def source_of(slug):
    with (TOWNS / slug / "tenant.toml").open("rb") as file:
        regies = tomllib.load(file)["regies"]
    return CsvSource(
        [RegieInfo(key, r["label"], r.get("collects", True)) for key, r in regies.items()]
    )


def read_all(slug, files):
    source = source_of(slug)
    return [
        item
        for path in files
        for item in source.read(SourceFile(path, path.name, path.stat().st_size))
    ]


@pytest.fixture(scope="module", params=[*((day, 120) for day in DAYS), (DAYS[0], FEW)], ids=str)
def demo(request, tmp_path_factory):
    day, households = request.param
    out = tmp_path_factory.mktemp("demo")
    town = town_files("ville-de-demo", day, out, households)
    items = read_all("ville-de-demo", town.files)
    assert households + 4 <= len({item.family_code for item in items}) < households + 10
    return day, town, items


def test_the_towns_are_well_described(monkeypatch):
    monkeypatch.setenv("PAYFIP_SIMULATOR_URL", "http://127.0.0.1:8081")
    monkeypatch.setenv("TELEGRAM_SIMULATOR_URL", "http://127.0.0.1:8082")
    found = Extensions.discover()
    registry = load_registry(TOWNS, found.settings_models(), found.built_in())
    assert not registry.broken
    full, small = (registry.towns[slug] for slug in ("ville-de-demo", "bourg-exemple"))
    assert full.enabled - small.enabled == {"telegram_bot", "cheque_import", "pes_recette", "planning"}
    assert registry.by_host("ville-de-demo.localhost:8080") == "ville-de-demo"
    for town in (full, small):
        assert set(town.settings["payfip"].regies) == set(town.file.regies)
        for path in (town.folder / "news").glob("*.md"):
            _before, head, body = path.read_text("utf-8").split("---\n", 2)
            fields = dict(line.split(": ", 1) for line in head.splitlines())
            assert fields.keys() == {"title", "date", "kind", "summary"}
            assert fields["kind"] in {"news", "notice"}
            assert date.fromisoformat(fields["date"])
            assert body.strip()


def test_every_file_of_the_demonstration_imports(demo):
    _today, _town, items = demo
    assert all(isinstance(item, InvoiceRecord) for item in items), items
    assert len({(i.regie, i.number) for i in items}) == len(items)


def test_the_manuals_invoices_are_its_own(demo):
    _today, town, items = demo
    bond = {item.number: item for item in items if item.family_code == "F00007"}
    assert "F00007" in town.highlight_families
    facts = {
        "2018-010-000001": ("CANTINE", "EXTRASCOLAIRE", 5687),
        "2018-010-000002": ("GARDERIE B", "EXTRASCOLAIRE", 22780),
        "2018-011-000003": ("CANTINE ET TRANSPORT NOVEMBRE 2018", "PERISCOLAIRE", 17995),
        "2012-003-000314": ("CANTINE ET GARDERIE MARS 2012", "PERISCOLAIRE", 2100),
        "2012-004-000313": ("CANTINE ET GARDERIE AVRIL 2012", "PERISCOLAIRE", 1800),
    }
    assert {n: (i.label, i.regie, i.amount) for n, i in bond.items()} == facts
    assert bond["2012-003-000314"].payment_reference == "2012-TS-00-3000314"
    assert bond["2012-004-000313"].payment_reference == "2012-TS-00-4000313"
    assert bond["2012-003-000314"].due_on == date(2012, 4, 15)
    (march,) = [p for p in town.payments if p.number == "2012-003-000314"]
    assert (march.payer, march.means, march.paid_at.date(), march.amount) == (
        "Jamie BOND",
        Means.CARD,
        date(2012, 4, 25),
        2100,
    )
    assert bond["2018-010-000001"].document.read().startswith(b"%PDF-")


def test_the_demonstration_shows_the_cases_of_the_field(demo):
    today, town, items = demo
    by_key = {(item.regie, item.number): item for item in items}
    paid = {(p.regie, p.number) for p in town.payments}
    assert len(paid) == len({p.key for p in town.payments}) == len(town.payments)
    assert all(item.issued_on <= today for item in items)
    for payment in town.payments:
        assert isinstance(payment, DemoPayment)
        invoice = by_key[payment.regie, payment.number]
        assert (payment.amount, payment.family_code) == (invoice.amount, invoice.family_code)
        assert invoice.issued_on <= payment.paid_at.date() < today
        assert payment.regie != "CRECHE"  # The trésorerie collects: nothing is booked here.
    assert any(item.kind is InvoiceKind.CREDIT_NOTE for item in items)
    assert any(item.regie == "CRECHE" for item in items)
    assert any(item.direct_debit for item in items)
    assert any(i.payment_reference == "20198701010000000069" and i.amount == 8600 for i in items)
    (shared,) = town.shared_children
    homes = {i.family_code for i in items if any(li.child == shared.child_code for li in i.lines)}
    assert shared.family_code in homes
    assert len(homes) == 2
    assert any(
        line.tax_kind is TaxKind.CARE and item.family_code == "F01207"
        for item in items
        if item.issued_on.year == today.year - 1
        for line in item.lines
    )


def test_the_same_day_gives_the_same_files(tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    for out in (one, two):
        out.mkdir()
        town_files("ville-de-demo", DAYS[0], out)
    assert {p.name: p.read_bytes() for p in one.iterdir()} == {
        p.name: p.read_bytes() for p in two.iterdir()
    }


def test_the_village_imports_too(tmp_path):
    town = town_files("bourg-exemple", DAYS[0], tmp_path)
    items = read_all("bourg-exemple", town.files)
    assert all(isinstance(item, InvoiceRecord) for item in items)
    assert len(items) == 48


@pytest.mark.parametrize(
    "path", [*sorted(SAMPLES.glob("*.csv")), SAMPLES / "dossier"], ids=lambda path: path.name
)
def test_the_samples_import_without_a_problem(path):
    items = read_all("ville-de-demo", [path])
    assert items
    assert all(isinstance(item, InvoiceRecord) for item in items), items
    if path.is_dir():
        assert items[0].document
