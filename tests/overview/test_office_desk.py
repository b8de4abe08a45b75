"""The dashboard, finding things, effects that died, and the trail."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import text

from core.api.invoices import InvoiceKind
from core.api.payments import Means
from core.domain.roles import Role
from core.messages.alerts import CONFIRM
from core.testing.portal import record


def pay(portal, number, amount, means=Means.CASH, key="k", **fields):
    with portal.town() as town:
        invoice = town.invoices.by_number(number)[0]
        return town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means=means, amount=amount,
            paid_at=fields.get("paid_at", town.clock.now()), payer="x", shares=[(invoice.id, amount)], key=key,
        ).payment_id  # fmt: skip


def test_the_dashboard_adds_up(work, portal):
    pay(portal, "1", 5687)
    page = work.get()
    figures = [dd.text.split("paiement")[0].strip() for dd in page.html.select(".figures dd")]
    assert figures[0].startswith("56,87")
    assert figures[2].startswith("66,87")
    assert "Rien n’attend" in page


def test_what_waits_is_led_to(work, portal, owner):
    with portal.town() as town:
        town.outbox.add("nobody.knows", {}, key="1")
        town.session.execute(text("UPDATE outbox SET state = 'dead', last_error = 'boum' WHERE topic = 'nobody.knows'"))
        family = town.families.by_code("F001")
        town.alerts.add(family.id, "a@exemple.fr")
        town.session.execute(text("UPDATE contact_email SET refused_at = now(), refusal = '550 no such user'"))
    page = work.get()
    assert "1 envoi a échoué" in page
    assert "1 adresse refuse" in page
    page = page.click("Voir les envois")
    assert "boum" in page
    assert "550 no such user" in page
    page = work.follow(work.form(page, "id").submit("id"))
    assert "L’envoi est relancé" in page
    states = {row.topic: row.state for row in portal.outbox()}
    assert states["nobody.knows"] == "ready"


def test_a_receipt_to_classify_and_a_credit_wait(work, portal):
    now = portal.clock.now()
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        for family, key in ((None, "nobody"), (invoice.family_id, "too much")):
            town.payments.record(
                regie="CANTINE", family_id=family, means=Means.CHEQUE, amount=1200, paid_at=now,
                payer="x", shares=[], key=key,
            )  # fmt: skip
    page = work.get()
    assert "Rien n’attend" not in page
    assert "1 recette à classer" in page
    assert "1 avoir d’une famille" in page
    assert "à identifier" in page.click("Voir les recettes à classer")


def test_what_was_paid_before_its_credit_note_waits(work, portal):
    pay(portal, "1", 5687)
    portal.publish(
        record("A", amount=-1000, kind=InvoiceKind.CREDIT_NOTE, origin_number="1", lines=())
    )
    page = work.get()
    assert "1 facture réglée avant son avoir" in page
    assert "Rien n’attend" not in page


def test_a_month_that_is_over_waits_to_be_closed(work, portal):
    pay(portal, "1", 5687)
    assert "Rien n’attend" in work.get()
    portal.clock.pass_time(days=31)
    with portal.town() as town:
        periods = town.accounts.closings.still_open(town.config.file.regies)
        assert [(one.regie, f"{one.month:%m/%Y}") for one in periods] == [("CANTINE", "03/2026")]
        assert town.figures.waiting().todo == 0
        town.accounts.closings.close(periods[0])
        assert not town.accounts.closings.still_open(town.config.file.regies)


def test_the_page_leads_to_the_open_month(work, portal):
    portal.clock.pass_time(days=-31)
    pay(portal, "1", 5687)
    portal.clock.pass_time(days=31)
    page = work.get()
    assert "le mois 02/2026 est à arrêter" in page
    assert "Arrêter" in page.click("Voir ce mois")


def test_failures_and_state_are_always_in_the_menu(work):
    menu = work.get().html.select(".main-nav a")
    for label, heading in (("Envois en échec", "échec"), ("État du portail", "État")):
        (link,) = [a for a in menu if a.text == label]
        assert heading in work.app.get(link["href"]).html.find("h1").get_text()


@pytest.mark.parametrize(
    ("typed", "found"),
    [("F002", "MARTIN Léa"), ("f-002", "MARTIN Léa"), ("mart", "MARTIN Léa"), ("9", "CANTINE février"),
     ("10,00 €", "CANTINE mars"), ("CANTINE-2026-000001", "CANTINE-2026-000001")],
)  # fmt: skip
def test_anything_on_paper_is_found(work, portal, typed, found):
    pay(portal, "9", 1234)
    page = work.follow(work.get("/regie/recherche", params={"q": typed}))
    assert found in page


@pytest.mark.parametrize("typed", ["", "%", "_", "'; DROP TABLE family; --", "é" * 100, "9" * 60, "1e9"])
def test_odd_searches_are_answered(work, typed):
    page = work.get("/regie/recherche", params={"q": typed})
    assert page.status_int == 200
    assert "MARTIN" not in page


def test_lists_are_paged_by_key(work, portal, monkeypatch):
    portal.publish(*(record(f"N{n:03}") for n in range(120)))
    page = work.get("/regie/factures", params={"etat": "unpaid", "regie": "CANTINE"})
    seen = []
    while True:
        seen += [row.text.split()[0] for row in page.html.select("table.rows tbody th")]
        if not page.html.select("a[rel=next]"):
            break
        page = page.click("Page suivante")
    assert len(seen) == len(set(seen)) == 123


def test_the_trail_is_the_regisseurs(work, make_office):
    reader = make_office().enter(Role.READER)
    reader.get("/regie/tracabilite", status=403)
    page = work.get("/regie/tracabilite")
    assert "agent.created" in page
    answer = page.click("CSV")
    assert answer.content_type == "text/csv"
    assert answer.body.startswith(b"\xef\xbb\xbf")
    assert "Agent ajouté" in answer.body.decode()


def test_the_trail_cannot_be_rewritten(portal, work):
    from sqlalchemy.exc import ProgrammingError

    with pytest.raises(ProgrammingError), portal.town() as town:
        town.session.execute(text("UPDATE audit_entry SET actor = 'x'"))


def test_an_invoice_is_cancelled_with_a_reason(work, portal):
    page = work.get("/regie/factures").click("^9$")
    assert "Saisissez le motif" in work.press(page, "cancel")
    page = work.press(page, "cancel", reason="Doublon")
    assert "La facture est annulée" in page
    assert "Doublon" in page
    with portal.town() as town:
        assert town.invoices.by_number("9") == []


def test_a_paid_invoice_is_not_cancelled(work, portal):
    pay(portal, "9", 100)
    page = work.press(work.get("/regie/factures").click("^9$"), "cancel", reason="x")
    assert page.status_int == 422


def test_an_invoice_goes_to_the_tresorerie_and_back(work, portal):
    page = work.press(work.get("/regie/factures").click("^9$"), "hand_over")
    assert "Transmise à la trésorerie" in page
    with portal.town() as town:
        assert not town.invoices.by_number("9")[0].payable
    work.press(page, "take_back")
    with portal.town() as town:
        assert town.invoices.by_number("9")[0].payable


def test_what_is_being_paid_online_is_left_alone(work, portal):
    with portal.town() as town:
        invoice = town.invoices.by_number("9")[0]
        town.attempts.create(invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="k")
    page = work.press(work.get("/regie/factures").click("^9$"), "hand_over")
    assert page.status_int == 422
    assert "déjà en cours" in page


def test_the_menu_keeps_to_its_order(work):
    assert groups_of(work.get())["Encaisser"] == ["Guichet", "Paiements", "Prélèvements"]


def groups_of(page):
    """Entries of the menu by the heading they stand under, current ones with their kind."""
    return {
        group.summary.text: [
            a.text + (f" ({a['aria-current']})" if a.get("aria-current") else "") for a in group.select("a")
        ]
        for group in page.html.select(".main-nav details.group")
    }


def test_the_menu_has_five_groups(work):
    page = work.get()
    assert list(groups_of(page)) == ["Encaisser", "Factures", "Familles", "Comptes", "Réglages"]
    assert page.html.select_one(".main-nav a[aria-current=page]").text == "Tableau de bord"
    assert {"État du portail", "Envois en échec", "Agents"} <= set(groups_of(page)["Réglages"])


@pytest.mark.parametrize(
    ("path", "group", "entry"),
    [("/regie/familles", "Familles", "Familles (page)"),
     ("/regie/familles/nouvelle", "Familles", "Familles (true)"),
     ("/regie/comptes/versements", "Comptes", "Caisse et versements (page)"),
     ("/regie/comptes/etats/journal", "Comptes", "Comptes (true)")],
)  # fmt: skip
def test_the_menu_says_where_one_is(work, path, group, entry):
    page = work.get(path)
    assert entry in groups_of(page)[group]
    assert [one.text for one in page.html.select("summary.current")] == [group]
    assert len(page.html.select(".main-nav [aria-current]")) == 1


def test_the_charts_add_up(work, portal):
    """Shares, delays, ages and who was told, each against what is known to have happened."""
    portal.publish(record("late", amount=3000, due_on=date(2026, 1, 31), issued_on=date(2026, 1, 5)))
    pay(portal, "1", 5687, Means.CASH, "a")
    pay(portal, "9", 1000, Means.CHEQUE, "b")
    with portal.town() as town:
        family = town.families.by_code("F001")
        town.alerts.add(family.id, "a@exemple.fr")
        address = town.alerts.addresses(family.id)[0]
        town.alerts.confirm(town.links.sign(CONFIRM, [address.id, address.address]))
    portal.publish(record("told"))
    portal.work()
    with portal.town() as town:
        # Rows are stamped by the database, whose clock does not stand still in March.
        town.session.execute(text("UPDATE message SET created_at = '2026-03-10T12:00Z'"))
        report = town.figures.report()
        march = town.figures.report(date(2026, 2, 1))
    assert [(month.invoiced, month.collected, month.families) for month in report.months if month.invoiced] == [
        (3000, 0, 1), (5687 * 3 + 1000, 6687, 2),
    ]  # fmt: skip
    assert dict(zip(report.channels, report.months[-1].told, strict=True))["E-mail"] == 1
    assert [(part.count, part.cents) for part in report.means] == [(1, 5687), (1, 1000)]
    assert [part.count for part in report.delays] == [0, 2, 0, 0, 0]
    assert report.delay == 9
    assert [(part.count, part.cents) for part in report.unpaid] == [(3, 11374), (0, 0), (1, 3000), (0, 0), (0, 0)]
    assert report.owed == 14374
    with portal.town() as town:
        assert town.figures.waiting().due == report.owed
    assert march.means == []
    assert march.delay is None


def test_the_dashboard_of_a_month_is_a_paper(work, portal):
    pay(portal, "1", 5687)
    answer = work.get().click("PDF", index=0)
    assert answer.body.startswith(b"%PDF")
    for month in ("2027-01", "2026-13"):
        work.get(f"/regie/tableau-de-bord/{month}.pdf", status=404)


@pytest.mark.parametrize("typed", ["9 / K", "E001", "e001"])
def test_what_coupons_and_lines_print_is_found_too(work, typed):
    page = work.follow(work.get("/regie/recherche", params={"q": typed}))
    assert "CANTINE février" in page or "F001" in page
