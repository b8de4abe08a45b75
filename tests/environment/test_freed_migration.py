"""Version 0014 keeps credits that were there, and is not left while it holds what none before knows."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from core.platform.db.migrate import downgrade, upgrade

CREDIT = text(
    "INSERT INTO credit (tenant_id, payment_id, family_id, regie, amount, created_at)"
    " VALUES ('a', :payment, 1, 'CANTINE', 500, '2026-03-01')"
)


def test_credits_stay_and_freed_ones_are_not_lost(empty_database):
    upgrade(empty_database.owner_url, to="0013")
    engine = create_engine(empty_database.owner_url.replace("preau_owner", "postgres"))
    with engine.begin() as connection:
        # Families, invoices and payments do not matter here.
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(CREDIT, {"payment": 1})
    upgrade(empty_database.owner_url, to="0014")
    downgrade(empty_database.owner_url, to="0013")
    upgrade(empty_database.owner_url, to="0014")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT amount, invoice_id FROM credit")).all() == [(500, None)]
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(CREDIT, {"payment": 2})
        connection.execute(text("UPDATE credit SET invoice_id = 1 WHERE payment_id = 2"))
    with pytest.raises(RuntimeError, match="1 credits came out of invoices"):
        downgrade(empty_database.owner_url, to="0013")
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM credit")) == 2
        assert connection.scalar(
            text("SELECT relforcerowsecurity FROM pg_class WHERE oid = 'credit'::regclass")
        )
    engine.dispose()
