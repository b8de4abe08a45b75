"""Browsers in which agents are signed in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from core.agents.models import Agent, AgentSession
from core.api.context import Clock
from core.domain.roles import Role
from core.domain.sessions import ABSOLUTE_END, IDLE_END, TOUCH
from core.platform.identities import SignedInAgent
from core.platform.signing import new_token, token_hash


class AgentSessions:
    """The sessions of one town's agents."""

    def __init__(self, session: Session, tenant: str, clock: Clock) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock

    def open(self, agent_id: int, browser: str = "") -> str:
        """Open a session for an agent who proved it; the token for the browser's cookie."""
        token, now = new_token(), self._clock.now()
        self._session.add(
            AgentSession(
                tenant_id=self._tenant,
                token_hash=token_hash(token),
                agent_id=agent_id,
                browser=browser[:200],
                created_at=now,
                seen_at=now,
            )
        )
        self._session.flush()
        return token

    def recognise(self, token: str) -> SignedInAgent | None:
        """Agent who holds `token`, or None when the session ended or the agent was shut out."""
        now = self._clock.now()
        found = self._session.execute(
            select(AgentSession, Agent)
            .join(
                Agent,
                (Agent.tenant_id == AgentSession.tenant_id) & (Agent.id == AgentSession.agent_id),
            )
            .where(
                AgentSession.tenant_id == self._tenant,
                AgentSession.token_hash == token_hash(token),
                AgentSession.seen_at > now - IDLE_END,
                AgentSession.created_at > now - ABSOLUTE_END,
                Agent.disabled_at.is_(None),
            )
        ).one_or_none()
        if found is None:
            return None
        row, agent = found
        if now - row.seen_at > TOUCH:
            self._session.execute(
                update(AgentSession)
                .where(AgentSession.tenant_id == self._tenant, AgentSession.id == row.id)
                .values(seen_at=now)
            )
        return SignedInAgent(
            row.id, agent.id, agent.name, agent.email, Role(agent.role), tuple(agent.only_regies)
        )

    def close(self, token: str) -> None:
        """End the session of this token."""
        self._session.execute(
            delete(AgentSession).where(
                AgentSession.tenant_id == self._tenant,
                AgentSession.token_hash == token_hash(token),
            )
        )

    def of(self, agent_id: int) -> Sequence[AgentSession]:
        """The agent's sessions that are in force, the newest first."""
        now = self._clock.now()
        return self._session.scalars(
            select(AgentSession)
            .where(
                AgentSession.tenant_id == self._tenant,
                AgentSession.agent_id == agent_id,
                AgentSession.seen_at > now - IDLE_END,
                AgentSession.created_at > now - ABSOLUTE_END,
            )
            .order_by(AgentSession.seen_at.desc(), AgentSession.id.desc())
        ).all()

    def end_others(self, signed_in: SignedInAgent) -> None:
        """End one's sessions in all other browsers."""
        self._session.execute(
            delete(AgentSession).where(
                AgentSession.tenant_id == self._tenant,
                AgentSession.agent_id == signed_in.agent_id,
                AgentSession.id != signed_in.session_id,
            )
        )

    def end_all(self, agent_id: int) -> None:
        """End an agent's sessions in all browsers."""
        self._session.execute(
            delete(AgentSession).where(
                AgentSession.tenant_id == self._tenant, AgentSession.agent_id == agent_id
            )
        )
