"""Payments: the counter, reversals, anomalies."""

from __future__ import annotations

from datetime import date

import pytest
from counter_pages import balance, counter, take
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from core.api.payments import Anomaly, Means
from core.books.period import Period
from core.domain.counter_dates import DayDoubt, day_doubt
from core.domain.roles import Role
from core.testing.portal import record


def test_all_that_is_due_is_taken_at_once(work, portal):
    page = counter(work)
    assert work.form(page, "amount")["amount"].value == "66,87"
    page = take(work, page, means=Means.CHEQUE, note="0012345 La Banque")
    assert "Le règlement est enregistré" in page
    assert "CANTINE-2026-000001" in page
    assert balance(portal, "1") == balance(portal, "2") == 0
    assert page.click("Reçu").body.startswith(b"%PDF")


def test_a_part_pays_the_oldest_first_and_never_more_than_is_due(work, portal):
    take(work, counter(work), amount="60")
    assert sorted((balance(portal, "1"), balance(portal, "2"))) == [0, 687]


def test_too_much_has_to_be_meant(work, portal):
    # On a cheque: of cash, the change is given back.
    page = take(work, counter(work), amount="100,00", means=Means.CHEQUE)
    assert page.status_int == 422
    assert "Garder le reste en avoir" in page
    page = take(work, page, keep=True)
    assert "33,13" in page
    page = work.follow(work.get("/regie/recherche", params={"q": "F001"}))
    assert "Trop-perçu de" in page


@pytest.mark.parametrize("amount", ["", "0", "-5", "abc", "1.234,56", "1e3", "56,871", "999999999999"])
def test_a_wrong_amount_is_told(work, portal, amount):
    page = take(work, counter(work), amount=amount)
    assert page.status_int == 422
    assert balance(portal, "1") == 5687


def test_a_date_to_come_is_refused_and_one_gone_is_kept(work, portal):
    page = take(work, counter(work), paid_on="2026-03-12")
    assert page.status_int == 422
    page = take(work, counter(work), paid_on="2026-03-01")
    assert "1er mars 2026" in page


@pytest.mark.parametrize(
    ("paid_on", "words"),
    [("1900-01-01", "entre 2000 et 2100"), ("0001-01-01", "entre 2000 et 2100"), ("2026-02-28", "pas encore émise"), ("2025-03-11", "pas encore émise")],
)
def test_money_is_never_older_than_its_invoice(work, portal, paid_on, words):
    page = take(work, counter(work), paid_on=paid_on)
    assert page.status_int == 422
    assert words in page
    assert balance(portal, "1") == 5687


def test_a_closed_month_takes_no_more_money(work, portal):
    portal.publish(record("old", family="F009", issued_on=date(2026, 1, 5)))
    with portal.town() as town:
        town.accounts.closings.close(Period("CANTINE", date(2026, 2, 1)))
    page = take(work, counter(work, "F009"), paid_on="2026-02-20")
    assert page.status_int == 422
    assert "est arrêté" in page
    assert balance(portal, "old") == 5687
    assert "1er mars 2026" in take(work, counter(work, "F009"), paid_on="2026-03-01")


def test_a_day_long_gone_is_asked_about_once(work, portal):
    portal.publish(record("old", family="F009", issued_on=date(2025, 10, 1)))
    page = take(work, counter(work, "F009"), paid_on="2025-11-20")
    assert page.status_int == 422
    assert "plus de trois mois" in page
    assert balance(portal, "old") == 5687
    work.form(page, "amount")["old"].checked = True
    assert "20 novembre 2025" in take(work, page)
    assert balance(portal, "old") == 0


@given(st.dates(), st.dates(), st.lists(st.dates(), max_size=3), st.booleans())
def test_only_a_day_that_can_be_is_taken(day, now, issued, closed):
    doubt = day_doubt(day, now, issued_on=issued, closed=closed)
    if doubt in {None, DayDoubt.OLD}:
        assert max([date.min, *issued]) <= day <= now
        assert not closed
        assert (doubt is None) == ((now - day).days <= 92)
    else:
        assert day > now or closed or day < max(issued)


def test_a_double_click_is_one_payment(work, portal):
    page = counter(work)
    first = take(work, page)
    second = take(work, page)
    assert first.request.path == second.request.path
    with portal.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM payment")) == 1


def test_two_agents_at_once_lose_nothing(work, make_office, portal):
    other = make_office().enter(Role.AGENT)
    mine, theirs = counter(work), counter(other)
    take(work, mine)
    page = take(other, theirs)
    assert page.status_int == 422
    with portal.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM payment")) == 1


def test_what_the_tresorerie_collects_is_not_taken(work, portal):
    portal.publish(record("C1", regie="CRECHE", family="F003"))
    assert "La trésorerie encaisse" in counter(work, "F003")


def test_the_regisseur_takes_a_payment_back_with_a_reason(work, portal, make_office):
    page = take(work, counter(work))
    assert "Saisissez le motif" in work.press(page, "reverse")
    agent = make_office().enter(Role.AGENT)
    path = page.request.path.removeprefix("/valmont")
    assert "Annuler ce paiement" not in agent.get(path)
    form = work.form(page, "reason")
    token = agent.form(agent.get(), "csrf_token")["csrf_token"].value
    answer = agent.app.post(f"/valmont{path}", {"action": "reverse", "reason": "x", "csrf_token": token}, expect_errors=True)
    assert answer.status_int == 422
    assert form is not None
    page = work.press(page, "reverse", reason="Chèque sans provision")
    assert "ses factures sont de nouveau dues" in page
    assert balance(portal, "1") == 5687
    assert "Ce paiement n’est pas, ou plus, encaissé" not in page
    portal.work()
    with portal.town() as town:
        kinds = town.session.scalars(text("SELECT kind FROM message")).all()
    assert set(kinds) <= {"payment_settled", "payment_reversed", "invoices_published"}


def pending(portal):
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        number = town.attempts.create(invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="k")
    with portal.town() as town:
        town.attempts.start(number)
    return number


def test_an_anomaly_is_seen_and_dismissed(work, portal):
    number = pending(portal)
    portal.bank.outcomes[portal.bank.last] = Anomaly("deux réponses contraires")
    with portal.town() as town:
        town.attempts.poll(number)
    page = work.get("/regie/paiements", params={"etat": "anomaly"}).click(href=r"paiements/\d+$")
    assert "deux réponses contraires" in page
    page = work.press(page, "dismiss", reason="Vu avec la trésorerie")
    assert "Vu avec la trésorerie" in page
    assert "Aucun paiement" in work.get("/regie/paiements", params={"etat": "anomaly"})


def test_the_provider_is_asked_again(work, portal):
    number = pending(portal)
    portal.bank.pay(portal.bank.last, portal.clock)
    page = work.press(work.get(f"/regie/paiements/{number}"), "ask")
    assert "est interrogé" in page
    portal.clock.pass_time(seconds=2)
    portal.work()
    assert "Encaissé" in work.get(f"/regie/paiements/{number}")


def test_an_online_payment_under_way_is_told_at_the_counter(work, portal):
    pending(portal)
    shown = work.get("/regie/paiements").html.select_one("table tbody").text
    assert "FakePay" in shown, "by its label, not by its key"
    assert "pas encore fini de payer" in counter(work)


@pytest.mark.parametrize("query", ["etat=nonsense", "avant=abc", "du=2026-99-01", "moyen=gold", "regie=NONE", "avant=" + "9" * 40])
def test_odd_questions_are_answered(work, query):
    assert work.get(f"/regie/paiements?{query}").status_int == 200


def test_another_towns_payment_does_not_exist(work, portal):
    work.get("/regie/paiements/999999", status=404)
    work.get("/regie/paiements/999999/recu.pdf", status=404)


def test_the_counter_opens_on_a_regie_whose_money_is_taken_here(work, portal):
    portal.publish(record("C0", regie="CRECHE", family="F001", issued_on=date(2026, 1, 1), due_on=date(2026, 1, 1)))
    assert work.form(counter(work), "amount")["amount"].value == "66,87"


def test_a_payment_comes_back_for_a_named_reason(work, portal):
    page = take(work, counter(work))
    page = work.press(page, "reverse", nature="Remboursement", reason="Départ de la commune")
    with portal.town() as town:
        (reason,) = town.session.scalars(text("SELECT reversal_reason FROM payment")).all()
    assert reason == "Remboursement\u00a0: Départ de la commune"


def test_payments_between_two_days_are_paged_by_the_moment(work, portal, monkeypatch):
    with portal.town() as town:
        family = town.families.by_code("F001").id
        for number in range(5):
            portal.clock.pass_time(minutes=1)
            town.payments.record(
                regie="CANTINE", family_id=family, means=Means.CASH, amount=100 + number, paid_at=town.clock.now(),
                payer="x", shares=[], key=f"p{number}",
            )  # fmt: skip
        seen, before = [], None
        while True:
            page = town.payment_list.page(since=date(2026, 3, 10), until=date(2026, 3, 10), before=before, limit=2)
            seen += [row.Payment.amount for row in page.rows]
            before = page.more
            if before is None:
                break
        assert seen == [104, 103, 102, 101, 100]
        assert town.payment_list.page(since=date(2026, 3, 11)).rows == []
        assert town.payment_list.page(before=0).rows == []
