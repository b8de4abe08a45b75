"""Coming in, going out, lost codes, own accounts, two families."""

from __future__ import annotations

import re

from sqlalchemy import text


def test_codes_are_taken_however_they_are_typed(browser):
    secret = browser.portal.codes("F001")
    typed = f" {secret[:4].lower()}-{secret[4:8]} {secret[8:]} "
    page = browser.sign_in("f 001", typed)
    assert "Déconnexion" in page
    wide = str.maketrans("23456789", "２３４５６７８９")
    for typed in (secret.translate(wide), "\u2014".join((secret[:4], secret[4:])), f"«\u00a0{secret}\u00a0»", f"\u200b{secret}."):
        browser.app.reset()
        assert "Déconnexion" in browser.sign_in("F001", typed), typed


def test_one_answer_for_a_wrong_family_and_a_wrong_code(browser):
    wrong_code = browser.sign_in("F001", "2222-2222-2222")
    wrong_family = browser.sign_in("F777", "2222-2222-2222")
    assert wrong_code.status_int == wrong_family.status_int == 422
    bare = [re.sub(r'value="[^"]*"', "", page.text) for page in (wrong_code, wrong_family)]
    assert bare[0] == bare[1]


def test_what_was_asked_for_comes_after_signing_in(browser):
    page = browser.get("/factures/payees").follow()
    answer = browser.fill(page, family_code="F001", child_code=browser.portal.codes())
    assert answer.request.path == "/valmont/factures/payees"


def test_next_never_leads_to_another_site(browser):
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "/brumes/", "javascript:x"):
        page = browser.get("/connexion", params={"next": target})
        form = browser.form(page, "family_code")
        form["family_code"], form["child_code"] = "F001", browser.portal.codes()
        assert form.submit().location == "http://localhost/valmont/factures"
        browser.app.reset()


def test_signing_out_ends_the_session_not_only_the_cookie(browser):
    browser.sign_in()
    token = browser.app.cookies["preau_family"]
    page = browser.get("/menu")
    next(form for form in page.forms.values() if "/deconnexion" in form.action).submit()
    browser.app.set_cookie("preau_family", token)
    assert "/connexion" in browser.get("/menu").location


def test_sessions_end_when_idle_and_in_the_end(browser):
    browser.sign_in()
    for _ in range(3):
        browser.portal.clock.pass_time(minutes=20)
        browser.get("/menu", status=200)
    browser.portal.clock.pass_time(minutes=31)
    page = browser.get("/menu").follow()
    assert "session" in page.text.lower()
    browser.sign_in()
    for _ in range(26):
        browser.portal.clock.pass_time(minutes=28)
        answer = browser.get("/menu")
    assert answer.status_int == 303


def test_guessing_is_slowed_and_others_are_not(browser, another):
    statuses = [browser.sign_in("F001", "2222-2222-2222").status_int for _ in range(21)]
    assert statuses[-2:] == [422, 429]
    neighbour = another()
    assert "Déconnexion" in neighbour.sign_in("F002")


def test_a_new_code_replaces_the_old_one(browser):
    old, new = browser.portal.codes(), browser.portal.codes()
    assert browser.sign_in("F001", old).status_int == 422
    assert "Déconnexion" in browser.sign_in("F001", new)


def confirm_address(browser, address="camille@exemple.fr", family="F001"):
    with browser.portal.town() as town:
        found = town.families.by_code(family)
        town.alerts.add(found.id, address)
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))


def link_in_mail(portal, kind):
    """The link of the last message of this kind, as its mail would hold it."""
    with portal.town() as town:
        row = town.session.execute(
            text("SELECT id FROM message WHERE kind = :kind ORDER BY id DESC LIMIT 1"), {"kind": kind}
        ).one()
        from core.messages.models import MessageRow

        message = town.letters.render(town.session.get(MessageRow, ("valmont", row.id)))
        return message.links[0].url.removeprefix("http://localhost/valmont")


def test_lost_codes_come_by_mail_once(browser):
    confirm_address(browser)
    page = browser.fill(browser.get("/codes-perdus"), email="camille@exemple.fr")
    unknown = browser.fill(browser.get("/codes-perdus"), email="nobody@exemple.fr")
    assert page.text.split("<main")[1] == unknown.text.split("<main")[1]
    browser.portal.work()
    link = link_in_mail(browser.portal, "lost_codes")
    form = next(f for f in browser.get(link).forms.values() if not f.action or "codes-perdus" in f.action)
    shown = form.submit()
    secret = re.search(r"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}", shown.text)[0]
    assert re.search(r"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}", form.submit(status=404).text) is None
    assert "Déconnexion" in browser.sign_in("F001", secret)


def test_a_lost_codes_link_grows_old(browser):
    confirm_address(browser)
    browser.fill(browser.get("/codes-perdus"), email="camille@exemple.fr")
    link = link_in_mail(browser.portal, "lost_codes")
    browser.portal.clock.pass_time(hours=3)
    assert not [f for f in browser.get(link, status=404).forms.values() if "codes-perdus" in f.action]


def test_an_own_account_opens_two_families(browser, another):
    browser.sign_in()
    password = "correct cheval pile"
    browser.fill(browser.get("/compte"), ("action", "create"), email="Camille@Exemple.fr")
    page = browser.get(link_in_mail(browser.portal, "account_confirmation"))
    browser.fill(page, ("action", "create"), password=password, again=password)
    page = browser.fill(
        browser.get("/compte"), ("action", "link"), family_code="F002", child_code=browser.portal.codes("F002")
    )
    assert "family_id" in page
    elsewhere = another()
    page = elsewhere.fill(elsewhere.get("/connexion/compte"), email="camille@exemple.fr", password=password)
    assert "Déconnexion" in page
    with browser.portal.town() as town:
        second = town.families.by_code("F002").id
    page = elsewhere.fill(page, family_id=str(second))
    assert re.search(r"N°\s9\b", page.text)


def test_a_wrong_password_and_an_unknown_address_look_alike(browser):
    answers = [
        browser.fill(browser.get("/connexion/compte"), email=address, password="nonononono")
        for address in ("a@exemple.fr", "b@exemple.fr")
    ]
    assert {answer.status_int for answer in answers} == {422}


def test_a_shared_child_shows_what_was_agreed(browser, another):
    portal = browser.portal
    other = another()
    other.sign_in("F002")
    assert not re.search(r"N°\s1\b", other.get("/factures").text)
    with portal.town() as town:
        town.families.share_child(town.families.by_code("F002").id, "E001", sees_all=False)
    assert "CANTINE mars" not in other.get("/factures")
    with portal.town() as town:
        town.families.share_child(town.families.by_code("F002").id, "E001", sees_all=True)
    assert "CANTINE mars" in other.get("/factures")


def test_the_language_is_the_visitors(browser):
    page = browser.get("/")
    assert 'lang="fr"' in page
    form = next(form for form in page.forms.values() if "/langue" in form.action)
    page = form.submit("language", value="en").follow()
    assert 'lang="en"' in page
    assert "Sign in" in page


def test_pages_of_families_are_not_kept_by_the_browser(browser):
    browser.sign_in()
    assert browser.get("/factures").headers["Cache-Control"] == "no-store"


def test_a_page_writes_no_cookie_unless_it_has_to(browser):
    assert "Déconnexion" in browser.sign_in()
    for _time in range(2):
        assert "Set-Cookie" not in browser.get("/factures").headers
