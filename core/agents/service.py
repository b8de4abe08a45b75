"""Agents of one town: who they are, what they may do, and shutting them out."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.agents.invitations import AgentInvitations
from core.agents.models import Agent
from core.agents.second_factor import SecondFactor
from core.agents.sessions import AgentSessions
from core.api.context import Clock
from core.api.errors import UserError
from core.domain.roles import Role
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.signing import new_token
from core.platform.tenancy.config import TenantConfig


class Agents:
    """The agents of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        invitations: AgentInvitations,
        second_factor: SecondFactor,
        sessions: AgentSessions,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._invitations = invitations
        self._second_factor = second_factor
        self._sessions = sessions
        self._audit = audit

    def all(self) -> Sequence[Agent]:
        """Every agent, by e-mail."""
        return self._session.scalars(
            select(Agent).where(Agent.tenant_id == self._tenant).order_by(Agent.email)
        ).all()

    def names(self) -> dict[str, str]:
        """Names of the actors of the audit trail: ``agent:<id>`` to a name."""
        return {f"agent:{agent.id}": agent.name or agent.email for agent in self.all()}

    def get(self, agent_id: int) -> Agent:
        """One agent.

        Raises:
            NotFoundError: there is none.
        """
        agent = self._session.get(Agent, (self._tenant, agent_id))
        if agent is None:
            raise NotFoundError
        return agent

    def by_email(self, email: str) -> Agent | None:
        """The agent with this address, or None."""
        return self._session.scalar(
            select(Agent).where(Agent.tenant_id == self._tenant, Agent.email == email.casefold())
        )

    def create(
        self, email: str, name: str, role: Role, only_regies: Sequence[str] = ()
    ) -> int:
        """Add an agent, who comes in by an invitation, for all of the town or `only_regies`.

        Raises:
            UserError: the address is an agent's already, or a régie is none of the town.
        """
        self._check_regies(only_regies)
        agent_id = self._session.scalar(
            insert(Agent)
            .values(
                tenant_id=self._tenant,
                email=email.casefold(),
                name=name,
                role=role,
                only_regies=list(only_regies),
                totp_seed=new_token(),
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "email"])
            .returning(Agent.id)
        )
        if agent_id is None:
            raise UserError(_("Cette adresse est déjà celle d’un agent."))
        self._audit.write("agent.created", f"agent:{agent_id}", role=role, **_rights(only_regies))
        return agent_id

    def change(
        self, agent_id: int, *, name: str, role: Role, only_regies: Sequence[str] = ()
    ) -> None:
        """Correct an agent's name, role or régies; its sessions follow at once.

        Raises:
            UserError: no régisseur of the whole town would be left, or a régie is none of it.
        """
        agent = self._lock(agent_id)
        # A régie that the town's file lost stays where it was: without it, all would be seen.
        self._check_regies(only_regies, known=agent.only_regies)
        if role != Role.REGISSEUR or only_regies:
            self._keep_a_regisseur(agent)
        self._audit.write("agent.changed", f"agent:{agent_id}", role=role, **_rights(only_regies))
        agent.name, agent.role, agent.only_regies = name, role, list(only_regies)
        self._session.flush()

    def disable(self, agent_id: int) -> None:
        """Shut an agent out, at once. What the agent did stays in the trail.

        Raises:
            UserError: no régisseur would be left.
        """
        agent = self._lock(agent_id)
        self._keep_a_regisseur(agent)
        agent.disabled_at = self._clock.now()
        self._sessions.end_all(agent_id)
        self._audit.write("agent.disabled", f"agent:{agent_id}")

    def reset(self, agent_id: int) -> None:
        """Forget an agent's password and second factor: a new invitation is the only way in."""
        agent = self._lock(agent_id)
        agent.password_hash = ""
        agent.totp_seed, agent.totp_step = new_token(), 0
        agent.disabled_at = None
        self._sessions.end_all(agent_id)
        self._second_factor.forget_recovery_codes(agent_id)
        self._invitations.use_up(agent_id)
        self._audit.write("agent.reset", f"agent:{agent_id}")

    def invite(self, agent_id: int) -> None:
        """Mail an agent a link to come in by. Asked again within the minute: one mail."""
        self._invitations.send(self.get(agent_id))

    def _lock(self, agent_id: int) -> Agent:
        """All agents are locked, so that two régisseurs cannot remove each other at once."""
        self._session.execute(
            select(Agent.id).where(Agent.tenant_id == self._tenant).with_for_update()
        )
        return self.get(agent_id)

    def _check_regies(self, regies: Sequence[str], known: Sequence[str] = ()) -> None:
        if not set(regies) <= {*self._town.file.regies, *known}:
            raise UserError(_("Cette régie n’est pas de la commune."))

    def _keep_a_regisseur(self, leaving: Agent) -> None:
        others = self._session.scalar(
            select(func.count())
            .select_from(Agent)
            .where(
                Agent.tenant_id == self._tenant,
                Agent.id != leaving.id,
                Agent.role == Role.REGISSEUR,
                func.cardinality(Agent.only_regies) == 0,
                Agent.disabled_at.is_(None),
                Agent.password_hash != "",
            )
        )
        if leaving.role == Role.REGISSEUR and not leaving.only_regies and not others:
            raise UserError(
                _(
                    "Il faut garder un régisseur de toute la commune : nommez-en d’abord un"
                    " autre."
                )
            )


def _rights(only_regies: Sequence[str]) -> dict[str, str]:
    """For the trail: the régies that an agent is limited to, if it is."""
    return {"regies": ", ".join(only_regies)} if only_regies else {}
