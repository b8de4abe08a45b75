"""Telling which rule of the database a statement broke."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError


def violated(error: IntegrityError) -> str:
    """Give the name of the constraint or unique index, "" if the server did not say."""
    diagnosis = getattr(error.orig, "diag", None)
    return str(getattr(diagnosis, "constraint_name", None) or "")
