"""Accounts, learned from confirmed cheques only: whose cheques one account's are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from core.plugin import TenantContext
from plugins.cheque_import import history
from plugins.cheque_import.cmc7 import KeyState
from plugins.cheque_import.models import Cheque, ChequeAccount, ChequeState
from plugins.cheque_import.records import DOUBTED

MAX_PAYERS = 5


def learnt(cheque: Cheque) -> str:
    """The account that a confirmed cheque teaches; of a false key, what was read; "" of no line."""
    if cheque.account or cheque.rlmc != KeyState.BAD:
        return cheque.account
    return next((one for one in cheque.near_accounts if one.startswith(DOUBTED)), "")


class Accounts:
    """The accounts that one town knows, by the keyed hashes of their zones."""

    def __init__(self, ctx: TenantContext) -> None:
        self._ctx = ctx

    def learn(self, cheque: Cheque, family_id: int) -> None:
        """Remember that a confirmed cheque of this account paid for this family."""
        self.learn_all([(cheque, family_id)])

    def learn_all(self, posted: Sequence[tuple[Cheque, int]]) -> None:
        """Remember whose cheques these accounts' are: (cheque, family), in their order."""
        today = history.today(self._ctx)
        known = {
            (link.account, link.family_id): link
            for link in self._links(*{learnt(cheque) for cheque, _family in posted})
        }
        for cheque, family_id in posted:
            account = learnt(cheque)
            if not account:
                continue
            link = known.get((account, family_id))
            if link is None:
                link = known[account, family_id] = ChequeAccount(
                    tenant_id=self._ctx.town.slug, account=account, family_id=family_id,
                    payers=[], confirmed=0, flagged=False, last_seen_on=today,
                )  # fmt: skip
                self._ctx.session.add(link)
            link.confirmed += 1
            link.last_seen_on = today
            if cheque.issuer and cheque.issuer not in link.payers:
                link.payers = [*link.payers, cheque.issuer][-MAX_PAYERS:]

    def unlearn(self, cheque: Cheque) -> None:
        """Take back what an undone posting taught."""
        for link in self._links(learnt(cheque)):
            if link.family_id == cheque.family_id:
                link.confirmed = max(link.confirmed - 1, 0)
                if not link.confirmed:
                    link.payers = []

    def flag(self, account: str) -> None:
        """Note that a cheque of this account came back unpaid: a word of warning, never a ban."""
        for link in self._links(account):
            link.flagged = True

    def unflag(self, cheque: Cheque) -> None:
        """Take the warning back, unless another cheque of the account came back too."""
        others = select(Cheque.id).where(
            Cheque.tenant_id == self._ctx.town.slug,
            Cheque.account == cheque.account,
            Cheque.state == ChequeState.BOUNCED,
            Cheque.id != cheque.id,
        )
        if self._ctx.session.scalar(others.limit(1)) is None:
            for link in self._links(cheque.account):
                link.flagged = False

    def _links(self, *accounts: str) -> Sequence[ChequeAccount]:
        wanted = sorted(set(accounts) - {""})
        if not wanted:
            return ()
        return self._ctx.session.scalars(
            select(ChequeAccount)
            .where(
                ChequeAccount.tenant_id == self._ctx.town.slug, ChequeAccount.account.in_(wanted)
            )
            .order_by(ChequeAccount.account, ChequeAccount.family_id)
        ).all()
