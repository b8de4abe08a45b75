"""Files that agents send for import, kept until they are imported or given up."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantScoped
from core.platform.db.types import Json, Moment, Reference, ReferenceOrNone


class UploadState(StrEnum):
    """``checking -> checked | refused``, ``checked -> importing -> imported | refused``."""

    CHECKING = "checking"
    CHECKED = "checked"
    REFUSED = "refused"
    IMPORTING = "importing"
    IMPORTED = "imported"
    ABANDONED = "abandoned"
    UNDONE = "undone"
    """Of a plugin's records, which have no batch of their own."""


class Upload(TenantScoped, Base):
    """A file of invoices on its way in. `report` is what the dry run, or the import, found."""

    __tablename__ = "upload"
    __table_args__ = (Index(None, "tenant_id", "state"),)

    source: Mapped[str]
    file_name: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger, comment="bytes")
    sha256: Mapped[str]
    actor: Mapped[str]
    regies: Mapped[list[str]] = mapped_column(
        ARRAY(Text), default=list, server_default="{}", comment="régies that it may bring"
    )
    state: Mapped[str]
    read: Mapped[int] = mapped_column(default=0, server_default="0", comment="invoices so far")
    report: Mapped[Json]
    batch_id: Mapped[ReferenceOrNone]
    created_at: Mapped[Moment]


class UploadPart(TenantScoped, Base):
    """A piece of a file: no process ever holds the whole of it in memory."""

    __tablename__ = "upload_part"
    __table_args__ = (
        UniqueConstraint("tenant_id", "upload_id", "rank"),
        ForeignKeyConstraint(
            ["tenant_id", "upload_id"], ["upload.tenant_id", "upload.id"], ondelete="CASCADE"
        ),
    )

    upload_id: Mapped[Reference]
    rank: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
