"""Families, their children, their access codes and their addresses."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Computed,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.db.base import Base, TenantOwned, TenantScoped
from core.platform.db.types import CreatedAt, MomentOrNone, Reference, ReferenceOrNone


class Family(TenantScoped, Base):
    """A household that is invoiced. Separated parents are two families that share children."""

    __tablename__ = "family"
    __table_args__ = (
        UniqueConstraint("tenant_id", "code"),
        ForeignKeyConstraint(
            ["tenant_id", "batch_id"], ["import_batch.tenant_id", "import_batch.id"]
        ),
        ForeignKeyConstraint(["tenant_id", "merged_into"], ["family.tenant_id", "family.id"]),
        Index(
            "ix_family_merged",
            "tenant_id", "merged_into",
            postgresql_where=text("merged_into IS NOT NULL"),
        ),
        Index(
            "ix_family_by_name",
            "tenant_id", "name_folded", "code",
            postgresql_where=text("merged_into IS NULL"),
        ),
    )  # fmt: skip

    code: Mapped[str] = mapped_column(comment="printed on letters; a name, not a secret")
    spelling: Mapped[str | None] = mapped_column(
        Text, comment="the code as the billing software writes it; NULL: no file named it yet"
    )
    name: Mapped[str] = mapped_column(default="", server_default="")
    name_folded: Mapped[str] = mapped_column(
        Text(collation="C"),
        Computed("folded(name)", persisted=True),
        comment="see core.domain.names",
    )
    address: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list, server_default="{}")
    language: Mapped[str] = mapped_column(default="fr", server_default="fr")
    created_at: Mapped[CreatedAt]
    batch_id: Mapped[ReferenceOrNone] = mapped_column(comment="the import that made it, for undo")
    muted: Mapped[list[str]] = mapped_column(
        ARRAY(Text),
        default=list,
        server_default="{}",
        comment="the plugins' kinds of messages that it switched off",
    )
    erasure_asked_at: Mapped[MomentOrNone] = mapped_column(
        comment="erased once the months of its payments are closed"
    )
    merged_into: Mapped[ReferenceOrNone] = mapped_column(
        comment="the family that this duplicate became; its codes open that one"
    )


class Child(TenantScoped, Base):
    """A child, known by the key or first name that invoice lines give."""

    __tablename__ = "child"
    __table_args__ = (
        UniqueConstraint("tenant_id", "code"),
        ForeignKeyConstraint(
            ["tenant_id", "batch_id"], ["import_batch.tenant_id", "import_batch.id"]
        ),
    )

    code: Mapped[str]
    label: Mapped[str]
    label_folded: Mapped[str] = mapped_column(
        Text(collation="C"),
        Computed("folded(label)", persisted=True),
        comment="see core.domain.names",
    )
    batch_id: Mapped[ReferenceOrNone]


class FamilyWord(Base):
    """A word of a family's name, as it is looked for. Triggers keep it.

    Words in a table of their own: below row-level security, PostgreSQL uses an index for nothing
    but plain comparisons, which excludes trigrams and arrays.
    """

    __tablename__ = "family_word"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "family_id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    family_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class ChildWord(Base):
    """A word of a child's name, as it is looked for. Triggers keep it."""

    __tablename__ = "child_word"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "child_id"], ["child.tenant_id", "child.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "child_id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    child_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class FamilyChild(TenantOwned, Base):
    """A child lives in a family, or in two."""

    __tablename__ = "family_child"
    __table_args__ = (
        UniqueConstraint("tenant_id", "family_id", "child_id"),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["tenant_id", "child_id"], ["child.tenant_id", "child.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "child_id"),
    )

    family_id: Mapped[Reference]
    child_id: Mapped[Reference]
    sees_all: Mapped[bool] = mapped_column(
        default=False,
        server_default="false",
        comment="this family also sees the other household's invoices for the child",
    )


class AccessCode(TenantScoped, Base):
    """The second code of one holder in a family, kept by a slow salted hash."""

    __tablename__ = "access_code"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "family_id"),
    )

    family_id: Mapped[Reference]
    holder: Mapped[str] = mapped_column(default="", server_default="")
    secret_hash: Mapped[str]
    created_at: Mapped[CreatedAt]
    revoked_at: Mapped[MomentOrNone]


class ContactEmail(TenantScoped, Base):
    """An address told of new invoices, once its owner confirmed it. At most 3 a family."""

    __tablename__ = "contact_email"
    __table_args__ = (
        UniqueConstraint("tenant_id", "family_id", "address"),
        ForeignKeyConstraint(
            ["tenant_id", "family_id"], ["family.tenant_id", "family.id"], ondelete="CASCADE"
        ),
        Index(None, "tenant_id", "address"),
    )

    family_id: Mapped[Reference]
    address: Mapped[str]
    created_at: Mapped[CreatedAt]
    confirmed_at: Mapped[MomentOrNone]
    refused_at: Mapped[MomentOrNone]
    refusal: Mapped[str] = mapped_column(default="", server_default="")
    doubted_at: Mapped[MomentOrNone] = mapped_column(
        comment="first refusal without a reason since a mail was taken"
    )
