"""The tables of the planning, behind the wall around each town."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from core.plugin import protect

revision = "planning_0001"
down_revision = None
branch_labels = ("planning",)
depends_on = ("0001",)

WRITABLE = (
    "planning_enrolment", "planning_home", "planning_day", "planning_booking", "planning_closure",
    "planning_pattern", "planning_attendance", "planning_feed",
)
APPEND_ONLY = ("planning_request", "planning_change", "planning_order")


def town_table(name: str, *rest: SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("tenant_id", sa.String(63), sa.ForeignKey("tenant.id"), nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        *rest,
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )


def text(name: str) -> sa.Column:
    return sa.Column(name, sa.String, nullable=False)


def day(name: str = "day") -> sa.Column:
    return sa.Column(name, sa.Date, nullable=False)


def moment(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def whole(name: str, *, big: bool = True, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger if big else sa.Integer, nullable=null)


def json(name: str) -> sa.Column:
    return sa.Column(name, sa.JSON, nullable=False)


def yes(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Boolean, nullable=null)


def unique(*columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint("tenant_id", *columns)


def index(table: str, name: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{name}", table, ["tenant_id", *columns])


def upgrade() -> None:
    town_table(
        "planning_enrolment",
        whole("child_id"), text("service"), text("place"), text("meal"), text("kind"),
        text("weekdays"), day("first"), day("last"), text("batch"),
        unique("child_id", "service", "first"),
        sa.CheckConstraint("first <= last", name="forward"),
    )
    index("planning_enrolment", "service", "service", "last")
    town_table(
        "planning_home",
        whole("child_id"), whole("family_id"), text("weeks"), whole("handover", big=False),
        unique("child_id", "family_id"),
    )
    town_table("planning_day", text("service"), day(), unique("service", "day"))
    town_table(
        "planning_booking",
        whole("child_id"), text("service"), day(), text("place"), text("meal"), text("state"),
        yes("late"), whole("queued"), whole("family_id", null=True), moment("changed_at"),
        yes("justified", null=True),
        unique("child_id", "service", "day"),
    )
    index("planning_booking", "day", "day", "service")
    town_table(
        "planning_request",
        text("key"), whole("family_id", null=True), text("actor"), moment("at"), text("reason"),
        json("answers"),
        unique("key"),
    )
    index("planning_request", "family", "family_id")
    town_table(
        "planning_change",
        whole("child_id"), text("service"), day(), moment("at"), text("actor"), text("before"),
        text("after"), yes("late"), text("reason"), text("request"),
    )
    index("planning_change", "day", "service", "day")
    index("planning_change", "child", "child_id", "day")
    town_table(
        "planning_closure",
        day(), text("service"), text("place"), text("reason"), text("actor"), moment("at"),
        unique("day", "service", "place"),
    )
    town_table(
        "planning_pattern",
        whole("child_id"), whole("family_id"), text("weeks"), json("days"), day("first"),
        day("last"), moment("at"),
        unique("child_id", "family_id", "weeks"),
    )
    town_table(
        "planning_attendance",
        whole("child_id"), text("service"), day(), text("mark"), moment("tapped_at"), text("actor"),
        unique("child_id", "service", "day"),
    )
    index("planning_attendance", "day", "day", "service")
    town_table(
        "planning_order",
        text("service"), day(), whole("version", big=False), moment("at"), json("counts"),
        unique("service", "day", "version"),
    )
    town_table(
        "planning_feed",
        whole("family_id"), text("token_hash"), moment("created_at"),
        moment("revoked_at", null=True),
        unique("token_hash"),
    )
    index("planning_feed", "family", "family_id")
    for table in WRITABLE:
        protect(table)
    for table in APPEND_ONLY:
        protect(table, append_only=True)


def downgrade() -> None:
    for table in (*APPEND_ONLY, *reversed(WRITABLE)):
        op.drop_table(table)
