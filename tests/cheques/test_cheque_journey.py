"""From the coupon of a printed invoice to the family's mails, over the whole application."""

from __future__ import annotations

import io

import pypdfium2
import pytest
import zxingcpp
from pypdf import PdfReader
from sqlalchemy import select, text
from webtest import TestApp

from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.dev.mailbox import Receiver, Store
from core.domain.roles import Role
from core.plugin import Means
from core.testing.portal import make_portal, pages_of, record
from plugins.cheque_import import plugin
from plugins.cheque_import.models import Cheque

PARENT = "camille@exemple.fr"
TOML = """
[plugins.cheque_import]
account_key = "0123456789abcdef0123"

[plugins.cheque_import.deposit.CANTINE]
depositor = "Régie de restauration scolaire"
account = "FR7630001007941234567890185"
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "mailbox")


@pytest.fixture
def portal(database, redis, tmp_path, store):
    controller = MailServer(Receiver(store), hostname="127.0.0.1", port=free_port())
    controller.start()
    made = make_portal(
        database, tmp_path / "portal", plugins={"cheque_import": plugin}, toml=TOML,
        smtp_port=controller.port,
    )  # fmt: skip
    yield made
    made.runtime.close()
    controller.stop()


@pytest.fixture
def office(portal):
    """The régisseur's browser, in a town where F001 owes one invoice and is told by mail."""
    portal.publish(record("2026-0001"))
    with portal.town() as town:
        town.alerts.add(town.families.by_code("F001").id, PARENT)
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
        agent = town.agents.create("regie@valmont.fr", "Claude Martin", Role.REGISSEUR)
        town.agents.get(agent).password_hash = "x"
        token = town.agent_sessions.open(agent)
    app = TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})
    app.set_cookie("preau_agent", token)
    return app


ROOT = "/valmont/+cheque_import"


def form_with(page, field):
    return next(form for form in page.forms.values() if field in form.fields)


def press(page, value, **fields):
    form = next(
        form
        for form in page.forms.values()
        if any(getattr(button, "_value", None) == value for button in form.fields.get("action", []))
    )
    for name, typed in fields.items():
        form[name] = typed
    return form.submit("action", value=value).follow()


def scanned(pdf: bytes) -> list[str]:
    """What a camera reads on the last page, printed at 150 dots an inch."""
    document = pypdfium2.PdfDocument(pdf)
    picture = document[len(document) - 1].render(scale=150 / 72, grayscale=True).to_pil()
    return [code.text for code in zxingcpp.read_barcodes(picture)]


def mails(portal, store):
    portal.work()
    return store.mails(PARENT)


def test_scan_the_coupon_scan_the_cheque_and_the_family_is_told(portal, office, store):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("2026-0001")
        printed = town.invoices.document(invoice.id).content
    # The sheet may carry other codes, such as the one that leads to paying online.
    (code,) = [text for text in scanned(printed) if text.startswith("valmont|")]
    assert code.startswith("valmont|CANTINE|2026-0001|")

    page = office.get(f"{ROOT}/saisie", {"regie": "CANTINE"})
    page = press(page, "ouvrir", remise="10 mars")
    form = form_with(page, "coupon")
    form["coupon"] = code
    form = form_with(form.submit(), "coupon")  # The scanner's Enter.
    form["cmc7"] = "<0001234<099999000015:012345678906:"
    form["emetteur"] = "MME DURAND JEANNE"
    page = form.submit().follow()
    page = press(page, "rapprocher")
    page = press(page, "accepter")

    with portal.town() as town:
        (cheque,) = town.session.scalars(select(Cheque)).all()
        assert town.invoices.unpaid(cheque.family_id) == []
    secret = portal.codes("F001")
    parent = TestApp(office.app, extra_environ={"HTTP_HOST": "localhost"})
    form = form_with(parent.get("/valmont/connexion"), "family_code")
    form["family_code"], form["child_code"] = "F001", secret
    form.submit().follow()
    paid = parent.get("/valmont/factures/payees").html.select_one("main").get_text(" ")
    assert "Chèque bancaire" in paid
    assert "Réglé par MME DURAND JEANNE" in " ".join(paid.split())
    assert "56,87" not in parent.get("/valmont/factures").html.select_one("main").text

    (told,) = [m for m in mails(portal, store) if "enregistré" in m.header("Subject")]
    (receipt,) = told.attachments
    words = " ".join(PdfReader(io.BytesIO(receipt.content)).pages[0].extract_text().split())
    assert "Chèque bancaire" in words
    assert "56,87" in words

    page = form_with(office.get(f"{ROOT}/remises", {"regie": "CANTINE"}), "nombre").submit().follow()
    slip = office.get(page.html.select_one("a[href$='bordereau.pdf']")["href"])
    words = " ".join(PdfReader(io.BytesIO(slip.body)).pages[0].extract_text().split())
    assert "2026-CANTINE-0001" in words
    assert "0001234" in words
    assert "Signature du régisseur" in words

    page = office.get(f"{ROOT}/cheque/{cheque.id}")
    trail = page.html.select_one("ol.trail").text
    assert "Claude Martin" in trail
    assert "agent:" not in trail
    press(page, "impaye", motif="sans provision", pourquoi="avis du 12 mars")
    assert "56,87" in parent.get("/valmont/factures").html.select_one("main").text
    (bounced,) = [m for m in mails(portal, store) if "sans provision" in m.text]
    assert "56,87" in bounced.text


def test_a_payment_taken_back_in_the_ledger_brings_its_cheque_to_review(portal, office):
    """The régisseur may undo it on the payment's own page: the outbox tells the plugin."""
    source = (
        "remise;rang;cheque;z3;z2;montant;emetteur;ref\n"
        "R1;1;0001234;099999000015;012345678906;56,87;MME DURAND CAMILLE;2026-0001\n"
    )
    page = office.get(f"{ROOT}/import", {"regie": "CANTINE"})
    form = form_with(page, "fichier")
    form["fichier"] = ("remise.csv", source.encode())
    form.submit()
    press(office.get(f"{ROOT}/", {"regie": "CANTINE"}), "accepter")
    with portal.town() as town:
        (cheque,) = town.session.scalars(select(Cheque)).all()
        town.payments.reverse(cheque.payment_id, reason="erreur de famille")
    portal.work()
    with portal.town() as town:
        (cheque,) = town.session.scalars(select(Cheque)).all()
        assert (cheque.state, cheque.why, cheque.payment_id) == ("review", "erreur de famille", None)


def test_a_banked_cheque_to_classify_is_shown_wherever_money_is(portal, office):
    """A payment without a family: every page that lists payments shows it, and none fails."""
    page = press(office.get(f"{ROOT}/saisie"), "ouvrir", remise="24/11")
    form = form_with(page, "cmc7")
    for name, typed in (("cheque", "0000001"), ("montant", "77,77"), ("emetteur", "M INCONNU")):
        form[name] = typed
    form.submit().follow()
    with portal.town() as town:
        cheque = town.session.scalars(select(Cheque)).one().id
    page = office.get(f"{ROOT}/cheque/{cheque}")
    press(page, "classer", pourquoi="payeur inconnu")
    with portal.town() as town:
        assert town.session.scalars(select(Cheque.state)).one() == "to_classify"
    form_with(office.get(f"{ROOT}/remises"), "total").submit()
    with portal.town() as town:
        payment, credit = town.session.execute(
            text("SELECT p.id, c.id FROM payment p JOIN credit c ON c.payment_id = p.id")
        ).one()
    root = "/valmont/regie"
    for where, told in (
        (f"{root}/paiements", "à identifier"),
        (f"{root}/paiements/{payment}", "reste à identifier"),
        (f"{root}/avoirs", "à identifier"),
        (f"{root}/avoirs/{credit}", "reste à identifier"),
    ):
        page = office.get(where)
        assert told in page.text, where
    page = office.get(f"{root}/paiements/{payment}")
    assert "Annuler ce paiement" not in page.text
    assert "Reçu (PDF)" not in page.text


def test_a_cheque_of_the_counter_goes_on_the_numbered_slip_and_may_bounce(portal, office):
    with portal.town() as town:
        family = town.families.by_code("F001")
        (invoice,) = town.invoices.unpaid(family.id)
        for number, means in (("1", Means.CHEQUE), ("2", Means.CASH)):
            town.payments.record(
                regie="CANTINE", family_id=family.id, means=means, amount=1000,
                paid_at=town.clock.now(), payer="MME DURAND", shares=[(invoice.id, 1000)],
                key=number, note="n° 0004567 Banque Démo",
            )  # fmt: skip
    portal.work()
    portal.work()
    with portal.town() as town:
        (cheque,) = town.session.scalars(select(Cheque)).all()
        assert (cheque.number, cheque.amount, cheque.issuer) == ("0004567", 1000, "MME DURAND")
        assert (cheque.state, cheque.family_id) == ("accepted", family.id)
        payment = cheque.payment_id
    form_with(office.get(f"{ROOT}/remises"), "total").submit()
    with portal.town() as town:
        assert town.session.execute(text("SELECT count, total FROM cheque_deposit")).all() == [(1, 1000)]
    page = office.get(f"{ROOT}/cheque/{cheque.id}")
    press(page, "impaye", motif="sans provision")
    with portal.town() as town:
        assert town.payments.get(payment) is None
        assert town.invoices.get(invoice.id).balance == 5687 - 1000
