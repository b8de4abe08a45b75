"""Decisions of an agent about a cheque: accept, set aside, give back, undo, bounce.

Each decision, with its explanation or reason, stays in the cheque's history; none is deleted, and
each is taken back by a reversal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select

from core.plugin import TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import import history, labels
from plugins.cheque_import.accounts import Accounts, learnt
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.models import (
    IN_PORTFOLIO,
    PENDING,
    Cheque,
    ChequePart,
    ChequeProposal,
    ChequeState,
)
from plugins.cheque_import.postings import Posting, Postings, Shares
from plugins.cheque_import.settings import ChequeSettings


class Desk:
    """The cheques of one town, as an agent (`actor`) handles them."""

    def __init__(self, ctx: TenantContext, settings: ChequeSettings, *, actor: str) -> None:
        self._ctx = ctx
        self._actor = actor
        self._matching = Matching(ctx, settings)
        self._postings = Postings(ctx, settings)
        self._accounts = Accounts(ctx)

    def accept_certain(self, regie: str) -> int:
        """Accept every certain cheque of the régie; tells how many. The others are matched anew.

        An invoice that was paid since the match takes its cheque back to review.
        """
        history.hold(self._ctx, regie)
        found = self._ctx.session.execute(
            select(Cheque, ChequeProposal)
            .join(
                ChequeProposal,
                (ChequeProposal.tenant_id == Cheque.tenant_id)
                & (ChequeProposal.cheque_id == Cheque.id)
                & (ChequeProposal.rank == 1),
            )
            .where(
                Cheque.tenant_id == self._ctx.town.slug,
                Cheque.regie == regie,
                Cheque.state == ChequeState.CERTAIN,
            )
            .order_by(Cheque.id)
            .with_for_update(of=Cheque)
            .execution_options(populate_existing=True)
        ).all()
        self._postings.hold(proposal.shares for _cheque, proposal in found)
        posted = self._postings.post_all(
            [Posting(cheque, one.family_id, one.shares) for cheque, one in found]
        )
        accepted = [
            (cheque, proposal, posted[cheque.id])
            for cheque, proposal in found
            if cheque.id in posted
        ]
        # What is remembered of them is written at once: a pile is hundreds of cheques.
        self._accounts.learn_all([(cheque, one.family_id) for cheque, one, _done in accepted])
        for cheque, proposal, done in accepted:
            history.note(
                self._ctx, cheque, self._actor, "accepted", **done, **_explained(proposal)
            )
        self._ctx.session.flush()
        self._matching.rematch(regie)
        for cheque, _proposal in found:
            if cheque.id in self._postings.left:
                cheque.warnings = [
                    *cheque.warnings,
                    _("Laissé de côté en acceptant les certains : %s")
                    % self._postings.left[cheque.id],
                ]
        self._ctx.session.flush()
        self._matching.tell_others(regie, {learnt(cheque) for cheque, _one, _done in accepted})
        return len(accepted)

    def accept(self, cheque_id: int, rank: int = 1, *, keep_excess: bool = False) -> Cheque:
        """Accept one proposal. Raises `UserError` as `split` does."""
        cheque = self._locked(cheque_id)
        proposal = self._proposal(cheque, rank)
        self._postings.check(cheque, proposal.shares, keep_excess=keep_excess)
        self._post(cheque, proposal.family_id, proposal.shares, _explained(proposal))
        self._matching.follow(cheque, [proposal.family_id])
        return cheque

    def split(
        self, cheque_id: int, family_id: int, shares: Sequence[tuple[int, int]], *,
        keep_excess: bool = False,
    ) -> Cheque:  # fmt: skip
        """Post a cheque by hand over (invoice, cents); what is left over becomes a credit.

        Raises:
            UserError: the cheque is decided or out of date, an invoice is paid or of another
                régie, the shares exceed the cheque, or leave something over without `keep_excess`.
        """
        cheque = self._locked(cheque_id)
        if self._ctx.families.get(family_id) is None:
            raise UserError(_("Cette famille n’existe pas, ou plus."))
        merged: dict[int, int] = defaultdict(int)
        for invoice, cents in shares:
            merged[invoice] += cents
        rows = [[invoice, cents] for invoice, cents in merged.items()]
        self._postings.check(cheque, rows, keep_excess=keep_excess)
        self._post(cheque, family_id, rows, {"rule": "manual"})
        self._matching.follow(cheque, [family_id])
        return cheque

    def classify(self, cheque_id: int, why: str) -> Cheque:
        """Leave a cheque in *recettes à classer*: deposited with the others, posted later."""
        cheque = self._undecided(cheque_id)
        return self._move(cheque, ChequeState.TO_CLASSIFY, "classified", why)

    def give_back(self, cheque_id: int, why: str) -> Cheque:
        """Give a cheque back to its payer (wrong payee, unsigned, out of date, paid otherwise)."""
        cheque = self._undecided(cheque_id)
        if cheque.deposit_id is not None:
            raise UserError(_("Ce chèque est déjà remis en banque."))
        self._unbook(cheque, why)
        families = self._matching.families_named(cheque)
        self._move(cheque, ChequeState.RETURNED, "returned", why)
        self._matching.follow(cheque, families)
        return cheque

    def correct(self, cheque_id: int, amount: int) -> Cheque:
        """Correct a keyed amount, in cents, with the paper in hand."""
        cheque = self._undecided(cheque_id)
        if cheque.deposit_id is not None:
            raise UserError(_("Ce chèque est déjà remis en banque."))
        if amount <= 0:
            raise UserError(_("Le montant d’un chèque est positif."))
        self._unbook(cheque, _("Montant corrigé"))
        history.note(
            self._ctx, cheque, self._actor, "corrected", before=cheque.amount, after=amount
        )
        cheque.amount = amount
        return cheque

    def undo(self, cheque_id: int, why: str) -> Cheque:
        """Take a decision back: the payment is reversed, and the cheque is to review again.

        A bounce that was noted by mistake too: the cheque is still in the bank's hands, and its
        account is no longer flagged unless another of its cheques bounced.
        """
        cheque = self._locked(cheque_id)
        if cheque.state not in {*IN_PORTFOLIO, ChequeState.RETURNED, ChequeState.BOUNCED}:
            raise UserError(_("Rien n’est à annuler pour ce chèque."))
        if cheque.state == ChequeState.BOUNCED:
            self._accounts.unflag(cheque)
            cheque.attempt += 1
        self._take_back(cheque, why)
        return self._move(cheque, ChequeState.REVIEW, "undone", why)

    def reversed_elsewhere(self, payment_id: int, why: str) -> None:
        """The payment was taken back on core's own page: the cheque is to review again."""
        tenant = self._ctx.town.slug
        cheque_id = self._ctx.session.scalar(
            select(Cheque.id).where(Cheque.tenant_id == tenant, Cheque.payment_id == payment_id)
        ) or self._ctx.session.scalar(
            select(ChequePart.cheque_id).where(
                ChequePart.tenant_id == tenant, ChequePart.payment_id == payment_id
            )
        )
        if cheque_id is None:
            return
        cheque = self._locked(cheque_id)
        parts = {part.payment_id for part in self._postings.parts(cheque)}
        if payment_id in {cheque.payment_id, *parts}:
            self._take_back(cheque, why)
            self._move(cheque, ChequeState.REVIEW, "undone", why or _("Paiement annulé"))

    def bounce(self, cheque_id: int, reason: str, detail: str = "") -> Cheque:
        """The bank sent the cheque back: its payment is reversed and its account flagged."""
        cheque = self._locked(cheque_id)
        if cheque.deposit_id is None or cheque.state not in {*PENDING, *IN_PORTFOLIO}:
            raise UserError(_("Seul un chèque remis en banque peut revenir impayé."))
        if reason not in labels.bounce_reasons():
            raise UserError(_("Choisissez un motif de rejet."))
        why = f"{reason} – {detail}" if detail else reason
        self._postings.reverse(cheque, _("Chèque impayé : %s") % why)
        self._accounts.flag(cheque.account)
        families = [] if cheque.family_id is None else [cheque.family_id]
        self._move(cheque, ChequeState.BOUNCED, "bounced", why)
        self._matching.follow(cheque, families)
        return cheque

    def represent(self, cheque_id: int, why: str) -> Cheque:
        """Take a bounced cheque up again, for another deposit."""
        cheque = self._locked(cheque_id)
        if cheque.state != ChequeState.BOUNCED:
            raise UserError(_("Seul un chèque revenu impayé peut être présenté à nouveau."))
        cheque.attempt += 1
        cheque.deposit_id = None
        cheque.family_id = None
        return self._move(cheque, ChequeState.REVIEW, "represented", why)

    def _take_back(self, cheque: Cheque, why: str) -> None:
        """Take a posting back. What the bank has stays in the books: whose it is is open again."""
        before = self._postings.payments(cheque)
        if cheque.family_id is not None:
            if self._postings.reverse(cheque, why):
                self._accounts.unlearn(cheque)
                cheque.attempt += 1
            cheque.family_id = None
        if cheque.deposit_id is not None:
            self._postings.bank(cheque)
            self._ctx.remittances.replace(before, self._postings.payments(cheque))

    def _unbook(self, cheque: Cheque, why: str) -> None:
        """Take out of the books what a slip had put there, if that was cancelled since."""
        if self._postings.reverse(cheque, why):
            cheque.attempt += 1

    def _locked(self, cheque_id: int) -> Cheque:
        """The cheque, and its régie's others, for this agent alone until the transaction ends."""
        regie = self._ctx.session.scalar(
            select(Cheque.regie).where(
                Cheque.tenant_id == self._ctx.town.slug, Cheque.id == cheque_id
            )
        )
        if regie is not None:
            history.hold(self._ctx, regie)
        return history.locked(self._ctx, cheque_id)

    def _undecided(self, cheque_id: int) -> Cheque:
        cheque = self._locked(cheque_id)
        if cheque.state not in {*PENDING, ChequeState.TO_CLASSIFY}:
            raise UserError(_("Ce chèque est déjà traité."))
        return cheque

    def _move(self, cheque: Cheque, state: ChequeState, action: str, why: str) -> Cheque:
        if not why.strip():
            raise UserError(_("Indiquez pourquoi."))
        was = str(cheque.state)
        cheque.state, cheque.why = state, why.strip()[:400]
        history.note(self._ctx, cheque, self._actor, action, why=cheque.why, was=was)
        self._matching.forget([cheque.id])
        self._ctx.session.flush()
        return cheque

    def _proposal(self, cheque: Cheque, rank: int) -> ChequeProposal:
        found = self._ctx.session.scalars(
            select(ChequeProposal).where(
                ChequeProposal.tenant_id == self._ctx.town.slug,
                ChequeProposal.cheque_id == cheque.id,
                ChequeProposal.rank == rank,
            )
        ).one_or_none()
        if found is None:
            raise UserError(_("Cette proposition n’est plus à jour. Rechargez la page."))
        return found

    def _post(
        self, cheque: Cheque, family_id: int, shares: Shares, explanation: dict[str, object]
    ) -> None:
        done = self._postings.post(cheque, family_id, shares)
        self._accounts.learn(cheque, family_id)
        history.note(self._ctx, cheque, self._actor, "accepted", **done, **explanation)
        self._ctx.session.flush()


def _explained(proposal: ChequeProposal) -> dict[str, object]:
    """Facts that stay in the history, so that the decision can be defended years later."""
    return {
        "rule": proposal.rule, "reasons": list(proposal.reasons), "scores": dict(proposal.scores),
        "confidence": proposal.confidence, "algorithm": proposal.algorithm,
        "snapshot_at": proposal.snapshot_at.isoformat(),
    }  # fmt: skip
