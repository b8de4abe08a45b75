"""*Être averti*: three addresses, confirmed by link, gone in one click."""

from __future__ import annotations

from sqlalchemy import text

from core.messages.alerts import MAILS_A_FAMILY, MAILS_AN_ADDRESS, UNSUBSCRIBE
from core.messages.models import MessageRow
from core.platform.errors import TooManyMailsError
from core.testing.portal import record


def add(browser, address):
    return browser.fill(browser.get("/alertes"), ("action", "add"), address=address)


def confirmation(portal):
    with portal.town() as town:
        number = town.session.execute(text("SELECT max(id) FROM message")).scalar_one()
        row = town.session.get(MessageRow, ("valmont", number))
        return town.letters.render(row).links[0].url.removeprefix("http://localhost/valmont")


def confirm(browser, link):
    page = browser.get(link)
    form = next(f for f in page.forms.values() if not f.action or "confirmer" in f.action)
    return form.submit()


def emails(portal):
    with portal.town() as town:
        return list(town.families.emails(town.families.by_code("F001").id))


def test_an_address_counts_once_confirmed(browser):
    browser.sign_in()
    page = add(browser, "mamie@exemple.fr")
    assert "mamie@exemple.fr" in page
    assert emails(browser.portal) == []
    link = confirmation(browser.portal)
    browser.get(link)  # Opening it is not confirming it.
    assert emails(browser.portal) == []
    confirm(browser, link)
    assert emails(browser.portal) == ["mamie@exemple.fr"]


def test_three_and_no_more(browser):
    browser.sign_in()
    for name in ("a", "b", "c"):
        add(browser, f"{name}@exemple.fr")
    page = browser.get("/alertes")
    assert "address" not in {name for form in page.forms.values() for name in form.fields}
    token = next(iter(page.forms.values()))["csrf_token"].value
    page = browser.app.post(
        "/valmont/alertes",
        {"csrf_token": token, "action": "add", "address": "d@exemple.fr"},
        status=422,
    )
    assert "d@exemple.fr" not in emails(browser.portal)


def test_a_link_is_good_for_a_week_and_not_for_another_town(browser, another):
    browser.sign_in()
    add(browser, "a@exemple.fr")
    link = confirmation(browser.portal)
    elsewhere = another("brumes")
    assert "a@exemple.fr" not in elsewhere.get(link, status=404)
    browser.get("/alertes/confirmer/xxx", status=404)
    browser.portal.clock.pass_time(days=8)
    assert emails(browser.portal) == []


def test_one_click_unsubscribes_without_a_session(browser, another):
    browser.sign_in()
    add(browser, "a@exemple.fr")
    confirm(browser, confirmation(browser.portal))
    with browser.portal.town() as town:
        number = town.session.execute(text("SELECT id FROM contact_email")).scalar_one()
        token = town.links.sign(UNSUBSCRIBE, [number, "a@exemple.fr"])
    mailbox = another()
    path = f"/valmont/alertes/desabonner/{token}"
    mailbox.app.get(path)
    assert emails(browser.portal) == ["a@exemple.fr"]
    mailbox.app.post(path, {"List-Unsubscribe": "One-Click"})
    assert emails(browser.portal) == []


def test_an_address_is_removed(browser):
    browser.sign_in()
    page = add(browser, "a@exemple.fr")
    form = next(f for f in page.forms.values() if "id" in f.fields)
    number = form["id"].value
    page = form.submit("action", value="remove").follow()
    assert "retirée" in page
    assert "a@exemple.fr" not in page
    form["id"] = number
    form.submit("action", value="remove", status=404)


def test_new_invoices_are_told_to_confirmed_addresses_once(browser):
    browser.portal.work()
    browser.sign_in()
    add(browser, "a@exemple.fr")
    confirm(browser, confirmation(browser.portal))
    browser.portal.publish(record("100"), record("101"))
    browser.portal.work()
    browser.portal.work()
    with browser.portal.town() as town:
        kinds = town.session.execute(
            text("SELECT kind, count(*) AS n FROM message GROUP BY kind")
        ).all()
    assert {row.kind: row.n for row in kinds}["invoices_published"] == 1


def test_no_stranger_s_mailbox_is_filled(browser, another):
    """Added and removed again and again, by one family or by several."""
    for number in range(12):
        browser.portal.clock.pass_time(minutes=2)
        with browser.portal.town() as town:
            family = town.families.by_code(("F001", "F002")[number % 2]).id
            try:
                town.alerts.add(family, "Stranger@exemple.fr")
            except TooManyMailsError:
                town.session.rollback()
                continue
            (row,) = town.alerts.addresses(family)
            town.alerts.remove(family, row.id)
    with browser.portal.town() as town:
        assert town.session.execute(text("SELECT count(*) FROM message")).scalar_one() == MAILS_AN_ADDRESS


def test_a_family_mails_no_crowd_and_is_told_so(browser):
    browser.sign_in()
    for number in range(MAILS_A_FAMILY + 1):
        page = browser.fill(browser.get("/alertes"), ("action", "add"), address=f"a{number}@exemple.fr")
        if number < MAILS_A_FAMILY:
            with browser.portal.town() as town:
                family = town.families.by_code("F001").id
                town.alerts.remove(family, town.alerts.addresses(family)[0].id)
    assert page.status_int == 422
    assert "Réessayez demain" in page
    with browser.portal.town() as town:
        assert town.session.execute(text("SELECT count(*) FROM message")).scalar_one() == MAILS_A_FAMILY
