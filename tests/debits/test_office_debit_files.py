"""Files of banks about debits: what each line does, twice, late, at once, and nothing of accounts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta

import pytest
from debit_messages import IBAN, camt, detail, entry, pain002, returned, status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from office_waiting import until_somebody_waits
from sqlalchemy import text
from webtest import Upload

from core.api.errors import UserError
from core.api.payments import Means
from core.books.period import Period
from core.debits.files import Accepted, DebitFiles
from core.debits.models import DebitRejection
from core.domain.debit_decisions import Finding
from core.domain.debit_files.reading import read_debits
from core.domain.debit_files.report import Told
from core.domain.figures import Sum
from core.domain.roles import Role
from core.platform.clock import today
from core.testing.portal import record
from core.testing.waiting import PATIENCE_SECONDS

DAY = date(2026, 3, 10)
PAGE = "/regie/prelevements/fichier?regie=CANTINE"


@pytest.fixture
def debited(work, portal):
    """Two invoices of today's debit: F001 owes 20 €, F002 30 €."""
    assert today(portal.clock.now()) == DAY
    portal.publish(
        record("D-20", amount=2000, label="CANTINE prélevée", due_on=DAY, direct_debit=True),
        record("D-21", family="F002", amount=3000, label="ALSH prélevé", due_on=DAY,
               direct_debit=True),
    )  # fmt: skip


def read(work, content, name="fichier.xml", **fields):
    form = work.form(work.get(PAGE), "file")
    form["file"] = Upload(name, content)
    for field, value in fields.items():
        form[field] = value
    return form.submit(name="as", value="read", expect_errors=True)


def columns_form(work):
    """The form that reads a file's columns only."""
    return next(
        form for form in work.get(PAGE).forms.values()
        if any(getattr(button, "_value", "") == "columns" for button in form.fields.get("as", []))
    )  # fmt: skip


def later(work, portal, days):
    """Let days pass, and come in again: the session is over."""
    portal.clock.pass_time(days=days)
    later.serial += 1
    work.enter(email=f"regie{later.serial}@valmont.fr")


later.serial = 0


def accept(work, page):
    return work.follow(work.form(page, "line").submit(name="as", value="apply"))


def found(portal, number):
    with portal.town() as town:
        return town.invoices.by_number(number)[0]


def journal(portal):
    with portal.town() as town:
        return [
            (entry.kind, entry.amount)
            for entry in town.accounts.entries.read(Period("CANTINE", DAY.replace(day=1)))
            if entry.means == "direct_debit"
        ]


def ticked(work, page):
    return [field.checked for field in work.form(page, "line").fields["line"]]


def both():
    return camt(entry(detail("D-20", cents=2000), detail("D-21", cents=3000), cents=5000))


def test_a_run_is_settled_by_a_file_and_seen_as_one_thing(work, portal, debited):
    page = read(work, both())
    assert "D-20" in page
    assert journal(portal) == []  # Shown, not done.
    after = accept(work, page)
    assert "2 prélèvements constatés, pour 50,00" in after.text
    assert found(portal, "D-20").balance == found(portal, "D-21").balance == 0
    assert sorted(journal(portal)) == [("settled", 2000), ("settled", 3000)]
    later(work, portal, 3)
    after = accept(work, read(work, camt(returned("D-21", "AC04", cents=3000, day="2026-03-12"))))
    assert "1 rejet constaté, pour 30,00" in after.text
    run = work.get(f"/regie/prelevements?regie=CANTINE&jour={DAY}")
    assert "Prélèvements du 10/03/2026" in run
    assert "compte clôturé (AC04)" in run
    with portal.town() as town:
        one = town.debits.run("CANTINE", DAY)
    assert (one.settled, one.rejected, one.waiting) == (Sum(1, 2000), Sum(1, 3000), Sum(0, 0))
    assert one.total == Sum(2, 5000)
    assert sum(cents for _kind, cents in journal(portal)) == 2000
    info = found(portal, "D-21")
    assert (info.payable, info.balance, info.debited_on) == (True, 3000, None)


def test_the_same_file_again_changes_nothing(work, portal, debited):
    page = read(work, both())
    accept(work, page)
    again = read(work, both())
    assert "Déjà constatée" in again
    assert "déjà constaté, ou sans facture" in again
    # A page that stood open is no better.
    after = accept(work, page)
    assert "2 lignes étaient déjà faites" in after
    assert len(journal(portal)) == 2


def large(work, portal, monkeypatch):
    """A file of three lines, where one is as much as a part may have; the page after it was accepted."""
    monkeypatch.setattr("core.debits.files.MAX_AT_ONCE", 1)
    page = read(work, camt(entry(detail("D-20", cents=2000), detail("D-21", cents=3000)),
                           returned("D-21", cents=3000, day="2026-03-10")))  # fmt: skip
    return accept(work, page)


def test_a_large_file_is_done_by_a_worker_part_by_part(work, portal, debited, monkeypatch):
    page = large(work, portal, monkeypatch)
    path = page.request.path.removeprefix("/valmont")
    assert "0 sur 3" in page.text
    assert journal(portal) == []
    assert work.get(f"{path}/etat").json == {"done": 0, "total": 3, "final": False}
    assert "en cours" in work.get("/regie/prelevements")
    portal.work(rounds=1)
    assert len(journal(portal)) == 1
    assert "1 sur 3" in work.get(path).text
    portal.work()
    after = work.get(path)
    assert "2 prélèvements constatés, pour 50,00" in after.text
    assert "1 rejet constaté, pour 30,00" in after.text
    assert work.get(f"{path}/etat").json["final"]
    assert "terminé" in work.get("/regie/prelevements")
    assert sorted(cents for _kind, cents in journal(portal)) == [-3000, 2000, 3000]
    with portal.town() as town:
        (job,) = town.debit_files.jobs()
        assert (job.lines, job.settled_cents, job.left_out) == ({}, 5000, 0)
        assert {entry.actor for entry in town.accounts.entries.read(Period("CANTINE", DAY.replace(day=1)))} == {job.actor}
        assert job.actor.startswith("agent:")


def test_a_worker_that_is_killed_leaves_its_part_to_another_and_nothing_is_done_twice(work, portal, debited, monkeypatch):
    large(work, portal, monkeypatch)
    with portal.town() as town:
        job = town.debit_files.jobs()[0].id
    with suppress(RuntimeError), portal.town() as town:
        town.debit_files.go_on(job, 0)
        raise RuntimeError("killed before its commit")
    assert journal(portal) == []
    portal.work(rounds=1)
    with portal.town() as town:  # One that was thought dead wakes up.
        town.debit_files.go_on(job, 0)
        assert town.debit_files.job(job).done == 1
    barrier = threading.Barrier(4)

    def worker(_at):
        barrier.wait(PATIENCE_SECONDS)
        with portal.town() as town:
            town.debit_files.go_on(job, 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4), timeout=2 * PATIENCE_SECONDS))
    portal.work()
    with portal.town() as town:
        done = town.debit_files.job(job)
        assert (done.done, done.settled, done.settled_cents, done.rejected, done.left_out) == (3, 2, 5000, 1, 0)
    assert sorted(cents for _kind, cents in journal(portal)) == [-3000, 2000, 3000]


def test_a_job_that_cannot_go_on_says_why(work, portal, debited, monkeypatch):
    path = large(work, portal, monkeypatch).request.path.removeprefix("/valmont")
    portal.work(rounds=1)

    def refuse(_self, _regie):
        raise UserError("La trésorerie encaisse cette régie.")

    monkeypatch.setattr("core.debits.service.Debits.check", refuse)
    portal.work()
    page = work.get(path)
    assert "La trésorerie encaisse cette régie." in page
    assert "Le reste du fichier n’est pas fait" in page
    assert "1 prélèvement constaté" in page
    assert len(journal(portal)) == 1


def test_a_file_waits_for_a_refund_and_neither_waits_for_ever(work, portal, debited):
    """A file that takes a debit back, while what that debit left over is given back: in one order of locks."""
    accept(work, read(work, camt(entry(detail("D-20", cents=2000)))))
    with portal.town() as town:
        ids = {number: town.invoices.by_number(number)[0].id for number in ("D-20", "D-21")}
        payment = town.payment_list.of_invoice(ids["D-20"])[0].Payment.id
        # Something of it is the family's: an invoice that gives back after a credit note.
        family = town.invoices.by_number("D-20")[0].family_id
        town.session.execute(
            text("INSERT INTO credit (tenant_id, payment_id, family_id, regie, amount, created_at)"
                 " VALUES ('valmont', :payment, :family, 'CANTINE', 100, now())"),
            {"payment": payment, "family": family},
        )  # fmt: skip
    lines = [
        Accepted(ids["D-21"], Told.SETTLED, 3000, DAY, "", Finding.SETTLE),
        Accepted(ids["D-20"], Told.REJECTED, 2000, DAY, "AM04", Finding.REVERSE),
    ]

    def file():
        with portal.town() as town:
            return town.debit_files.apply("CANTINE", "camt.054", lines)

    with ThreadPoolExecutor(1) as pool:
        with portal.town() as town:
            credit = town.session.scalar(text("SELECT id FROM credit FOR UPDATE"))
            waiting = pool.submit(file)
            until_somebody_waits(town)
            town.credits.refund(credit, 50, means=Means.CASH, note="x", key="refund")  # Opens the journal.
        done = waiting.result(timeout=PATIENCE_SECONDS)
    assert (done.settled, done.rejected, done.left_out) == (Sum(1, 3000), Sum(1, 2000), 0)


def test_a_debit_noted_between_the_look_and_the_lock_is_locked_with_all_that_it_paid(work, portal, debited, monkeypatch):
    with portal.town() as town:
        ids = {number: town.invoices.by_number(number)[0].id for number in ("D-20", "D-21")}
    looks = []
    noted = DebitFiles._noted_ids

    def look(self, invoice_ids):
        looks.append(noted(self, invoice_ids))
        if len(looks) == 1:  # Another file, meanwhile.
            with portal.town() as other:
                other.debits.settle("CANTINE", [ids["D-20"]], debited_on=DAY)
        return looks[-1]

    monkeypatch.setattr(DebitFiles, "_noted_ids", look)
    with portal.town() as town:
        done = town.debit_files.apply(
            "CANTINE", "pain.002", [Accepted(ids["D-20"], Told.REJECTED, 2000, DAY, "AM04", Finding.REFUSE)]
        )
    assert [len(found) for found in looks] == [0, 1, 1, 1]
    assert done.rejected == Sum(1, 2000)
    assert sorted(cents for _kind, cents in journal(portal)) == [-2000, 2000]


def test_a_rejection_comes_before_its_debit_is_noted(work, portal, debited):
    after = accept(work, read(work, pain002(status("D-20", "AC06"))))
    assert "1 rejet constaté, pour 20,00" in after.text
    assert journal(portal) == []  # No money came, none went.
    info = found(portal, "D-20")
    assert (info.payable, info.balance) == (True, 2000)
    # What the account shows later of that debit is no money: it went back.
    page = read(work, both())
    assert "Revenue depuis" in page
    accept(work, page)
    assert journal(portal) == [("settled", 3000)]
    assert found(portal, "D-20").balance == 2000


def test_the_family_is_told_of_both_kinds_of_rejection(work, portal, debited):
    with portal.town() as town:
        for code in ("F001", "F002"):
            family = town.families.by_code(code).id
            town.session.execute(
                text("INSERT INTO contact_email (tenant_id, family_id, address, confirmed_at)"
                     " VALUES ('valmont', :family, :address, now())"),
                {"family": family, "address": f"{code.lower()}@exemple.fr"},
            )  # fmt: skip
    accept(work, read(work, camt(entry(detail("D-21"), cents=3000))))
    later(work, portal, 3)
    accept(work, read(work, camt(returned("D-21", "AM04", cents=3000), returned("D-20", "MD06"))))
    portal.work()
    told = {}
    with portal.town() as town:
        for code in ("F001", "F002"):
            for row in town.notifications.of_family(town.families.by_code(code).id):
                if row.kind in {"debit_rejected", "payment_reversed"}:
                    message = town.letters.render(row)
                    told[code] = row.kind, message.subject, message.text
    kind, subject, words = told["F001"]
    assert (kind, subject) == ("debit_rejected", "Valmont – Un prélèvement a été rejeté")
    assert "prélèvement contesté par le titulaire du compte (MD06)" in words
    assert "de nouveau à régler" in words
    kind, subject, words = told["F002"]
    assert (kind, subject) == ("payment_reversed", "Valmont – Un prélèvement a été rejeté")
    assert "provision insuffisante (AM04)" in words
    assert "ALSH prélevé" in words


def test_a_rejection_after_another_payment_of_a_part(work, portal, debited):
    pay(portal, "D-20", 500)
    page = read(work, camt(entry(detail("D-20"), cents=2000)))
    # The bank took 20 where 15 are left: a person says whether.
    assert ticked(work, page) == [False]
    form = work.form(page, "line")
    form.fields["line"][0].checked = True
    work.follow(form.submit(name="as", value="apply"))
    assert found(portal, "D-20").balance == 0
    with portal.town() as town:
        family = found(portal, "D-20").family_id
        assert town.credits.left_of(family) == {"CANTINE": 500}
    later(work, portal, 3)
    accept(work, read(work, camt(returned("D-20"))))
    assert found(portal, "D-20").balance == 1500
    with portal.town() as town:
        assert town.credits.left_of(family) == {}
    assert sum(cents for _kind, cents in journal(portal)) == 0


def test_less_than_what_is_left_leaves_the_rest_to_the_family(work, portal, debited):
    page = read(work, camt(entry(detail("D-20"), cents=1200)))
    assert ticked(work, page) == [False]
    form = work.form(page, "line")
    form.fields["line"][0].checked = True
    work.follow(form.submit(name="as", value="apply"))
    info = found(portal, "D-20")
    assert (info.balance, info.payable, info.debited_on) == (800, True, None)


def test_a_rejection_of_what_was_paid_meanwhile(work, portal, debited):
    pay(portal, "D-20", 2000)
    page = read(work, pain002(status("D-20")))
    assert "réglée autrement entre-temps" in page
    accept(work, page)
    portal.work()
    assert found(portal, "D-20").balance == 0
    assert journal(portal) == []
    with portal.town() as town:
        family = found(portal, "D-20").family_id
        kinds = {row.kind for row in town.notifications.of_family(family)}
    assert "debit_rejected" not in kinds


def test_what_was_paid_otherwise_and_debited_too_becomes_a_credit(work, portal, debited):
    pay(portal, "D-20", 2000)
    page = read(work, camt(entry(detail("D-20"))))
    assert "garder la somme en avoir" in page
    assert ticked(work, page) == [False]
    form = work.form(page, "line")
    form.fields["line"][0].checked = True
    work.follow(form.submit(name="as", value="apply"))
    with portal.town() as town:
        assert town.credits.left_of(found(portal, "D-20").family_id) == {"CANTINE": 2000}
    assert "Déjà constatée" in read(work, camt(entry(detail("D-20"))))


def test_rejected_twice_then_debited_anew_and_rejected_again(work, portal, debited):
    accept(work, read(work, both()))
    later(work, portal, 4)
    accept(work, read(work, pain002(status("D-20", day="2026-03-11"))))
    # The account says the same, some days later.
    page = read(work, camt(returned("D-20", day="2026-03-13")))
    assert "déjà constaté" in page
    assert len([cents for kind, cents in journal(portal) if cents < 0]) == 1
    invoice = found(portal, "D-20").id
    page = work.get(f"/regie/factures/{invoice}")
    again = work.press(page, "debit", debit_on="2026-03-20")
    assert "de nouveau prélevée" in again
    assert found(portal, "D-20").debited_on == date(2026, 3, 20)
    # The first files once more, before and after the second debit.
    assert "déjà constaté" in read(work, camt(returned("D-20", day="2026-03-13")))
    later(work, portal, 8)
    accept(work, read(work, camt(entry(detail("D-20"), day="2026-03-20"))))
    assert "déjà constaté" in read(work, camt(returned("D-20", day="2026-03-13")))
    accept(work, read(work, camt(returned("D-20", "MS03", day="2026-03-22"))))
    with portal.town() as town:
        rows = town.session.query(DebitRejection).order_by(DebitRejection.id).all()
        assert [(row.debit_day, row.code) for row in rows] == [
            (DAY, "AM04"), (date(2026, 3, 20), "MS03"),
        ]  # fmt: skip
    assert found(portal, "D-20").balance == 2000
    assert sum(cents for _kind, cents in journal(portal)) == 3000


def test_debited_anew_on_a_day_that_passed_is_refused(work, portal, debited):
    later(work, portal, 5)
    accept(work, read(work, pain002(status("D-20"))))
    page = work.get(f"/regie/factures/{found(portal, 'D-20').id}")
    refused = work.press(page, "debit")
    assert refused.status_int == 422
    assert "Ce jour est passé" in refused


def test_a_name_in_other_spelling_or_among_other_words(work, portal, debited):
    content = camt(
        entry(detail("d20"), cents=2000),
        entry(detail("NOTPROVIDED", words="ALSH facture D-21 mars"), cents=3000),
        entry(detail("REF 99"), cents=100),
    )
    page = read(work, content)
    assert "Aucune facture de cette régie" in page
    assert "REF 99" in page
    assert ticked(work, page) == [True, True]
    assert "au milieu d’autres mots" in page


def test_a_sum_of_all_leads_to_the_day_that_it_is(work, portal, debited):
    page = read(work, camt(entry(cents=5000, batch="<Btch><NbOfTxs>2</NbOfTxs></Btch>")))
    assert "exactement ce qui attend pour le 10/03/2026" in page
    page = read(work, camt(entry(cents=4900)))
    assert "Aucun jour qui attend" in page


def test_a_list_by_its_columns(work, portal, debited):
    form = work.form(work.get(PAGE), "told")
    content = b"Dossier;Qui;Combien\nD-20;DURAND;20,00\n"
    assert "Dites ci-dessous quelle" in read(work, content, "liste.csv")
    form = columns_form(work)
    form["file"] = Upload("liste.csv", content)
    page = form.submit(name="as", value="columns")
    kept = next(form for form in page.forms.values() if "column-reference" in form.fields)
    kept["column-reference"] = "dossier"
    kept["column-amount"] = "combien"
    page = work.follow(kept.submit(name="as", value="keep"))
    assert "Les colonnes sont gardées" in page
    page = read(work, content, "liste.csv", told="rejected")
    assert "Rejets à constater" in page
    accept(work, page)
    assert found(portal, "D-20").payable


def test_a_file_that_is_not_read_says_why(work, portal, debited):
    assert "Choisissez le fichier" in work.form(work.get(PAGE), "told").submit(
        name="as", value="read", expect_errors=True
    )
    assert "ne se lit pas ici" in read(work, b"<a/>")
    refused = read(work, b"facture;montant\nD-20;abc\n", "a.csv")
    assert refused.status_int == 422
    assert "Ligne 2 de ce fichier" in refused


def test_a_form_of_another_page_is_refused(work, portal, debited):
    page = read(work, both())
    form = work.form(page, "line")
    form.fields["line"][0].force_value("1/settled/abc")
    refused = form.submit(name="as", value="apply", expect_errors=True)
    assert refused.status_int == 422
    assert "plus lisible" in refused


def test_only_the_regisseur_notes_a_rejection(make_office, work, portal, debited):
    agent = make_office().enter(Role.AGENT)
    page = read(agent, camt(entry(detail("D-21"), cents=3000), returned("D-20")))
    assert "Seul le régisseur constate un rejet" in page
    assert "disabled" in page
    with portal.town() as town:
        invoice = town.invoices.by_number("D-20")[0].id
    form = agent.form(page, "line")
    form.fields["line"][0].force_value(f"{invoice}/rejected/2000/2026-03-10/AM04/refuse")
    assert form.submit(name="as", value="apply", expect_errors=True).status_int == 422


def test_a_reader_reads_and_does_nothing(make_office, portal, debited):
    reader = make_office().enter(Role.READER)
    page = read(reader, both())
    assert "Constater ce qui est coché" not in page


def test_debits_are_moved_to_another_day(work, portal, debited):
    form = work.form(work.get(f"/regie/prelevements?regie=CANTINE&jour={DAY}"), "debited_on")
    form["debit_on"] = "2026-03-12"
    after = work.follow(form.submit(name="action", value="move"))
    assert "2 prélèvements reportés au 12/03/2026" in after
    assert found(portal, "D-20").debited_on == date(2026, 3, 12)
    with portal.town() as town:
        assert town.debits.run("CANTINE", date(2026, 3, 12)).waiting == Sum(2, 5000)
        assert town.debits.run("CANTINE", DAY).total.count == 0


def test_no_account_of_a_file_is_kept_anywhere(work, portal, debited, capfd):
    content = camt(
        entry(detail("D-20", words=f"VIR {IBAN}"), cents=2000),
        entry(detail(f"{IBAN}"), cents=1),
        returned("D-21", cents=3000, day="2026-03-10"),
    )
    page = read(work, content, f"{IBAN}.xml")
    assert IBAN not in page
    accept(work, page)
    table = f"facture;compte;montant;motif\nD-21;{IBAN};30,00;{IBAN}\n{IBAN};x;1,00;\n"
    page = read(work, table.encode(), f"{IBAN}.csv")
    assert IBAN not in page
    read(work, f"facture;statut\nD-20;{IBAN}\n".encode(), f"{IBAN}.csv")
    form = columns_form(work)
    form["file"] = Upload(f"{IBAN}.csv", f"DURAND;{IBAN};D-20\n".encode())
    page = form.submit(name="as", value="columns")
    assert IBAN not in page
    portal.work()
    assert _everywhere(portal, IBAN) == []
    assert _everywhere(portal, "D-20") != []  # It would be found.
    out, err = capfd.readouterr()
    assert IBAN not in out + err


def _everywhere(portal, word):
    """Tables of the town that hold a word in any column."""
    with portal.town() as town:
        tables = town.session.scalars(
            text("SELECT table_name FROM information_schema.columns WHERE column_name ="
                 " 'tenant_id' AND table_schema = 'public' ORDER BY 1")
        ).all()  # fmt: skip
        return [
            name for name in tables
            if town.session.scalar(
                text(f'SELECT EXISTS (SELECT FROM "{name}" t'
                     " WHERE strpos(upper(t::text), upper(:word)) > 0)"),
                {"word": word},
            )
        ]  # fmt: skip


def pay(portal, number, cents):
    info = found(portal, number)
    with portal.town() as town:
        town.payments.record(
            regie="CANTINE", family_id=info.family_id, means=Means.CASH, amount=cents,
            paid_at=town.clock.now(), payer="x", shares=[(info.id, cents)],
            key=f"pay/{number}/{cents}", excess=0,
        )  # fmt: skip


def test_two_files_at_once_are_done_once(portal, work, debited):
    """Eight workers, two files: one notes both debits, the other takes one of them back."""
    with portal.town() as town:
        ids = {number: town.invoices.by_number(number)[0].id for number in ("D-20", "D-21")}
    taken = [
        Accepted(ids["D-20"], Told.SETTLED, 2000, DAY, "", Finding.SETTLE),
        Accepted(ids["D-21"], Told.SETTLED, 3000, DAY, "", Finding.SETTLE),
    ]
    back = [Accepted(ids["D-20"], Told.REJECTED, 2000, DAY, "AM04", Finding.REVERSE)]
    barrier = threading.Barrier(8)

    def worker(lines):
        barrier.wait(PATIENCE_SECONDS)
        with portal.town() as town:
            return town.debit_files.apply("CANTINE", "camt.054", lines)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(worker, (taken, back) * 4, timeout=2 * PATIENCE_SECONDS))
    assert sum(one.rejected.count for one in done) == 1
    entries = journal(portal)
    assert entries.count(("settled", 3000)) == 1
    # Whichever came first: the debit came back, once, whether it had been noted or not.
    assert entries.count(("settled", 2000)) == sum(1 for _kind, cents in entries if cents < 0) < 2
    with portal.town() as town:
        assert town.session.query(DebitRejection).count() == 1
    assert found(portal, "D-20").balance == 2000
    assert found(portal, "D-21").balance == 0
    assert sum(cents for _kind, cents in entries) == 3000


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["took", "back", "bulk", "counter", "reject", "error", "anew", "pass"]),
        st.integers(0, 2),
        st.sampled_from([0, 0, -300, 300]),
    ),
    max_size=12,
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture]
)
@given(acts=ACTS)
def test_journal_and_balances_sum_up_in_any_history(portal, acts):
    """Files, pages, counter, rejections, errors and new debits, in any order, ticked or not."""
    test = test_journal_and_balances_sum_up_in_any_history
    test.serial += 1
    start = today(portal.clock.now())
    amounts = [1001, 2002, 3003]
    numbers = [f"H{test.serial}-{rank}x" for rank in range(3)]
    portal.publish(
        *(
            record(number, family="F009", amount=amount, due_on=start, issued_on=start,
                   direct_debit=True)
            for number, amount in zip(numbers, amounts, strict=True)
        )
    )  # fmt: skip
    ids = [found(portal, number).id for number in numbers]
    family = found(portal, numbers[0]).family_id
    for step, (act, rank, other) in enumerate(acts):
        with suppress(UserError), portal.town() as town:
            day = today(town.clock.now())
            _act(town, act, ids[rank], numbers[rank], amounts[rank] + other, day,
                 f"{test.serial}/{step}")  # fmt: skip
        if act == "pass":
            portal.clock.pass_time(days=3)
        _holds(portal, ids, amounts, family)


test_journal_and_balances_sum_up_in_any_history.serial = 0


def _act(town, act, invoice_id, number, cents, day, key):
    info = town.invoices.get(invoice_id)
    if act in {"took", "back"}:
        line = (
            entry(detail(number), cents=cents, day=day.isoformat()) if act == "took"
            else returned(number, cents=cents, day=day.isoformat())
        )  # fmt: skip
        planned = town.debit_files.plan("CANTINE", read_debits(camt(line)), day)
        accepted = [
            Accepted(one.invoice_id, one.line.told, one.line.cents, one.day, "AM04", one.finding)
            for one in planned if one.may_act
        ]  # fmt: skip
        town.debit_files.apply("CANTINE", "camt.054", [*accepted, *accepted])
    elif act == "bulk":
        town.debits.settle("CANTINE", [invoice_id], debited_on=day)
    elif act == "counter":
        cash = min(700, max(info.balance, 1))
        town.payments.record(
            regie="CANTINE", family_id=info.family_id, means=Means.CASH, amount=cash,
            paid_at=town.clock.now(), payer="x", shares=[(invoice_id, cash)],
            key=f"history/{key}", excess=0,
        )  # fmt: skip
    elif act == "anew":
        town.billing.set_debit(invoice_id, debit=True, on=day + timedelta(days=1))
    elif act != "pass":
        for row in town.payment_list.of_invoice(invoice_id):
            if row.Payment.state == "settled" and row.Payment.means == "direct_debit":
                if act == "reject":
                    town.debit_files.apply(
                        "CANTINE", "table",
                        [Accepted(invoice_id, Told.REJECTED, None, day, "MD01", Finding.REVERSE)],
                    )  # fmt: skip
                else:
                    town.payments.reverse(row.Payment.id, reason="x")
                break


def _holds(portal, ids, amounts, family):
    with portal.town() as town:
        booked = town.session.scalar(
            text("SELECT coalesce(sum(e.amount), 0) FROM journal_entry e JOIN payment p ON"
                 " p.tenant_id = e.tenant_id AND p.id = e.payment_id"
                 " WHERE p.family_id = :family"),
            {"family": family},
        )
        force = town.session.scalar(
            text("SELECT coalesce(sum(amount), 0) FROM payment WHERE family_id = :family"
                 " AND state = 'settled'"),
            {"family": family},
        )  # fmt: skip
        credit = sum(town.credits.left_of(family).values())
        # The family of all examples: what it paid is on its invoices, or its credit.
        paid = town.session.scalar(
            text("SELECT coalesce(sum(paid), 0) FROM invoice WHERE family_id = :family"),
            {"family": family},
        )
        assert booked == force == paid + credit
        for invoice_id, amount in zip(ids, amounts, strict=True):
            info = town.invoices.get(invoice_id)
            assert 0 <= info.balance <= amount
            debits = town.session.scalar(
                text("SELECT count(*) FROM payment p JOIN payment_item i ON i.tenant_id ="
                     " p.tenant_id AND i.payment_id = p.id WHERE i.invoice_id = :invoice"
                     " AND p.means = 'direct_debit' AND p.state = 'settled'"),
                {"invoice": invoice_id},
            )  # fmt: skip
            assert debits <= 1
            # Told as debited, or to be paid: one of the two, never both, while something is left.
            assert (info.balance > 0) == (info.payable != (info.debited_on is not None))


@pytest.mark.parametrize("cents", ["0", "9" * 18, "000"])
def test_a_sum_that_no_file_has_is_refused(debited, work, portal, cents):
    page = read(work, b"reference;montant;date\nD-20;20,00;10/03/2026\n", "a.csv")
    form = work.form(page, "line")
    parts = form["line"]._value.split("/")
    form["line"].force_value("/".join((*parts[:2], cents, *parts[3:5], "other_amount")))
    answer = form.submit(name="as", value="apply", expect_errors=True)
    assert answer.status_int == 422
    assert journal(portal) == []
