"""Reminders and closing: who is written to on which day, once; what goes to the trésorerie."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from core.api.errors import UserError
from core.api.payments import Means
from core.domain.reminders import GRACE_DAYS, RuleError, parse_days, rule_that_applies
from core.domain.roles import Role
from core.platform.outbox.schedule import tick
from core.processes.consumers import OWN_SCHEDULE
from core.reminders.service import DAILY, Calendar
from core.testing.portal import record

DUE = date(2026, 3, 31)
"""Of the portal's invoices; its clock shows 10 March, 10:30 in Paris."""
DAILY_WORK = next(periodic for periodic in OWN_SCHEDULE if periodic.topic == DAILY)


@pytest.fixture
def owing(portal):
    """F001 owes invoices 1 and 2 (not in one régie), F002 invoice 9; F001 reads mail."""
    portal.publish(
        record("1"), record("2", regie="CRECHE", amount=1000, label="Crèche"),
        record("9", family="F002"),
    )  # fmt: skip
    with portal.town() as town:
        family = town.families.by_code("F001")
        town.alerts.add(family.id, "camille@exemple.fr")
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
        town.session.execute(text("DELETE FROM message"))
    return portal


def rules(portal, *reminders, closing=None, regie="CANTINE"):
    with portal.town() as town:
        town.reminders.set_calendar(regie, Calendar(reminders, closing))


def a_day(portal):
    """Beat asks, and all that follows is done, but for mails: no server takes them."""
    tick(portal.runtime, "", DAILY_WORK)
    portal.work(rounds=6)


def until(portal, day):
    now = portal.clock.now()
    portal.clock.pass_time(days=(day - now.date()).days)


def told(portal):
    """The invoices of each reminder, by address."""
    with portal.town() as town:
        rows = town.session.execute(
            text("SELECT address, payload FROM message WHERE kind = 'invoice_due' ORDER BY id")
        )
        return [(row.address, len(row.payload["invoice_ids"])) for row in rows]


def pay(portal, number, amount=5687):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number(number)
        town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means=Means.CASH, amount=amount,
            paid_at=town.clock.now(), payer="X", shares=[(invoice.id, amount)], key=f"pay-{number}",
        )  # fmt: skip


def planned(portal, day):
    with portal.town() as town:
        plan = town.reminders.planned(day)
        return [(row.invoice.number, row.family.code, row.days, row.balance) for row in plan.rows]


# --- The rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "days"), [("", []), ("8, 20", [8, 20]), ("20;8 8", [8, 20]), (" 0 ", [0])]
)
def test_days_are_understood_as_they_are_typed(typed, days):
    assert parse_days(typed) == days


@pytest.mark.parametrize("typed", ["-1", "3.5", "huit", "367", "1 2 3 4 5 6 7", "1" * 30])
def test_what_is_no_rule_is_refused(typed):
    with pytest.raises(RuleError):
        parse_days(typed)


@given(
    due_on=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    rules=st.sets(st.integers(-30, 60), max_size=6),
    start=st.integers(-60, 0),
)
def test_a_rule_is_met_on_its_day_and_no_other_is_repeated(due_on, rules, start):
    """Day after day, each rule is met at most once, on its own day, and no later one is passed."""
    done: list[int] = []
    for age in range(start, 80):
        rule = rule_that_applies(due_on, due_on + timedelta(days=age), rules)
        if rule is not None and not any(earlier >= rule for earlier in done):
            assert rule <= age < rule + GRACE_DAYS
            done.append(rule)
    assert done == sorted(rule for rule in rules if rule >= start or rule in done)
    assert set(done) >= {rule for rule in rules if rule >= start}


def test_the_database_applies_the_same_rules(portal):
    days = (-12, -5, -1, 0, 8, 20)
    today = date(2026, 3, 10)
    dues = [today + timedelta(days=shift) for shift in range(-40, 25)]
    portal.publish(*(record(str(n), family=f"F{n:03}", issued_on=min(dues), due_on=due) for n, due in enumerate(dues)))
    rules(portal, *days)
    expected = {n: rule_that_applies(due, today, days) for n, due in enumerate(dues)}
    with portal.town() as town:
        plan = town.reminders.planned(today, limit=100)
    assert {int(row.invoice.number): row.days for row in plan.rows} == {
        n: rule for n, rule in expected.items() if rule is not None
    }
    assert plan.invoices == plan.families == len(plan.rows) > 20


# --- Who is written to ---------------------------------------------------------------------------


def test_a_family_is_reminded_once_of_all_it_owes(owing):
    rules(owing, -5, 8)
    rules(owing, -5, regie="CRECHE")
    until(owing, DUE - timedelta(days=6))
    a_day(owing)
    assert told(owing) == []
    for _day in range(4):
        owing.clock.pass_time(days=1)
        a_day(owing)
        a_day(owing)
    assert told(owing) == [("camille@exemple.fr", 2)]
    until(owing, DUE + timedelta(days=8))
    a_day(owing)
    assert told(owing)[1:] == [("camille@exemple.fr", 1)]


def test_without_a_calendar_nothing_leaves(owing):
    for _day in range(30):
        owing.clock.pass_time(days=1)
        a_day(owing)
    assert told(owing) == []


def test_nobody_is_written_to_at_night(owing):
    rules(owing, 0)
    until(owing, DUE - timedelta(days=1))
    owing.clock.pass_time(hours=14)  # Half past midnight in Paris, on the due date.
    a_day(owing)
    assert told(owing) == []
    owing.clock.pass_time(hours=9)
    a_day(owing)
    assert len(told(owing)) == 1


def test_an_outage_of_days_delays_a_reminder_and_loses_none(owing):
    rules(owing, 8)
    until(owing, DUE + timedelta(days=8 + GRACE_DAYS - 1))
    a_day(owing)
    assert len(told(owing)) == 1


def test_a_new_rule_leaves_old_debts_alone(owing):
    until(owing, DUE + timedelta(days=100))
    rules(owing, 8)
    a_day(owing)
    assert told(owing) == []


def test_what_is_paid_or_being_paid_is_not_asked_for(owing):
    rules(owing, -5)
    until(owing, DUE - timedelta(days=5))
    pay(owing, "9")
    with owing.town() as town:
        (invoice,) = town.invoices.by_number("1")
        town.attempts.create(
            invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="k"
        )
    assert planned(owing, DUE - timedelta(days=5)) == []


def test_what_is_left_of_a_part_paid_invoice_is_asked_for(owing):
    rules(owing, -5)
    pay(owing, "9", 5000)
    assert ("9", "F002", -5, 687) in planned(owing, DUE - timedelta(days=5))


def test_a_message_whose_invoices_were_paid_meanwhile_does_not_leave(owing):
    """It waited (no mail server): when its turn comes again there is nothing to say."""
    rules(owing, -5)
    until(owing, DUE - timedelta(days=5))
    a_day(owing)
    pay(owing, "1")
    owing.clock.pass_time(hours=2)
    owing.work(rounds=2)
    with owing.town() as town:
        (state,) = town.session.scalars(
            text("SELECT state FROM message WHERE kind = 'invoice_due'")
        )
    assert state == "pointless"


def test_the_letter_says_what_is_due_and_until_when(owing):
    rules(owing, -5, closing=45)
    with owing.town() as town:
        family = town.families.by_code("F001")
        ids = [invoice.id for invoice in town.invoices.unpaid(family.id)]
        town.notifications.fan_out(
            "invoice_due", {"id": "due-1", "family_id": family.id, "invoice_ids": ids}
        )
        (row,) = town.notifications.of_family(family.id)
        before = town.letters.render(row)
    owing.clock.pass_time(days=40)
    with owing.town() as town:
        row.language = "en"
        after = town.letters.render(row)
    assert before.subject == "Valmont – 2 factures arrivent à échéance"
    assert "CANTINE février" in before.text
    assert "payable ici jusqu’au 15/05/2026" in before.text
    assert after.subject.endswith("2 invoices are still to be paid")
    assert "DURAND" not in before.subject + before.text


# --- Closing -------------------------------------------------------------------------------------


def states(portal):
    with portal.town() as town:
        return dict(
            town.session.execute(text("SELECT number, state FROM invoice ORDER BY number")).all()
        )


def test_what_is_left_after_its_closing_goes_to_the_tresorerie(owing):
    rules(owing, closing=30)
    pay(owing, "9")
    until(owing, DUE + timedelta(days=30))
    a_day(owing)
    assert states(owing)["1"] == "published"
    owing.clock.pass_time(days=1)
    a_day(owing)
    a_day(owing)
    assert states(owing) == {"1": "handed_over", "2": "published", "9": "published"}
    with owing.town() as town:
        (invoice,) = town.invoices.by_number("1")
        assert not invoice.payable
        trail = town.trail.page(subject=f"invoice:{invoice.id}").rows
    assert [(entry.actor, entry.action) for entry in trail] == [("system", "invoice.handed_over")]


def test_a_payment_under_way_holds_its_closing_back(owing):
    rules(owing, closing=0)
    until(owing, DUE + timedelta(days=1))
    with owing.town() as town:
        (invoice,) = town.invoices.by_number("1")
        town.attempts.create(
            invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="k"
        )
    a_day(owing)
    assert states(owing)["1"] == "published"
    assert states(owing)["9"] == "handed_over"


def test_an_invoice_may_have_a_day_of_its_own(owing):
    rules(owing, 8, closing=10)
    with owing.town() as town:
        first, ninth = (town.invoices.by_number(number)[0].id for number in ("1", "9"))
        town.reminders.set_closing(first, DUE + timedelta(days=60))
        town.reminders.set_closing(ninth, DUE)
        with pytest.raises(UserError):
            town.reminders.set_closing(first, DUE - timedelta(days=1))
    until(owing, DUE + timedelta(days=8))
    a_day(owing)
    assert states(owing)["9"] == "handed_over"
    until(owing, DUE + timedelta(days=40))
    a_day(owing)
    assert states(owing)["1"] == "published"


# --- The pages -----------------------------------------------------------------------------------


def set_rules(work, regie="CANTINE", **values):
    typed = {f"{regie}-{name}": value for name, value in values.items()}
    return work.fill(work.get("/regie/rappels"), **typed)


def test_the_regisseur_sets_a_calendar_and_looks_at_what_it_does(work):
    page = set_rules(work, before="5, 1", after="8", closing="45")
    assert "Le calendrier est enregistré" in page
    assert work.form(page, "CANTINE-before")["CANTINE-before"].value == "1, 5"
    page = page.click("Voir qui serait prévenu")
    assert "Personne." in page
    page = work.fill(page, jour="2026-03-26")
    assert "5 jours avant l’échéance" in page
    assert "à prévenir autrement" in page
    assert "123,74" in page  # What F001 and F002 owe.
    page = work.fill(page, jour="2026-05-16")
    assert "Personne." in page
    assert page.text.count("MARTIN Léa") == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"before": "bientôt"}, "Saisissez au plus 6 nombres de jours"),
        ({"closing": "5, 6"}, "Saisissez un seul nombre de jours"),
        ({"after": "8, 20", "closing": "10"}, "La clôture vient après le dernier rappel"),
    ],
)
def test_what_cannot_be_is_told_and_what_was_typed_stays(work, values, words):
    page = set_rules(work, **values)
    assert page.status_int == 422
    assert words in page
    for name, value in values.items():
        field = f"CANTINE-{name}"
        assert work.form(page, field)[field].value == value


def test_only_the_regisseur_changes_a_calendar(make_office):
    agent = make_office().enter(Role.AGENT)
    page = agent.get("/regie/rappels")
    assert "CANTINE-before" not in page
    token = page.forms[0]["csrf_token"].value
    answer = agent.app.post(
        "/valmont/regie/rappels", {"regie": "CANTINE", "csrf_token": token}, status="*"
    )
    assert answer.status_int == 403


def test_an_agent_moves_the_closing_of_one_invoice(work):
    page = work.get("/regie/factures").click("1", href=r"/factures/\d+$", index=0)
    page = work.fill(page, closes_on="2026-06-30")
    assert "La date de clôture est enregistrée" in page
    assert "30/06/2026" in page
    page = work.fill(page, closes_on="2026-01-01")
    assert "La clôture ne peut précéder" in page
    page = work.fill(page, closes_on="")
    assert "30/06/2026" not in page
