"""A payment's two moments: from the click to PayFiP's page, and from its notification to settled.

Both run through the whole portal, over PostgreSQL with durable commits and the simulator's SOAP
over HTTP. The baseline is what no portal could spare: one SOAP call of the same bytes on a kept
connection, and one transaction that writes one row. What the portal adds to it are the parent's
session, the reservation of the invoices, the split, the receipt's number, and the outbox.

The broker's way and the part of a second for which notifications of one payment are gathered are
not in it: the first is Celery's, the second is on purpose.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from sqlalchemy import create_engine, text
from webtest import TestApp

from benchmarks.browser import quiet_logs
from benchmarks.measure import Aim, Result, compared, in_turns, main, seconds
from benchmarks.payfip_client import bare
from benchmarks.portal import analysed
from benchmarks.portal import running as running_portal
from core.platform.outbox.deliver import deliver
from core.processes.app import make_app
from core.processes.consumers import all_consumers
from core.testing.portal import Portal, record
from plugins.payfip import PayFiP
from plugins.payfip.settings import SERVICE_PATH
from plugins.payfip.simulator.app import Simulator, make_simulator, running
from plugins.payfip.simulator.scenarios import Scenario

TOML = """
[plugins.payfip]
simulator = "{base}"
[plugins.payfip.regies.GARDERIE]
numcli = "006382"
"""


class Parent:
    """A parent who signed in and pays one invoice after the other."""

    def __init__(self, portal: Portal, count: int) -> None:
        portal.publish(*(record(f"B{n}", regie="GARDERIE", lines=()) for n in range(count)))
        analysed(portal)
        self._app = TestApp(
            make_app(portal.runtime), extra_environ={"HTTP_HOST": "localhost"}, lint=False
        )
        form = self._form(self._app.get("/valmont/connexion"), "child_code")
        form["family_code"], form["child_code"] = "F001", portal.codes()
        form.submit().follow()
        with portal.town() as town:
            family = town.families.by_code("F001")
            self._unpaid = [one.id for one in town.invoices.unpaid(family.id)]
        page = self._app.get(f"/valmont/factures/recapitulatif?invoice={self._unpaid[0]}")
        self._token = self._form(page, "email")["csrf_token"].value

    def pay(self) -> None:
        """Confirm one invoice, and be redirected to PayFiP's page."""
        fields = {
            "invoice": self._unpaid.pop(),
            "email": "parent@exemple.fr",
            "key": secrets.token_urlsafe(16),
            "csrf_token": self._token,
        }
        announced = self._app.post("/valmont/paiements", fields, status=303)
        if "idop=" not in announced.location:
            raise RuntimeError(announced.location)

    def notified(self, id_op: str) -> None:
        """PayFiP's notification comes in."""
        self._app.post("/valmont/+payfip/notification", {"idOp": id_op}, status=200)

    @staticmethod
    def _form(page: Any, field: str) -> Any:
        return next(form for form in page.forms.values() if field in form.fields)


def paid(simulator: Simulator) -> list[str]:
    """Pay at the simulator whatever was announced to it.

    Without its bank, whose tickets, written as PDFs in this very process, would be measured too.
    """
    operations = simulator.store.operations(limit=1_000_000)
    for operation in operations:
        simulator.store.choose_card(
            operation.id_op, brand="VISA", last4="0055", scenario=Scenario.ACCEPT
        )
        simulator.store.finish(operation.id_op, "P", numauto=f"{secrets.randbelow(10**6):06d}")
    return [operation.id_op for operation in operations]


def settling(portal: Portal, parent: Parent, waiting: list[str]) -> Callable[[], float]:
    """Measures one notification, and the worker's handling of the row that it leaves."""
    consumers = all_consumers(portal.runtime.extensions)

    def settle() -> float:
        id_op = waiting.pop()
        took = seconds(lambda: parent.notified(id_op))
        portal.clock.pass_time(seconds=1)
        with portal.town() as town:
            row_id = town.session.scalar(
                text("SELECT id FROM outbox WHERE topic = 'payment.ask' AND state = 'ready'")
            )
        took += seconds(lambda: deliver(portal.runtime, consumers, "valmont", row_id))
        with portal.town() as town:
            if town.session.scalar(
                text("SELECT state FROM payment WHERE provider_reference = :r"), {"r": id_op}
            ) != "settled":  # fmt: skip
                raise RuntimeError(f"{id_op} did not settle")
        return took

    return settle


def transaction(owner_url: str) -> Callable[[], object]:
    """One row written in one transaction of a kept connection."""
    connection = create_engine(owner_url).connect()
    connection.execute(text("CREATE TABLE IF NOT EXISTS bare (id bigserial, what text)"))
    connection.commit()

    def write() -> None:
        connection.execute(text("INSERT INTO bare (what) VALUES ('settled')"))
        connection.commit()

    return write


def run(quick: bool) -> Iterator[Result]:
    rounds = 3 if quick else 100
    with ExitStack() as stack:
        simulator = make_simulator()
        base = stack.enter_context(running(simulator))
        portal = stack.enter_context(
            running_portal(plugins={"payfip": PayFiP()}, toml=TOML.format(base=base))
        )
        quiet_logs(portal.runtime)
        # `in_turns` throws one round away.
        parent = Parent(portal, count=2 * (rounds + 1))
        for _number in range(rounds + 1):
            parent.pay()
        analysed(portal)  # The portal has payments now, as one that runs has.
        took = in_turns(
            {
                "settle": settling(portal, parent, paid(simulator)),
                "start": partial(seconds, parent.pay),
                "call": partial(seconds, bare(base + SERVICE_PATH)),
                "transaction": partial(seconds, transaction(portal.owner_url)),
            },
            rounds,
        )
    milliseconds = {name: [1000 * one for one in times] for name, times in took.items()}
    unavoidable = [
        call + transaction
        for call, transaction in zip(milliseconds["call"], milliseconds["transaction"], strict=True)
    ]
    for name, way in (
        ("PayFiP: click to redirect", "start"),
        ("PayFiP: notified to settled", "settle"),
    ):
        yield compared(
            name, milliseconds[way], unavoidable, "ms", Aim("at most", round(1 / 0.7, 2)),
            baseline="one bare SOAP call and one transaction", payments=rounds,
        )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
