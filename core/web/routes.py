"""Every route of the portal, on one page. A town's routes are the same by path and by host."""

from __future__ import annotations

from pyramid.config import Configurator

from core.web.tenancy import UNAVAILABLE

TOWN = {
    "home": "/",
    "news": r"/actualites/{id:\d+}",
    "sign_in": "/connexion",
    "sign_in_account": "/connexion/compte",
    "lost_codes": "/codes-perdus",
    "new_code": "/codes-perdus/{token}",
    "sign_out": "/deconnexion",
    "menu": "/menu",
    "invoices": "/factures",
    "checkout": "/factures/recapitulatif",
    "paid": "/factures/payees",
    "invoice_pdf": r"/factures/{id:\d+}.pdf",
    "payments": "/paiements",
    "payment": r"/paiements/{id:\d+}",
    "payment_go": r"/paiements/{id:\d+}/aller",
    "payment_state": r"/paiements/{id:\d+}/etat",
    "payment_return": r"/paiements/{id:\d+}/retour",
    "receipt": r"/paiements/{id:\d+}/recu.pdf",
    "payment_link": "/payer/{token}",
    "certificates": "/attestations",
    "certificate_pdf": r"/attestations/{year:\d{4}}.pdf",
    "alerts": "/alertes",
    "alert_confirm": "/alertes/confirmer/{token}",
    "alert_unsubscribe": "/alertes/desabonner/{token}",
    "account": "/compte",
    "switch_family": "/famille",
    "help": "/aide",
    "guide": "/mode-d-emploi.pdf",
    "language": "/langue",
    "legal": "/mentions-legales",
    "accessibility": "/accessibilite",
    "theme": "/theme.css",
    "logo": "/logo",
}

OFFICE = {
    "office": "/regie",
    "office_sign_in": "/regie/connexion",
    "office_sign_out": "/regie/deconnexion",
    "office_invitation": "/regie/invitation/{token}",
    "office_account": "/regie/mon-acces",
    "office_agents": "/regie/agents",
    "office_agent": r"/regie/agents/{id:\d+}",
    "office_audit": "/regie/tracabilite",
    "office_audit_csv": "/regie/tracabilite.csv",
    "office_outbox": "/regie/envois",
    "office_search": "/regie/recherche",
    "office_imports": "/regie/imports",
    "office_import": r"/regie/imports/{id:\d+}",
    "office_uploads": "/regie/imports/fichiers",
    "office_upload": r"/regie/imports/fichiers/{id:\d+}",
    "office_upload_state": r"/regie/imports/fichiers/{id:\d+}/etat",
    "office_invoices": "/regie/factures",
    "office_invoice": r"/regie/factures/{id:\d+}",
    "office_invoice_pdf": r"/regie/factures/{id:\d+}.pdf",
    "office_families": "/regie/familles",
    "office_family_new": "/regie/familles/nouvelle",
    "office_family": r"/regie/familles/{id:\d+}",
    "office_family_codes": r"/regie/familles/{id:\d+}/codes",
    "office_family_letter": r"/regie/familles/{id:\d+}/courrier.pdf",
    "office_family_data": r"/regie/familles/{id:\d+}/donnees.json",
    "office_family_payment": r"/regie/familles/{id:\d+}/encaisser",
    "office_letters": "/regie/familles/courriers.pdf",
    "office_payments": "/regie/paiements",
    "office_payment": r"/regie/paiements/{id:\d+}",
    "office_receipt": r"/regie/paiements/{id:\d+}/recu.pdf",
    "office_news_list": "/regie/actualites",
    "office_news_new": "/regie/actualites/nouvelle",
    "office_news": r"/regie/actualites/{id:\d+}",
    "office_accounts": "/regie/comptes",
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
    config.add_static_view("static", "core.web:static", cache_max_age=31_536_000)
    for name, pattern in INSTALLATION.items():
        config.add_route(name, pattern, in_town=False)
    for name, pattern in (TOWN | OFFICE).items():
        config.add_route(name, pattern, in_town=True)
