"""A publication is told in steps: few families first, each once, with all its invoices."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import select

from core.api.errors import UserError
from core.imports import fanout
from core.platform.outbox.models import OutboxRow
from core.testing.portal import record


@pytest.mark.parametrize("families", [1, 2, 3, 5, 6])
def test_each_family_is_told_once_of_all_its_invoices(portal, monkeypatch, families):
    """Whatever the number of families beside the sizes of the steps: 2, then 3 at a time."""
    monkeypatch.setattr(fanout, "FAMILIES_AT_FIRST", 2)
    monkeypatch.setattr(fanout, "FAMILIES_PER_FANOUT", 3)
    portal.publish(
        *(record(f"2026-{copy}-{n}", family=f"F{n:03}") for copy in range(2) for n in range(families))
    )
    portal.work()
    told = Counter()
    with portal.town() as town:
        query = select(OutboxRow.payload).where(OutboxRow.topic == "notify")
        for payload in town.session.scalars(query):
            for event in payload["events"]:
                told[event["family_id"]] += 1
                assert len(event["invoice_ids"]) == 2
    assert sorted(told.values()) == [1] * families
    steps = [row for row in portal.outbox() if row.topic == "publish.fanout"]
    assert {row.state for row in steps} == {"done"}
    assert len(steps) == {1: 1, 2: 2, 3: 2, 5: 3, 6: 3}[families]


def test_families_are_not_merged_between_two_steps(portal, monkeypatch):
    """The last one's invoice would come to the first one, who was told, and be told to nobody."""
    monkeypatch.setattr(fanout, "FAMILIES_AT_FIRST", 2)
    batch = portal.publish(*(record(f"2026-{n}", family=f"F{n:03}") for n in range(4)))
    with portal.town() as town:
        first, last = (town.families.by_code(code).id for code in ("F000", "F003"))
        town.fanout.tell(batch)
    with portal.town() as town, pytest.raises(UserError, match="en cours d’annonce"):
        town.merging.merge(first, last)
    portal.work()
    with portal.town() as town:
        town.merging.merge(first, last)
        (moved,) = town.invoices.by_number("2026-3")
        query = select(OutboxRow.payload).where(OutboxRow.topic == "notify")
        told = {
            invoice
            for payload in town.session.scalars(query)
            for event in payload["events"]
            for invoice in event["invoice_ids"]
        }
    assert moved.family_id == first
    assert moved.id in told
