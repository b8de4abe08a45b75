"""Own accounts: their addresses are proven by mail, and what is asked for tells nobody anything."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text
from test_access import PHRASE, accounts, comes_in, mails, open_account
from test_sign_in import link_in_mail

from core.platform.errors import TooManyMailsError
from core.sign_in.confirmations import MAILS_A_FAMILY, MAILS_A_PAIR, MAILS_AN_ADDRESS

ANOTHER = "une autre phrase de passe"


def ask(browser, email):
    return browser.fill(browser.get("/compte"), ("action", "create"), email=email)


def link(browser, kind="account_confirmation"):
    return link_in_mail(browser.portal, kind)


def choose(browser, path, password=PHRASE):
    return browser.fill(browser.get(path), ("action", "create"), password=password, again=password)


def own_account(browser, email="camille@exemple.fr"):
    ask(browser, email)
    return choose(browser, link(browser))


def main_of(page):
    return page.text.split("<main")[1]



def test_an_account_comes_into_being_behind_its_link_only(browser, another):
    browser.sign_in()
    page = ask(browser, "Camille@Exemple.fr")
    assert "Un message vient d’être envoyé à" in page
    assert accounts(browser.portal) == []
    assert mails(browser.portal, "account_linked") == []
    page = choose(browser, link(browser))
    assert "Votre compte est créé" in page
    assert accounts(browser.portal) == ["camille@exemple.fr"]
    assert mails(browser.portal, "account_linked") == ["camille@exemple.fr"]
    assert comes_in(another, "camille@exemple.fr")


@pytest.mark.parametrize("families", [(), ("F001",), ("F002",), ("F001", "F002")])
def test_the_answer_is_the_same_whoever_has_the_address(browser, families):
    if families:
        open_account(browser.portal, "known@exemple.fr", *families)
    browser.sign_in()
    known, unknown = ask(browser, "known@exemple.fr"), ask(browser, "nobody@exemple.fr")
    assert known.status_int == unknown.status_int == 200
    assert main_of(known).replace("known@", "nobody@") == main_of(unknown)
    assert mails(browser.portal, "account_confirmation") == ["known@exemple.fr", "nobody@exemple.fr"]
    for email in ("known@exemple.fr", "nobody@exemple.fr"):
        pages = [ask(browser, email) for _time in range(MAILS_A_PAIR)]
        assert [page.status_int for page in pages] == [200] * (MAILS_A_PAIR - 1) + [422]
        assert "Trop de messages de confirmation" in pages[-1]


def test_a_link_opens_nothing_to_whom_a_mistyped_address_reached(browser, another):
    browser.sign_in()
    ask(browser, "mistyped@exemple.fr")
    path = link(browser)
    stranger = another()
    answer = stranger.get(path)
    assert answer.status_int == 303
    assert "/connexion" in answer.location
    stranger.sign_in("F002")
    answer = stranger.get(path, status=404)
    assert "ne sert plus" in answer
    token = stranger.form(stranger.get("/compte"), "csrf_token")["csrf_token"].value
    fields = {"csrf_token": token, "action": "create", "password": PHRASE, "again": PHRASE}
    assert stranger.app.post(f"/valmont{path}", fields, status="*").status_int == 404
    assert accounts(browser.portal) == accounts(browser.portal, "F002") == []


def test_another_device_of_the_family_is_led_to_the_link_by_its_codes(browser, another):
    browser.sign_in()
    secret = browser.portal.codes()
    ask(browser, "camille@exemple.fr")
    telephone = another()
    page = telephone.get(link(browser)).follow()
    page = telephone.fill(page, family_code="F001", child_code=secret)
    page = telephone.fill(page, ("action", "create"), password=PHRASE, again=PHRASE)
    assert "Votre compte est créé" in page


def test_nobody_s_password_enters_by_another_s_click(browser):
    """Who asks types no password; the password is chosen behind the link."""
    browser.sign_in()
    form = next(f for f in browser.get("/compte").forms.values() if "email" in f.fields)
    assert "password" not in form.fields
    ask(browser, "camille@exemple.fr")
    page = browser.get(link(browser))
    assert accounts(browser.portal) == []
    assert "password" in browser.form(page, "again").fields


@pytest.mark.parametrize(
    ("password", "again"), [("court", "court"), (PHRASE, "une autre"), ("motdepasse", "motdepasse"), ("", "")]
)
def test_a_refused_password_does_not_use_the_link_up(browser, password, again):
    browser.sign_in()
    ask(browser, "camille@exemple.fr")
    path = link(browser)
    page = browser.fill(browser.get(path), ("action", "create"), password=password, again=again)
    assert page.status_int == 422
    assert accounts(browser.portal) == []
    assert "Votre compte est créé" in choose(browser, path)


def test_a_link_works_once_and_ends_its_brothers_and_grows_old(browser):
    browser.sign_in()
    ask(browser, "camille@exemple.fr")
    first = link(browser)
    second = link(browser)
    choose(browser, first)
    assert "ne sert plus" in browser.get(first, status=404)
    assert "ne sert plus" in browser.get(second, status=404)
    browser.app.reset()
    browser.sign_in()
    ask(browser, "autre@exemple.fr")
    late = link(browser)
    browser.portal.clock.pass_time(hours=2, seconds=1)
    browser.sign_in()
    browser.get(late, status=404)
    assert accounts(browser.portal) == ["camille@exemple.fr"]


def test_a_link_is_kept_hashed(browser):
    browser.sign_in()
    ask(browser, "camille@exemple.fr")
    token = link(browser).rpartition("/")[2]
    with browser.portal.town() as town:
        assert town.sign_in.peek("account-new", token)
        for table in ("one_time_token", "message", "outbox"):
            assert token not in str(town.session.execute(text(f"SELECT * FROM {table}")).all())


def test_the_owner_of_an_account_links_a_family_by_its_password(browser, another):
    open_account(browser.portal, "camille@exemple.fr", "F002")
    browser.sign_in()
    ask(browser, "camille@exemple.fr")
    path = link(browser)
    page = browser.fill(browser.get(path), ("action", "join"), current="pas le bon mot")
    assert page.status_int == 422
    assert "n’est pas le bon" in page
    assert accounts(browser.portal) == []
    page = browser.fill(page, ("action", "join"), current=PHRASE)
    assert "La famille est rattachée" in page
    assert accounts(browser.portal) == accounts(browser.portal, "F002") == ["camille@exemple.fr"]
    assert "family_id" in comes_in(another, "camille@exemple.fr").get("/menu")


def test_the_owner_of_a_mailbox_takes_a_squatted_account_back(browser, another):
    """An account from before, which somebody opened on another's address with another family."""
    open_account(browser.portal, "camille@exemple.fr", "F002")
    squatter = comes_in(another, "camille@exemple.fr")
    browser.sign_in()
    ask(browser, "camille@exemple.fr")
    choose(browser, link(browser), ANOTHER)
    assert squatter.get("/menu").status_int == 303
    assert comes_in(another, "camille@exemple.fr") is None
    assert accounts(browser.portal) == ["camille@exemple.fr"]
    assert browser.get("/menu").status_int == 200


def test_a_forgotten_password_is_renewed_by_codes_and_mailbox(browser, another):
    browser.sign_in()
    own_account(browser)
    browser.app.reset()
    browser.sign_in()
    ask(browser, "camille@exemple.fr")
    choose(browser, link(browser), ANOTHER)
    assert comes_in(another, "camille@exemple.fr") is None
    elsewhere = another()
    page = elsewhere.fill(elsewhere.get("/connexion/compte"), email="camille@exemple.fr", password=ANOTHER)
    assert "Déconnexion" in page


def test_mails_are_bounded_and_one_family_keeps_nobody_from_a_link(browser):
    portal = browser.portal
    with portal.town() as town:
        families = [town.families.by_code(code) for code in ("F001", "F002")]
    one, other = families

    def asks(family, email):
        with portal.town() as town:
            town.confirmations.ask_account(family, email)

    for _time in range(MAILS_A_PAIR):
        asks(one, "camille@exemple.fr")
    for _time in range(MAILS_AN_ADDRESS * 2):
        with pytest.raises(TooManyMailsError):
            asks(one, "Camille@exemple.fr")
    asks(other, "camille@exemple.fr")
    for number in range(MAILS_A_FAMILY - MAILS_A_PAIR):
        asks(one, f"p{number}@exemple.fr")
    with pytest.raises(TooManyMailsError):
        asks(one, "one.more@exemple.fr")
    assert MAILS_A_PAIR * 3 < MAILS_AN_ADDRESS


def change(browser, email, proof=PHRASE):
    return browser.fill(browser.get("/compte"), ("action", "email"), email=email, proof=proof)


def test_the_address_of_an_account_changes_by_its_own_link(browser, another):
    browser.sign_in()
    own_account(browser)
    page = change(browser, "nouvelle@exemple.fr")
    assert "Un message vient d’être envoyé à" in page
    assert mails(browser.portal, "account_new_email") == ["nouvelle@exemple.fr"]
    assert accounts(browser.portal) == ["camille@exemple.fr"]
    path = link(browser, "account_new_email")
    form = next(f for f in browser.get(path).forms.values() if not f.action or "adresse" in f.action)
    assert "est changée" in form.submit().follow()
    assert accounts(browser.portal) == ["nouvelle@exemple.fr"]
    assert mails(browser.portal, "account_email_changed") == ["camille@exemple.fr"]
    assert comes_in(another, "nouvelle@exemple.fr")
    assert comes_in(another, "camille@exemple.fr") is None
    browser.get(path, status=404)


def test_another_address_asks_for_the_password_and_is_not_one_s_own(browser):
    browser.sign_in()
    own_account(browser)
    for email, proof in (("x@exemple.fr", "pas le bon mot"), ("Camille@exemple.fr", PHRASE), ("x", PHRASE), ("x@exemple.fr", "")):
        assert change(browser, email, proof).status_int == 422
    assert mails(browser.portal, "account_new_email") == []


def test_a_new_address_is_only_for_the_account_that_asked(browser, another):
    browser.sign_in()
    own_account(browser)
    change(browser, "nouvelle@exemple.fr")
    path = link(browser, "account_new_email")
    stranger = another()
    assert stranger.get(path).status_int == 303
    # By codes one is the family, and not the account; and another's account is not this one.
    stranger.sign_in()
    page = stranger.get(path, status=404)
    assert f"next=/valmont{path}" in page
    open_account(browser.portal, "papa@exemple.fr", "F001")
    other = comes_in(another, "papa@exemple.fr")
    other.get(path, status=404)
    token = other.form(other.get("/compte"), "csrf_token")["csrf_token"].value
    assert other.app.post(f"/valmont{path}", {"csrf_token": token}, status="*").status_int == 404
    assert sorted(accounts(browser.portal)) == ["camille@exemple.fr", "papa@exemple.fr"]


def test_an_address_with_an_account_is_told_behind_the_link_only(browser):
    open_account(browser.portal, "known@exemple.fr", "F002")
    browser.sign_in()
    own_account(browser)
    known, unknown = change(browser, "known@exemple.fr"), change(browser, "nobody@exemple.fr")
    assert known.status_int == unknown.status_int == 200
    assert main_of(known).replace("known@", "nobody@") == main_of(unknown)
    with browser.portal.town() as town:
        from core.messages.models import MessageRow

        number = town.session.execute(text("SELECT id FROM message WHERE address = 'known@exemple.fr' AND kind = 'account_new_email'")).scalar_one()
        url = town.letters.render(town.session.get(MessageRow, ("valmont", number))).links[0].url
    path = url.removeprefix("http://localhost/valmont")
    form = next(f for f in browser.get(path).forms.values() if not f.action or "adresse" in f.action)
    page = form.submit(status=422)
    assert "a déjà un autre compte" in page
    assert accounts(browser.portal) == ["camille@exemple.fr"]
    assert accounts(browser.portal, "F002") == ["known@exemple.fr"]


@pytest.mark.parametrize("kind", ["account_confirmation", "account_new_email", "account_email_changed"])
@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_letters_say_it_in_both_languages(browser, kind, language):
    with browser.portal.town() as town:
        family = town.families.by_code("F001").id
        town.notifications.queue(
            kind, address="a@exemple.fr", family_id=family, language=language,
            payload={"email": "a@exemple.fr", "account_id": 1}, key=f"{kind}/{language}",
        )  # fmt: skip
        from core.messages.models import MessageRow

        number = town.session.execute(text("SELECT max(id) FROM message")).scalar_one()
        letter = town.letters.render(town.session.get(MessageRow, ("valmont", number)))
    assert letter.subject
    assert ("compte" in letter.text) == (language == "fr") or "account" in letter.text
    assert not re.search(r"désabonner", letter.text)
