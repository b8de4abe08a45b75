"""Second factor of an agent: the telephone's codes, and recovery codes for a lost telephone."""

from __future__ import annotations

import base64
import hmac
import re

from pyotp import TOTP
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from core.agents.models import Agent, RecoveryCode
from core.api.context import Clock
from core.domain import access_codes
from core.platform.doors import Doors
from core.platform.signing import keyed_hash

RECOVERY_CODES = 10
DRIFT = (0, -1, 1)
"""Time steps of 30 seconds that a telephone's clock may be off, the likeliest first."""

_DIGITS = re.compile(r"\d{6}\Z", re.ASCII)


class SecondFactor:
    """The second factors of one town's agents."""

    def __init__(
        self, session: Session, tenant: str, clock: Clock, *, secret_key: str, doors: Doors
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._secret_key = secret_key
        self._doors = doors

    def use(self, agent: Agent, code: str, browser: str) -> bool:
        """Take the second factor of an agent whose password was right."""
        bare = access_codes.bare_secret(code)
        if _DIGITS.match(bare):
            tries = self._doors.second_factor_tries(agent.id, browser)
            # The answer is the one to a wrong password: nobody learns that it was right.
            if not self._doors.spend(tries) or not self.use_totp(agent, bare):
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

    def totp(self, agent: Agent) -> TOTP:
        """The agent's second factor. Its secret is not stored: a stolen dump does not hold it."""
        secret = keyed_hash(
            self._secret_key, "agent-totp", f"{self._tenant}/{agent.id}/{agent.totp_seed}"
        )[:20]
        return TOTP(base64.b32encode(secret).decode())

    def use_totp(self, agent: Agent, code: str) -> bool:
        """Use up `code`, True if it was good; afterwards neither it nor an earlier one is good."""
        totp = self.totp(agent)
        here = totp.timecode(self._clock.now())
        bare = access_codes.bare_secret(code)
        for step in (here + drift for drift in DRIFT):
            if hmac.compare_digest(totp.generate_otp(step).encode(), bare.encode()):
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

    def draw_recovery_codes(self, agent_id: int) -> list[str]:
        """Draw new recovery codes instead of all older ones, to be shown once."""
        self.forget_recovery_codes(agent_id)
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

    def forget_recovery_codes(self, agent_id: int) -> None:
        """Delete an agent's recovery codes."""
        self._session.execute(
            delete(RecoveryCode).where(
                RecoveryCode.tenant_id == self._tenant, RecoveryCode.agent_id == agent_id
            )
        )

    def _recovery_hash(self, agent_id: int, code: str) -> bytes:
        return keyed_hash(
            self._secret_key, "agent-recovery", f"{self._tenant}/{agent_id}/{code}"
        )
