"""How many statements each page may cost, whatever the number of rows: N+1 must not come back.

A budget is what the page costs today with one invoice; with twenty it must cost the same.
"""

from __future__ import annotations

import pytest
from sqlalchemy import text
from webtest import TestApp

from core.api.messages import Address, Delivered
from core.api.payments import Means
from core.platform.outbox.deliver import deliver
from core.plugin import Plugin, PluginSettings, hookimpl
from core.processes.app import make_app
from core.processes.consumers import all_consumers
from core.testing.portal import due_rows, make_portal, record
from core.testing.statements import statements

PAGES = {
    # path: statements, the session's own `set_config` and the recognition of who asks included
    "/": 4,
    "/connexion": 2,
    "/menu": 4,  # the régies that families may ask to be debited by, too
    "/factures": 3,
    "/factures/payees": 5,
    "/attestations": 4,
    "/alertes": 4,  # what of the news of the town the family switched off, too
    "/compte": 3,
    "/aide": 2,
}


class Everywhere(Plugin):
    """A channel with an address for every family, which takes every message."""

    name = key = label = "everywhere"
    Settings = PluginSettings

    @hookimpl
    def notification_channels(self):
        return [self]

    def addresses(self, family_id, kind):
        return (Address(f"family-{family_id}"),)

    def deliver(self, message, to, key):
        return Delivered(key)


@pytest.fixture(scope="module")
def house(module_database, tmp_path_factory):
    """Valmont: F001 has one invoice of each kind, F020 twenty."""
    portal = make_portal(
        module_database, tmp_path_factory.mktemp("portal"),
        plugins={"everywhere": Everywhere()}, toml="[plugins.everywhere]\n",
    )  # fmt: skip
    portal.runtime.redis.flushall()
    counts = {"F001": 1, "F020": 20}
    portal.publish(
        *(
            record(f"{kind}{family}{n}", family=family)
            for family, count in counts.items()
            for n in range(count)
            for kind in ("due", "paid")
        )
    )
    with portal.town() as town:
        for family, count in counts.items():
            for n in range(count):
                (invoice,) = town.invoices.by_number(f"paid{family}{n}")
                town.payments.record(
                    regie="CANTINE", family_id=invoice.family_id, means=Means.CHEQUE, amount=5687,
                    paid_at=portal.clock.now(), payer="X", shares=[(invoice.id, 5687)], key=invoice.number,
                )  # fmt: skip
    application = make_app(portal.runtime)
    browsers = {}
    for family in counts:
        browser = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
        forms = browser.get("/valmont/connexion").forms
        form = next(form for form in forms.values() if "family_code" in form.fields)
        form["family_code"], form["child_code"] = family, portal.codes(family)
        form.submit().follow()
        browsers[family] = browser
    yield portal, browsers
    portal.runtime.close()


def cost(house, family, path):
    portal, browsers = house
    with statements(portal) as said:
        browsers[family].get(f"/valmont{path}", status=200)
    return said


@pytest.mark.parametrize("path", PAGES)
def test_a_page_keeps_to_its_budget(house, path):
    few, many = (cost(house, family, path) for family in ("F001", "F020"))
    assert len(many) <= PAGES[path], "\n".join(many)
    assert len(many) == len(few), "the page costs more with more rows"


def ids(portal, family):
    with portal.town() as town:
        return [invoice.id for invoice in town.invoices.unpaid(town.families.by_code(family).id)]


def test_choosing_many_invoices_costs_what_one_does(house):
    """The four steps of a payment."""
    portal, browsers = house
    costs = []
    for family in ("F001", "F020"):
        chosen = "&".join(f"invoice={number}" for number in ids(portal, family))
        browser = browsers[family]
        with statements(portal) as checkout:
            page = browser.get(f"/valmont/factures/recapitulatif?{chosen}", status=200)
        form = next(form for form in page.forms.values() if "email" in form.fields)
        form["email"] = "camille@exemple.fr"
        with statements(portal) as started:
            form.submit(status=303)
        with portal.town() as town:
            number = town.session.scalar(text("SELECT max(id) FROM payment"))
        payment = f"/valmont/paiements/{number}"
        portal.bank.pay(portal.bank.last, portal.clock)
        with statements(portal) as back:
            browser.get(f"{payment}/retour", status=303)
        with statements(portal) as seen:
            browser.get(payment, status=200)
        costs.append([len(said) for said in (checkout, started, back, seen)])
    few, many = costs
    assert many == few
    assert all(one <= most for one, most in zip(many, (6, 8, 22, 7), strict=True)), many


def test_from_a_notification_to_settled_it_costs_what_one_invoice_does(house):
    """The question that a notification leaves, and its answer: each transaction's beginning too."""
    portal, _browsers = house
    consumers = all_consumers(portal.runtime.extensions)
    costs = []
    for count in (1, 10):
        portal.publish(*(record(f"asked{count}-{n}", family=f"F04{count}") for n in range(count)))
        chosen = ids(portal, f"F04{count}")
        with portal.town() as town:
            payment = town.attempts.create(
                town.families.by_code(f"F04{count}").id, chosen, email="", language="fr", key="k"
            )
            town.attempts.start(payment)
        portal.bank.pay(portal.bank.last, portal.clock)
        with statements(portal) as asked, portal.town() as town:
            assert town.payments.ask_again("fakepay", portal.bank.last)
        portal.clock.pass_time(seconds=1)
        with portal.town() as town:
            row = town.session.scalar(
                text("SELECT id FROM outbox WHERE topic = 'payment.ask' AND state = 'ready'")
            )
        with statements(portal) as settled:
            deliver(portal.runtime, consumers, "valmont", row)
        with portal.town() as town:
            assert town.payments.get(payment) is not None
        costs.append((len(asked), len(settled)))
    assert costs[0] == costs[1], costs
    assert len(asked) <= 2, "\n".join(asked)
    assert len(settled) <= 12, "\n".join(settled)


def test_a_payment_at_the_counter_costs_what_one_invoice_does(house):
    """A slip of two hundred cheques is two hundred of these, while an agent waits."""
    portal, _browsers = house
    costs = []
    for count in (1, 10):
        numbers = [f"counter{count}-{n}" for n in range(count)]
        portal.publish(*(record(number, family="F030") for number in numbers))
        with portal.town() as town:
            invoices = [invoice for number in numbers for invoice in town.invoices.by_number(number)]
            with statements(portal) as said:
                town.payments.record(
                    regie="CANTINE", family_id=invoices[0].family_id, means=Means.CASH,
                    amount=sum(invoice.balance for invoice in invoices), paid_at=portal.clock.now(), payer="X",
                    shares=[(invoice.id, invoice.balance) for invoice in invoices], key=numbers[0],
                )  # fmt: skip
        costs.append(len(said))
    assert costs[0] == costs[1] <= 11, "\n".join(said)


def test_an_outbox_row_costs_a_dozen_statements_at_most(house):
    """What is said when a batch is published: of one invoice to one family, of twenty to another.

    One row finds the families, one each of their addresses, and one sends each message.
    """
    portal, _browsers = house
    consumers = all_consumers(portal.runtime.extensions)
    portal.work()
    portal.publish(
        record("told", family="F001"), *(record(f"told{n}", family="F020") for n in range(20))
    )
    costs = {}
    for _round in range(3):
        with portal.town() as town:
            due = due_rows(town)
        for tenant, row in due:
            with statements(portal) as said:
                deliver(portal.runtime, consumers, tenant, row)
            with portal.town() as town:
                topic, state = town.session.execute(
                    text("SELECT topic, state FROM outbox WHERE id = :id"), {"id": row}
                ).one()
            assert state == "done"
            costs.setdefault(topic, []).append(len(said))
    assert set(costs) == {"publish.fanout", "notify", "message.send"}, costs
    assert len(costs["message.send"]) == 2
    assert all(len(set(found)) == 1 for found in costs.values()), costs
    assert all(max(found) <= 12 for found in costs.values()), costs
