"""Many at once over PostgreSQL: an invoice is paid once, and no excess is born that nobody saw."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cheque_fakes import HEADER, SETTINGS, line
from sqlalchemy import text

from core.plugin import Means, UserError
from core.testing.portal import make_portal, record
from core.testing.waiting import PATIENCE_SECONDS
from plugins.cheque_import import plugin
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.history import hold, locked
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.postings import Posting, Postings
from plugins.cheque_import.records import ChequeRecord, Hasher

FEW = 60
TOGETHER = 5
MANY = 20 * int(os.environ.get("PREAU_SCHEDULES", "10"))
"""Meetings of two agents, each as close as any other; `make test-long` has two thousand."""
TOML = """
[plugins.cheque_import]
account_key = "0123456789abcdef0123"
"""


@pytest.fixture
def portal(database, redis, tmp_path):
    made = make_portal(
        database, tmp_path, plugins={"cheque_import": plugin}, toml=TOML
    )  # fmt: skip
    yield made
    made.runtime.close()


def invoice(number):
    return f"2026-{number:05d}"


def publish(portal, count):
    portal.publish(*(
        record(invoice(n), family=f"F{n % 40:03d}", debtor=f"FAMILLE {n % 40}") for n in range(count)
    ))  # fmt: skip


def load(town, *lines, name):
    hasher = Hasher("k" * 32, town.town.slug)
    content = "\n".join((HEADER, *lines)).encode()
    done = Intake(town, hasher).import_file(name, content, regie="CANTINE", actor="agent:1")
    assert done.problems == ()
    return done


def pile(town, number, count, first=0):
    """A pile of cheques, one for each invoice; each pile of other accounts and numbers."""
    load(
        town,
        *(
            line(
                # No account is a digit away from another: a decision would match the whole queue anew.
                n + 1, f"{number}{first + n:06d}", f"{number}{n:05d}{n:06d}{n:06d}{n:06d}",
                ref=invoice(n), code=f"F{n % 40:03d}", slip=f"P{number}",
            )
            for n in range(count)
        ),
        name=f"pile{number}.csv",
    )  # fmt: skip


def rows(portal, statement):
    with portal.town() as town:
        return [tuple(row) for row in town.session.execute(text(statement))]


def in_step(count, *works):
    """Do each of `works(0)` … `works(count - 1)` at the same moment as the others; what failed."""
    barrier = threading.Barrier(len(works))

    def run(work):
        failed = []
        for number in range(count):
            barrier.wait(PATIENCE_SECONDS)
            try:
                work(number)
            except Exception as error:  # noqa: BLE001 - it is looked at by the test
                failed.append(error)
        return failed

    with ThreadPoolExecutor(len(works)) as pool:
        return [error for failed in pool.map(run, works) for error in failed]


def split(portal, ids, agent):
    def work(number):
        with portal.town() as town:
            (info,) = town.invoices.by_number(invoice(number))
            Desk(town, SETTINGS, actor=agent).split(
                ids[number], info.family_id, [(info.id, 5687)], keep_excess=False
            )

    return work


def two_piles(portal, count):
    publish(portal, count)
    with portal.town() as town:
        pile(town, 1, count)
        pile(town, 2, count)
    ids = rows(portal, "SELECT id FROM cheque ORDER BY slip, rank")
    return [i for (i,) in ids[:count]], [i for (i,) in ids[count:]]


def agent(addresses, folder, number, ids, barrier, told):
    """An agent in a process of its own, who books cheque after cheque, then a few at a time."""
    portal = make_portal(addresses, folder, plugins={"cheque_import": plugin}, toml=TOML)
    one_by_one, refused = len(ids) // 2, 0
    book = split(portal, ids, f"agent:{number}")
    for which in range(one_by_one):
        barrier.wait(PATIENCE_SECONDS)
        try:
            book(which)
        except UserError:
            refused += 1
    for start in range(one_by_one, len(ids), TOGETHER):
        chosen = list(range(start, min(start + TOGETHER, len(ids))))[:: 1 if number == 1 else -1]
        barrier.wait(PATIENCE_SECONDS)
        with portal.town() as town:
            refused += len(chosen) - len(book_together(town, [(ids[n], invoice(n)) for n in chosen]))
    told.put(refused)
    portal.runtime.close()


def book_together(town, chosen):
    """Post cheques (id, number of the invoice) of which nobody holds the régie's others."""
    postings = Postings(town, SETTINGS)
    made = []
    for cheque, number in chosen:
        (info,) = town.invoices.by_number(number)
        made.append(Posting(locked(town, cheque), info.family_id, [(info.id, 5687)]))
    postings.hold(one.shares for one in made)
    return postings.post_all(made)


def paid_once(portal, count):
    assert rows(portal, "SELECT count(*) FROM credit") == [(0,)]
    assert rows(portal, "SELECT count(*), sum(amount) FROM allocation") == [(count, count * 5687)]
    assert rows(portal, "SELECT count(*) FROM cheque WHERE state = 'accepted'") == [(count,)]


def test_two_processes_at_once_pay_an_invoice_once(portal, database, tmp_path):
    """Each with another cheque for the same invoice, at the same moment: one is booked, whole."""
    ours, theirs = two_piles(portal, MANY)
    spawn = multiprocessing.get_context("spawn")
    barrier, told = spawn.Barrier(2), spawn.Queue()
    agents = [
        spawn.Process(target=agent, args=(database, tmp_path / str(n), n, ids, barrier, told))
        for n, ids in ((1, ours), (2, theirs))
    ]
    for one in agents:
        one.start()
    for one in agents:
        one.join(PATIENCE_SECONDS + MANY)
        assert one.exitcode == 0
    assert sum(told.get(timeout=PATIENCE_SECONDS) for _agent in agents) == MANY
    paid_once(portal, MANY)
    # Nothing is lost or half there: each payment is a cheque's, in the journal, numbered and told once.
    assert rows(portal, "SELECT count(*), count(DISTINCT receipt_number) FROM payment") == [(MANY, MANY)]
    assert rows(portal, "SELECT count(DISTINCT invoice_id), count(DISTINCT payment_id) FROM allocation") == [
        (MANY, MANY)
    ]  # fmt: skip
    assert rows(portal, "SELECT count(*), max(number), sum(amount) FROM journal_entry") == [
        (MANY, MANY, MANY * 5687)
    ]  # fmt: skip
    assert rows(portal, "SELECT count(*) FROM outbox WHERE dedupe_key LIKE 'settled-%'") == [(MANY,)]
    assert rows(portal, "SELECT count(*) FROM cheque WHERE payment_id IS NULL AND family_id IS NULL") == [
        (MANY,)
    ]  # fmt: skip
    by_agent = rows(portal, "SELECT slip, count(*) FROM cheque WHERE state = 'accepted' GROUP BY slip")
    assert len(by_agent) == 2, "one of them was always first: they did not meet"


def test_two_matches_at_once_pay_an_invoice_once(portal):
    """Two commands, or two agents who accept all that is certain, over two piles that overlap."""
    publish(portal, FEW)

    def work(number):
        def match(_round):
            with portal.town() as town:
                pile(town, number, FEW)
                Matching(town, SETTINGS).rematch("CANTINE")
                Desk(town, SETTINGS, actor=f"agent:{number}").accept_certain("CANTINE")

        return match

    assert in_step(1, work(1), work(2)) == []
    assert rows(portal, "SELECT count(*) FROM credit") == [(0,)]
    assert rows(portal, "SELECT max(paid) FROM invoice") == [(5687,)]
    paid_once(portal, FEW)


def test_the_counter_pays_while_certain_cheques_are_accepted(portal):
    """Each invoice is paid once, and nobody waits for one who waits for them."""
    publish(portal, FEW)
    with portal.town() as town:
        pile(town, 1, FEW)
        Matching(town, SETTINGS).rematch("CANTINE")

    def certain(_round):
        with portal.town() as town:
            Desk(town, SETTINGS, actor="agent:1").accept_certain("CANTINE")

    def cash(_round):
        for number in reversed(range(FEW)):
            with portal.town() as town:
                (info,) = town.invoices.by_number(invoice(number))
                if info.balance:
                    town.payments.record(
                        regie="CANTINE", family_id=info.family_id, means=Means.CASH, amount=5687,
                        paid_at=town.clock.now(), payer="x", shares=[(info.id, 5687)],
                        key=f"cash{number}", excess=0,
                    )  # fmt: skip

    failed = in_step(1, certain, cash)
    assert {type(error) for error in failed} <= set(UserError.__subclasses__())
    assert rows(portal, "SELECT count(*) FROM credit") == [(0,)]
    assert rows(portal, "SELECT max(paid) FROM invoice") == [(5687,)]


def test_an_invoice_that_a_parent_pays_online_takes_no_cheque(portal):
    """Whichever comes first, the other is told: `count` times at the same moment."""
    ours, _theirs = two_piles(portal, FEW)

    def online(number):
        with portal.town() as town:
            (info,) = town.invoices.by_number(invoice(number))
            payment = town.attempts.create(
                info.family_id, [info.id], email="p@a.fr", language="fr", key=f"k{number}"
            )
        with portal.town() as town:
            town.attempts.start(payment)

    failed = in_step(FEW, split(portal, ours, "agent:1"), online)
    assert {type(error) for error in failed} <= set(UserError.__subclasses__()) | {UserError}
    both = """
        SELECT count(*) FROM payment_item i JOIN payment p ON p.id = i.payment_id
        WHERE i.live AND p.provider_reference <> ''
        AND EXISTS (SELECT FROM allocation a WHERE a.invoice_id = i.invoice_id)
    """
    assert rows(portal, both) == [(0,)]


def test_one_file_or_one_sitting_begun_twice_at_once_is_one(portal):
    def begin(_round):
        with portal.town() as town:
            load(town, line(), name="pile.csv")
            intake = Intake(town, Hasher("k" * 32, town.town.slug))
            batch = intake.sitting("CANTINE", actor="a", name="24/11")
            cheque = ChequeRecord(slip="", rank=0, amount=100, number="0000001")
            intake.enter(batch, cheque, actor="a")

    assert in_step(1, *[begin] * 4) == []
    assert rows(portal, "SELECT count(*) FROM cheque_batch") == [(2,)]
    assert rows(portal, "SELECT rank FROM cheque WHERE slip = '24/11' ORDER BY rank") == [
        (1,), (2,), (3,), (4,),
    ]  # fmt: skip


def test_families_merge_while_an_agent_books_their_cheque(portal):
    """The agent has the cheque and wants the invoice: merging must not have it the other way round."""
    ours, _theirs = two_piles(portal, 1)
    cheque_has_been_taken, merging_has_begun = threading.Event(), threading.Event()
    with portal.town() as town:
        (one,) = town.invoices.by_number(invoice(0))
        other = town.files.create("F777", "FAMILLE 777", [], "fr")
        town.session.execute(text("UPDATE cheque SET family_id = :f"), {"f": one.family_id})

    def book():
        with portal.town() as town:
            hold(town, "CANTINE")
            locked(town, ours[0])
            cheque_has_been_taken.set()
            merging_has_begun.wait(PATIENCE_SECONDS)
            waiting_for_a_lock(portal, seconds=5)
            town.payments.hold([one.id])

    def merge():
        cheque_has_been_taken.wait(PATIENCE_SECONDS)
        with portal.town() as town:
            merging_has_begun.set()
            town.merging.merge(other, one.family_id)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(book), pool.submit(merge)]:
            done.result(2 * PATIENCE_SECONDS)
    assert rows(portal, "SELECT DISTINCT family_id FROM cheque") == [(other,)]
    assert rows(portal, "SELECT family_id FROM invoice") == [(other,)]


def waiting_for_a_lock(portal, seconds):
    """Wait until a connection waits for another's lock."""
    end = time.monotonic() + seconds
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while rows(portal, waits) == [(0,)] and time.monotonic() < end:
        time.sleep(0.02)
