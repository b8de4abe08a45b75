"""Papers in a real object store that is lost, slow, damaged or swept: no paper of another, no half publication."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from dataclasses import replace

import obstore
import pytest
from click.testing import CliRunner
from sqlalchemy import text
from webtest import TestApp

from core.api.invoices import Attachment
from core.cli import documents as command
from core.cli.doctor import check_documents
from core.invoices import moving, sweeping
from core.platform.documents import objects
from core.platform.documents.objects import MissingObjectError, ObjectStore, StoreAwayError
from core.platform.errors import PaperAwayError, PaperLostError
from core.platform.outbox.service import NotOverError
from core.testing.portal import Records, cheap_hashes, make_portal, pages_of, record
from core.testing.waiting import PATIENCE_SECONDS, wait_until


def pdf(mark):
    return f"%PDF-1.7 {mark}".encode() + os.urandom(2000)


def with_paper(number, content, **changes):
    return record(number, document=Attachment(f"{number}.pdf", lambda: content), **changes)


@pytest.fixture
def settings(seaweed):
    return seaweed.settings(f"papers/{uuid.uuid4().hex}")


@pytest.fixture
def stored(database, redis, tmp_path, settings):
    portal = make_portal(database, tmp_path, **settings)
    with cheap_hashes():
        yield portal
    portal.runtime.redis.close()


@pytest.fixture
def village(database, redis, tmp_path):
    """A portal on the same database that knows no store."""
    folder = tmp_path / "village"
    folder.mkdir()
    portal = make_portal(database, folder)
    with cheap_hashes():
        yield portal
    portal.runtime.redis.close()


def invoices(portal, slug="valmont"):
    with portal.town(slug) as town:
        return list(town.session.scalars(text("SELECT id FROM invoice ORDER BY id")))


def paper(portal, number, slug="valmont"):
    with portal.town(slug) as town:
        return town.invoices.document(number).content


def places(portal, slug="valmont"):
    with portal.town(slug) as town:
        found = town.document_files.places()
    return found.in_database, found.in_store


def held(portal, slug="valmont"):
    return {digest for page in portal.runtime.objects.list(slug) for digest in page}


def use(portal, monkeypatch, store):
    monkeypatch.setattr(portal.runtime, "objects", store)
    monkeypatch.setattr(portal.runtime, "_shared", replace(portal.runtime._shared, objects=store))


def away(portal, monkeypatch):
    """Let nobody listen at the store's address."""
    gone = {"documents_endpoint": "http://127.0.0.1:9"}
    use(portal, monkeypatch, ObjectStore(portal.runtime.settings.model_copy(update=gone)))


def back(portal, monkeypatch):
    use(portal, monkeypatch, ObjectStore(portal.runtime.settings))


# --- In the store --------------------------------------------------------------------------------


def test_a_paper_is_in_the_store_and_comes_back(stored):
    content = pdf("here")
    stored.publish(with_paper("1", content))
    assert places(stored) == (0, 1)
    assert paper(stored, invoices(stored)[0]) == content
    assert len(held(stored)) == 1


def test_each_town_has_its_own_though_the_bytes_are_the_same(stored):
    content = pdf("twice")
    stored.publish(with_paper("1", content))
    stored.publish(with_paper("1", content), slug="brumes")
    here, there = held(stored), held(stored, "brumes")
    assert here == there
    stored.runtime.objects.delete("brumes", there)
    assert paper(stored, invoices(stored)[0]) == content
    with pytest.raises(PaperLostError):
        paper(stored, invoices(stored, "brumes")[0], "brumes")


def test_a_dry_run_leaves_nothing_in_the_store(stored):
    with stored.town() as town:
        report = town.imports.run(
            Records(with_paper("1", pdf("dry"))), stored.file(), dry_run=True
        )
        assert not report.problems
    assert held(stored) == set()


def test_a_receipt_is_kept_there_and_made_again_if_it_is_lost(stored):
    stored.publish(record("1"))
    with stored.town() as town:
        number = invoices(stored)[0]
        family = town.families.by_code("F001").id
        payment = town.attempts.create(family, [number], email="a@b.example", language="fr", key="k")
    with stored.town() as town:
        town.attempts.start(payment)
    stored.bank.pay(stored.bank.last, stored.clock)
    with stored.town() as town:
        assert town.attempts.poll(payment) == "settled"
    with stored.town() as town:
        first = town.payments.receipt(payment).content
    with stored.town() as town:
        assert town.payments.receipt(payment).content == first
    assert places(stored) == (0, 1)
    stored.runtime.objects.delete("valmont", held(stored))
    with stored.town() as town:
        again = town.payments.receipt(payment)
        assert again.content.startswith(b"%PDF")
    with stored.town() as town:
        assert town.payments.receipt(payment).content == again.content


# --- Lost, slow, damaged -------------------------------------------------------------------------


def test_a_publication_is_whole_while_the_store_is_away(stored, monkeypatch):
    away(stored, monkeypatch)
    contents = {str(number): pdf(number) for number in range(30)}
    stored.publish(*(with_paper(number, content) for number, content in contents.items()))
    assert places(stored) == (30, 0)
    shown = {paper(stored, number) for number in invoices(stored)}
    assert shown == set(contents.values())


def test_a_store_that_goes_in_the_middle_costs_no_paper(stored, monkeypatch):
    put, count = ObjectStore.put, iter(range(100))

    def at_times(self, tenant, content):
        if next(count) >= 5:
            raise StoreAwayError("gone")
        return put(self, tenant, content)

    monkeypatch.setattr(ObjectStore, "put", at_times)
    contents = {str(number): pdf(number) for number in range(12)}
    stored.publish(*(with_paper(number, content) for number, content in contents.items()))
    assert places(stored) == (7, 5)
    assert {paper(stored, number) for number in invoices(stored)} == set(contents.values())


def test_a_page_says_that_the_paper_cannot_be_read_now(stored, monkeypatch):
    stored.publish(with_paper("1", pdf("1")))
    browser = signed_in(stored)
    number = invoices(stored)[0]
    address = f"/valmont/factures/{number}.pdf"
    assert browser.get(address).content_type == "application/pdf"
    away(stored, monkeypatch)
    page = browser.get(address, status=503)
    assert page.headers["Retry-After"] == "60"
    assert "Réessayez dans quelques minutes" in page
    # Everything else serves.
    assert "56,87" in browser.get("/valmont/factures")
    back(stored, monkeypatch)
    assert browser.get(address).content_type == "application/pdf"


def test_a_lost_paper_is_told_and_no_other_is_given(stored):
    stored.publish(with_paper("1", pdf("1")))
    browser = signed_in(stored)
    stored.runtime.objects.delete("valmont", held(stored))
    page = browser.get(f"/valmont/factures/{invoices(stored)[0]}.pdf", status=500)
    assert "n’a pas été retrouvé" in page


def test_bytes_of_another_are_never_given(stored):
    stored.publish(with_paper("1", pdf("1")), with_paper("2", pdf("2")))
    first, second = sorted(held(stored))
    store = stored.runtime.objects
    other = bytes(obstore.get(store._client(), f"valmont/{second}").bytes())
    obstore.put(store._client(), f"valmont/{first}", other)
    with pytest.raises(MissingObjectError):
        store.get("valmont", first)
    given = []
    for number in invoices(stored):
        try:
            given.append(paper(stored, number))
        except PaperLostError:
            given.append(None)
    assert sorted(given, key=bool) == [None, other]


def test_a_frozen_store_holds_a_page_for_a_moment_and_the_next_ones_not(stored, seaweed, monkeypatch):
    stored.publish(with_paper("1", pdf("1")))
    number = invoices(stored)[0]
    monkeypatch.setattr(objects, "ANSWER_SECONDS", 0.4)
    back(stored, monkeypatch)
    seaweed.freeze()
    try:
        for _try in range(2):
            with pytest.raises(PaperAwayError):
                paper(stored, number)
        content = pdf("meanwhile")
        stored.publish(with_paper("2", content))
        assert places(stored) == (1, 1)
        assert paper(stored, invoices(stored)[1]) == content
    finally:
        seaweed.thaw()
    monkeypatch.undo()
    back(stored, monkeypatch)
    assert paper(stored, number).startswith(b"%PDF")


def test_killed_while_papers_are_written_it_has_all_that_it_took(stored, seaweed):
    store, taken, killed = stored.runtime.objects, [], threading.Event()

    def write():
        while True:
            content = pdf("load")
            try:
                taken.append((store.put("valmont", content), content))
            except StoreAwayError:  # A busy one may be late, too.
                if killed.wait(0.1):
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: len(taken) >= 50)
    finally:
        killed.set()
        seaweed.stop()
        writer.join()
        seaweed.start()
    again = ObjectStore(stored.runtime.settings)
    assert len(taken) >= 50
    for digest, content in taken:
        assert again.get("valmont", digest) == content


def test_a_wrong_key_is_told_by_the_doctor(stored, seaweed):
    wrong = stored.runtime.settings.model_copy(update={"documents_secret": "wrong"})
    with pytest.raises(StoreAwayError, match="SignatureDoesNotMatch"):
        ObjectStore(wrong).check()


FORKING = """
import os, sys
from core.platform.documents.objects import ObjectStore, StoreAwayError
from core.platform.settings import load
from core.platform.settings import load

store = ObjectStore(load())

def child(question):
    number = os.fork()
    if number == 0:
        try:
            os._exit(question())
        finally:
            os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])

def put():
    try:
        store.put("valmont", b"child")
    except StoreAwayError:
        return 3
    return 0

assert child(put) == 0 and child(put) == 0, "as gunicorn's and Celery's children"
assert put() == 0
assert child(put) == 3, "the parent has used it: told at once, where the library would wait for ever"
"""


def test_each_child_makes_a_client_of_its_own_as_long_as_the_parent_made_none(settings):
    variables = {f"PREAU_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-c", FORKING], env={**os.environ, **variables}, timeout=PATIENCE_SECONDS, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# --- Moving --------------------------------------------------------------------------------------


@pytest.fixture
def cli(stored, monkeypatch):
    monkeypatch.setattr(command, "get_runtime", lambda: stored.runtime)
    monkeypatch.setattr("core.cli.invoices.get_runtime", lambda: stored.runtime)

    def run(*arguments):
        return CliRunner().invoke(command.documents, arguments)

    return run


def test_a_town_moves_there_and_back_while_it_is_read(village, stored, cli):
    contents = {str(number): pdf(number) for number in range(45)}
    village.publish(*(with_paper(number, content) for number, content in contents.items()))
    village.publish(with_paper("1", pdf("other town")), slug="brumes")
    ids, wrong, stopped = invoices(village), [], threading.Event()

    def read():
        while not stopped.is_set():
            wrong.extend(number for number in ids if paper(stored, number) not in contents.values())

    reader = threading.Thread(target=read)
    reader.start()
    said = cli("move", "--tenant", "valmont")
    stopped.set()
    reader.join(PATIENCE_SECONDS)
    assert said.exit_code == 0, said.output
    assert "45 in the store, 0 in the database" in said.output
    assert not wrong
    assert places(stored, "brumes") == (1, 0)
    assert cli("check", "--tenant", "valmont").exit_code == 0
    assert cli("move", "--tenant", "valmont", "--back").exit_code == 0
    assert places(stored) == (45, 0)
    assert {paper(village, number) for number in ids} == set(contents.values())


def test_a_move_that_was_broken_off_goes_on(village, stored, cli, monkeypatch):
    contents = {str(number): pdf(number) for number in range(45)}
    village.publish(*(with_paper(number, content) for number, content in contents.items()))
    put, count = ObjectStore.put, iter(range(100))

    def at_times(self, tenant, content):
        if next(count) == 30:
            raise StoreAwayError("gone")
        return put(self, tenant, content)

    with monkeypatch.context() as broken:
        broken.setattr(ObjectStore, "put", at_times)
        said = cli("move", "--all")
    assert said.exit_code == 1
    assert "call again" in said.output
    assert places(stored) == (25, 20)
    assert {paper(stored, number) for number in invoices(stored)} == set(contents.values())
    assert cli("move", "--all").exit_code == 0
    assert places(stored) == (0, 45)


def test_what_is_not_what_its_hash_says_stays_and_is_told(village, stored, cli):
    village.publish(with_paper("1", pdf("1")), with_paper("2", pdf("2")))
    with village.town() as town:
        town.session.execute(
            text("UPDATE document SET content = content || '!' WHERE id = (SELECT min(id) FROM document)")
        )
    said = cli("move", "--tenant", "valmont")
    assert said.exit_code == 1
    assert "is lost, or not what its SHA-256 says" in said.output
    assert places(stored) == (1, 1)


def test_check_names_what_the_store_lost(stored, cli):
    stored.publish(with_paper("1", pdf("1")))
    stored.runtime.objects.delete("valmont", held(stored))
    said = cli("check", "--tenant", "valmont")
    assert said.exit_code == 1
    assert "is lost" in said.output


def test_the_doctor_says_what_is_where(village, stored, monkeypatch):
    def words(portal):
        monkeypatch.setattr("core.cli.doctor.get_runtime", lambda: portal.runtime)
        return [finding.text for finding in check_documents(portal.runtime.settings)]

    assert words(village) == ["Papers are in PostgreSQL"]
    village.publish(with_paper("1", pdf("1")))
    said = words(stored)
    assert any("takes and gives papers" in line for line in said)
    assert any("preau documents move --tenant valmont" in line for line in said)
    stored.publish(with_paper("2", pdf("2")))
    assert "PREAU_DOCUMENTS_URL is not set, and papers are there: valmont" in words(village)


def test_the_office_sees_the_store(stored, monkeypatch):
    with stored.town() as town:
        assert town.health.papers().problem == ""
    away(stored, monkeypatch)
    with stored.town() as town:
        assert town.health.papers().problem != ""


# --- Sweeping ------------------------------------------------------------------------------------


def sweep(portal):
    with portal.town() as town:
        return town.sweep_documents()


def test_what_no_row_names_is_removed_after_its_time(stored):
    stored.publish(with_paper("1", pdf("kept")))
    kept = held(stored)
    stored.runtime.objects.put("valmont", pdf("orphan"))
    assert sweep(stored) == 0
    stored.clock.pass_time(days=29)
    assert sweep(stored) == 0
    assert len(held(stored)) == 2
    stored.clock.pass_time(days=1)
    assert sweep(stored) == 1
    assert held(stored) == kept


def test_an_orphan_that_is_named_again_stays(stored):
    content = pdf("late")
    stored.runtime.objects.put("valmont", content)
    sweep(stored)
    stored.clock.pass_time(days=sweeping.ORPHAN_LIFE.days)
    stored.publish(with_paper("1", content))
    assert sweep(stored) == 0
    assert paper(stored, invoices(stored)[0]) == content
    with stored.town() as town:
        assert town.session.scalar(text("SELECT count(*) FROM document_orphan")) == 0


def test_a_file_whose_row_is_not_committed_yet_is_not_swept(stored):
    content = pdf("slow import")
    stored.runtime.objects.put("valmont", content)
    sweep(stored)
    stored.clock.pass_time(days=sweeping.ORPHAN_LIFE.days)
    with stored.town() as importing:
        filed = importing.document_files.add("a.pdf", "application/pdf", content)
        with pytest.raises(NotOverError):
            sweep(stored)
    with stored.town() as town:
        assert town.document_files.get(filed.id).content == content
    assert sweep(stored) == 0


def test_an_undone_import_leaves_an_orphan(stored):
    with stored.town() as town:
        report = town.imports.run(Records(with_paper("1", pdf("1"))), stored.file())
    with stored.town() as town:
        town.imports.undo(report.batch_id)
    sweep(stored)
    stored.clock.pass_time(days=sweeping.ORPHAN_LIFE.days)
    assert sweep(stored) == 1
    assert held(stored) == set()


def test_a_step_takes_no_more_than_it_should(village, stored):
    village.publish(*(with_paper(str(number), pdf(number)) for number in range(moving.STEP + 1)))
    with stored.town() as town:
        step = moving.move_out(town.session, "valmont", stored.runtime.objects, 0)
    assert step.moved == moving.STEP


def signed_in(portal):
    browser = TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})
    page = browser.get("/valmont/connexion")
    form = next(form for form in page.forms.values() if "family_code" in form.fields)
    form["family_code"], form["child_code"] = "F001", portal.codes()
    form.submit()
    return browser
