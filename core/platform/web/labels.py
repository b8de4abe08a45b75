"""The codes of the trail and of messages, in words that a régisseur reads.

What a plugin writes under a name of its own stays as it is written.
"""

from __future__ import annotations

from datetime import date, datetime

from core.domain.roles import Role
from core.platform.audit.models import AuditEntry
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.templating import day, moment, money


def actions() -> dict[str, str]:
    """Actions in words, by the trail's name for each."""
    return {
        "account.created": _("Compte créé par la famille"),
        "account.linked": _("Compte relié à la famille"),
        "account.unlinked": _("Accès d’un compte retiré"),
        "account.closed": _("Compte fermé par son titulaire"),
        "account.email_changed": _("Adresse e-mail de compte changée"),
        "account.password_renewed": _("Mot de passe de compte renouvelé"),
        "address.removed": _("Adresse retirée"),
        "agent.changed": _("Agent modifié"),
        "agent.codes_renewed": _("Codes de secours renouvelés"),
        "agent.created": _("Agent ajouté"),
        "agent.disabled": _("Accès d’agent fermé"),
        "agent.enrolled": _("Accès d’agent ouvert"),
        "agent.password_changed": _("Mot de passe d’agent changé"),
        "agent.reset": _("Accès d’agent réinitialisé"),
        "agent.signed_in": _("Connexion d’un agent"),
        "broadcast.discarded": _("Brouillon de message supprimé"),
        "broadcast.left": _("Message parti aux familles"),
        "broadcast.scheduled": _("Envoi d’un message aux familles décidé"),
        "broadcast.stopped": _("Message aux familles arrêté en route"),
        "broadcast.undone": _("Message aux familles repris avant son départ"),
        "broadcast.written": _("Message aux familles écrit"),
        "child.shared": _("Enfant rattaché à un second foyer"),
        "child.unshared": _("Enfant détaché d’un foyer"),
        "codes.issued": _("Code donné"),
        "codes.renewed": _("Code renouvelé par la famille"),
        "codes.revoked": _("Code retiré"),
        "credit.freed": _("Somme mise en avoir"),
        "credit.refunded": _("Avoir remboursé"),
        "credit.undone": _("Emploi d’avoir annulé"),
        "credit.used": _("Avoir employé"),
        "family.changed": _("Dossier corrigé"),
        "family.created": _("Dossier ouvert"),
        "family.erased": _("Données de la famille effacées"),
        "family.erasure_asked": _("Effacement demandé, après l’arrêté des mois"),
        "family.exported": _("Données de la famille exportées"),
        "family.merged": _("Doublon fusionné"),
        "handover.made": _("Liste transmise à la trésorerie"),
        "handover.left": _("Liste partie à la trésorerie"),
        "handover.cancelled": _("Liste reprise à la trésorerie"),
        "officer.appointed": _("Nomination à la régie notée"),
        "officer.ended": _("Fin de fonction à la régie notée"),
        "till.reported": _("Procès-verbal de caisse établi"),
        "import.done": _("Fichier importé"),
        "import.published": _("Import publié"),
        "import.scheduled": _("Publication programmée"),
        "import.undone": _("Import annulé"),
        "records.imported": _("Fichier d’une extension importé"),
        "records.undone": _("Import d’une extension annulé"),
        "layout.kept": _("Modèle de fichier gardé"),
        "layout.removed": _("Modèle de fichier supprimé"),
        "invoice.cancelled": _("Facture annulée"),
        "invoice.linked": _("Avoir rattaché à sa facture"),
        "invoice.debit_renewed": _("Facture remise au prélèvement"),
        "invoice.debit_withdrawn": _("Facture retirée du prélèvement"),
        "invoice.set_aside": _("Pièce à rattacher, écartée"),
        "invoice.closing_set": _("Date de clôture changée"),
        "invoice.corrected": _("Facture corrigée"),
        "invoice.handed_over": _("Facture transmise à la trésorerie"),
        "invoice.handover_adjusted": _("Somme transmise à la trésorerie, rectifiée"),
        "invoice.taken_back": _("Facture reprise à la trésorerie"),
        "messages.expired": _("Anciens messages effacés"),
        "month.closed": _("Mois arrêté"),
        "news.hidden": _("Actualité retirée"),
        "news.picture_added": _("Image ajoutée à une actualité"),
        "news.shown": _("Actualité publiée"),
        "news.written": _("Actualité écrite"),
        "outbox.retried": _("Envoi relancé"),
        "debits.settled": _("Prélèvements constatés"),
        "debits.file": _("Fichier de prélèvements constaté"),
        "debits.moved": _("Prélèvements reportés"),
        "debits.offer_set": _("Offre de prélèvement changée"),
        "debits.form_set": _("Formulaire de prélèvement changé"),
        "debit_request.asked": _("Prélèvement demandé"),
        "debit_request.withdrawn": _("Demande de prélèvement retirée"),
        "debit_request.accepted": _("Demande de prélèvement acceptée"),
        "debit_request.refused": _("Demande de prélèvement refusée"),
        "invoice.debit_rejected": _("Prélèvement rejeté avant d’être constaté"),
        "payment.rejected": _("Prélèvement rejeté"),
        "payment.dismissed": _("Anomalie de paiement classée"),
        "payment.recorded": _("Paiement encaissé"),
        "payment.cash_exception": _("Espèces au-delà de la limite, à titre exceptionnel"),
        "payment.means_corrected": _("Moyen de paiement corrigé"),
        "payment.classified": _("Paiement attribué à une famille"),
        "payment.reversed": _("Paiement annulé"),
        "payment.superseded": _("Paiement remplacé par un autre"),
        "payments.exported": _("Règlements exportés vers le logiciel de facturation"),
        "payments.exported_again": _("Export de règlements à remettre une nouvelle fois"),
        "exchange_token.renewed": _("Jeton du logiciel de facturation créé"),
        "exchange_token.ended": _("Jeton du logiciel de facturation supprimé"),
        "remittance.made": _("Versement établi"),
        "remittance.left": _("Versement parti"),
        "remittance.cancelled": _("Versement annulé"),
        "reminders.changed": _("Rappels et clôture réglés"),
        "reminders.sent": _("Rappels envoyés"),
    }


def action(name: str) -> str:
    """One action in words."""
    return actions().get(name, name)


def actor(name: str, names: dict[str, str]) -> str:
    """Actor of an entry: an agent by name, else in words."""
    if name in names:
        return names[name]
    kind, _colon, rest = name.partition(":")
    words = {
        "system": _("Automatique"),
        "cli": _("Exploitant"),
        "family": _("La famille"),
        "agent": _("Ancien agent"),
        "billing": _("Logiciel de facturation"),
        "exchange": _("Échange automatique"),
    }
    if kind not in words:
        return name
    return f"{words[kind]} ({rest})" if kind in {"cli", "exchange"} and rest else words[kind]


ROUTES = {
    "invoice": "office_invoice",
    "family": "office_family",
    "payment": "office_payment",
    "batch": "office_import",
    "news": "office_news",
    "agent": "office_agent",
    "remittance": "office_remittance",
    "handover": "office_handover",
    "payment_export": "office_export",
    "broadcast": "office_broadcast",
}
"""Route of a subject's page, by kind of subject."""


def subject(name: str, names: dict[str, str]) -> str:
    """Subject of an action in words: ``invoice:12`` is *Facture 2026-0012*.

    `names` holds what subjects are called; one that has no name (any more) is told by its number.
    """
    kind, _colon, rest = name.partition(":")
    words = {
        "invoice": _("Facture"),
        "family": _("Famille"),
        "payment": _("Paiement"),
        "batch": _("Import"),
        "upload": _("Fichier"),
        "news": _("Actualité"),
        "agent": _("Agent"),
        "regie": _("Régie"),
        "credit": _("Avoir"),
        "day": _("Jour"),
        "remittance": _("Versement"),
        "handover": _("Liste"),
        "payment_export": _("Export de règlements"),
        "exchange_token": _("Jeton"),
        "broadcast": _("Message"),
    }
    if kind not in words:
        return names.get(name, name)
    return f"{words[kind]} {names.get(name) or rest}"


def page_of(name: str) -> tuple[str, int] | None:
    """The route and number of a subject's page, or None."""
    kind, _colon, rest = name.partition(":")
    return (ROUTES[kind], int(rest)) if kind in ROUTES and rest.isdecimal() else None


def detail(key: str) -> str:
    """The name of a detail."""
    return {
        "reason": _("motif"),
        "file": _("fichier"),
        "invoices": _("factures"),
        "families": _("familles"),
        "children": _("enfants"),
        "created": _("nouvelles"),
        "changed": _("modifiées"),
        "unchanged": _("inchangées"),
        "amount": _("montant"),
        "code": _("code"),
        "child": _("enfant"),
        "all": _("voit tout"),
        "holder": _("titulaire"),
        "day": _("jour"),
        "at": _("le"),
        "role": _("rôle"),
        "email": _("adresse"),
        "count": _("nombre"),
        "month": _("mois"),
        "means": _("moyen"),
        "reminders": _("jours de rappel"),
        "closing_days": _("jours de clôture"),
        "rejected": _("rejets"),
        "rejected_amount": _("montant rejeté"),
        "kind": _("nature"),
        "title": _("titre"),
    }.get(key, key)


def roles() -> dict[str, str]:
    """Roles of agents, in words."""
    return {
        Role.REGISSEUR: _("Régisseur"),
        Role.AGENT: _("Agent"),
        Role.ADMINISTRATOR: _("Administrateur"),
        Role.READER: _("Lecture seule"),
    }


def value(key: str, said: object) -> str:
    """Value of a detail, in words: amounts, days and means as on paper."""
    if isinstance(said, bool):
        return _("oui") if said else _("non")
    if key in {"amount", "rejected_amount"} and isinstance(said, int):
        return money(said)
    if key == "means" and isinstance(said, str):
        return means_label(said)
    if key == "role":
        return roles().get(str(said), str(said))
    try:
        if key == "day":
            return day(date.fromisoformat(str(said)))
        if key == "at":
            return moment(datetime.fromisoformat(str(said)))
    except ValueError:
        pass
    return str(said)


def details(entry: AuditEntry) -> str:
    """Details of an entry of the trail, in one line."""
    return ", ".join(
        f"{detail(key)} = {value(key, said)}" for key, said in entry.details.items()
    )


def message(kind: str) -> str:
    """Topic of a message to a family, by its kind."""
    return {
        "invoices_published": _("Factures disponibles"),
        "invoice_due": _("Rappel"),
        "payment_settled": _("Paiement enregistré"),
        "payment_reversed": _("Paiement revenu impayé"),
        "debit_rejected": _("Prélèvement rejeté"),
        "debit_request_answered": _("Réponse à une demande de prélèvement"),
        "town_notice": _("Information de service"),
        "town_news": _("Vie de la commune"),
        "address_confirmation": _("Confirmation d’adresse"),
        "lost_codes": _("Codes perdus"),
        "account_way_in": _("Lien de connexion"),
        "account_confirmation": _("Confirmation d’un compte"),
        "account_new_email": _("Nouvelle adresse d’un compte"),
        "account_email_changed": _("Adresse d’un compte changée"),
        "account_linked": _("Compte relié"),
        "account_unlinked": _("Compte délié"),
        "agent_invitation": _("Invitation d’un agent"),
        "invoices_received": _("Fichier de factures reçu"),
    }.get(kind, kind)
