"""A wrong means of payment put right: two entries of the journal, and every book follows."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from counter_pages import balance, counter, take
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from office_waiting import until_somebody_waits
from sqlalchemy import text

from core.api.errors import UserError
from core.api.payments import Means
from core.books.period import Period
from core.domain.roles import Role
from core.payments.counter import Given
from core.testing.portal import cheap_hashes, make_portal, pages_of, record
from core.testing.waiting import PATIENCE_SECONDS

MARCH = Period("CANTINE", date(2026, 3, 1))
MEANS = "".join(
    f'\n[[regies.CANTINE.means]]\nkind = "{kind}"\n'
    for kind in ("cash", "cheque", "terminal", "holiday_voucher")
) + '[[regies.CANTINE.means]]\nkind = "cesu_paper"\nactivities = ["Garderie"]\n'  # fmt: skip


@pytest.fixture
def portal(database, redis, tmp_path):
    redis.flushall()
    made = make_portal(database, tmp_path, toml=MEANS)
    with cheap_hashes():
        yield made
    made.runtime.redis.close()


@pytest.fixture
def application(portal):
    return pages_of(portal.runtime)


def journal(portal):
    with portal.town() as town:
        return [
            tuple(row)
            for row in town.session.execute(
                text("SELECT kind, means, amount FROM journal_entry ORDER BY number")
            )
        ]


def by_means(portal):
    with portal.town() as town:
        found = town.accounts.entries.by_means(MARCH)
        assert town.accounts.entries.chain_holds(MARCH)
        return {means: (sums.came, sums.went) for means, sums in found.items()}


def correct(work, page, means, reason="mal saisi"):
    """Look at what would change, then confirm; the page of a refusal, if it is one."""
    shown = work.press(page, "look", means=means, reason=reason)
    return shown if shown.status_int == 422 else work.press(shown, "correct")


def test_a_wrong_means_is_put_right_without_cancelling(work, portal):
    page = take(work, counter(work), amount="100", means="cash")
    page = correct(work, page, "cheque")
    assert "Le moyen est corrigé" in page
    assert "Chèque bancaire" in page
    assert "rendus" not in page  # The change was of the cash that there was not.
    assert "Moyen de paiement corrigé" in page
    assert journal(portal) == [
        ("settled", "cash", 6687), ("corrected", "cash", -6687), ("corrected", "cheque", 6687),
    ]  # fmt: skip
    assert by_means(portal) == {"cash": (0, 0), "cheque": (6687, 0)}
    assert balance(portal, "1") == balance(portal, "2") == 0
    with portal.town() as town:
        hand = {one.means: (one.count, one.amount) for one in town.accounts.remittances.in_hand("CANTINE")}
        assert hand == {"cash": (0, 0), "cheque": (1, 6687)}
        cheques = town.accounts.statements.make("cheques", MARCH)
        assert "1" in str(cheques.foot[5])
        (parts,) = {sum(part.amount for part in town.accounts.activities.parts(MARCH))}
        assert parts == 6687
        assert town.session.scalar(text("SELECT receipt_number FROM payment")) == "CANTINE-2026-000001"


def test_what_a_correction_changes_is_shown_and_nothing_done_before_it_is_confirmed(work, portal):
    page = take(work, counter(work), amount="100", means="cash")
    shown = work.press(page, "look", means="cheque", reason="mal saisi")
    rows = [[cell.get_text(strip=True) for cell in row.find_all(["th", "td"])] for row in shown.html.select("#preview tbody tr")]
    assert [(row[0], row[1].split("\u00a0")[0], row[2].split("\u00a0")[0]) for row in rows] == [
        ("Espèces", "66,87", "0,00"), ("Chèque bancaire", "0,00", "66,87"),
    ]  # fmt: skip
    assert len(journal(portal)) == 1
    with portal.town() as town:
        assert town.session.scalar(text("SELECT means FROM payment")) == "cash"
        assert town.session.scalar(text("SELECT count(*) FROM audit_entry WHERE action = 'payment.means_corrected'")) == 0
    assert work.press(page, "look", means="cesu_paper", reason="x").status_int == 422
    assert "Le moyen est corrigé" in work.press(shown, "correct")
    with portal.town() as town:
        details = town.session.scalar(text("SELECT details FROM audit_entry WHERE action = 'payment.means_corrected'"))
        assert details == {"means": "cheque", "before": "cash", "reason": "mal saisi"}


def test_a_reason_and_a_regisseur_are_asked_for(work, make_office, portal):
    page = take(work, counter(work))
    assert correct(work, page, "cheque", reason="").status_int == 422
    other = make_office().enter(Role.AGENT)
    answer = other.get(page.request.path.removeprefix("/valmont"))
    assert "Corriger le moyen" not in answer
    assert len(journal(portal)) == 1


def test_what_a_family_paid_online_is_not_corrected(work, portal):
    with portal.town() as town:
        family = town.families.by_code("F001")
        invoices = town.invoices.unpaid(family.id)
        payment = town.attempts.create(
            family.id, [invoices[0].id], email="a@b.fr", language="fr", key="k"
        )
        town.attempts.start(payment)
    with portal.town() as town:
        portal.bank.pay(portal.bank.last, portal.clock)
        assert town.attempts.poll(payment) == "settled"
    assert "Corriger le moyen" not in work.get(f"/regie/paiements/{payment}")
    with portal.town() as town, pytest.raises(UserError, match="ne se corrige pas ainsi"):
        town.accounts.corrections.correct(payment, "cash", reason="x")


def test_what_was_handed_over_or_closed_stays(work, portal):
    page = take(work, counter(work))
    with portal.town() as town:
        made = town.accounts.remittances.make("CANTINE")
        name, number = made.name, made.id
    answer = correct(work, page, "cheque")
    assert answer.status_int == 422
    assert name in answer
    with portal.town() as town:
        town.accounts.remittances.cancel(number, reason="x")
    assert "est corrigé" in correct(work, page, "cheque")
    portal.clock.pass_time(days=30)
    with portal.town() as town:
        town.accounts.closings.close(MARCH)
        payment = town.session.scalar(text("SELECT id FROM payment"))
        with pytest.raises(UserError, match="est arrêté"):
            town.accounts.corrections.correct(payment, "terminal", reason="x")


def test_a_title_for_what_it_may_not_pay_is_refused(work, portal):
    page = take(work, counter(work))
    answer = correct(work, page, "cesu_paper")
    assert answer.status_int == 422
    assert "ne paient pas les prestations" in answer
    assert "est corrigé" in correct(work, page, "holiday_voucher")


def test_numbers_of_titles_are_free_again(work, portal):
    page = take(work, counter(work), means="holiday_voucher", titles="ANCV0001")
    correct(work, page, "cheque")
    page = take(work, counter(work, "F002"), means="holiday_voucher", titles="ANCV0001")
    assert "est enregistré" in page


def paid_titles(portal):
    with portal.town() as town:
        return town.session.execute(text("SELECT number, count(*) FROM payment_title WHERE live GROUP BY number")).all()


def test_a_title_that_many_agents_take_at_once_is_taken_once(work, portal):
    """The receipts of those that were refused leave no hole."""
    portal.publish(*(record(f"T{n}", family=f"T{n}", amount=1000) for n in range(6)))
    barrier = threading.Barrier(6)

    def visit(n):
        with portal.town() as town:
            invoice = town.invoices.by_number(f"T{n}")[0]
            barrier.wait(PATIENCE_SECONDS)
            given = [Given("holiday_voucher", 1000, titles=("ANCV1", f"ANCV-{n}"))]
            town.desk.take(
                regie="CANTINE", family_id=invoice.family_id, invoice_ids=[invoice.id], given=given,
                paid_at=town.clock.now(), payer="x", key=f"visit-{n}",
            )  # fmt: skip
        return n

    refused = []

    def one(n):
        try:
            return visit(n)
        except UserError as error:
            refused.append("ANCV1 est déjà enregistré" in error.message)
            return None

    with ThreadPoolExecutor(6) as pool:
        done = [n for n in pool.map(one, range(6), timeout=2 * PATIENCE_SECONDS) if n is not None]
    assert len(done) == 1
    assert refused == [True] * 5
    assert sorted(tuple(row) for row in paid_titles(portal)) == sorted([("ANCV1", 1), (f"ANCV-{done[0]}", 1)])
    with portal.town() as town:
        assert town.session.scalars(text("SELECT receipt_number FROM payment")).all() == ["CANTINE-2026-000001"]


def test_two_visits_with_the_same_titles_do_not_wait_for_one_another_for_ever(work, portal):
    take(work, counter(work))
    with portal.town() as town:
        payment = town.session.scalar(text("SELECT id FROM payment"))

    def other():
        with portal.town() as town:
            town.titles.note([(payment, "B"), (payment, "A")])

    with ThreadPoolExecutor(1) as pool:
        with portal.town() as town:
            town.titles.note([(payment, "A")])
            waiting = pool.submit(other)
            until_somebody_waits(town)
            town.titles.note([(payment, "B")])
        with pytest.raises(UserError, match="A est déjà enregistré"):
            waiting.result(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("meanwhile", ["correct", "remit", "reverse", "close"])
def test_a_correction_at_the_same_moment_as_another_act_is_done_before_it_or_not_at_all(work, portal, meanwhile):
    """Each waits for the other where they touch the same money; no book is left between the two."""
    take(work, counter(work), means="cash")
    portal.clock.pass_time(days=30)
    with portal.town() as town:
        payment = town.session.scalar(text("SELECT id FROM payment"))
    barrier = threading.Barrier(2)

    def act(name):
        with portal.town() as town:
            books = town.accounts
            barrier.wait(PATIENCE_SECONDS)
            if name == "correct":
                books.corrections.correct(payment, "terminal", reason="x")
            elif name == "remit":
                books.remittances.make("CANTINE")
            elif name == "reverse":
                town.payments.reverse(payment, reason="x")
            elif name == "close":
                books.closings.close(MARCH)
            else:
                books.corrections.correct(payment, "cheque", reason="x")

    def one(name):
        try:
            act(name)
        except UserError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(one, ("this", meanwhile), timeout=2 * PATIENCE_SECONDS))
    assert any(done)
    with portal.town() as town:
        books = town.accounts
        entries = books.entries.read(Period("CANTINE", MARCH.month, whole_year=True), remittances=True)
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert books.entries.chain_holds(Period("CANTINE", MARCH.month, whole_year=True))
        net = {}
        for entry in entries:
            net[entry.means] = net.get(entry.means, 0) + entry.money
        state, means = town.session.execute(text("SELECT state, means FROM payment")).one()
        assert {name: cents for name, cents in net.items() if cents} == ({means: 6687} if state == "settled" else {})
        for made in books.remittances.page("CANTINE").rows:
            assert books.remittances.agrees(made)
            assert {line.means for line in books.remittances.lines(made.id) if line.amount} == {means}
        closing = books.closings.checked(MARCH)
        assert closing is None or closing.holds


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["pay", "correct", "reverse", "remit", "refund"]),
            st.integers(0, 5),
            st.sampled_from(["cash", "cheque", "terminal", "holiday_voucher"]),
        ),
        min_size=3,
        max_size=10,
    )
)
def test_the_books_agree_whatever_was_corrected(work, portal, acts):
    with portal.town() as town:
        made = []
        for turn, (act, index, means) in enumerate(acts):
            with contextlib.suppress(UserError), town.session.begin_nested():
                _do(town, made, act, index, means, str(turn))
        _agree(town, town.accounts)
        town.session.rollback()  # The next example begins in the same town.


def _do(town, made, act, index, means, key):
    books = town.accounts
    one = made[index % len(made)] if made else 0
    if act == "pay":
        made.append(
            town.payments.record(
                regie="CANTINE", family_id=town.families.by_code("F001").id, means=means,
                amount=1000 + index, paid_at=town.clock.now(), payer="C",
                shares=[(town.invoices.by_number("1")[0].id, 300)], key=key,
            ).payment_id
        )  # fmt: skip
    elif act == "remit":
        books.remittances.make("CANTINE", means=[means])
    elif act == "correct" and one:
        books.corrections.correct(one, means, reason="x")
    elif act == "reverse" and one:
        town.payments.reverse(one, reason="x")
    elif one:
        (credit, *_more) = town.credits.of_payment(one)
        town.credits.refund(credit.id, 50, means=Means.CASH, note="x", key=key)


def _agree(town, books):
    """Journal, payments, statements, remittances and activities, each added up by itself."""
    money = dict(
        tuple(row)
        for row in town.session.execute(
            text("SELECT means, sum(amount)::bigint FROM journal_entry"
                 " WHERE payment_id IS NOT NULL GROUP BY means")
        )
    )  # fmt: skip
    settled = town.session.execute(
        text("SELECT means, sum(amount)::bigint FROM payment WHERE state = 'settled' GROUP BY means")
    )
    expected = {row[0]: row[1] for row in settled}
    refunded = town.session.execute(
        text("SELECT means, sum(amount)::bigint FROM credit_use"
             " WHERE invoice_id IS NULL AND reversed_at IS NULL GROUP BY means")
    )  # fmt: skip
    for means, cents in refunded:
        expected[means] = expected.get(means, 0) - cents
    assert {m: c for m, c in money.items() if c} == {m: c for m, c in expected.items() if c}
    sums = books.entries.by_means(MARCH)
    assert {m: s.net for m, s in sums.items() if s.net} == {m: c for m, c in money.items() if c}
    assert books.entries.chain_holds(MARCH)
    assert sum(part.amount for part in books.activities.parts(MARCH)) == sum(money.values())
    hand = {one.means: one.amount for one in books.remittances.in_hand("CANTINE")}
    remitted = {}
    for one in books.remittances.page("CANTINE").rows:
        assert books.remittances.agrees(one)
        assert sum(part.amount for part in books.activities.parts_of(one.id)) == one.total
        for line in books.remittances.lines(one.id):
            remitted[line.means] = remitted.get(line.means, 0) + line.amount
    for means in {*money, *hand, *remitted}:
        assert money.get(means, 0) == hand.get(means, 0) + remitted.get(means, 0), means
