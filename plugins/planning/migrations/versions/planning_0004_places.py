"""Places that are left are counted by service, place and day."""

from alembic import op

revision = "planning_0004"
down_revision = "planning_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_planning_booking_place", "planning_booking", ["tenant_id", "service", "place", "day"]
    )


def downgrade() -> None:
    op.drop_index("ix_planning_booking_place", "planning_booking")
