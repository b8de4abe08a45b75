"""The declarative base, and the mixin of every table that belongs to a town."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Identity, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """All tables of core and of the plugins share this metadata and its naming convention."""

    metadata = MetaData(naming_convention=NAMING)


class TenantOwned:
    """A table like `TenantScoped` whose rows name another row of the town by a key without NULL.

    That row's key to the list of towns holds for both, so that this table has none. PostgreSQL
    looks up each key of each row that is written, which counts where a file brings the rows.
    """

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True, sort_order=-2)
    # Said aloud, since the key is composite: rows added together are then one INSERT, not many.
    id: Mapped[int] = mapped_column(
        BigInteger, Identity(always=False), primary_key=True, autoincrement=True, sort_order=-1
    )


class TenantScoped(TenantOwned):
    """A table of a town: composite primary key ``(tenant_id, id)``, row-level security forced.

    Foreign keys to such a table are composite too, so that a row cannot point into another town.
    """

    tenant_id: Mapped[str] = mapped_column(
        String(63), ForeignKey("tenant.id"), primary_key=True, sort_order=-2
    )
