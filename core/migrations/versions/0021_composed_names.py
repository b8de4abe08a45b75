"""Children whose accents came as characters of their own have names that are compared rightly."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE child NO FORCE ROW LEVEL SECURITY")
    # A twin is left as it is: which of the two stays is the decision of an agent who merges.
    op.execute(
        "UPDATE child SET code = normalize(code, NFC), label = normalize(label, NFC)"
        " WHERE NOT (code IS NFC NORMALIZED AND label IS NFC NORMALIZED) AND NOT EXISTS ("
        " SELECT FROM child twin WHERE twin.tenant_id = child.tenant_id AND twin.id <> child.id"
        " AND normalize(twin.code, NFC) = normalize(child.code, NFC))"
    )
    op.execute("ALTER TABLE child FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Nothing: the names are the same."""
