"""Own accounts that open a family: who has access is seen, told, and taken away."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

PHRASE = "correct cheval pile"


def open_account(portal, email, *families):
    with portal.town() as town:
        ids = [town.families.by_code(family).id for family in families]
        account = town.sign_in.create_account(ids[0], email, PHRASE)
    for family in families[1:]:
        with portal.town() as town:
            town.sign_in.link_family(account, family, portal.codes(family), "10.0.0.1")
    return account


def comes_in(another, email):
    browser = another()
    page = browser.fill(browser.get("/connexion/compte"), email=email, password=PHRASE)
    return browser if "Déconnexion" in page else None


def mails(portal, kind):
    with portal.town() as town:
        return sorted(
            town.session.scalars(text("SELECT address FROM message WHERE kind = :kind"), {"kind": kind})
        )


def register(portal, address, family="F001"):
    with portal.town() as town:
        town.alerts.add(town.families.by_code(family).id, address)
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))


def accounts(portal, family="F001"):
    with portal.town() as town:
        return [a.email for a in town.access.accounts(town.families.by_code(family).id)]


@pytest.mark.parametrize("renew", ["link", "office", "revoke"])
def test_renewed_codes_cut_accounts_and_browsers(browser, another, renew):
    portal = browser.portal
    open_account(portal, "ex@exemple.fr", "F002", "F001")
    portal.codes("F001")
    browser.sign_in("F001", secret := portal.codes("F001"))
    ex = comes_in(another, "ex@exemple.fr")
    assert ex.get("/menu").status_int == 200
    with portal.town() as town:
        family = town.families.by_code("F001").id
        second = next(f.id for f in ex_families(town))
        assert second
    with portal.town() as town:
        if renew == "link":
            token = town.sign_in.one_time_token("lost-codes", family, portal.clock.now().replace(year=2030), {})
            town.sign_in.new_code(token)
        elif renew == "office":
            town.files.issue(family)
        else:
            town.files.revoke(family, town.files.codes(family)[0].id)
    assert accounts(portal) == []
    assert accounts(portal, "F002") == ["ex@exemple.fr"]
    assert browser.get("/menu").status_int == 303
    assert browser.sign_in("F001", secret).status_int == 422
    assert mails(portal, "account_unlinked") == ["ex@exemple.fr"]
    # What else the account opens stays open.
    assert "F002" in ex.get("/compte") or ex.get("/menu").status_int == 200


def ex_families(town):
    account = town.session.execute(text("SELECT id FROM account")).scalar_one()
    return town.sign_in.families_of(account)


def test_another_holder_s_new_code_cuts_nobody(browser):
    open_account(browser.portal, "camille@exemple.fr", "F001")
    with browser.portal.town() as town:
        town.files.issue(town.families.by_code("F001").id, holder="grands-parents")
    assert accounts(browser.portal) == ["camille@exemple.fr"]


def test_linking_is_told_to_all_who_look_after_the_family(browser):
    register(browser.portal, "camille@exemple.fr")
    open_account(browser.portal, "papa@exemple.fr", "F001")
    open_account(browser.portal, "ex@exemple.fr", "F002", "F001")
    told = mails(browser.portal, "account_linked")
    assert told.count("camille@exemple.fr") == 2
    assert told.count("papa@exemple.fr") == 2
    assert told.count("ex@exemple.fr") == 2
    with browser.portal.town() as town:
        from core.messages.models import MessageRow

        ids = town.session.scalars(text("SELECT id FROM message WHERE kind = 'account_linked'")).all()
        letter = town.letters.render(town.session.get(MessageRow, ("valmont", ids[-1])))
    assert "ex@exemple.fr" in letter.text
    assert letter.links[0].url.endswith("/compte")


def test_the_family_sees_who_has_access_and_takes_it_away(browser, another):
    open_account(browser.portal, "ex@exemple.fr", "F002", "F001")
    browser.sign_in()
    page = browser.get("/compte")
    assert "ex@exemple.fr" in page
    ex = comes_in(another, "ex@exemple.fr")
    form = next(f for f in page.forms.values() if any(b._value == "remove" for b in f.fields.get("action", [])))
    page = form.submit("action", value="remove").follow()
    assert "ex@exemple.fr" not in re.sub("(?s)<div class=.note.*?</div>", "", page.text)
    assert accounts(browser.portal) == []
    assert mails(browser.portal, "account_unlinked") == ["ex@exemple.fr"]
    assert ex.get("/menu").status_int == 200  # F002 is its own family.


def test_an_account_that_opens_nothing_more_is_gone(browser, another):
    open_account(browser.portal, "camille@exemple.fr", "F001")
    mine = comes_in(another, "camille@exemple.fr")
    page = mine.get("/compte")
    form = next(f for f in page.forms.values() if any(b._value == "remove" for b in f.fields.get("action", [])))
    assert form.submit("action", value="remove").location.endswith("/connexion")
    assert mine.get("/menu").status_int == 303
    with browser.portal.town() as town:
        assert town.session.execute(text("SELECT count(*) FROM account")).scalar_one() == 0


def test_another_family_s_account_is_not_there_to_be_removed(browser):
    account = open_account(browser.portal, "other@exemple.fr", "F002")
    browser.sign_in()
    token = browser.form(browser.get("/compte"), "csrf_token")["csrf_token"].value
    answer = browser.app.post(
        "/valmont/compte", {"csrf_token": token, "action": "remove", "id": account}, status="*"
    )
    assert answer.status_int == 404
    assert accounts(browser.portal, "F002") == ["other@exemple.fr"]


def test_an_account_is_closed_by_its_owner(browser, another):
    open_account(browser.portal, "camille@exemple.fr", "F001", "F002")
    mine = comes_in(another, "camille@exemple.fr")
    page = mine.fill(mine.get("/compte"), ("action", "close"), closing="un autre")
    assert page.status_int == 422
    assert "n’est pas le bon" in page
    page = mine.fill(page, ("action", "close"), closing=PHRASE)
    assert "Le compte est fermé" in page
    assert mine.get("/menu").status_int == 303
    assert comes_in(another, "camille@exemple.fr") is None
    assert accounts(browser.portal) == []
    assert "Déconnexion" in browser.sign_in("F001")
