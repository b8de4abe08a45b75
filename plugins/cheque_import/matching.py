"""Matching the undecided cheques of a régie, all at once, on one snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Text, cast, delete, insert, or_, select

from core.plugin import TenantContext
from plugins.cheque_import import history, snapshots
from plugins.cheque_import import matcher as m
from plugins.cheque_import.accounts import learnt
from plugins.cheque_import.matcher.evidence import one_slip
from plugins.cheque_import.models import (
    IN_PORTFOLIO,
    PENDING,
    Cheque,
    ChequeProposal,
    ChequeState,
)
from plugins.cheque_import.records import plain
from plugins.cheque_import.settings import ChequeSettings
from plugins.cheque_import.validity import blockers, notes

_CHUNK = 500


class Matching:
    """Asks the matcher about the cheques of one town, and keeps its proposals."""

    def __init__(self, ctx: TenantContext, settings: ChequeSettings) -> None:
        self._ctx = ctx
        self._settings = settings

    def rematch(self, regie: str) -> None:
        """Match every cheque of the régie that is not posted anew, on one snapshot.

        The whole queue at once: how files were cut or ordered then makes no difference. What a
        person left to classify gets fresh proposals, and stays where it was put.
        """
        history.hold(self._ctx, regie)
        waiting = self.waiting(regie)
        found = self.matches(regie, waiting)
        self.forget([cheque.id for cheque in waiting])
        now = self._ctx.clock.now()
        rows = []
        for cheque, one in zip(waiting, found, strict=True):
            if cheque.state in PENDING:
                certain = one.state is m.State.CERTAIN
                cheque.state = ChequeState.CERTAIN if certain else ChequeState.REVIEW
            cheque.warnings = list(one.warnings)
            rows += [
                {
                    "tenant_id": self._ctx.town.slug, "cheque_id": cheque.id, "rank": rank,
                    "family_id": proposal.family_id, "shares": [list(s) for s in proposal.shares],
                    "gap": proposal.gap, "confidence": proposal.confidence,
                    "rule": str(proposal.rule), "reasons": list(proposal.reasons),
                    "scores": dict(proposal.scores), "algorithm": proposal.algorithm,
                    "snapshot_at": now,
                }
                for rank, proposal in enumerate(one.proposals, 1)
            ]  # fmt: skip
        if rows:
            self._ctx.session.execute(insert(ChequeProposal), rows)
        self._ctx.session.flush()

    def families_named(self, cheque: Cheque) -> set[int]:
        """The families that the cheque's proposals name."""
        return set(
            self._ctx.session.scalars(
                select(ChequeProposal.family_id).where(
                    ChequeProposal.tenant_id == self._ctx.town.slug,
                    ChequeProposal.cheque_id == cheque.id,
                )
            )
        )

    def follow(self, cheque: Cheque, families: Iterable[int]) -> None:
        """Match the queue anew, if what a person decided on a cheque tells of another one in it.

        Another one of this account, or of one a digit away, or that is likeliest of `families`.
        """
        tenant = self._ctx.town.slug
        meant = select(ChequeProposal.cheque_id).where(
            ChequeProposal.tenant_id == tenant,
            ChequeProposal.rank == 1,
            ChequeProposal.family_id.in_(sorted(families)),
        )
        alike: list[ColumnElement[bool]] = [Cheque.id.in_(meant)]
        account = learnt(cheque)
        if account:
            alike += [
                Cheque.account == account,
                cast(Cheque.near_accounts, Text).contains(account),
            ]
        other = select(Cheque.id).where(
            Cheque.tenant_id == tenant, Cheque.regie == cheque.regie, Cheque.id != cheque.id,
            Cheque.state.in_((*PENDING, ChequeState.TO_CLASSIFY)), or_(*alike),
        )  # fmt: skip
        if self._ctx.session.scalar(other.limit(1)) is not None:
            self.rematch(cheque.regie)
        self.tell_others(cheque.regie, {cheque.account, account})

    def tell_others(self, regie: str, accounts: Collection[str] | None = None) -> None:
        """Match the queues of other régies anew that hold cheques of these accounts.

        Of none given, those of this régie's own queue: what one pile tells of an account, or that
        one more cheque of it is there, is news for the other. Where somebody is at work, what he
        does matches that queue anew.
        """
        tenant = self._ctx.town.slug
        if accounts is None:
            accounts = self._ctx.session.scalars(
                select(Cheque.account).where(
                    Cheque.tenant_id == tenant, Cheque.regie == regie, Cheque.state.in_(PENDING)
                )
            ).all()
        wanted = sorted(set(accounts) - {""})
        others: set[str] = set()
        for start in range(0, len(wanted), _CHUNK):
            others |= set(
                self._ctx.session.scalars(
                    select(Cheque.regie)
                    .where(
                        Cheque.tenant_id == tenant, Cheque.regie != regie,
                        Cheque.state.in_(PENDING),
                        Cheque.account.in_(wanted[start : start + _CHUNK]),
                    )
                    .distinct()
                )
            )  # fmt: skip
        for other in sorted(others):
            if history.hold_if_free(self._ctx, other):
                self.rematch(other)

    def matches(self, regie: str, cheques: Sequence[Cheque]) -> tuple[m.Match, ...]:
        """Match `cheques` and change nothing."""
        twins, again = self._twins(cheques), self._misread_again(cheques)
        today = history.today(self._ctx)
        views = [
            m.Cheque(
                key=cheque.natural_key, amount=cheque.amount, slip=cheque.slip, rank=cheque.rank,
                number=cheque.number, account=cheque.account,
                near_accounts=frozenset(cheque.near_accounts), issuer=cheque.issuer,
                references=tuple(cheque.references), family_code=cheque.family_code,
                blockers=blockers(
                    cheque, today, twin=(cheque.number, cheque.amount) in twins,
                    again=cheque.natural_key in again,
                ),
                notes=notes(cheque),
            )
            for cheque in cheques
        ]  # fmt: skip
        index = snapshots.take(
            self._ctx,
            regie,
            accounts={a for view in views for a in (view.account, *view.near_accounts)},
            references={reference for view in views for reference in view.references},
            today=today,
            forget_after_months=self._settings.forget_accounts_after_months,
        )
        return m.match(views, index)

    def waiting(self, regie: str) -> list[Cheque]:
        """The cheques of the régie that are not posted, locked, in the order they came."""
        return list(
            self._ctx.session.scalars(
                select(Cheque)
                .where(
                    Cheque.tenant_id == self._ctx.town.slug,
                    Cheque.regie == regie,
                    Cheque.state.in_((*PENDING, ChequeState.TO_CLASSIFY)),
                )
                .order_by(Cheque.id)
                .with_for_update()
            )
        )

    def forget(self, cheque_ids: Sequence[int]) -> None:
        """Drop the proposals of cheques that are decided, or matched anew."""
        for start in range(0, len(cheque_ids), _CHUNK):
            self._ctx.session.execute(
                delete(ChequeProposal).where(
                    ChequeProposal.tenant_id == self._ctx.town.slug,
                    ChequeProposal.cheque_id.in_(cheque_ids[start : start + _CHUNK]),
                )
            )

    def _twins(self, cheques: Sequence[Cheque]) -> set[tuple[str, int]]:
        """(number, amount) that more than one cheque carries: perhaps scanned twice."""
        count: dict[tuple[str, int], set[str]] = defaultdict(set)
        for cheque in cheques:
            count[cheque.number, cheque.amount].add(cheque.natural_key)
        numbers = sorted({cheque.number for cheque in cheques})
        for start in range(0, len(numbers), _CHUNK):
            rows = self._ctx.session.execute(
                select(Cheque.number, Cheque.amount, Cheque.natural_key).where(
                    Cheque.tenant_id == self._ctx.town.slug,
                    Cheque.number.in_(numbers[start : start + _CHUNK]),
                )
            )
            for row in rows:
                if (row.number, row.amount) in count:
                    count[row.number, row.amount].add(row.natural_key)
        return {twin for twin, keys in count.items() if len(keys) > 1}

    def _misread_again(self, cheques: Sequence[Cheque]) -> set[str]:
        """The keys of cheques of which another one, not yet at the bank, tells all but one digit.

        A cheque that is scanned anew is known by its magnetic line; misread, it would be another.
        Two cheques of one chequebook are told apart by what they say they pay.
        """
        accounts = sorted({cheque.account for cheque in cheques} - {""})
        alike: dict[tuple[object, ...], set[tuple[str, str]]] = defaultdict(set)
        for cheque in cheques:
            alike[_says(cheque)].add((cheque.number, cheque.natural_key))
        for start in range(0, len(accounts), _CHUNK):
            rows = self._ctx.session.scalars(
                select(Cheque).where(
                    Cheque.tenant_id == self._ctx.town.slug,
                    Cheque.account.in_(accounts[start : start + _CHUNK]),
                    Cheque.deposit_id.is_(None),
                    Cheque.state.in_((*PENDING, *IN_PORTFOLIO)),
                )
            )
            for row in rows:
                if _says(row) in alike:
                    alike[_says(row)].add((row.number, row.natural_key))
        return {
            key
            for says, several in alike.items()
            if says[0]
            for number, key in several
            for other, other_key in several
            if key != other_key and one_slip(number, other)
        }


def _says(cheque: Cheque) -> tuple[object, ...]:
    """All that a cheque tells, but its number; the account first."""
    return (
        cheque.account, cheque.regie, cheque.amount, plain(cheque.issuer),
        tuple(cheque.references), cheque.family_code,
    )  # fmt: skip
