"""The rows of exports can lose the name of a child who is erased; nothing else of them changes."""

from alembic import op

revision = "planning_0005"
down_revision = "planning_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('GRANT UPDATE ("row") ON planning_exported TO preau_app')


def downgrade() -> None:
    op.execute('REVOKE UPDATE ("row") ON planning_exported FROM preau_app')
