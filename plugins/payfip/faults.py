"""What PayFiP answers when it does not answer, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from core.plugin import PermanentError, RetryableError
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

SETTINGS_CODES = frozenset({"S1", "T1", "T2", "T4", "N1", "D1"})
"""Faults that the operator's settings cause."""
DATA_CODES = frozenset({"M1", "M3", "M5", "A1", "A2", "R3"})
"""Faults about one payment's fields; `fields` should have refused them first."""


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
        """Whether the fault is about the question; else it is the service's own trouble."""
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
) -> RetryableError | PermanentError:
    """What a fault means when a payment was to be opened.

    Our mistake is for a person and must not be repeated blindly; the service's trouble passes.
    """
    if not fault.functional:
        return RetryableError(str(fault))
    code = fault.code
    if code in SETTINGS_CODES:
        hint = _("PayFiP refuse le paramétrage de la régie %(regie)s (numéro client %(numcli)s)")
    elif code in DATA_CODES:
        hint = _("PayFiP refuse les données du paiement (régie %(regie)s)")
    else:
        hint = _("PayFiP a refusé d’ouvrir le paiement (régie %(regie)s)")
    return PermanentError(f"{hint % {'regie': regie, 'numcli': numcli}} : {fault}")


def to_outcome_error(fault: PayFiPFaultError, pause: timedelta) -> RetryableError:
    """What a fault means when an outcome was asked for and the fault is none of the P family.

    Always retryable: whatever is wrong with the question, the parent may have paid, and a payment
    that is no longer asked after is money that nobody sees.
    """
    return RetryableError(str(fault), after=pause)
