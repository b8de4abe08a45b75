"""Agents of one town: inviting them, letting them in with a second factor, and out again."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyotp import TOTP
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.agents.models import Agent, AgentInvitation, AgentSession, RecoveryCode
from core.api.context import Clock
from core.api.errors import UserError
from core.domain import access_codes
from core.domain.roles import Role
from core.domain.sessions import ABSOLUTE_END, IDLE_END, TOUCH
from core.messages.service import Notifications
from core.platform.audit.service import Audit
from core.platform.doors import Doors
from core.platform.errors import NotFoundError, WrongCodesError
from core.platform.i18n import gettext as _
from core.platform.identities import SignedInAgent
from core.platform.passwords import NOBODY, hash_password, verify_password
from core.platform.signing import keyed_hash, new_token, token_hash
from core.platform.tenancy.config import TenantConfig
from core.platform.throttling import Throttle

INVITATION = "agent_invitation"
INVITATION_LIFE = timedelta(days=7)
MINIMUM_PASSWORD = 12
RECOVERY_CODES = 10
DRIFT = (0, -1, 1)
"""Time steps of 30 seconds that a telephone's clock may be off, the likeliest first."""

_DIGITS = re.compile(r"\d{6}\Z")


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Data for an invited agent's telephone: the secret, and the same for its camera."""

    agent: Agent
    secret: str
    uri: str


class Agents:
    """The agents of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        secret_key: str,
        throttle: Throttle,
        notifications: Notifications,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._secret_key = secret_key
        self._doors = Doors(throttle, town.slug)
        self._notifications = notifications
        self._audit = audit

    # --- Who they are ------------------------------------------------------------------------

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
        self._end_sessions(agent_id)
        self._audit.write("agent.disabled", f"agent:{agent_id}")

    def reset(self, agent_id: int) -> None:
        """Forget an agent's password and second factor: a new invitation is the only way in."""
        agent = self._lock(agent_id)
        agent.password_hash = ""
        agent.totp_seed, agent.totp_step = new_token(), 0
        agent.disabled_at = None
        self._end_sessions(agent_id)
        self._session.execute(
            delete(RecoveryCode).where(
                RecoveryCode.tenant_id == self._tenant, RecoveryCode.agent_id == agent_id
            )
        )
        self._use_invitations(agent_id)
        self._audit.write("agent.reset", f"agent:{agent_id}")

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

    # --- Invitations -------------------------------------------------------------------------

    def invite(self, agent_id: int) -> None:
        """Mail an agent a link to come in by. Asked again within the minute: one mail."""
        agent = self.get(agent_id)
        minute = self._clock.now().strftime("%Y%m%d%H%M")
        self._notifications.queue(
            INVITATION,
            address=agent.email,
            family_id=None,
            language=self._town.languages[0],
            payload={"agent_id": agent_id},
            key=f"{INVITATION}/{agent_id}/{minute}",
        )

    def new_invitation(self, agent_id: int) -> str:
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
        totp = self._totp(agent)
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
        if not self._use_totp(agent, code):
            raise WrongCodesError(
                _("Ce code n’est pas le bon : attendez que l’application en affiche un autre.")
            )
        self._use_invitations(agent.id)
        self._audit.actor = f"agent:{agent.id}"
        self._audit.write("agent.enrolled", f"agent:{agent.id}")
        return agent.id, self._draw_recovery_codes(agent.id)

    def _use_invitations(self, agent_id: int) -> None:
        self._session.execute(
            update(AgentInvitation)
            .where(
                AgentInvitation.tenant_id == self._tenant,
                AgentInvitation.agent_id == agent_id,
                AgentInvitation.used_at.is_(None),
            )
            .values(used_at=self._clock.now())
        )

    # --- Coming in ---------------------------------------------------------------------------

    def prove(
        self, email: str, password: str, code: str, address: str, *, browser: str = ""
    ) -> int:
        """The id of the agent whose e-mail, password and second factor these are.

        `code` is the telephone's, or a recovery code; either works once. `address` is the IP, and
        `browser` names one that this agent came in by before. What others try stops nobody: see
        `core.platform.doors`.

        Raises:
            WrongCodesError: whatever is wrong, with one wording and after one hash.
            ThrottledError: wrong too, and too often from this address or browser.
        """
        agent = self.by_email(email)
        known = agent.password_hash if agent and agent.password_hash else NOBODY
        if (
            not verify_password(known, password)
            or agent is None
            or not agent.password_hash
            or agent.disabled_at is not None
            or not self._use_code(agent, code, browser)
        ):
            self._doors.refuse(
                _("L’adresse, le mot de passe ou le code n’est pas le bon."),
                address,
                browser,
            )
        self._audit.actor = f"agent:{agent.id}"
        self._audit.write("agent.signed_in", f"agent:{agent.id}")
        return agent.id

    def change_password(self, signed_in: SignedInAgent, current: str, password: str) -> None:
        """Replace one's own password, and end one's sessions elsewhere.

        Raises:
            ThrottledError: too many wrong ones in this session.
            UserError: the current password is wrong, or the new one too short.
        """
        self._check_password(signed_in, current)
        agent = self.get(signed_in.agent_id)
        agent.password_hash = hash_password(
            password, minimum=MINIMUM_PASSWORD, about=(agent.email, self._tenant)
        )
        self.end_others(signed_in)
        self._audit.write("agent.password_changed", f"agent:{agent.id}")

    def renew_recovery_codes(self, signed_in: SignedInAgent, current: str) -> list[str]:
        """Draw new recovery codes instead of all older ones. Raises as `change_password` does."""
        self._check_password(signed_in, current)
        self._audit.write("agent.codes_renewed", f"agent:{signed_in.agent_id}")
        return self._draw_recovery_codes(signed_in.agent_id)

    def recovery_codes_left(self, agent_id: int) -> int:
        """Number of recovery codes that were not used yet."""
        return self._session.scalars(
            select(func.count())
            .select_from(RecoveryCode)
            .where(
                RecoveryCode.tenant_id == self._tenant,
                RecoveryCode.agent_id == agent_id,
                RecoveryCode.used_at.is_(None),
            )
        ).one()

    def _check_password(self, signed_in: SignedInAgent, current: str) -> None:
        tries = self._doors.own_password(f"agent-session:{signed_in.session_id}")
        if not verify_password(self.get(signed_in.agent_id).password_hash, current):
            raise UserError(_("Le mot de passe actuel n’est pas le bon."))
        self._doors.give_back(tries)

    def _use_code(self, agent: Agent, code: str, browser: str) -> bool:
        """Take the second factor of an agent whose password was right."""
        bare = access_codes.normalise(code)
        if _DIGITS.match(bare):
            tries = self._doors.second_factor_tries(agent.id, browser)
            # The answer is the one to a wrong password: nobody learns that it was right.
            if not self._doors.spend(tries) or not self._use_totp(agent, bare):
                return False
            self._doors.give_back(tries)
            return True
        used = self._session.execute(
            update(RecoveryCode)
            .where(
                RecoveryCode.tenant_id == self._tenant,
                RecoveryCode.agent_id == agent.id,
                RecoveryCode.code_hash == self._recovery_hash(agent.id, bare),
                RecoveryCode.used_at.is_(None),
            )
            .values(used_at=self._clock.now())
            .returning(RecoveryCode.id)
        ).one_or_none()
        return used is not None

    def _totp(self, agent: Agent) -> TOTP:
        """The agent's second factor. Its secret is not stored: a stolen dump does not hold it."""
        secret = keyed_hash(
            self._secret_key, "agent-totp", f"{self._tenant}/{agent.id}/{agent.totp_seed}"
        )[:20]
        return TOTP(base64.b32encode(secret).decode())

    def _use_totp(self, agent: Agent, code: str) -> bool:
        """Use up `code`, True if it was good; afterwards neither it nor an earlier one is good."""
        totp = self._totp(agent)
        here = totp.timecode(self._clock.now())
        bare = access_codes.normalise(code)
        for step in (here + drift for drift in DRIFT):
            if hmac.compare_digest(totp.generate_otp(step), bare):
                used = self._session.execute(
                    update(Agent)
                    .where(
                        Agent.tenant_id == self._tenant,
                        Agent.id == agent.id,
                        Agent.totp_step < step,
                    )
                    .values(totp_step=step)
                    .returning(Agent.id)
                ).one_or_none()
                return used is not None
        return False

    def _draw_recovery_codes(self, agent_id: int) -> list[str]:
        self._session.execute(
            delete(RecoveryCode).where(
                RecoveryCode.tenant_id == self._tenant, RecoveryCode.agent_id == agent_id
            )
        )
        codes = [access_codes.new_secret() for _number in range(RECOVERY_CODES)]
        self._session.add_all(
            RecoveryCode(
                tenant_id=self._tenant,
                agent_id=agent_id,
                code_hash=self._recovery_hash(agent_id, code),
            )
            for code in codes
        )
        self._session.flush()
        return [access_codes.grouped(code) for code in codes]

    def _recovery_hash(self, agent_id: int, code: str) -> bytes:
        return keyed_hash(
            self._secret_key, "agent-recovery", f"{self._tenant}/{agent_id}/{code}"
        )

    # --- Sessions ----------------------------------------------------------------------------

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

    def sessions(self, agent_id: int) -> Sequence[AgentSession]:
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

    def _end_sessions(self, agent_id: int) -> None:
        self._session.execute(
            delete(AgentSession).where(
                AgentSession.tenant_id == self._tenant, AgentSession.agent_id == agent_id
            )
        )


def _rights(only_regies: Sequence[str]) -> dict[str, str]:
    """For the trail: the régies that an agent is limited to, if it is."""
    return {"regies": ", ".join(only_regies)} if only_regies else {}
