"""Reading some children's days costs the same in a large town, whatever plan PostgreSQL keeps."""

from __future__ import annotations

from datetime import timedelta

import pytest
from planning_towns import MONDAY, enrol, family
from sqlalchemy import create_engine, text

from plugins.planning.facts import read_facts

FILL = """
INSERT INTO planning_booking (tenant_id, child_id, service, day, place, meal, state, late, queued,
                              changed_at)
SELECT 'valmont', 1000000 + n, 'CANTINE', date '2026-03-16' + d, 'Lieu ' || n % 12, '',
       'booked', false, 0, now()
FROM generate_series(1, 1000) n, generate_series(0, 30) d
"""

READ = text(
    "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
    " WHERE relname = 'planning_booking'"
)


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_a_familys_days_are_read_without_the_towns(portal, mode):
    _family, children = family(portal)
    child = children["E001"]
    enrol(portal, child, place="Lieu 1")
    with portal.town() as town:
        town.session.execute(text(FILL))
    engine = create_engine(
        portal.owner_url.replace("preau_owner", "postgres"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text("VACUUM ANALYZE planning_booking"))
    engine.dispose()
    days = [MONDAY + timedelta(days=day) for day in range(5)]
    with portal.town() as town:
        town.session.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
        before = town.session.execute(READ).scalar_one()
        read = read_facts(town, [child], days, counted=["CANTINE"], queued=["CANTINE"])
        rows = town.session.execute(READ).scalar_one() - before
    assert dict(read.taken) == {("CANTINE", "Lieu 1", day): 84 for day in days}
    assert rows <= 5 * 84
