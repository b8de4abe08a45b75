"""Joining the direct debit: a family asks, prints a form, and is answered; no account is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from office_browser import Office
from pypdf import PdfReader
from sqlalchemy import text as sql
from webtest import Upload

from core.api.errors import UserError
from core.domain.creditor_identifiers import is_creditor_identifier
from core.domain.roles import Role
from core.families.models import ContactEmail

ICS = "FR72ZZZ123456"
PAGE = "/regie/prelevements/demandes"
OFFER = "/regie/prelevements/formulaire?regie=CANTINE"


@pytest.fixture
def work(application, browser):
    """The régisseur, in the town of `browser`."""
    return Office(application, browser.portal).enter()


@pytest.fixture
def offered(work):
    page = work.fill(
        work.get(OFFER), submit=("action",), creditor="Commune de Valmont", ics="fr72 zzz 123456",
        address="Mairie\n1 place du Marché", next_steps="Avant le 15 du mois.",
    )  # fmt: skip
    form = work.form(work.get(OFFER), "ics")
    form["is_open"] = True
    page = work.follow(form.submit("action", value="save"))
    assert "L’offre de prélèvement est enregistrée" in page


def words(answer):
    return " ".join(page.extract_text() for page in PdfReader(BytesIO(answer.body)).pages)


def ask(browser):
    return browser.fill(browser.get("/prelevement"), ("action", "ask"), regie="CANTINE")


def test_nothing_is_offered_by_itself(browser):
    browser.sign_in()
    assert "/prelevement" not in browser.get("/menu")
    page = browser.get("/prelevement")
    assert "adressez-vous à la régie" in page
    assert browser.get("/prelevement/formulaire.pdf?regie=CANTINE", status=404)
    token = browser.form(page, "csrf_token") if page.forms else None
    assert token is None or "regie" not in token.fields


def test_a_family_asks_and_reads_what_comes_next(browser, offered, work):
    browser.sign_in()
    assert "Prélèvement automatique" in browser.get("/menu")
    page = ask(browser)
    assert "Votre demande est notée" in page
    assert "la régie attend votre formulaire signé" in page
    assert "Avant le 15 du mois." in page
    assert "1 place du Marché" in page
    assert "1 famille demande le prélèvement" in work.get("/regie")
    assert "DURAND" in work.get(PAGE) or "F001" in work.get(PAGE)


def test_the_form_has_the_creditor_and_empty_places(browser, offered):
    browser.sign_in()
    form = browser.get("/prelevement/formulaire.pdf?regie=CANTINE")
    said = words(form)
    assert ICS in said
    assert "Commune de Valmont" in said
    assert "IBAN" in said
    assert "F001" in said
    assert "récurrent" in said


def test_no_page_asks_for_an_account(browser, offered):
    browser.sign_in()
    page = ask(browser)
    names = {field for form in page.forms.values() for field in form.fields}
    assert names <= {"csrf_token", "regie", "action", "next", "family_id", "language", None}


def test_asked_twice_it_is_one_request_and_may_be_taken_back(browser, offered, work):
    browser.sign_in()
    ask(browser)
    family = family_of(browser)
    with browser.portal.town() as town:
        town.debit_requests.ask(family, "CANTINE")
        assert town.debit_requests.count() == 1
    page = browser.fill(browser.get("/prelevement"), ("action", "withdraw"), regie="CANTINE")
    assert "Votre demande est retirée" in page
    with browser.portal.town() as town:
        assert town.debit_requests.count() == 0
    assert "Retirée par la famille" in work.get(PAGE)
    assert "Votre demande est notée" in ask(browser)


def test_the_answer_goes_to_the_family(browser, offered, work):
    browser.sign_in()
    ask(browser)
    page = work.press(work.get(PAGE), "accept")
    assert "La réponse part vers la famille" in page
    assert "Acceptée" in page
    assert "Accepté le" in browser.get("/prelevement")
    assert told(browser)["subject"] == "Valmont – Votre demande de prélèvement est acceptée"
    assert "vous n’aurez rien à faire" in told(browser)["text"]


def test_a_refusal_says_why(browser, offered, work):
    browser.sign_in()
    ask(browser)
    page = work.press(work.get(PAGE), "refuse")
    assert page.status_int == 422
    assert "saisissez le motif" in page
    work.press(work.get(PAGE), "refuse", note="Le mandat n’est pas signé.")
    assert "Le mandat n’est pas signé." in browser.get("/prelevement")
    assert "Le mandat n’est pas signé." in told(browser)["text"]
    # Anew, once it is signed.
    assert "Votre demande est notée" in ask(browser)


def test_two_agents_answer_once(browser, offered):
    family = family_of(browser)
    with browser.portal.town() as town:
        town.debit_requests.ask(family, "CANTINE")
        request_id = town.debit_requests.last(family)["CANTINE"].id

    def answer(accept):
        try:
            with browser.portal.town() as town:
                town.debit_requests.answer(request_id, accept=accept, note="x")
        except UserError:
            return 0
        return 1

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(answer, (True, False, True, False))) == 1


def test_the_regies_own_form(browser, offered, work):
    form = work.form(work.get(OFFER), "file")
    assert "Choisissez votre formulaire" in form.submit(
        "action", value="upload", expect_errors=True
    )
    form["file"] = Upload("m.pdf", b"no paper")
    assert "n’est pas un PDF" in form.submit("action", value="upload", expect_errors=True)
    own = b"%PDF-1.4\n%%EOF\n"
    form["file"] = Upload("m.pdf", own)
    work.follow(form.submit("action", value="upload"))
    browser.sign_in()
    assert browser.get("/prelevement/formulaire.pdf?regie=CANTINE").body == own
    work.press(work.get(OFFER), "remove")
    assert ICS in words(work.get("/regie/prelevements/formulaire.pdf?regie=CANTINE"))


def test_an_offer_without_a_form_stays_closed(work, browser):
    form = work.form(work.get(OFFER), "ics")
    form["is_open"] = True
    refused = form.submit("action", value="save", expect_errors=True)
    assert refused.status_int == 422
    assert "Pour ouvrir les demandes" in refused
    form["ics"] = "FR00ZZZ123456"
    assert "est incorrect" in form.submit("action", value="save", expect_errors=True)


def test_an_agent_answers_and_leaves_the_offer_to_the_regisseur(application, browser, offered):
    agent = Office(application, browser.portal).enter(Role.AGENT)
    assert "Seul le régisseur change ces réglages" in agent.get(OFFER)
    reader = Office(application, browser.portal).enter(Role.READER)
    with browser.portal.town() as town:
        town.debit_requests.ask(family_of(browser), "CANTINE")
    assert "accepter" in agent.get(PAGE)
    assert 'value="accept"' not in reader.get(PAGE)


def test_merged_files_ask_once_and_erased_ones_no_more(browser, offered):
    with browser.portal.town() as town:
        kept, gone = (town.families.by_code(code).id for code in ("F001", "F002"))
        for family in (kept, gone):
            town.debit_requests.ask(family, "CANTINE")
        town.merging.merge(kept, gone)
        assert town.debit_requests.count() == 1
        exported = town.personal_data.export(kept)["demandes_de_prelevement"]
        assert sorted(one["state"] for one in exported) == ["asked", "withdrawn"]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (ICS, True), ("FR72ABC123456", True), ("DE98ZZZ09999999999", True),
        ("FR73ZZZ123456", False), ("FR72ZZZ12345", False), ("72ZZZ123456", False), ("", False),
        ("FR7630006000011234567890189", False),
    ],
)  # fmt: skip
def test_the_creditors_identifier(text, right):
    assert is_creditor_identifier(text) is right


def family_of(browser):
    with browser.portal.town() as town:
        return town.families.by_code("F001").id


def told(browser):
    """The answer as the family reads it; it is queued once an address is known."""
    with browser.portal.town() as town:
        family = town.families.by_code("F001").id
        town.notifications.fan_out("debit_request_answered", *events(town))
    with browser.portal.town() as town:
        row = town.notifications.of_family(family)[0]
        message = town.letters.render(row)
        return {"subject": message.subject, "text": message.text}


def events(town):
    family = town.families.by_code("F001").id
    if not town.families.emails(family):
        town.session.add(
            ContactEmail(
                tenant_id=town.config.slug, family_id=family, address="f001@exemple.fr",
                confirmed_at=town.clock.now(),
            )
        )  # fmt: skip
        town.session.flush()
    rows = town.session.scalars(sql("SELECT payload FROM outbox WHERE topic = 'notify'"))
    return [
        event for payload in rows if payload["kind"] == "debit_request_answered"
        for event in payload["events"]
    ]  # fmt: skip
