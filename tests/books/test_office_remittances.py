"""Remittances: numbered without gaps, of what is in hand, signed by the journal, cancelled by entries."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from office_browser import Office
from sqlalchemy import text

from core.api.errors import UserError
from core.api.payments import Means
from core.books.period import Period
from core.books.remittances import ChangedError
from core.domain.roles import Role
from core.testing import portal as portals
from core.testing.portal import make_portal, pages_of, record

MARCH = Period("CANTINE", date(2026, 3, 1))
PAGE = "/regie/comptes/versements?regie=CANTINE"


def pay(portal, number, amount, means, key):
    with portal.town() as town:
        invoice = town.invoices.by_number(number)[0]
        return town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means=means, amount=amount,
            paid_at=town.clock.now(), payer="Camille", shares=[(invoice.id, amount)], key=key,
            note="n° 0001234 BANQUE" if means == Means.CHEQUE else "",
        ).payment_id  # fmt: skip


@pytest.fixture
def till(work, portal):
    """A till with 20 € of cash and two cheques; a cheque of before came back."""
    pay(portal, "1", 2000, Means.CASH, "a")
    pay(portal, "1", 1000, Means.CHEQUE, "b")
    pay(portal, "2", 500, Means.CHEQUE, "c")
    back = pay(portal, "9", 5687, Means.CHEQUE, "d")
    with portal.town() as town:
        town.payments.reverse(back, reason="Sans provision")
    return work


def make(portal, **options):
    with portal.town() as town:
        return town.accounts.remittances.make("CANTINE", **options)


def in_hand(portal):
    with portal.town() as town:
        return {one.means: one.amount for one in town.accounts.remittances.in_hand("CANTINE")}


def test_a_remittance_is_shown_confirmed_numbered_and_printed(till, portal):
    page = till.get("/regie/comptes?regie=CANTINE").click("Caisse et versements", index=-1)
    assert "35,00" in page
    page = till.form(page, "voir").submit()
    assert "Établir le versement de 35,00" in page.text.replace("\u202f", " ").replace("\u00a0", " ")
    assert in_hand(portal) == {"cash": 2000, "cheque": 1500}, "a preview does nothing"
    page = till.follow(till.form(page, "montant").submit())
    assert "V-2026-CANTINE-0001" in page
    assert "Le journal dit la même chose" in page
    assert in_hand(portal) == {}
    rows = list(csv.reader(io.StringIO(till.get(page.request.path.removeprefix("/valmont") + ".csv").body.decode("utf-8-sig")), delimiter=";"))
    assert [row[-1] for row in rows] == ["Montant", "20,00", "10,00", "5,00", "35,00"]
    with portal.town() as town:
        (one,) = town.accounts.remittances.page("CANTINE").rows
        lines = [(line.means, line.count, line.amount) for line in town.accounts.remittances.lines(one.id)]
        assert lines == [("cash", 1, 2000), ("cheque", 2, 1500)]
        assert town.accounts.entries.chain_holds(MARCH)
        assert town.accounts.entries.read(MARCH, remittances=True)[-1].hash == one.hash


def test_its_paper_lists_each_cheque_and_each_account(till, portal):
    one = make(portal)
    with portal.town() as town:
        slip = town.accounts.papers.slip(town.accounts.remittances.get(one.id), {})
    assert "V-2026-CANTINE-0001" in slip.title
    assert slip.foot[3] == 3500
    assert slip.paper.count("0001234") == 2
    assert "Décompte des espèces" in slip.paper
    assert till.get(f"/regie/comptes/versements/{one.id}.pdf").content_type == "application/pdf"
    assert till.get(f"/regie/comptes/versements/{one.id}.xlsx").status_int == 200


def test_what_changed_since_it_was_shown_is_shown_again(till, portal):
    page = till.form(till.get(PAGE), "voir").submit()
    pay(portal, "1", 700, Means.CASH, "late")
    page = till.form(page, "montant").submit(expect_errors=True)
    assert page.status_int == 422
    assert "a changé entre-temps" in page
    assert in_hand(portal) == {"cash": 2700, "cheque": 1500}
    page = till.follow(till.form(page, "montant").submit())
    assert "42,00" in page


def test_a_period_and_means_are_chosen_freely(till, portal):
    portal.clock.pass_time(days=2)
    pay(portal, "9", 300, Means.CASH, "later")
    first = make(portal, until=date(2026, 3, 10), means=["cash"])
    assert (first.total, first.since, first.until) == (2000, date(2026, 3, 10), date(2026, 3, 10))
    assert in_hand(portal) == {"cash": 300, "cheque": 1500}
    with pytest.raises(UserError, match="rien à verser"):
        make(portal, until=date(2026, 3, 9))
    with pytest.raises(UserError, match="après le dernier"):
        make(portal, since=date(2026, 3, 12), until=date(2026, 3, 11))
    assert make(portal).number == 2


def test_cancelling_is_a_counter_entry_and_keeps_the_number(till, portal):
    one = make(portal)
    page = till.get(f"/regie/comptes/versements/{one.id}")
    assert till.press(page, "cancel", reason="").status_int == 422
    page = till.press(page, "cancel", reason="Mauvais jour")
    assert "Mauvais jour" in page
    assert in_hand(portal) == {"cash": 2000, "cheque": 1500}
    assert make(portal).number == 2
    with portal.town() as town:
        kinds = [entry.kind for entry in town.accounts.entries.read(MARCH, remittances=True)][-6:]
        assert kinds == ["remitted", "remitted", "remittance_undone", "remittance_undone", "remitted", "remitted"]
        assert town.accounts.entries.chain_holds(MARCH)
        table = town.accounts.statements.make("versements", MARCH)
        assert [row[-1] for row in table.rows] == [3500, -3500, 3500]
        assert table.rows[1][2] == "Versement annulé"
        assert table.rows[1][5] == "Mauvais jour"
    with pytest.raises(UserError, match="déjà annulé"), portal.town() as town:
        town.accounts.remittances.leave(one.id, carrier="x")


def test_what_left_stays(till, portal):
    one = make(portal)
    page = till.press(till.get(f"/regie/comptes/versements/{one.id}"), "leave", carrier="La poste")
    assert "La poste" in page
    assert "Annuler ce versement" not in page
    with pytest.raises(UserError, match="déjà parti"), portal.town() as town:
        town.accounts.remittances.cancel(one.id, reason="x")


def bounce(portal):
    """A cheque of 5 € comes back."""
    with portal.town() as town:
        (payment,) = [p for p in town.payments.history(town.families.by_code("F001").id) if p.amount == 500]
        town.payments.reverse(payment.id, reason="Sans provision")


def test_money_that_came_back_is_taken_off_the_next_one(till, portal):
    make(portal)
    bounce(portal)
    assert in_hand(portal) == {"cheque": -500}
    with pytest.raises(UserError, match="rien à verser"):
        make(portal)
    pay(portal, "9", 800, Means.CASH, "x")
    assert make(portal).total == 300


def test_what_came_back_after_it_left_is_apart_from_the_cheques_that_are_there(till, portal):
    """The bank took it back itself: the till has no cheque below nothing, and the bank's slip lists real ones."""
    with portal.town() as town:
        town.accounts.remittances.leave(make(portal).id, carrier="x")
    bounce(portal)
    page = till.get(PAGE)
    first = page.html.find("tbody").find(["th", "td"]).get_text(strip=True)
    assert first.startswith("Chèque bancaire\u00a0: à déduire")
    assert "n’est plus en caisse" in page
    pay(portal, "9", 1200, Means.CHEQUE, "new")
    with portal.town() as town:
        (one,) = town.accounts.remittances.in_hand("CANTINE")
        assert (one.held_count, one.held, one.returned_count, one.returned, one.amount) == (1, 1200, 1, -500, 700)
    page = till.form(till.get(PAGE), "voir").submit()
    assert "moins 5,00" in page.text.replace("\u00a0", " ").replace("\u202f", " ")
    page = till.follow(till.form(page, "montant").submit())
    with portal.town() as town:
        made = town.accounts.remittances.page("CANTINE").rows[0]
        slip = town.accounts.papers.slip(made, {})
        assert [row[2:] for row in slip.rows] == [(1, 1200), (1, -500)]
        assert slip.foot[2:] == (2, 700)
        cheques, returned = slip.paper.split("À déduire")
        assert cheques.count("0001234") == returned.count("0001234") == 1
        assert "12,00" in cheques
        assert "-5,00" not in cheques.replace("−", "-")
        assert town.accounts.remittances.agrees(made)
        assert in_hand(portal) == {}
    assert "revenu après versement" in page
    assert "Net à verser" in page


def test_what_came_back_is_no_money_under_a_ceiling(bounded):
    made = bounded
    made.publish(record("1"))
    pay(made, "1", 500, Means.CHEQUE, "b")
    make(made)
    bounce(made)
    pay(made, "1", 4100, Means.CHEQUE, "a")
    with made.town() as town:
        (over,) = town.accounts.remittances.over_ceilings()
        assert (over.in_hand, over.ceiling) == (4100, 4050)


def test_a_report_of_the_till_says_what_is_there_and_what_is_to_be_taken_off(till, portal):
    make(portal)
    bounce(portal)
    pay(portal, "9", 800, Means.CHEQUE, "x")
    with portal.town() as town:
        officers = town.accounts.officers
        paper = officers.paper(officers.make_report("CANTINE", kind="check", outgoing="A", incoming="B", counted=0, note=""))
    assert [row[1:] for row in paper.rows] == [(1, 800)]
    assert any("À déduire" in note and "5,00" in note for note in paper.notes)


def test_a_remittance_cancelled_after_its_month_was_closed_stays_in_it(till, portal):
    one = make(portal)
    portal.clock.pass_time(days=25)
    with portal.town() as town:
        town.accounts.closings.close(MARCH)
        town.accounts.remittances.cancel(one.id, reason="Erreur")
        make_ = town.accounts.statements.make
        march, april = make_("versements", MARCH), make_("versements", Period("CANTINE", date(2026, 4, 1)))
        assert [row[-1] for row in march.rows] == [3500]
        assert "Annulé le 04/04/2026" in march.rows[0]
        assert [row[-1] for row in april.rows] == [-3500]
        assert "reste dans le mois" in march.notes[0]
        assert make_("journal", MARCH).foot[12] == march.foot[-1]
        assert make_("caisse", MARCH).foot[-1] == 0


def test_the_statements_tell_of_the_same_money(till, portal):
    make(portal, means=["cheque"])
    with portal.town() as town:
        made = {name: town.accounts.statements.make(name, MARCH) for name in ("journal", "moyens", "caisse", "versements", "cheques")}
        year = town.accounts.statements.make("caisse", Period("CANTINE", date(2026, 3, 1), whole_year=True))
    assert made["journal"].foot[11:13] == (3500, 1500)
    assert made["moyens"].foot[-1] == 3500
    assert made["caisse"].foot[1:] == year.foot[1:] == (0, 9187, -5687, 1500, 2000, 0, 2000)
    assert made["versements"].foot[-1] == 1500
    # The one that came back before anything left is in no remittance.
    assert [row[5] for row in made["cheques"].rows] == ["V-2026-CANTINE-0001"] * 2 + ["annulé"]
    page = till.get("/regie/comptes?regie=CANTINE&annee=2026")
    assert "35,00" in page
    assert "Année suivante" in page
    assert "Arrêté du mois" not in page
    assert "2026" in till.get("/regie/comptes/etats/imputation?regie=CANTINE&annee=2026")


def test_the_dashboard_counts_as_the_books_do(till, portal):
    """Both by the day of the recording, whatever day the payer paid."""
    with portal.town() as town:
        invoice = town.invoices.by_number("9")[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=100,
            paid_at=town.clock.now().replace(month=2), payer="x", shares=[(invoice.id, 100)], key="february",
        )  # fmt: skip
        sums = town.accounts.entries.sums(MARCH)
        figures = town.figures
        assert figures.waiting().month.cents == figures.waiting().today.cents == sums.came == 9287
        report = figures.report()
        assert report.months[-1].collected == sums.came
        assert sum(part.cents for part in report.means) == sums.came


def test_only_who_may_write_remits_and_only_the_regisseur_cancels(till, portal, make_office):
    one = make(portal)
    reader = make_office().enter(Role.READER)
    assert "montant" not in {f for form in reader.get(f"{PAGE}&voir=1&du=2026-03-01&au=2026-03-31&moyen=cash").forms.values() for f in form.fields}
    agent = make_office().enter(Role.AGENT, email="agent@valmont.fr")
    page = agent.get(f"/regie/comptes/versements/{one.id}")
    assert "Annuler ce versement" not in page
    form = agent.form(page, "carrier")
    answer = agent.app.post(f"/valmont/regie/comptes/versements/{one.id}", {"csrf_token": form["csrf_token"].value, "action": "cancel", "reason": "x"}, expect_errors=True)
    assert answer.status_int == 422


def test_payments_that_are_gone_are_not_remitted_for_a_plugin(till, portal):
    with portal.town() as town:
        ids = [payment.id for payment in town.payments.history(town.families.by_code("F001").id) if payment.means == Means.CHEQUE]
        info = town.remittances.make("CANTINE", Means.CHEQUE, ids)
        assert info.payments == dict.fromkeys(ids, Means.CHEQUE)
        assert town.remittances.get(info.id).in_force
        assert town.remittances.get(info.id + 1) is None
    with pytest.raises(ChangedError), portal.town() as town:
        town.remittances.make("CANTINE", Means.CHEQUE, ids)


@pytest.fixture
def bounded(monkeypatch, database, redis, tmp_path):
    """A portal whose canteen may hold 19 € of cash and 40,50 € in all."""
    bounds = 'cash_float = 50\ncash_ceiling = 19\nceiling = "40,50"\n'
    monkeypatch.setattr(portals, "TOWN", portals.TOWN.replace("[regies.CANTINE]\n", f"[regies.CANTINE]\n{bounds}"))
    made = make_portal(database, tmp_path)
    yield made
    made.runtime.close()


def test_a_till_over_its_ceiling_is_asked_about(bounded):
    made = bounded
    made.publish(record("1"))
    assert "Rien n’attend" in Office(pages_of(made.runtime), made).enter().get()
    pay(made, "1", 2000, Means.CASH, "a")
    with made.town() as town:
        (over,) = town.accounts.remittances.over_ceilings()
        assert (over.cash_only, over.in_hand, over.ceiling) == (True, 2000, 1900)
    page = Office(pages_of(made.runtime), made).enter(email="second@valmont.fr").get()
    assert "20,00" in page.click("Préparer un versement")
    pay(made, "1", 2100, Means.CHEQUE, "b")
    with made.town() as town:
        assert [one.cash_only for one in town.accounts.remittances.over_ceilings()] == [True, False]
        town.accounts.remittances.make("CANTINE")
        assert town.accounts.remittances.over_ceilings() == []


def test_numbers_have_no_gap_and_no_money_leaves_twice(till, portal):
    """Agents who remit and take money at the same moment."""
    for number in range(20, 28):
        portal.publish(record(str(number), amount=100))

    def one(at):
        try:
            if at % 3:
                pay(portal, str(20 + at // 2), 50, Means.CASH, f"at-once-{at}")
            else:
                made = make(portal)
                if at % 2:
                    with portal.town() as town:
                        town.accounts.remittances.cancel(made.id, reason="x")
        except UserError:
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(16)))
    with portal.town() as town:
        rows = town.session.execute(text("SELECT number FROM remittance ORDER BY number")).scalars().all()
        assert rows == list(range(1, len(rows) + 1))
        assert len(rows) > 1
        assert town.accounts.entries.chain_holds(MARCH)
        books = town.accounts.remittances
        for made in books.page("CANTINE").rows:
            assert books.agrees(made)
        in_force = sum(made.total for made in books.page("CANTINE").rows if not made.cancelled_at)
        held = sum(one.amount for one in books.in_hand("CANTINE"))
        assert in_force + held == town.accounts.entries.sums(MARCH).net
        assert town.accounts.statements.make("caisse", MARCH).foot[5] == held


@pytest.mark.parametrize("shown", ["--5", "-", "٣-", "5-", "9" * 20, ""])
def test_a_sum_that_no_page_showed_is_asked_for_again(till, portal, shown):
    page = till.get(PAGE)
    form = till.form(till.form(page, "voir").submit(), "montant")
    form["montant"] = shown
    assert form.submit(expect_errors=True).status_int == 422
    assert in_hand(portal) == {"cash": 2000, "cheque": 1500}


def test_what_was_corrected_is_in_hand_by_the_means_it_has_now(till, portal):
    """The entries that cancel out left with the cash; the money itself did not."""
    with portal.town() as town:
        number = town.session.scalar(text("SELECT id FROM payment WHERE key = 'b'"))
        books = town.accounts
        books.corrections.correct(number, "cash", reason="x")
        books.remittances.make("CANTINE", means=[Means.CHEQUE])
        books.corrections.correct(number, "cheque", reason="x")
        made = books.remittances.make("CANTINE", means=[Means.CHEQUE])
        with pytest.raises(UserError, match=made.name):
            books.corrections.correct(number, "cash", reason="x")
