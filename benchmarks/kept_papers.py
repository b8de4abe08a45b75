"""A receipt that was already written, out of the database, against a file out of a folder.

The portal knows the parent, checks that the payment is this family's, and reads the kept PDF. It is
held against two files of the same bytes: one behind the same door, which tells what the storage
costs, and one that a bare Pyramid view gives to anybody, which tells what the door does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from pyramid.config import Configurator
from pyramid.response import FileResponse

from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Aim, Result, compared, each, in_turns, main, rate
from benchmarks.portal import analysed, running
from core.api.messages import Document
from core.api.payments import Means
from core.payments.service import Payments
from core.processes.app import make_app
from core.testing.portal import Portal, record


def paid(portal: Portal) -> int:
    portal.publish(record("2026-1", family="F020"), record("2026-2", family="F020"))
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("2026-1")
        payment = town.payments.record(
            regie="CANTINE", family_id=invoice.family_id, means=Means.CHEQUE, amount=5687,
            paid_at=portal.clock.now(), payer="DURAND", shares=[(invoice.id, 5687)], key="k",
        )  # fmt: skip
        return int(getattr(payment, "payment_id", payment))


def make_files(path: Path) -> Any:
    config = Configurator()
    config.add_route("file", "/file.pdf")
    config.add_view(lambda request: FileResponse(path, request=request), route_name="file")
    return config.make_wsgi_app()


def run(quick: bool) -> Iterator[Result]:
    count, rounds = (10, 1) if quick else (400, 7)
    with running() as portal:
        quiet_logs(portal.runtime)
        payment = paid(portal)
        analysed(portal)
        application = make_app(portal.runtime)
        cookies = signed_in(application, portal, "F020")
        ours = asking(application, f"/paiements/{payment}/recu.pdf", cookies)
        file = portal.scratch / "file.pdf"
        file.write_bytes(ours())  # The first time it is written, and kept.
        bare = asking(make_files(file), "/file.pdf", town="")
        paper = Document("recu.pdf", "application/pdf", b"")

        def read_file(*_args: object) -> Document:
            return replace(paper, content=file.read_bytes())

        with portal.town() as town:
            unpaid = town.invoices.by_number("2026-2")[0].id
        invoice = asking(application, f"/factures/{unpaid}.pdf", cookies)
        invoice()  # Set and kept.

        read = mock.patch.object(Payments, "receipt_of", read_file)

        def behind_the_door() -> float:
            with read:
                return rate(ours, count)

        with read:
            assert ours() == bare()
        took = in_turns(
            {
                "ours": partial(rate, ours, count),
                "file": behind_the_door,
                "bare": partial(rate, bare, count),
                "invoice": lambda: 1000 * median(each(invoice, count)),
            },
            rounds,
        )
        told = {"requests": count, "bytes": file.stat().st_size}
    yield Result(
        "kept invoice: a click", median(took["invoice"]), None, "ms",
        Aim("at most", 15, of="figure"),
        conditions={"requests": count, "what": "made ahead, or by an earlier click"},
    )  # fmt: skip
    yield compared(
        "kept receipt: its storage", took["ours"], took["file"], "papers/s", Aim("at least", 0.9),
        baseline="the same request, the paper read from a file", **told,
    )  # fmt: skip
    yield compared(
        "kept receipt", took["ours"], took["bare"], "papers/s",
        baseline="bare Pyramid view, FileResponse: nobody signed in, no database", **told,
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
