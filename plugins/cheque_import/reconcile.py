"""From cheque to payment and back: matching, accepting, setting aside, undoing, bouncing.

Money moves only through ``ctx.payments``: a decision records a payment, its undoing reverses it,
and each decision's explanation stays in the cheque's history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from sqlalchemy import delete, func, insert, select

from core.plugin import Means, TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import import history, snapshots
from plugins.cheque_import import matcher as m
from plugins.cheque_import.cmc7 import KeyState
from plugins.cheque_import.matcher.explain import euros
from plugins.cheque_import.models import (
    IN_PORTFOLIO,
    PENDING,
    Cheque,
    ChequeAccount,
    ChequeProposal,
    ChequeState,
)
from plugins.cheque_import.settings import ChequeSettings

_CHUNK = 500
_VALID_DAYS = 8
MAX_PAYERS = 5

BOUNCE_REASONS = (
    "sans provision", "opposition", "compte clôturé", "signature", "date ou chèque périmé",
    "montant discordant", "faux", "autre",
)  # fmt: skip


def expires_on(drawn_on: date) -> date:
    """The last day a cheque may be presented: one year and eight days after its date."""
    try:
        year_later = drawn_on.replace(year=drawn_on.year + 1)
    except ValueError:  # 29 February
        year_later = date(drawn_on.year + 1, 3, 1)
    return year_later + timedelta(days=_VALID_DAYS)


class Desk:
    """The cheques of one town, as an agent (`actor`) handles them."""

    def __init__(self, ctx: TenantContext, settings: ChequeSettings, *, actor: str) -> None:
        self._ctx = ctx
        self._settings = settings
        self._actor = actor

    # --- Matching ---------------------------------------------------------------------------

    def rematch(self, regie: str) -> None:
        """Match every undecided cheque of the régie anew, on one snapshot.

        The whole queue at once: how files were cut or ordered then makes no difference.
        """
        waiting = self.waiting(regie)
        found = self.matches(regie, waiting)
        self._forget_proposals([cheque.id for cheque in waiting])
        now = self._ctx.clock.now()
        rows = []
        for cheque, one in zip(waiting, found, strict=True):
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

    def matches(self, regie: str, cheques: Sequence[Cheque]) -> tuple[m.Match, ...]:
        """Match `cheques` and change nothing."""
        twins = self._twins(cheques)
        today = history.today(self._ctx)
        views = [
            m.Cheque(
                key=cheque.natural_key, amount=cheque.amount, slip=cheque.slip, rank=cheque.rank,
                number=cheque.number, account=cheque.account,
                near_accounts=frozenset(cheque.near_accounts), issuer=cheque.issuer,
                references=tuple(cheque.references), family_code=cheque.family_code,
                blockers=self._blockers(cheque, today, twins),
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
        """The undecided cheques of the régie, locked, in the order they came."""
        return list(
            self._ctx.session.scalars(
                select(Cheque)
                .where(
                    Cheque.tenant_id == self._ctx.town.slug,
                    Cheque.regie == regie,
                    Cheque.state.in_(PENDING),
                )
                .order_by(Cheque.id)
                .with_for_update()
            )
        )

    def _forget_proposals(self, cheque_ids: Sequence[int]) -> None:
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

    def _blockers(
        self, cheque: Cheque, today: date, twins: set[tuple[str, int]]
    ) -> tuple[str, ...]:
        found = []
        if (cheque.number, cheque.amount) in twins:
            found.append(_("Un autre chèque a ce numéro et ce montant : lu deux fois ?"))
        if cheque.rlmc == KeyState.BAD:
            found.append(_("La clé RLMC est fausse : la ligne magnétique est mal lue."))
        if cheque.attempt:
            found.append(_("Une imputation de ce chèque a déjà été annulée."))
        if cheque.drawn_on is not None:
            if expires_on(cheque.drawn_on) < today:
                found.append(_("Chèque périmé : plus d’un an et huit jours."))
            elif cheque.drawn_on > today:
                found.append(_("Chèque postdaté du %s.") % f"{cheque.drawn_on:%d/%m/%Y}")
        return tuple(found)

    # --- Deciding ---------------------------------------------------------------------------

    def accept_certain(self, regie: str) -> int:
        """Accept every certain cheque of the régie; tells how many. The others are matched anew.

        An invoice that was paid since the match takes its cheque back to review.
        """
        ids = self._ctx.session.scalars(
            select(Cheque.id)
            .where(
                Cheque.tenant_id == self._ctx.town.slug,
                Cheque.regie == regie,
                Cheque.state == ChequeState.CERTAIN,
            )
            .order_by(Cheque.id)
        ).all()
        accepted = 0
        for cheque_id in ids:
            cheque = history.locked(self._ctx, cheque_id)
            proposal = self._proposal(cheque, 1)
            if cheque.state != ChequeState.CERTAIN or self._problem(cheque, proposal.shares):
                continue
            self._post(cheque, proposal.family_id, proposal.shares, _explained(proposal))
            accepted += 1
        self.rematch(regie)
        return accepted

    def accept(self, cheque_id: int, rank: int = 1, *, keep_excess: bool = False) -> Cheque:
        """Accept one proposal. Raises `UserError` as `split` does."""
        cheque = history.locked(self._ctx, cheque_id)
        proposal = self._proposal(cheque, rank)
        self._check(cheque, proposal.shares, keep_excess=keep_excess)
        self._post(cheque, proposal.family_id, proposal.shares, _explained(proposal))
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
        cheque = history.locked(self._ctx, cheque_id)
        if self._ctx.families.get(family_id) is None:
            raise UserError(_("Cette famille n’existe pas, ou plus."))
        merged: dict[int, int] = defaultdict(int)
        for invoice, cents in shares:
            merged[invoice] += cents
        rows = [[invoice, cents] for invoice, cents in merged.items()]
        self._check(cheque, rows, keep_excess=keep_excess)
        self._post(cheque, family_id, rows, {"rule": "manual"})
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
        return self._move(cheque, ChequeState.RETURNED, "returned", why)

    def correct(self, cheque_id: int, amount: int) -> Cheque:
        """Correct a keyed amount, in cents, with the paper in hand."""
        cheque = self._undecided(cheque_id)
        if cheque.deposit_id is not None:
            raise UserError(_("Ce chèque est déjà remis en banque."))
        if amount <= 0:
            raise UserError(_("Le montant d’un chèque est positif."))
        history.note(
            self._ctx, cheque, self._actor, "corrected", before=cheque.amount, after=amount
        )
        cheque.amount = amount
        return cheque

    def undo(self, cheque_id: int, why: str) -> Cheque:
        """Take a decision back: the payment is reversed, and the cheque is to review again."""
        cheque = history.locked(self._ctx, cheque_id)
        if cheque.state not in {*IN_PORTFOLIO, ChequeState.RETURNED}:
            raise UserError(_("Rien n’est à annuler pour ce chèque."))
        if cheque.payment_id is not None:
            self._reverse(cheque, why)
            self._unlearn(cheque)
            cheque.attempt += 1
        cheque.family_id = None
        return self._move(cheque, ChequeState.REVIEW, "undone", why)

    def bounce(self, cheque_id: int, reason: str, detail: str = "") -> Cheque:
        """The bank sent the cheque back: its payment is reversed and its account flagged."""
        cheque = history.locked(self._ctx, cheque_id)
        if cheque.deposit_id is None or cheque.state not in IN_PORTFOLIO:
            raise UserError(_("Seul un chèque remis en banque peut revenir impayé."))
        if reason not in BOUNCE_REASONS:
            raise UserError(_("Choisissez un motif de rejet."))
        why = f"{reason} – {detail}" if detail else reason
        if cheque.payment_id is not None:
            self._reverse(cheque, _("Chèque impayé : %s") % why)
        for link in self._links(cheque.account):
            link.flagged = True
        return self._move(cheque, ChequeState.BOUNCED, "bounced", why)

    def represent(self, cheque_id: int, why: str) -> Cheque:
        """Take a bounced cheque up again, for another deposit."""
        cheque = history.locked(self._ctx, cheque_id)
        if cheque.state != ChequeState.BOUNCED:
            raise UserError(_("Seul un chèque revenu impayé peut être présenté à nouveau."))
        cheque.attempt += 1
        cheque.deposit_id = None
        cheque.family_id = None
        return self._move(cheque, ChequeState.REVIEW, "represented", why)

    def totals(self, batch_id: int) -> dict[str, tuple[int, int]]:
        """(count, cents) of a batch by state, for the eye to compare with the paper slip."""
        rows = self._ctx.session.execute(
            select(Cheque.state, func.count(), func.sum(Cheque.amount))
            .where(Cheque.tenant_id == self._ctx.town.slug, Cheque.batch_id == batch_id)
            .group_by(Cheque.state)
        )
        return {state: (count, int(cents)) for state, count, cents in rows}

    # --- Inside -----------------------------------------------------------------------------

    def _undecided(self, cheque_id: int) -> Cheque:
        cheque = history.locked(self._ctx, cheque_id)
        if cheque.state not in {*PENDING, ChequeState.TO_CLASSIFY}:
            raise UserError(_("Ce chèque est déjà traité."))
        return cheque

    def _move(self, cheque: Cheque, state: ChequeState, action: str, why: str) -> Cheque:
        if not why.strip():
            raise UserError(_("Indiquez pourquoi."))
        cheque.state, cheque.why = state, why.strip()[:400]
        history.note(self._ctx, cheque, self._actor, action, why=cheque.why)
        self._forget_proposals([cheque.id])
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

    def _check(
        self, cheque: Cheque, shares: Sequence[Sequence[int]], *, keep_excess: bool
    ) -> None:
        problem = self._problem(cheque, shares)
        if problem:
            raise UserError(problem)
        left = cheque.amount - sum(cents for _invoice, cents in shares)
        if left and not keep_excess:
            raise UserError(
                _(
                    "%s ne sont imputés à aucune facture. Confirmez qu’ils deviennent un avoir de "
                    "la famille, ou rendez le chèque."
                )
                % euros(left)
            )

    def _problem(self, cheque: Cheque, shares: Sequence[Sequence[int]]) -> str:
        """Why the cheque cannot be posted so, now; "" when it can."""
        if cheque.state not in {*PENDING, ChequeState.TO_CLASSIFY}:
            return _("Ce chèque est déjà traité.")
        today = history.today(self._ctx)
        if cheque.drawn_on is not None:
            if cheque.deposit_id is None and expires_on(cheque.drawn_on) < today:
                return _("Ce chèque est périmé (plus d’un an et huit jours) : rendez-le au payeur.")
            if cheque.drawn_on > today and self._settings.hold_post_dated:
                return _("Ce chèque est postdaté : il se traite à partir du %s.") % (
                    f"{cheque.drawn_on:%d/%m/%Y}"
                )
        if sum(cents for _invoice, cents in shares) > cheque.amount:
            return _("La répartition dépasse le montant du chèque.")
        for invoice_id, cents in shares:
            info = self._ctx.invoices.get(invoice_id)
            if info is None:
                return _("Une facture n’existe pas, ou plus.")
            if info.regie != cheque.regie:
                return (
                    _("La facture %s est d’une autre régie : un chèque n’en paie qu’une.")
                    % info.number
                )
            if cents <= 0:
                return _("Chaque part est un montant positif.")
            if cents > info.balance:
                return _(
                    "La facture %(number)s ne doit plus que %(balance)s (déjà payée en ligne ?). "
                    "Rendez le chèque, ou gardez le surplus comme avoir."
                ) % {"number": info.number, "balance": euros(info.balance)}
        return ""

    def _post(
        self, cheque: Cheque, family_id: int, shares: Sequence[Sequence[int]],
        explanation: dict[str, object],
    ) -> None:  # fmt: skip
        family = self._ctx.families.get(family_id)
        recorded = self._ctx.payments.record(
            regie=cheque.regie,
            family_id=family_id,
            means=Means.CHEQUE,
            amount=cheque.amount,
            paid_at=self._ctx.clock.now(),
            payer=cheque.issuer or (family.name if family else ""),
            shares=[(invoice, cents) for invoice, cents in shares],
            # A second posting after an undoing is another payment, under another key.
            key=f"cheque/{cheque.id}/{cheque.attempt}",
            note=_("Chèque n° %(number)s %(bank)s")
            % {"number": cheque.number, "bank": cheque.bank},
        )
        cheque.state, cheque.why = ChequeState.ACCEPTED, ""
        cheque.family_id, cheque.payment_id = family_id, recorded.payment_id
        self._learn(cheque, family_id)
        history.note(
            self._ctx, cheque, self._actor, "accepted", payment=recorded.payment_id,
            family=family_id, shares=[list(share) for share in shares], excess=recorded.excess,
            **explanation,
        )  # fmt: skip
        self._ctx.session.flush()

    def _reverse(self, cheque: Cheque, reason: str) -> None:
        if cheque.payment_id is not None:
            self._ctx.payments.reverse(cheque.payment_id, reason=reason)
            cheque.payment_id = None

    def _links(self, account: str) -> Iterable[ChequeAccount]:
        if not account:
            return ()
        return self._ctx.session.scalars(
            select(ChequeAccount)
            .where(
                ChequeAccount.tenant_id == self._ctx.town.slug, ChequeAccount.account == account
            )
            .order_by(ChequeAccount.family_id)
        ).all()

    def _learn(self, cheque: Cheque, family_id: int) -> None:
        if not cheque.account:
            return
        today = history.today(self._ctx)
        link = next((x for x in self._links(cheque.account) if x.family_id == family_id), None)
        if link is None:
            link = ChequeAccount(
                tenant_id=self._ctx.town.slug, account=cheque.account, family_id=family_id,
                payers=[], confirmed=0, flagged=False, last_seen_on=today,
            )  # fmt: skip
            self._ctx.session.add(link)
        link.confirmed += 1
        link.last_seen_on = today
        if cheque.issuer and cheque.issuer not in link.payers:
            link.payers = [*link.payers, cheque.issuer][-MAX_PAYERS:]

    def _unlearn(self, cheque: Cheque) -> None:
        for link in self._links(cheque.account):
            if link.family_id == cheque.family_id:
                link.confirmed = max(link.confirmed - 1, 0)
                if not link.confirmed:
                    link.payers = []


def _explained(proposal: ChequeProposal) -> dict[str, object]:
    """What stays in the history, so that the decision can be defended years later."""
    return {
        "rule": proposal.rule, "reasons": list(proposal.reasons), "scores": dict(proposal.scores),
        "confidence": proposal.confidence, "algorithm": proposal.algorithm,
        "snapshot_at": proposal.snapshot_at.isoformat(),
    }  # fmt: skip
