"""Means of payment in words, the same on pages and papers."""

from __future__ import annotations

from core.api.payments import Means, kind_of, name_of
from core.platform.i18n import gettext as _


def means_label(means: str) -> str:
    """Name a means of payment as the database keeps it, by the régie's own name if it has one."""
    if not means:
        return ""
    kind, name = kind_of(means), name_of(means)
    if kind is Means.OTHER:
        return name or _("Autre moyen")
    label = {
        Means.CARD: _("Paiement en ligne"),
        Means.ONLINE_DEBIT: _("Prélèvement unique en ligne"),
        Means.CHEQUE: _("Chèque bancaire"),
        Means.CASH: _("Espèces"),
        Means.TRANSFER: _("Virement"),
        Means.TERMINAL: _("Carte bancaire au guichet"),
        Means.DIRECT_DEBIT: _("Prélèvement automatique"),
        Means.CESU_PAPER: _("CESU papier"),
        Means.CESU_ELECTRONIC: _("CESU dématérialisé"),
        Means.HOLIDAY_VOUCHER: _("Chèques-vacances"),
    }[kind]
    return f"{label} – {name}" if name else label
