"""A publication is told in steps: few families first, each once, with all its invoices."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import select

from core.platform.outbox.models import OutboxRow
from core.processes import consumers
from core.testing.portal import record


@pytest.mark.parametrize("families", [1, 2, 3, 5, 6])
def test_each_family_is_told_once_of_all_its_invoices(portal, monkeypatch, families):
    """Whatever the number of families beside the sizes of the steps: 2, then 3 at a time."""
    monkeypatch.setattr(consumers, "FAMILIES_AT_FIRST", 2)
    monkeypatch.setattr(consumers, "FAMILIES_PER_FANOUT", 3)
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
