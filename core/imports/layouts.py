"""The layouts of files that a town keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.imports.layout_models import FileLayout
from core.platform.audit.service import Audit

INVOICES: Final = "invoices"
BANK: Final = "bank"
DEBITS: Final = "debits"
PAYMENTS: Final = "payments"
MAX_LAYOUTS: Final = 50
"""Layouts of one kind; a town has a handful."""


class Layouts:
    """The kept layouts of one town."""

    def __init__(self, session: Session, tenant: str, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._audit = audit

    def all(self, kind: str) -> Sequence[FileLayout]:
        """The layouts of this kind, by name."""
        return self._session.scalars(
            select(FileLayout)
            .where(FileLayout.tenant_id == self._tenant, FileLayout.kind == kind)
            .order_by(FileLayout.name)
            .limit(MAX_LAYOUTS)
        ).all()

    def find(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """Settings of a layout; None if no layout has this name."""
        return self._session.scalar(
            select(FileLayout.settings).where(
                FileLayout.tenant_id == self._tenant,
                FileLayout.kind == kind,
                FileLayout.name == name,
            )
        )

    def keep(self, kind: str, name: str, settings: Mapping[str, Any]) -> None:
        """Keep a layout, in place of the one of this name."""
        self._session.execute(
            insert(FileLayout)
            .values(tenant_id=self._tenant, kind=kind, name=name, settings=dict(settings))
            .on_conflict_do_update(
                index_elements=["tenant_id", "kind", "name"], set_={"settings": dict(settings)}
            )
        )
        self._audit.write("layout.kept", f"layout:{kind}", name=name)

    def remove(self, kind: str, name: str) -> None:
        """Forget a layout; what was imported by it stays."""
        self._session.execute(
            delete(FileLayout).where(
                FileLayout.tenant_id == self._tenant,
                FileLayout.kind == kind,
                FileLayout.name == name,
            )
        )
        self._audit.write("layout.removed", f"layout:{kind}", name=name)
