"""What Telegram refuses: chats that it closed, and why a bot is stopped."""

import sqlalchemy as sa
from alembic import op

revision = "telegram_bot_0002"
down_revision = "telegram_bot_0001"
branch_labels = None
depends_on = None


def _moment(name: str, comment: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), comment=comment)


def upgrade() -> None:
    op.add_column(
        "telegram_chat_link",
        sa.Column(
            "since_update",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="number of the update that linked; what Telegram sent before says nothing of it",
        ),
    )
    op.add_column(
        "telegram_chat_link", _moment("closed_at", "Telegram said that the chat is over")
    )
    op.add_column(
        "telegram_pace",
        sa.Column(
            "refused_chats",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            server_default="{}",
            comment="of the bot: chats refused since a message was last taken",
        ),
    )
    op.add_column("telegram_pace", _moment("refused_since", "when the first of these was refused"))
    op.add_column(
        "telegram_pace",
        sa.Column(
            "trouble",
            sa.String(),
            nullable=False,
            server_default="",
            comment="of the bot: why sending is stopped",
        ),
    )
    op.add_column(
        "telegram_pace",
        sa.Column(
            "stops",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="how often in a row it was stopped",
        ),
    )


def downgrade() -> None:
    op.execute("DELETE FROM telegram_chat_link WHERE closed_at IS NOT NULL")
    for table, column in (
        ("telegram_pace", "stops"),
        ("telegram_pace", "trouble"),
        ("telegram_pace", "refused_since"),
        ("telegram_pace", "refused_chats"),
        ("telegram_chat_link", "closed_at"),
        ("telegram_chat_link", "since_update"),
    ):
        op.drop_column(table, column)
