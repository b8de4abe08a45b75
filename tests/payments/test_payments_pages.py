"""The four steps, coming back, starting again, and payment links."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader
from sqlalchemy import text
from structlog.testing import capture_logs
from webtest import TestApp

from core.api.errors import PayerField, PermanentError, RetryableError, StartRefusedError
from core.api.payments import Anomaly, Failed, FailureKind, Means, Pending, Redirect
from core.domain.start_refusals import RefusalKind
from core.testing.fakes import FakeProvider
from core.testing.portal import record


def invoice_ids(portal, *numbers):
    with portal.town() as town:
        return [town.invoices.by_number(number)[0].id for number in numbers]


def checkout(browser, *numbers):
    ids = invoice_ids(browser.portal, *numbers)
    return browser.get("/factures/recapitulatif", params=[("invoice", i) for i in ids])


def start(browser, *numbers, email="camille@exemple.fr"):
    """Go through to the provider; the way back that it was given."""
    answer = browser.fill(checkout(browser, *numbers), email=email)
    assert answer.location == f"https://bank.invalid/{browser.portal.bank.last}"
    return browser.portal.bank.intents[browser.portal.bank.last]


def come_back(browser, intent):
    return browser.app.get(intent.return_url).follow()


def test_two_invoices_of_one_regie_are_paid_at_once(browser):
    browser.sign_in()
    intent = start(browser, "1", "2")
    assert intent.amount == 6687
    assert intent.email == "camille@exemple.fr"
    assert intent.notify_url == "http://localhost/valmont/+fakepay/notification"
    browser.portal.bank.pay(browser.portal.bank.last, browser.portal.clock)
    page = come_back(browser, intent)
    assert "Paiement confirmé" in page
    assert "66,87" in page
    assert "Tout est réglé" in browser.get("/factures")
    assert "A1B2C3" in browser.get("/factures/payees")
    assert browser.get(f"/paiements/{intent.payment_id}/recu.pdf").body.startswith(b"%PDF")


def test_a_name_that_another_payment_has_is_the_providers_fault(browser, monkeypatch):
    """Nobody is sent to a page that may take the money of another payment."""
    browser.sign_in()
    first = start(browser, "1")
    reference = browser.portal.bank.last
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(
            FakeProvider, "start", lambda _self, _intent: Redirect(reference, "https://bank.invalid/")
        )
        page = checkout(browser, "2")
        form = next(form for form in page.forms.values() if "email" in form.fields)
        form["email"] = "camille@exemple.fr"
        answer = form.submit(status=303)
    assert answer.location == "http://localhost/valmont/factures"
    (fault,) = [entry for entry in logs if entry["event"] == "plugin.fault"]
    assert (fault["plugin"], fault["hook"]) == ("fakepay", "start")
    assert reference in str(fault["exc_info"])
    with browser.portal.town() as town:
        found = town.session.execute(text("SELECT id, state, provider_reference FROM payment ORDER BY id"))
        (one, *announced), (two, *free) = found.all()
    assert (one, announced, free) == (first.payment_id, ["pending", reference], ["created", ""])
    # Once it is mended, the same payment goes on, at once.
    browser.app.get(f"/valmont/paiements/{two}/aller", status=303)
    assert browser.portal.bank.intents[browser.portal.bank.last].payment_id == two


def test_what_the_payer_has_in_hand_stands_on_page_and_receipt(browser):
    """The reference on the service's ticket, not the portal's own name for the attempt."""
    browser.sign_in()
    intent = start(browser, "1")
    bank = browser.portal.bank
    bank.pay(bank.last, browser.portal.clock)
    page = come_back(browser, intent)
    receipt = browser.get(f"/paiements/{intent.payment_id}/recu.pdf").body
    read = "".join(page.extract_text() for page in PdfReader(BytesIO(receipt)).pages)
    for shown in (page.text, read):
        assert f"FP{intent.payment_id:08d}" in shown
        assert bank.last not in shown


def test_a_direct_debit_that_was_ordered_is_said_to_be_promised(browser):
    browser.sign_in()
    intent = start(browser, "1")
    bank = browser.portal.bank
    bank.pay(bank.last, browser.portal.clock)
    bank.outcomes[bank.last] = replace(bank.outcomes[bank.last], means=Means.ONLINE_DEBIT)
    page = come_back(browser, intent)
    assert "Prélèvement enregistré, merci" in page
    assert "Montant à prélever" in page
    receipt = browser.get(f"/paiements/{intent.payment_id}/recu.pdf").body
    read = "".join(page.extract_text() for page in PdfReader(BytesIO(receipt)).pages)
    assert "ordre de prélèvement" in read
    assert "avoir reçu" not in read


def test_one_click_leads_to_the_provider_and_so_does_the_same_click_again(browser):
    browser.sign_in()
    form = browser.form(checkout(browser, "1"), "email")
    form["email"] = "camille@exemple.fr"
    bank = browser.portal.bank
    bank.down = RetryableError("away")
    assert form.submit(status=303).location.endswith("/valmont/factures"), "told where to try again"
    bank.down = None
    first = form.submit(status=303)
    assert first.location == f"https://bank.invalid/{bank.last}"
    assert form.submit(status=303).location == first.location
    with browser.portal.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM payment")) == 1
    assert len(bank.intents) == 1


def test_the_email_is_remembered(browser):
    browser.sign_in()
    start(browser, "1")
    assert browser.form(checkout(browser, "2"), "email")["email"].value == "camille@exemple.fr"


@pytest.mark.parametrize("email", ["", "camille", "camille@", "a b@c.fr", "x" * 250 + "@a.fr"])
def test_a_wrong_email_is_told_and_nothing_is_lost(browser, email):
    browser.sign_in()
    page = browser.fill(checkout(browser, "1", "2"), email=email)
    assert page.status_int == 422
    assert "66,87" in page
    assert browser.portal.bank.intents == {}


def test_the_outcome_in_the_address_proves_nothing(browser):
    browser.sign_in()
    intent = start(browser, "1")
    page = browser.app.get(f"{intent.return_url}?resultrans=P&amount=5687").follow()
    assert "Paiement confirmé" not in page
    state = browser.get(f"/paiements/{intent.payment_id}/etat").json
    assert state == {"state": "pending", "final": False}


def test_a_refused_payment_may_be_tried_again(browser):
    browser.sign_in()
    intent = start(browser, "1")
    browser.portal.bank.outcomes[browser.portal.bank.last] = Failed(FailureKind.REFUSED)
    page = come_back(browser, intent)
    assert "refus" in page.text.lower()
    assert start(browser, "1").payment_id != intent.payment_id


def test_one_under_way_is_led_back_to_and_freed_in_the_end(browser):
    browser.sign_in()
    first = start(browser, "1")
    page = browser.get(
        "/factures/recapitulatif", params={"invoice": invoice_ids(browser.portal, "1")[0]}, status=409
    )
    assert "Reprendre le paiement" in page
    assert "Recommencer" not in page
    browser.portal.clock.pass_time(minutes=16)
    browser.app.reset()
    browser.sign_in()
    page = browser.get(
        "/factures/recapitulatif", params={"invoice": invoice_ids(browser.portal, "1")[0]}, status=409
    )
    answer = browser.fill(page, restart=str(first.payment_id))
    assert answer.location.startswith("https://bank.invalid/")
    assert len(browser.portal.bank.intents) == 2


def test_the_provider_being_away_is_told(browser):
    browser.sign_in()
    browser.portal.bank.down = RetryableError("away")
    page = browser.fill(checkout(browser, "1"), email="camille@exemple.fr")
    assert "ne répond pas" in page
    browser.portal.bank.down = None
    start(browser, "1")


@pytest.mark.parametrize(
    ("detail", "words"),
    [("refused", "a refusé"), ("cancelled", "avez annulé"), ("", "Nous attendons")],
)
def test_a_try_that_failed_is_told_while_another_may_follow(browser, detail, words):
    browser.sign_in()
    intent = start(browser, "1")
    bank = browser.portal.bank
    url = f"https://bank.invalid/{bank.last}"
    bank.outcomes[bank.last] = Pending(resumable=True, resume_url=url, detail=detail)
    page = come_back(browser, intent)
    assert words in page.html.h1.text
    assert "Reprendre le paiement" in page
    bank.pay(bank.last, browser.portal.clock)
    assert "Paiement confirmé" in come_back(browser, intent)


def test_an_abandoned_attempt_starts_again_with_one_click(browser):
    """Its page closed after a quarter of an hour, and its outcome is open for two hours more."""
    browser.sign_in()
    intent = start(browser, "1")
    browser.portal.bank.outcomes[browser.portal.bank.last] = Pending(resumable=False)
    assert "Recommencer" not in come_back(browser, intent)
    browser.portal.clock.pass_time(minutes=16)
    page = come_back(browser, intent)
    answer = browser.form(page, "restart").submit()
    assert answer.location == f"https://bank.invalid/{browser.portal.bank.last}"
    assert browser.portal.bank.intents[browser.portal.bank.last].payment_id != intent.payment_id


def test_nobody_is_led_to_a_page_that_closed_meanwhile(browser):
    """The last question may be minutes old, and told that the page was open."""
    browser.sign_in()
    intent = start(browser, "1")
    bank, go = browser.portal.bank, f"/paiements/{intent.payment_id}/aller"
    assert browser.get(go).location == f"https://bank.invalid/{bank.last}"
    bank.outcomes[bank.last] = Pending(resumable=False)
    browser.portal.clock.pass_time(minutes=16)
    assert browser.get(go).location.endswith(f"/paiements/{intent.payment_id}")
    bank.pay(bank.last, browser.portal.clock)
    come_back(browser, intent)
    assert browser.get(go).location.endswith(f"/paiements/{intent.payment_id}")


@pytest.mark.parametrize("signed_in", [True, False])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"idOp=x&resultrans=P"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"\xff\xfe"),
        ("multipart/form-data", b"--"),
        ("text/plain", b"idop"),
    ],
)
def test_who_is_led_back_by_a_form_goes_on_by_the_same_address(browser, kind, body, signed_in):
    """Another site's form comes without cookies: what follows it has them, and they stay."""
    browser.sign_in()
    intent = start(browser, "1")
    browser.portal.bank.pay(browser.portal.bank.last, browser.portal.clock)
    app = browser.app if signed_in else TestApp(browser.app.app, extra_environ=browser.app.extra_environ)
    answer = app.post(intent.return_url, params=body, content_type=kind, status=303)
    assert answer.location == intent.return_url
    assert "Set-Cookie" not in answer.headers
    assert "Paiement confirmé" in browser.app.get(answer.location).follow()


NO_CARD = re.compile(r"\bcarte|\bbanque a\b|\bbanque n’a\b|réessayer|Réessayer", re.IGNORECASE)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (StartRefusedError(RefusalKind.SETTINGS, "T2"), "Service indisponible"),
        (StartRefusedError(RefusalKind.INVOICE, "refdet : N°2026/12"), "référence ou son montant"),
        (PermanentError("X9"), "n’a pas pu s’ouvrir"),
    ],
    ids=["settings", "invoice", "unknown"],
)
def test_a_refusal_at_start_is_no_refusal_of_a_card(browser, refusal, words):
    browser.sign_in()
    browser.portal.bank.down = refusal
    page = browser.fill(checkout(browser, "1"), email="camille@exemple.fr")
    told = page.html.select_one(".outcome").text
    assert words in told
    assert "Rien n’a été débité" in told
    assert "la régie est prévenue" in told
    assert not NO_CARD.search(told), told
    assert "Réessayer" not in page
    browser.portal.bank.down = None
    start(browser, "1")


@pytest.mark.parametrize("message", ["Au plus 80 caractères.", ""])
def test_an_address_that_the_provider_refuses_is_told_at_its_field(browser, message):
    browser.sign_in()
    browser.portal.bank.down = StartRefusedError(
        RefusalKind.PAYER, "mel", payer_field=PayerField.EMAIL, message=message
    )
    page = browser.fill(checkout(browser, "1", "2"), email="camille@exemple.fr")
    assert page.status_int == 422
    assert (message or "n’accepte pas cette adresse") in page.html.select_one("#email-error").text
    assert "66,87" in page, "nothing is lost"
    browser.portal.bank.down = None
    answer = browser.fill(page, email="c@exemple.fr")
    assert answer.location == f"https://bank.invalid/{browser.portal.bank.last}"
    with browser.portal.town() as town:
        assert town.figures.waiting().todo == 0, "the family corrects it, not the régie"


@pytest.mark.parametrize(
    ("doubt", "words"),
    [
        (Anomaly("numcli differs"), "La régie vérifie ce paiement"),
        (Pending(resumable=False, detail="resultrans W", watched=True), "Le résultat de ce paiement est à vérifier"),
    ],
    ids=["anomaly", "unknown"],
)
def test_what_may_be_paid_invites_nobody_to_pay(browser, doubt, words):
    browser.sign_in()
    intent = start(browser, "1")
    browser.portal.bank.outcomes[browser.portal.bank.last] = doubt
    browser.portal.clock.pass_time(minutes=16)
    number = invoice_ids(browser.portal, "1")[0]
    go = f"/paiements/{intent.payment_id}/aller"
    for page in (
        come_back(browser, intent),
        browser.get("/factures/recapitulatif", params={"invoice": number}, status=409),
    ):
        assert words in page
        assert "Ne payez pas une seconde fois" in page
        for invitation in ("Recommencer", "Réessayer", "page de paiement<", "Reprendre"):
            assert invitation not in page
    assert browser.get(go).location.endswith(f"/paiements/{intent.payment_id}")
    listed = browser.get("/factures")
    assert "La régie vérifie" in listed
    assert "Paiement en cours" not in listed


@pytest.mark.parametrize("detail", ["refused", "cancelled"])
def test_a_try_that_failed_holds_nobody(browser, detail):
    """Its page is closed for good: a fresh attempt, or other invoices, at once."""
    browser.sign_in()
    intent = start(browser, "1")
    bank = browser.portal.bank
    bank.outcomes[bank.last] = Pending(resumable=False, detail=detail)
    page = come_back(browser, intent)
    assert "page de paiement<" not in page
    assert "ce qui serait payé en trop vous reste acquis" in page
    assert page.html.find("a", string="Choisir d’autres factures")["href"].endswith("/factures")
    assert "Paiement en cours" not in browser.get("/factures")
    again = page.click("Réessayer")
    assert "ce qui serait payé en trop vous reste acquis" in again
    answer = browser.fill(again, email="camille@exemple.fr")
    assert answer.location == f"https://bank.invalid/{bank.last}"
    assert bank.intents[bank.last].payment_id != intent.payment_id
    assert "Vous avez recommencé" in browser.get(f"/paiements/{intent.payment_id}")


def test_an_attempt_that_failed_while_the_form_was_open_is_told_before_anything_is_paid(browser):
    browser.sign_in()
    form = browser.form(checkout(browser, "1"), "email")
    intent = start(browser, "1")
    bank = browser.portal.bank
    bank.outcomes[bank.last] = Pending(resumable=False, detail="refused")
    come_back(browser, intent)
    form["email"] = "camille@exemple.fr"
    form["key"] = "another tab"
    page = form.submit(status=409)
    assert "Un essai commencé le" in page
    assert len(bank.intents) == 1
    assert browser.fill(page, email="camille@exemple.fr").location == f"https://bank.invalid/{bank.last}"


def test_the_page_that_waits_looks_again_when_the_situation_changes(browser):
    browser.sign_in()
    intent = start(browser, "1")
    state = f"/paiements/{intent.payment_id}/etat"
    assert not browser.get(state, params={"vu": "open"}).json["final"]
    browser.portal.bank.outcomes[browser.portal.bank.last] = Anomaly("differs")
    come_back(browser, intent)
    assert browser.get(state, params={"vu": "open"}).json["final"]
    assert not browser.get(state, params={"vu": "checked"}).json["final"]


def test_coming_back_while_the_provider_is_away_waits(browser):
    browser.sign_in()
    intent = start(browser, "1")
    browser.portal.bank.down = RetryableError("away")
    assert come_back(browser, intent).status_int == 200


@pytest.mark.parametrize("query", ["", "?invoice=x", "?invoice=999999", "?invoice=1e9", "?invoice=" + "9" * 30])
def test_what_is_no_invoice_of_mine_is_refused(browser, query):
    browser.sign_in()
    assert browser.get(f"/factures/recapitulatif{query}", expect_errors=True).status_int in {404, 422}


def test_a_payment_link_opens_one_invoice_once(browser, another):
    portal = browser.portal
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        link = town.invoices.payment_link(invoice.id, invoice.family_id)
    path = link.removeprefix("http://localhost/valmont")
    chat = another()
    chat.get(path)  # A preview of the link uses nothing up.
    page = chat.get(path)
    form = next(f for f in page.forms.values() if "Payer cette facture" in f.text)
    page = form.submit().follow()
    assert "56,87" in page
    answer = chat.fill(page, email="chat@exemple.fr")
    intent = portal.bank.intents[portal.bank.last]
    assert answer.location.startswith("https://bank.invalid/")
    portal.bank.pay(portal.bank.last, portal.clock)
    assert "Paiement confirmé" in come_back(chat, intent)
    for closed in ("/factures", "/factures/payees", "/menu", "/compte", "/alertes"):
        assert chat.get(closed, expect_errors=True).status_int == 403
    other = invoice_ids(portal, "2")[0]
    assert chat.get(f"/factures/recapitulatif?invoice={other}", expect_errors=True).status_int == 404
    assert chat.get(f"/factures/{other}.pdf", expect_errors=True).status_int == 404
    thief = another()
    assert "déjà servi" in thief.get(path, status=404)


def test_a_payment_link_grows_old(browser, another):
    with browser.portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        path = town.invoices.payment_link(invoice.id, invoice.family_id).removeprefix("http://localhost/valmont")
    browser.portal.clock.pass_time(minutes=31)
    assert "trop ancien" in another().get(path, status=404)


def test_the_filter_of_paid_invoices(browser):
    browser.sign_in()
    intent = start(browser, "1")
    browser.portal.bank.pay(browser.portal.bank.last, browser.portal.clock)
    come_back(browser, intent)
    assert re.search(r"A1B2C3", browser.get("/factures/payees?annee=2026&regie=CANTINE").text)
    for query in ("annee=2025", "regie=GARDERIE"):
        assert "A1B2C3" not in browser.get(f"/factures/payees?{query}")
    browser.get("/factures/payees?annee=abcd&regie='", status=200)
    browser.get("/factures/payees?regie=%00", status=400)


def paid_in(portal, number, moment, amount):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number(number)
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CHEQUE, amount=amount,
            paid_at=moment, payer="X", shares=[(invoice.id, amount)], key=f"{number}/{moment}",
        )  # fmt: skip


def test_what_was_paid_stands_by_year_with_its_sums(browser):
    """The year is that of the payment in France: half past eleven in the evening of UTC is the next."""
    portal = browser.portal
    paid_in(portal, "1", datetime(2025, 12, 31, 23, 30, tzinfo=UTC), 5000)
    paid_in(portal, "1", datetime(2025, 12, 31, 22, 30, tzinfo=UTC), 687)
    paid_in(portal, "2", datetime(2025, 7, 1, 10, 0, tzinfo=UTC), 1000)
    browser.sign_in()
    page = browser.get("/factures/payees")
    told = [" ".join(year.summary.get_text().split()) for year in page.html.select("details.year")]
    assert told == ["2026 1 facture 50,00 €", "2025 2 factures 16,87 €"]
    lines = browser.get("/factures/payees/2025.csv").body.decode("utf-8-sig").splitlines()
    assert lines[1:] == [
        "31/12/2025;CANTINE février;1;Restauration scolaire;Chèque bancaire;6,87",
        "01/07/2025;CANTINE mars;2;Restauration scolaire;Chèque bancaire;10,00",
        "Total;;;;;16,87",
    ]
    paper = PdfReader(BytesIO(browser.get("/factures/payees/2025.pdf").body))
    read = " ".join(page.extract_text() for page in paper.pages).replace("\n", " ")
    assert "Factures payées en 2025" in read
    assert "16,87" in read
    assert "50,00" not in read
    assert browser.get("/factures/payees/2024.pdf", status="*").status_int == 404


def test_the_list_of_a_year_is_its_familys_own(browser, another):
    paid_in(browser.portal, "1", browser.portal.clock.now(), 5687)
    other = another()
    other.sign_in("F002")
    assert other.get("/factures/payees/2026.csv", status="*").status_int == 404


def test_an_invoice_without_a_pdf_is_printed(browser):
    browser.sign_in()
    (invoice,) = invoice_ids(browser.portal, "1")
    answer = browser.get(f"/factures/{invoice}.pdf")
    assert answer.body.startswith(b"%PDF")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_late_invoice_says_until_when_it_is_paid_here(browser, portal):
    """After that day it goes to the trésorerie: the letter says so, and the page."""
    browser.sign_in()
    with portal.town() as town:
        town.session.execute(
            text("UPDATE invoice SET closes_on = date '2026-04-30' WHERE number = '1'")
        )
    assert "payable ici" not in browser.get("/factures"), "what counts now is the due date"
    portal.clock.pass_time(days=25)
    browser.sign_in()
    page = browser.get("/factures")
    assert page.text.count("payable ici jusqu’au 30/04/2026") == 1


@pytest.fixture
def by_link(browser, another):
    """A browser that came by a payment link of invoice 1; its family has an e-mail on file."""
    portal = browser.portal
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        town.alerts.add(invoice.family_id, "secret@exemple.fr")
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
        path = town.invoices.payment_link(invoice.id, invoice.family_id).removeprefix("http://localhost/valmont")
    chat = another()
    page = chat.get(path)
    page = next(f for f in page.forms.values() if "Payer cette facture" in f.text).submit().follow()
    return chat, page, path


def test_a_payment_link_tells_no_address_and_leads_nowhere_else(browser, by_link):
    chat, page, _path = by_link
    pages = [page]
    chat.fill(page, email="chat@exemple.fr")
    intent = browser.portal.bank.intents[browser.portal.bank.last]
    pages.append(come_back(chat, intent))
    browser.portal.bank.pay(browser.portal.bank.last, browser.portal.clock)
    pages.append(come_back(chat, intent))
    assert "Paiement confirmé" in pages[-1]
    for shown in pages:
        assert "secret@exemple.fr" not in shown
        for link in re.findall(r'href="(/valmont/[^"?#]*)', shown.text):
            assert chat.get(link.removeprefix("/valmont"), status="*").status_int != 403, link
        assert "Terminer" in shown


def test_a_payment_link_s_session_is_ended_by_its_button_and_by_the_hour(browser, by_link, another):
    chat, page, _path = by_link
    address = page.request.path_qs.removeprefix("/valmont")
    next(f for f in page.forms.values() if "deconnexion" in f.action).submit()
    assert "/connexion" in chat.get(address).location


def test_a_payment_link_s_session_lasts_an_hour(browser, by_link):
    chat, page, _path = by_link
    address = page.request.path_qs.removeprefix("/valmont")
    for _time in range(2):
        browser.portal.clock.pass_time(minutes=25)
        assert chat.get(address).status_int == 200
    browser.portal.clock.pass_time(minutes=25)
    assert "/connexion" in chat.get(address).location


@pytest.mark.parametrize("used", [True, False])
def test_the_link_of_a_paid_invoice_says_so(browser, another, used):
    portal = browser.portal
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        path = town.invoices.payment_link(invoice.id, invoice.family_id).removeprefix("http://localhost/valmont")
    if used:
        page = another().get(path)
        next(f for f in page.forms.values() if "Payer cette facture" in f.text).submit()
    browser.sign_in()
    start(browser, "1")
    portal.bank.pay(portal.bank.last, portal.clock)
    come_back(browser, portal.bank.intents[portal.bank.last])
    page = another().get(path, status="*")
    assert "Cette facture est payée" in page
    assert "trop ancien" not in page
    portal.clock.pass_time(hours=1)
    assert "Cette facture est payée" in another().get(path, status="*")


# --- a link for several invoices -------------------------------------------------------------------


@pytest.fixture
def basket(browser):
    """The path of a link for invoices 1 and 2; a third one of the family is in no link."""
    with browser.portal.town() as town:
        first, second = (town.invoices.by_number(number)[0] for number in ("1", "2"))
        return path_of(town, first, second)


def path_of(town, *invoices):
    link = town.invoices.payment_link([invoice.id for invoice in invoices], invoices[0].family_id)
    return link.removeprefix("http://localhost/valmont")


def use(page, button="Payer ces factures"):
    return next(form for form in page.forms.values() if button in form.text).submit().follow()


def test_a_payment_link_may_be_for_several_invoices_and_opens_nothing_else(browser, another, basket):
    portal = browser.portal
    portal.publish(record("3", amount=1500))
    (third,) = invoice_ids(portal, "3")
    chat = another()
    chat.get(basket)  # A preview uses nothing up.
    page = chat.get(basket)
    assert "66,87" in page
    page = use(page)
    assert "66,87" in page
    for closed in ("/factures", "/factures/payees", "/menu", "/compte", "/alertes"):
        assert chat.get(closed, expect_errors=True).status_int == 403
    assert chat.get(f"/factures/recapitulatif?invoice={third}", expect_errors=True).status_int == 404
    mixed = "&".join(f"invoice={i}" for i in (*invoice_ids(portal, "1"), third))
    assert chat.get(f"/factures/recapitulatif?{mixed}", expect_errors=True).status_int == 404
    assert chat.get(f"/factures/{third}.pdf", expect_errors=True).status_int == 404
    for mine in invoice_ids(portal, "1", "2"):
        assert chat.get(f"/factures/{mine}.pdf").status_int == 200
    chat.fill(page, email="chat@exemple.fr")
    intent = portal.bank.intents[portal.bank.last]
    assert intent.amount == 6687
    portal.bank.pay(portal.bank.last, portal.clock)
    assert "Paiement confirmé" in come_back(chat, intent)
    assert another().get(basket, status="*").text.count("est payée") == 2


def test_a_link_for_several_invoices_asks_for_those_that_are_left(browser, another, basket):
    portal = browser.portal
    browser.sign_in()
    intent = start(browser, "2")
    portal.bank.pay(portal.bank.last, portal.clock)
    come_back(browser, intent)
    chat = another()
    page = chat.get(basket)
    assert "La facture n°\u00a02 est payée" in page
    page = use(page, "Payer cette facture")
    assert "56,87" in page
    assert "66,87" not in page
    chat.fill(page, email="chat@exemple.fr")
    assert portal.bank.intents[portal.bank.last].amount == 5687


def test_the_link_of_several_paid_invoices_says_so_for_good(browser, another, basket):
    portal = browser.portal
    browser.sign_in()
    intent = start(browser, "1", "2")
    portal.bank.pay(portal.bank.last, portal.clock)
    come_back(browser, intent)
    for _time in range(2):
        page = another().get(basket, status="*")
        assert page.text.count("est payée") == 2
        assert "Payer ces factures" not in page
        portal.clock.pass_time(hours=1)


def test_a_link_for_several_invoices_grows_old(browser, another, basket):
    browser.portal.clock.pass_time(minutes=31)
    assert "trop ancien" in another().get(basket, status=404)


def test_what_can_be_paid_online_together_is_told_beforehand(browser):
    portal = browser.portal
    with portal.town() as town:
        first, second = (town.invoices.by_number(number)[0] for number in ("1", "2"))
        assert town.payments.online([first, second])
        assert town.payments.online([first])
        assert not town.payments.online([])
        assert not town.payments.online([first, replace(second, regie="GARDERIE")])
        assert not town.payments.online([replace(first, payable=False)])
