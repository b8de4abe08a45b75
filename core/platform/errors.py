"""Refusals of services, named after the business fact. Each carries a sentence for the person."""

from __future__ import annotations

import math

from core.api.errors import UserError
from core.platform.i18n import gettext as _
from core.platform.i18n import ngettext


class NotFoundError(UserError):
    """No such thing in this town, or not for this family: one answer, so nothing leaks."""

    def __init__(self) -> None:
        super().__init__(_("Cette page n’existe pas, ou plus."))


class PaymentUnderWayError(UserError):
    """Another attempt for one of the invoices may still settle."""

    def __init__(self, payment_id: int) -> None:
        super().__init__(_("Un paiement est déjà en cours pour cette facture."))
        self.payment_id = payment_id


class EarlierAttemptError(UserError):
    """Earlier attempts may still settle, unlikely as it is: the payer has to be told first."""

    def __init__(self, payment_ids: tuple[int, ...]) -> None:
        super().__init__(_("Un essai précédent n’a pas encore de réponse définitive."))
        self.payment_ids = payment_ids


class NotPayableError(UserError):
    """The selected invoices cannot be paid online together, or at all."""


class WrongCodesError(UserError):
    """The codes, or the e-mail and password, do not open anything. Which of the two is not told."""


class ThrottledError(UserError):
    """Too many wrong tries: `message` tells what was wrong, and to wait `seconds`, in minutes."""

    def __init__(self, seconds: int, message: str = "") -> None:
        minutes = math.ceil(seconds / 60)
        wait = ngettext(
            "Trop d’essais : merci de patienter une minute avant le prochain.",
            "Trop d’essais : merci de patienter %(num)s minutes avant le prochain.",
            minutes,
        ) % {"num": minutes}
        super().__init__(f"{message} {wait}".strip())
        self.seconds = seconds


class TooManyAddressesError(UserError):
    """A family registers at most three addresses."""

    def __init__(self) -> None:
        super().__init__(
            _("Trois adresses au plus peuvent être enregistrées. Retirez-en une d’abord.")
        )


class TooManyMailsError(UserError):
    """An address, or at a family's wish others, were mailed too often today."""

    def __init__(self) -> None:
        super().__init__(
            _("Trop de messages de confirmation aujourd’hui. Réessayez demain.")
        )


class PaperAwayError(UserError):
    """A paper cannot be read now: its store does not answer. It is there all the same."""

    def __init__(self) -> None:
        super().__init__(
            _("Ce document n’est pas accessible pour le moment. Réessayez dans quelques minutes.")
        )


class PaperLostError(UserError):
    """A paper is not where it was kept, or is damaged: waiting does not help."""

    def __init__(self) -> None:
        super().__init__(_("Ce document n’a pas été retrouvé. Demandez-le à la régie."))


class ImportRefusedError(UserError):
    """An import or its undoing is not possible as a whole."""
