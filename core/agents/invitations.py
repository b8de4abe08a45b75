"""Invitations: how an agent gets a password and a second factor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.agents.models import Agent, AgentInvitation
from core.agents.second_factor import SecondFactor
from core.api.context import Clock
from core.messages.service import Notifications
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError, WrongCodesError
from core.platform.i18n import gettext as _
from core.platform.passwords import hash_password
from core.platform.signing import new_token, token_hash
from core.platform.tenancy.config import TenantConfig

INVITATION = "agent_invitation"
INVITATION_LIFE = timedelta(days=7)
MINIMUM_PASSWORD = 12


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Data for an invited agent's telephone: the secret, and the same for its camera."""

    agent: Agent
    secret: str
    uri: str


class AgentInvitations:
    """The invitations of one town's agents."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        second_factor: SecondFactor,
        notifications: Notifications,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._second_factor = second_factor
        self._notifications = notifications
        self._audit = audit

    def send(self, agent: Agent) -> None:
        """Mail an agent a link to come in by. Asked again within the minute: one mail."""
        minute = self._clock.now().strftime("%Y%m%d%H%M")
        self._notifications.queue(
            INVITATION,
            address=agent.email,
            family_id=None,
            language=self._town.languages[0],
            payload={"agent_id": agent.id},
            key=f"{INVITATION}/{agent.id}/{minute}",
        )

    def new(self, agent_id: int) -> str:
        """A token that opens `pending` and `accept` for a week, until one of them is used."""
        token = new_token()
        self._session.add(
            AgentInvitation(
                tenant_id=self._tenant,
                token_hash=token_hash(token),
                agent_id=agent_id,
                expires_at=self._clock.now() + INVITATION_LIFE,
            )
        )
        self._session.flush()
        return token

    def pending(self, token: str) -> Enrolment | None:
        """Enrolment of an invitation; None when it no longer works. Looking does not use it."""
        agent = self._session.scalar(
            select(Agent)
            .join(
                AgentInvitation,
                (AgentInvitation.tenant_id == Agent.tenant_id)
                & (AgentInvitation.agent_id == Agent.id),
            )
            .where(
                AgentInvitation.tenant_id == self._tenant,
                AgentInvitation.token_hash == token_hash(token),
                AgentInvitation.used_at.is_(None),
                AgentInvitation.expires_at > self._clock.now(),
                Agent.disabled_at.is_(None),
                Agent.password_hash == "",
            )
            .with_for_update(of=Agent)
        )
        if agent is None:
            return None
        totp = self._second_factor.totp(agent)
        uri = totp.provisioning_uri(name=agent.email, issuer_name=f"Préau – {self._town.name}")
        return Enrolment(agent, totp.secret, uri)

    def accept(self, token: str, password: str, code: str) -> tuple[int, list[str]]:
        """Use an invitation: the agent's id, and recovery codes to be shown once.

        Raises:
            NotFoundError: the invitation no longer works.
            WrongCodesError: the telephone's code is wrong.
            UserError: the password is too short.
        """
        enrolment = self.pending(token)
        if enrolment is None:
            raise NotFoundError
        agent = enrolment.agent
        agent.password_hash = hash_password(
            password, minimum=MINIMUM_PASSWORD, about=(agent.email, self._tenant)
        )
        self._session.flush()
        if not self._second_factor.use_totp(agent, code):
            raise WrongCodesError(
                _("Ce code n’est pas le bon : attendez que l’application en affiche un autre.")
            )
        self.use_up(agent.id)
        self._audit.actor = f"agent:{agent.id}"
        self._audit.write("agent.enrolled", f"agent:{agent.id}")
        return agent.id, self._second_factor.draw_recovery_codes(agent.id)

    def use_up(self, agent_id: int) -> None:
        """End an agent's open invitations."""
        self._session.execute(
            update(AgentInvitation)
            .where(
                AgentInvitation.tenant_id == self._tenant,
                AgentInvitation.agent_id == agent_id,
                AgentInvitation.used_at.is_(None),
            )
            .values(used_at=self._clock.now())
        )
