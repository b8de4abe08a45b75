"""Those who wait for a place are found by themselves, however many have one."""

from alembic import op
from sqlalchemy import text

revision = "planning_0007"
down_revision = "planning_0006"
branch_labels = None
depends_on = None

_NAME = "ix_planning_booking_waiting"


def upgrade() -> None:
    op.create_index(
        _NAME, "planning_booking", ["tenant_id", "service", "place", "day"],
        postgresql_where=text("state = 'waiting'"),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index(_NAME, "planning_booking")
