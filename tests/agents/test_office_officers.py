"""The people of a régie, and reports that freeze its till at a change of régisseur."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import text

from core.api.payments import Means
from core.domain.roles import Role

PAGE = "/regie/comptes/regisseur?regie=CANTINE"


@pytest.fixture
def till(work, portal):
    """20 € of cash, of which the journal knows."""
    with portal.town() as town:
        invoice = town.invoices.by_number("1")[0]
        town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CASH, amount=2000, paid_at=town.clock.now(),
            payer="x", shares=[(invoice.id, 2000)], key="a",
        )  # fmt: skip
    return work


def appoint(work, page, **values):
    form = work.form(page, "since")
    for name, value in values.items():
        form[name] = value
    shown = work.follow(form.submit("action", value="look", expect_errors=True))
    return work.press(shown, "appoint") if shown.html.find(id="preview") else shown


def test_a_new_regisseur_takes_the_office_of_the_one_before(work, portal):
    page = work.get("/regie/comptes?regie=CANTINE").click("Régisseur et mandataires", index=-1)
    assert appoint(work, page, name="").status_int == 422
    page = appoint(work, page, name="Anne Ancien", act="Arrêté 2020-12", since="2020-01-01")
    page = appoint(work, page, name="Marc Aide", role="mandataire", since="2021-01-01")
    page = appoint(work, page, name="Nora Nouveau", since="2026-03-01")
    with portal.town() as town:
        people = {one.name: one.until for one in town.accounts.officers.all("CANTINE")}
        assert people == {"Anne Ancien": date(2026, 3, 1), "Marc Aide": None, "Nora Nouveau": None}
        assert town.accounts.officers.all("GARDERIE") == []
    form = next(f for f in page.forms.values() if "until" in f.fields)
    form["until"] = "1999-01-01"
    assert form.submit("action", value="end", expect_errors=True).status_int == 422
    form["until"] = "2026-03-10"
    assert "est notée" in work.follow(form.submit("action", value="end"))


def test_a_change_of_regisseur_is_shown_before_it_is_noted(till, portal):
    appoint(till, till.get(PAGE), name="Anne Ancien", since="2020-01-01")
    appoint(till, till.get(PAGE), name="Marc Aide", role="mandataire", since="2021-01-01")
    with portal.town() as town:
        made = town.accounts.remittances.make("CANTINE").name
    form = till.form(till.get(PAGE), "since")
    form["name"], form["since"] = "Nora Nouveau", "2026-03-01"
    shown = form.submit("action", value="look").html.find(id="preview").get_text(" ", strip=True)
    assert "La fonction de Anne Ancien prend fin le 01/03/2026" in shown
    assert "Nora Nouveau est régisseur titulaire à compter du 01/03/2026" in shown
    assert "Restent en fonction\u00a0: Marc Aide" in shown
    assert made in shown
    with portal.town() as town:
        assert {one.name: one.until for one in town.accounts.officers.all("CANTINE")} == {"Anne Ancien": None, "Marc Aide": None}
        assert town.session.scalar(text("SELECT count(*) FROM audit_entry WHERE action = 'officer.appointed'")) == 2


def test_a_report_freezes_the_till_and_is_signed_by_both(till, portal):
    page = till.get(PAGE)
    form = till.form(page, "counted")
    form["outgoing"], form["incoming"], form["counted"] = "Anne Ancien", "Nora Nouveau", "19,50"
    page = till.follow(form.submit("action", value="report"))
    assert "PV-2026-CANTINE-0001" in page
    with portal.town() as town:
        town.accounts.remittances.make("CANTINE")
    with portal.town() as town:
        books = town.accounts.officers
        (one,) = books.reports("CANTINE")
        paper = books.paper(one)
        assert paper.foot[2] == 2000, "what left since is still there"
        notes = " ".join(paper.notes).replace("\u202f", " ").replace("\u00a0", " ").replace("\N{MINUS SIGN}", "-")
        assert "Espèces à trouver : 20,00 €" in notes
        assert "Écart : -0,50 €" in notes
        assert one.hash in notes
        assert "Nora Nouveau" in paper.paper
    assert till.get(f"/regie/comptes/regisseur/pv/{one.id}.pdf").content_type == "application/pdf"
    for change in ("UPDATE till_report SET counted = 0", "DELETE FROM till_report"):
        with pytest.raises(Exception, match="permission denied"), portal.town() as town:
            town.session.execute(text(change))


@pytest.mark.parametrize(("name", "counted"), [("", "1,00"), ("Nora", ""), ("Nora", "-1,00")])
def test_a_report_without_its_facts_is_refused(till, portal, name, counted):
    form = till.form(till.get(PAGE), "counted")
    form["outgoing"], form["incoming"], form["counted"] = "Anne", name, counted
    assert form.submit("action", value="report", expect_errors=True).status_int == 422
    with portal.town() as town:
        assert town.accounts.officers.reports("CANTINE") == []


def test_only_the_regisseur_notes_them(make_office):
    agent = make_office().enter(Role.AGENT, email="agent@valmont.fr")
    page = agent.get(PAGE)
    assert "Établir le procès-verbal" not in page
    token = agent.form(agent.get(), "csrf_token")["csrf_token"].value
    agent.app.post(f"/valmont{PAGE}", {"csrf_token": token, "action": "report"}, status=403)
