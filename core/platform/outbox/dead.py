"""Effects that were given up: shown to agents, who may try them again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.platform.audit.service import Audit
from core.platform.db.paging import PAGE_ROWS
from core.platform.i18n import gettext as _
from core.platform.outbox.models import OutboxRow, OutboxState
from core.platform.outbox.service import CHANNEL


class DeadEffects:
    """The dead outbox rows of one tenant."""

    def __init__(self, session: Session, tenant: str, clock: Clock, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._audit = audit

    def page(self) -> Sequence[OutboxRow]:
        """Effects that were given up, the newest first."""
        return self._session.scalars(
            select(OutboxRow)
            .where(OutboxRow.tenant_id == self._tenant, OutboxRow.state == OutboxState.DEAD)
            .order_by(OutboxRow.created_at.desc())
            .limit(PAGE_ROWS)
        ).all()

    def ids(self, topic: str = "") -> list[uuid.UUID]:
        """The numbers of a page of them, of one `topic` if it is given."""
        wanted = [OutboxRow.topic == topic] if topic else []
        return list(
            self._session.scalars(
                select(OutboxRow.id)
                .where(
                    OutboxRow.tenant_id == self._tenant,
                    OutboxRow.state == OutboxState.DEAD,
                    *wanted,
                )
                .limit(PAGE_ROWS)
            )
        )

    def retry(self, row_id: uuid.UUID) -> None:
        """Try a dead effect again, from its first attempt.

        Raises:
            UserError: it is not dead (any more).
        """
        row = self._session.execute(
            update(OutboxRow)
            .where(
                OutboxRow.tenant_id == self._tenant,
                OutboxRow.id == row_id,
                OutboxRow.state == OutboxState.DEAD,
            )
            .values(state=OutboxState.READY, attempts=0, available_at=self._clock.now())
            .returning(OutboxRow.topic)
        ).one_or_none()
        if row is None:
            raise UserError(_("Cet envoi a déjà été relancé."))
        self._session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
        self._audit.write("outbox.retried", f"outbox:{row_id}", topic=row.topic)
