"""Forgetting what has served: ended sessions, used links, effects that are long done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.agents.models import AgentSession
from core.domain.sessions import ABSOLUTE_END
from core.imports.upload_models import Upload, UploadPart
from core.links.models import OneTimeToken
from core.platform.outbox.models import OutboxRow, OutboxState
from core.platform.outbox.service import KEEP_DONE
from core.sign_in.models import WebSession


def forget_served(session: Session, tenant: str, now: datetime) -> None:
    """Delete a town's rows of which nobody asks any more."""
    old_uploads = select(Upload.id).where(
        Upload.tenant_id == tenant, Upload.created_at < now - KEEP_DONE
    )
    for statement in (
        delete(WebSession).where(
            WebSession.tenant_id == tenant, WebSession.created_at < now - ABSOLUTE_END
        ),
        delete(AgentSession).where(
            AgentSession.tenant_id == tenant, AgentSession.created_at < now - ABSOLUTE_END
        ),
        delete(UploadPart).where(
            UploadPart.tenant_id == tenant, UploadPart.upload_id.in_(old_uploads)
        ),
        delete(OneTimeToken).where(
            OneTimeToken.tenant_id == tenant, OneTimeToken.expires_at < now - KEEP_DONE
        ),
        delete(OutboxRow).where(
            OutboxRow.tenant_id == tenant,
            OutboxRow.state == OutboxState.DONE,
            OutboxRow.created_at < now - KEEP_DONE,
        ),
    ):
        session.execute(statement)
