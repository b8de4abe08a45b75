"""The planning in a chat: its contract, what is said and done, and only for the chat's families."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from planning_towns import MONDAY, ask, enrol, family
from sqlalchemy import text

from core.plugin import ChatPress, ChatQuestion, Notification
from core.testing.conformance import ChatSkillContract, MessageKindContract
from plugins.planning import plugin
from plugins.planning.chat import PlanningSkill
from plugins.planning.orders import OrderKind
from plugins.planning.telling import ClosedKind, PlaceKind, ProofKind, ReminderKind

TODAY = date(2026, 3, 10)  # a Tuesday


@pytest.fixture
def home(portal):
    family_id, children = family(portal, "F001", ("Léa", "Tom"))
    enrol(portal, *children.values())
    enrol(portal, next(iter(children.values())), service="MATIN")
    by_name = {}
    with portal.town() as town:
        for child in town.families.children(family_id):
            by_name[child.name] = child.id
    return family_id, by_name


def question(words, *families):
    return ChatQuestion(words, tuple(words.casefold().split()), "", families, "fr", TODAY)


def say(portal, words, family_id):
    with portal.town() as town:
        return PlanningSkill(town, town.settings(plugin)).answer(question(words, family_id))


def press(portal, data, family_id, key="k1"):
    with portal.town() as town:
        return PlanningSkill(town, town.settings(plugin)).press(ChatPress(data, key, (family_id,), "fr", TODAY))


def states(portal):
    with portal.town() as town:
        rows = town.session.execute(text("SELECT child_id, service, day, state FROM planning_booking ORDER BY day, child_id"))
        return [tuple(row) for row in rows]


def buttons(answer):
    return [button for row in answer.rows for button in row if button.data]


class TestContract(ChatSkillContract):
    said = ("réserve la cantine pour léa lundi 30 mars",)

    @pytest.fixture
    def skill(self, portal, home):
        with portal.town() as town:
            yield PlanningSkill(town, town.settings(plugin))

    @pytest.fixture
    def families(self, home):
        return (home[0],)


def test_words_change_nothing_and_a_button_does(portal, home):
    family_id, by_name = home
    answer = say(portal, "réserve la cantine pour léa lundi 30 mars", family_id)
    assert "Léa, Cantine, lundi 30 mars\u00a0: réservé" in answer.text
    assert states(portal) == []
    (button,) = buttons(answer)
    done = press(portal, button.data, family_id)
    assert "C’est noté" in done.text
    assert states(portal) == [(by_name["Léa"], "CANTINE", MONDAY, "booked")]
    # The same press again is the same request.
    assert "déjà fait" in press(portal, button.data, family_id).text
    off = say(portal, "lea absante le 30/03", family_id)
    press(portal, buttons(off)[0].data, family_id, "k2")
    assert states(portal) == [(by_name["Léa"], "CANTINE", MONDAY, "cancelled")]


def test_which_child_is_asked_back(portal, home):
    family_id, _by_name = home
    answer = say(portal, "réserve la cantine lundi 30 mars", family_id)
    assert "Pour quel enfant" in answer.text
    every = next(button for button in buttons(answer) if button.label == "Tous les enfants")
    offer = press(portal, every.data, family_id)
    assert offer.text.count("réservé") == 2
    assert states(portal) == []
    press(portal, buttons(offer)[0].data, family_id, "k3")
    assert [row[3] for row in states(portal)] == ["booked", "booked"]


def test_a_week_until_the_holidays(portal, home):
    family_id, by_name = home
    answer = say(portal, "cantine mardi et vendredi jusqu’aux vacances pour Tom", family_id)
    press(portal, buttons(answer)[0].data, family_id)
    days = [day for child, service, day, state in states(portal) if child == by_name["Tom"] and state == "booked"]
    # The deadline of this week and of the next Friday's is over or not, as the rules say; holidays begin on 11 April.
    assert {day.weekday() for day in days} == {1, 4}
    assert min(days) == date(2026, 3, 17)
    assert max(days) == date(2026, 4, 10)


def test_the_week_is_told(portal, home):
    family_id, by_name = home
    ask(portal, family_id, (by_name["Léa"], "CANTINE", MONDAY, "add"), key="x")
    answer = say(portal, "la semaine de Léa du 30 mars", family_id)
    assert "lundi 30 mars\u00a0: Cantine, réservé" in answer.text


def test_another_familys_child_is_nobody(portal, home):
    family_id, by_name = home
    other, _children = family(portal, "F002", ("Zoé",))
    answer = say(portal, "réserve la cantine pour léa lundi 30 mars", family_id)
    assert "votre famille" in press(portal, buttons(answer)[0].data, other, "k9").text
    assert say(portal, "léa absente demain", other) is None
    assert states(portal) == []
    del by_name


def test_a_button_of_other_services_is_refused(portal, home):
    family_id, _by_name = home
    (button,) = buttons(say(portal, "réserve la cantine pour léa lundi 30 mars", family_id))
    seal = button.data.rpartition(".")[2]
    forged = button.data.removesuffix(seal) + ("0000" if seal != "0000" else "1111")
    assert "plus valable" in press(portal, forged, family_id).text


def test_two_of_three_children_are_two(portal):
    """A button says whom it is for: the third child of the family stays as it is."""
    family_id, children = family(portal, "F001", ("Léa", "Tom", "Zoé"))
    enrol(portal, *children.values())
    with portal.town() as town:
        names = {child.id: child.name for child in town.families.children(family_id)}
    ask(portal, family_id, *((child, "MATIN", MONDAY, "add") for child in names), key="x")
    answer = say(portal, "léa et tom cantine lundi 30 mars", family_id)
    press(portal, buttons(answer)[0].data, family_id)
    assert {names[row[0]] for row in states(portal) if row[1] == "CANTINE"} == {"Léa", "Tom"}


def test_more_children_than_a_button_holds_are_asked_for_one_by_one(portal, monkeypatch):
    family_id, children = family(portal, "F001", ("Léa", "Tom", "Zoé"))
    enrol(portal, *children.values())
    monkeypatch.setattr("plugins.planning.chat.MAX_CHARACTERS", 15)
    answer = say(portal, "léa et tom cantine lundi 30 mars", family_id)
    assert [button.label for button in buttons(answer)] == ["Léa", "Tom", "Zoé", "Tous les enfants"]


def test_every_other_week_and_a_beginning_are_kept_by_the_button(portal, home):
    family_id, by_name = home
    answer = say(portal, "cantine pour Léa le lundi en semaines paires à partir du 30 mars jusqu'au 5 juin", family_id)
    press(portal, buttons(answer)[0].data, family_id)
    assert [day for child, _s, day, _state in states(portal) if child == by_name["Léa"]] == [
        date(2026, 3, 30), date(2026, 4, 27), date(2026, 5, 11)]


def test_what_one_button_cannot_say_leads_to_the_page(portal, home):
    family_id, _by_name = home
    answer = say(portal, "léa mange mardi mais pas jeudi", family_id)
    assert "un changement à la fois" in answer.text
    assert not buttons(answer)
    assert [button.url for row in answer.rows for button in row][-1].endswith("/+planning/semaine-type")


def test_a_question_about_a_day_says_until_when(portal, home):
    family_id, _by_name = home
    answer = say(portal, "jusqu'à quand je peux annuler la cantine de lundi 30 mars ?", family_id)
    assert "Cantine, non réservé, modifiable jusqu’au jeudi 26 mars, 10\u00a0h" in answer.text
    assert not buttons(answer)


class TestProof(MessageKindContract):
    @pytest.fixture
    def kind(self, portal, home):
        family_id, by_name = home
        ask(portal, family_id, (by_name["Léa"], "CANTINE", MONDAY, "add"), key="proof")
        with portal.town() as town:
            yield ProofKind(town, town.settings(plugin))

    @pytest.fixture
    def notification(self, home):
        return Notification("proof", home[0], {"request": "proof"})


class TestPlace(TestProof):
    @pytest.fixture
    def kind(self, portal, home):
        with portal.town() as town:
            yield PlaceKind(town, town.settings(plugin))

    @pytest.fixture
    def notification(self, home):
        return Notification("p", home[0], {"child": home[1]["Léa"], "service": "CANTINE", "day": MONDAY.isoformat()})


class TestClosed(TestProof):
    @pytest.fixture
    def kind(self, portal, home):
        with portal.town() as town:
            yield ClosedKind(town, town.settings(plugin))

    @pytest.fixture
    def notification(self, home):
        booked = [[home[1]["Léa"], "CANTINE"]]
        return Notification("c", home[0], {"day": MONDAY.isoformat(), "reason": "Grève", "booked": booked, "open": False})


class TestReminder(TestProof):
    @pytest.fixture
    def kind(self, portal, home):
        with portal.town() as town:
            yield ReminderKind(town, town.settings(plugin))

    @pytest.fixture
    def notification(self, home, portal):
        until = portal.clock.now() + timedelta(hours=3)
        weeks = [[home[1]["Léa"], "CANTINE", True]]
        return Notification("r", home[0], {"monday": MONDAY.isoformat(), "until": until.isoformat(), "weeks": weeks})

    def test_a_reminder_after_the_deadline_is_none(self, kind, notification, portal):
        late = replace(notification, payload={**notification.payload, "until": portal.clock.now().isoformat()})
        assert kind.write(late) is None


class TestOrder(TestProof):
    @pytest.fixture
    def kind(self, portal, home):
        with portal.town() as town:
            town.session.execute(
                text("INSERT INTO planning_order (tenant_id, service, day, version, at, counts) VALUES"
                     " ('valmont', 'CANTINE', :d, 1, now(), CAST('[[\"Nord\", \"SV\", 3]]' AS json))"), {"d": MONDAY})
        with portal.town() as town:
            yield OrderKind(town, town.settings(plugin))

    @pytest.fixture
    def notification(self):
        return Notification("o", 0, {"service": "CANTINE", "day": MONDAY.isoformat(), "version": 1})
