"""Names of states, events, rules and reasons on the pages."""

from __future__ import annotations

from core.plugin import gettext as _
from plugins.cheque_import.matcher import Rule
from plugins.cheque_import.matcher.explain import euros
from plugins.cheque_import.models import ChequeState


def states() -> dict[str, str]:
    """The states by which the queue is looked at; "" is what waits for a person."""
    return {
        "": _("À traiter"),
        ChequeState.CERTAIN: _("Certains"),
        ChequeState.TO_CLASSIFY: _("Recettes à classer"),
        ChequeState.ACCEPTED: _("Acceptés"),
        ChequeState.RETURNED: _("Rendus"),
        ChequeState.BOUNCED: _("Impayés"),
    }


def state(value: str) -> str:
    """One cheque's state."""
    return {
        ChequeState.REVIEW: _("à traiter"),
        ChequeState.CERTAIN: _("certain"),
        ChequeState.TO_CLASSIFY: _("à classer"),
        ChequeState.ACCEPTED: _("accepté"),
        ChequeState.RETURNED: _("rendu"),
        ChequeState.BOUNCED: _("impayé"),
    }[ChequeState(value)]


def event(action: str) -> str:
    """Name of an event of a cheque."""
    return {
        "received": _("reçu"),
        "corrected": _("montant corrigé"),
        "accepted": _("accepté"),
        "classified": _("laissé en recettes à classer"),
        "returned": _("rendu au payeur"),
        "deposited": _("remis en banque"),
        "withdrawn": _("retiré d’une remise annulée"),
        "bounced": _("revenu impayé"),
        "represented": _("présenté à nouveau"),
        "undone": _("décision annulée"),
    }.get(action, action)


def rule(value: str) -> str:
    """The matcher's rule, or the person's hand."""
    return {
        Rule.REFERENCE: _("référence"),
        Rule.REFERENCE_PART: _("référence en partie"),
        Rule.ACCOUNT: _("compte connu"),
        Rule.AGREEMENT: _("accord de deux signes"),
        Rule.CODE: _("code et nom"),
        Rule.NEAR: _("compte à un chiffre près, et nom"),
        Rule.BESIDE: _("un compte, deux régies, une famille"),
        Rule.CANDIDATE: _("candidat"),
        "manual": _("à la main"),
    }.get(value, value)


def bounce_reasons() -> dict[str, str]:
    """Reasons of banks to send cheques back: the text that is kept, and the text shown."""
    return {
        "sans provision": _("sans provision"),
        "opposition": _("opposition"),
        "compte clôturé": _("compte clôturé"),
        "signature": _("signature"),
        "date ou chèque périmé": _("date ou chèque périmé"),
        "montant discordant": _("montant discordant"),
        "faux": _("faux"),
        "autre": _("autre"),
    }


def field(name: str) -> str:
    """A column of the neutral file, as a person calls it."""
    return {
        "remise": _("Remise"),
        "date_remise": _("Date de la remise"),
        "rang": _("Rang"),
        "cheque": _("Numéro du chèque"),
        "z3": _("Zone interbancaire (Z3)"),
        "z2": _("Zone interne (Z2)"),
        "cle": _("Clé RLMC"),
        "cmc7": _("Ligne CMC7"),
        "montant": _("Montant"),
        "emetteur": _("Émetteur"),
        "banque": _("Banque"),
        "ref": _("Références des factures"),
        "code_famille": _("Code famille"),
        "date_cheque": _("Date du chèque"),
        "observations": _("Observations"),
        "moyen": _("Moyen de paiement"),
    }.get(name, name)


def gap(cents: int) -> str:
    """Difference between a cheque and the invoices meant: what is missing, or left over."""
    if cents < 0:
        return _("il manque %s") % euros(-cents)
    return _("%s de trop") % euros(cents)
