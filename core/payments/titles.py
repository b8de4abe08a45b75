"""Titles (CESU, chèques-vacances): what they may pay, and the numbers that were noted of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import BigInteger, and_, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.errors import UserError
from core.invoices.activities import asked
from core.payments.models import Allocation, Payment, PaymentTitle
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig

_SEPARATORS = re.compile(r"[\s,;]+")
_NUMBER = re.compile(r"[0-9A-Z][0-9A-Z/-]{3,39}")
MAX_TITLES = 200
"""Titles that one payment may come by."""


def title_numbers(typed: str) -> tuple[str, ...]:
    """Numbers of titles, typed or scanned one after another.

    Raises:
        UserError: one is no number, or stands twice, or there are too many.
    """
    numbers = [one for one in _SEPARATORS.split(typed.upper()) if one]
    if len(numbers) > MAX_TITLES:
        raise UserError(_("Notez %s titres au plus à la fois.") % MAX_TITLES)
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise UserError(
                _("« %s » n’est pas un numéro de titre : 4 à 40 chiffres ou lettres.") % number[:40]
            )
        if numbers.count(number) > 1:
            raise UserError(_("Le titre %s est noté deux fois.") % number)
    return tuple(numbers)


class Titles:
    """The titles of one town."""

    def __init__(self, session: Session, town: TenantConfig) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug

    def payable(
        self, regie: str, means: str, invoice_ids: Collection[int]
    ) -> Mapping[int, int] | None:
        """Cents of each invoice that a means may still pay; None: it pays whatever is due.

        What titles paid already of the same activities is not theirs to pay again.
        """
        names = self.names(regie, means)
        if not names:
            return None
        paid = self._paid(invoice_ids, names)
        return {
            invoice_id: max(
                sum(cents for name, cents in sums.items() if _plain(name) in names)
                - paid.get(invoice_id, 0),
                0,
            )
            for invoice_id, sums in asked(self._session, self._tenant, invoice_ids).items()
        }

    def names(self, regie: str, means: str) -> frozenset[str]:
        """Names of the activities that a means may pay, as they compare; none if it may pay all."""
        return frozenset(map(_plain, self._town.one_means(regie, means).activities))

    def note(self, titles: Iterable[tuple[int, str]]) -> None:
        """Note the titles of a visit: payment and number of each, in the order of the numbers.

        Two agents who note the same ones wait for one another in that order, and not for ever.

        Raises:
            UserError: one of them came by another payment, which is named.
        """
        for payment_id, number in sorted(titles, key=lambda title: title[1]):
            noted = self._session.scalar(
                insert(PaymentTitle)
                .values(tenant_id=self._tenant, payment_id=payment_id, number=number)
                .on_conflict_do_nothing()
                .returning(PaymentTitle.id)
            )
            if noted is None:
                raise UserError(
                    _("Le titre %(number)s est déjà enregistré : reçu %(receipt)s.")
                    % {"number": number, "receipt": self._receipt_of(number)}
                )

    def of(self, payment_ids: Collection[int]) -> Mapping[int, Sequence[str]]:
        """The numbers noted of each payment that has some."""
        found: dict[int, list[str]] = {}
        for row in self._session.execute(
            select(PaymentTitle.payment_id, PaymentTitle.number)
            .where(
                PaymentTitle.tenant_id == self._tenant,
                PaymentTitle.payment_id.in_(list(payment_ids)),
            )
            .order_by(PaymentTitle.id)
        ):
            found.setdefault(row.payment_id, []).append(row.number)
        return found

    def _receipt_of(self, number: str) -> str:
        return (
            self._session.scalar(
                select(Payment.receipt_number)
                .join(
                    PaymentTitle,
                    and_(
                        PaymentTitle.tenant_id == Payment.tenant_id,
                        PaymentTitle.payment_id == Payment.id,
                    ),
                )
                .where(
                    PaymentTitle.tenant_id == self._tenant,
                    PaymentTitle.number == number,
                    PaymentTitle.live,
                )
            )
            or "–"
        )

    def _paid(
        self, invoice_ids: Collection[int], names: frozenset[str]
    ) -> Mapping[int, int]:
        """Cents of these invoices that came by means that may pay some of these activities only."""
        found: dict[int, int] = {}
        for row in self._session.execute(
            select(
                Allocation.invoice_id,
                Payment.regie,
                Payment.means,
                cast(func.sum(Allocation.amount), BigInteger).label("cents"),
            )
            .join(
                Payment,
                and_(
                    Payment.tenant_id == Allocation.tenant_id, Payment.id == Allocation.payment_id
                ),
            )
            .where(
                Allocation.tenant_id == self._tenant,
                Allocation.invoice_id.in_(list(invoice_ids)),
                Allocation.reversed_at.is_(None),
            )
            .group_by(Allocation.invoice_id, Payment.regie, Payment.means)
        ):
            if self.names(row.regie, row.means) & names:
                found[row.invoice_id] = found.get(row.invoice_id, 0) + int(row.cents)
        return found


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
