"""Online payments compared with what arrived on the account: day by day, to the cent."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Date, cast, func, select
from sqlalchemy.orm import Session

from core.api.payments import Means
from core.books.period import Period
from core.domain.bank import Credit, Expected, Pair, match
from core.domain.payment_states import PaymentState
from core.payments.models import Payment
from core.platform.clock import PARIS
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.tabular.writing import Cell, Cents, Table

ONLINE = (Means.CARD, Means.ONLINE_DEBIT)


class Matching:
    """The accounts of one town's régies."""

    def __init__(self, session: Session, tenant: str) -> None:
        self._session = session
        self._tenant = tenant

    def expected(self, period: Period) -> list[Expected]:
        """Sums paid online in a period, by the day and the means of their payers."""
        day = cast(func.timezone(PARIS.key, Payment.paid_at), Date)
        rows = self._session.execute(
            select(day, Payment.means, func.count(), func.sum(Payment.amount))
            .where(
                Payment.tenant_id == self._tenant,
                Payment.regie == period.regie,
                Payment.means.in_(ONLINE),
                # What came back later did arrive first.
                Payment.state.in_((PaymentState.SETTLED, PaymentState.REVERSED)),
                Payment.paid_at >= period.since,
                Payment.paid_at < period.until,
            )
            .group_by(day, Payment.means)
        )
        return [Expected(on, means, count, int(cents)) for on, means, count, cents in rows]

    def table(self, label: str, period: Period, credits_: Sequence[Credit]) -> Table:
        """Both sides beside one another; `label` names the régie. What differs says so."""
        pairs = match(self.expected(period), credits_)
        rows = [_row(pair) for pair in pairs]
        paid = sum(pair.expected.amount for pair in pairs if pair.expected)
        arrived = sum(pair.credit.amount for pair in pairs if pair.credit)
        foot = (
            _("Total"), None, sum(pair.expected.count for pair in pairs if pair.expected),
            Cents(paid), None, None, Cents(arrived), Cents(arrived - paid), None,
        )  # fmt: skip
        return Table(
            f"rapprochement-{period.stamp}",
            " – ".join((_("Paiements en ligne et compte"), label, str(period))),
            (
                _("Payé le"), _("Moyen"), _("Nombre"), _("Payé"), _("Crédité le"), _("Libellé"),
                _("Crédité"), _("Écart"), _("Constat"),
            ),
            rows,
            foot,
            [
                _(
                    "Un crédit est rapproché quand son montant est exactement celui d’un jour de "
                    "paiement, dans les sept jours qui suivent. Un écart sur un seul crédit peut "
                    "être une commission."
                )
            ],
        )  # fmt: skip


def _row(pair: Pair) -> tuple[Cell, ...]:
    one, credit = pair.expected, pair.credit
    if one and credit:
        word = _("rapproché")
    elif one:
        word = _("pas encore sur le compte")
    else:
        word = _("à identifier")
    return (
        one.on if one else None,
        means_label(one.means) if one else "",
        one.count if one else None,
        Cents(one.amount) if one else None,
        credit.on if credit else None,
        credit.label if credit else "",
        Cents(credit.amount) if credit else None,
        Cents((credit.amount if credit else 0) - (one.amount if one else 0)),
        word,
    )
