"""Invoices as families see them: unpaid, paid, one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Insert,
    Row,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from core.api.context import Clock, InvoiceInfo
from core.api.invoices import InvoiceKind
from core.api.messages import Document as FinishedDocument
from core.families.models import Child, Family, FamilyChild
from core.invoices.files import Files
from core.invoices.lines import LineInfo
from core.invoices.models import Invoice, InvoiceLine, InvoiceState, RegieCalendar
from core.invoices.money import Money
from core.invoices.papers import InvoicePapers
from core.invoices.sheets import InvoiceSheets
from core.links.models import OneTimeToken
from core.links.payment import PAYMENT_LINK, PAYMENT_LINK_LIFE
from core.platform.db.limits import WHOLE_TOWN
from core.platform.db.session import change, read
from core.platform.documents import render
from core.platform.documents.render import Paper
from core.platform.documents.sheets import InvoiceSheet
from core.platform.signing import new_token, token_hash

SHARED_FOR = timedelta(days=400)
"""Time that another home's lines for a child are shown: a school year, and its late bills."""

PREFETCH_LIFE = timedelta(seconds=5)
"""Time that invoices read together stay true enough to be written to a family."""

SHOWN = (InvoiceState.PUBLISHED, InvoiceState.HANDED_OVER)


def overpaid(invoice: Invoice) -> int:
    """Count the cents that an invoice was paid beyond what its credit notes leave of it."""
    return max(min(-invoice.left, invoice.paid), 0)


def is_shown() -> ColumnElement[bool]:
    """SQL: families see `Invoice`."""
    # Not `in_`: SQLAlchemy would put its values into the statement anew at each execution.
    return or_(*(Invoice.state == state for state in SHOWN))


def is_due() -> ColumnElement[bool]:
    """SQL: `Invoice` is published and not settled (what the index ix_invoice_left holds)."""
    return and_(
        Invoice.state == InvoiceState.PUBLISHED,
        Invoice.kind == InvoiceKind.INVOICE,
        Invoice.left > 0,
    )


def is_to_pay() -> ColumnElement[bool]:
    """SQL: the family is to pay `Invoice`: it is due, and no direct debit takes it."""
    return and_(is_due(), ~Invoice.direct_debit)


def is_under_debit() -> ColumnElement[bool]:
    """SQL: a recurring direct debit takes what is left of `Invoice`, on its `debit_day`."""
    return and_(is_due(), Invoice.direct_debit)


def debit_day() -> ColumnElement[date]:
    """SQL: the day on which a direct debit takes `Invoice`: its own, else its due date."""
    return func.coalesce(Invoice.debit_on, Invoice.due_on)


def is_overpaid() -> ColumnElement[bool]:
    """SQL: `Invoice` was paid before a credit note came, so that money is to go back."""
    return and_(Invoice.credited > 0, Invoice.left < 0, Invoice.paid > 0)


def closing_day() -> ColumnElement[date | None]:
    """SQL: the last day to pay `Invoice` here: its own, else by its régie's calendar, else NULL."""
    by_rule = (
        select(Invoice.due_on + RegieCalendar.closing_days)
        .where(
            RegieCalendar.tenant_id == Invoice.tenant_id, RegieCalendar.regie == Invoice.regie
        )
        .correlate(Invoice)
        .scalar_subquery()
    )
    return func.coalesce(Invoice.closes_on, by_rule)


_STATED = (
    Invoice.id,
    Invoice.family_id,
    Invoice.regie,
    Invoice.number,
    Invoice.payment_reference,
    Invoice.label,
    Invoice.amount,
    Invoice.issued_on,
    Invoice.due_on,
    Invoice.state,
    Invoice.kind,
    Invoice.direct_debit,
    Invoice.debit_on,
    Invoice.debit_rejected_on,
    Invoice.credited,
)
"""Columns told of an invoice. Not the whole object: to build it takes longer than the query."""


# Its columns are what `_info` takes apart.
def _select(money: Money) -> Select[*tuple[Any, ...]]:
    return select(
        *_STATED,
        Invoice.left.label("left"),
        closing_day().label("closes_on"),
        money.under_way().label("under_way"),
    )


# What is asked again and again is put together once: that takes as long as asking it.


@cache
def _several(money: Money) -> Select[*tuple[Any, ...]]:
    ids = bindparam("ids", type_=ARRAY(BigInteger))
    return (
        _select(money)
        .where(
            Invoice.tenant_id == bindparam("tenant"),
            Invoice.id == any_(ids),
            is_shown(),
        )
        .order_by(Invoice.due_on, Invoice.id)
    )


@cache
def _seen(money: Money) -> Select[*tuple[Any, ...]]:
    return _several(money).where(Invoice.family_id == bindparam("family"))


@cache
def _unpaid(money: Money) -> Select[*tuple[Any, ...]]:
    return _owed(money).where(Invoice.family_id == bindparam("family"))


@cache
def _unpaid_by(money: Money) -> Select[*tuple[Any, ...]]:
    return _owed(money).where(
        Invoice.family_id == any_(bindparam("families", type_=ARRAY(BigInteger)))
    )


def _owed(money: Money) -> Select[*tuple[Any, ...]]:
    return (
        _select(money)
        .where(
            Invoice.tenant_id == bindparam("tenant"),
            is_shown(),
            Invoice.kind == InvoiceKind.INVOICE,
            Invoice.left > 0,
        )
        .order_by(Invoice.due_on, Invoice.id)
    )


@cache
def _unpaid_with_lines(money: Money) -> Select[*tuple[Any, ...]]:
    lines = (
        select(
            func.json_agg(
                aggregate_order_by(
                    func.json_build_array(
                        InvoiceLine.activity,
                        func.coalesce(Child.label, ""),
                        InvoiceLine.tax_kind,
                        # As text: a number of JSON would lose what a decimal says.
                        cast(InvoiceLine.quantity, Text),
                        InvoiceLine.unit_price,
                        InvoiceLine.amount,
                        InvoiceLine.rank,
                    ),
                    InvoiceLine.rank,
                )
            )
        )
        .select_from(InvoiceLine)
        .outerjoin(
            Child,
            and_(Child.tenant_id == InvoiceLine.tenant_id, Child.id == InvoiceLine.child_id),
        )
        .where(
            InvoiceLine.tenant_id == Invoice.tenant_id, InvoiceLine.invoice_id == Invoice.id
        )
        .correlate(Invoice)
        .scalar_subquery()
    )
    return _unpaid(money).add_columns(lines.label("lines"), _sees_another_home().label("shares"))


def _sees_another_home() -> ColumnElement[bool]:
    """SQL: the family sees another home's lines for one of its children."""
    return exists().where(
        FamilyChild.tenant_id == bindparam("tenant"),
        FamilyChild.family_id == bindparam("family"),
        FamilyChild.sees_all,
    )


@cache
def _shared() -> Select[*tuple[Any, ...]]:
    line = InvoiceLine
    return (
        select(
            Invoice.id,
            Invoice.regie,
            Invoice.label,
            Invoice.issued_on,
            Child.id,
            Child.label,
            # As `LineInfo` has them, the child apart.
            line.activity,
            line.tax_kind,
            line.quantity,
            line.unit_price,
            line.amount,
            line.rank,
        )
        .join(line, and_(line.tenant_id == Invoice.tenant_id, line.invoice_id == Invoice.id))
        .join(
            FamilyChild,
            and_(
                FamilyChild.tenant_id == line.tenant_id, FamilyChild.child_id == line.child_id
            ),
        )
        .join(Child, and_(Child.tenant_id == FamilyChild.tenant_id, Child.id == line.child_id))
        .where(
            FamilyChild.tenant_id == bindparam("tenant"),
            FamilyChild.family_id == bindparam("family"),
            FamilyChild.sees_all,
            Invoice.family_id != bindparam("family"),
            Invoice.kind == InvoiceKind.INVOICE,
            Invoice.issued_on > bindparam("since"),
            is_shown(),
        )
        .order_by(Invoice.issued_on.desc(), Invoice.id.desc(), Child.label_folded, line.rank)
    )


@dataclass(frozen=True, slots=True)
class SharedPart:
    """Lines of another home's invoice for one child that this home sees in full."""

    regie: str
    label: str
    child: str
    issued_on: date
    lines: tuple[LineInfo, ...]

    @property
    def amount(self) -> int:
        """Cents of this child's lines. The invoice may be more, and is nobody else's business."""
        return sum(line.amount for line in self.lines)


@dataclass(frozen=True, slots=True)
class CreditNote:
    """An *avoir*: what the town takes back of an invoice. `amount` is in cents, zero or below."""

    id: int
    regie: str
    number: str
    label: str
    amount: int
    issued_on: date
    origin_number: str
    """The invoice that it corrects; "" for none."""


@dataclass(slots=True)
class _Round:
    """A block of `Invoices.together`: its families, what they owe once it was read, its links."""

    family_ids: frozenset[int]
    owed: dict[int, list[InvoiceInfo]] | None = None
    links: list[dict[str, Any]] = field(default_factory=list)


class Invoices:
    """The invoices of one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        money: Money,
        files: Files,
        sheets: InvoiceSheets,
        base_url: str,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._money = money
        self._files = files
        self._sheets = sheets
        self._papers = InvoicePapers(session, tenant, clock)
        self._base_url = base_url
        self._in_hand: dict[int, InvoiceInfo | None] = {}
        self._hand_until = self._clock.now()
        self._round: _Round | None = None

    def unpaid(self, family_id: int) -> Sequence[InvoiceInfo]:
        """Invoices that this family still owes, oldest due date first."""
        if self._round and family_id in self._round.family_ids:
            return self._owed_in(self._round).get(family_id, [])
        return self._infos(_unpaid(self._money), family=family_id)

    @contextmanager
    def together(self, family_ids: Collection[int]) -> Iterator[None]:
        """Answer for several families at once.

        In the block, the first `unpaid` reads what all of them owe; its payment links are written
        at its end, in one statement.
        """
        current = self._round = _Round(frozenset(family_ids))
        try:
            yield
        finally:
            self._round = None
        if current.links:
            change(self._session, _linking(), current.links)

    def _owed_in(self, current: _Round) -> dict[int, list[InvoiceInfo]]:
        if current.owed is None:
            current.owed = defaultdict(list)
            for invoice in self._infos(_unpaid_by(self._money), families=list(current.family_ids)):
                current.owed[invoice.family_id].append(invoice)
        return current.owed

    def page(
        self, family_id: int
    ) -> tuple[Sequence[tuple[InvoiceInfo, Sequence[LineInfo]]], Sequence[SharedPart]]:
        """Invoices that this family still owes, as `unpaid`, with their lines; and `shared`."""
        values = {"tenant": self._tenant, "family": family_id}
        rows = read(self._session, _unpaid_with_lines(self._money), values).all()
        unpaid = [(_info(row[:-2]), list(map(_line_of_json, row.lines or ()))) for row in rows]
        # Most families share no child with a home whose lines they see: their rows say so.
        shares = rows[0].shares if rows else True
        return unpaid, self.shared(family_id) if shares else ()

    def get(self, invoice_id: int) -> InvoiceInfo | None:
        """One published invoice, or None."""
        return next(iter(self.several([invoice_id])), None)

    def seen_by(self, family_id: int, invoice_ids: Sequence[int]) -> Sequence[InvoiceInfo]:
        """Those of `invoice_ids` that are published and this family's. See `shared`."""
        return self._infos(_seen(self._money), family=family_id, ids=list(invoice_ids))

    def several(self, invoice_ids: Sequence[int]) -> Sequence[InvoiceInfo]:
        """Those of `invoice_ids` that are published, oldest due date first."""
        if self._clock.now() < self._hand_until and self._in_hand.keys() >= set(invoice_ids):
            found = [self._in_hand[number] for number in invoice_ids]
            shown = [invoice for invoice in found if invoice is not None]
            return sorted(shown, key=lambda invoice: (invoice.due_on, invoice.id))
        return self._infos(_several(self._money), ids=list(invoice_ids))

    @contextmanager
    def prefetch(self, invoice_ids: Collection[int]) -> Iterator[None]:
        """Read invoices at once: in the block, `several` asks no more for `PREFETCH_LIFE`."""
        self._in_hand = dict.fromkeys(invoice_ids)
        if invoice_ids:
            found = self._infos(_several(self._money), ids=list(invoice_ids))
            self._in_hand |= {invoice.id: invoice for invoice in found}
        self._hand_until = self._clock.now() + PREFETCH_LIFE
        try:
            yield
        finally:
            self._in_hand = {}

    def by_number(self, number: str) -> Sequence[InvoiceInfo]:
        """The published invoices with this number."""
        return self._infos(self._select().where(Invoice.number == number, is_shown()))

    def open_in(self, regie: str) -> Sequence[InvoiceInfo]:
        """Every published, unsettled invoice of a régie."""
        return self._infos(
            self._select()
            .where(Invoice.regie == regie, is_due())
            .order_by(Invoice.due_on, Invoice.id)
        )

    def credit_notes(self, family_id: int) -> Sequence[CreditNote]:
        """The published credit notes of this family, newest first."""
        rows = self._session.execute(
            select(
                Invoice.id,
                Invoice.regie,
                Invoice.number,
                Invoice.label,
                Invoice.amount,
                Invoice.issued_on,
                Invoice.origin_number,
            )
            .where(
                Invoice.tenant_id == self._tenant,
                Invoice.family_id == family_id,
                is_shown(),
                Invoice.kind == InvoiceKind.CREDIT_NOTE,
            )
            .order_by(Invoice.issued_on.desc(), Invoice.id.desc())
        )
        return [CreditNote(**row) for row in rows.mappings()]

    def shared(self, family_id: int) -> Sequence[SharedPart]:
        """Lines of other homes' invoices for the children that this family sees in full.

        The children's lines of the last `SHARED_FOR`, newest first, and nothing else of those
        invoices: neither whose they are, nor what is left of them. They are the other home's to
        pay, and in no sum of this one.
        """
        values = {
            "tenant": self._tenant,
            "family": family_id,
            "since": self._clock.now().date() - SHARED_FOR,
        }
        found: dict[tuple[int, int], SharedPart] = {}
        for invoice_id, regie, label, issued_on, child_id, child, *line in read(
            self._session, _shared(), values
        ):
            key = invoice_id, child_id
            part = found.get(key) or SharedPart(regie, label, child, issued_on, ())
            found[key] = replace(part, lines=(*part.lines, LineInfo(line[0], child, *line[1:])))
        return list(found.values())

    def lines(self, invoice_id: int) -> Sequence[LineInfo]:
        """The lines of an invoice, in order."""
        rows = self._session.execute(
            select(InvoiceLine, Child.label)
            .outerjoin(
                Child,
                and_(Child.tenant_id == InvoiceLine.tenant_id, Child.id == InvoiceLine.child_id),
            )
            .where(InvoiceLine.tenant_id == self._tenant, InvoiceLine.invoice_id == invoice_id)
            .order_by(InvoiceLine.rank)
        )
        return [_line(line, label or "") for line, label in rows]

    def children(self, invoice_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        """The names of the children on each invoice's lines, by invoice."""
        found: dict[int, list[str]] = {}
        for invoice_id, name, _folded in self._session.execute(
            select(InvoiceLine.invoice_id, Child.label, Child.label_folded)
            .join(
                Child,
                and_(Child.tenant_id == InvoiceLine.tenant_id, Child.id == InvoiceLine.child_id),
            )
            .where(
                InvoiceLine.tenant_id == self._tenant, InvoiceLine.invoice_id.in_(invoice_ids)
            )
            .distinct()
            .order_by(InvoiceLine.invoice_id, Child.label_folded)
        ):
            found.setdefault(invoice_id, []).append(name)
        return found

    def activities(
        self, child_ids: Collection[int], since: date
    ) -> Mapping[int, Sequence[str]]:
        """Activities that published invoices issued since a day bill for each child, sorted."""
        found: dict[int, list[str]] = {child_id: [] for child_id in child_ids}
        for child_id, activity in self._session.execute(
            select(InvoiceLine.child_id, InvoiceLine.activity)
            .join(
                Invoice,
                and_(
                    Invoice.tenant_id == InvoiceLine.tenant_id,
                    Invoice.id == InvoiceLine.invoice_id,
                ),
            )
            .where(
                InvoiceLine.tenant_id == self._tenant,
                InvoiceLine.child_id.in_(child_ids),
                Invoice.state.in_(SHOWN),
                Invoice.issued_on >= since,
            )
            .distinct()
            .order_by(InvoiceLine.child_id, InvoiceLine.activity)
        ):
            found[child_id or 0].append(activity)
        return found

    def document(self, invoice_id: int, *, keep: bool = False) -> FinishedDocument | None:
        """The invoice's PDF: the source's own, a kept one, else rendered. None if not published.

        With `keep`, a rendered one is kept for the next reader.
        """
        found = self.sheet(invoice_id)
        if not isinstance(found, InvoiceSheet):
            return found
        return self._papers.give(invoice_id, found, keep=keep)

    def paper(self, invoice_id: int) -> Paper | FinishedDocument | None:
        """The invoice before it is set, or the PDF that its source gave. None if not published."""
        found = self.sheet(invoice_id)
        return render.invoice(found) if isinstance(found, InvoiceSheet) else found

    def sheet_to_print(self, invoice_id: int) -> InvoiceSheet | None:
        """All that the invoice's paper says, if we print it: None where its source did."""
        invoice = self._shown(invoice_id)
        # The source's own is not read to be thrown away: it may be in another machine's store.
        return None if invoice is None or invoice.document_id else self._sheet(invoice)

    def sheet(self, invoice_id: int) -> InvoiceSheet | FinishedDocument | None:
        """All that the invoice says, or the PDF that its source gave. None if not published."""
        invoice = self._shown(invoice_id)
        if invoice is None:
            return None
        if invoice.document_id is not None:
            return self._files.get(invoice.document_id)
        return self._sheet(invoice)

    def _shown(self, invoice_id: int) -> Invoice | None:
        invoice = self._session.get(
            Invoice, (self._tenant, invoice_id), populate_existing=True
        )
        return invoice if invoice is not None and invoice.state in SHOWN else None

    def _sheet(self, invoice: Invoice) -> InvoiceSheet | None:
        info = self.get(invoice.id)
        if info is None:
            return None
        return self._sheets.of(invoice, info, self.lines(invoice.id))

    def names_child(self, family_id: int, child_id: int) -> bool:
        """True if an invoice of the family, of whatever régie, names the child."""
        return bool(
            self._session.scalar(
                select(
                    exists().where(
                        InvoiceLine.tenant_id == self._tenant,
                        InvoiceLine.child_id == child_id,
                        Invoice.tenant_id == self._tenant,
                        Invoice.id == InvoiceLine.invoice_id,
                        Invoice.family_id == family_id,
                    )
                ),
                execution_options={WHOLE_TOWN: True},
            )
        )

    def ids_to_print(self, batch_id: int) -> Sequence[int]:
        """The published invoices of an import, by the families' codes, as envelopes are sorted."""
        return self._session.scalars(
            select(Invoice.id)
            .join(
                Family,
                and_(Family.tenant_id == Invoice.tenant_id, Family.id == Invoice.family_id),
            )
            .where(Invoice.tenant_id == self._tenant, Invoice.batch_id == batch_id, is_shown())
            .order_by(Family.code, Invoice.id)
        ).all()

    def payment_link(self, invoice_ids: int | Collection[int], family_id: int) -> str:
        """An absolute URL that opens on paying these invoices once, within half an hour."""
        ids = {invoice_ids} if isinstance(invoice_ids, int) else set(invoice_ids)
        token = new_token()
        link = {
            "tenant_id": self._tenant,
            "token_hash": token_hash(token),
            "purpose": PAYMENT_LINK,
            "family_id": family_id,
            "payload": {"invoice_ids": sorted(ids)},
            "expires_at": self._clock.now() + PAYMENT_LINK_LIFE,
        }
        if self._round:
            self._round.links.append(link)
        else:
            # One for each invoice of a chat's answer.
            change(self._session, _linking(), link)
        return f"{self._base_url}/payer/{token}"

    def _select(self) -> Select[*tuple[Any, ...]]:
        return _select(self._money).where(Invoice.tenant_id == self._tenant)

    def _infos(self, query: Select[*tuple[Any, ...]], **values: Any) -> list[InvoiceInfo]:
        rows = read(self._session, query, {"tenant": self._tenant, **values}).all()
        return [_info(row) for row in rows]


@cache
def _linking() -> Insert:
    return insert(OneTimeToken.metadata.tables[OneTimeToken.__tablename__])


def _line(line: InvoiceLine, child: str) -> LineInfo:
    return LineInfo(
        line.activity, child, line.tax_kind, line.quantity, line.unit_price, line.amount, line.rank
    )


def _line_of_json(line: Sequence[Any]) -> LineInfo:
    activity, child, tax_kind, quantity, unit_price, amount, rank = line
    return LineInfo(
        activity,
        child,
        tax_kind,
        None if quantity is None else Decimal(quantity),
        unit_price,
        amount,
        rank,
    )


def _info(row: Row[*tuple[Any, ...]] | Sequence[Any]) -> InvoiceInfo:
    # By place, not by name: names cost as much as asking, where rows are many.
    (
        id_, family_id, regie, number, reference, label, amount, issued_on, due_on, state, kind,
        direct_debit, debit_on, debit_rejected_on, credited, left, closes_on, under_way,
    ) = row  # fmt: skip
    balance = max(left, 0)
    collected = balance > 0 and state == InvoiceState.PUBLISHED and kind == InvoiceKind.INVOICE
    debited = collected and direct_debit
    return InvoiceInfo(
        id=id_,
        family_id=family_id,
        regie=regie,
        number=number,
        payment_reference=reference,
        label=label,
        amount=amount,
        balance=balance,
        issued_on=issued_on,
        due_on=due_on,
        payable=collected and not direct_debit,
        credited=credited,
        closes_on=closes_on,
        handed_over=state == InvoiceState.HANDED_OVER,
        under_way=under_way,
        debited_on=(debit_on or due_on) if debited else None,
        debit_rejected_on=debit_rejected_on if collected and not direct_debit else None,
    )
