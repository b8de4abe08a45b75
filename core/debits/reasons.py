"""Reasons of rejected direct debits, in words that a family may read."""

from __future__ import annotations

from core.domain.direct_debits import RejectReason as R
from core.platform.i18n import gettext as _


def reject_words() -> dict[R, str]:
    """Each reason in the reader's language, the usual ones first."""
    return {
        R.INSUFFICIENT_FUNDS: _("provision insuffisante"),
        R.WRONG_ACCOUNT: _("numéro de compte incorrect"),
        R.ACCOUNT_CLOSED: _("compte clôturé"),
        R.ACCOUNT_BLOCKED: _("compte bloqué"),
        R.NO_DEBITS_ON_ACCOUNT: _("prélèvement interdit sur ce compte"),
        R.BAD_OPERATION: _("code d’opération incorrect"),
        R.DUPLICATE: _("prélèvement présenté deux fois"),
        R.WRONG_BANK: _("banque inconnue"),
        R.NO_MANDATE: _("pas de mandat valable"),
        R.UNAUTHORISED: _("prélèvement contesté par le titulaire du compte"),
        R.DEBTOR_DECEASED: _("titulaire du compte décédé"),
        R.REFUSED_BY_DEBTOR: _("prélèvement refusé par le titulaire du compte"),
        R.UNSPECIFIED: _("motif non précisé par la banque"),
        R.REGULATORY: _("motif réglementaire"),
        R.BANK_SERVICE: _("service particulier de la banque du payeur"),
        R.WRONG_DEBTOR_ACCOUNT: _("numéro de compte du payeur incorrect"),
        R.DEBTOR_ACCOUNT_CLOSED: _("compte du payeur clôturé"),
        R.CONSUMER_ACCOUNT: _("type de compte non admis pour ce prélèvement"),
        R.NOT_ALLOWED: _("type de prélèvement non admis par la banque du payeur"),
        R.DEBIT_FAILED: _("prélèvement impossible, sans autre précision"),
        R.CREDITOR_BANK_UNKNOWN: _("banque de la collectivité inconnue du système de paiement"),
        R.DEBTOR_BANK_UNKNOWN: _("banque du payeur inconnue du système de paiement"),
        R.SETTLEMENT_FAILED: _("règlement entre les banques échoué"),
        R.BANK_ERROR: _("erreur de la banque"),
        R.INVALID_BIC: _("code de la banque du payeur incorrect"),
        R.MISSING_BIC: _("code de la banque du payeur manquant"),
        R.NOT_ROUTABLE: _("banque du payeur injoignable"),
        R.CANCELLED_BY_DEBTOR: _("annulé à la demande du payeur"),
        R.FOLLOWING_CANCELLATION: _("retourné après une demande d’annulation"),
        R.REQUESTED_BY_CUSTOMER: _("demandé par le titulaire du compte"),
        R.REQUESTED_BY_CREDITOR: _("demandé par la collectivité"),
        R.STOPPED: _("opposition du titulaire du compte"),
        R.STOPPED_BEFORE: _("opposition déjà enregistrée par le titulaire du compte"),
        R.CREDITOR_BANK_SERVICE: _("service particulier de la banque de la collectivité"),
        R.NOT_ON_WHITELIST: _(
            "collectivité absente de la liste des créanciers que le payeur autorise"
        ),
        R.ON_BLACKLIST: _("collectivité parmi les créanciers que le payeur refuse"),
        R.TOO_MANY_DEBITS: _("nombre de prélèvements que le payeur autorise dépassé"),
        R.ABOVE_LIMIT: _("montant que le payeur autorise dépassé"),
        R.UNDUE: _("paiement non dû"),
        R.FRAUD: _("fraude supposée"),
        R.FRAUDULENT: _("fraude constatée"),
        R.NO_ANSWER: _("pas de réponse du titulaire du compte"),
        R.MANDATE_INCOMPLETE: _("mandat incomplet ou incorrect"),
        R.BAD_GROUPING: _("mandat mal présenté par la collectivité"),
        R.BAD_GROUP: _("groupe de prélèvements mal présenté par la collectivité"),
        R.NOT_DUE: _("prélèvement présenté trop tôt"),
        R.NO_MANDATE_SERVICE: _("mandats non gérés par la banque du payeur"),
        R.NO_MANDATE_SERVICE_FOR_DEBTOR: _("mandats non gérés pour ce compte"),
        R.NO_MANDATE_SERVICE_FOR_CREDITOR: _("mandats non gérés pour cette collectivité"),
        R.UNRECOGNISED_AGENT: _("banque non reconnue"),
        R.MANDATE_NOT_UNIQUE: _("référence de mandat déjà employée"),
        R.WRONG_AUTHENTICATION: _("authentification du payeur incorrecte"),
        R.MANDATE_AMOUNT_DIFFERS: _("montant différent de celui du mandat"),
        R.MANDATE_ENDED: _("mandat arrivé à son terme"),
        R.MANDATE_CANCELLED: _("mandat annulé"),
        R.ZERO_AMOUNT: _("montant nul"),
        R.AMOUNT_TOO_HIGH: _("montant supérieur à ce qui est admis"),
        R.WRONG_CURRENCY: _("monnaie non admise"),
        R.AMOUNT_TOO_LOW: _("montant inférieur à ce qui est admis"),
        R.AMOUNT_BLOCKED: _("somme indisponible sur le compte"),
        R.WRONG_AMOUNT: _("montant différent de celui convenu"),
        R.WRONG_SUM: _("total du fichier de la collectivité incorrect"),
        R.OTHER_CURRENCY: _("monnaie incorrecte"),
        R.WRONG_DATE: _("date incorrecte"),
        R.TOO_LATE: _("prélèvement reçu trop tard par la banque"),
        R.INCONSISTENT_DEBTOR: _("nom du payeur et compte qui ne correspondent pas"),
        R.CREDITOR_ADDRESS: _("adresse de la collectivité manquante ou incorrecte"),
        R.CREDITOR_UNKNOWN: _("identifiant de la collectivité (ICS) incorrect"),
        R.DEBTOR_UNKNOWN: _("payeur inconnu de cette banque"),
        R.DEBTOR_ADDRESS: _("adresse du payeur manquante ou incorrecte"),
        R.BAD_FILE: _("fichier de la collectivité incorrect"),
        R.BAD_SERVICE_LEVEL: _("type de paiement incorrect dans le fichier de la collectivité"),
        R.BAD_SERVICE: _("niveau de service incorrect dans le fichier de la collectivité"),
        R.BAD_SCHEME: _("type de prélèvement incorrect dans le fichier de la collectivité"),
        R.SAME_REFERENCE: _("référence déjà employée dans le fichier de la collectivité"),
        R.DUPLICATE_MESSAGE: _("fichier de la collectivité reçu deux fois"),
        R.MISSING_DEBTOR_ACCOUNT: _("compte ou identité du payeur manquant"),
        R.MISSING_DEBTOR_NAME: _("nom ou adresse du payeur manquant"),
        R.MISSING_CREDITOR_NAME: _("nom ou adresse de la collectivité manquant"),
        R.ALREADY_RETURNED: _("prélèvement déjà retourné"),
        R.NO_ORIGINAL: _("prélèvement d’origine introuvable"),
        R.NARRATIVE: _("motif donné par la banque en texte libre"),
    }


def reason_words(code: str) -> str:
    """The words of a code, with the code; those of an unknown one say that it is the bank's."""
    words = reject_words().get(R(code)) if code in set(R) else None
    words = words or _("motif de la banque")
    return f"{words} ({code})"
