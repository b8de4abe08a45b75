"""Alembic versions of the Telegram tables."""
