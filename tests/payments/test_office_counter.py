"""Several means in a visit, change, titles, the limit on cash."""

from __future__ import annotations

import pytest
from counter_pages import balance, counter, more, take
from sqlalchemy import text

from core.api.errors import UserError
from core.api.invoices import LineRecord, TaxKind
from core.api.payments import Means
from core.payments.counter import Given
from core.testing.portal import cheap_hashes, make_portal, record

MEANS = """
[[regies.CANTINE.means]]
kind = "cash"
account = "5411"
[[regies.CANTINE.means]]
kind = "cheque"
[[regies.CANTINE.means]]
kind = "cesu_paper"
activities = ["Garderie"]
[[regies.CANTINE.means]]
kind = "other"
name = "Bons CAF"
"""
MEALS = """[[regies.CANTINE.means]]
kind = "holiday_voucher"
activities = ["repas"]
"""


@pytest.fixture
def portal(database, redis, tmp_path):
    redis.flushall()
    made = make_portal(database, tmp_path, toml=MEANS)
    with cheap_hashes():
        yield made
    made.runtime.redis.close()


def care(number, family="F003", **changes):
    """50 EUR: 30 of care, 20 of meals."""
    return record(
        number,
        family=family,
        amount=5000,
        lines=(
            LineRecord(1, "GARDERIE", TaxKind.CARE, 3000, child="E003"),
            LineRecord(2, "Repas", TaxKind.MEAL, 2000, child="E003"),
        ),
        **changes,
    )


def rows(portal, sql="SELECT means, amount, tendered FROM payment ORDER BY id"):
    with portal.town() as town:
        return [tuple(row) for row in town.session.execute(text(sql))]


def test_cash_gives_change_and_the_journal_has_what_stays(work, portal):
    page = take(work, counter(work), amount="100")
    assert "Monnaie à rendre\u00a0: 33,13" in page
    assert "100,00\u00a0€ reçus, 33,13\u00a0€ rendus" in page
    assert rows(portal) == [("cash", 6687, 10000)]
    assert rows(portal, "SELECT amount FROM journal_entry") == [(6687,)]
    assert balance(portal, "1") == balance(portal, "2") == 0


def test_two_means_in_one_visit_are_recorded_together(work, portal):
    page = more(work, counter(work), amount="50", means="cheque", note="0012345")
    form = work.form(page, "amount")
    assert form["amount"].value == "50"
    assert form["other1-amount"].value == "16,87"
    page = take(work, page, **{"other1-amount": "20", "other1-means": "cash"})
    assert "Monnaie à rendre\u00a0: 3,13" in page
    assert "Réglé en même temps" in page
    assert "16,87\u00a0€, Espèces" in page
    assert rows(portal) == [("cheque", 5000, None), ("cash", 1687, 2000)]
    assert balance(portal, "1") == balance(portal, "2") == 0


def test_all_or_nothing(work, portal):
    page = more(work, counter(work), amount="50", means="cheque")
    page = take(work, page, **{"other1-amount": "20", "other1-means": "cheque"})
    assert page.status_int == 422
    assert "Garder le reste en avoir" in page
    assert rows(portal) == []


def test_a_double_click_is_one_visit(work, portal):
    page = more(work, counter(work), amount="50", means="cheque")
    values = {"other1-amount": "20", "other1-means": "cash"}
    first, second = (take(work, page, **values) for _click in range(2))
    assert first.request.path == second.request.path
    assert "Monnaie à rendre" in second
    assert len(rows(portal)) == 2


def test_a_means_that_the_regie_does_not_take_is_refused(work, portal):
    page = counter(work)
    form = work.form(page, "amount")
    assert [value for value, _chosen, _label in form["means"].options] == [
        "cash", "cheque", "cesu_paper", "other:Bons CAF",
    ]  # fmt: skip
    form["means"].force_value("terminal")
    page = form.submit(expect_errors=True)
    assert page.status_int == 422
    assert "ne prend pas ce moyen de paiement\u00a0: Carte bancaire au guichet" in page
    page = take(work, counter(work), means="other:Bons CAF")
    assert "Bons CAF" in page
    assert rows(portal)[0][0] == "other:Bons CAF"
    assert "Bons CAF" in work.get("/regie/paiements", params={"moyen": "other:Bons CAF"})


def test_cash_beyond_the_limit_asks_for_an_exception(work, portal):
    portal.publish(record("big", family="F004", amount=35000))
    page = more(work, counter(work, "F004"), amount="250", means="cheque")
    page = take(work, page, **{"other1-amount": "100", "other1-means": "cash"})
    assert page.status_int == 422
    assert "plus de 300,00\u00a0€" in page
    assert "celle-ci est de 350,00\u00a0€" in page
    assert rows(portal) == []
    page = take(work, page, exception=True)
    assert "Le règlement est enregistré" in page
    assert rows(portal, "SELECT action FROM audit_entry WHERE action LIKE '%exception'")
    assert balance(portal, "big") == 0


def test_an_exception_that_was_not_needed_is_not_noted(work, portal):
    portal.publish(record("big", family="F004", amount=35000))
    page = more(work, counter(work, "F004"), amount="250", means="cheque")
    page = take(work, page, **{"other1-amount": "100", "other1-means": "cash"})
    assert page.status_int == 422
    page = take(work, page, exception=True, **{"other1-means": "cheque"})
    assert "Le règlement est enregistré" in page
    assert not rows(portal, "SELECT action FROM audit_entry WHERE action LIKE '%exception'")


def test_a_part_within_the_limit_is_cash_as_before(work, portal):
    portal.publish(record("big", family="F004", amount=35000))
    assert "est enregistré" in take(work, counter(work, "F004"), amount="300")
    assert balance(portal, "big") == 5000


def test_cesu_pay_care_only_and_give_no_change(work, portal):
    portal.publish(care("care"))
    page = counter(work, "F003")
    assert "CESU papier\u00a0: seulement Garderie, soit 30,00" in page
    page = take(work, page, amount="40", means="cesu_paper", titles="CESU0001 CESU0002")
    assert page.status_int == 422
    assert "10,00\u00a0€ de trop" in page
    assert "la monnaie n’est pas rendue" in page
    page = take(work, page, amount="30")
    assert "CESU0001, CESU0002" in page
    assert balance(portal, "care") == 2000
    # The canteen is left: no title more, by the counter or by what was too much.
    page = take(work, counter(work, "F003"), amount="20", means="cesu_paper")
    assert page.status_int == 422
    assert "ne paient ici que\u00a0: Garderie" in page
    assert "est enregistré" in take(work, page, means="cash")
    assert balance(portal, "care") == 0


def test_what_titles_were_too_much_stays_a_title(work, portal):
    portal.publish(care("care"))
    page = take(work, counter(work, "F003"), amount="40", means="cesu_paper", keep=True)
    assert "est enregistré" in page
    portal.publish(record("meals", family="F003", amount=1500))
    with portal.town() as town:
        credit_id = town.session.scalar(text("SELECT id FROM credit"))
        meals = town.invoices.by_number("meals")[0].id
        with pytest.raises(UserError, match="0,00\u00a0€ peuvent être payés ainsi"):
            town.credits.pay(credit_id, meals, 500, key="a")
        with pytest.raises(UserError, match="ne se rend pas"):
            town.credits.refund(credit_id, 500, means=Means.CASH, note="x", key="b")
    portal.publish(care("next"))
    with portal.town() as town:
        town.credits.pay(credit_id, town.invoices.by_number("next")[0].id, 1000, key="c")
    assert balance(portal, "next") == 4000


def test_a_title_is_taken_once_until_its_payment_comes_back(work, portal):
    portal.publish(care("care"), care("other", family="F005"))
    take(work, counter(work, "F003"), amount="10", means="cesu_paper", titles="CESU0001")
    page = take(work, counter(work, "F005"), amount="10", means="cesu_paper", titles="cesu0001")
    assert page.status_int == 422
    assert "Le titre CESU0001 est déjà enregistré\u00a0: reçu CANTINE-2026-000001" in page
    with portal.town() as town:
        town.payments.reverse(town.session.scalar(text("SELECT id FROM payment")), reason="x")
    assert "est enregistré" in take(work, page)


@pytest.mark.parametrize(
    ("titles", "words"),
    [("12", "n’est pas un numéro de titre"), ("CESU1 CESU1", "est noté deux fois"), ("é" * 5, "n’est pas un numéro")],
)
def test_numbers_of_titles_that_cannot_be_are_told(work, portal, titles, words):
    page = take(work, counter(work), means="other:Bons CAF", titles=titles)
    assert page.status_int == 422
    assert words in page
    assert rows(portal) == []


def test_a_cheque_has_no_titles(work, portal):
    page = take(work, counter(work), means="cheque", titles="CESU0001")
    assert page.status_int == 422
    assert "pas de numéros de titres" in page


def test_a_regie_without_titles_asks_for_none(work, portal):
    portal.publish(record("g", family="F006", regie="GARDERIE"))
    page = counter(work, "F006")
    assert "titles" not in work.form(page, "amount").fields
    assert "terminal" in page


def test_a_receipt_says_what_is_left_of_each_invoice(work, portal):
    page = more(work, counter(work), amount="40", means="cheque")
    take(work, page, **{"other1-amount": "20", "other1-means": "cash"})
    with portal.town() as town:
        left = town.session.execute(
            text("SELECT i.number, a.amount, a.left_due FROM allocation a JOIN invoice i"
                 " ON i.id = a.invoice_id ORDER BY a.id")
        ).all()  # fmt: skip
        assert [tuple(row) for row in left] == [("1", 4000, 1687), ("1", 1687, 0), ("2", 313, 687)]
        first = town.session.scalars(text("SELECT id FROM payment ORDER BY id")).first()
        sheet = town.receipts.sheet(town.payments.row(first))
    # The visit's other payment finished the invoice: the first receipt does not claim it again.
    assert [share.left_due for share in sheet.shares] == [0]
    assert [(one.amount, one.means) for one in sheet.together] == [(2000, "cash")]


def test_titles_have_their_own_pile_and_slip(work, portal):
    portal.publish(care("care"))
    take(work, counter(work), amount="10")
    take(work, counter(work, "F003"), amount="20", means="cesu_paper", titles="CESU0001 CESU0002")
    take(work, counter(work, "F002"), amount="5", means="other:Bons CAF", titles="CAF00001")
    page = work.get("/regie/comptes/versements", params={"regie": "CANTINE"})
    ticked = [box._value for box in work.form(page, "du").fields["moyen"] if box.checked]
    assert ticked == ["cash"]
    page = page.click("Bordereau CESU")
    preview = work.form(page, "montant")
    assert preview["montant"].value == "2000"
    page = work.follow(preview.submit())
    assert "V-2026-CANTINE-0001" in page
    assert "CESU0001 CESU0002" in page
    assert "CAF00001" not in page
    with portal.town() as town:
        hand = {one.means: one.amount for one in town.accounts.remittances.in_hand("CANTINE")}
        assert hand == {"cash": 1000, "other:Bons CAF": 500}
        made = town.accounts.remittances.page("CANTINE").rows[0]
        slip = town.accounts.papers.slip(made, {})
        assert "CESU0001 CESU0002" in slip.paper
        assert town.accounts.remittances.agrees(made)


def test_a_form_that_no_page_made_is_refused(work, portal):
    page = counter(work)
    path = page.request.path.removeprefix("/valmont")
    for name, value in (("regie", "INCONNUE"), ("regie", "x" * 5000), ("key", "é" * 9000), ("rows", "9" * 9)):
        form = work.form(work.get(path), "amount")
        form[name].force_value(value)
        answer = form.submit(expect_errors=True)
        assert answer.status_int in {404, 422, 303}, name
    assert len(portal_payments(portal)) < 2


def portal_payments(portal):
    with portal.town() as town:
        return town.session.execute(text("SELECT id FROM payment")).all()


@pytest.fixture
def two_titles(database, redis, tmp_path):
    redis.flushall()
    made = make_portal(database, tmp_path, toml=MEANS + MEALS)
    with cheap_hashes():
        yield made
    made.runtime.redis.close()


@pytest.mark.parametrize("at_once", [True, False])
def test_titles_of_other_activities_take_nothing_from_each_other(two_titles, at_once):
    two_titles.publish(care("care"))
    given = [Given("cesu_paper", 3000), Given("holiday_voucher", 2000)]
    with two_titles.town() as town:
        invoice = town.invoices.by_number("care")[0]

        def visit(key, *means):
            return town.desk.take(
                regie="CANTINE", family_id=invoice.family_id, invoice_ids=[invoice.id], given=means,
                paid_at=town.clock.now(), payer="x", key=key,
            )  # fmt: skip

        if at_once:
            visit("a", *given)
        else:
            for number, one in enumerate(given):
                visit(f"b{number}", one)
        with pytest.raises(UserError, match="ne paient ici que"):
            visit("c", Given("cesu_paper", 1))
        payments = town.payments.history(invoice.family_id)
        meals = next(one for one in payments if one.means == Means.HOLIDAY_VOUCHER)
        with pytest.raises(UserError, match="ou pas toutes"):
            town.accounts.corrections.correct(meals.id, "cesu_paper", reason="x")
    assert balance(two_titles, "care") == 0


def test_cash_that_was_taken_for_titles_is_remitted_without_their_numbers(work, portal):
    take(work, counter(work), amount="10", means="other:Bons CAF", titles="CESU0001")
    with portal.town() as town:
        books = town.accounts
        books.corrections.correct(town.session.scalar(text("SELECT id FROM payment")), "cash", reason="x")
        made = books.remittances.make("CANTINE", means=[Means.CASH])
        (one,) = books.remittances.payments_of(made.id)
        assert (one.means, one.amount, one.reference) == ("cash", 1000, "")


def test_what_was_given_back_is_no_title(work, portal):
    take(work, counter(work), amount="100", means="cheque", keep=True)
    with portal.town() as town:
        payment, credit = town.session.execute(text("SELECT payment_id, id FROM credit")).one()
        town.credits.refund(credit, 100, means=Means.CASH, note="x", key="a")
        use = town.session.scalar(text("SELECT id FROM credit_use"))
        correct = town.accounts.corrections.correct
        with pytest.raises(UserError, match="a été rendue"):
            correct(payment, "other:Bons CAF", reason="x")
        town.credits.undo(use, reason="x")
        correct(payment, "other:Bons CAF", reason="x")
