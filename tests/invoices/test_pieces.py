"""Invoices that are called otherwise than by their number: before, and in their issuer's accounts."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import text

from core.api.errors import UserError
from core.api.invoices import Attachment, InvoiceKind, Relation
from core.api.payments import Means
from core.imports.corrections import Corrected
from core.platform.errors import NotFoundError
from core.testing.portal import Records, record

OLD = record("314")
NEW = record("2026-P1-314", former_numbers=("314",), piece_keys=("dette/2026/1/314",))


def run(portal, *items, publish=True, **options):
    with portal.town() as town:
        report = town.imports.run(Records(*items), portal.file(), **options)
        if report.batch_id and publish:
            town.imports.publish(report.batch_id)
        return report


def due(portal, family="F001"):
    with portal.town() as town:
        found = town.families.by_code(family)
        return {one.number: one.balance for one in town.invoices.unpaid(found.id)}


def waiting(portal):
    with portal.town() as town:
        rows = town.invoice_list.page(to_link=True).rows
        assert town.figures.waiting().to_link == len(rows)
        return [row.Invoice.number for row in rows]


def note(number="AV1", amount=-5687, **more):
    kind = {"kind": InvoiceKind.CREDIT_NOTE, "lines": (), "label": "Avoir"}
    return record(number, amount=amount, **(kind | more))


def number_of(portal, number):
    with portal.town() as town:
        query = text("SELECT id FROM invoice WHERE number = :number")
        return town.session.scalar(query, {"number": number})


# --- Former numbers ------------------------------------------------------------------------------


def test_an_invoice_of_a_former_number_is_the_same(portal):
    run(portal, OLD)
    report = run(portal, NEW)
    assert (report.batch_id, report.counts["unchanged"]) == (None, 1)
    assert due(portal) == {"314": 5687}


def test_it_may_have_changed_meanwhile(portal):
    run(portal, OLD)
    changed = record(NEW.number, amount=4000, former_numbers=("314",))
    assert run(portal, changed).counts["changed"] == 1
    assert due(portal) == {"314": 4000}
    assert run(portal, changed).batch_id is None


def test_it_may_have_been_paid(portal):
    run(portal, OLD)
    with portal.town() as town:
        invoice = town.invoices.by_number("314")[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=5687,
            paid_at=portal.clock.now(), payer="X", shares=[(invoice.id, 5687)], key="1",
        )  # fmt: skip
    report = run(portal, NEW)
    assert (report.refused, report.counts["unchanged"]) == (False, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"fiscal_year": 2027, "issued_on": date(2027, 3, 1), "due_on": date(2027, 3, 31)},
        {"issued_on": date(2026, 3, 2)},
        {"family_code": "F002"},
        {"kind": InvoiceKind.CREDIT_NOTE, "amount": -5687, "lines": ()},
    ],
    ids=["another year", "another day", "another family", "a credit note"],
)
def test_what_differs_is_another_invoice(portal, other):
    run(portal, OLD)
    changes = {"family": other.pop("family_code", "F001")} | other
    report = run(portal, record("2026-P1-314", former_numbers=("314",), **changes))
    assert report.counts["created"] == 1
    assert due(portal)["314"] == 5687


def test_an_invoice_that_is_like_one_of_the_same_year_is_told_of(portal):
    run(portal, OLD)
    report = run(portal, record(NEW.number, former_numbers=("314",), issued_on=date(2026, 3, 2)))
    assert [notice.value for notice in report.notices] == ["2026-P1-314 / 314"]


def test_of_two_that_claim_one_the_unchanged_one_is_it(portal):
    run(portal, OLD)
    second = record("2026-P2-314", amount=700, former_numbers=("314",))
    report = run(portal, second, NEW)
    assert (report.counts["created"], report.counts["unchanged"]) == (1, 1)
    assert due(portal) == {"314": 5687, "2026-P2-314": 700}


def test_of_two_that_claim_one_and_have_changed_neither_is_it(portal):
    run(portal, OLD)
    claims = [record(f"2026-P{n}-314", amount=n, former_numbers=("314",)) for n in (1, 2)]
    assert run(portal, *claims).counts["created"] == 2


def test_once_its_name_is_known_only_that_piece_is_it(portal):
    run(portal, OLD)
    run(portal, NEW)
    other = record("2026-P2-314", former_numbers=("314",), piece_keys=("dette/2026/2/314",))
    assert run(portal, other).counts["created"] == 1
    assert run(portal, NEW).counts["unchanged"] == 1


def test_a_document_of_the_same_invoice_is_not_kept_twice(portal):
    pdf = Attachment("a.pdf", lambda: b"%PDF-1.7 a")
    run(portal, record("314", document=pdf))
    run(portal, record(NEW.number, former_numbers=("314",), document=pdf))
    with portal.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM document")) == 1


def test_one_year_s_invoice_is_never_another_s(portal):
    """Whatever the source: a CSV whose numbers begin anew in January is refused by name."""
    run(portal, record("1"))
    report = run(portal, record("1", fiscal_year=2027))
    assert [problem.value for problem in report.problems] == ["1"]
    assert "exercice" in report.problems[0].message


# --- Names in the accounts -----------------------------------------------------------------------


def test_a_note_finds_its_invoice_by_its_name_in_any_order(portal):
    run(portal, note(refers_to=("p/832",)))
    assert waiting(portal) == ["AV1"]
    run(portal, record("1", piece_keys=("p/832",)))
    assert (waiting(portal), due(portal)) == ([], {})


def test_a_dry_run_tells_and_links_nothing(portal):
    run(portal, record("1"))
    report = run(portal, note(refers_to=("p/832",)), dry_run=True)
    assert report.notice_count == 1
    run(portal, note(refers_to=("p/832",)))
    run(portal, record("1", piece_keys=("p/832",)), dry_run=True)
    assert waiting(portal) == ["AV1"]
    run(portal, record("1", piece_keys=("p/832",)))
    assert waiting(portal) == []


def test_of_several_of_a_name_the_others_decide_else_nobody(portal):
    run(
        portal,
        record("1", piece_keys=("p/12", "d/1")), record("2", piece_keys=("p/12", "d/2")),
        note("A", refers_to=("p/12", "d/2")), note("B", -100, refers_to=("p/12",)),
        note("C", -100, refers_to=("p/99", "d/2")),
    )  # fmt: skip
    assert sorted(waiting(portal)) == ["B", "C"]
    assert due(portal) == {"1": 5687}


def test_no_note_takes_more_off_than_its_invoice_is(portal):
    run(portal, record("1", piece_keys=("p/1",)))
    run(portal, note("A", -5000, refers_to=("p/1",)), note("B", -687, refers_to=("p/1",)))
    assert (waiting(portal), due(portal)) == ([], {})
    run(portal, note("C", -1, refers_to=("p/1",)))
    run(portal, record("2", piece_keys=("p/2",)))
    run(portal, note("D", -5000, refers_to=("p/2",)), note("E", -688, refers_to=("p/2",)))
    assert sorted(waiting(portal)) == ["C", "E"]
    assert due(portal) == {"2": 687}


def test_a_note_without_any_invoice_waits_and_one_of_nothing_does_not(portal):
    run(portal, note("A"), note("B", 0), note("C", origin_number="404"))
    assert sorted(waiting(portal)) == ["A", "C"]


def test_a_correction_by_hand_and_its_undoing_keep_the_names(portal):
    run(portal, record("1", piece_keys=("p/832",)))
    with portal.town() as town:
        invoice = town.billing.get(number_of(portal, "1"))
        change = Corrected("Autre", invoice.due_on)
        batch = town.corrections.correct(invoice.id, change, seen=invoice.content_hash, reason="x")
    with portal.town() as town:
        assert town.billing.get(number_of(portal, "1")).piece_keys == ["p/832"]
        town.imports.undo(batch)
    run(portal, note(refers_to=("p/832",)))
    assert waiting(portal) == []


def test_undoing_brings_the_reference_back(portal):
    run(portal, note(refers_to=("p/1",)), record("1", piece_keys=("p/1",)))
    report = run(portal, note(amount=-100, refers_to=("p/2",)))
    assert waiting(portal) == ["AV1"]
    with portal.town() as town:
        town.imports.undo(report.batch_id)
    assert (waiting(portal), due(portal)) == ([], {})


def test_a_change_from_before_the_names_can_be_undone(portal):
    run(portal, record("1"))
    report = run(portal, record("1", amount=4000))
    with portal.town() as town:
        town.session.execute(
            text(
                "UPDATE invoice_change SET before = before #- '{invoice,piece_keys}'"
                " #- '{invoice,refers_to}' #- '{invoice,relation}'"
            )
        )
        town.imports.undo(report.batch_id)
    assert due(portal) == {"1": 5687}


def test_an_invoice_in_place_of_another_waits_while_both_can_be_paid(portal):
    run(portal, record("1", piece_keys=("p/1",)))
    again = record("2", piece_keys=("p/2",), refers_to=("p/1",), relation=Relation.REPLACES)
    report = run(portal, again)
    assert (report.notice_count, waiting(portal)) == (1, ["2"])
    with portal.town() as town:
        town.billing.cancel(number_of(portal, "1"), reason="réémise")
    assert waiting(portal) == []


# --- By hand -------------------------------------------------------------------------------------


def test_an_agent_links_a_note(portal):
    run(portal, record("1"), record("2"), note(amount=-687))
    with portal.town() as town:
        town.billing.link(number_of(portal, "AV1"), number_of(portal, "1"))
    assert (waiting(portal), due(portal)) == ([], {"1": 5000, "2": 5687})
    with portal.town() as town, pytest.raises(UserError):
        town.billing.link(number_of(portal, "AV1"), number_of(portal, "2"))


@pytest.mark.parametrize(
    ("origin", "error"),
    [
        (record("9", family="F002"), NotFoundError), (record("9", regie="GARDERIE"), NotFoundError),
        (record("9", amount=100, lines=()), UserError), (note("9", -100), NotFoundError),
    ],
    ids=["another family", "another régie", "too small", "a credit note"],
)  # fmt: skip
def test_a_note_is_linked_to_what_it_can_correct_only(portal, origin, error):
    run(portal, note(), origin)
    with portal.town() as town, pytest.raises(error):
        town.billing.link(number_of(portal, "AV1"), number_of(portal, "9"))
    assert "AV1" in waiting(portal)


def test_an_agent_sets_a_note_aside(portal):
    run(portal, note())
    with portal.town() as town:
        town.billing.set_aside(number_of(portal, "AV1"), reason="facture de papier")
    assert waiting(portal) == []
    assert run(portal, note()).batch_id is None, "the same file again does not bring it back"
    assert waiting(portal) == []
