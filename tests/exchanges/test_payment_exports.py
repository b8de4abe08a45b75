"""Payments back to the billing software: each movement once, whatever happens meanwhile."""

from __future__ import annotations

import base64
import csv
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import count

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import text
from webtest import TestApp

from core.api.errors import UserError
from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.cli import invoices as cli_invoices
from core.cli.payments import payments as command
from core.exchanges.columns import ExportLayout
from core.testing.portal import make_portal, pages_of, record
from core.testing.waiting import PATIENCE_SECONDS


def pay(portal, number, amount, key, *, slug="valmont", means=Means.CHEQUE):
    with portal.town(slug) as town:
        invoice = town.invoices.by_number(number)[0]
        return town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=means, amount=amount, paid_at=town.clock.now(),
            payer="DURAND Camille", shares=[(invoice.id, amount)], key=key,
        ).payment_id  # fmt: skip


def make(portal, slug="valmont"):
    with portal.town(slug) as town:
        made = town.payment_exports.make("CANTINE")
        return made and (made.number, made.count, made.total)


def rows_of(portal, number, slug="valmont"):
    with portal.town(slug) as town:
        found = town.payment_exports.numbered("CANTINE", number)
        content = town.payment_exports.content(found.id)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))


@pytest.fixture
def owed(portal):
    portal.publish(record("1"), record("2", amount=1000), record("9", family="F002"))
    return portal


def test_what_was_paid_goes_out_once_and_what_is_reversed_comes_as_a_negative_row(owed):
    first = pay(owed, "1", 5687, "a")
    assert make(owed) == (1, 1, 5687)
    assert make(owed) is None
    pay(owed, "2", 400, "b")
    with owed.town() as town:
        town.payments.reverse(first, reason="impayé")
    assert make(owed) == (2, 2, 400 - 5687)
    assert sorted((row["facture"], row["mouvement"], row["montant"]) for row in rows_of(owed, 2)) == [
        ("1", "A", "-56,87"),
        ("2", "R", "4,00"),
    ]
    (row,) = rows_of(owed, 1)
    assert row["code_famille"] == "F001"
    assert row["moyen"] == "cheque"
    assert row["recu"].startswith("CANTINE-2026-")
    assert "DURAND" not in str(rows_of(owed, 1)), "an export names no person"


def test_paid_and_reversed_between_two_exports_is_two_rows(owed):
    paid = pay(owed, "1", 5687, "a")
    with owed.town() as town:
        town.payments.reverse(paid, reason="erreur")
    assert make(owed) == (1, 2, 0)
    assert make(owed) is None


def correct(portal, payment, means):
    with portal.town() as town:
        town.accounts.corrections.correct(payment, means, reason="x")


def test_a_corrected_means_goes_out_as_two_rows_once(owed):
    payment = pay(owed, "1", 5687, "a", means=Means.CASH)
    assert make(owed) == (1, 1, 5687)
    correct(owed, payment, "cheque")
    assert make(owed) == (2, 2, 0)
    assert [(row["mouvement"], row["moyen"], row["montant"]) for row in rows_of(owed, 2)] == [
        ("C", "cash", "-56,87"), ("C", "cheque", "56,87"),
    ]  # fmt: skip
    assert make(owed) is None
    with owed.town() as town:
        town.payments.reverse(payment, reason="x")
    assert make(owed) == (3, 1, -5687)
    assert rows_of(owed, 3)[0]["moyen"] == "cheque"


def test_what_is_corrected_before_it_is_told_or_back_again_is_told_rightly(owed):
    early = pay(owed, "1", 5000, "a", means=Means.CASH)
    correct(owed, early, "terminal")
    assert make(owed) == (1, 1, 5000)
    assert rows_of(owed, 1)[0]["moyen"] == "terminal"
    correct(owed, early, "cash")
    correct(owed, early, "terminal")
    assert make(owed) is None


def test_corrected_and_taken_back_between_two_exports(owed):
    payment = pay(owed, "1", 5687, "a", means=Means.CASH)
    make(owed)
    correct(owed, payment, "cheque")
    with owed.town() as town:
        town.payments.reverse(payment, reason="x")
    assert make(owed) == (2, 3, -5687)
    assert [(row["mouvement"], row["moyen"]) for row in rows_of(owed, 2)] == [
        ("C", "cash"), ("C", "cheque"), ("A", "cheque"),
    ]  # fmt: skip
    assert make(owed) is None


def test_both_halves_of_a_correction_are_in_one_export(owed, monkeypatch):
    one = pay(owed, "1", 5687, "a", means=Means.CASH)
    make(owed)
    pay(owed, "9", 100, "b")
    owed.clock.pass_time(minutes=1)
    correct(owed, one, "cheque")
    monkeypatch.setattr("core.exchanges.exports.MAX_ROWS", 2)
    assert make(owed) == (2, 1, 100)
    assert make(owed) == (3, 2, 0)


def test_an_export_is_a_workbook_where_the_regie_wants_one(owed):
    with owed.town() as town:
        town.payment_exports.keep_layout("CANTINE", replace(ExportLayout(), format="xlsx"))
    pay(owed, "1", 5687, "a", means=Means.CASH)
    make(owed)
    with owed.town() as town:
        found = town.payment_exports.numbered("CANTINE", 1)
        assert found.file_name == "reglements-CANTINE-00001.xlsx"
        assert "spreadsheetml" in found.media_type
        sheet = load_workbook(io.BytesIO(town.payment_exports.content(found.id))).active
    titles, cells = ([cell.value for cell in row] for row in sheet.iter_rows())
    row = dict(zip(titles, cells, strict=True))
    assert (row["montant"], row["facture"], row["moyen"], row["exercice"]) == (56.87, "1", "cash", 2026)
    assert row["date"].date() == date(2026, 3, 10)


def test_what_a_credit_note_frees_leaves_its_invoice_and_pays_another(owed):
    paid = pay(owed, "1", 5687, "a")
    owed.publish(record("A1", amount=-2000, kind=InvoiceKind.CREDIT_NOTE, origin_number="1", lines=()))
    with owed.town() as town:
        first, second = (town.invoices.by_number(number)[0].id for number in ("1", "2"))
        town.credits.free(first)
        (credit,) = town.credits.from_invoice(first)
        town.credits.pay(credit.id, second, 700, key="use")
    assert make(owed) == (1, 3, 5687 - 2000 + 700)
    assert [(row["facture"], row["mouvement"], row["montant"]) for row in rows_of(owed, 1)] == [
        ("1", "R", "56,87"),
        ("1", "V", "-20,00"),
        ("2", "R", "7,00"),
    ]
    with owed.town() as town:
        town.payments.reverse(paid, reason="impayé")
    assert make(owed) == (2, 3, 2000 - 5687 - 700)


def test_an_export_is_the_same_bytes_for_ever(owed):
    pay(owed, "1", 5687, "a")
    make(owed)
    with owed.town() as town:
        found = town.payment_exports.numbered("CANTINE", 1)
        before = town.payment_exports.content(found.id)
        town.payment_exports.keep_layout(
            "CANTINE", ExportLayout((("facture", "N"), ("montant", "M")), amounts="cents", encoding="utf-8")
        )
    with owed.town() as town:
        assert town.payment_exports.content(found.id) == before
    pay(owed, "2", 400, "b")
    make(owed)
    with owed.town() as town:
        second = town.payment_exports.numbered("CANTINE", 2)
        assert town.payment_exports.content(second.id) == b"N;M\r\n2;400\r\n"


def test_each_regie_and_each_town_has_its_own_numbers(owed):
    owed.publish(record("1"), slug="brumes")
    pay(owed, "1", 100, "a")
    pay(owed, "1", 200, "a", slug="brumes")
    assert make(owed) == (1, 1, 100)
    assert make(owed, "brumes") == (1, 1, 200)
    with owed.town() as town:
        assert town.payment_exports.make("GARDERIE") is None


def test_what_is_older_than_the_first_day_is_left_out_and_its_reversal_is_not(owed):
    old = pay(owed, "1", 5687, "a")
    owed.clock.pass_time(days=3)
    with owed.town() as town:
        town.payment_exports.keep_layout("CANTINE", ExportLayout(since=date(2026, 3, 12)))
    pay(owed, "2", 400, "b")
    assert make(owed) == (1, 1, 400)
    with owed.town() as town:
        town.payments.reverse(old, reason="impayé")
    assert make(owed) == (2, 1, -5687)


def test_a_cell_that_the_encoding_cannot_write_is_refused_and_nothing_is_lost(owed):
    owed.publish(record("Ω7", family="F003"))
    with owed.town() as town:
        town.payment_exports.keep_layout("CANTINE", ExportLayout(encoding="windows-1252"))
    pay(owed, "Ω7", 100, "a")
    with pytest.raises(UserError, match="Ω"):
        make(owed)
    with owed.town() as town:
        town.payment_exports.keep_layout("CANTINE", ExportLayout())
    assert make(owed) == (1, 1, 100)


# --- The sum of the exports is the ledger ---------------------------------------------------------


@pytest.fixture(scope="module")
def ledger(module_database, tmp_path_factory):
    made = make_portal(module_database, tmp_path_factory.mktemp("ledger"))
    yield made
    made.runtime.close()


NAMES = count(1)
ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ("pay", "pay", "correct", "reverse", "too_much", "use", "undo", "note", "export", "killed", "time")
        ),
        st.integers(0, 7),
        st.sampled_from((1, 999, 3000, 5687)),
    ),
    min_size=4,
    max_size=10,
)


class Story:
    """One family's year, of which each act may be refused, or cut off before its end."""

    def __init__(self, portal):
        self.portal = portal
        self.name = f"S{next(NAMES):05d}"
        self.numbers = [f"{self.name}-{n}" for n in range(3)]
        portal.publish(*(record(n, family=self.name) for n in self.numbers))
        self.payments = []
        self.step = 0

    def do(self, act, at, cents):
        self.step += 1
        number, key = self.numbers[at % 3], f"{self.name}-{self.step}"
        with suppress(UserError):
            getattr(self, act)(number, at, cents, key)

    def pay(self, number, _at, cents, key):
        self.payments.append(pay(self.portal, number, cents, key))

    def too_much(self, number, _at, cents, key):
        with self.portal.town() as town:
            invoice = town.invoices.by_number(number)[0]
            self.payments.append(
                town.payments.record(
                    regie="CANTINE", family_id=invoice.family_id, means=Means.CHEQUE,
                    amount=cents + 2000, paid_at=town.clock.now(), payer="x",
                    shares=[(invoice.id, cents)], key=key,
                ).payment_id
            )  # fmt: skip

    def reverse(self, _number, at, _cents, _key):
        if self.payments:
            with self.portal.town() as town:
                town.payments.reverse(self.payments[at % len(self.payments)], reason="x")

    def correct(self, _number, at, cents, _key):
        if self.payments:
            correct(self.portal, self.payments[at % len(self.payments)], ("cash", "terminal", "cheque")[cents % 3])

    def use(self, number, at, cents, key):
        with self.portal.town() as town:
            invoice = town.invoices.by_number(number)[0]
            found = town.credits.waiting(family_id=invoice.family_id)
            if found:
                credit = found[at % len(found)].Credit
                town.credits.pay(credit.id, invoice.id, cents, key=key)

    def undo(self, number, at, _cents, _key):
        with self.portal.town() as town:
            uses = town.session.scalars(
                text(
                    "SELECT u.id FROM credit_use u JOIN credit c ON c.tenant_id = u.tenant_id AND c.id = u.credit_id"
                    " JOIN family f ON f.tenant_id = c.tenant_id AND f.id = c.family_id WHERE f.code = :code"
                ),
                {"code": self.name},
            ).all()
            if uses:
                town.credits.undo(uses[at % len(uses)], reason="x")

    def note(self, number, _at, cents, key):
        """A credit note, and what it leaves of a paid invoice is freed."""
        self.portal.publish(
            record(
                f"A{key}", family=self.name, amount=-min(cents, 5687), kind=InvoiceKind.CREDIT_NOTE,
                origin_number=number, lines=(),
            )
        )  # fmt: skip
        with self.portal.town() as town:
            town.credits.free(town.invoices.by_number(number)[0].id)

    def export(self, *_args):
        make(self.portal)

    def killed(self, *_args):
        """The machine fails once all is written, and before it is committed."""
        with suppress(ZeroDivisionError), self.portal.town() as town:
            town.payment_exports.make("CANTINE")
            raise ZeroDivisionError

    def time(self, *_args):
        self.portal.clock.pass_time(hours=7)


@settings(max_examples=12, suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_the_sum_of_all_exports_is_what_each_invoice_was_paid(ledger, acts):
    story = Story(ledger)
    for act, at, cents in acts:
        if act == "note":
            with suppress(AssertionError):  # More credit notes than the invoice is worth: refused.
                story.do(act, at, cents)
        else:
            story.do(act, at, cents)
    make(ledger)
    assert make(ledger) is None
    with ledger.town() as town:
        told = town.session.execute(
            text(
                "SELECT i.number, i.paid, coalesce(sum(l.amount), 0) AS told FROM invoice i LEFT JOIN"
                " (SELECT a.tenant_id, a.invoice_id, l.amount FROM payment_export_line l JOIN allocation a"
                "   ON a.tenant_id = l.tenant_id AND a.id = l.allocation_id"
                "  UNION ALL SELECT c.tenant_id, c.invoice_id, l.amount FROM payment_export_line l JOIN credit c"
                "   ON c.tenant_id = l.tenant_id AND c.id = l.credit_id) l"
                " ON l.tenant_id = i.tenant_id AND l.invoice_id = i.id GROUP BY i.tenant_id, i.id"
            )
        ).all()
        assert {row.number: row.told for row in told} == {row.number: row.paid for row in told}
        by_means = town.session.execute(
            text(
                "SELECT means, sum(told) AS told, sum(paid) AS paid FROM ("
                " SELECT means, amount AS told, 0 AS paid FROM payment_export_line"
                " UNION ALL SELECT p.means, 0, a.amount FROM allocation a JOIN payment p"
                "  ON p.tenant_id = a.tenant_id AND p.id = a.payment_id WHERE a.reversed_at IS NULL"
                " UNION ALL SELECT p.means, 0, -c.amount FROM credit c JOIN payment p"
                "  ON p.tenant_id = c.tenant_id AND p.id = c.payment_id"
                "  WHERE c.reversed_at IS NULL AND c.invoice_id IS NOT NULL) moved GROUP BY means"
            )
        ).all()
        assert {row.means: row.told for row in by_means} == {row.means: row.paid for row in by_means}
        sums = town.session.execute(
            text(
                "SELECT e.number, e.total, e.count, sum(l.amount) AS lines, count(*) AS rows, max(l.rank) AS last"
                " FROM payment_export e JOIN payment_export_line l"
                " ON l.tenant_id = e.tenant_id AND l.export_id = e.id GROUP BY e.tenant_id, e.id ORDER BY e.number"
            )
        ).all()
        assert [row.number for row in sums] == list(range(1, len(sums) + 1))
        assert all(row.total == row.lines and row.count == row.rows == row.last for row in sums)


def test_exports_made_at_once_while_payments_come_and_go_tell_each_movement_once(owed):
    owed.publish(*(record(f"C{n}", family=f"G{n}") for n in range(12)))

    def come_and_go(n):
        paid = pay(owed, f"C{n}", 5687, f"c{n}")
        if n % 3 == 0:
            with owed.town() as town:
                town.payments.reverse(paid, reason="x")

    def export(_n):
        return make(owed)

    with ThreadPoolExecutor(6) as pool:
        work = [pool.submit(*job) for n in range(12) for job in ((come_and_go, n), (export, n))]
        done = [one.result(timeout=2 * PATIENCE_SECONDS) for one in work]
    last = make(owed)
    made = sorted(one for one in [*done, last] if one)
    assert [number for number, _count, _total in made] == list(range(1, len(made) + 1))
    assert sum(rows for _number, rows, _total in made) == 12 + 4
    assert sum(total for _number, _rows, total in made) == 8 * 5687
    assert make(owed) is None


# --- Fetched by the billing software -------------------------------------------------------------


@pytest.fixture
def software(owed):
    """The billing software of a town, with its token."""

    class Software:
        def __init__(self):
            self.app = TestApp(pages_of(owed.runtime), extra_environ={"HTTP_HOST": "localhost"})
            self.token = self.renew()

        def renew(self, slug="valmont"):
            with owed.town(slug) as town:
                self.token = town.exchange_tokens.renew()
            return self.token

        def get(self, rest="CANTINE", *, slug="valmont", token=None, header=None, **query):
            header = header or f"Bearer {token or self.token}"
            return self.app.get(
                f"/{slug}/echanges/reglements/{rest}", query, headers={"Authorization": header},
                expect_errors=True,
            )  # fmt: skip

    return Software()


def test_a_software_that_counts_asks_for_what_comes_after(owed, software):
    assert software.get(apres=0).status_int == 204
    pay(owed, "1", 5687, "a")
    one = software.get(apres=0)
    assert one.status_int == 200
    assert one.headers["X-Preau-Export"] == "1"
    assert one.content_type == "text/csv"
    assert "reglements-CANTINE-00001.csv" in one.headers["Content-Disposition"]
    pay(owed, "2", 100, "b")
    assert software.get(apres=0).body == one.body, "a broken connection loses nothing"
    two = software.get(apres=1)
    assert two.headers["X-Preau-Export"] == "2"
    assert software.get(apres=2).status_int == 204
    assert software.get(apres=7).status_int == 409
    assert software.get(apres="x").status_int == 422
    assert software.get("CANTINE/1.csv").body == one.body
    assert software.get("CANTINE/3.csv").status_int == 404


def test_a_software_that_keeps_nothing_gets_what_has_not_left(owed, software):
    pay(owed, "1", 5687, "a")
    assert software.get().headers["X-Preau-Export"] == "1"
    assert software.get().status_int == 204
    with owed.town() as town:
        found = town.payment_exports.numbered("CANTINE", 1)
        assert found.left_by == "billing:token"
        town.payment_exports.again(found.id)
    assert software.get().headers["X-Preau-Export"] == "1"


def test_a_token_opens_one_town_until_it_is_renewed_and_is_kept_hashed(owed, software):
    owed.publish(record("1"), slug="brumes")
    pay(owed, "1", 300, "a", slug="brumes")
    old = software.token
    assert software.get(slug="brumes").status_int == 401
    basic = "Basic " + base64.b64encode(f"logiciel:{old}".encode()).decode()
    assert software.get(header=basic).status_int == 204
    for header in ("", "Bearer", "Bearer x", "Basic !!", "Digest x", f"Basic {base64.b64encode(b'x').decode()}"):
        answer = software.get(header=header or "x")
        assert answer.status_int == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    new = software.renew()
    assert software.get(token=old).status_int == 401
    assert software.get(token=new).status_int == 204
    with owed.town() as town:
        kept = town.session.execute(text("SELECT * FROM exchange_token")).all()
        assert len(kept) == 2
        assert new not in str(kept)
        town.exchange_tokens.end()
    assert software.get(token=new).status_int == 401
    assert software.get("CRECHE").status_int == 401


def test_a_regie_that_does_not_collect_has_no_exports(software):
    assert software.get("CRECHE").status_int == 404
    assert software.get("NULLE").status_int == 404


# --- By command ----------------------------------------------------------------------------------


def test_the_command_exports_and_repeats_by_number(owed, monkeypatch, tmp_path):
    monkeypatch.setattr(cli_invoices, "get_runtime", lambda: owed.runtime)

    def run(*arguments):
        return CliRunner().invoke(command, [str(a) for a in arguments])

    assert "Nothing to export" in run("export", "valmont", "CANTINE").stderr
    pay(owed, "1", 5687, "a")
    first = run("export", "valmont", "CANTINE")
    assert "1 rows, 56,87" in first.stderr
    again = run("export", "valmont", "CANTINE", "--number", 1, "--to", tmp_path / "out")
    assert again.exit_code == 0
    assert (tmp_path / "out" / "reglements-CANTINE-00001.csv").read_bytes() == first.stdout_bytes
    assert run("export", "valmont", "CANTINE", "--number", 2).exit_code == 1
    assert run("export", "valmont", "CRECHE").exit_code == 1
    assert "left" in run("exports", "valmont").output
