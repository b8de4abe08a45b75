"""Addresses of own accounts: each is proven by a link that is mailed to it, before it counts.

Two proofs make an account: the link, which only the mailbox holds, and a browser that is signed in
for the family that asked. So nobody takes an address that is somebody else's, and a mail that went
to a mistyped address opens nothing to whom it reached. The password is chosen behind the link: a
click never joins a password that somebody else typed. Nothing that is asked for tells whether an
address has an account; only its mailbox learns that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.api.context import Clock, FamilyInfo
from core.api.errors import UserError
from core.links.models import OneTimeToken
from core.messages.service import Notifications
from core.platform.audit.service import Audit
from core.platform.errors import TooManyMailsError
from core.platform.i18n import gettext as _
from core.platform.throttling import Allowance, Throttle
from core.sign_in.models import Account
from core.sign_in.service import NEW_ACCOUNT, NEW_EMAIL, SignIn

DAY = timedelta(days=1)
MAILS_A_PAIR, MAILS_A_FAMILY, MAILS_AN_ADDRESS = 3, 10, 12
"""Mails a day: to one address at one family's wish, at one family's wish, and to one address.

One family cannot use up what an address may get, and so keeps nobody else from its link.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """An account that a family asked for, as its mailed link tells."""

    family_id: int
    email: str
    known: bool
    """The address has an account already; whoever holds the link may be told."""


class Confirmations:
    """The links of one town that make accounts and change their addresses."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        throttle: Throttle,
        notifications: Notifications,
        sign_in: SignIn,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._throttle = throttle
        self._notifications = notifications
        self._sign_in = sign_in
        self._audit = audit

    # --- A new account -------------------------------------------------------------------------

    def ask_account(self, family: FamilyInfo, email: str) -> None:
        """Mail a link that makes an account for this family, or links the one there is.

        Raises:
            TooManyMailsError: too many today, whether the address has an account or not.
        """
        self._mail("account_confirmation", family, email, {"email": email.casefold()})

    def asked(self, token: str, families: Iterable[FamilyInfo]) -> Asked | None:
        """The account that this link makes for one of these families; None if it works no more."""
        found = self._sign_in.peek(NEW_ACCOUNT, token)
        if found is None or found.family_id not in {family.id for family in families}:
            return None
        email = str(found.payload["email"])
        return Asked(found.family_id, email, self._taken(email))

    def create(self, token: str, asked: Asked, password: str, *, session: int) -> int | None:
        """Use the link: make the account, or give the one there is this password, and link it.

        None when the link was used meanwhile. The account's other sessions than `session` end.

        Raises:
            UserError: the password is too short or too plain.
        """
        if not self._use(NEW_ACCOUNT, token, asked.family_id, asked.email):
            return None
        return self._sign_in.create_account(asked.family_id, asked.email, password, keep=session)

    def join(self, token: str, asked: Asked, password: str, *, session: int) -> int | None:
        """Use the link: let the account of this password open the family. None as for `create`.

        Raises:
            ThrottledError: too many wrong passwords in this session.
            UserError: the password is not the account's.
        """
        if not self._use(NEW_ACCOUNT, token, asked.family_id, asked.email):
            return None
        return self._sign_in.join_account(
            asked.family_id, asked.email, password, session=session
        )

    # --- Another address -----------------------------------------------------------------------

    def ask_email(
        self, account_id: int, family: FamilyInfo, email: str, current: str, *, session: int
    ) -> None:
        """Mail a link that gives the account this address: it keeps its own until then.

        Raises:
            ThrottledError: too many wrong passwords in this session.
            UserError: the password is wrong, or the address is the account's already.
            TooManyMailsError: too many mails today.
        """
        self._sign_in.prove(account_id, current, session=session)
        if email.casefold() == self._sign_in.account(account_id).email:
            raise UserError(_("C’est déjà l’adresse de votre compte."))
        payload = {"account_id": account_id, "email": email.casefold()}
        self._mail("account_new_email", family, email, payload)

    def new_email(self, token: str, account_id: int | None) -> str | None:
        """The address that this link gives the account; None if it is not this one's."""
        found = self._sign_in.peek(NEW_EMAIL, token)
        if found is None or found.payload["account_id"] != account_id:
            return None
        return str(found.payload["email"])

    def change_email(
        self, token: str, account_id: int | None, family: FamilyInfo
    ) -> str | None:
        """Use the link: the account has its address from now on, and the old one is told.

        None when the link works no more.

        Raises:
            UserError: the address has another account.
        """
        email = self.new_email(token, account_id)
        found = self._sign_in.peek(NEW_EMAIL, token)
        if email is None or found is None or account_id is None:
            return None
        account = self._sign_in.account(account_id)
        old = account.email
        try:
            with self._session.begin_nested():
                account.email = email
                self._session.flush()
        except IntegrityError:
            raise UserError(
                _(
                    "Cette adresse a déjà un autre compte. Fermez-le d’abord, ou connectez-vous"
                    " avec lui."
                )
            ) from None
        if not self._use(NEW_EMAIL, token, found.family_id, email):
            return None
        for one in self._sign_in.families_of(account_id):
            self._audit.write("account.email_changed", f"family:{one.id}", account=account_id)
        self._queue("account_email_changed", family, old, {"email": email})
        return email

    # --- Pieces --------------------------------------------------------------------------------

    def _taken(self, email: str) -> bool:
        account = exists().where(Account.tenant_id == self._tenant, Account.email == email)
        return bool(self._session.scalar(select(account)))

    def _use(self, purpose: str, token: str, family_id: int, email: str) -> bool:
        """Redeem a link, and end the others that were mailed for the same thing."""
        if self._sign_in.redeem(purpose, token) is None:
            return False
        self._session.execute(
            update(OneTimeToken)
            .where(
                OneTimeToken.tenant_id == self._tenant,
                OneTimeToken.purpose == purpose,
                OneTimeToken.family_id == family_id,
                OneTimeToken.payload["email"].astext == email,
                OneTimeToken.used_at.is_(None),
            )
            .values(used_at=self._clock.now())
        )
        return True

    def _mail(
        self, kind: str, family: FamilyInfo, email: str, payload: dict[str, Any]
    ) -> None:
        # Counted before anything is looked up, so that no count tells who has an account; and the
        # narrow ones first, so that what they refuse uses up nothing of an address.
        name = email.casefold()
        for tries in (
            Allowance(f"{self._tenant}:own-pair:{family.id}:{name}", MAILS_A_PAIR, DAY),
            Allowance(f"{self._tenant}:own-family:{family.id}", MAILS_A_FAMILY, DAY),
            Allowance(f"{self._tenant}:own-address:{name}", MAILS_AN_ADDRESS, DAY),
        ):
            if self._throttle.spend(tries):
                raise TooManyMailsError
        self._queue(kind, family, email, payload)

    def _queue(
        self, kind: str, family: FamilyInfo, email: str, payload: dict[str, Any]
    ) -> None:
        minute = self._clock.now().strftime("%Y%m%d%H%M")
        about = payload.get("account_id", family.id)
        self._notifications.queue(
            kind,
            address=email,
            family_id=family.id,
            language=family.language,
            payload=payload,
            key=f"{kind}/{about}/{email}/{minute}",
        )
