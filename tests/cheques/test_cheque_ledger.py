"""Over PostgreSQL and the real ledger: money moves once, comes back, and stays in its town."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter

import pytest
from cheque_fakes import HEADER, SETTINGS, line
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.invoices.models import Invoice
from core.payments.models import Allocation, Credit, CreditUse, Payment
from core.plugin import Means, UserError
from core.testing.portal import make_portal, record
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.models import Cheque, ChequeEvent
from plugins.cheque_import.records import Hasher
from plugins.cheque_import.slips import Slips


@pytest.fixture
def portal(database, redis, tmp_path):
    made = make_portal(database, tmp_path)
    yield made
    made.runtime.close()


def load(town, *lines, name="remise.csv"):
    hasher = Hasher("k" * 32, town.town.slug)
    content = "\n".join((HEADER, *lines)).encode()
    done = Intake(town, hasher).import_file(name, content, regie="CANTINE", actor="agent:1")
    assert done.problems == ()
    Matching(town, SETTINGS).rematch("CANTINE")
    return Desk(town, SETTINGS, actor="agent:1")


GOOD = line(issuer="MME DURAND CAMILLE", ref="2026-0001")


def test_a_cheque_pays_bounces_and_pays_again(portal):
    portal.publish(record())
    with portal.town() as town:
        assert load(town, GOOD).accept_certain("CANTINE") == 1
    with portal.town() as town:
        (cheque,) = town.session.scalars(select(Cheque)).all()
        payment = town.payments.get(cheque.payment_id)
        assert (payment.means, payment.amount, payment.payer) == (
            Means.CHEQUE, 5687, "MME DURAND CAMILLE",
        )  # fmt: skip
        assert town.invoices.unpaid(cheque.family_id) == []
        (paid,) = town.paid_invoices.of(cheque.family_id)
        assert paid.payer == "MME DURAND CAMILLE"
        slip = Slips(town, SETTINGS, actor="agent:1").make("CANTINE", control_total=5687)
        assert slip.number == 1
    with portal.town() as town:
        desk = Desk(town, SETTINGS, actor="agent:1")
        desk.bounce(cheque.id, "sans provision")
        (due,) = town.invoices.unpaid(cheque.family_id)
        assert due.balance == 5687
        desk.represent(cheque.id, "accord")
        Matching(town, SETTINGS).rematch("CANTINE")
        desk.accept(cheque.id)
        assert town.invoices.unpaid(cheque.family_id) == []
        actions = town.session.scalars(select(ChequeEvent.action).order_by(ChequeEvent.id)).all()
        assert actions == ["received", "accepted", "deposited", "bounced", "represented", "accepted"]


def test_one_town_s_cheques_are_not_another_s(portal):
    portal.publish(record())
    with portal.town() as town:
        load(town, GOOD)
    with portal.town("brumes") as town:
        assert town.session.scalars(select(Cheque)).all() == []
        with pytest.raises(UserError):
            Desk(town, SETTINGS, actor="agent:2").accept(1)


def at_once(portal, *works):
    """Run each work in a transaction of its own, all begun together; what was refused, in words."""
    refused, start = [], threading.Barrier(len(works))

    def run(work):
        with contextlib.suppress(UserError), portal.town() as town:
            start.wait()
            try:
                work(town)
            except UserError as error:
                refused.append(error.message)
                raise

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return refused


def test_two_agents_accept_one_cheque_at_once(portal):
    portal.publish(record())
    with portal.town() as town:
        load(town, GOOD)
        (cheque,) = town.session.scalars(select(Cheque)).all()

    def accept(town):
        Desk(town, SETTINGS, actor="agent").accept(cheque.id)

    assert len(at_once(portal, accept, accept)) == 1
    with portal.town() as town:
        assert len(town.payments.history(cheque.family_id or 1)) == 1


def test_two_agents_close_the_slip_at_once(portal):
    """One slip holds the cheques; the other is refused and takes no number."""
    portal.publish(record())
    with portal.town() as town:
        load(town, GOOD).accept_certain("CANTINE")

    def close(town):
        Slips(town, SETTINGS, actor="agent").make("CANTINE")

    assert len(at_once(portal, close, close)) == 1
    with portal.town() as town:
        (slip,) = Slips(town, SETTINGS, actor="agent").all()
        assert (slip.number, slip.count) == (1, 1)
        with pytest.raises(UserError):
            close(town)
    with portal.town() as town:
        load(town, line(2, "0000002", "9" * 24, "1,00", slip="R2"), name="b.csv")
        (other,) = town.session.scalars(select(Cheque).where(Cheque.number == "0000002"))
        desk = Desk(town, SETTINGS, actor="agent")
        desk.classify(other.id, "payeur inconnu")
        assert Slips(town, SETTINGS, actor="agent").make("CANTINE").number == 2


# --- Whatever is done, in any order -----------------------------------------------------------

PILE = (
    line(1, "0000001", "1" * 24, issuer="MME DURAND CAMILLE", ref="2026-0001"),
    line(2, "0000002", "1" * 24, "10,00", issuer="DURAND", ref="2026-0002"),
    line(3, "0000003", "2" * 24, "60,00", issuer="MARTIN LEA", ref="2026-0003"),
    line(4, "0000004", "3" * 24, "56,87", ref="2026-0001"),
    line(5, "0000005", "4" * 24, "20,00", ref="2026-0003"),
)
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["certain", "accept", "accept", "undo", "classify", "return", "deposit",
                         "bounce", "represent", "counter", "load"]),
        st.integers(0, len(PILE) - 1),
    ),
    min_size=5, max_size=20,
)  # fmt: skip


class _UndoneError(Exception):
    """Takes an example back, so that the next one starts from the same town."""


def act(town, action, which):
    cheque = town.session.scalars(select(Cheque).order_by(Cheque.rank)).all()[which]
    desk = Desk(town, SETTINGS, actor="agent:1")
    match action:
        case "certain":
            desk.accept_certain("CANTINE")
        case "accept":
            desk.accept(cheque.id, keep_excess=True)
        case "undo":
            desk.undo(cheque.id, "x")
        case "classify":
            desk.classify(cheque.id, "x")
        case "return":
            desk.give_back(cheque.id, "x")
        case "deposit":
            Slips(town, SETTINGS, actor="agent:1").make("CANTINE")
        case "bounce":
            desk.bounce(cheque.id, "autre")
        case "represent":
            desk.represent(cheque.id, "x")
        case "load":
            load(town, *PILE[which:], name=f"{which}.csv")
        case "counter":
            (invoice,) = town.invoices.by_number("2026-0002")
            town.payments.record(
                regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=300,
                paid_at=town.clock.now(), payer="x", shares=[(invoice.id, 300)],
                key=f"counter-{which}",
            )  # fmt: skip


def check(town):
    """`check_cents`, and the payments in force by cheque are the cheques that are posted or banked."""
    check_cents(town)
    # Posted, or in the bank's hands: money that is there, whoever's it is.
    accepted = town.session.scalars(
        select(Cheque).where(
            (Cheque.state == "accepted")
            | Cheque.deposit_id.is_not(None) & (Cheque.state != "bounced")
        )
    ).all()
    cheques = town.session.scalars(
        select(Payment).where(Payment.state == "settled", Payment.means == Means.CHEQUE)
    ).all()
    assert sorted((c.payment_id, c.amount) for c in accepted) == sorted(
        (p.id, p.amount) for p in cheques
    )


def check_cents(town):
    """Every cent of a payment in force is on an invoice or a credit, and none is on it twice."""
    given = dict.fromkeys(town.session.scalars(select(Invoice.id)), 0)
    by_payment = dict.fromkeys(
        town.session.scalars(select(Payment.id).where(Payment.state == "settled")), 0
    )
    for row in town.session.scalars(select(Allocation).where(Allocation.reversed_at.is_(None))):
        given[row.invoice_id] += row.amount
        # What a credit pays is counted with the credit.
        by_payment[row.payment_id] += 0 if row.credit_use_id else row.amount
    used = Counter()
    for row in town.session.scalars(select(CreditUse).where(CreditUse.reversed_at.is_(None))):
        used[row.credit_id] += row.amount
    for row in town.session.scalars(select(Credit).where(Credit.reversed_at.is_(None))):
        by_payment[row.payment_id] += row.amount
        assert used.pop(row.id, 0) <= row.amount
    assert not used, "of a credit that is no more"
    for payment, cents in by_payment.items():
        assert town.session.get_one(Payment, (town.town.slug, payment)).amount == cents
    for invoice, cents in given.items():
        assert cents <= town.session.get_one(Invoice, (town.town.slug, invoice)).amount


def test_cents_are_conserved_in_the_real_ledger_whatever_is_done(portal):
    portal.publish(
        record("2026-0001"), record("2026-0002", amount=1000),
        record("2026-0003", family="F002", amount=8000, debtor="MARTIN Léa"),
    )  # fmt: skip

    @given(ACTS)
    @example([("classify", 3), ("deposit", 0), ("accept", 3)])  # Whose it is is found at the bank.
    @settings(max_examples=8, deadline=None)
    def whatever(acts):
        with contextlib.suppress(_UndoneError), portal.town() as town:
            load(town, *PILE)
            for action, which in acts:
                with contextlib.suppress(UserError):
                    act(town, action, which)
                town.session.flush()
                check(town)
            raise _UndoneError

    whatever()
