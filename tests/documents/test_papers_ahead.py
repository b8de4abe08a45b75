"""Papers of invoices are made after a publication, when there is time, and kept while they are true."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import text

from core.invoices import papers
from core.platform import i18n
from core.platform.documents import presses, render
from core.testing.portal import make_portal, record


@pytest.fixture
def ahead_by_a_press(database, redis, tmp_path, monkeypatch):
    """A portal that makes papers ahead, on a machine that has nothing else to do."""
    redis.flushall()
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    made = make_portal(database, tmp_path, papers_ahead=True)
    yield made
    made.runtime.close()


@pytest.fixture
def ahead(ahead_by_a_press, monkeypatch):
    """The same, whose papers this process sets: one that is started for each test takes seconds.

    That a process of its own sets them alike is tried once here, and in `test_presses`.
    """
    monkeypatch.setattr(presses.Press, "set", lambda _press, paper: paper.document().content)
    return ahead_by_a_press


def rows(portal):
    with portal.town() as town:
        found = town.session.execute(text("SELECT invoice_id, fingerprint FROM invoice_paper"))
        return {row.invoice_id: row.fingerprint for row in found}


def first(portal, number="2026-1"):
    with portal.town() as town:
        (found,) = town.invoices.by_number(number)
        return found.id


def document(portal, invoice_id, **options):
    with portal.town() as town:
        return town.invoices.document(invoice_id, **options)


def test_after_a_publication_a_paper_is_there_before_anybody_asks(ahead_by_a_press, monkeypatch):
    ahead = ahead_by_a_press
    monkeypatch.setattr(papers, "AHEAD_BATCH_SIZE", 2)
    ahead.publish(*(record(f"2026-{number}", family="F001") for number in range(1, 4)))
    ahead.work()
    kept = rows(ahead)
    assert len(kept) == 3
    invoice_id = first(ahead)
    with monkeypatch.context() as patch:
        patch.setattr(papers, "render_invoice", None)  # Nothing is set again.
        given = document(ahead, invoice_id)
    with ahead.town() as town:
        assert given == town.invoices.paper(invoice_id).document()
    # Published again, nothing that is still true is made again.
    with ahead.town() as town:
        town.papers_ahead.ask(1, after=-1)
    monkeypatch.setattr(presses.Press, "set", None)
    ahead.work()
    assert rows(ahead) == kept


def test_a_change_makes_another_paper_and_it_replaces_the_first(ahead):
    ahead.publish(record("2026-1", family="F001"))
    ahead.work()
    invoice_id = first(ahead)
    before, earlier = document(ahead, invoice_id), rows(ahead)
    with ahead.town() as town:
        family = town.families.by_code("F001")
        town.session.execute(
            text("UPDATE family SET address = '{12 rue du Lac}' WHERE id = :id"), {"id": family.id}
        )
    changed = document(ahead, invoice_id)
    assert changed.content != before.content
    assert rows(ahead) == earlier  # Only who may write keeps it.
    assert document(ahead, invoice_id, keep=True) == changed
    assert rows(ahead).keys() == earlier.keys()
    assert rows(ahead) != earlier


def test_another_look_is_another_paper(invoice_sheet_like, monkeypatch):
    mark = render.fingerprint(invoice_sheet_like)
    assert render.fingerprint(invoice_sheet_like) == mark
    monkeypatch.setattr(render, "_look", lambda: b"another style sheet")
    assert render.fingerprint(invoice_sheet_like) != mark


@pytest.fixture
def invoice_sheet_like(ahead):
    ahead.publish(record("2026-1", family="F001"))
    with ahead.town() as town:
        return town.invoices.sheet_to_print(town.invoices.by_number("2026-1")[0].id)


def test_a_busy_machine_makes_none_until_it_is_idle(ahead, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    ahead.publish(record("2026-1", family="F001"))
    ahead.work()
    assert rows(ahead) == {}
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    ahead.clock.pass_time(seconds=papers.BUSY_PAUSE.total_seconds() * 2)
    ahead.work()
    assert len(rows(ahead)) == 1


def test_a_paper_that_cannot_be_set_keeps_no_other_back(ahead, monkeypatch):
    ahead.publish(*(record(f"2026-{number}", family="F001") for number in range(1, 4)))
    set_one = presses.Press.set

    def fail(press, paper):
        if "2026-2" in paper.name:
            raise presses.PressError(paper.name)
        return set_one(press, paper)

    monkeypatch.setattr(presses.Press, "set", fail)
    ahead.work()
    assert len(rows(ahead)) == 2
    assert document(ahead, first(ahead, "2026-2")).content.startswith(b"%PDF")


def test_old_papers_go_and_an_undone_import_takes_its_own(ahead):
    batch = ahead.publish(record("2026-1", family="F001"))
    ahead.work()
    assert len(rows(ahead)) == 1
    ahead.clock.pass_time(seconds=papers.PAPER_LIFE.total_seconds() + 1)
    with ahead.town() as town:
        papers.InvoicePapers(town.session, "valmont", town.clock).forget_old()
    assert rows(ahead) == {}
    assert document(ahead, first(ahead), keep=True)
    assert len(rows(ahead)) == 1
    with ahead.town() as town:
        town.imports.undo(batch)
    assert rows(ahead) == {}


def test_where_no_paper_is_wanted_ahead_none_is_asked_for(portal):
    portal.publish(record("2026-1", family="F001"))
    portal.work()
    assert not [row for row in portal.outbox() if row.topic == papers.AHEAD]


def test_what_changed_while_a_paper_was_set_is_not_kept_as_it_was(ahead, monkeypatch):
    """A family that is erased meanwhile leaves no paper with its name; an undone import, none."""
    erased = ahead.publish(record("2026-1", family="F001"))
    undone = ahead.publish(record("2026-2", family="F002"))
    set_one = presses.Press.set

    def erase(press, paper):
        with ahead.town() as town:
            if "2026-1" in paper.name:
                town.session.execute(text("UPDATE family SET name = '' WHERE code = 'F001'"))
            else:
                town.imports.undo(undone)
        return set_one(press, paper)

    monkeypatch.setattr(presses.Press, "set", erase)
    ahead.work()
    assert erased != undone
    assert rows(ahead) == {}
    asked = [row for row in ahead.outbox() if row.topic == papers.AHEAD]
    assert {row.state for row in asked} == {"done"}
    assert {row.attempts for row in asked} == {1}


def test_a_paper_says_all_in_its_family_s_language_whoever_reads_it(portal):
    """A page in English gives the French paper that a worker kept, word by word."""
    portal.publish(record("2026-1", family="F001"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("2026-1")
        town.session.execute(text("UPDATE invoice SET state = 'handed_over'"))
    sheets = []
    for language in ("fr", "en"):
        with portal.town() as town, i18n.use(language):
            sheets.append(town.invoices.sheet_to_print(invoice.id))
    assert (sheets[0].handed_over, sheets[0].pay_otherwise, sheets[0].language) == (True, (), "fr")
    with i18n.use("en"):
        assert "À la trésorerie, comme" in render.invoice(sheets[0]).html
    assert sheets[0] == sheets[1]
