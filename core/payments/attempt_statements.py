"""Statements of an attempt to pay: what stands in its way, reserving invoices, noting its start.

Each is put together once, since a parent waits for it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    SQLColumnExpression,
    Text,
    and_,
    any_,
    bindparam,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import aliased

from core.domain.payment_states import PaymentState
from core.domain.start_refusals import CONSEQUENCES, RefusalKind
from core.families.models import Family
from core.invoices.models import Invoice
from core.payments.models import Payment, PaymentItem, holds, items_with_payments
from core.payments.watching import watched


def is_in_the_way() -> ColumnElement[bool]:
    """SQL: who pays an invoice of this attempt has to look at it first."""
    return or_(holds(), Payment.state == PaymentState.PENDING)


def ids_beside(
    tenant: str | BindParameter[str],
    invoice_ids: ColumnElement[Any],
    which: ColumnElement[bool],
) -> ColumnElement[Any]:
    """SQL: the online attempts for one of the invoices of which `which` is true.

    An array that is filled first: where PostgreSQL does not know yet how many payments a town has,
    it would hold each of them against each item.
    """
    return func.array(
        select(PaymentItem.payment_id)
        .join(Payment, items_with_payments())
        .where(
            PaymentItem.tenant_id == tenant,
            PaymentItem.invoice_id == any_(invoice_ids),
            Payment.provider != "",
            Payment.state != PaymentState.SETTLED,
            Payment.state != PaymentState.REVERSED,
            which,
        )
        .scalar_subquery()
    )


@cache
def look_up() -> Select[*tuple[Any, ...]]:
    """SQL: the payment of a key, if it is there, and the attempts that are in a new one's way."""
    tenant: BindParameter[str] = bindparam("tenant")
    known = select(Payment.id).where(Payment.tenant_id == tenant, Payment.key == bindparam("key"))
    ids = bindparam("invoices", type_=ARRAY(BigInteger))
    return select(known.scalar_subquery(), ids_beside(tenant, ids, is_in_the_way()))


_GIVEN = (
    "tenant_id", "key", "family_id", "regie", "provider", "amount", "email", "language",
    "created_at", "starting_at",
)  # fmt: skip
"""What `reserve` is told of a new payment, each with the name of its column behind ``new_``."""


@cache
def reserve() -> Select[*tuple[Any, ...]]:
    """SQL: write a payment, reserve its invoices, and read what its provider is told of them."""
    column = Payment.__table__.c
    given = {name: bindparam(f"new_{name}", type_=column[name].type) for name in _GIVEN}
    payer = select(Family.name).where(
        Family.tenant_id == given["tenant_id"], Family.id == given["family_id"]
    )
    made = (
        insert(Payment)
        .values(**given, state=PaymentState.CREATED, payer=payer.scalar_subquery())
        .returning(*column)
        .cte("made")
    )
    items = (
        insert(PaymentItem)
        .from_select(
            ["tenant_id", "payment_id", "invoice_id", "amount", "live"],
            select(
                made.c.tenant_id,
                made.c.id,
                func.unnest(bindparam("invoices", type_=ARRAY(BigInteger))),
                func.unnest(bindparam("amounts", type_=ARRAY(BigInteger))),
                true(),
            ),
        )
        .returning(PaymentItem.id, PaymentItem.invoice_id, PaymentItem.amount)
        .cte("items")
    )
    return (
        invoices_to_pay(items.c.amount)
        .add_columns(aliased(Payment, made))
        .join(items, items.c.invoice_id == Invoice.id)
        .join(made, made.c.tenant_id == Invoice.tenant_id)
        .order_by(items.c.id)
    )


@cache
def note_start() -> Select[*tuple[Any, ...]]:
    """SQL: keep how the provider calls a payment, unless it was given up, and ask after it later.

    Takes what a payment that opened disproves off what waits for the office.
    """
    tenant: BindParameter[str] = bindparam("tenant", type_=Text())
    number: BindParameter[int] = bindparam("payment", type_=BigInteger())
    of_the_regie = [kind for kind in RefusalKind if CONSEQUENCES[kind].resolved_by_regie]
    invoices = select(PaymentItem.invoice_id).where(
        PaymentItem.tenant_id == tenant, PaymentItem.payment_id == number
    )
    of_the_invoices = select(PaymentItem.payment_id).where(
        PaymentItem.tenant_id == tenant, PaymentItem.invoice_id.in_(invoices)
    )
    resolved = (
        update(Payment)
        .where(
            Payment.tenant_id == tenant,
            Payment.anomaly != "",
            Payment.start_refusal != "",
            Payment.provider == bindparam("opened_by", type_=Text()),
            or_(
                and_(
                    Payment.regie == bindparam("opened_in", type_=Text()),
                    Payment.start_refusal.in_(of_the_regie),
                ),
                Payment.id.in_(of_the_invoices),
            ),
        )
        .values(anomaly="")
        .cte("resolved")
    )
    column = Payment.__table__.c
    started = (
        update(Payment)
        .where(
            Payment.tenant_id == tenant,
            Payment.id == number,
            Payment.state == PaymentState.CREATED,
        )
        .values(
            state=PaymentState.PENDING,
            **{name: bindparam(f"new_{name}", type_=column[name].type) for name in _OPENED},
        )
        .returning(Payment.id)
        .cte("started")
    )
    return select(started.c.id).add_cte(resolved, watched(started).cte("watched"))


_OPENED = ("provider_reference", "provider_url", "payer_reference", "asked")


def invoices_to_pay(amount: SQLColumnExpression[int]) -> Select[*tuple[Any, ...]]:
    """SQL: an invoice as `InvoiceToPay` says it, with the cents that are paid of it."""
    return select(
        Invoice.number,
        Invoice.payment_reference,
        Invoice.label,
        Invoice.fiscal_year,
        amount.label("amount"),
    )
