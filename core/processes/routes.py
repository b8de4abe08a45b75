"""Every route of the portal, on one page. A town's routes are the same by path and by host."""

from __future__ import annotations

from pyramid.config import Configurator

from core.platform.web.tenancy import UNAVAILABLE

TOWN = {
    "home": "/",
    "news": r"/actualites/{id:[0-9]{1,18}}",
    "news_image": r"/actualites/images/{id:[0-9]{1,18}}",
    "sign_in": "/connexion",
    "sign_in_account": "/connexion/compte",
    "way_in": "/connexion/lien/{token}",
    "lost_codes": "/codes-perdus",
    "new_code": "/codes-perdus/{token}",
    "sign_out": "/deconnexion",
    "menu": "/menu",
    "invoices": "/factures",
    "checkout": "/factures/recapitulatif",
    "paid": "/factures/payees",
    "paid_year": r"/factures/payees/{year:\d{4}}.{format:csv|pdf}",
    "invoice_pdf": r"/factures/{id:[0-9]{1,18}}.pdf",
    "payments": "/paiements",
    "payment": r"/paiements/{id:[0-9]{1,18}}",
    "payment_go": r"/paiements/{id:[0-9]{1,18}}/aller",
    "payment_state": r"/paiements/{id:[0-9]{1,18}}/etat",
    "payment_return": r"/paiements/{id:[0-9]{1,18}}/retour",
    "receipt": r"/paiements/{id:[0-9]{1,18}}/recu.pdf",
    "payment_link": "/payer/{token}",
    "bill": "/f/{token}",
    "certificates": "/attestations",
    "certificate_pdf": r"/attestations/{year:\d{4}}.pdf",
    "alerts": "/alertes",
    "alert_confirm": "/alertes/confirmer/{token}",
    "alert_unsubscribe": "/alertes/desabonner/{token}",
    "debit": "/prelevement",
    "debit_form": "/prelevement/formulaire.pdf",
    "account": "/compte",
    "account_confirm": "/compte/confirmer/{token}",
    "account_email": "/compte/adresse/{token}",
    "switch_family": "/famille",
    "exchange_payments": r"/echanges/reglements/{regie:[A-Z0-9_]{1,40}}",
    "exchange_payments_one": (
        r"/echanges/reglements/{regie:[A-Z0-9_]{1,40}}/{number:[0-9]{1,9}}.csv"
    ),
    "help": "/aide",
    "guide": "/mode-d-emploi.pdf",
    "language": "/langue",
    "legal": "/mentions-legales",
    "accessibility": "/accessibilite",
    "theme": "/theme.css",
    "manifest": "/manifest.webmanifest",
    "logo": "/logo",
}

OFFICE = {
    "office": "/regie",
    "office_sign_in": "/regie/connexion",
    "office_sign_out": "/regie/deconnexion",
    "office_invitation": "/regie/invitation/{token}",
    "office_account": "/regie/mon-acces",
    "office_agents": "/regie/agents",
    "office_agent": r"/regie/agents/{id:[0-9]{1,18}}",
    "office_audit": "/regie/tracabilite",
    "office_audit_file": "/regie/tracabilite.{format:csv|xlsx}",
    "office_outbox": "/regie/envois",
    "office_report": r"/regie/tableau-de-bord/{year:20\d\d}-{month:0[1-9]|1[0-2]}.pdf",
    "office_health": "/regie/etat",
    "office_search": "/regie/recherche",
    "office_imports": "/regie/imports",
    "office_imports_file": "/regie/imports.{format:csv|xlsx}",
    "office_import": r"/regie/imports/{id:[0-9]{1,18}}",
    "office_layouts": "/regie/imports/modeles",
    "office_receptions": "/regie/imports/automatiques",
    "office_uploads": "/regie/imports/fichiers",
    "office_upload": r"/regie/imports/fichiers/{id:[0-9]{1,18}}",
    "office_upload_state": r"/regie/imports/fichiers/{id:[0-9]{1,18}}/etat",
    "office_invoices": "/regie/factures",
    "office_invoices_file": "/regie/factures.{format:csv|xlsx}",
    "office_invoice": r"/regie/factures/{id:[0-9]{1,18}}",
    "office_invoice_closing": r"/regie/factures/{id:[0-9]{1,18}}/cloture",
    "office_correction": r"/regie/factures/{id:[0-9]{1,18}}/corriger",
    "office_invoice_pdf": r"/regie/factures/{id:[0-9]{1,18}}.pdf",
    "office_families": "/regie/familles",
    "office_families_file": "/regie/familles.{format:csv|xlsx}",
    "office_family_new": "/regie/familles/nouvelle",
    "office_family": r"/regie/familles/{id:[0-9]{1,18}}",
    "office_family_codes": r"/regie/familles/{id:[0-9]{1,18}}/codes",
    "office_family_letter": r"/regie/familles/{id:[0-9]{1,18}}/courrier.pdf",
    "office_family_data": r"/regie/familles/{id:[0-9]{1,18}}/donnees.json",
    "office_family_payment": r"/regie/familles/{id:[0-9]{1,18}}/encaisser",
    "office_family_merge": r"/regie/familles/{id:[0-9]{1,18}}/fusion",
    "office_retention": "/regie/conservation",
    "office_letters": "/regie/familles/courriers.pdf",
    "office_desk": "/regie/guichet",
    "office_payments": "/regie/paiements",
    "office_payments_file": "/regie/paiements.{format:csv|xlsx}",
    "office_payment": r"/regie/paiements/{id:[0-9]{1,18}}",
    "office_debits": "/regie/prelevements",
    "office_debits_file": "/regie/prelevements.{format:csv|xlsx}",
    "office_debit_file": "/regie/prelevements/fichier",
    "office_debit_job": r"/regie/prelevements/fichiers/{id:[0-9]{1,18}}",
    "office_debit_job_state": r"/regie/prelevements/fichiers/{id:[0-9]{1,18}}/etat",
    "office_debit_requests": "/regie/prelevements/demandes",
    "office_debit_offer": "/regie/prelevements/formulaire",
    "office_debit_form": "/regie/prelevements/formulaire.pdf",
    "office_receipt": r"/regie/paiements/{id:[0-9]{1,18}}/recu.pdf",
    "office_news_list": "/regie/actualites",
    "office_news_new": "/regie/actualites/nouvelle",
    "office_news": r"/regie/actualites/{id:[0-9]{1,18}}",
    "office_broadcasts": "/regie/messages",
    "office_broadcast_new": "/regie/messages/nouveau",
    "office_broadcast": r"/regie/messages/{id:[0-9]{1,18}}",
    "office_broadcast_edit": r"/regie/messages/{id:[0-9]{1,18}}/modifier",
    "office_broadcast_state": r"/regie/messages/{id:[0-9]{1,18}}/etat",
    "office_broadcast_unreached": (
        r"/regie/messages/{id:[0-9]{1,18}}/a-prevenir.{format:csv|xlsx|pdf}"
    ),
    "office_reminders": "/regie/rappels",
    "office_reminders_preview": "/regie/rappels/apercu",
    "office_accounts": "/regie/comptes",
    "office_account_table": "/regie/comptes/etats/{name}",
    "office_bank": "/regie/comptes/rapprochement",
    "office_remittances": "/regie/comptes/versements",
    "office_remittance": r"/regie/comptes/versements/{id:[0-9]{1,18}}",
    "office_remittance_file": (
        r"/regie/comptes/versements/{id:[0-9]{1,18}}.{format:csv|xlsx|pdf}"
    ),
    "office_officers": "/regie/comptes/regisseur",
    "office_till_report": r"/regie/comptes/regisseur/pv/{id:[0-9]{1,18}}.pdf",
    "office_handovers": "/regie/comptes/transmissions",
    "office_handover": r"/regie/comptes/transmissions/{id:[0-9]{1,18}}",
    "office_handover_file": (
        r"/regie/comptes/transmissions/{id:[0-9]{1,18}}.{format:csv|xlsx|pdf}"
    ),
    "office_exports": "/regie/comptes/exports",
    "office_export": r"/regie/comptes/exports/{id:[0-9]{1,18}}",
    "office_export_file": r"/regie/comptes/exports/{id:[0-9]{1,18}}.csv",
    "office_export_columns": "/regie/comptes/exports/colonnes",
    "office_entries": "/regie/comptes/ecritures",
    "office_credits": "/regie/avoirs",
    "office_credits_file": "/regie/avoirs.{format:csv|xlsx}",
    "office_credit": r"/regie/avoirs/{id:[0-9]{1,18}}",
    "office_account_file": "/regie/comptes/{name}.{format:csv|xlsx|pdf}",
}

INSTALLATION = {
    "towns": "/",
    "live": "/health/live",
    "ready": "/health/ready",
    "metrics": "/metrics",
    "unavailable": UNAVAILABLE,
}


def includeme(config: Configurator) -> None:
    """Add them."""
    config.add_static_view("static", "core.platform.web:static", cache_max_age=31_536_000)
    for name, pattern in INSTALLATION.items():
        config.add_route(name, pattern, in_town=False)
    for name, pattern in (TOWN | OFFICE).items():
        config.add_route(name, pattern, in_town=True)
