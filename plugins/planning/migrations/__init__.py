"""Alembic versions of the planning tables."""
