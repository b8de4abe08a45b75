"""One slip, one truth: whatever happened, every book adds up to the same money.

The history is drawn at random; what it must come to is added up here, by code that knows no SQL.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from datetime import date, timedelta

import pytest
from cheque_fakes import HEADER, SETTINGS, line
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from core.api.payments import Means
from core.books.period import Period
from core.books.statements import labels
from core.journal.models import EntryKind
from core.platform.clock import today
from core.platform.tabular.writing import Cents
from core.plugin import UserError
from core.testing.portal import make_portal, record
from plugins.cheque_import import plugin
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.models import Cheque, ChequeDeposit
from plugins.cheque_import.records import Hasher
from plugins.cheque_import.slips import Slips, name_of

VOUCHER = "other:Bons CAF"
KEY = SETTINGS.account_key.get_secret_value()
TOML = f'\n[plugins.cheque_import]\naccount_key = "{KEY}"\n'


@pytest.fixture
def portal(database, redis, tmp_path):
    made = make_portal(database, tmp_path, plugins={"cheque_import": plugin}, toml=TOML)
    made.publish(
        *(record(f"A{number}", amount=20000) for number in range(3)),
        record("B1", family="F002", amount=20000, debtor="MARTIN Léa"),
    )
    yield made
    made.runtime.close()


class Till:
    """What a régisseur does, and a second account of it, in plain numbers."""

    def __init__(self, portal):
        self.portal = portal
        self.count = 0
        self.money = defaultdict(int)
        """Cents that came, less those that went back, by means."""
        self.came = defaultdict(int)
        """Cents that came, by month."""
        self.remitted = defaultdict(int)
        """Cents of remittances in force, by means."""
        self.held = defaultdict(lambda: defaultdict(int))
        """Cents in hand by means and day of the entry."""
        self.remittances = {}

    def day(self):
        return today(self.portal.clock.now())

    def enter(self, means, cents):
        self.money[means] += cents
        self.held[means][self.day()] += cents
        if cents > 0:
            self.came[self.day().replace(day=1)] += cents

    def pay(self, town, means, cents):
        self.count += 1
        invoice = town.invoices.by_number(f"A{self.count % 3}")[0]
        share = min(cents, invoice.balance)
        done = town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=means, amount=cents, paid_at=town.clock.now(),
            payer="DURAND", shares=[(invoice.id, share)] if share else [], key=f"k{self.count}",
            note=f"n° 00{self.count:05d} BANQUE" if means == Means.CHEQUE else "",
        )  # fmt: skip
        self.enter(means, cents)
        self.intake(town).taken_at_counter(done.payment_id)

    @staticmethod
    def intake(town):
        return Intake(town, Hasher(KEY, town.town.slug))

    def reverse(self, town, at):
        """On core's page; what the bank has of a cheque stays in the books, as nobody's yet."""
        found = town.payments.history(town.families.by_code("F001").id)
        if found:
            payment = found[at % len(found)]
            cheque = town.session.query(Cheque).filter_by(payment_id=payment.id).one_or_none()
            banked = cheque is not None and cheque.deposit_id is not None
            town.payments.reverse(payment.id, reason="Erreur")
            Desk(town, SETTINGS, actor="core").reversed_elsewhere(payment.id, "Erreur")
            if banked:
                self.came[self.day().replace(day=1)] += payment.amount
            else:
                self.enter(town.payment_list.get(payment.id).means, -payment.amount)

    def remit(self, town, means, back, ago):
        until = self.day() + timedelta(days=ago)
        since = min(self.day() + timedelta(days=back), until)
        wanted = {
            name: sum(cents for day, cents in days.items() if since <= day <= until)
            for name, days in self.held.items()
            if means is None or name in means
        }
        try:
            made = town.accounts.remittances.make("CANTINE", means=means, since=since, until=until)
        except UserError:
            assert sum(wanted.values()) <= 0
            return
        assert made.total == sum(wanted.values()) > 0
        taken = defaultdict(dict)
        for name in wanted:
            for day in list(self.held[name]):
                if since <= day <= until:
                    taken[name][day] = self.held[name].pop(day)
                    self.remitted[name] += taken[name][day]
        self.remittances[made.id] = taken
        Slips(town, SETTINGS, actor="core").follow(made.id, self.intake(town))

    def slip(self, town):
        """The plugin's slip takes every cheque that was noted; none of them came back."""
        slips = Slips(town, SETTINGS, actor="agent:1")
        before = {c.id: c.payment_id for c in slips.ready("CANTINE")}
        try:
            deposit = slips.make("CANTINE")
        except UserError:
            return
        info = town.remittances.get(deposit.remittance_id)
        taken = defaultdict(dict)
        by_payment = {e.payment_id: e for e in self.entries(town) if e.kind == EntryKind.SETTLED}
        assert len(before) == deposit.count
        for payment_id in info.payments:
            entry = by_payment[payment_id]
            day = today(entry.at)
            if payment_id not in before.values():  # Banked by this very slip.
                self.enter(Means.CHEQUE, entry.amount)
            self.held[Means.CHEQUE][day] -= entry.amount
            taken[Means.CHEQUE][day] = taken[Means.CHEQUE].get(day, 0) + entry.amount
            self.remitted[Means.CHEQUE] += entry.amount
        assert deposit.total == info.total
        self.remittances[info.id] = taken

    def cancel(self, town, at):
        if self.remittances:
            number = sorted(self.remittances)[at % len(self.remittances)]
            town.accounts.remittances.cancel(number, reason="Erreur")
            Slips(town, SETTINGS, actor="core").follow(number, self.intake(town))
            for name, days in self.remittances.pop(number).items():
                for day, cents in days.items():
                    self.held[name][day] += cents
                    self.remitted[name] -= cents

    def leave(self, town, at):
        if self.remittances:
            number = sorted(self.remittances)[at % len(self.remittances)]
            town.accounts.remittances.leave(number, carrier="La poste")
            del self.remittances[number]

    def cheque(self, town, cents):
        """A cheque of the reader, to classify: in no book until a slip takes it."""
        self.count += 1
        content = f"{HEADER}\n{line(1, f'{self.count:07d}', '', f'{cents // 100},{cents % 100:02d}', issuer='M INCONNU', slip=f'R{self.count}')}"
        done = self.intake(town).import_file(f"p{self.count}.csv", content.encode(), regie="CANTINE", actor="agent:1")
        assert done.problems == ()
        Matching(town, SETTINGS).rematch("CANTINE")
        (cheque,) = town.session.query(Cheque).filter(Cheque.slip == f"R{self.count}")
        Desk(town, SETTINGS, actor="agent:1").classify(cheque.id, "inconnu")

    @staticmethod
    def entries(town):
        return town.accounts.entries.read(Period("CANTINE", date(2026, 1, 1), whole_year=True))

    def agree(self, town):
        books = town.accounts
        in_hand = {name: sum(days.values()) for name, days in self.held.items()}
        year = Period("CANTINE", date(2026, 1, 1), whole_year=True)
        found = {one.means: one.amount for one in books.remittances.in_hand("CANTINE")}
        names = set(in_hand) | set(found)
        assert {n: found.get(n, 0) for n in names} == {n: in_hand.get(n, 0) for n in names}
        assert sum(self.money.values()) == sum(self.remitted.values()) + sum(in_hand.values())
        made = {name: books.statements.make(name, year) for name in labels()}
        net = sum(self.money.values())
        assert made["journal"].foot[11:13] == (net, sum(self.remitted.values()))
        assert made["moyens"].foot[-1] == made["imputation"].foot[-1] == net
        assert made["caisse"].foot[4:6] == (sum(self.remitted.values()), sum(in_hand.values()))
        assert made["versements"].foot[-1] == sum(self.remitted.values())
        assert made["arrete"].foot[-1] == net
        for table in made.values():
            for column, total in enumerate(table.foot):
                if isinstance(total, Cents):
                    assert sum(row[column] or 0 for row in table.rows) == total, table.name
        carried = 0
        for number in range(3, self.day().month + 1):
            first = date(2026, number, 1)
            month = Period("CANTINE", first)
            assert books.entries.sums(month).came == self.came[first]
            assert books.entries.chain_holds(month)
            till = books.statements.make("caisse", month).foot
            assert till[1] == carried
            carried = till[5]
        assert carried == sum(in_hand.values())
        figures = town.figures
        assert figures.waiting().month.cents == self.came[self.day().replace(day=1)]
        assert {m.first: m.collected for m in figures.report().months if m.collected} == {d: c for d, c in self.came.items() if c}
        for one in books.remittances.page("CANTINE").rows:
            assert books.remittances.agrees(one)
        # Each numbered slip, and the cheques that Comptes shows as taken by its remittance.
        listed = defaultdict(int)
        for row in made["cheques"].rows:
            listed[row[5]] += row[6]
        for deposit in town.session.query(ChequeDeposit):
            lines = Slips(town, SETTINGS, actor="x").lines(deposit)
            assert sum(one.amount for one in lines) == deposit.total
            assert len(lines) == deposit.count
            info = town.remittances.get(deposit.remittance_id)
            assert (deposit.cancelled_at is None) == info.in_force, name_of(deposit)
            if info.in_force:
                assert listed[info.name] == deposit.total
        numbers = sorted(d.number for d in town.session.query(ChequeDeposit))
        assert numbers == list(range(1, len(numbers) + 1))


ACTS = st.one_of(
    st.tuples(st.just("pay"), st.sampled_from([Means.CASH, Means.CHEQUE, Means.TERMINAL, VOUCHER]), st.integers(1, 30000)),
    st.tuples(st.just("cheque"), st.integers(1, 30000)),
    st.tuples(st.just("reverse"), st.integers(0, 9)),
    st.tuples(st.just("remit"), st.sampled_from([None, [Means.CASH], [Means.CHEQUE, VOUCHER]]), st.integers(-40, 0), st.integers(-9, 0)),
    st.tuples(st.just("slip")),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("leave"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.integers(1, 12)),
)


class _UndoneError(Exception):
    """Takes an example back, so that the next one starts from the same town."""


def play(portal, town, acts):
    till = Till(portal)
    for name, *values in acts:
        if name == "wait":
            portal.clock.pass_time(days=values[0])
            continue
        with town.session.begin_nested():
            getattr(till, name)(town, *values)
        till.agree(town)


@given(acts=st.lists(ACTS, min_size=4, max_size=14))
@settings(
    max_examples=settings().max_examples // 8, deadline=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
def test_every_book_adds_up_to_the_same_money(portal, acts):
    began = portal.clock.now()
    with contextlib.suppress(_UndoneError), portal.town() as town:
        play(portal, town, acts)
        raise _UndoneError
    portal.clock.pass_time(seconds=(began - portal.clock.now()).total_seconds())


def test_the_accounts_make_a_slip_too_and_cancel_it(portal):
    """From core's page, over the outbox, as it is: the cheques are on a numbered slip and off it."""
    with portal.town() as town:
        till = Till(portal)
        till.pay(town, Means.CHEQUE, 1000)
        till.pay(town, Means.CASH, 500)
    portal.work()
    with portal.town() as town:
        made = town.accounts.remittances.make("CANTINE").id
    portal.work()
    with portal.town() as town:
        slips = Slips(town, SETTINGS, actor="x")
        (deposit,) = slips.all()
        assert (deposit.total, deposit.count, deposit.remittance_id) == (1000, 1, made)
        assert slips.ready("CANTINE") == []
        assert slips.pdf(deposit).content.startswith(b"%PDF")
        town.accounts.remittances.cancel(made, reason="x")
    portal.work()
    with portal.town() as town:
        slips = Slips(town, SETTINGS, actor="x")
        assert slips.all()[0].cancelled_at
        (cheque,) = slips.ready("CANTINE")
        assert cheque.amount == 1000
        assert slips.make("CANTINE").number == 2
