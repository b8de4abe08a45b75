"""Places taken, and the children of a day, are counted from indexes alone."""

from alembic import op

revision = "planning_0006"
down_revision = "planning_0005"
branch_labels = None
depends_on = None

_PLACE = ["tenant_id", "service", "place", "day"]
_DAY = ["tenant_id", "day", "service"]


def upgrade() -> None:
    _index("place", _PLACE, ["state"])
    _index("day", _DAY, ["place", "meal", "state"])


def downgrade() -> None:
    _index("place", _PLACE, [])
    _index("day", _DAY, [])


def _index(name: str, columns: list[str], beside: list[str]) -> None:
    op.drop_index(f"ix_planning_booking_{name}", "planning_booking")
    op.create_index(
        f"ix_planning_booking_{name}", "planning_booking", columns, postgresql_include=beside
    )
