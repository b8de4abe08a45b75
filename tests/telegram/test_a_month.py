"""A parent's month with the bot, played on the simulated telephone and written down for the docs."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from diary import Diary, written
from test_delivery import Parent

from core.plugin import (
    Address,
    CertificateYear,
    ContactInfo,
    Document,
    Message,
    PaymentSettled,
)
from plugins.telegram_bot import plugin
from plugins.telegram_bot.channel import TelegramChannel

WRITTEN = Path(__file__).parents[2] / "docs" / "telegram-month.md"
HEAD = """# Un mois avec le robot

Une discussion entière sur le téléphone simulé, écrite par `tests/telegram/test_a_month.py` : ne pas
modifier. Les boutons sont entre crochets.
"""
CHAT = 1001


def test_a_parents_month_reads_as_it_is_written(simulator, live):
    town, courier = live
    town.town = replace(
        town.town,
        name="Ville-Exemple",
        contact=ContactInfo("01 99 00 12 34", "regie@ville.example.org", "lundi, 9 h – 12 h"),
    )
    family = town.add_family("Durand")
    town.certificates.known[family.id, 2025] = CertificateYear(2025, 81200, True)
    town.pay(
        town.add_invoice(family, "Cantine janvier", 6120, number="F1101"),
        datetime(2026, 2, 6, 18, 0, tzinfo=UTC),
    )
    town.clock.time = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
    parent = Parent(simulator, live)
    parent.links(family)
    channel = TelegramChannel(town, courier)
    diary = Diary(parent, HEAD)

    diary.day("2 mars : deux factures arrivent")
    town.clock.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    canteen = town.add_invoice(family, "Cantine février", 5687, number="F1201",
                               due_on=date(2026, 3, 20))  # fmt: skip
    nursery = town.add_invoice(family, "Garderie février", 2340, number="F1202",
                               due_on=date(2026, 3, 20))  # fmt: skip
    alert = Message("invoices_published", "fr", "Ville-Exemple – Deux factures sont en ligne", "…",
                    invoice_ids=(canteen.id, nursery.id))  # fmt: skip
    channel.deliver(alert, Address(str(CHAT), family.id), "march")
    diary.arrives()
    diary.types("merci !")
    diary.types("je voudrais tout payer d’un coup")

    diary.day("9 mars : des questions")
    town.clock.time = datetime(2026, 3, 9, 9, 0, tzinfo=UTC)
    diary.types("pourquoi c’est si cher la cantine ??")
    diary.types("je peux payer en carte bleue ?")
    diary.types("jveu payé la cantine")

    diary.day("10 mars : payé en ligne")
    town.clock.time = datetime(2026, 3, 10, 19, 0, tzinfo=UTC)
    payment = town.pay(canteen, datetime(2026, 3, 10, 18, 59, tzinfo=UTC))
    event = PaymentSettled("e1", payment.id, family.id, (canteen.id,), 5687)
    plugin.payment_settled(ctx=town, event=event)
    parent.work()
    receipt = Document("recu.pdf", "application/pdf", b"%PDF recu")
    settled = Message("payment_settled", "fr", "Paiement reçu", "Votre paiement de 56,87 € est reçu.",
                      documents=(receipt,), invoice_ids=(canteen.id,))  # fmt: skip
    channel.deliver(settled, Address(str(CHAT), family.id), "paid")
    diary.arrives()

    diary.day("22 mars : la garderie est en retard")
    town.clock.time = datetime(2026, 3, 22, 9, 0, tzinfo=UTC)
    diary.types("combien je dois")
    diary.types("j’ai déjà payé la garderie par chèque")
    diary.types("est-ce que je peux avoir un délai sinon")

    diary.day("28 mars : les papiers, et le calme")
    town.clock.time = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)
    diary.types("il me faut l’attestation pour les impôts 2025")
    diary.types("reçu de janvier")
    diary.types("arrêtez de m’envoyer des messages")
    diary.taps("Oui, désactiver")

    played = re.sub(r"facture-\d+|recu-\d+", lambda found: found[0].partition("-")[0], diary.played())
    assert played == written(WRITTEN), played
