"""Columns that are read past the ORM (`core.platform.db.session.read`)."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import event

from core.invoices.models import Invoice
from core.links.models import OneTimeToken
from core.testing.portal import record


def test_what_is_read_is_what_the_unit_of_work_has_done(portal):
    portal.publish(record("1"))
    with portal.town() as town:
        (known,) = town.invoices.by_number("1")
        invoice = town.session.get(Invoice, (town.config.slug, known.id))
        invoice.label = "CANTINE mars"
        (again,) = town.invoices.unpaid(known.family_id)
        assert again.label == "CANTINE mars", "not written yet, but said"
        assert again.number == "1"


def owed(town, families):
    return {family: [invoice.number for invoice in town.invoices.unpaid(family)] for family in families}


def test_families_that_are_answered_together_cost_what_one_costs(portal):
    codes = ["F001", "F002", "F003", "F004"]
    drafts = [record(f"{code}-{n}", family=code) for code in codes[:3] for n in range(2)]
    portal.publish(*drafts, record("none", family="F004"))
    with portal.town() as town:
        families = [town.families.by_code(code).id for code in codes]
        alone = owed(town, families)
        told = []
        event.listen(
            portal.runtime.engine, "before_cursor_execute", lambda *args: told.append(args[2])
        )
        with town.invoices.together(families[:3]):
            together = owed(town, families[:3])
            links = [
                town.invoices.payment_link([invoice.id], family)
                for family in families[:3]
                for invoice in town.invoices.unpaid(family)
            ]
        assert together == {family: alone[family] for family in families[:3]}
        assert len(links) == 6
        assert len(told) == 2, "one to read, one to write"
        assert town.session.query(OneTimeToken).count() == 6
        with town.invoices.together(families[:1]):
            assert owed(town, families[3:]) == {families[3]: alone[families[3]]}, "not of the block"


def test_no_link_is_written_by_a_block_that_fails(portal):
    portal.publish(record("1"))
    with portal.town() as town:
        (known,) = town.invoices.by_number("1")
        with suppress(ZeroDivisionError), town.invoices.together([known.family_id]):
            town.invoices.payment_link(known.id, known.family_id)
            raise ZeroDivisionError
        assert town.session.query(OneTimeToken).count() == 0
        town.invoices.payment_link(known.id, known.family_id)
        assert town.session.query(OneTimeToken).count() == 1
