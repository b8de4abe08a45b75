"""From the file to the family's page, in a town that enables the plugin."""

from __future__ import annotations

import pytest
from pes_writing import attachment, line, pes, piece, refers_to, slip, write
from webtest import TestApp

from core.plugin import SourceFile
from core.testing.portal import make_portal, pages_of
from plugins.pes_recette import plugin

TOWN = """\
[plugins.pes_recette]
regie = "CANTINE"
[plugins.pes_recette.products.GA01]
regie = "GARDERIE"
tax = "garde"
"""
PDF = b"%PDF-1.7\n% la facture du logiciel\n%%EOF\n"


@pytest.fixture
def portal(database, redis, tmp_path):
    redis.flushall()
    made = make_portal(database, tmp_path, plugins={"pes_recette": plugin}, toml=TOWN)
    yield made
    made.runtime.close()


def run(portal, content, folder):
    path = write(folder, content)
    with portal.town() as town:
        source = town.sources["pes_recette"]
        report = town.imports.run(source, SourceFile(path, path.name, path.stat().st_size))
        if report.batch_id:
            town.imports.publish(report.batch_id)
        return report


def test_a_family_sees_its_invoice_and_the_pdf_of_the_billing_software(portal, tmp_path):
    made = piece(line("41.60"), line("15.27", "GARDERIE", rank=2), inside=refers_to("PJ1"))
    content = pes(slip(made, total="56.87"), attachments=[attachment("PJ1", PDF)])
    report = run(portal, content, tmp_path)
    assert (report.problems, report.counts["created"]) == ([], 1)
    assert run(portal, content, tmp_path).batch_id is None, "the same file again changes nothing"

    browser = TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})
    forms = browser.get("/valmont/connexion").forms.values()
    form = next(form for form in forms if "family_code" in form.fields)
    form["family_code"], form["child_code"] = "F01207", portal.codes("F01207")
    form.submit().follow()
    page = browser.get("/valmont/factures")
    assert "FACTURE 314 OCTOBRE 2026" in page
    assert "56,87" in page
    assert page.click("Facture \\(PDF\\)").body == PDF


def test_a_wrong_file_changes_nothing(portal, tmp_path):
    report = run(portal, pes(slip(piece(line()), total="41.61")), tmp_path)
    assert report.refused
    assert "41.61" in report.problems[0].message
    with portal.town() as town:
        assert town.imports.batches() == []


@pytest.mark.parametrize(("regie", "found"), [("CANTINE", ""), ("CANTEEN", "CANTEEN")])
def test_a_town_whose_settings_name_no_regie_of_its_own_hears_of_it(
    database, redis, tmp_path, regie, found
):
    toml = f'[plugins.pes_recette]\nregie = "{regie}"\n'
    portal = make_portal(database, tmp_path, plugins={"pes_recette": plugin}, toml=toml)
    with portal.town() as town:
        (check,) = town.call_plugin("pes_recette", "health_checks")
        assert found in check.check()
        assert bool(check.check()) is bool(found)
    portal.runtime.close()
