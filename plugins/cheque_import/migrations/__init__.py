"""Alembic versions of the cheque tables."""
