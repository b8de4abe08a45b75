"""Column types and aliases used by all models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import mapped_column

Cents = Annotated[int, mapped_column(BigInteger, comment="cents of euro")]
Reference = Annotated[int, mapped_column(BigInteger)]
"""The ``id`` half of a composite foreign key."""
ReferenceOrNone = Annotated[int | None, mapped_column(BigInteger)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
MomentOrNone = Annotated[datetime | None, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[
    datetime, mapped_column(DateTime(timezone=True), server_default=func.now())
]
Json = Annotated[dict[str, Any], mapped_column(JSONB, default=dict, server_default="{}")]
