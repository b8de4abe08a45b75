"""Two homes of one child: what the one may see of the other ends where the child's invoices end."""

from __future__ import annotations

import json

import pytest
from isolation_towns import settle
from sqlalchemy import text
from webtest import TestApp

from core.api.invoices import LineRecord, TaxKind
from core.testing.portal import pages_of, record


def line(child, amount=5687):
    return (LineRecord(1, "Repas", TaxKind.MEAL, amount, child=child),)


@pytest.fixture
def homes(portal):
    """F001 pays; F002 sees what is invoiced for the child E001, and nothing of the child E002."""
    portal.publish(
        record(
            "shared", debtor="DURAND Camille", address=("12 rue des Secrets",), amount=7000,
            lines=(*line("E001"), LineRecord(2, "Crèche de Noé", TaxKind.MEAL, 1313, child="E002")),
        ),
        record("private", lines=line("E002"), label="CRECHE du petit"),
        record("other", family="F002", debtor="MARTIN Paul", lines=line("E003")),
    )  # fmt: skip
    with portal.town() as town:
        payer = town.families.by_code("F001").id
        reader = town.families.by_code("F002").id
        town.families.share_child(reader, "E001", sees_all=True)
        ids = {n: town.invoices.by_number(n)[0].id for n in ("shared", "private", "other")}
    return payer, reader, ids


def browser(portal, family):
    with portal.town() as town:
        token = town.web_sessions.open(family)
    app = TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})
    app.set_cookie("preau_family", token)
    return app


def receipt(portal, reader, payment):
    return browser(portal, reader).get(
        f"/valmont/paiements/{payment}/recu.pdf", expect_errors=True
    ).status_int


def test_a_receipt_is_the_payer_s_alone(portal, homes):
    """It names who paid, and what for."""
    payer, reader, ids = homes
    payment = settle(portal, "valmont", payer, [ids["shared"]], "k")
    assert receipt(portal, reader, payment) == 404
    assert receipt(portal, payer, payment) == 200


def test_every_list_holds_a_family_s_own_invoices_only(portal, homes):
    payer, reader, ids = homes
    with portal.town() as town:
        assert {i.id for i in town.invoices.seen_by(reader, list(ids.values()))} == {ids["other"]}
        assert {i.id for i in town.invoices.unpaid(reader)} == {ids["other"]}
        assert {i.id for i in town.invoices.unpaid(payer)} == {ids["shared"], ids["private"]}
    settle(portal, "valmont", payer, [ids["shared"], ids["private"]], "k")
    with portal.town() as town:
        assert town.paid_invoices.of(reader) == []
        assert len(town.paid_invoices.of(payer)) == 2


def test_the_shared_child_s_lines_are_shown_apart_and_nothing_else(portal, homes):
    payer, reader, ids = homes
    with portal.town() as town:
        (part,) = town.invoices.shared(reader)
        assert [(line.activity, line.child, line.amount) for line in part.lines] == [
            ("Repas", "E001", 5687)
        ]
        assert part.amount == 5687
        assert town.invoices.shared(payer) == []
    page = browser(portal, reader).get("/valmont/factures")
    main = page.text.partition("<main")[2].partition("</main")[0]
    own, _mark, shared = main.partition("Facturé à l’autre foyer")
    assert "56,87" in shared
    assert "Repas" in shared
    for secret in ("F001", "DURAND", "Secrets", "Noé", "70,00", "13,13", "E002", "CRECHE", f"/{ids['shared']}."):
        assert secret not in main
    assert "payer" not in shared
    assert "<strong>56,87" in own.replace("\u00a0", " ")  # Its own invoice, and no cent of the other's.
    menu = browser(portal, reader).get("/valmont/menu").text
    assert "56,87" in menu
    assert "113,74" not in menu


def test_the_other_home_s_papers_and_payments_do_not_exist(portal, homes):
    _payer, reader, ids = homes
    app = browser(portal, reader)
    assert app.get(f"/valmont/factures/{ids['shared']}.pdf", status="*").status_int == 404
    assert app.get(f"/valmont/factures/recapitulatif?invoice={ids['shared']}", status="*").status_int == 404


def test_what_is_no_longer_shared_old_or_hidden_is_not_shown(portal, homes):
    _payer, reader, _ids = homes
    with portal.town() as town:
        town.families.share_child(reader, "E001", sees_all=False)
        assert town.invoices.shared(reader) == []
        town.families.share_child(reader, "E001", sees_all=True)
        town.session.execute(text("UPDATE invoice SET state = 'draft' WHERE number = 'shared'"))
        assert town.invoices.shared(reader) == []
        town.session.execute(text("UPDATE invoice SET state = 'published' WHERE number = 'shared'"))
        assert len(town.invoices.shared(reader)) == 1
    portal.clock.pass_time(days=430)
    with portal.town() as town:
        assert town.invoices.shared(reader) == []


def test_the_person_s_data_hold_nothing_of_the_other_home(portal, homes):
    _payer, reader, _ids = homes
    with portal.town() as town:
        said = json.dumps(town.personal_data.export(reader), default=str)
    for secret in ("F001", "DURAND", "Secrets", "Noé", "CRECHE"):
        assert secret not in said
