"""The person's rights, and what time does: exporting, erasing, and keeping no longer than ruled.

Invoices, payments and the journal stay when a family is erased, without a name: accounts are kept
ten years. What must go before that is in `tenant.toml`, section ``retention``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.broadcasts.models import BroadcastRecipient
from core.debits.models import DebitRequest
from core.domain.payment_states import PaymentState
from core.families.models import AccessCode, Child, ContactEmail, Family, FamilyChild
from core.invoices.models import Invoice, InvoicePaper, InvoiceState
from core.links.models import OneTimeToken
from core.messages.models import MessageRow, MessageState
from core.payments.models import (
    Credit,
    Payment,
    PaymentItem,
    credit_left,
    holds,
    items_with_payments,
)
from core.personal_data.rights import need_whole_town
from core.platform.audit.service import Audit
from core.platform.clock import months_before, today
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig
from core.sign_in.access import accounts_of
from core.sign_in.models import Account, AccountFamily, WebSession

RETENTION = "retention"
AT_ONCE = 200
"""Families erased in one run: the others are the next day's."""

OWN = (
    ContactEmail, AccessCode, AccountFamily, WebSession, OneTimeToken, MessageRow, DebitRequest,
    BroadcastRecipient,
)  # fmt: skip
"""Tables of data that belong to one family alone, and go with its name."""

AskPlugins = Callable[[str, dict[str, Any]], Mapping[str, Any]]
"""Calls a hook of every enabled plugin and gives the answers by plugin; exceptions pass."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Data that the rules no longer allow to keep, and the limit dates (None: no rule)."""

    families_before: date | None
    families: int
    first: Sequence[Family]
    messages_before: date | None
    messages: int


class PersonalData:
    """The personal data of one town's families."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        audit: Audit,
        ask_plugins: AskPlugins,
        books_need: Callable[[int], bool],
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._audit = audit
        self._ask_plugins = ask_plugins
        self._books_need = books_need

    # --- Access (GDPR, article 15) -----------------------------------------------------------

    def export(self, family_id: int) -> dict[str, Any]:
        """All that is held of a family, plugins included, for the person who asks.

        Raises:
            NotFoundError: there is no such family.
            UserError: the agent sees some régies only.
        """
        need_whole_town(self._session)
        family = self._get(family_id)
        self._audit.write("family.exported", f"family:{family_id}")
        brought = self._ask_plugins("family_data", {"family_id": family_id})
        return {
            "famille": _fields(family, "code", "name", "address", "language", "created_at"),
            "enfants": [
                _fields(child, "code", "label") for child in self._children(family_id)
            ],
            "adresses": self._all(
                ContactEmail, family_id, "address", "created_at", "confirmed_at", "refused_at"
            ),
            "codes": self._all(AccessCode, family_id, "holder", "created_at", "revoked_at"),
            "comptes": [
                _fields(account, "email")
                for account in accounts_of(self._session, self._tenant, family_id)
            ],
            "factures": self._all(
                Invoice, family_id, "regie", "number", "label", "amount", "issued_on", "due_on",
                "state", "kind", "origin_number", "credited",
            ),
            "paiements": self._all(
                Payment, family_id, "regie", "receipt_number", "amount", "means", "state", "payer",
                "email", "paid_at", "reversed_at", "reversal_reason",
            ),
            "avoirs": self._all(Credit, family_id, "regie", "amount", "created_at"),
            "demandes_de_prelevement": self._all(
                DebitRequest, family_id, "regie", "state", "asked_at", "ended_at", "note"
            ),
            "messages": self._all(
                MessageRow, family_id, "kind", "channel", "address", "state", "sent_at"
            ),
            **{name: answer for name, answer in brought.items() if answer},
        }  # fmt: skip

    # --- Erasure (article 17) ----------------------------------------------------------------

    def erase(self, family_id: int) -> bool:
        """Forget who a family was; invoices and payments stay, as accounts must.

        While the journal and receipts of a month that is not closed name it, the wish is noted, and
        `retain` fulfils it after the closing: whether it is done already.

        Raises:
            NotFoundError: there is no such family.
            UserError: something is still due or on its way, or the agent sees some régies only.
        """
        need_whole_town(self._session)
        family = self._get(family_id)
        if self._session.scalar(select(self._busy(family_id))):
            raise UserError(
                _(
                    "Cette famille doit encore quelque chose, un avoir lui reste, ou un paiement"
                    " est en cours."
                )
            )
        if self._books_need(family_id):
            if family.erasure_asked_at is None:
                family.erasure_asked_at = self._clock.now()
                self._audit.write("family.erasure_asked", f"family:{family_id}")
            return False
        self._ask_plugins("family_erased", {"family_id": family_id})
        for duplicate in self._session.scalars(
            select(Family).where(Family.tenant_id == self._tenant, Family.merged_into == family_id)
        ):
            self._forget(duplicate)
        self._forget(family)
        self._audit.write("family.erased", f"family:{family_id}")
        return True

    def _forget(self, family: Family) -> None:
        for model in OWN:
            self._session.execute(
                delete(model).where(model.tenant_id == self._tenant, model.family_id == family.id)
            )
        self._session.execute(
            delete(InvoicePaper).where(
                InvoicePaper.tenant_id == self._tenant,
                InvoicePaper.invoice_id.in_(
                    select(Invoice.id).where(
                        Invoice.tenant_id == self._tenant, Invoice.family_id == family.id
                    )
                ),
            )
        )
        self._session.execute(
            delete(Account).where(
                Account.tenant_id == self._tenant,
                ~exists().where(
                    AccountFamily.tenant_id == Account.tenant_id,
                    AccountFamily.account_id == Account.id,
                ),
            )
        )
        self._session.execute(
            update(Payment)
            .where(Payment.tenant_id == self._tenant, Payment.family_id == family.id)
            .values(payer="", email="")
        )
        for child in self._children(family.id):
            if not self._lives_elsewhere(child.id, family.id):
                # Its code may be a first name, too.
                child.code, child.label = f"-/{child.id}", "–"
        family.name, family.address, family.erasure_asked_at = "", [], None
        self._session.flush()

    # --- Retention ---------------------------------------------------------------------------

    def expired(self, limit: int = 50) -> Expired:
        """Data that `retain` would erase now by the rules; nothing is changed.

        Raises:
            UserError: the agent sees some régies only.
        """
        need_whole_town(self._session)
        families_before, messages_before = self._limits()
        families = self._inactive(families_before)
        return Expired(
            families_before=families_before,
            families=self._count(Family, families),
            first=self._session.scalars(
                select(Family).where(families).order_by(Family.id).limit(limit)
            ).all(),
            messages_before=messages_before,
            messages=self._count(MessageRow, self._old_messages(messages_before)),
        )

    def retain(self) -> tuple[int, int]:
        """Erase what the rules no longer allow to keep; how many families and messages."""
        families_before, messages_before = self._limits()
        ids = self._session.scalars(
            select(Family.id)
            .where(self._inactive(families_before))
            .order_by(Family.id)
            .limit(AT_ONCE)
        ).all()
        erased = sum(self.erase(family_id) for family_id in ids) + self._erase_asked()
        expired = delete(MessageRow).where(self._old_messages(messages_before))
        messages = len(self._session.scalars(expired.returning(MessageRow.id)).all())
        if messages:
            self._audit.write("messages.expired", "", count=messages)
        return erased, messages

    def _erase_asked(self) -> int:
        """Erase the families that asked for it, now that the books are closed; how many."""
        asked = self._session.scalars(
            select(Family.id)
            .where(
                Family.tenant_id == self._tenant,
                Family.erasure_asked_at.is_not(None),
                ~self._busy(Family.id),
            )
            .order_by(Family.id)
        ).all()
        return sum(self.erase(family_id) for family_id in asked)

    def _limits(self) -> tuple[date | None, date | None]:
        rules, day = self._town.file.retention, today(self._clock.now())
        return (
            months_before(day, rules.families) if rules.families else None,
            months_before(day, rules.messages) if rules.messages else None,
        )

    def _inactive(self, before: date | None) -> ColumnElement[bool]:
        """SQL: a `Family` of which something is held, and nothing happened since `before`."""
        if before is None:
            return and_(Family.tenant_id == self._tenant, Family.id < 0)
        holds = [
            exists().where(model.tenant_id == Family.tenant_id, model.family_id == Family.id)
            for model in (AccessCode, ContactEmail, AccountFamily)
        ]
        lately = exists().where(
            Invoice.tenant_id == Family.tenant_id,
            Invoice.family_id == Family.id,
            Invoice.due_on >= before,
        )
        paid = exists().where(
            Payment.tenant_id == Family.tenant_id,
            Payment.family_id == Family.id,
            func.coalesce(Payment.settled_at, Payment.created_at) >= before,
        )
        return and_(
            Family.tenant_id == self._tenant,
            Family.merged_into.is_(None),
            Family.erasure_asked_at.is_(None),
            Family.created_at < before,
            or_(Family.name != "", func.cardinality(Family.address) > 0, *holds),
            ~lately,
            ~paid,
            ~self._busy(Family.id),
        )

    def _old_messages(self, before: date | None) -> ColumnElement[bool]:
        if before is None:
            return and_(MessageRow.tenant_id == self._tenant, MessageRow.id < 0)
        return and_(
            MessageRow.tenant_id == self._tenant,
            MessageRow.created_at < before,
            MessageRow.state != MessageState.QUEUED,
        )

    # --- Pieces ------------------------------------------------------------------------------

    def _get(self, family_id: int) -> Family:
        family = self._session.get(Family, (self._tenant, family_id))
        if family is None:
            raise NotFoundError
        return family

    def _busy(self, family_id: Any) -> ColumnElement[bool]:
        """SQL: the family owes something or is owed it here, or one of its payments may settle."""
        owes = exists().where(
            Invoice.tenant_id == self._tenant,
            Invoice.family_id == family_id,
            Invoice.state.in_((InvoiceState.DRAFT, InvoiceState.PUBLISHED)),
            Invoice.kind == "facture",
            Invoice.left > 0,
        )
        pays = exists().where(
            PaymentItem.tenant_id == self._tenant,
            items_with_payments(),
            or_(holds(), Payment.state == PaymentState.PENDING),
            Payment.family_id == family_id,
        )
        left = exists().where(
            Credit.tenant_id == self._tenant, Credit.family_id == family_id, credit_left() > 0
        )
        return or_(owes, pays, left)

    def _children(self, family_id: int) -> Iterator[Child]:
        yield from self._session.scalars(
            select(Child)
            .join(
                FamilyChild,
                and_(FamilyChild.tenant_id == Child.tenant_id, FamilyChild.child_id == Child.id),
            )
            .where(FamilyChild.tenant_id == self._tenant, FamilyChild.family_id == family_id)
            .order_by(Child.id)
        ).all()

    def _lives_elsewhere(self, child_id: int, family_id: int) -> bool:
        """True if another family, not erased itself, has this child."""
        return bool(
            self._session.scalar(
                select(
                    exists().where(
                        FamilyChild.tenant_id == self._tenant,
                        FamilyChild.child_id == child_id,
                        FamilyChild.family_id != family_id,
                        Family.tenant_id == FamilyChild.tenant_id,
                        Family.id == FamilyChild.family_id,
                        Family.name != "",
                    )
                )
            )
        )

    def _count(self, model: Any, condition: ColumnElement[bool]) -> int:
        counted = select(func.count()).select_from(model)
        of_town = counted.where(model.tenant_id == self._tenant, condition)
        return self._session.scalars(of_town).one()

    def _all(self, model: Any, family_id: int, *names: str) -> list[dict[str, Any]]:
        rows = self._session.scalars(
            select(model)
            .where(model.tenant_id == self._tenant, model.family_id == family_id)
            .order_by(model.id)
        )
        return [_fields(row, *names) for row in rows]


def _fields(row: Any, *names: str) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, date | datetime) else value
        for name, value in values.items()
    }
