"""Families as they stand on papers."""

from __future__ import annotations

from sqlalchemy.orm import Session

from core.families.models import Family
from core.platform.documents.sheets import Addressee


def addressee(
    session: Session, tenant: str, family_id: int | None, name: str = ""
) -> Addressee:
    """The family as it stands in an envelope's window; a payer may have another `name`."""
    if family_id is None:
        return Addressee(name or "–")
    family = session.get_one(Family, (tenant, family_id))
    if name and name != family.name:
        return Addressee(name)
    return Addressee(family.name or family.code, tuple(family.address))
