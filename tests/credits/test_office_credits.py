"""What was paid too much: used for invoices, given back, undone; and books that agree all along."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from core.api.errors import UserError
from core.api.invoices import InvoiceKind, LineRecord, TaxKind
from core.api.payments import Means
from core.books.entries import Chosen
from core.books.period import Period, next_month
from core.books.statements import labels
from core.domain.roles import Role
from core.platform.clock import today
from core.platform.tabular.writing import Cents
from core.testing.portal import Records, make_portal, record


def overpay(portal, number="9", amount=10_000, key="k"):
    """Pay too much; the credit's id."""
    with portal.town() as town:
        invoice = town.invoices.by_number(number)[0]
        paid = town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CHEQUE, amount=amount,
            paid_at=town.clock.now(), payer="x", shares=[(invoice.id, invoice.balance)], key=key,
        ).payment_id  # fmt: skip
        (credit,) = town.credits.of_payment(paid)
        return credit.id


def balance(portal, number):
    with portal.town() as town:
        return town.invoices.by_number(number)[0].balance


def left(portal, credit):
    with portal.town() as town:
        return town.credits.get(credit)[1]


@pytest.fixture
def credit(work, portal):
    """F002 paid 100 € for 56,87 €, and owes another invoice of 10 €."""
    portal.publish(record("10", family="F002", amount=1000))
    return overpay(portal)


def test_a_credit_pays_an_invoice_and_is_found_from_it(work, portal, credit):
    page = work.get("/regie/factures").click("^10$").click("Payer avec l’avoir de")
    page = work.press(page, "pay")
    assert "L’avoir a payé la facture" in page
    assert balance(portal, "10") == 0
    assert left(portal, credit) == 3313
    # Pressed again, it is the same use.
    with portal.town() as town:
        receipt = town.payments.receipt(town.credits.get(credit)[0].payment_id)
    assert receipt.content.startswith(b"%PDF")
    page = work.press(page, "undo", reason="Erreur")
    assert "de nouveau en avoir" in page
    assert balance(portal, "10") == 1000
    assert left(portal, credit) == 4313


def test_a_double_click_uses_it_once(work, portal, credit):
    page = work.get(f"/regie/avoirs/{credit}")
    work.press(page, "pay", amount="5,00")
    work.press(page, "pay", amount="5,00")
    assert left(portal, credit) == 3813


def test_a_refund_is_an_entry_of_the_journal(work, portal, credit):
    page = work.get("/regie/avoirs").click(href=rf"avoirs/{credit}$")
    assert "Saisissez le motif" in work.press(page, "refund")
    page = work.press(page, "refund", reason="Virement du 10 mars")
    assert "Le remboursement est enregistré" in page
    assert left(portal, credit) == 0
    with portal.town() as town:
        entries = town.accounts.entries.read(Period("CANTINE", date(2026, 3, 1)))
    assert [(entry.kind, entry.amount, entry.means) for entry in entries] == [
        ("settled", 10_000, "cheque"), ("refunded", -4313, "transfer"),
    ]  # fmt: skip
    assert "Aucun avoir pour ce choix" in work.get("/regie/avoirs")


@pytest.mark.parametrize("amount", ["", "0", "-1", "43,14", "beaucoup"])
def test_more_than_is_left_is_refused(work, portal, credit, amount):
    for action, fields in (("pay", {}), ("refund", {"reason": "x"})):
        page = work.press(work.get(f"/regie/avoirs/{credit}"), action, amount=amount, **fields)
        assert page.status_int == 422
    assert left(portal, credit) == 4313


def test_only_the_regisseur_gives_money_back(work, portal, credit, make_office):
    agent = make_office().enter(Role.AGENT)
    assert "Rembourser la famille" not in agent.get(f"/regie/avoirs/{credit}")
    token = agent.form(agent.get(), "csrf_token")["csrf_token"].value
    form = {"action": "refund", "amount": "1", "means": "cash", "reason": "x", "csrf_token": token}
    answer = agent.app.post(f"/valmont/regie/avoirs/{credit}", form, expect_errors=True)
    assert answer.status_int == 422
    reader = make_office().enter(Role.READER)
    assert "Payer avec l’avoir" not in reader.get(f"/regie/avoirs/{credit}")


def test_a_bounce_takes_all_of_it_back(work, portal, credit):
    work.press(work.get(f"/regie/avoirs/{credit}"), "pay")
    work.press(work.get(f"/regie/avoirs/{credit}"), "refund", amount="1,00", reason="x")
    with portal.town() as town:
        town.payments.reverse(town.credits.get(credit)[0].payment_id, reason="Sans provision")
    assert (balance(portal, "9"), balance(portal, "10")) == (5687, 1000)
    assert left(portal, credit) == -100
    assert "à récupérer auprès de la famille" in work.get(f"/regie/avoirs/{credit}")


def test_agents_who_spend_one_credit_at_once_wait_for_one_another(portal, credit):
    def spend(key):
        try:
            with portal.town() as town:
                town.credits.refund(credit, 3000, means=Means.CASH, note="x", key=key)
        except UserError:
            return 0
        return 3000

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(spend, "abcd")) == 3000
    assert left(portal, credit) == 1313


# --- Whatever happens, the books agree -----------------------------------------------------------

LINES = (
    LineRecord(1, "Repas", TaxKind.MEAL, 1001), LineRecord(2, "Garderie", TaxKind.CARE, 333),
    LineRecord(3, "Remise", TaxKind.OTHER, -100),
)  # fmt: skip
NOTE_LINES = (
    lambda cents: (LineRecord(1, "Repas", TaxKind.MEAL, -cents),),
    lambda _cents: (),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("pay", "pay", "reverse", "use", "refund", "undo", "note", "give back", "give back", "time")),
        st.integers(0, 7),
        st.integers(1, 2500),
    ),
    min_size=2,
    max_size=14,
)


@pytest.fixture(scope="module")
def town_of_books(module_database, tmp_path_factory):
    made = make_portal(module_database, tmp_path_factory.mktemp("books"))
    made.runtime.redis.flushall()
    yield made
    made.runtime.close()


@settings(
    max_examples=15, deadline=None,
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(steps=STEPS)
# What an invoice gave back, used or refunded before its payment bounces: rare among random steps.
@example(steps=[("pay", 0, 1234), ("give back", 0, 500), ("time", 0, 1), ("reverse", 0, 1)])
@example(
    steps=[
        ("pay", 0, 2000), ("give back", 0, 500), ("use", 1, 300), ("refund", 0, 100), ("time", 0, 1),
        ("give back", 0, 200), ("time", 0, 1), ("undo", 0, 1), ("reverse", 0, 1),
    ]
)
def test_statements_agree_to_the_cent_whatever_happens(town_of_books, steps):
    portal = town_of_books
    first = next_month(today(portal.clock.now()).replace(day=1))
    portal.clock.pass_time(days=(first - today(portal.clock.now())).days)
    numbers = [f"{first:%Y%m}-{n}" for n in range(3)]
    portal.publish(*(record(n, amount=1234, lines=LINES, issued_on=first, due_on=first) for n in numbers))
    payments, uses = [], []
    for step, which, cents in steps:
        portal.clock.pass_time(minutes=1)
        with portal.town() as town:
            play(town, step, which, cents, numbers, payments, uses, portal.file())
        if step == "time":
            portal.clock.pass_time(days=9)
    month = first
    while month <= today(portal.clock.now()):
        agree(portal, Period("CANTINE", month))
        month = next_month(month)


def play(town, step, which, cents, numbers, payments, uses, upload):
    """One step of an agent's; what is refused leaves nothing."""
    if step == "pay":
        invoice = town.invoices.by_number(numbers[which % 3])[0]
        paid = town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=(Means.CASH, Means.CARD, Means.CHEQUE)[which % 3],
            amount=cents, paid_at=town.clock.now(), payer="x", key=f"{numbers[0]}/{len(payments)}",
            shares=[(invoice.id, min(cents, invoice.balance))] if invoice.balance else [],
        )  # fmt: skip
        payments.append(paid.payment_id)
    elif step in {"note", "give back"}:
        note = record(
            f"{numbers[which % 3]}/{cents}", amount=-cents, kind=InvoiceKind.CREDIT_NOTE,
            origin_number=numbers[which % 3], lines=NOTE_LINES[which % 2](cents),
        )  # fmt: skip
        batch = town.imports.run(Records(note), upload).batch_id
        if batch:
            town.imports.publish(batch)
        if step == "give back":
            with suppress(UserError):
                town.credits.free(town.invoices.by_number(numbers[which % 3])[0].id)
    elif step == "reverse" and payments:
        town.payments.reverse(payments[which % len(payments)], reason="x")
    elif step in {"use", "refund"}:
        waiting = [row for row in town.credits.waiting() if row.left > 0]
        if not waiting:
            return
        row = waiting[which % len(waiting)]
        amount, key = min(cents, row.left), f"{numbers[0]}/use/{len(uses)}"
        uses.append(row.Credit.id)
        if step == "refund":
            town.credits.refund(row.Credit.id, amount, means=Means.TRANSFER, note="x", key=key)
            return
        invoice = town.invoices.by_number(numbers[which % 3])[0]
        if invoice.balance and row.Credit.family_id == invoice.family_id:
            town.credits.pay(row.Credit.id, invoice.id, min(amount, invoice.balance), key=key)
    elif step == "undo" and uses:
        for use, _invoice in town.credits.uses(uses[which % len(uses)]):
            if use.reversed_at is None:
                with suppress(UserError):  # Its invoice gave some of it back.
                    town.credits.undo(use.id, reason="x")
                break


def agree(portal, period):
    """All that the books say of a period says the same, and each figure is the sum of its rows."""
    with portal.town() as town:
        books = town.accounts
        made = {name: books.statements.make(name, period) for name in labels()}
        entries = books.entries.read(period)
        net = sum(entry.amount for entry in entries)
        assert made["journal"].foot[11] == net
        for name in ("moyens", "imputation"):
            assert made[name].foot[-1] == net, name
        assert made["arrete"].foot[2] + made["arrete"].foot[3] == net
        assert made["annulations"].foot[-1] == sum(entry.went for entry in entries)
        for table in made.values():
            for column, total in enumerate(table.foot):
                if isinstance(total, Cents):
                    assert sum(row[column] or 0 for row in table.rows) == total
        for row, (_kind, key) in zip(made["moyens"].rows, made["moyens"].opens, strict=True):
            found = books.entries.read(period, Chosen(means=key.removeprefix("moyen=")))
            assert (len(found), sum(e.came for e in found), sum(e.went for e in found)) == row[1:4]
        for row in made["imputation"].rows:
            parts = books.statements.parts(period, row[2], int(row[0]))
            assert parts.foot[-1] == sum(part[-1] for part in parts.rows) == row[-1]
        assert books.entries.chain_holds(period)
        wrong = town.session.execute(
            text(
                "SELECT i.id FROM invoice i WHERE i.paid > greatest(i.amount, 0) OR i.paid < 0 OR i.paid <>"
                " (SELECT coalesce(sum(a.amount), 0)"
                " FROM allocation a WHERE a.invoice_id = i.id AND a.reversed_at IS NULL)"
                " - (SELECT coalesce(sum(c.amount), 0)"
                " FROM credit c WHERE c.invoice_id = i.id AND c.reversed_at IS NULL)"
            )
        ).all()
        assert wrong == []
        # What the activities call unsorted since the beginning is what the credits have left.
        ever = sum(
            part.amount
            for month in months(town)
            for part in books.statements.activities.parts(Period("CANTINE", month))
            if part.activity == "Recettes à classer"
        )
        assert ever == sum(row.left for row in town.credits.waiting(limit=None))


def months(town):
    """Every month that has an entry, a use, or something that an invoice gave back."""
    rows = town.session.execute(
        text("SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'Europe/Paris')::date FROM"
             " (SELECT at FROM journal_entry UNION ALL SELECT created_at FROM credit_use"
             "  UNION ALL SELECT created_at FROM credit"
             "  UNION ALL SELECT reversed_at FROM credit_use WHERE reversed_at IS NOT NULL) x")
    )  # fmt: skip
    return [row[0] for row in rows]
