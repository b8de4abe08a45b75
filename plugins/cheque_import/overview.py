"""Data of the pages: cheques with their best explanation, counts, and totals to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from core.plugin import FamilyInfo, InvoiceInfo, TenantContext
from plugins.cheque_import.matcher.normalise import bare, words
from plugins.cheque_import.models import (
    PENDING,
    Cheque,
    ChequeBatch,
    ChequeEvent,
    ChequeProposal,
    ChequeState,
)

_FOUND = 20
_BATCHES = 5

Totals = dict[str, tuple[int, int]]
"""(number of cheques, cents) by state."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal with the names of what it points to."""

    proposal: ChequeProposal
    family: FamilyInfo | None
    invoices: tuple[tuple[InvoiceInfo | None, int], ...]


@dataclass(frozen=True, slots=True)
class Posted:
    """Posting of an accepted cheque: its family, the parts, and the cents left as a credit."""

    family: FamilyInfo | None
    invoices: tuple[tuple[InvoiceInfo | None, int], ...]
    excess: int


@dataclass(frozen=True, slots=True)
class Pile:
    """A batch as it stands now, beside what its paper slip says."""

    batch: ChequeBatch
    totals: Totals

    @property
    def count(self) -> int:
        """Number of cheques in the batch."""
        return sum(count for count, _cents in self.totals.values())

    @property
    def cents(self) -> int:
        """Total of the batch's cheques, in cents."""
        return sum(cents for _count, cents in self.totals.values())

    @property
    def waiting(self) -> int:
        """Number of the batch's cheques that wait for a decision."""
        return sum(self.totals.get(state, (0, 0))[0] for state in PENDING)

    @property
    def gap(self) -> int | None:
        """The control total less what is there, in cents; None when none was given."""
        control = self.batch.control_total
        return None if control is None else control - self.cents

    @property
    def count_gap(self) -> int | None:
        """The control count less what is there; None when none was given."""
        control = self.batch.control_count
        return None if control is None else control - self.count


class Overview:
    """Reads the cheques of one town; changes nothing."""

    def __init__(self, ctx: TenantContext) -> None:
        self._ctx = ctx
        self._town = ctx.town.slug

    def counts(self, regie: str) -> Totals:
        """The régie's cheques by state."""
        return self._totals(Cheque.regie == regie)

    def piles(self, regie: str) -> list[Pile]:
        """The last few batches of the régie, the newest first."""
        batches = self._ctx.session.scalars(
            select(ChequeBatch)
            .where(ChequeBatch.tenant_id == self._town, ChequeBatch.regie == regie)
            .order_by(ChequeBatch.id.desc())
            .limit(_BATCHES)
        ).all()
        return [self.pile(batch) for batch in batches]

    def pile(self, batch: ChequeBatch) -> Pile:
        """One batch with its totals."""
        return Pile(batch, self._totals(Cheque.batch_id == batch.id))

    def page(
        self, regie: str, states: Sequence[str], *, after: int, limit: int
    ) -> tuple[list[tuple[Cheque, Shown | None]], int | None]:
        """Cheques in these states with their best explanation; and where the next page starts."""
        rows = self._ctx.session.scalars(
            select(Cheque)
            .where(
                Cheque.tenant_id == self._town,
                Cheque.regie == regie,
                Cheque.state.in_(states),
                Cheque.id > after,
            )
            .order_by(Cheque.id)
            .limit(limit + 1)
        ).all()
        shown = rows[:limit]
        best = {
            proposal.cheque_id: proposal
            for proposal in self._ctx.session.scalars(
                select(ChequeProposal).where(
                    ChequeProposal.tenant_id == self._town,
                    ChequeProposal.cheque_id.in_([row.id for row in shown]),
                    ChequeProposal.rank == 1,
                )
            )
        }
        found = [(row, self._shown(best[row.id]) if row.id in best else None) for row in shown]
        return found, shown[-1].id if len(rows) > limit else None

    def typed(self, batch: ChequeBatch, limit: int) -> Sequence[Cheque]:
        """The last cheques of a batch, the last one first."""
        return self._ctx.session.scalars(
            select(Cheque)
            .where(Cheque.tenant_id == self._town, Cheque.batch_id == batch.id)
            .order_by(Cheque.rank.desc())
            .limit(limit)
        ).all()

    def proposals(self, cheque: Cheque) -> list[Shown]:
        """Every explanation of a cheque, the likeliest first."""
        rows = self._ctx.session.scalars(
            select(ChequeProposal)
            .where(ChequeProposal.tenant_id == self._town, ChequeProposal.cheque_id == cheque.id)
            .order_by(ChequeProposal.rank)
        )
        return [self._shown(row) for row in rows]

    def history(self, cheque: Cheque) -> Sequence[ChequeEvent]:
        """Events of a cheque, from the first to the last."""
        return self._ctx.session.scalars(
            select(ChequeEvent)
            .where(ChequeEvent.tenant_id == self._town, ChequeEvent.cheque_id == cheque.id)
            .order_by(ChequeEvent.id)
        ).all()

    def posted(self, cheque: Cheque) -> Posted | None:
        """Posting of an accepted cheque; None if it is not accepted, or its family was erased."""
        accepted = (
            event.detail
            for event in reversed(self.history(cheque))
            if "shares" in event.detail and event.detail.get("payment") == cheque.payment_id
        )
        detail = next(accepted, None)
        if detail is None or cheque.family_id is None:
            return None
        return Posted(
            self._ctx.families.get(cheque.family_id),
            tuple((self._ctx.invoices.get(invoice), cents) for invoice, cents in detail["shares"]),
            detail["excess"],
        )

    def following(self, cheque: Cheque) -> int | None:
        """The next cheque that a person must see; past the last one, the first again."""
        ids = self._ctx.session.scalars(
            select(Cheque.id)
            .where(
                Cheque.tenant_id == self._town,
                Cheque.regie == cheque.regie,
                Cheque.state == ChequeState.REVIEW,
                Cheque.id != cheque.id,
            )
            .order_by(Cheque.id <= cheque.id, Cheque.id)
            .limit(1)
        )
        return ids.first()

    def search(self, text: str) -> list[FamilyInfo]:
        """Families by code, or by words of any name they may sign with; bounded."""
        wanted = set(words(text))
        found = [
            number
            for number, code, names in self._ctx.families.names()
            if bare(code) == bare(text) or (wanted and any(wanted <= set(words(n)) for n in names))
        ]
        infos = (self._ctx.families.get(number) for number in sorted(found)[:_FOUND])
        return [info for info in infos if info is not None]

    def parts(self, cheque: Cheque, family: FamilyInfo) -> list[tuple[InvoiceInfo, int]]:
        """The family's invoices of this régie, with the part each would take.

        The oldest first, as the law imputes what the payer left unsaid (Code civil, 1342-10).
        """
        left, parts = cheque.amount, []
        for info in self._ctx.invoices.unpaid(family.id):
            if info.regie == cheque.regie:
                taken = min(left, info.balance)
                left -= taken
                parts.append((info, taken))
        return parts

    def _shown(self, proposal: ChequeProposal) -> Shown:
        return Shown(
            proposal,
            self._ctx.families.get(proposal.family_id),
            tuple((self._ctx.invoices.get(invoice), cents) for invoice, cents in proposal.shares),
        )

    def _totals(self, which: Any) -> Totals:
        rows = self._ctx.session.execute(
            select(Cheque.state, func.count(), func.sum(Cheque.amount))
            .where(Cheque.tenant_id == self._town, which)
            .group_by(Cheque.state)
        )
        return {state: (count, int(cents)) for state, count, cents in rows}
