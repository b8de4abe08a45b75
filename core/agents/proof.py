"""Proof that an agent is at the browser: password and second factor."""

from __future__ import annotations

from core.agents.invitations import MINIMUM_PASSWORD
from core.agents.second_factor import SecondFactor
from core.agents.service import Agents
from core.agents.sessions import AgentSessions
from core.api.errors import UserError
from core.platform.audit.service import Audit
from core.platform.doors import Doors
from core.platform.i18n import gettext as _
from core.platform.identities import SignedInAgent
from core.platform.passwords import NOBODY, hash_password, verify_password


class AgentProof:
    """Passwords and second factors of one town's agents: proving oneself, and renewing them."""

    def __init__(
        self,
        tenant: str,
        *,
        agents: Agents,
        second_factor: SecondFactor,
        sessions: AgentSessions,
        doors: Doors,
        audit: Audit,
    ) -> None:
        self._tenant = tenant
        self._agents = agents
        self._second_factor = second_factor
        self._sessions = sessions
        self._doors = doors
        self._audit = audit

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
        agent = self._agents.by_email(email)
        known = agent.password_hash if agent and agent.password_hash else NOBODY
        if (
            not verify_password(known, password)
            or agent is None
            or not agent.password_hash
            or agent.disabled_at is not None
            or not self._second_factor.use(agent, code, browser)
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
        agent = self._agents.get(signed_in.agent_id)
        agent.password_hash = hash_password(
            password, minimum=MINIMUM_PASSWORD, about=(agent.email, self._tenant)
        )
        self._sessions.end_others(signed_in)
        self._audit.write("agent.password_changed", f"agent:{agent.id}")

    def renew_recovery_codes(self, signed_in: SignedInAgent, current: str) -> list[str]:
        """Draw new recovery codes instead of all older ones. Raises as `change_password` does."""
        self._check_password(signed_in, current)
        self._audit.write("agent.codes_renewed", f"agent:{signed_in.agent_id}")
        return self._second_factor.draw_recovery_codes(signed_in.agent_id)

    def _check_password(self, signed_in: SignedInAgent, current: str) -> None:
        tries = self._doors.own_password(f"agent-session:{signed_in.session_id}")
        if not verify_password(self._agents.get(signed_in.agent_id).password_hash, current):
            raise UserError(_("Le mot de passe actuel n’est pas le bon."))
        self._doors.give_back(tries)
