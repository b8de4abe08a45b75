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
    for name, pattern in TOWN.items():
        config.add_route(name, pattern, in_town=True)
