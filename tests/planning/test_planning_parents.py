"""The families' pages without JavaScript: words before, proof after, patterns, feed, walls."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from planning_towns import MONDAY, at, enrol, family
from sqlalchemy import select, text

from core.testing.statements import statements
from plugins.planning.models import PlanningBooking, PlanningPattern

BOX = f"{{}}/CANTINE/{MONDAY.isoformat()}"


def states(portal, slug="valmont"):
    with portal.town(slug) as town:
        return {
            f"{row.child_id}/{row.service}/{row.day}": row.state
            for row in town.session.scalars(select(PlanningBooking).where(PlanningBooking.tenant_id == slug))
        }


@pytest.fixture
def home(portal):
    """A family with two children, one of them enrolled for two services."""
    family_id, children = family(portal, "F001", ("E001", "E002"))
    enrol(portal, *children.values())
    enrol(portal, children["E001"], service="MATIN")
    return family_id, children


def test_a_day_is_said_in_words_then_booked_then_proved(portal, browse, home):
    _family, children = home
    browser = browse()
    page = browser.get("?jour=2026-03-30")
    assert "modifiable jusqu’au jeudi 26 mars, 10\u00a0h" in page.text
    box = BOX.format(children["E001"])
    before = browser.send(page, "/+planning/", tick=[box])
    assert "Vérifier les changements" in before.text
    assert "lundi 30 mars\u00a0: réservé" in before.text
    assert states(portal) == {}
    after = browser.send(before, "/confirmer").follow()
    assert "Voici la preuve" in after.text
    assert "lundi 30 mars\u00a0: réservé" in after.text
    assert states(portal) == {box: "booked"}
    # Back and sent again: the same request, done once.
    again = browser.send(before, "/confirmer").follow()
    assert again.request.path == after.request.path
    # What was shown as ticked and is ticked still is no wish.
    same = browser.send(browser.get("?jour=2026-03-30"), "/+planning/")
    assert "Vous n’avez rien changé" in same.follow().text
    off = browser.send(browser.get("?jour=2026-03-30"), "/+planning/", untick=[box])
    browser.send(off, "/confirmer")
    assert states(portal) == {box: "cancelled"}
    assert len(re.findall("Demande n°", browser.get("demandes").text)) == 2


@pytest.mark.parametrize("path", ["?jour=2026-03-30", "mois?jour=2026-03-01"])
def test_days_of_any_number_of_children_cost_four_statements(portal, browse, home, path):
    """The town and the person who asks are two of them, and the family's children one."""
    browser = browse()
    with statements(portal) as few:
        browser.get(path)
    more = ("E003", "E004", "E005")
    children = family(portal, "F001", more)[1]
    for service in ("CANTINE", "MATIN"):
        enrol(portal, *(children[code] for code in more), service=service)
    with statements(portal) as many:
        page = browser.get(path)
    assert "E005" in page.text
    assert len(few) == len(many) == 4, "\n".join(many)


def test_the_proof_leaves_by_mail_and_says_the_day(portal, browse, home):
    family_id, children = home
    with portal.town() as town:
        town.session.execute(
            text("INSERT INTO contact_email (tenant_id, family_id, address, confirmed_at) VALUES ('valmont', :f, 'p@exemple.fr', now())"),
            {"f": family_id},
        )
    browser = browse()
    before = browser.send(browser.get("?jour=2026-03-30"), "/+planning/", tick=[BOX.format(children["E001"])])
    browser.send(before, "/confirmer")
    portal.work(rounds=3)
    with portal.town() as town:
        kinds = town.session.execute(text("SELECT kind FROM message")).scalars().all()
    assert "planning.proof" in kinds


def test_too_late_is_said_and_an_absence_is_noted(portal, browse, home):
    _family, children = home
    browser = browse()
    box = BOX.format(children["E001"])
    browser.send(browser.send(browser.get("?jour=2026-03-30"), "/+planning/", tick=[box]), "/confirmer")
    portal.clock._now = at(2026, 3, 30, 6, 30)
    browser = browse()
    page = browser.get("?jour=2026-03-30")
    assert "trop tard pour annuler" in page.text
    assert "trop tard depuis le jeudi 26 mars, 10\u00a0h" in page.text
    before = browser.send(page, "/+planning/", untick=[box])
    assert "l’absence sera notée avec son heure" in before.text
    browser.send(before, "/confirmer")
    assert states(portal) == {box: "absent"}
    # The other service takes late requests, marked as such.
    morning = f"{children['E001']}/MATIN/2026-03-30"
    before = browser.send(browser.get("?jour=2026-03-30"), "/+planning/", tick=[morning])
    assert "réservé hors délai" in before.text


def test_a_usual_week_over_a_range_says_what_is_left_out(portal, browse, home):
    _family, children = home
    browser = browse()
    page = browser.get("semaine-type")
    ticks = ["CANTINE/0", "CANTINE/1", "CANTINE/3", "MATIN/0"]
    before = browser.send(page, "/semaine-type", tick=ticks, first="2026-03-11", last="2026-04-10")
    assert "trop tard depuis le jeudi 5 mars" in before.text
    browser.send(before, "/confirmer")
    found = states(portal)
    # Tuesday the 10th of March is "now": that Thursday's deadline is over, Easter Monday is no day.
    canteen = {key for key in found if "/CANTINE/" in key and key.startswith(f"{children['E001']}/")}
    assert {key[-10:] for key in canteen} == {"2026-03-16", "2026-03-17", "2026-03-23", "2026-03-24", "2026-03-30", "2026-03-31", "2026-04-07",
                                                 "2026-03-19", "2026-03-26", "2026-04-02", "2026-04-09"}
    assert set(found.values()) == {"booked"}
    with portal.town() as town:
        assert len(town.session.scalars(select(PlanningPattern)).all()) == 2
    # The page remembers the week.
    assert browser.get("semaine-type").text.count("checked") >= len(ticks)


@pytest.mark.parametrize("values", [
    {"first": "2026-05-01", "last": "2026-04-01"}, {"first": "demain", "last": "2026-04-01"},
    {"first": "2026-05-01", "last": "2029-04-01"},
])
def test_a_range_that_cannot_be_is_refused_in_words(portal, browse, home, values):
    browser = browse()
    answer = browser.send(browser.get("semaine-type"), "/semaine-type", **values)
    assert answer.status_int == 422
    assert 'role="alert"' in answer.text


def test_a_forged_form_reaches_nobody_elses_child(portal, browse, home):
    _other, theirs = family(portal, "F002", ("E009",))
    enrol(portal, *theirs.values())
    browser = browse()
    page = browser.get("?jour=2026-03-30")
    form = next(one for one in page.forms.values() if one.action.endswith("planning/"))
    token = form["csrf_token"].value
    box = BOX.format(theirs["E009"])
    browser.app.post("/valmont/+planning/confirmer", {"csrf_token": token, "key": "forged-key-1", "add": box})
    assert states(portal) == {}
    for field in ("add", "is", "was", "remove"):
        answer = browser.app.post(
            "/valmont/+planning/confirmer", {"csrf_token": token, "key": "forged-key-2", field: "1/CANTINE/2026-99-99"}, expect_errors=True
        )
        assert answer.status_int in {303, 422}
    # A proof is the family's own.
    row = browse("F002").get("demandes").text
    assert "Demande n°" not in row


def test_the_feed_is_secret_signed_and_ends(portal, browse, home):
    _family, children = home
    browser = browse()
    browser.send(browser.send(browser.get("?jour=2026-03-30"), "/+planning/", tick=[BOX.format(children["E001"])]), "/confirmer")
    page = browser.send(browser.get("agenda"), "/agenda", submit=("action", "new"))
    address = re.search(r"<code[^>]*>http://localhost(\S+)</code>", page.text)[1]
    stranger = browse  # the address alone opens it
    del stranger
    answer = browser.app.get(address)
    assert answer.content_type == "text/calendar"
    assert "DTSTART;VALUE=DATE:20260330\r\nDTEND;VALUE=DATE:20260331\r\n" in answer.text
    assert "no-store" in answer.headers["Cache-Control"]
    browser.app.get(address.replace(".ics", "0.ics"), status=404)
    browser.app.get(unquote(address).replace("/valmont/", "/brumes/"), status=404)
    browser.send(browser.get("agenda"), "/agenda", submit=("action", "end"))
    browser.app.get(address, status=404)


def test_long_names_fold_within_75_bytes():
    from plugins.planning.feed import Event, ics

    written = ics("Planning", [Event("u", MONDAY, "Zoé-Éléonore, « la grande » ; " * 8 + "\nfin", at(2026, 3, 1))])
    assert all(len(line) <= 75 for line in written.split(b"\r\n"))
    whole = written.replace(b"\r\n ", b"").decode()
    assert "\\, « la grande » \\;" in whole
    assert "\\nfin" in whole


def test_month_and_week_without_children_say_so(portal, browse):
    family(portal, "F001", ("E001",))
    browser = browse()
    assert "Aucun enfant n’est inscrit" in browser.get("").text
    assert "Aucun enfant n’est inscrit" in browser.get("mois").text
    assert browser.get("?jour=quatsch").status_int == 303


@pytest.mark.parametrize("path", ["?jour=2026-03-30", "mois?jour=2026-03-30", "semaine-type"])
def test_services_are_french_on_english_pages(portal, browse, home, path):
    """RGAA 8.7: what the town calls its services is marked where the page is English."""
    _family, children = home
    browser = browse()
    page = browser.get("?jour=2026-03-30")
    before = browser.send(page, "/+planning/", tick=[BOX.format(children["E001"])])
    browser.send(before, "/confirmer")
    page = browser.get("?jour=2026-03-30")
    next(form for form in page.forms.values() if "/langue" in form.action).submit("language", value="en")
    page = browser.get(path)
    names = page.html.main.find_all(string=lambda said: said and "Cantine" in said)
    assert names
    assert [name for name in names if name.find_parent(attrs={"lang": True})["lang"] != "fr"] == []
