"""Tokens of links that work once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.links.models import OneTimeToken
from core.platform.signing import new_token, token_hash


def issue(
    session: Session,
    tenant: str,
    purpose: str,
    family_id: int,
    expires_at: datetime,
    payload: dict[str, Any],
) -> str:
    """Make a token that works once, for one purpose and family; only its hash is kept."""
    token = new_token()
    session.add(
        OneTimeToken(
            tenant_id=tenant,
            token_hash=token_hash(token),
            purpose=purpose,
            family_id=family_id,
            payload=payload,
            expires_at=expires_at,
        )
    )
    return token
