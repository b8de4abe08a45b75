"""The tables of cheques, behind the wall around each town."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from core.plugin import protect

revision = "cheque_0001"
down_revision = None
branch_labels = ("cheque_import",)
depends_on = ("0001",)

WRITABLE = (
    "cheque_batch",
    "cheque_deposit",
    "cheque",
    "cheque_proposal",
    "cheque_account",
    "cheque_counter",
    "cheque_layout",
)
APPEND_ONLY = ("cheque_event", "cheque_deposit_line")

moment = sa.DateTime(timezone=True)


def town_table(name: str, *rest: SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column(
            "tenant_id", sa.String(63), sa.ForeignKey("tenant.id"), nullable=False
        ),
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        *rest,
        sa.PrimaryKeyConstraint("tenant_id", "id"),
    )


def text(name: str) -> sa.Column:
    return sa.Column(name, sa.String, nullable=False)


def whole(name: str, *, big: bool = False, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger if big else sa.Integer, nullable=null)


def json(name: str) -> sa.Column:
    return sa.Column(name, sa.JSON, nullable=False)


def unique(*columns: str) -> sa.UniqueConstraint:
    # Names come from the metadata's naming convention, as the models' do.
    return sa.UniqueConstraint("tenant_id", *columns)


def child_of(column: str, parent: str, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column], [f"{parent}.tenant_id", f"{parent}.id"], ondelete=ondelete
    )


def upgrade() -> None:
    town_table(
        "cheque_batch",
        text("regie"), text("source"), text("file_name"), text("sha256"),
        whole("parser_version"), text("actor"), sa.Column("created_at", moment, nullable=False),
        whole("control_count", null=True), whole("control_total", big=True, null=True),
        unique("regie", "sha256"),
    )
    town_table(
        "cheque_deposit",
        text("regie"), whole("year"), whole("number"), sa.Column("made_on", sa.Date, nullable=False),
        text("actor"), text("depositor"), text("account"), text("siret"),
        whole("count"), whole("total", big=True),
        unique("regie", "year", "number"),
    )
    town_table(
        "cheque",
        whole("batch_id", big=True), text("regie"), text("natural_key"), whole("key_version"),
        text("slip"), whole("rank"), whole("line"), text("number"), text("account"),
        json("near_accounts"), text("rlmc"), whole("amount", big=True), text("issuer"), text("bank"),
        json("references"), text("family_code"), text("note"), sa.Column("drawn_on", sa.Date),
        text("state"), text("why"), json("warnings"), whole("attempt"),
        whole("family_id", big=True, null=True), whole("payment_id", big=True, null=True),
        whole("deposit_id", big=True, null=True), sa.Column("created_at", moment, nullable=False),
        unique("natural_key"),
        child_of("batch_id", "cheque_batch"),
        child_of("deposit_id", "cheque_deposit"),
        sa.CheckConstraint("amount > 0", name="positive"),
    )
    op.create_index("ix_cheque_queue", "cheque", ["tenant_id", "regie", "state"])
    op.create_index("ix_cheque_number", "cheque", ["tenant_id", "number"])
    op.create_index("ix_cheque_batch", "cheque", ["tenant_id", "batch_id"])
    town_table(
        "cheque_proposal",
        whole("cheque_id", big=True), whole("rank"), whole("family_id", big=True), json("shares"),
        whole("gap", big=True), whole("confidence"), text("rule"), json("reasons"), json("scores"),
        text("algorithm"), sa.Column("snapshot_at", moment, nullable=False),
        unique("cheque_id", "rank"),
        child_of("cheque_id", "cheque", ondelete="CASCADE"),
    )
    town_table(
        "cheque_event",
        whole("cheque_id", big=True), sa.Column("at", moment, nullable=False), text("actor"),
        text("action"), json("detail"),
        child_of("cheque_id", "cheque"),
    )
    op.create_index("ix_cheque_event_cheque", "cheque_event", ["tenant_id", "cheque_id"])
    town_table(
        "cheque_account",
        text("account"), whole("family_id", big=True), json("payers"), whole("confirmed"),
        sa.Column("flagged", sa.Boolean, nullable=False),
        sa.Column("last_seen_on", sa.Date, nullable=False),
        unique("account", "family_id"),
    )
    town_table(
        "cheque_deposit_line",
        whole("deposit_id", big=True), whole("cheque_id", big=True), whole("rank"), text("number"),
        text("bank"), text("issuer"), whole("amount", big=True),
        unique("deposit_id", "rank"),
        child_of("deposit_id", "cheque_deposit"),
        child_of("cheque_id", "cheque"),
    )
    town_table(
        "cheque_counter", text("name"), whole("value"), unique("name")
    )
    town_table(
        "cheque_layout", text("name"), json("columns"), unique("name")
    )
    for table in WRITABLE:
        protect(table)
    for table in APPEND_ONLY:
        protect(table, append_only=True)


def downgrade() -> None:
    for table in (
        "cheque_layout", "cheque_counter", "cheque_deposit_line", "cheque_account", "cheque_event",
        "cheque_proposal", "cheque", "cheque_deposit", "cheque_batch",
    ):
        op.drop_table(table)
