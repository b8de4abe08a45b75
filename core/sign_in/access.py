"""Own accounts that open a family: seen by the family and the régie, told by mail, taken away."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, exists, select
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.families.service import Families
from core.messages.service import Notifications
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError
from core.sign_in.models import Account, AccountFamily, WebSession


def accounts_of(session: Session, tenant: str, family_id: int) -> Sequence[Account]:
    """The accounts that open a family, the first linked first."""
    return session.scalars(
        select(Account)
        .join(
            AccountFamily,
            and_(
                AccountFamily.tenant_id == Account.tenant_id,
                AccountFamily.account_id == Account.id,
            ),
        )
        .where(AccountFamily.tenant_id == tenant, AccountFamily.family_id == family_id)
        .order_by(AccountFamily.id)
    ).all()


class Access:
    """Access of accounts to the families of one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        families: Families,
        notifications: Notifications,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._families = families
        self._notifications = notifications
        self._audit = audit

    def accounts(self, family_id: int) -> Sequence[Account]:
        """The accounts that open this family, the first linked first."""
        return accounts_of(self._session, self._tenant, family_id)

    def tell(self, account: Account, family_id: int) -> None:
        """Mail all who look after a family that an account opens it from now on."""
        self._write("account_linked", family_id, account.id, self._told(family_id))

    def remove(self, family_id: int, account_id: int) -> None:
        """Let an account open a family no more; its owner is told. One that opens none goes.

        Raises:
            NotFoundError: it does not open this family.
        """
        account = next((a for a in self.accounts(family_id) if a.id == account_id), None)
        if account is None:
            raise NotFoundError
        told = self._told(family_id)
        self._unlink(AccountFamily.family_id == family_id, AccountFamily.account_id == account_id)
        self._end_sessions(
            WebSession.family_id == family_id, WebSession.account_id == account_id
        )
        self._write("account_unlinked", family_id, account_id, told)
        self._audit.write("account.unlinked", f"family:{family_id}", account=account_id)
        self._drop_empty([account_id])

    def cut(self, family_id: int) -> None:
        """End every way into a family, because its codes were renewed or taken away.

        Accounts were linked by the old codes, and browsers opened with them: who has the new codes
        links again. Payment links go on: they open one invoice, for half an hour.
        """
        accounts = self.accounts(family_id)
        for account in accounts:
            self._write("account_unlinked", family_id, account.id, [account.email])
            self._audit.write("account.unlinked", f"family:{family_id}", account=account.id)
        self._unlink(AccountFamily.family_id == family_id)
        self._end_sessions(
            WebSession.family_id == family_id, WebSession.only_invoice_id.is_(None)
        )
        self._drop_empty([account.id for account in accounts])

    def _told(self, family_id: int) -> list[str]:
        accounts = [account.email for account in self.accounts(family_id)]
        return list(dict.fromkeys([*self._families.emails(family_id), *accounts]))

    def _unlink(self, *conditions: ColumnElement[bool]) -> None:
        self._session.execute(
            delete(AccountFamily).where(AccountFamily.tenant_id == self._tenant, *conditions)
        )

    def _end_sessions(self, *conditions: ColumnElement[bool]) -> None:
        self._session.execute(
            delete(WebSession).where(WebSession.tenant_id == self._tenant, *conditions)
        )

    def _drop_empty(self, account_ids: Sequence[int]) -> None:
        opens = exists().where(
            AccountFamily.tenant_id == Account.tenant_id, AccountFamily.account_id == Account.id
        )
        self._session.execute(
            delete(Account).where(
                Account.tenant_id == self._tenant, Account.id.in_(account_ids), ~opens
            )
        )
        self._session.expire_all()

    def _write(self, kind: str, family_id: int, account_id: int, told: Sequence[str]) -> None:
        family = self._families.get(family_id)
        moment = self._clock.now().strftime("%Y%m%d%H%M%S")
        email = self._session.get_one(Account, (self._tenant, account_id)).email
        for address in told:
            self._notifications.queue(
                kind,
                address=address,
                family_id=family_id,
                language=family.language if family else "fr",
                payload={"email": email},
                key=f"{kind}/{family_id}/{account_id}/{address}/{moment}",
            )
