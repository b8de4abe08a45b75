"""Recording money: one place where a payment becomes settled, and where it comes back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from core.api.context import Clock, NewPayment
from core.api.payments import PaymentReversed, PaymentSettled
from core.domain.allocation import Due, Split, allocate
from core.domain.payment_states import SOURCES, PaymentState
from core.invoices.locks import balance_due, lock_invoices
from core.invoices.models import Invoice
from core.journal.models import EntryKind
from core.journal.service import Journal
from core.payments.models import (
    Allocation,
    Counter,
    Credit,
    CreditUse,
    Payment,
    PaymentItem,
    PaymentTitle,
    holds,
    items_with_payments,
)
from core.platform.clock import today
from core.platform.db.session import change, read
from core.platform.plugins.events import Events


@cache
def _dues_to_lock() -> Select[*tuple[Any, ...]]:
    return (
        select(
            PaymentItem.id.label("item"),
            PaymentItem.invoice_id,
            PaymentItem.amount.label("meant"),
            Invoice.state,
            Invoice.left.label("left"),
        )
        .join(
            Invoice,
            and_(
                Invoice.tenant_id == PaymentItem.tenant_id, Invoice.id == PaymentItem.invoice_id
            ),
        )
        .where(
            PaymentItem.tenant_id == bindparam("tenant"),
            PaymentItem.payment_id == bindparam("payment"),
        )
        .order_by(Invoice.id)  # as `lock_invoices` does
        .with_for_update(of=Invoice)
    )


def _listed(prefix: str, *columns: ColumnElement[Any]) -> Any:
    """SQL: rows of these columns' types, numbered (`n`) in their order, from an array of each.

    The statement is told the arrays, each by the name of its column behind `prefix`.
    """
    arrays = [bindparam(f"{prefix}_{one.key}", type_=ARRAY(one.type)) for one in columns]
    names = [column(str(one.key), one.type) for one in columns]
    rows = func.unnest(*arrays).table_valued(*names, with_ordinality="n", name=prefix)
    return rows.render_derived()


_GIVEN = (
    "key", "family_id", "amount", "means", "paid_at", "payer", "authorisation", "note", "visit",
    "tendered",
)  # fmt: skip
"""What `_recording` is told of each payment."""


@cache
def _recording() -> ReturningInsert[int, str]:
    """SQL: write payments whose money is there; those are passed over whose key is known."""
    columns = Payment.__table__.c
    given = _listed("new", *(columns[name] for name in _GIVEN))
    values: dict[str, ColumnElement[Any]] = {
        "tenant_id": bindparam("tenant", type_=Text()),
        "regie": bindparam("of_regie", type_=Text()),
        "state": literal(PaymentState.SETTLED, Text()),
        "created_at": bindparam("now", type_=columns.created_at.type),
        "settled_at": bindparam("now", type_=columns.created_at.type),
        **{name: given.c[name] for name in _GIVEN},
    }
    return (
        insert(Payment.metadata.tables[Payment.__tablename__])
        # PostgreSQL's defaults, and its order: payments are numbered as they are given.
        .from_select(
            list(values),
            select(*values.values()).select_from(given).order_by(given.c.n),
            include_defaults=False,
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
        .returning(columns.id, columns.key)
    )


@cache
def _booking() -> ReturningUpdate[int, str]:
    """SQL: write what settled payments of a régie pay, and give each a number of its receipts."""
    tenant: BindParameter[str] = bindparam("tenant", type_=Text())
    now = bindparam("now", type_=Allocation.created_at.type)
    item, share, credit, paid = (model.__table__.c for model in (
        PaymentItem, Allocation, Credit, Payment,
    ))  # fmt: skip
    items = _listed("item", item.payment_id, item.invoice_id, item.amount)
    meant = insert(PaymentItem).from_select(
        ["tenant_id", "payment_id", "invoice_id", "amount"],
        select(tenant, items.c.payment_id, items.c.invoice_id, items.c.amount).order_by(items.c.n),
        include_defaults=False,
    )
    given = _listed(
        "share", share.payment_id, share.invoice_id, share.amount, share.left_due
    )
    shares = insert(Allocation).from_select(
        ["tenant_id", "created_at", "payment_id", "invoice_id", "amount", "left_due"],
        select(
            tenant, now, given.c.payment_id, given.c.invoice_id, given.c.amount, given.c.left_due
        ).order_by(given.c.n),
    )  # fmt: skip
    left = _listed("credit", credit.payment_id, credit.family_id, credit.amount)
    credits_ = insert(Credit).from_select(
        ["tenant_id", "created_at", "regie", "payment_id", "family_id", "amount"],
        select(
            tenant, now, bindparam("of_regie", type_=Text()), left.c.payment_id, left.c.family_id,
            left.c.amount,
        ).order_by(left.c.n),
    )  # fmt: skip
    payments = _listed("paid", paid.id)
    count = bindparam("count", type_=BigInteger())
    # As `CANTINE-2026-000001`.
    counted = _counting(tenant, bindparam("series", type_=Text()), count).cte("counted")
    last = select(counted.c.value).scalar_subquery()
    number = cast(last - count + payments.c.n, Text)
    padded = func.lpad(number, func.greatest(func.length(number), 6), "0")
    return (
        update(Payment)
        .add_cte(meant.cte("meant"), shares.cte("shares"), credits_.cte("credits"))
        .where(Payment.tenant_id == tenant, Payment.id == payments.c.id)
        .values(receipt_number=func.concat(bindparam("prefix", type_=Text()), padded))
        .returning(Payment.id, Payment.receipt_number)
    )


def _counting(
    tenant: ColumnElement[str], name: ColumnElement[str], count: ColumnElement[int]
) -> ReturningInsert[int]:
    return (
        insert(Counter)
        .values(tenant_id=tenant, name=name, value=count)
        .on_conflict_do_update(
            index_elements=["tenant_id", "name"], set_={"value": Counter.value + count}
        )
        .returning(Counter.value)
    )


@dataclass(frozen=True, slots=True)
class _Settled:
    """A payment that was just settled, with what was meant for each invoice and what it took."""

    payment_id: int
    family_id: int | None
    means: str
    amount: int
    meant: Sequence[tuple[int, int]]
    split: Split


@dataclass(frozen=True, slots=True)
class GivenPayment(NewPayment):
    """A payment whose money is there; a counter adds its visit and the cents handed over."""

    visit: str = ""
    tendered: int | None = None


class Ledger:
    """The only writer of settlements and receipt numbers; `Credits` uses what is left over."""

    def __init__(
        self, session: Session, tenant: str, clock: Clock, events: Events, journal: Journal
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._events = events
        self._journal = journal

    def settle(
        self,
        payment_id: int,
        *,
        means: str,
        paid_at: datetime,
        authorisation: str = "",
        payer: str | None = None,
        noted: Mapping[str, object] = MappingProxyType({}),
        beside: Sequence[CTE] = (),
    ) -> bool:
        """Record that the payment's money is there. False when it already was: once, ever.

        Each invoice takes at most what it still owes; the rest becomes a credit of the family.
        `noted` is what else becomes true of the payment at this moment, and `beside` what is
        written with it, once its invoices are locked, even if it already was there.
        """
        now = self._clock.now()
        # Invoices are locked before payments, everywhere: two who wait for one another never end.
        rows = self._rows(payment_id)
        dues = _dues(rows)
        values: dict[str, object] = {
            "state": PaymentState.SETTLED,
            "means": means,
            "paid_at": paid_at,
            "settled_at": now,
            "authorisation": authorisation,
            "anomaly": "",
            "may_be_paid": False,
            **noted,
        }
        if payer is not None:
            values["payer"] = payer
        payment = self._session.execute(
            update(Payment)
            .add_cte(self._released(payment_id).cte("released"), *beside)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state.in_(SOURCES[PaymentState.SETTLED]),
            )
            .values(**values)
            # The journal before the receipt's number, as everywhere.
            .returning(
                Payment.family_id,
                Payment.regie,
                Payment.amount,
                self._journal.lock(Payment.regie),
            )
        ).one_or_none()
        if payment is None:
            return False
        settled = _Settled(
            payment_id,
            payment.family_id,
            means,
            payment.amount,
            [(due.invoice_id, due.balance) for due in dues],
            allocate(payment.amount, dues),
        )
        self._book(payment.regie, now, [settled], {row.invoice_id: row.left for row in rows})
        held = self._session.identity_map.get(
            self._session.identity_key(Payment, (self._tenant, payment_id))
        )
        if held is not None:
            self._session.expire(held, ["receipt_number"])
        return True

    def record(
        self, regie: str, payments: Sequence[GivenPayment], invoices: Mapping[int, Invoice]
    ) -> dict[str, int]:
        """Write payments whose money is there, in their order; tells the id of each by its key.

        Those are passed over whose key has one. Each invoice, of those that are locked, takes at
        most what it still owes after those before; the rest becomes a credit of the family.
        """
        now = self._clock.now()
        listed: dict[str, list[object]] = {
            f"new_{name}": [getattr(one, name) for one in payments] for name in _GIVEN
        }
        told = {"tenant": self._tenant, "now": now, "of_regie": regie}
        ids = {row.key: row.id for row in change(self._session, _recording(), told | listed)}
        owed = {one.id: one.left for one in invoices.values()}
        takes = {one.id: balance_due(one.state, one.left) for one in invoices.values()}
        settled = []
        for one in payments:
            if one.key not in ids:
                continue
            split = allocate(
                one.amount,
                [Due(invoice, min(cents, takes[invoice])) for invoice, cents in one.shares],
            )
            for share in split.shares:
                takes[share.invoice_id] -= share.amount
            settled.append(
                _Settled(
                    ids[one.key], one.family_id, one.means, one.amount, tuple(one.shares), split
                )
            )
        if settled:
            # The payments, the journal, then the receipts' numbers, as everywhere.
            self._journal.open(regie)
            self._book(regie, now, settled, owed, new=True)
        return ids

    def _book(
        self,
        regie: str,
        now: datetime,
        settled: Sequence[_Settled],
        owed: dict[int, int],
        *,
        new: bool = False,
    ) -> None:
        """Write what settled payments pay, number and enter them, and tell of them, in their order.

        `owed` is what their invoices owed before; what was meant for these is written with `new`
        payments. The journal is held.
        """
        left_due = []
        for one in settled:
            for share in one.split.shares:
                left_due.append(max(owed[share.invoice_id] - share.amount, 0))
                owed[share.invoice_id] -= share.amount
        meant = [(one.payment_id, *part) for one in settled if new for part in one.meant]
        shares = [
            (one.payment_id, share.invoice_id, share.amount)
            for one in settled
            for share in one.split.shares
        ]
        left = [one for one in settled if one.split.excess]
        year = today(now).year
        # Past the ORM and the limit of rights: these payments are those that were just settled.
        booked = self._session.connection().execute(
            _booking(),
            {
                "tenant": self._tenant,
                "now": now,
                "of_regie": regie,
                "item_payment_id": [row[0] for row in meant],
                "item_invoice_id": [row[1] for row in meant],
                "item_amount": [row[2] for row in meant],
                "share_payment_id": [row[0] for row in shares],
                "share_invoice_id": [row[1] for row in shares],
                "share_amount": [row[2] for row in shares],
                "share_left_due": left_due,
                "credit_payment_id": [one.payment_id for one in left],
                "credit_family_id": [one.family_id for one in left],
                "credit_amount": [one.split.excess for one in left],
                "paid_id": [one.payment_id for one in settled],
                "count": len(settled),
                "series": f"receipt/{regie}/{year}",
                "prefix": f"{regie}-{year}-",
            },
        )
        receipts = {row.id: row.receipt_number for row in booked}
        self._journal.opened(regie).enter_all(
            [
                (
                    EntryKind.SETTLED,
                    {
                        "payment_id": one.payment_id,
                        "family_id": one.family_id,
                        "receipt": receipts[one.payment_id],
                        "means": one.means,
                        "amount": one.amount,
                    },
                )
                for one in settled
            ]
        )
        self._tell(
            (one.payment_id, one.family_id, [invoice for invoice, _meant in one.meant], one.amount)
            for one in settled
        )

    def classify(
        self, payment_id: int, family_id: int, shares: Sequence[tuple[int, int]], *, actor: str
    ) -> bool:
        """Say whose a settled payment without a family is, and what it pays: (invoice, cents).

        The journal does not move: the money came before. What it pays counts from now on, as the
        use of a credit does. The invoices are locked. False when it is someone's, or came back.
        """
        now = self._clock.now()
        payment = self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state == PaymentState.SETTLED,
                Payment.family_id.is_(None),
                # Some of it may have been given back meanwhile, to whomever brought it.
                ~exists().where(
                    CreditUse.tenant_id == Payment.tenant_id,
                    CreditUse.credit_id == Credit.id,
                    CreditUse.reversed_at.is_(None),
                    Credit.tenant_id == Payment.tenant_id,
                    Credit.payment_id == Payment.id,
                ),
            )
            .values(family_id=family_id, classified_at=now)
            .returning(Payment.amount)
        ).one_or_none()
        if payment is None:
            return False
        credit_id = self._session.scalars(
            update(Credit)
            .where(Credit.tenant_id == self._tenant, Credit.payment_id == payment_id)
            .values(family_id=family_id)
            .returning(Credit.id)
        ).one()
        self._use(credit_id, payment_id, shares, now, actor)
        paid = [invoice for invoice, _cents in shares]
        self._tell([(payment_id, family_id, paid, payment.amount)])
        return True

    def _use(
        self,
        credit_id: int,
        payment_id: int,
        shares: Sequence[tuple[int, int]],
        classified_at: datetime,
        actor: str,
    ) -> None:
        """Pay invoices, (invoice, cents), with the credit that is all a payment left.

        What is paid bears the instant of the classification: a receipt tells by it that this was
        given for these invoices, unlike what a credit paid later.
        """
        owed = {
            row.id: row.left
            for row in self._session.execute(
                select(Invoice.id, Invoice.left.label("left")).where(
                    Invoice.tenant_id == self._tenant,
                    Invoice.id.in_([invoice_id for invoice_id, _cents in shares]),
                )
            )
        }
        for invoice_id, cents in shares:
            use_id = self._session.scalars(
                insert(CreditUse)
                .values(
                    tenant_id=self._tenant,
                    key=f"classified/{payment_id}/{invoice_id}",
                    credit_id=credit_id,
                    invoice_id=invoice_id,
                    amount=cents,
                    actor=actor,
                    created_at=classified_at,
                )
                .returning(CreditUse.id)
            ).one()
            self._session.add_all(
                (
                    PaymentItem(
                        tenant_id=self._tenant,
                        payment_id=payment_id,
                        invoice_id=invoice_id,
                        amount=cents,
                    ),
                    Allocation(
                        tenant_id=self._tenant,
                        payment_id=payment_id,
                        invoice_id=invoice_id,
                        credit_use_id=use_id,
                        amount=cents,
                        created_at=classified_at,
                        left_due=max(owed[invoice_id] - cents, 0),
                    ),
                )
            )
        self._session.flush()

    def _tell(self, settled: Iterable[tuple[int, int | None, Sequence[int], int]]) -> None:
        """Say that payments are there, each once it is known whose: nobody else is to hear of it.

        Each is told by its id, family, invoices and amount.
        """
        events = [
            PaymentSettled(
                id=f"settled-{payment_id}",
                payment_id=payment_id,
                family_id=family_id,
                invoice_ids=tuple(invoice_ids),
                amount=amount,
            )
            for payment_id, family_id, invoice_ids, amount in settled
            if family_id is not None
        ]
        told = [(event.id, asdict(event)) for event in events]
        self._events.emit_many("payment_settled", told, families_per_row=1)

    def reverse(self, payment_id: int, *, reason: str) -> bool:
        """Take a settled payment back; its invoices are due again. False when it is not settled."""
        now = self._clock.now()
        lock_invoices(
            self._session,
            self._tenant,
            self._session.scalars(
                select(Allocation.invoice_id).where(
                    Allocation.tenant_id == self._tenant, Allocation.payment_id == payment_id
                )
            ).all()
        )
        payment = self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state.in_(SOURCES[PaymentState.REVERSED]),
            )
            .values(state=PaymentState.REVERSED, reversed_at=now, reversal_reason=reason)
            .returning(
                Payment.family_id,
                Payment.regie,
                Payment.receipt_number,
                Payment.means,
                Payment.amount,
            )
        ).one_or_none()
        if payment is None:
            return False
        invoice_ids = self._take_back(payment_id, now)
        self._journal.open(payment.regie).enter(
            EntryKind.REVERSED,
            payment_id=payment_id,
            family_id=payment.family_id,
            receipt=payment.receipt_number,
            means=payment.means,
            amount=-payment.amount,
        )
        if payment.family_id is None:  # Nobody was told that it was there.
            return True
        event = PaymentReversed(
            id=f"reversed-{payment_id}",
            payment_id=payment_id,
            family_id=payment.family_id,
            invoice_ids=tuple(sorted(set(invoice_ids))),
            amount=payment.amount,
            reason=reason,
        )
        self._events.emit("payment_reversed", event.id, asdict(event))
        return True

    def _take_back(self, payment_id: int, now: datetime) -> Sequence[int]:
        """Undo what a payment paid and left over; the invoices that it had paid."""
        # The credits first: a use that is being written is waited for, then taken back too.
        credit_ids = self._session.scalars(
            update(Credit)
            .where(
                Credit.tenant_id == self._tenant,
                Credit.payment_id == payment_id,
                Credit.reversed_at.is_(None),
            )
            .values(reversed_at=now)
            .returning(Credit.id)
        ).all()
        invoice_ids = self._session.scalars(
            update(Allocation)
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.payment_id == payment_id,
                Allocation.reversed_at.is_(None),
            )
            .values(reversed_at=now)
            .returning(Allocation.invoice_id)
        ).all()
        self._session.execute(
            update(PaymentTitle)
            .where(PaymentTitle.tenant_id == self._tenant, PaymentTitle.payment_id == payment_id)
            .values(live=False)
        )
        if credit_ids:
            # A refund stays: that money did go back.
            self._session.execute(
                update(CreditUse)
                .where(
                    CreditUse.tenant_id == self._tenant,
                    CreditUse.credit_id.in_(credit_ids),
                    CreditUse.invoice_id.is_not(None),
                    CreditUse.reversed_at.is_(None),
                )
                .values(reversed_at=now)
            )
        return invoice_ids

    def correct_means(self, payment_id: int, before: str, means: str) -> bool:
        """Move a settled payment from one means to another, by two entries of the journal.

        False, and nothing is done, when it is not settled or came by another means than `before`.
        """
        payment = self._session.execute(
            update(Payment)
            .where(
                Payment.tenant_id == self._tenant,
                Payment.id == payment_id,
                Payment.state == PaymentState.SETTLED,
                Payment.means == before,
            )
            # The change was that of the cash which was not given.
            .values(means=means, tendered=None)
            .returning(
                Payment.family_id, Payment.regie, Payment.receipt_number, Payment.amount
            )
        ).one_or_none()
        if payment is None:
            return False
        journal = self._journal.open(payment.regie)
        for name, cents in ((before, -payment.amount), (means, payment.amount)):
            journal.enter(
                EntryKind.CORRECTED,
                payment_id=payment_id,
                family_id=payment.family_id,
                receipt=payment.receipt_number,
                means=name,
                amount=cents,
            )
        return True

    def release(self, payment_id: int) -> None:
        """Let other attempts pay the invoices of this one."""
        self._session.execute(self._released(payment_id))

    def _released(self, payment_id: int) -> Update:
        return (
            update(PaymentItem)
            .where(PaymentItem.tenant_id == self._tenant, PaymentItem.payment_id == payment_id)
            .values(live=False)
        )

    def take_back(self, payment_id: int) -> bool:
        """Hold the invoices of a payment again, whose page the payer goes back to.

        False, and nothing is held, when another attempt holds one of them, or when one no longer
        takes what the payment would bring. They stay locked.
        """
        dues = self._dues(payment_id)
        meant = self._session.scalars(
            select(Payment.amount).where(
                Payment.tenant_id == self._tenant, Payment.id == payment_id
            )
        ).one()
        ids = [due.invoice_id for due in dues]
        others = exists().where(
            items_with_payments(),
            PaymentItem.tenant_id == self._tenant,
            PaymentItem.invoice_id.in_(ids),
            PaymentItem.payment_id != payment_id,
            holds(),
        )
        if sum(due.balance for due in dues) < meant or self._session.scalar(select(others)):
            return False
        self._session.execute(
            update(PaymentItem)
            .where(PaymentItem.tenant_id == self._tenant, PaymentItem.payment_id == payment_id)
            .values(live=True)
        )
        return True

    def lock(self, payment_id: int) -> None:
        """Lock the invoices of a payment, then the payment: whoever else writes on it waits."""
        self._rows(payment_id)
        self._session.execute(
            select(Payment.id)
            .where(Payment.tenant_id == self._tenant, Payment.id == payment_id)
            # Rows that point to it may still come: they are written before and beside this.
            .with_for_update(key_share=True)
        )

    def lock_payments(self, payment_ids: Collection[int]) -> None:
        """Lock several payments, then their credits; the caller has locked their invoices."""
        for row in (Payment, Credit):
            key = row.id if row is Payment else Credit.payment_id
            self._session.execute(
                select(row.id)
                .where(row.tenant_id == self._tenant, key.in_(list(payment_ids)))
                .order_by(row.id)
                .with_for_update(key_share=row is Payment)
            )

    def due(self, payment_id: int) -> int:
        """Cents of the payment that its invoices may still take; the invoices stay locked."""
        return sum(due.balance for due in self._dues(payment_id))

    def _dues(self, payment_id: int) -> list[Due]:
        """Cents of a payment for each of its invoices, locked, in the order of its items."""
        return _dues(self._rows(payment_id))

    def _rows(self, payment_id: int) -> list[Any]:
        """A payment's invoices, locked, with what was meant for each and what it still owes."""
        rows = read(
            self._session, _dues_to_lock(), {"tenant": self._tenant, "payment": payment_id}
        )
        return sorted(rows, key=attrgetter("item"))

    def next_number(self, name: str) -> int:
        """The next number of a gap-free series: the row stays locked until the commit."""
        counted = _counting(literal(self._tenant), literal(name), literal(1))
        return self._session.scalars(counted).one()


def _dues(rows: Sequence[Any]) -> list[Due]:
    # Never more to an invoice than the payer meant for it, nor than it still owes.
    return [
        Due(row.invoice_id, min(row.meant, balance_due(row.state, row.left))) for row in rows
    ]
