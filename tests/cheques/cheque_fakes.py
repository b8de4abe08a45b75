"""A town in memory: core's services as far as cheques need them, and the plugin's own tables."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from sqlalchemy import MetaData, create_engine, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

import core.rooms  # noqa: F401  (completes the metadata: tables point to the town's)
from core.plugin import Base, FamilyInfo, InvoiceInfo, RegieInfo, TenantScoped, TownInfo
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.records import Hasher
from plugins.cheque_import.settings import ChequeSettings
from plugins.cheque_import.slips import Slips

SETTINGS = ChequeSettings(account_key="0123456789abcdef0123")
HEADER = "remise;date_remise;rang;cheque;z3;z2;cle;montant;emetteur;banque;ref;code_famille;date_cheque;observations"


@dataclass
class FakePayment:
    id: int
    family_id: int | None
    regie: str
    amount: int
    payer: str
    means: str
    allocations: dict[int, int]
    credit: int
    reversed: str = ""
    note: str = ""


class FakeRemittances:
    """Remittances by number; the tests over a real database say what core refuses."""

    def __init__(self):
        self.made = {}

    def make(self, regie, means, payment_ids, *, note=""):
        from core.plugin import RemittanceInfo

        assert payment_ids
        assert not [i for i in payment_ids if any(i in one.payments for one in self.made.values() if one.in_force)]
        number = len(self.made) + 1
        self.made[number] = RemittanceInfo(
            number, regie, f"V-2025-{regie}-{number:04d}", date(2025, 11, 24), 0, True, dict.fromkeys(payment_ids, means)
        )
        return self.made[number]

    def get(self, remittance_id):
        return self.made.get(remittance_id)

    def replace(self, old, new):
        pass


@dataclass
class FakeTown:
    """Everything is public, so that tests can look and meddle."""

    session: Session
    now_: datetime = datetime(2025, 11, 24, 9, tzinfo=UTC)
    family_rows: dict[int, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    invoice_rows: dict[int, InvoiceInfo] = field(default_factory=dict)
    handed_over: set[int] = field(default_factory=set)
    recorded: dict[str, FakePayment] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    remitted: FakeRemittances = field(default_factory=FakeRemittances)

    town = TownInfo(
        "ville", "Ville de Démo", "http://localhost/ville", ("fr",),
        (
            RegieInfo("CANTINE", "Régie cantine", collects=True),
            RegieInfo("GARDERIE", "Régie garderie", collects=True),
            RegieInfo("CRECHE", "Crèche (titres)", collects=False),
        ),
    )

    @property
    def clock(self):
        return self

    @property
    def families(self):
        return self

    @property
    def invoices(self):
        return _Invoices(self)

    @property
    def payments(self):
        return self

    @property
    def remittances(self):
        return self.remitted

    def settings(self, _plugin):
        return SETTINGS

    def now(self):
        return self.now_

    # families
    def names(self):
        return [(i, code, names) for i, (code, names) in self.family_rows.items()]

    def get(self, family_id):
        if family_id not in self.family_rows:
            return None
        code, names = self.family_rows[family_id]
        return FamilyInfo(family_id, code, names[0], "fr")

    def several(self, family_ids):
        return {i: info for i in family_ids if (info := self.get(i))}

    # payments
    def hold(self, invoice_ids):
        self.held |= set(invoice_ids)

    def record(
        self, *, regie, family_id, means, amount, paid_at, payer, shares, key, note="", excess=None,
        alone=False,
    ):  # fmt: skip
        from core.plugin import Recorded

        assert alone
        assert {invoice for invoice, _cents in shares} <= self.held
        assert excess == amount - sum(cents for _invoice, cents in shares)
        assert family_id is not None or not shares

        assert amount > 0
        assert sum(c for _i, c in shares) <= amount
        if key not in self.recorded:
            taken = {}
            for invoice_id, cents in shares:
                assert self.invoice_rows[invoice_id].regie == regie
                taken[invoice_id] = min(cents, self.balance(invoice_id))
            self.recorded[key] = FakePayment(
                len(self.recorded) + 1, family_id, regie, amount, payer, means, taken,
                amount - sum(taken.values()), note=note,
            )
        payment = self.recorded[key]
        return Recorded(payment.id, payment.credit)

    def record_many(self, regie, payments, *, alone=False):
        return [
            self.record(
                regie=regie, family_id=one.family_id, means=one.means, amount=one.amount,
                paid_at=one.paid_at, payer=one.payer, shares=one.shares, key=one.key, note=one.note,
                excess=one.excess, alone=alone,
            )
            for one in payments
        ]  # fmt: skip

    def classify(self, payment_id, *, family_id, shares, excess=None, alone=False):
        from core.plugin import Recorded

        (payment,) = [p for p in self.in_force() if p.id == payment_id]
        assert alone
        assert payment.family_id is None
        assert {invoice for invoice, _cents in shares} <= self.held
        assert all(cents <= self.balance(invoice) for invoice, cents in shares)
        payment.family_id, payment.allocations = family_id, dict(shares)
        payment.credit = payment.amount - sum(payment.allocations.values())
        assert excess == payment.credit
        return Recorded(payment.id, payment.credit)

    def reverse(self, payment_id, *, reason):
        for payment in self.recorded.values():
            if payment.id == payment_id:
                payment.reversed = reason

    # helpers of the tests
    def balance(self, invoice_id):
        return self.invoice_rows[invoice_id].balance - sum(
            p.allocations.get(invoice_id, 0) for p in self.in_force()
        )

    def in_force(self):
        return [p for p in self.recorded.values() if not p.reversed]

    def pay_online(self, invoice_id):
        self.recorded[f"online/{invoice_id}/{len(self.recorded)}"] = FakePayment(
            len(self.recorded) + 1, self.invoice_rows[invoice_id].family_id, "CANTINE",
            self.balance(invoice_id), "", "card", {invoice_id: self.balance(invoice_id)}, 0,
        )

    def family(self, number, *names):
        self.family_rows[number] = (f"F{number:05d}", names)

    def invoice(self, number, family, amount, regie="CANTINE", month=10):
        self.invoice_rows[number] = InvoiceInfo(
            number, family, regie, f"2025-{month:03d}-{number:06d}", "", "CANTINE", amount, amount,
            date(2025, month, 5), date(2025, month, 30), payable=True,
        )

    def intake(self):
        return Intake(self, hasher())

    def desk(self, actor="agent:1"):
        return Desk(self, SETTINGS, actor=actor)

    def matching(self):
        return Matching(self, SETTINGS)

    def slips(self, actor="agent:1"):
        return Slips(self, SETTINGS, actor=actor)

    def load(self, *lines, regie="CANTINE", name="remise.csv", **options):
        content = "\n".join((HEADER, *lines)).encode()
        done = self.intake().import_file(name, content, regie=regie, actor="agent:1", **options)
        if not done.problems:
            self.matching().rematch(regie)
        return done


class _Invoices:
    def __init__(self, town):
        self._town = town

    def _info(self, info):
        return replace(info, balance=self._town.balance(info.id))

    def get(self, invoice_id):
        info = self._town.invoice_rows.get(invoice_id)
        return self._info(info) if info else None

    def several(self, invoice_ids):
        return [info for i in invoice_ids if (info := self.get(i))]

    def seen_by(self, family_id, invoice_ids):
        return [info for i in invoice_ids if (info := self.get(i)) and info.family_id == family_id]

    def by_number(self, number):
        return [self._info(i) for i in self._town.invoice_rows.values() if i.number == number]

    def open_in(self, regie):
        infos = [
            self._info(i)
            for i in self._town.invoice_rows.values()
            if i.regie == regie and i.id not in self._town.handed_over
        ]
        return sorted((i for i in infos if i.balance), key=lambda i: (i.due_on, i.id))

    def unpaid(self, family_id):
        return [self._info(i) for i in self._town.invoice_rows.values()
                if i.family_id == family_id and self._town.balance(i.id)]  # fmt: skip


def hasher():
    return Hasher(SETTINGS.account_key.get_secret_value(), "ville")


def line(rank=1, number="0001234", account="099999000015012345678906", amount="56,87", *, issuer="",
         ref="", code="", slip="R1", key="", drawn=""):  # fmt: skip
    z3, z2 = (account[:12], account[12:]) if account else ("", "")
    return f"{slip};;{rank};{number};{z3};{z2};{key};{amount};{issuer};BANQUE;{ref};{code};{drawn};"


@contextmanager
def fake_town():
    """A town with four families and a session on an in-memory database."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    tables = [t for n, t in Base.metadata.tables.items() if n.startswith("cheque") or n == "tenant"]
    # SQLite numbers no composite key: the listeners below do.
    copies = MetaData()
    for table in tables:
        copy = table.to_metadata(copies)
        if "id" in copy.c and len(copy.primary_key) > 1:
            copy.c.id.autoincrement = False
    copies.create_all(engine)
    numbers = itertools.count(1)
    with Session(engine, expire_on_commit=False) as session:

        @event.listens_for(session, "before_flush")
        def number(session, _context, _instances):
            for row in session.new:
                if isinstance(row, TenantScoped) and row.id is None:
                    row.id = next(numbers)

        @event.listens_for(session, "do_orm_execute")
        def number_bulk(state):
            if state.is_insert and isinstance(state.parameters, list):
                for row in state.parameters:
                    row.setdefault("id", next(numbers))

        town = FakeTown(session)
        town.family(1, "MARTIN PAUL", "MARTIN SOPHIE")
        town.family(2, "MARTIN PAULINE")
        town.family(3, "LEROY CELINE")
        town.family(4, "BENALI KARIM")
        for values in (
            (10, 1, 5687), (11, 1, 3000), (20, 2, 5687), (30, 3, 23982), (31, 3, 1200),
            (40, 4, 5687), (50, 1, 4000, "GARDERIE"), (60, 1, 2500, "CRECHE"),
        ):
            town.invoice(*values)
        yield town
    engine.dispose()
