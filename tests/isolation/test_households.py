"""Two homes of one child: what the one may see of the other ends where the child's invoices end."""

from __future__ import annotations

import pytest
from isolation_towns import settle
from webtest import TestApp

from core.api.invoices import LineRecord, TaxKind
from core.testing.portal import pages_of, record


def line(child, amount=5687):
    return (LineRecord(1, "Repas", TaxKind.MEAL, amount, child=child),)


@pytest.fixture
def homes(portal):
    """F001 pays; F002 sees all invoices of the child E001, and none of the child E002."""
    portal.publish(
        record("shared", lines=line("E001")),
        record("private", lines=line("E002"), label="CRECHE du petit"),
        record("other", family="F002", lines=line("E003")),
    )
    with portal.town() as town:
        payer = town.families.by_code("F001").id
        reader = town.families.by_code("F002").id
        town.families.share_child(reader, "E001", sees_all=True)
        ids = {n: town.invoices.by_number(n)[0].id for n in ("shared", "private", "other")}
    return payer, reader, ids


def receipt(portal, reader, payment):
    with portal.town() as town:
        token = town.web_sessions.open(reader)
    app = TestApp(pages_of(portal.runtime))
    app.set_cookie("preau_family", token)
    return app.get(f"/valmont/paiements/{payment}/recu.pdf", expect_errors=True).status_int


def test_the_receipt_of_a_shared_invoice_is_for_both_homes(portal, homes):
    payer, reader, ids = homes
    payment = settle(portal, "valmont", payer, [ids["shared"]], "k")
    assert receipt(portal, reader, payment) == 200


def test_a_receipt_that_names_more_than_is_shared_is_the_payer_s_alone(portal, homes):
    payer, reader, ids = homes
    payment = settle(portal, "valmont", payer, [ids["shared"], ids["private"]], "k")
    assert receipt(portal, reader, payment) == 404
    assert receipt(portal, payer, payment) == 200


def test_only_what_is_shared_is_seen(portal, homes):
    payer, reader, ids = homes
    with portal.town() as town:
        assert {i.id for i in town.invoices.seen_by(reader, list(ids.values()))} == {
            ids["shared"], ids["other"],
        }  # fmt: skip
        assert {i.id for i in town.invoices.seen_by(payer, list(ids.values()))} == {
            ids["shared"], ids["private"],
        }  # fmt: skip
