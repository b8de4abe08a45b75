"""A pile that is posted together writes what its cheques write one by one, in far fewer statements."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest
from cheque_fakes import HEADER, SETTINGS, line
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from test_cheque_ledger import check_cents

from core.plugin import Means, NewPayment, UserError
from core.testing.portal import make_portal, record
from core.testing.recycling import owner_on
from core.testing.statements import statements
from plugins.cheque_import import plugin
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.models import Cheque
from plugins.cheque_import.postings import Posting, Postings
from plugins.cheque_import.records import Hasher

TOML = """
[plugins.cheque_import]
account_key = "0123456789abcdef0123"
"""
WRITTEN = {
    # What is written, in its order, without what each run has of its own.
    "payment": "id, key, family_id, regie, provider, state, amount, means, payer, email, language,"
    " created_at, asked, paid_at, settled_at, authorisation, receipt_number, receipt_id, anomaly,"
    " may_be_paid, note, visit, tendered, classified_at, reversed_at, reversal_reason",
    "payment_item": "payment_id, invoice_id, amount, live",
    "allocation": "payment_id, invoice_id, amount, created_at, left_due, reversed_at,"
    " credit_use_id IS NULL",
    "credit": "payment_id, invoice_id, family_id, regie, amount, created_at, reversed_at",
    "credit_use": "key, invoice_id, amount, actor",
    "journal_entry": "regie, year, number, at, kind, payment_id, receipt, means, amount,"
    " family_code, actor, hash",
    "counter": "name, value",
    "outbox": "topic, dedupe_key, payload, state, available_at, bulk",
    "audit_entry": "actor, action, subject, details",
    "invoice": "number, paid, state",
    "cheque": "id, state, family_id, payment_id, attempt, why",
    "cheque_part": "cheque_id, attempt, payment_id, family_id",
}
ORDERS = {"counter": "name", "outbox": "dedupe_key, topic", "audit_entry": "subject, action"}
FIRST_PAYMENT = 10**12
"""Numbers of payments that nothing else has: each run's are told by their order."""


@pytest.fixture(scope="module")
def house(module_database, tmp_path_factory):
    """Four families with two invoices each, and five cheques that say nothing."""
    portal = make_portal(
        module_database, tmp_path_factory.mktemp("portal"), plugins={"cheque_import": plugin}, toml=TOML
    )  # fmt: skip
    with owner_on(portal.owner_url).begin() as owner:
        owner.execute(text(f"ALTER SEQUENCE payment_id_seq RESTART {FIRST_PAYMENT}"))
    portal.publish(*(
        record(f"2026-{n:04d}", family=f"F{n // 2:03d}", debtor=f"FAMILLE {n // 2}", amount=1000 + n)
        for n in range(8)
    ))  # fmt: skip
    load(portal, *(line(n + 1, f"{n:07d}", f"{n:024d}", "30,00", issuer="X" * (n % 2)) for n in range(5)))
    yield portal
    portal.runtime.close()


def load(portal, *lines, name="pile.csv"):
    with portal.town() as town:
        hasher = Hasher("k" * 32, town.town.slug)
        content = "\n".join((HEADER, *lines)).encode()
        done = Intake(town, hasher).import_file(name, content, regie="CANTINE", actor="agent:1")
        assert done.problems == ()
        Matching(town, SETTINGS).rematch("CANTINE")


class _UndoneError(Exception):
    """Takes a run back, so that the next one starts from the same town."""


def written(town):
    """All that stands in the town's books, with the payments numbered in their order."""
    town.session.flush()
    found = {}
    for table, columns in WRITTEN.items():
        rows = town.session.execute(
            text(f"SELECT {columns} FROM {table} ORDER BY {ORDERS.get(table, 'id')}")
        )
        found[table] = [[*row] for row in rows]
    told = json.dumps(found, default=str, indent=1)
    ids = {number: f"P{n}" for n, number in enumerate(sorted(set(re.findall(r"\b1\d{12}\b", told))))}
    for number, name in ids.items():
        told = told.replace(number, name)
    return told.splitlines()


def run(portal, act):
    """What `act` writes, of which nothing stays."""
    told = []
    with suppress(_UndoneError), portal.town() as town:
        told += [act(town), *written(town)]
        check_cents(town)
        raise _UndoneError
    return told


CHEQUES = st.lists(
    st.tuples(
        st.integers(0, 3),  # family
        st.lists(st.tuples(st.integers(0, 7), st.integers(1, 1200)), max_size=3, unique_by=lambda one: one[0]),
        st.booleans(),  # banked before it was known whose it is
    ),
    min_size=1, max_size=5,
)  # fmt: skip


def posting(town, cheques, invoices):
    """The postings of drawn cheques, with all of their invoices held, and who posts them."""
    postings = Postings(town, SETTINGS)
    rows = town.session.scalars(select(Cheque).order_by(Cheque.rank)).all()
    made = []
    for cheque, (family, shares, is_banked) in zip(rows, cheques, strict=False):
        if is_banked:
            postings.bank(cheque)
        made.append(Posting(
            cheque, invoices[2 * family].family_id, [(invoices[n].id, cents) for n, cents in shares]
        ))  # fmt: skip
    postings.hold(one.shares for one in made)
    return postings, made


@given(CHEQUES)
@example([(0, [(0, 1000)], False), (1, [(0, 1)], False), (1, [(2, 1002)], False)])  # Paid by the first.
@example([(0, [(0, 500)], False), (0, [(0, 500)], False), (0, [(0, 1)], False)])  # In parts, and too much.
@example([(0, [(0, 1000), (2, 1002)], False), (3, [(7, 1)], True)])  # Two families; found at the bank.
@example([(0, [(0, 5)], False), (1, [(0, 1000), (2, 1002), (4, 998)], False), (2, [(5, 5)], False)])
@example([(0, [(2, 1002), (3, 1003), (4, 995)], False), (1, [(2, 7)], False)])  # Nothing of its family's.
@settings(max_examples=25, deadline=None)
def test_posted_together_or_one_by_one_the_same_is_written(house, cheques):
    with house.town() as town:
        invoices = [town.invoices.by_number(f"2026-{n:04d}")[0] for n in range(8)]

    def together(town):
        postings, made = posting(town, cheques, invoices)
        return sorted(postings.post_all(made))

    def one_by_one(town):
        postings, made = posting(town, cheques, invoices)
        return sorted(i for one in made for i in postings.post_all([one]))

    assert run(house, together) == run(house, one_by_one)


def test_one_that_is_refused_does_not_stop_the_others(house):
    """Nothing of its family's is paid: it would be a payment of nothing."""
    with house.town() as town:
        invoices = [town.invoices.by_number(f"2026-{n:04d}")[0] for n in range(8)]
    cheques = [
        (0, [(0, 1000)], False), (0, [(2, 1002), (3, 1003), (4, 995)], False), (2, [(4, 9)], False),
    ]  # fmt: skip

    def act(town):
        postings, made = posting(town, cheques, invoices)
        posted = postings.post_all(made)
        assert [one.cheque.id in posted for one in made] == [True, False, True]
        assert [one.cheque.payment_id is None for one in made] == [False, True, False]
        # What the refused one would have taken is free again.
        assert postings.problem(made[1].cheque, [(invoices[4].id, 995)]) == ""

    run(house, act)


def test_payments_are_recorded_all_or_none_and_each_key_once(house):
    with house.town() as town:
        invoices = [town.invoices.by_number(f"2026-{n:04d}")[0] for n in range(8)]

    def made(town, number, cents, key, excess=0):
        return NewPayment(
            family_id=invoices[number].family_id, means=Means.CHEQUE, amount=cents, paid_at=town.clock.now(),
            payer="X", shares=[(invoices[number].id, cents)], key=key, excess=excess,
        )  # fmt: skip

    def twice(town):
        first = town.payments.record_many("CANTINE", [made(town, 0, 600, "a"), made(town, 0, 600, "b", 200)])
        assert [one.excess for one in first] == [0, 200]
        again = town.payments.record_many(
            "CANTINE", [made(town, 1, 5, "c"), made(town, 0, 600, "b", 200), made(town, 1, 5, "c")]
        )
        assert [again[0].payment_id, again[1]] == [again[2].payment_id, first[1]]
        assert town.session.scalar(text("SELECT count(*) FROM payment")) == 3

    def too_much(town):
        with pytest.raises(UserError, match="2,00"):
            town.payments.record_many("CANTINE", [made(town, 0, 600, "a"), made(town, 0, 600, "b")])
        assert town.session.scalar(text("SELECT count(*) FROM payment")) == 0

    run(house, twice)
    run(house, too_much)


def test_a_pile_costs_as_many_statements_as_a_few_cheques(portal_of_its_own):
    """What a few cheques take in statements, forty do."""
    portal, costs = portal_of_its_own, []
    for pile, count in ((1, 4), (2, 40)):
        portal.publish(*(record(f"2026-{pile}{n:04d}", family=f"F{pile}{n:02d}") for n in range(count)))
        load(
            portal,
            *(
                line(n + 1, f"{pile}{n:06d}", f"{pile}{n:023d}", ref=f"2026-{pile}{n:04d}",
                     code=f"F{pile}{n:02d}", slip=f"P{pile}")
                for n in range(count)
            ),
            name=f"{pile}.csv",
        )  # fmt: skip
        with statements(portal) as said, portal.town() as town:
            assert Desk(town, SETTINGS, actor="agent:1").accept_certain("CANTINE") == count
        costs.append(len(said))
    assert costs[0] == costs[1] <= 30, "\n".join(said)


@pytest.fixture
def portal_of_its_own(database, tmp_path):
    portal = make_portal(database, tmp_path, plugins={"cheque_import": plugin}, toml=TOML)
    yield portal
    portal.runtime.close()
