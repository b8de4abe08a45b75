"""The agents' pages: counts, lists, taps over a bad network, closing, orders, late changes, export."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta

import pytest
from planning_towns import MONDAY, ask, at, book_of, enrol, family
from sqlalchemy import select, text

from core.domain.roles import Role
from core.plugin import UserError
from plugins.planning import plugin, work
from plugins.planning.billing import Billing
from plugins.planning.desk import Desk
from plugins.planning.models import (
    PlanningAttendance,
    PlanningBooking,
    PlanningChange,
    PlanningOrder,
)
from plugins.planning.orders import Orders
from plugins.planning.rules import Deadline, DeadlineKind, State, Weeks


@pytest.fixture
def busy(portal):
    """Three families; two children are booked on MONDAY, the third one waits."""
    homes = [family(portal, f"F{n}", (f"E{n}",)) for n in range(3)]
    ids = [next(iter(children.values())) for _home, children in homes]
    enrol(portal, ids[0], meal="SV")
    enrol(portal, ids[1], ids[2])
    for number, (home, _children) in enumerate(homes):
        ask(portal, home, (ids[number], "CANTINE", MONDAY, "add"), key=f"k{number}")
    return [home for home, _children in homes], ids


def desk(town):
    return Desk(town, book_of(town, actor="agent:1"), actor="agent:1")


def state_of(portal, child, day=MONDAY):
    with portal.town() as town:
        return town.session.scalar(
            select(PlanningBooking.state).where(PlanningBooking.child_id == child, PlanningBooking.day == day)
        )


def test_counts_and_lists_of_a_day(portal, office, busy):
    _homes, ids = busy
    with portal.town() as town:
        found = [(c.service, c.place, c.meal, c.booked, c.waiting) for c in desk(town).counts(MONDAY)]
    assert found == [("CANTINE", "Jules-Ferry", "", 1, 1), ("CANTINE", "Jules-Ferry", "SV", 1, 0)]
    page = office.get("regie?jour=2026-03-30")
    assert "2 enfants attendus" in page.text
    people = office.get("regie/liste?jour=2026-03-30&service=CANTINE")
    assert f'id="child-{ids[0]}"' in people.text
    assert "1 enfant inscrit sans réservation" in people.text
    assert "n°\u00a01 sur la liste" in office.get("regie/attente").text


def test_one_tap_marks_and_the_latest_tap_counts(portal, office, busy):
    _homes, ids = busy
    portal.clock._now = at(2026, 3, 30, 10)
    with portal.town() as town:
        office.app.set_cookie("preau_agent", town.agent_sessions.open(town.agents.create("b@valmont.test", "B", Role.REGISSEUR)))
    page = office.get("regie/liste?jour=2026-03-30&service=CANTINE")
    form = next(f for f in page.forms.values() if "mark" in f.fields and f["child"].value == str(ids[0]))
    assert form.submit("mark", value="present").status_int == 303
    token = form["csrf_token"].value
    now = int(portal.clock.now().timestamp() * 1000)

    def tap(mark, moment, child=ids[1], expect=204):
        fields = {"csrf_token": token, "child": child, "service": "CANTINE", "jour": "2026-03-30", "mark": mark,
                  "tapped": str(moment), "script": "1"}
        return office.app.post("/valmont/+planning/regie/pointage", fields, status=expect)

    tap("present", now - 60_000)
    tap("absent", now - 30_000)
    # What the network held back arrives last, and again: it is older, and changes nothing.
    tap("present", now - 60_000)
    tap("absent", now - 30_000)
    # A clock that is fast does not lock the child until then.
    tap("present", now + 10**9)
    tap("x", now, expect=422)
    tap("present", now - 10**9, expect=422)
    tap("present", now, child=10**9, expect=422)
    with portal.town() as town:
        marks = {row.child_id: row.mark for row in town.session.scalars(select(PlanningAttendance))}
        trail = town.session.execute(
            select(PlanningChange.before, PlanningChange.after).where(PlanningChange.child_id == ids[1]).order_by(PlanningChange.id)
        ).all()
    assert marks == {ids[0]: "present", ids[1]: "present"}
    assert [tuple(row) for row in trail][1:] == [("", "present"), ("present", "absent"), ("absent", "present")]


def test_closing_a_day_cancels_and_tells_the_families_in_one_act(portal, office, busy):
    homes, ids = busy
    with portal.town() as town:
        for home in homes:
            town.session.execute(
                text("INSERT INTO contact_email (tenant_id, family_id, address, confirmed_at) VALUES ('valmont', :f, :a, now())"),
                {"f": home, "a": f"p{home}@exemple.fr"},
            )
    page = office.get("regie?jour=2026-03-30")
    answer = office.send(page, "/regie/fermeture", tick=["CANTINE"], reason="Grève nationale").follow()
    assert "3 enfants sont concernés" in answer.text
    assert [state_of(portal, child) for child in ids] == ["closed"] * 3
    again = office.send(office.get("regie?jour=2026-03-30"), "/regie/fermeture", tick=["CANTINE"], reason="Grève").follow()
    assert "déjà fermé" in again.text
    portal.work(rounds=3)
    with portal.town() as town:
        kinds = town.session.execute(text("SELECT kind, count(*) FROM message WHERE kind LIKE 'planning.%' GROUP BY kind")).all()
    assert ("planning.closed", 3) in [tuple(row) for row in kinds]
    form = next(f for f in office.get("regie?jour=2026-03-30").forms.values() if "action" in f.fields)
    form.submit("action", value="reopen")
    assert [state_of(portal, child) for child in ids] == ["booked", "booked", "waiting"]


def test_of_an_act_that_is_refused_half_way_nothing_stays(portal, office, busy, monkeypatch):
    """The browser is sent back, and a redirection is committed like any page that went well."""
    _homes, ids = busy
    close = Desk.close

    def refusing(self, *given):
        close(self, *given)
        raise UserError("Refusé à la fin.")

    monkeypatch.setattr(Desk, "close", refusing)
    page = office.get("regie?jour=2026-03-30")
    answer = office.send(page, "/regie/fermeture", tick=["CANTINE"], reason="Grève nationale").follow()
    assert "Refusé à la fin." in answer.text
    assert [state_of(portal, child) for child in ids] == ["booked", "booked", "waiting"]


def test_without_a_reason_nothing_is_closed_nor_changed(portal, office, busy):
    _homes, ids = busy
    form = next(f for f in office.get("regie?jour=2026-03-30").forms.values() if f.action.endswith("/regie/fermeture"))
    form["reason"].force_value("")
    form.submit()
    page = office.get(f"regie/enfant/{ids[0]}?jour=2026-03-30")
    change = next(f for f in page.forms.values() if "reason" in f.fields)
    assert "Dites pourquoi" in change.submit("action", value="cancelled").follow().text
    assert state_of(portal, ids[0]) == "booked"


def test_a_late_change_has_a_reason_in_the_trail_and_gives_the_place_on(portal, office, busy):
    _homes, ids = busy
    page = office.get(f"regie/enfant/{ids[0]}?jour=2026-03-30")
    change = next(f for f in page.forms.values() if "reason" in f.fields)
    change["reason"] = "Déménagement"
    shown = change.submit("action", value="cancelled").follow()
    assert "Déménagement" in shown.text
    assert [state_of(portal, child) for child in ids] == ["cancelled", "booked", "booked"]
    # The same form again is the same act.
    change.submit("action", value="cancelled")
    with portal.town() as town:
        assert town.session.execute(text("SELECT count(*) FROM planning_change WHERE reason = 'Déménagement'")).scalar() == 2


def test_the_order_is_frozen_at_the_deadline_and_differences_follow(portal, busy):
    _homes, ids = busy

    def run():
        with portal.town() as town:
            work.send_orders(town, town.settings(plugin))

    def versions():
        with portal.town() as town:
            return [(row.version, row.counts) for row in town.session.scalars(
                select(PlanningOrder).where(PlanningOrder.day == MONDAY).order_by(PlanningOrder.version))]

    portal.clock._now = at(2026, 3, 26, 8, 59)
    run()
    assert versions() == []
    portal.clock._now = at(2026, 3, 26, 9, 0)
    run()
    run()
    first = (1, [["Jules-Ferry", "", 1], ["Jules-Ferry", "SV", 1]])
    assert versions() == [first]
    with portal.town() as town:
        book_of(town, actor="agent:1").set_state([(ids[0], "CANTINE", MONDAY, State.CANCELLED)], key="late", reason="x")
    run()
    assert versions() == [first, (2, [["Jules-Ferry", "", 1]])]
    portal.work(rounds=2)
    with portal.town() as town:
        messages = town.session.execute(text("SELECT address, family_id FROM message WHERE kind = 'planning.order'")).all()
        from core.plugin import Notification
        from plugins.planning.orders import OrderKind

        wording = OrderKind(town, town.settings(plugin)).write(
            Notification("k", 0, {"service": "CANTINE", "day": MONDAY.isoformat(), "version": 2}))
    assert {tuple(row) for row in messages} == {("cuisine@traiteur.example", None)}
    assert len(messages) >= 2
    assert "SV\u00a0: -1" in wording.text
    assert wording.documents[0].content.decode().splitlines()[1] == "Jules-Ferry;;1"


def test_reminders_before_the_deadline_for_an_empty_or_unusual_week(portal, busy):
    homes, ids = busy
    with portal.town() as town:
        town.session.execute(text("DELETE FROM planning_booking"))
        for child, days in ((ids[0], [["CANTINE", 0]]), (ids[1], [["CANTINE", 1]])):
            town.session.execute(
                text("INSERT INTO planning_pattern (tenant_id, child_id, family_id, weeks, days, first, last, at)"
                     " VALUES ('valmont', :c, :f, 'all', CAST(:d AS json), '2026-03-01', '2026-06-30', now())"),
                {"c": child, "f": homes[ids.index(child)], "d": str(days).replace("'", '"')},
            )
    # The second child's week is as usual, the third one never came: only the first is told.
    ask(portal, homes[1], (ids[1], "CANTINE", MONDAY + timedelta(days=1), "add"), key="usual")

    def run():
        with portal.town() as town:
            work.remind(town, town.settings(plugin))
        with portal.town() as town:
            return town.session.execute(
                text("SELECT payload->'events'->0->>'family_id' FROM outbox WHERE payload->>'kind' = 'planning.reminder'")
            ).scalars().all()

    portal.clock._now = at(2026, 3, 25, 8, 59)
    assert run() == []
    portal.clock._now = at(2026, 3, 25, 9, 1)
    assert run() == [str(homes[0])]
    assert run() == [str(homes[0])]


def test_a_home_is_reminded_of_its_own_weeks_alone(portal):
    """Week 14 is even: the home of odd weeks cannot plan it, and hears nothing of it."""
    one, children = family(portal, "F1", ("E1",))
    two, _same = family(portal, "F2", ("E1",))
    enrol(portal, children["E1"])
    with portal.town() as town:
        for home, weeks in ((one, Weeks.EVEN), (two, Weeks.ODD)):
            desk(town).set_home(children["E1"], home, weeks, 0)
    ask(portal, one, (children["E1"], "CANTINE", date(2026, 3, 16), "add"), key="habit")
    portal.clock._now = at(2026, 3, 25, 9, 1)
    with portal.town() as town:
        work.remind(town, town.settings(plugin))
    with portal.town() as town:
        told = town.session.execute(
            text("SELECT payload->'events'->0->>'family_id' FROM outbox WHERE payload->>'kind' = 'planning.reminder'")
        ).scalars().all()
    assert told == [str(one)]


def test_a_day_that_another_closure_closes_stays_closed(portal, busy):
    _homes, ids = busy
    with portal.town() as town:
        desk(town).close(MONDAY, {"CANTINE"}, "Jules-Ferry", "Travaux")
    with portal.town() as town:
        desk(town).close(MONDAY, {"CANTINE"}, "", "Grève")
    with portal.town() as town:
        assert desk(town).reopen(MONDAY, "CANTINE", "") == 0
    assert {state_of(portal, child) for child in ids} == {"closed"}
    with portal.town() as town:
        assert desk(town).reopen(MONDAY, "CANTINE", "Jules-Ferry") == 3
    assert [state_of(portal, child) for child in ids] == ["booked", "booked", "waiting"]


def test_an_order_of_a_service_that_families_cannot_change_waits_for_the_day(portal):
    with portal.town() as town:
        book = book_of(town, actor="agent:1")
        service = replace(book.services["CANTINE"], add=Deadline(DeadlineKind.NEVER), cancel=Deadline(DeadlineKind.NEVER))
        assert Orders(town, book).due(service, MONDAY) == at(2026, 3, 29, 22)


def test_the_export_has_each_day_once(portal, office, busy):
    _homes, ids = busy
    with portal.town() as town:
        desk(town).mark(ids[2], "CANTINE", MONDAY, "present", None)
    answer = office.get("regie/facturation.csv?first=2026-03-01&last=2026-03-31")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")), delimiter=";"))
    assert [(row["enfant"], row["jour"], row["etat"], row["presence"], row["unites"]) for row in rows] == [
        ("E0", "2026-03-30", "reserve", "", "1"), ("E1", "2026-03-30", "reserve", "", "1"),
        ("E2", "2026-03-30", "present_non_reserve", "present", "1"),
    ]
    assert rows[0]["repas"] == "SV"
    assert "Du" in office.get("regie/facturation.csv?first=x&last=y").follow().text


def exported(text):
    return [(row["enfant"], row["etat"], row["unites"]) for row in csv.DictReader(io.StringIO(text), delimiter=";")]


def test_each_row_is_exported_once_and_what_changes_later_as_a_correction(portal, office, busy):
    homes, ids = busy

    def export(expect=303):
        form = next(f for f in office.get("regie").forms.values() if f.action.endswith("facturation.csv") and f.method == "post")
        form["first"], form["last"] = "2026-03-01", "2026-03-31"
        return form.submit(status=expect).follow()

    page = export()
    assert "2 lignes, à télécharger" in page.text
    (link,) = [a for a in page.html.find_all("a") if "numero=" in a["href"]]
    first = office.app.get(link["href"]).body.decode("utf-8-sig")
    assert exported(first) == [("E0", "reserve", "1"), ("E1", "reserve", "1")]
    assert "Rien de nouveau" in export().text
    office.get("regie/facturation.csv?numero=99999", status=404)
    # One day is cancelled, the child who waited gets the place, another one is absent: three rows.
    ask(portal, homes[0], (ids[0], "CANTINE", MONDAY, "remove"), key="late")
    portal.clock._now = at(2026, 3, 30, 6)
    ask(portal, homes[1], (ids[1], "CANTINE", MONDAY, "remove"), key="ill")
    with portal.town() as town:
        second = Billing(town, actor="cli:x").export(date(2026, 3, 1), date(2026, 3, 31))
    assert sorted(exported(second.content)) == [("E0", "annule", "-1"), ("E1", "absence_annoncee", "0"), ("E2", "reserve", "1")]
    with portal.town() as town:
        billing = Billing(town, actor="cli:x")
        assert billing.again(second.id).content == second.content
        assert billing.export(date(2026, 3, 1), date(2026, 3, 31)) is None
    # What was cancelled and is booked again is one unit more.
    with portal.town() as town:
        book_of(town, actor="agent:1").set_state([(ids[0], "CANTINE", MONDAY, State.BOOKED)], key="again", reason="x")
    with portal.town() as town:
        third = Billing(town, actor="cli:x").export(date(2026, 3, 1), date(2026, 3, 31))
    assert exported(third.content) == [("E0", "reserve", "1")]


def test_an_erased_family_leaves_no_name_in_exports_and_no_correction(portal, busy):
    homes, _ids = busy
    period = date(2026, 3, 1), date(2026, 3, 31)
    with portal.town() as town:
        made = Billing(town, actor="cli:x").export(*period)
    with portal.town() as town:
        town.ask_plugins("family_erased", {"family_id": homes[0]})
    with portal.town() as town:
        billing = Billing(town, actor="cli:x")
        again = billing.again(made.id)
        assert exported(made.content) == [("E0", "reserve", "1"), ("E1", "reserve", "1")]
        assert exported(again.content) == [("", "reserve", "1"), ("E1", "reserve", "1")]
        assert again.content.splitlines()[1].startswith(";;CANTINE;")
        assert billing.export(*period) is None


def test_exports_at_once_share_the_rows(portal, busy):
    def go(_number):
        with portal.town() as town:
            made = Billing(town, actor="cli:x").export(date(2026, 3, 1), date(2026, 3, 31))
        return exported(made.content) if made else []

    with ThreadPoolExecutor(6) as pool:
        found = [row for rows in pool.map(go, range(6)) for row in rows]
    assert sorted(found) == [("E0", "reserve", "1"), ("E1", "reserve", "1")]


def test_homes_are_set_by_agents(portal, office):
    one, children = family(portal, "F1", ("E1",))
    _two, _same = family(portal, "F2", ("E1",))
    enrol(portal, children["E1"])
    page = office.get(f"regie/enfant/{children['E1']}?jour=2026-03-30")
    form = next(f for f in page.forms.values() if "weeks" in f.fields and f["family"].value == str(one))
    form["weeks"] = "odd"
    assert "C’est enregistré" in form.submit().follow().text
    answer = ask(portal, one, (children["E1"], "CANTINE", date(2026, 3, 30), "add"), key="z").answers[0]
    assert answer.decision.why == "other_home"
