"""Faults and failures of PayFiP, and the errors that follow from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from core.plugin import PayerField, RefusalKind, RetryableError, StartRefusedError
from core.plugin import gettext as _


class FaultKind(StrEnum):
    """The four elements of a fault's detail. Only the first one is about what we asked."""

    FUNCTIONAL = "FonctionnelleErreur"
    DYSFUNCTION = "TechDysfonctionnementErreur"
    UNAVAILABLE = "TechIndisponibiliteErreur"
    PROTOCOL = "TechProtocolaireErreur"


UNKNOWN = "P1"
"""The idOp does not exist, or no longer: dead for ever."""
USED = "P3"
TOO_OLD = "P4"
"""The parent's page no longer takes this idOp."""
NOT_YET = "P5"
"""No result is known yet."""
UNDECIDED = frozenset({USED, TOO_OLD, NOT_YET})

_REFUSALS = {
    "S": RefusalKind.SETTINGS,
    "T": RefusalKind.SETTINGS,
    "N": RefusalKind.SETTINGS,
    "D": RefusalKind.SETTINGS,
    "M": RefusalKind.INVOICE,
    "R": RefusalKind.INVOICE,
    "A": RefusalKind.PAYER,
}
"""Kind of a refusal, by the letter of its code: the letter names the field that PayFiP
refuses (S saisie, T client, N and D addresses of the portal, M amount, R reference, A e-mail)."""
_CODE = re.compile(r"[A-Z][0-9]{1,2}")


def refusal_kind(code: str) -> RefusalKind:
    """Kind of PayFiP's refusal to open a payment: payer, invoice, settings or unknown.

    >>> refusal_kind("T2"), refusal_kind("X9")
    (<RefusalKind.SETTINGS: 'settings'>, <RefusalKind.UNKNOWN: 'unknown'>)
    """
    known = _CODE.fullmatch(code) is not None
    return _REFUSALS.get(code[:1], RefusalKind.UNKNOWN) if known else RefusalKind.UNKNOWN


@dataclass(frozen=True, slots=True)
class FaultDetail:
    """A fault word for word."""

    kind: FaultKind
    code: str = ""
    descriptif: str = ""
    libelle: str = ""
    message: str = ""
    severite: str = ""

    def __str__(self) -> str:
        words = self.descriptif or self.libelle or self.message
        return " ".join(part for part in (self.kind.value, self.code, words) if part)

    def raw(self) -> dict[str, str]:
        """The fault as it is kept with a payment."""
        return {
            "fault": self.kind.value,
            "code": self.code,
            "descriptif": self.descriptif,
            "libelle": self.libelle,
            "message": self.message,
            "severite": self.severite,
        }


class PayFiPFaultError(Exception):
    """PayFiP answered a SOAP fault."""

    def __init__(self, detail: FaultDetail) -> None:
        super().__init__(str(detail))
        self.detail = detail

    @property
    def functional(self) -> bool:
        """True if the fault is about the question; false if the service itself is in trouble."""
        return self.detail.kind is FaultKind.FUNCTIONAL

    @property
    def code(self) -> str:
        """PayFiP's short code, such as ``P5``."""
        return self.detail.code.upper()


class UnavailableError(RetryableError):
    """PayFiP could not be reached, or did not answer in its own language.

    `answered` tells the second case: something answered, which was not (or not well) PayFiP.
    """

    def __init__(
        self, reason: str, after: timedelta | None = None, *, answered: bool = False
    ) -> None:
        super().__init__(reason, after)
        self.answered = answered


class CircuitOpenError(UnavailableError):
    """PayFiP failed several times in a row and is left alone for `after`."""


def to_start_error(
    fault: PayFiPFaultError, *, regie: str, numcli: str
) -> RetryableError | StartRefusedError:
    """Error for a fault that came when a payment was to be opened.

    Our mistake is for a person and must not be repeated blindly; the service's trouble passes.
    """
    if not fault.functional:
        return RetryableError(str(fault))
    kind = refusal_kind(fault.code)
    hint = {
        RefusalKind.SETTINGS: _(
            "PayFiP refuse le paramétrage de la régie %(regie)s (numéro client %(numcli)s)"
        ),
        RefusalKind.INVOICE: _("PayFiP refuse les données du paiement (régie %(regie)s)"),
        RefusalKind.PAYER: _("PayFiP refuse l’adresse électronique du payeur (régie %(regie)s)"),
    }.get(kind, _("PayFiP a refusé d’ouvrir le paiement (régie %(regie)s)"))
    reason = f"{hint % {'regie': regie, 'numcli': numcli}} : {fault}"
    field = PayerField.EMAIL if kind is RefusalKind.PAYER else None
    return StartRefusedError(kind, reason, payer_field=field)


def to_outcome_error(fault: PayFiPFaultError, pause: timedelta) -> RetryableError:
    """Error for a fault outside the P family that came when an outcome was asked for.

    Always retryable: whatever is wrong with the question, the parent may have paid, and a payment
    that is no longer asked after is money that nobody sees.
    """
    return RetryableError(str(fault), after=pause)
