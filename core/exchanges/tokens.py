"""The token by which a town's billing software comes: shown once, kept hashed, renewed at will."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.exchanges.models import ExchangeToken
from core.platform.audit.service import Audit
from core.platform.signing import new_token, token_hash

NOTED_EVERY = timedelta(minutes=1)
"""Time between two notes of a token's use: a software that asks all day writes no row each time."""


class ExchangeTokens:
    """The token of one town."""

    def __init__(self, session: Session, tenant: str, clock: Clock, *, audit: Audit) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._audit = audit

    def current(self) -> ExchangeToken | None:
        """The token in force, whose text nobody knows here."""
        return self._session.scalar(
            select(ExchangeToken).where(
                ExchangeToken.tenant_id == self._tenant, ExchangeToken.ended_at.is_(None)
            )
        )

    def renew(self) -> str:
        """End the token in force and make another one, whose text is told here only."""
        self._end()
        token = new_token()
        self._session.add(
            ExchangeToken(
                tenant_id=self._tenant,
                hash=token_hash(token),
                made_at=self._clock.now(),
                made_by=self._audit.actor,
            )
        )
        self._session.flush()
        self._audit.write("exchange_token.renewed", "exchange_token")
        return token

    def end(self) -> None:
        """End the token in force: nothing is fetched any more."""
        if self._end():
            self._audit.write("exchange_token.ended", "exchange_token")

    def opens(self, token: str) -> bool:
        """True if the token is this town's, and in force."""
        now = self._clock.now()
        found = self._session.scalar(
            select(ExchangeToken).where(
                ExchangeToken.tenant_id == self._tenant,
                ExchangeToken.hash == token_hash(token),
                ExchangeToken.ended_at.is_(None),
            )
        )
        if found is None:
            return False
        if found.used_at is None or found.used_at < now - NOTED_EVERY:
            found.used_at = now
        return True

    def _end(self) -> bool:
        ended = self._session.scalar(
            update(ExchangeToken)
            .where(ExchangeToken.tenant_id == self._tenant, ExchangeToken.ended_at.is_(None))
            .values(ended_at=self._clock.now())
            .returning(ExchangeToken.id)
        )
        return ended is not None
