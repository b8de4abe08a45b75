"""Columns that are read past the ORM (`core.platform.db.session.read`)."""

from __future__ import annotations

from core.invoices.models import Invoice
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
