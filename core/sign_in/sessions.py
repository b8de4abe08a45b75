"""Browsers that are signed in for a family: recognised by a token that is kept only hashed."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, delete, or_, select, update
from sqlalchemy.orm import Session

from core.api.context import Clock, FamilyInfo
from core.domain.sessions import ABSOLUTE_END, IDLE_END, LINK_END, TOUCH
from core.families.models import Family
from core.platform.db.session import read
from core.platform.identities import SignedIn
from core.platform.signing import new_token, token_hash
from core.sign_in.models import WebSession


@cache
def _by_token() -> Select[*tuple[Any, ...]]:
    # Put together once, and of what is needed: every page of a parent begins with it.
    return (
        select(
            WebSession.id,
            WebSession.account_id,
            WebSession.only_invoice_id,
            WebSession.more_invoice_ids,
            WebSession.seen_at,
            WebSession.family_id,
            Family.code,
            Family.name,
            Family.language,
        )
        .join(
            Family,
            (Family.tenant_id == WebSession.tenant_id) & (Family.id == WebSession.family_id),
        )
        .where(
            WebSession.tenant_id == bindparam("tenant"),
            WebSession.token_hash == bindparam("token_hash"),
            WebSession.seen_at > bindparam("seen_after"),
            WebSession.created_at > bindparam("created_after"),
            or_(
                WebSession.only_invoice_id.is_(None),
                WebSession.created_at > bindparam("link_after"),
            ),
            Family.merged_into.is_(None),
        )
    )


class WebSessions:
    """The browsers of one town's parents."""

    def __init__(self, session: Session, tenant: str, clock: Clock) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock

    def open(
        self,
        family_id: int,
        *,
        account_id: int | None = None,
        only_invoice_ids: Collection[int] = (),
    ) -> str:
        """Start a browser's session; the token goes into its cookie."""
        token, now = new_token(), self._clock.now()
        only = sorted(set(only_invoice_ids))
        self._session.add(
            WebSession(
                tenant_id=self._tenant,
                token_hash=token_hash(token),
                family_id=family_id,
                account_id=account_id,
                # One of them stands where a version that knows of one only looks for it, and so
                # never takes this for a session that opens the whole file.
                only_invoice_id=only[0] if only else None,
                more_invoice_ids=only[1:],
                created_at=now,
                seen_at=now,
            )
        )
        self._session.flush()
        return token

    def recognise(self, token: str) -> SignedIn | None:
        """Identity of a token's holder; None when the session ended (idle, too old, signed out)."""
        now = self._clock.now()
        row = read(
            self._session,
            _by_token(),
            {
                "tenant": self._tenant,
                "token_hash": token_hash(token),
                "seen_after": now - IDLE_END,
                "created_after": now - ABSOLUTE_END,
                "link_after": now - LINK_END,
            },
        ).one_or_none()
        if row is None:
            return None
        if now - row.seen_at > TOUCH:
            self._change(row.id, seen_at=now)
        family = FamilyInfo(row.family_id, row.code, row.name, row.language)
        only = frozenset(filter(None, (row.only_invoice_id, *row.more_invoice_ids)))
        return SignedIn(row.id, family, row.account_id, only)

    def turn_to(self, signed_in: SignedIn, family_id: int) -> None:
        """Show another family from now on."""
        self._change(signed_in.session_id, family_id=family_id)

    def attach_account(self, signed_in: SignedIn, account_id: int) -> None:
        """Note that a session opened with codes is now its new account's."""
        self._change(signed_in.session_id, account_id=account_id)

    def _change(self, session_id: int, **values: Any) -> None:
        self._session.execute(
            update(WebSession)
            .where(WebSession.tenant_id == self._tenant, WebSession.id == session_id)
            .values(values)
        )

    def close(self, token: str) -> None:
        """End the session of this token."""
        self._session.execute(
            delete(WebSession).where(
                WebSession.tenant_id == self._tenant, WebSession.token_hash == token_hash(token)
            )
        )

    def end_of(self, account_id: int, keep: int | None = None) -> None:
        """End the account's sessions, but the one to `keep`."""
        self._session.execute(
            delete(WebSession).where(
                WebSession.tenant_id == self._tenant,
                WebSession.account_id == account_id,
                WebSession.id != (keep or 0),
            )
        )
