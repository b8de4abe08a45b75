"""Signing in: codes, own accounts, and links that work once."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock, FamilyInfo
from core.api.errors import UserError
from core.domain import access_codes
from core.families.models import AccessCode, ContactEmail, Family
from core.families.service import Families, slow_hash
from core.links import tokens
from core.links.models import OneTimeToken
from core.links.payment import PAYMENT_LINK, linked
from core.messages.service import Notifications
from core.platform.audit.service import Audit
from core.platform.doors import Doors
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.identities import SignedIn
from core.platform.passwords import NOBODY, hash_password, verify_password
from core.platform.signing import token_hash
from core.platform.throttling import Allowance, Throttle
from core.sign_in.access import Access
from core.sign_in.models import Account, AccountFamily
from core.sign_in.sessions import WebSessions

LOST_CODES = "lost-codes"
LOST_CODES_LIFE = timedelta(hours=2)
LOST_CODES_MAILS = 3
"""Links that one address is mailed while one of them still works."""

WAY_IN = "account-way-in"
WAY_IN_LIFE = timedelta(minutes=30)
NEW_ACCOUNT, NEW_EMAIL = "account-new", "account-email"
CONFIRM_LIFE = timedelta(hours=2)
"""Lifetime of the links that make an account or change its address."""

MINIMUM_PASSWORD = 10


def password_mark(password_hash: str) -> str:
    """Tell one password from the next, in a link that ends with it."""
    return token_hash(password_hash).hex()[:16]


class SignIn:
    """Sign-in to one town: by paper codes, account or link."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        secret_key: str,
        throttle: Throttle,
        families: Families,
        notifications: Notifications,
        web_sessions: WebSessions,
        access: Access,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._secret_key = secret_key
        self._throttle = throttle
        self._doors = Doors(throttle, tenant)
        self._families = families
        self._notifications = notifications
        self._web_sessions = web_sessions
        self._access = access
        self._audit = audit

    # --- Proving who one is ------------------------------------------------------------------

    def by_codes(
        self, family_code: str, secret: str, address: str, *, browser: str = ""
    ) -> int:
        """The id of the family that these two codes open.

        `address` is the visitor's IP; `browser` names one that signed in before. Both count only
        if the codes are wrong: right ones open, however much was guessed before.

        Raises:
            WrongCodesError: whatever is wrong, with one wording, and after one hash unless no such
                second code can exist, for whatever family.
            ThrottledError: wrong too, and too often from this address or browser.
        """
        code, bare = access_codes.normalise(family_code), access_codes.bare_secret(secret)
        if not access_codes.may_be_secret(bare):
            # The time tells what was typed, and nothing of any family.
            self._refuse_codes(address, browser)
        given = slow_hash(self._secret_key, self._tenant, code, bare)
        family_id = None
        for row in self._session.execute(
            select(
                # The codes of a duplicate open what it became.
                func.coalesce(Family.merged_into, Family.id).label("family_id"),
                AccessCode.secret_hash,
            )
            .join(
                Family,
                (Family.tenant_id == AccessCode.tenant_id) & (Family.id == AccessCode.family_id),
            )
            .where(
                Family.tenant_id == self._tenant,
                Family.code == code,
                AccessCode.revoked_at.is_(None),
            )
        ):
            if hmac.compare_digest(row.secret_hash, given):
                family_id = row.family_id
        if family_id is None:
            self._refuse_codes(address, browser)
        return int(family_id)

    def _refuse_codes(self, address: str, browser: str) -> NoReturn:
        self._doors.refuse(
            _("Ces deux codes ne vont pas ensemble. Vérifiez-les sur votre courrier."),
            address,
            browser,
        )

    def by_account(
        self, email: str, password: str, address: str, *, browser: str = ""
    ) -> tuple[int, int] | None:
        """The account's id and the family it opens first. `browser` opened this account before.

        None after too many wrong passwords for this account, from browsers that it does not know:
        whether this one was right is told by mail only, with a link that opens the account. A
        password has fewer bits than the codes, and nobody may try thousands.

        Raises as `by_codes` does.
        """
        email = email.casefold()
        tries = self._doors.password_tries(email, browser)
        in_time = self._doors.spend(tries)
        if browser and not in_time:
            # A browser that guesses is not the known one any more.
            return self.by_account(email, password, address)
        account = self._session.scalar(
            select(Account).where(Account.tenant_id == self._tenant, Account.email == email)
        )
        families = self.families_of(account.id) if account else []
        known = account.password_hash if account else NOBODY
        right = verify_password(known, password) and account is not None and bool(families)
        if not in_time:
            if right and account is not None:
                self._mail_way_in(account, families[0])
            return None
        if not right or account is None:
            self._doors.refuse(
                _("L’adresse ou le mot de passe n’est pas le bon."), address, browser
            )
        self._doors.give_back(tries)
        return account.id, families[0].id

    def _mail_way_in(self, account: Account, family: FamilyInfo) -> None:
        minute = self._clock.now().strftime("%Y%m%d%H%M")
        mark = password_mark(account.password_hash)
        self._notifications.queue(
            "account_way_in",
            address=account.email,
            family_id=family.id,
            language=family.language,
            payload={"account_id": account.id, "password": mark},
            # A new password within the minute is a new mail: the link of the old one is dead.
            key=f"account_way_in/{account.id}/{mark}/{minute}",
        )

    def by_way_in(self, token: str) -> tuple[int, int] | None:
        """Use the link that followed a right password: the account's id and its first family's.

        None besides where the password is not that of then any more: whoever knew it may hold the
        mailbox too, and its change is meant to keep them out.
        """
        redeemed = self.redeem(WAY_IN, token)
        if redeemed is None or not self._is_of_this_password(redeemed[1]):
            return None
        account_id = int(redeemed[1]["account_id"])
        families = self.families_of(account_id)
        return (account_id, families[0].id) if families else None

    def way_in_works(self, token: str) -> bool:
        """Tell whether a way-in link would open its account, without using it."""
        found = self.peek(WAY_IN, token)
        return found is not None and self._is_of_this_password(found.payload)

    def _is_of_this_password(self, payload: dict[str, Any]) -> bool:
        account = self._session.get(Account, (self._tenant, int(payload["account_id"])))
        return account is not None and payload.get("password") == password_mark(
            account.password_hash
        )

    # --- Own accounts --------------------------------------------------------------------------

    def create_account(
        self, family_id: int, email: str, password: str, *, keep: int | None = None
    ) -> int:
        """Let whoever proved to own this address sign in with it and a password from now on.

        The account there is gets the password instead, and opens this family too; its sessions but
        `keep` end. See `core.sign_in.confirmations` for the proof.

        Raises:
            UserError: the password is too short or too plain.
        """
        email, hashed = email.casefold(), self._hash(password, email)
        account_id = self._session.scalar(
            insert(Account)
            .values(tenant_id=self._tenant, email=email, password_hash=hashed)
            .on_conflict_do_nothing(index_elements=["tenant_id", "email"])
            .returning(Account.id)
        )
        if account_id is not None:
            self._open_family(account_id, family_id)
            self._audit.write("account.created", f"family:{family_id}")
            self._access.tell(self.account(account_id), family_id)
            return account_id
        account = self._by_email(email)
        account.password_hash = hashed
        self._web_sessions.end_of(account.id, keep)
        for family in self.families_of(account.id):
            self._audit.write("account.password_renewed", f"family:{family.id}")
        self._link(account, family_id)
        return account.id

    def join_account(self, family_id: int, email: str, password: str, *, session: int) -> int:
        """Let the account of this address and password open one more family.

        Raises:
            ThrottledError: too many wrong passwords in this session.
            UserError: the password is not the account's.
        """
        account = self._by_email(email)
        self.prove(account.id, password, session=session)
        self._link(account, family_id)
        return account.id

    def _by_email(self, email: str) -> Account:
        return self._session.scalars(
            select(Account).where(Account.tenant_id == self._tenant, Account.email == email)
        ).one()

    def _link(self, account: Account, family_id: int) -> None:
        if self._open_family(account.id, family_id):
            self._audit.write("account.linked", f"family:{family_id}")
            self._access.tell(account, family_id)

    def prove(self, account_id: int, current: str, *, session: int) -> Account:
        """The account, of which this is the password.

        Raises:
            ThrottledError: too many wrong ones; a session that was left open guesses no password.
            UserError: it is wrong.
        """
        account = self._session.get_one(Account, (self._tenant, account_id))
        tries = self._doors.own_password(f"parent-session:{session}")
        if not verify_password(account.password_hash, current):
            raise UserError(_("Le mot de passe actuel n’est pas le bon."))
        self._doors.give_back(tries)
        return account

    def change_password(self, account_id: int, current: str, password: str, *, keep: int) -> None:
        """Replace the password and end the account's other sessions than the session `keep`.

        Raises:
            ThrottledError: too many wrong ones; a session that was left open guesses no password.
            UserError: the current password is wrong, or the new one too short or too plain.
        """
        account = self.prove(account_id, current, session=keep)
        account.password_hash = self._hash(password, account.email)
        self._web_sessions.end_of(account_id, keep)

    def close_account(self, account_id: int, current: str, *, session: int) -> None:
        """Forget an account: its e-mail, password, links to families, and sessions.

        Raises:
            ThrottledError: too many wrong passwords in this session.
            UserError: the current password is wrong.
        """
        self.prove(account_id, current, session=session)
        for family in self.families_of(account_id):
            self._audit.write("account.closed", f"family:{family.id}", account=account_id)
        self._session.execute(
            delete(Account).where(Account.tenant_id == self._tenant, Account.id == account_id)
        )

    def _hash(self, password: str, email: str) -> str:
        return hash_password(password, minimum=MINIMUM_PASSWORD, about=(email, self._tenant))

    def link_family(
        self, account_id: int, family_code: str, secret: str, address: str, *, browser: str = ""
    ) -> int:
        """Let an account open one more family, by its codes. Raises as `by_codes` does."""
        family_id = self.by_codes(family_code, secret, address, browser=browser)
        self._link(self.account(account_id), family_id)
        return family_id

    def account(self, account_id: int) -> Account:
        """The account of this number."""
        return self._session.get_one(Account, (self._tenant, account_id))

    def families_of(self, account_id: int) -> Sequence[FamilyInfo]:
        """The families that an account opens, the first linked first."""
        ids = self._session.scalars(
            select(AccountFamily.family_id)
            .where(AccountFamily.tenant_id == self._tenant, AccountFamily.account_id == account_id)
            .order_by(AccountFamily.id)
        )
        found = (self._families.get(family_id) for family_id in ids)
        return [family for family in found if family is not None]

    def _open_family(self, account_id: int, family_id: int) -> bool:
        """Let an account open a family; True if it did not open it before."""
        return bool(
            self._session.scalar(
                insert(AccountFamily)
                .values(tenant_id=self._tenant, account_id=account_id, family_id=family_id)
                .on_conflict_do_nothing()
                .returning(AccountFamily.id)
            )
        )

    def switch(self, signed_in: SignedIn, family_id: int) -> None:
        """Turn a session to another family of its account.

        Raises:
            NotFoundError: the account does not open that family.
        """
        families = self.families_of(signed_in.account_id) if signed_in.account_id else []
        if family_id not in {family.id for family in families}:
            raise NotFoundError
        self._web_sessions.turn_to(signed_in, family_id)

    # --- Links that work once ----------------------------------------------------------------

    def request_new_code(self, email: str) -> None:
        """Mail a link to every family that confirmed this address; never tells whether any did.

        However often it is asked, an address is mailed `LOST_CODES_MAILS` links at most while they
        work: whoever asks in its name fills a mailbox no more, and keeps nobody from a link.
        """
        rows = self._session.execute(
            select(Family.id, Family.language, ContactEmail.address)
            .join(
                ContactEmail,
                (ContactEmail.tenant_id == Family.tenant_id)
                & (ContactEmail.family_id == Family.id),
            )
            .where(
                Family.tenant_id == self._tenant,
                ContactEmail.address == email,
                ContactEmail.confirmed_at.is_not(None),
            )
        ).all()
        mails = Allowance(
            f"{self._tenant}:lost-codes:{email.casefold()}", LOST_CODES_MAILS, LOST_CODES_LIFE
        )
        if rows and self._throttle.spend(mails):
            return
        for row in rows:
            # The link is signed when the mail is written (see notifications), so that no secret
            # lies in the outbox; the minute makes a second click the same mail.
            minute = self._clock.now().strftime("%Y%m%d%H%M")
            self._notifications.queue(
                "lost_codes",
                address=row.address,
                family_id=row.id,
                language=row.language,
                payload={},
                key=f"lost_codes/{row.id}/{row.address}/{minute}",
            )

    def one_time_token(
        self, purpose: str, family_id: int, expires_at: datetime, payload: dict[str, Any]
    ) -> str:
        """A token that works once, for one purpose and family."""
        token = tokens.issue(
            self._session, self._tenant, purpose, family_id, expires_at, payload
        )
        self._session.flush()
        return token

    def peek(self, purpose: str, token: str) -> OneTimeToken | None:
        """The token if it would still work. Mail scanners and previews open links: this is free."""
        return self._session.scalar(
            select(OneTimeToken).where(
                OneTimeToken.tenant_id == self._tenant,
                OneTimeToken.token_hash == token_hash(token),
                OneTimeToken.purpose == purpose,
                OneTimeToken.used_at.is_(None),
                OneTimeToken.expires_at > self._clock.now(),
            )
        )

    def redeem(self, purpose: str, token: str) -> tuple[int, dict[str, Any]] | None:
        """Use a token: its family and payload; None if it does not work any more."""
        row = self._session.execute(
            update(OneTimeToken)
            .where(
                OneTimeToken.tenant_id == self._tenant,
                OneTimeToken.token_hash == token_hash(token),
                OneTimeToken.purpose == purpose,
                OneTimeToken.used_at.is_(None),
                OneTimeToken.expires_at > self._clock.now(),
            )
            .values(used_at=self._clock.now())
            .returning(OneTimeToken.family_id, OneTimeToken.payload)
        ).one_or_none()
        return (row.family_id, row.payload) if row else None

    def new_code(self, token: str) -> tuple[str, str] | None:
        """Use a lost-codes link: the family's code and a new secret; None if it does not work."""
        redeemed = self.redeem(LOST_CODES, token)
        if redeemed is None:
            return None
        family_id = redeemed[0]
        family = self._families.get(family_id)
        secret = self._families.issue_code(family_id)
        self._access.cut(family_id)
        self._audit.write("codes.renewed", f"family:{family_id}")
        return (family.code, secret) if family else None

    def seen(self, purpose: str, token: str) -> OneTimeToken | None:
        """The token though it no longer works, to say what became of what it was for."""
        return self._session.scalar(
            select(OneTimeToken).where(
                OneTimeToken.tenant_id == self._tenant,
                OneTimeToken.token_hash == token_hash(token),
                OneTimeToken.purpose == purpose,
            )
        )

    def open_payment_link(self, token: str) -> tuple[str, list[int]] | None:
        """Use a payment link: a session token good for its invoices only, and their ids."""
        redeemed = self.redeem(PAYMENT_LINK, token)
        if redeemed is None:
            return None
        family_id, payload = redeemed
        ids = linked(payload)
        return self._web_sessions.open(family_id, only_invoice_ids=ids), ids
