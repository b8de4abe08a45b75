"""People at browsers, as they signed in."""

from __future__ import annotations

from dataclasses import dataclass

from core.api.context import FamilyInfo
from core.domain.roles import Role


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Identity of a browser. `only_invoice_ids`: came by a payment link, may only pay these."""

    session_id: int
    family: FamilyInfo
    account_id: int | None
    only_invoice_ids: frozenset[int] = frozenset()

    @property
    def by_link(self) -> bool:
        """True if a payment link opened the session."""
        return bool(self.only_invoice_ids)

    @property
    def family_id(self) -> int:
        """The family's number."""
        return self.family.id


@dataclass(frozen=True, slots=True)
class SignedInAgent:
    """Agent who is signed in to the régie in a browser."""

    session_id: int
    agent_id: int
    name: str
    email: str
    role: Role
    only_regies: tuple[str, ...] = ()
    """The régies that the agent sees and works in; none named: all of the town."""

    @property
    def actor(self) -> str:
        """As the audit trail names the agent."""
        return f"agent:{self.agent_id}"

    @property
    def may_write(self) -> bool:
        """True if this agent may change data."""
        return self.role in {Role.REGISSEUR, Role.AGENT}

    @property
    def can_manage_agents(self) -> bool:
        """True if this agent may invite and manage agents, and read the audit trail."""
        return self.role in {Role.REGISSEUR, Role.ADMINISTRATOR} and not self.only_regies

    @property
    def is_regisseur(self) -> bool:
        """True if this agent is responsible for the régie."""
        return self.role is Role.REGISSEUR
