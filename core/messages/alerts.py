"""*Être averti*: the addresses that are told of new invoices, three a family."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.families.models import ContactEmail, Family
from core.messages.service import Notifications
from core.platform.audit.service import Audit
from core.platform.db.paging import PAGE_ROWS
from core.platform.errors import NotFoundError, TooManyAddressesError, TooManyMailsError
from core.platform.signing import LinkError, Links
from core.platform.throttling import Allowance, Throttle

MAX_ALERT_ADDRESSES = 3
CONFIRM, UNSUBSCRIBE = "confirm-address", "unsubscribe"
CONFIRM_LIFE = timedelta(days=7)
DAY = timedelta(days=1)
MAILS_AN_ADDRESS, MAILS_A_FAMILY = 5, 10
"""Confirmation mails a day: to one address, whoever asks, and at one family's wish."""


class Alerts:
    """The registered addresses of one town's families."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        links: Links,
        notifications: Notifications,
        audit: Audit,
        throttle: Throttle,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._links = links
        self._notifications = notifications
        self._audit = audit
        self._throttle = throttle

    def addresses(self, family_id: int) -> Sequence[ContactEmail]:
        """The family's addresses, whatever their state, in the order they were given."""
        return self._session.scalars(
            select(ContactEmail)
            .where(ContactEmail.tenant_id == self._tenant, ContactEmail.family_id == family_id)
            .order_by(ContactEmail.id)
        ).all()

    def refused(self) -> Sequence[Any]:
        """List the addresses that refuse mail, the latest first, with their family."""
        return self._session.execute(
            select(ContactEmail, Family)
            .join(
                Family,
                and_(
                    Family.tenant_id == ContactEmail.tenant_id,
                    Family.id == ContactEmail.family_id,
                ),
            )
            .where(ContactEmail.tenant_id == self._tenant, ContactEmail.refused_at.is_not(None))
            .order_by(ContactEmail.refused_at.desc())
            .limit(PAGE_ROWS)
        ).all()

    def add(self, family_id: int, address: str) -> None:
        """Register an address and mail it a link: it is told nothing before it is confirmed.

        An address that is there already is mailed its link again.

        Raises:
            TooManyAddressesError: there are three already.
            TooManyMailsError: it, or the family, was mailed too often today.
        """
        # The family's row is locked, so that two browsers cannot register a fourth.
        self._session.scalars(
            select(Family.id)
            .where(Family.tenant_id == self._tenant, Family.id == family_id)
            .with_for_update()
        ).one()
        known = {row.address for row in self.addresses(family_id)}
        if address not in known and len(known) >= MAX_ALERT_ADDRESSES:
            raise TooManyAddressesError
        self._session.execute(
            insert(ContactEmail)
            .values(tenant_id=self._tenant, family_id=family_id, address=address)
            .on_conflict_do_nothing()
        )
        row = next(row for row in self.addresses(family_id) if row.address == address)
        if row.confirmed_at is None or row.refused_at is not None:
            self._mail(row)

    def resend(self, family_id: int, contact_id: int) -> None:
        """Mail the confirmation link again. Raises TooManyMailsError as `add` does."""
        self._mail(self._own(family_id, contact_id))

    def remove(self, family_id: int, contact_id: int) -> None:
        """Forget an address."""
        row = self._own(family_id, contact_id)
        self._session.delete(row)
        self._session.flush()
        self._audit.write("address.removed", f"family:{family_id}")

    def pending(self, token: str) -> str | None:
        """The address that a confirmation link is for; None when the link is no good."""
        row = self._linked(CONFIRM, token, CONFIRM_LIFE)
        return row.address if row else None

    def confirm(self, token: str) -> str | None:
        """Confirm an address by its link; the address, or None when the link is no good."""
        row = self._linked(CONFIRM, token, CONFIRM_LIFE)
        if row is None:
            return None
        self._session.execute(
            update(ContactEmail)
            .where(ContactEmail.tenant_id == self._tenant, ContactEmail.id == row.id)
            .values(
                confirmed_at=func.coalesce(ContactEmail.confirmed_at, self._clock.now()),
                refused_at=None,
                refusal="",
            )
        )
        return row.address

    def subscribed(self, token: str) -> str | None:
        """The address that an unsubscribe link is for; None when it is already gone."""
        row = self._linked(UNSUBSCRIBE, token, None)
        return row.address if row else None

    def unsubscribe(self, token: str) -> str | None:
        """Forget an address by the link of any mail it got; that link never expires (RFC 8058)."""
        row = self._linked(UNSUBSCRIBE, token, None)
        if row is None:
            return None
        self._session.execute(
            delete(ContactEmail).where(
                ContactEmail.tenant_id == self._tenant, ContactEmail.id == row.id
            )
        )
        return row.address

    def _own(self, family_id: int, contact_id: int) -> ContactEmail:
        row = self._session.get(ContactEmail, (self._tenant, contact_id))
        if row is None or row.family_id != family_id:
            raise NotFoundError
        return row

    def _linked(
        self, purpose: str, token: str, max_age: timedelta | None
    ) -> ContactEmail | None:
        try:
            contact_id, address = self._links.read(purpose, token, max_age)
        except LinkError:
            return None
        row = self._session.get(ContactEmail, (self._tenant, int(contact_id)))
        return row if row is not None and row.address == address else None

    def _mail(self, row: ContactEmail) -> None:
        # Whoever types an address may be nobody whom it knows: its mailbox is not to be filled.
        for tries in (
            Allowance(f"{self._tenant}:confirm-family:{row.family_id}", MAILS_A_FAMILY, DAY),
            Allowance(f"{self._tenant}:confirm:{row.address.casefold()}", MAILS_AN_ADDRESS, DAY),
        ):
            if self._throttle.spend(tries):
                raise TooManyMailsError
        family = self._session.get_one(Family, (self._tenant, row.family_id))
        minute = self._clock.now().strftime("%Y%m%d%H%M")
        self._notifications.queue(
            "address_confirmation",
            address=row.address,
            family_id=row.family_id,
            language=family.language,
            payload={"contact_id": row.id},
            key=f"address_confirmation/{row.id}/{minute}",
        )
