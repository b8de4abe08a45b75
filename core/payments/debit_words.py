"""Reasons of rejected direct debits, in words that a family may read."""

from __future__ import annotations

from core.domain.direct_debits import RejectReason
from core.platform.i18n import gettext as _


def reject_words() -> dict[RejectReason, str]:
    """Each reason in the reader's language, the usual ones first."""
    return {
        RejectReason.INSUFFICIENT_FUNDS: _("provision insuffisante"),
        RejectReason.WRONG_ACCOUNT: _("numéro de compte incorrect"),
        RejectReason.ACCOUNT_CLOSED: _("compte clôturé"),
        RejectReason.ACCOUNT_BLOCKED: _("compte bloqué"),
        RejectReason.NO_DEBITS_ON_ACCOUNT: _("prélèvement interdit sur ce compte"),
        RejectReason.BAD_OPERATION: _("code d’opération incorrect"),
        RejectReason.DUPLICATE: _("prélèvement présenté deux fois"),
        RejectReason.WRONG_BANK: _("banque inconnue"),
        RejectReason.NO_MANDATE: _("pas de mandat valable"),
        RejectReason.UNAUTHORISED: _("prélèvement contesté par le titulaire du compte"),
        RejectReason.DEBTOR_DECEASED: _("titulaire du compte décédé"),
        RejectReason.REFUSED_BY_DEBTOR: _("prélèvement refusé par le titulaire du compte"),
        RejectReason.UNSPECIFIED: _("motif non précisé par la banque"),
        RejectReason.REGULATORY: _("motif réglementaire"),
        RejectReason.BANK_SERVICE: _("service particulier de la banque du payeur"),
    }
