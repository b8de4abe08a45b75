"""Paying on PayFiP's simulated pages."""

from __future__ import annotations

PAID_CARD = "4970100000000055"


def pay_by_card(visitor, number=PAID_CARD):
    """Choose the card, type it in, and pass the bank's check."""
    page = visitor.page
    visitor.button("Payer par carte bancaire")
    page.get_by_label("Numéro de carte").fill(number)
    page.get_by_label("Date d’expiration").fill("12/39")
    page.get_by_label("Cryptogramme").fill("123")
    visitor.button("Valider")
    page.get_by_label("Code reçu").fill("123456")
    visitor.button("Valider")
