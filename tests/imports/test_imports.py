"""Imports: whole or not at all, twice without effect, undone at will."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from core.api.errors import UserError
from core.api.invoices import InvoiceKind, LineRecord, SourceNotice, SourceProblem, TaxKind
from core.imports.corrections import Corrected
from core.platform.errors import ImportRefusedError
from core.testing.portal import Records, record

TABLES = ("family", "child", "family_child", "invoice", "invoice_line", "document", "import_batch")


def rows(town):
    return {
        table: town.session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        for table in TABLES
    }


def run(portal, *items, **options):
    with portal.town() as town:
        return town.imports.run(Records(*items), portal.file(), **options)


def test_families_and_children_are_created_and_matched(portal):
    report = run(portal, record("1"), record("2"), record("3", family="f 002", debtor="MARTIN"))
    assert report.counts == {
        "created": 3, "changed": 0, "unchanged": 0, "families": 2, "children": 1,
    }  # fmt: skip
    with portal.town() as town:
        assert town.families.by_code("F002").name == "MARTIN"
        assert [child.name for child in town.families.children(town.families.by_code("F001").id)] == ["E001"]


def test_a_first_name_is_a_child_of_its_family_only(portal):
    line = LineRecord(1, "Repas", TaxKind.MEAL, 5687, child="Léa")
    report = run(portal, record("1", lines=(line,)), record("2", family="F002", lines=(line,)))
    assert report.counts["children"] == 2


@pytest.mark.parametrize("other", ["Zoe\u0301", "ZOE\u0301", " Zoé", "zo\u0065\u0301\u00a0"])
def test_a_first_name_in_another_spelling_of_its_accent_is_the_same_child(portal, other):
    """A Macintosh writes the accent as a character of its own."""
    for number, child in (("1", "Zoé"), ("2", other)):
        line = LineRecord(1, "Gou\u0302ter", TaxKind.MEAL, 5687, child=child)
        label = "Cantine de de\u0301cembre"
        report = run(portal, record(number, lines=(line,), label=label, debtor="ME\u0301RIC"))
    assert report.counts["children"] == 0
    with portal.town() as town:
        family = town.families.by_code("F001")
        assert [child.name for child in town.families.children(family.id)] == ["Zoé"]
        assert family.name == "MÉRIC"


def test_importing_again_changes_nothing(portal):
    run(portal, record("1"), record("2"))
    with portal.town() as town:
        before = rows(town)
    report = run(portal, record("1"), record("2"))
    assert report.counts["unchanged"] == 2
    assert report.batch_id is None
    with portal.town() as town:
        assert rows(town) == before


@pytest.mark.parametrize(
    "bad",
    [
        SourceProblem("illisible", "x.csv", 3, "montant", "12,345"),
        record("1"),
        record("9", regie="PISCINE"),
        record("9", family="  "),
        record("9", amount=100, lines=(LineRecord(1, "Repas", TaxKind.MEAL, 99),)),
    ],
    ids=["unreadable", "repeated", "unknown regie", "no family", "wrong sum"],
)
def test_one_bad_line_and_nothing_is_stored(portal, bad):
    with portal.town() as town:
        before = rows(town)
    report = run(portal, record("1"), record("2", family="F002"), bad)
    assert report.refused
    assert report.problem_count == 1
    assert report.batch_id is None
    with portal.town() as town:
        assert rows(town) == before


def test_a_dry_run_tells_all_and_keeps_nothing(portal):
    with portal.town() as town:
        before = rows(town)
    report = run(portal, record("1"), dry_run=True)
    assert report.counts["created"] == 1
    with portal.town() as town:
        assert rows(town) == before


def test_a_change_before_payment_replaces_and_undo_restores(portal):
    portal.publish(record("1", label="Cantine"))
    report = run(portal, record("1", label="Cantine corrigée", amount=6000))
    assert report.counts["changed"] == 1
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        assert (invoice.label, invoice.amount) == ("Cantine corrigée", 6000)
        assert [line.amount for line in town.invoices.lines(invoice.id)] == [6000]
        assert town.imports.undo(report.batch_id) == 1
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        assert (invoice.label, invoice.amount) == ("Cantine", 5687)
        assert [line.amount for line in town.invoices.lines(invoice.id)] == [5687]


def pay(portal, number, amount=5687):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number(number)
        return town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means="cheque", amount=amount,
            paid_at=portal.clock.now(), payer="DURAND", shares=[(invoice.id, amount)], key=number,
        )  # fmt: skip


def test_a_change_after_payment_is_refused(portal):
    portal.publish(record("1"))
    pay(portal, "1")
    report = run(portal, record("1", amount=6000))
    assert report.refused
    assert "payée" in report.problems[0].message


def test_an_invoice_never_moves_to_another_family(portal):
    portal.publish(record("1"))
    assert run(portal, record("1", family="F002")).refused


def test_undo_takes_all_back(portal):
    with portal.town() as town:
        before = rows(town)
    batch = portal.publish(record("1"), record("2", family="F002"))
    with portal.town() as town:
        assert town.imports.undo(batch) == 2
        assert town.imports.undo(batch) == 0
    with portal.town() as town:
        after = rows(town)
    assert after == before | {"import_batch": before["import_batch"] + 1}


def test_undo_is_refused_once_something_is_paid(portal):
    batch = portal.publish(record("1"), record("2"))
    pay(portal, "1")
    with portal.town() as town, pytest.raises(ImportRefusedError, match="1"):
        town.imports.undo(batch)
    with portal.town() as town:
        assert len(town.invoices.by_number("2")) == 1


def test_a_family_that_was_given_codes_stays(portal):
    batch = portal.publish(record("1"))
    portal.codes("F001")
    with portal.town() as town:
        town.imports.undo(batch)
    with portal.town() as town:
        assert town.families.by_code("F001") is not None


def test_an_invoice_whose_attempt_came_to_nothing_is_cancelled_and_may_come_again(portal):
    batch = portal.publish(record("1"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        first = town.attempts.create(invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="1")
        # A second form pushes the first attempt, which never left, aside.
        town.attempts.create(invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="2")
        assert first
        with pytest.raises(ImportRefusedError):
            town.imports.undo(batch)
    with portal.town() as town:
        town.session.execute(text("UPDATE payment_item SET live = false"))
        town.session.execute(text("UPDATE payment SET state = 'cancelled'"))
        town.imports.undo(batch)
    with portal.town() as town:
        assert town.invoices.by_number("1") == []
    again = portal.publish(record("1"))
    assert again != batch
    with portal.town() as town:
        assert len(town.invoices.by_number("1")) == 1


def test_publishing_tells_each_family_once(portal):
    portal.publish(record("1"), record("2"), record("3", family="F002"))
    portal.work()
    with portal.town() as town:
        told = town.session.execute(
            text("SELECT payload -> 'events' FROM outbox WHERE topic = 'notify'")
        ).scalar_one()
    assert [len(event["invoice_ids"]) for event in told] == [2, 1]
    assert {row.state for row in portal.outbox()} == {"done"}


def test_a_large_publication_tells_its_families_in_rows_of_fifty(portal):
    portal.publish(*(record(str(n), family=f"F{n:03d}") for n in range(101)))
    portal.work()
    with portal.town() as town:
        told = town.session.execute(
            text("SELECT payload -> 'events', bulk FROM outbox WHERE topic = 'notify'")
        ).all()
    assert sorted(len(events) for events, _bulk in told) == [1, 50, 50]
    assert all(bulk for _events, bulk in told)
    assert len({event["family_id"] for events, _bulk in told for event in events}) == 101


def test_two_imports_in_one_transaction(portal):
    with portal.town() as town:
        town.imports.run(Records(record("1")), portal.file())
        report = town.imports.run(Records(record("2")), portal.file())
    assert report.counts["created"] == 1


def test_amounts_are_integers(portal):
    portal.publish(record("1"))
    pay(portal, "1", 1000)
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        assert type(invoice.balance) is int
        assert invoice.balance == 4687


@pytest.fixture
def titres(portal):
    """A provider that sends the invoice's reference as it is."""
    portal.bank.reference_pattern = "[A-Z]{6}"
    portal.runtime.answers.forget()
    yield
    portal.bank.reference_pattern = ""
    portal.runtime.answers.forget()


@pytest.mark.parametrize("reference", ["ABCD", "ABCDEFG", "N°2026/12", ""])
def test_a_reference_that_nobody_can_pay_with_online_is_told_by_name(portal, titres, reference):
    report = run(
        portal,
        record("1", payment_reference="ABCDEF"),
        record("2", payment_reference=reference, line_number=7),
    )
    (notice,) = report.notices
    assert (notice.line, notice.column, notice.value) == (7, "ref_tipi", reference)
    assert "La facture 2 " in notice.message
    assert "[A-Z]{6}" in notice.message
    # The debt may well have this reference, and is paid elsewhere: the file comes in.
    assert report.counts["created"] == 2


def test_an_invoice_that_is_not_paid_online_may_bring_any_reference(portal, titres):
    report = run(
        portal,
        record("1", payment_reference="ABCD", direct_debit=True),
        record("3", payment_reference="ABCD", amount=-5687, kind=InvoiceKind.CREDIT_NOTE),
    )
    assert report.counts["created"] == 2
    assert [notice for notice in report.notices if notice.column == "ref_tipi"] == []


def test_what_a_source_leaves_out_is_counted_by_reason_and_stops_nothing(portal):
    rent = SourceNotice("Autres services", line=3, value="LOYER", left_out=True, amount=70000)
    report = run(portal, rent, record("1"), rent, SourceNotice("À savoir", line=1))
    assert report.batch_id is not None
    assert report.left_out == {"Autres services": {"count": 2, "cents": 140000}}
    assert (report.notice_count, [one.line for one in report.notices]) == (3, [1, 3, 3])
    assert report.counts["left_out"] == 2


def test_a_file_of_other_services_only_is_no_error_and_no_import(portal):
    report = run(portal, SourceNotice("Autres services", left_out=True, amount=1))
    assert (report.refused, report.batch_id) == (False, None)


def test_reasons_without_end_are_counted_together(portal):
    report = run(portal, *(SourceNotice(f"r{n}", left_out=True, amount=1) for n in range(500)))
    assert sum(sums["count"] for sums in report.left_out.values()) == 500
    assert len(report.left_out) < 60
    assert len(report.notices) == 200


# --- One code, two spellings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [("1-234", "12-34"), ("1234", "12-34"), ("12 34", "12.34"), ("A_1", "A1"), ("ab1", "AB1")],
)
def test_two_spellings_of_one_code_are_two_households_until_somebody_says(portal, one, other):
    """In one file or in two: else a household gets the other's invoices under its name."""
    together = run(portal, record("1", family=one), record("2", family=one), record("3", family=other))
    assert together.batch_id is None
    (problem,) = together.problems
    assert (problem.column, problem.value) == ("code_famille", other)
    assert f"«\u202f{one}\u202f»" in problem.message
    assert run(portal, record("1", family=one)).batch_id
    later = run(portal, record("9", family=other, debtor="MARTIN"))
    assert later.batch_id is None
    assert [problem.value for problem in later.problems] == [other]
    assert f"«\u202f{one}\u202f»" in later.problems[0].message
    assert run(portal, record("9", family=f" {one} ")).counts["created"] == 1


def test_what_an_agent_typed_is_a_spelling_too_and_can_be_corrected(portal):
    with portal.town() as town:
        family = town.files.create("12 34", "DURAND", [], "fr")
    assert run(portal, record("1", family="1-234")).problem_count == 1
    with portal.town() as town, pytest.raises(UserError):
        town.files.change(family, name="DURAND", address=[], language="fr", spelling="1-235")
    with portal.town() as town:
        town.files.change(family, name="DURAND", address=[], language="fr", spelling="1-234")
    assert run(portal, record("1", family="1-234")).counts["families"] == 0


def test_a_family_from_before_takes_the_first_spelling_that_comes(portal):
    portal.publish(record("1", family="1-234"))
    with portal.town() as town:
        town.session.execute(text("UPDATE family SET spelling = NULL"))
    assert run(portal, record("2", family="12-34")).batch_id
    assert run(portal, record("3", family="1-234")).problem_count == 1


def test_a_correction_by_hand_is_no_spelling(portal):
    portal.publish(record("1", family="1-234"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        seen = town.session.execute(text("SELECT content_hash FROM invoice")).scalar_one()
        change = Corrected("Autre", invoice.due_on)
        town.corrections.correct(invoice.id, change, reason="x", seen=seen)
    assert run(portal, record("2", family="1-234")).batch_id
