"""Invoices: corrected by hand, handed over, and what families see of it."""

from __future__ import annotations

import pytest
from office_browser import Office
from trail_clock import trail_day

from core.api.invoices import LineRecord, TaxKind
from core.api.payments import Means
from core.books.period import Period
from core.domain.roles import Role
from core.testing.portal import record

LINES = (
    LineRecord(1, "Repas", TaxKind.MEAL, 4160, child="E001"),
    LineRecord(2, "Garderie", TaxKind.CARE, 1527, child="Léa"),
)


@pytest.fixture
def desk(work, portal):
    portal.publish(record("L", lines=LINES))
    return work


def opened(office, portal, number="L"):
    with portal.town() as town:
        invoice = town.invoices.by_number(number)[0]
    return office.get(f"/regie/factures/{invoice.id}")


def correct(office, page, **values):
    form = office.form(page.click("Corriger cette facture"), "seen")
    form["reason"] = "Erreur de pointage"
    for name, value in values.items():
        form[name.replace("_", "-") if name != "due_on" else name] = value
    return office.follow(form.submit(expect_errors=True))


def state(portal, number="L"):
    with portal.town() as town:
        info = town.invoices.by_number(number)[0]
        return info.label, info.amount, info.due_on.isoformat(), [
            (line.activity, line.child, line.amount) for line in town.invoices.lines(info.id)
        ]  # fmt: skip


def test_an_invoice_is_corrected_line_by_line_and_taken_back(desk, portal):
    before = state(portal)
    page = correct(desk, opened(desk, portal), label="CANTINE février, corrigée", due_on="2026-04-15", amount_1="36,40")
    assert "La facture est corrigée" in page
    assert state(portal) == (
        "CANTINE février, corrigée", 3640 + 1527, "2026-04-15",
        [("Repas", "E001", 3640), ("Garderie", "Léa", 1527)],
    )  # fmt: skip
    assert "Erreur de pointage" in opened(desk, portal)
    assert "Ce qu’elle était avant" in opened(desk, portal)
    page = desk.press(page, "undo")
    assert "Import annulé" in page
    assert state(portal) == before


def test_a_line_goes_and_the_dashboard_waits_for_nothing(desk, portal):
    correct(desk, opened(desk, portal), amount_2="")
    assert state(portal)[1] == 4160
    assert "Rien n’attend" in desk.get()


@pytest.mark.parametrize(
    ("values", "word"),
    [({}, "Rien n’a changé"), ({"amount_1": "beaucoup"}, "Saisissez un montant"), ({"label": ""}, "Saisissez le libellé"),
     ({"due_on": ""}, "Saisissez l’échéance"), ({"due_on": "0001-01-01"}, "entre 2000 et 2100"), ({"due_on": "2101-01-01"}, "entre 2000 et 2100"),
     ({"due_on": "2026-02-30"}, "n’existe pas"), ({"due_on": "2000-01-01"}, "précède la date"), ({"amount_1": "36 4"}, "Saisissez un montant"), ({"amount_1": "-99"}, "annulez-la plutôt"), ({"reason": ""}, "Saisissez le motif")],
)  # fmt: skip
def test_a_wrong_correction_is_told_and_changes_nothing(desk, portal, values, word):
    before = state(portal)
    page = correct(desk, opened(desk, portal), **values)
    assert page.status_int == 422
    assert word in page
    assert state(portal) == before


def test_what_is_paid_is_not_corrected(desk, portal):
    page = opened(desk, portal).click("Corriger cette facture")
    with portal.town() as town:
        invoice = town.invoices.by_number("L")[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=100,
            paid_at=town.clock.now(), payer="x", shares=[(invoice.id, 100)], key="k",
        )  # fmt: skip
    form = desk.form(page, "seen")
    form["reason"], form["label"] = "x", "autre"
    answer = form.submit(expect_errors=True)
    assert answer.status_int == 422
    assert "payée ou en cours de paiement" in answer
    assert "Corriger cette facture" not in opened(desk, portal)


def test_two_agents_who_correct_one_invoice_do_not_overwrite_each_other(desk, portal, make_office):
    other = make_office().enter(Role.AGENT)
    theirs = opened(other, portal).click("Corriger cette facture")
    correct(desk, opened(desk, portal), label="La mienne")
    form = other.form(theirs, "seen")
    form["reason"], form["label"] = "x", "La leur"
    answer = form.submit(expect_errors=True)
    assert answer.status_int == 422
    assert "a changé entre-temps" in answer
    assert form["label"].value == "La leur"
    assert state(portal)[0] == "La mienne"


def test_a_family_sees_what_went_to_the_tresorerie_and_cannot_pay_it(desk, portal, application):
    page = desk.press(opened(desk, portal), "hand_over")
    assert "Transmise à la trésorerie" in page
    parent = Office(application, portal)
    form = next(f for f in parent.get("/connexion").forms.values() if "family_code" in f.fields)
    form["family_code"], form["child_code"] = "F001", portal.codes()
    form.submit().follow()
    page = parent.get("/factures")
    (line,) = [one for one in page.html.select("li:has(> .bill)") if "L" in one.select(".bill .soft")[-1].text]
    assert "payez-la auprès de la trésorerie" in line.text
    assert not line.select("input")


def test_what_is_handed_over_is_confirmed_and_stays_on_a_numbered_list(work, portal):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("9")
    page = work.get(f"/regie/factures/{invoice.id}")
    assert "La trésorerie réclamera 56,87" in page
    page = work.press(page, "hand_over")
    assert "transmise à la trésorerie" in page
    work.press(page, "take_back")
    with portal.town() as town:
        table = town.accounts.statements.make("transmis", Period("CANTINE", trail_day(town).replace(day=1)))
    assert [(row[0][-3:], row[2], row[3], row[7], row[11]) for row in table.rows] == [
        ("001", "Transmission", "Claude regisseur", "9", 5687),
        ("002", "Reprise", "Claude regisseur", "9", -5687),
    ]
    assert table.foot[11] == 0
