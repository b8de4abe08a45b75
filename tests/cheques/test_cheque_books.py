"""Banked money stands in every book from that day: slip, journal, payment slip and closing agree."""

from __future__ import annotations

import contextlib

import pytest
from cheque_fakes import HEADER, SETTINGS, line
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.books.entries import Chosen
from core.journal.models import JournalEntry
from core.payments.models import Payment
from core.platform.clock import today
from core.platform.outbox.models import OutboxRow
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
    made.publish(
        record("2026-0001"), record("2026-0002", amount=1000),
        record("2026-0003", family="F002", amount=8000, debtor="MARTIN Léa"),
    )  # fmt: skip
    yield made
    made.runtime.close()


PILE = (
    line(1, "0000001", "1" * 24, issuer="MME DURAND CAMILLE", ref="2026-0001"),
    line(2, "0000002", "1" * 24, "10,00", issuer="DURAND", ref="2026-0002"),
    line(3, "0000003", "2" * 24, "60,00", issuer="MARTIN LEA", ref="2026-0003"),
    line(4, "0000004", "3" * 24, "77,77", issuer="M INCONNU"),
)


def load(town, *lines):
    content = "\n".join((HEADER, *lines)).encode()
    hasher = Hasher("k" * 32, town.town.slug)
    done = Intake(town, hasher).import_file("pile.csv", content, regie="CANTINE", actor="agent:1")
    assert done.problems == ()
    Matching(town, SETTINGS).rematch("CANTINE")


def desk(town):
    return Desk(town, SETTINGS, actor="agent:1")


def slips(town):
    return Slips(town, SETTINGS, actor="agent:1")


def cheques(town):
    return town.session.scalars(select(Cheque).order_by(Cheque.rank)).all()


def period(town, day=False):
    now = today(town.clock.now())
    return town.accounts.period("CANTINE", now.replace(day=1), now if day else None)


def months(town):
    """Every month of the year that has an entry, as the books' pages ask for them."""
    days = town.session.scalars(select(JournalEntry.at)).all()
    firsts = sorted({today(at).replace(day=1) for at in days})
    return [town.accounts.period("CANTINE", first) for first in firsts]


def events(town):
    """What families are to be told of payments."""
    found = town.session.scalars(select(OutboxRow.payload)).all()
    return [e for one in found if one.get("kind") == "payment_settled" for e in one["events"]]


def foot(town, name, when, column):
    return int(town.accounts.statements.make(name, when).foot[column])


def books_agree(town):
    """Cents of cheques, told by each book, and by the cheques themselves."""
    everywhere = {
        sum(e.amount for p in months(town) for e in town.accounts.entries.read(p, Chosen(means="cheque"))),
        sum(s.net for p in months(town) for m, s in town.accounts.entries.by_means(p).items() if m == "cheque"),
    }  # fmt: skip
    journal = sum(foot(town, "journal", p, 11) for p in months(town))
    assert journal == sum(foot(town, "moyens", p, 4) for p in months(town))
    assert journal == sum(foot(town, "imputation", p, 3) for p in months(town))
    last = months(town)[-1:]
    assert journal == sum(foot(town, "arrete", p, 4) for p in last)
    for one in months(town):
        assert town.accounts.entries.chain_holds(one)
    rows = cheques(town)
    banked = sum(c.amount for c in rows if c.deposit_id is not None and c.state != "bounced")
    in_hand = sum(c.amount for c in rows if c.deposit_id is None and c.state == "accepted")
    everywhere.add(banked + in_hand)
    assert len(everywhere) == 1, everywhere
    came_back = 0
    for event in town.session.scalars(select(ChequeEvent).order_by(ChequeEvent.id)):
        (cheque,) = [c for c in rows if c.id == event.cheque_id]
        came_back += cheque.amount * (event.action == "bounced")
        # A bounce noted by mistake never came back; one that is presented again did.
        came_back -= cheque.amount * (event.action == "undone" and event.detail.get("was") == "bounced")
    assert sum(slip.total for slip in slips(town).all()) - came_back == banked


def test_a_cheque_to_classify_is_in_every_book_from_the_day_it_is_banked(portal):
    with portal.town() as town:
        load(town, *PILE)
        desk(town).accept_certain("CANTINE")
        desk(town).classify(cheques(town)[3].id, "payeur inconnu")
        before = foot(town, "journal", period(town), 11)
        slip = slips(town).make("CANTINE")
        day = period(town, day=True)
        for name, column in (("journal", 11), ("moyens", 4), ("arrete", 4), ("imputation", 3)):
            assert foot(town, name, period(town), column) == slip.total, name
        assert foot(town, "moyens", day, 4) == slip.total == before + 7777
        books_agree(town)
        (row,) = town.accounts.statements.make("avoirs", period(town)).rows
        assert row[1:3] == ("", "M INCONNU")
        assert "identifier" in row[5]
        (payment,) = town.session.scalars(select(Payment).where(Payment.family_id.is_(None)))
        assert payment.payer == "M INCONNU"
        assert town.payments.get(payment.id) is None
        assert town.payments.receipt(payment.id) is None
        told = {event["payment_id"] for event in events(town)}
        assert told == set(town.session.scalars(select(Cheque.payment_id))) - {payment.id, None}


def test_what_is_classified_later_moves_no_money_and_gives_its_receipt(portal):
    with portal.town() as town:
        load(town, *PILE)
        cheque = cheques(town)[3]
        desk(town).classify(cheque.id, "payeur inconnu")
        slips(town).make("CANTINE")
        banked = period(town)
        then = town.accounts.statements.make("imputation", banked).rows
    portal.clock.pass_time(days=40)
    with portal.town() as town:
        cheque = cheques(town)[3]
        (invoice,) = town.invoices.by_number("2026-0003")
        desk(town).split(cheque.id, invoice.family_id, [(invoice.id, 7777)])
        assert town.invoices.get(invoice.id).balance == 8000 - 7777
        money = select(JournalEntry.amount).where(JournalEntry.payment_id.is_not(None))
        assert town.session.scalars(money).all() == [7777], "only the slip's remittance stands beside"
        assert town.accounts.statements.make("imputation", banked).rows == then
        now = dict(row[2:] for row in town.accounts.statements.make("imputation", period(town)).rows)
        assert now == {"Repas": 7777, "Recettes à classer": -7777}
        assert town.accounts.statements.make("avoirs", period(town)).rows == []
        books_agree(town)
        info = town.payments.get(cheque.payment_id)
        assert (info.family_id, info.invoice_ids) == (invoice.family_id, (invoice.id,))
        assert b"%PDF" in town.payments.receipt(cheque.payment_id).content
        sheet = town.receipts.sheet(town.payments.row(cheque.payment_id))
        assert [(s.number, s.amount) for s in sheet.shares] == [("2026-0003", 7777)]
        assert sheet.excess == 0
        (paid,) = town.paid_invoices.of(invoice.family_id)
        assert (paid.paid, paid.means) == (7777, "cheque")
        # Undone: it is still in the bank, so it is still in the books.
        desk(town).undo(cheque.id, "autre famille")
        assert town.invoices.get(invoice.id).balance == 8000
        books_agree(town)
        desk(town).bounce(cheque.id, "sans provision")
        assert foot(town, "arrete", period(town), 4) == 0
        books_agree(town)


def test_money_that_was_given_back_is_classified_no_more(portal):
    with portal.town() as town:
        load(town, *PILE)
        cheque = cheques(town)[3]
        desk(town).classify(cheque.id, "payeur inconnu")
        slips(town).make("CANTINE")
        (waiting,) = town.credits.waiting()
        town.credits.refund(
            waiting.Credit.id, 100, means=Means.TRANSFER, note="rendu", key="x"
        )
        (invoice,) = town.invoices.by_number("2026-0003")
        with pytest.raises(UserError, match="rendu"):
            desk(town).split(cheque.id, invoice.family_id, [(invoice.id, 7777)])


def test_what_was_banked_before_enters_the_books_with_the_next_slip(portal):
    """Slips of before held cheques to classify that stood in no book."""
    with portal.town() as town:
        load(town, *PILE)
        cheque = cheques(town)[3]
        desk(town).classify(cheque.id, "payeur inconnu")
        slip = slips(town).make("CANTINE")
        town.payments.reverse(cheque.payment_id, reason="as it was")
        cheque.payment_id, cheque.attempt = None, 1
        desk(town).accept_certain("CANTINE")
        other = slips(town).make("CANTINE")
        assert foot(town, "arrete", period(town), 4) == slip.total + other.total


class _UndoneError(Exception):
    """Takes an example back, so that the next one starts from the same town."""


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["certain", "accept", "split", "undo", "classify", "return", "deposit",
                         "deposit", "bounce", "represent", "core", "later"]),
        st.integers(0, len(PILE) - 1),
    ),
    min_size=6, max_size=25,
)  # fmt: skip


def act(portal, town, action, which):
    cheque = cheques(town)[which]
    match action:
        case "certain":
            desk(town).accept_certain("CANTINE")
        case "accept":
            desk(town).accept(cheque.id, keep_excess=True)
        case "split":
            (invoice,) = town.invoices.by_number("2026-0003")
            desk(town).split(cheque.id, invoice.family_id, [(invoice.id, 100)], keep_excess=True)
        case "undo":
            desk(town).undo(cheque.id, "x")
        case "classify":
            desk(town).classify(cheque.id, "x")
        case "return":
            desk(town).give_back(cheque.id, "x")
        case "deposit":
            slips(town).make("CANTINE")
        case "bounce":
            desk(town).bounce(cheque.id, "autre")
        case "represent":
            desk(town).represent(cheque.id, "x")
        case "core" if cheque.payment_id is not None and cheque.family_id is not None:
            payment = cheque.payment_id
            town.payments.reverse(payment, reason="x")
            desk(town).reversed_elsewhere(payment, "x")
        case "later":
            portal.clock.pass_time(days=which * 9)


@example([("accept", 0), ("deposit", 0), ("bounce", 0), ("represent", 0), ("accept", 0), ("deposit", 0)])
@example([("accept", 0), ("deposit", 0), ("bounce", 0), ("undo", 0), ("accept", 0), ("deposit", 0)])
@given(ACTS)
@settings(
    max_examples=settings().max_examples // 8, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_slip_journal_payment_slip_and_closing_agree_whatever_is_done(portal, acts):
    began = portal.clock.now()
    with contextlib.suppress(_UndoneError), portal.town() as town:
        load(town, *PILE)
        for action, which in acts:
            with contextlib.suppress(UserError):
                act(portal, town, action, which)
            town.session.flush()
            books_agree(town)
        raise _UndoneError
    portal.clock.pass_time(seconds=(began - portal.clock.now()).total_seconds())


@pytest.mark.parametrize("banked", [False, True])
def test_a_cheque_for_two_families_gives_each_the_receipt_of_its_own_share(portal, banked):
    pile = line(1, "0000009", "9" * 24, "76,87", issuer="MME DURAND CAMILLE")
    with portal.town() as town:
        load(town, pile)
        (cheque,) = cheques(town)
        if banked:
            desk(town).classify(cheque.id, "deux familles")
            slips(town).make("CANTINE")
        (one,), (two,) = (town.invoices.by_number(n) for n in ("2026-0001", "2026-0003"))
        desk(town).split(cheque.id, one.family_id, [(one.id, 5687), (two.id, 2000)])
        books_agree(town)
        remittances = town.accounts.remittances
        made = remittances.page("CANTINE").rows
        assert [remittances.agrees(each) for each in made] == [True] * banked
        for invoice, paid in ((one, 5687), (two, 2000)):
            (row,) = town.paid_invoices.of(invoice.family_id)
            assert (row.number, row.paid, row.payer) == (invoice.number, paid, "MME DURAND CAMILLE")
            payment = town.payments.of_family(row.payment_id, invoice.family_id)
            sheet = town.receipts.sheet(payment)
            assert (sheet.amount, sheet.excess) == (paid, 0)
            assert [share.number for share in sheet.shares] == [invoice.number]
            assert town.payments.receipt(row.payment_id).content.startswith(b"%PDF")
        told = {(e["family_id"], tuple(e["invoice_ids"]), e["amount"]) for e in events(town)}
        assert told == {(one.family_id, (one.id,), 5687), (two.family_id, (two.id,), 2000)}
        # It comes back for both, whichever of the two the office takes back.
        payment = town.paid_invoices.of(two.family_id)[0].payment_id
        town.payments.reverse(payment, reason="x")
        desk(town).reversed_elsewhere(payment, "x")
        assert town.invoices.get(one.id).balance == 5687
        assert town.invoices.get(two.id).balance == 8000
        books_agree(town)


def taken_at_counter(town, means=Means.CHEQUE):
    """A payment of the counter, and the cheque that the town's pile has of it."""
    family = town.families.by_code("F001")
    invoice = town.invoices.by_number("2026-0002")[0]
    payment = town.payments.record(
        regie="CANTINE", family_id=family.id, means=means, amount=1000,
        paid_at=town.clock.now(), payer="DURAND", shares=[(invoice.id, 1000)], key="counter",
        note="0000009 BANQUE",
    ).payment_id  # fmt: skip
    intake = Intake(town, Hasher("k" * 32, town.town.slug))
    intake.taken_at_counter(payment)
    return payment, intake


def corrected(town, intake, payment, means):
    """What core does: the plugin is asked, then the journal moves."""
    refusal = intake.means_corrected(payment, means, actor="core")
    if refusal is None:
        assert town.ledger.correct_means(payment, town.payments.row(payment).means, means)
    return refusal


def test_a_cheque_that_was_none_leaves_the_pile_and_comes_back(portal):
    with portal.town() as town:
        payment, intake = taken_at_counter(town)
        assert [one.number for one in slips(town).ready("CANTINE")] == ["0000009"]
        assert corrected(town, intake, payment, "cash") is None
        assert slips(town).ready("CANTINE") == []
        books_agree(town)
        assert corrected(town, intake, payment, "cheque") is None
        assert [one.number for one in slips(town).ready("CANTINE")] == ["0000009"]
        slips(town).make("CANTINE")
        assert "bordereau de remise" in corrected(town, intake, payment, "cash")
        books_agree(town)


def test_what_was_a_cheque_after_all_joins_the_pile_once(portal):
    with portal.town() as town:
        payment, intake = taken_at_counter(town, Means.CASH)
        assert cheques(town) == []
        assert corrected(town, intake, payment, "cheque") is None
        intake.taken_at_counter(payment)  # The event of the payment comes late.
        assert [one.amount for one in slips(town).ready("CANTINE")] == [1000]
        books_agree(town)


def test_a_cheque_of_the_pile_is_not_corrected_at_the_counter(portal):
    with portal.town() as town:
        load(town, *PILE)
        desk(town).accept_certain("CANTINE")
        found = next(one for one in cheques(town) if one.payment_id)
        intake = Intake(town, Hasher("k" * 32, town.town.slug))
        assert "menu Chèques" in corrected(town, intake, found.payment_id, "cash")


def test_right_lines_enter_beside_a_place_that_is_taken(portal):
    def pile(*rows):
        return "\n".join((HEADER, *rows)).encode()

    first = "R1;;1;0000011;;;;10,00;DURAND;;;;;"
    with portal.town() as town:
        intake = Intake(town, Hasher("k" * 32, town.town.slug))
        assert intake.import_file("a.csv", pile(first), regie="CANTINE", actor="a").new == 1
        other = first.replace("10,00", "11,00")
        rows = other, "R1;;2;0000012;;;;12,00;DURAND;;;;;"
        whole = intake.import_file("b.csv", pile(*rows), regie="CANTINE", actor="a")
        assert [one.line for one in whole.problems] == [2]
        assert len(cheques(town)) == 1
        done = intake.import_file(
            "b.csv", pile(*rows), regie="CANTINE", actor="a", right_lines=True
        )
        assert (done.new, [one.line for one in done.left_out]) == (1, [2])
        assert [(one.rank, one.amount) for one in cheques(town)] == [(1, 1000), (2, 1200)]


def test_what_waits_to_be_classified_is_corrected_with_its_cheque_only(portal):
    with portal.town() as town:
        load(town, line(1, "0000004", "3" * 24, "77,77", issuer="M INCONNU"))
        desk(town).classify(cheques(town)[0].id, "payeur inconnu")
        slip = slips(town).make("CANTINE")
        town.accounts.remittances.cancel(slip.remittance_id, reason="x")
        slips(town).follow(slip.remittance_id, Intake(town, Hasher("k" * 32, town.town.slug)))
        (payment,) = town.session.scalars(select(Payment))
        corrections = town.accounts.corrections
        assert corrections.open_to(payment) == ()
        with pytest.raises(UserError, match="ne se corrige pas ainsi"):
            corrections.correct(payment.id, "cash", reason="x")
        assert slips(town).make("CANTINE").total == 7777


def test_a_slip_is_made_though_the_remittance_before_is_heard_of_later(portal):
    """Two events of one cheque come in the wrong order: it is on the slip that is in force."""
    with portal.town() as town:
        _payment, intake = taken_at_counter(town)
        remittances = town.accounts.remittances
        first = remittances.make("CANTINE").id
        slips(town).follow(first, intake)
        remittances.cancel(first, reason="x")
        second = remittances.make("CANTINE").id
        slips(town).follow(second, intake)
        slips(town).follow(first, intake)
        new, old = slips(town).all()
        assert old.cancelled_at is not None
        assert (new.remittance_id, new.count, new.cancelled_at) == (second, 1, None)
        assert slips(town).ready("CANTINE") == []
