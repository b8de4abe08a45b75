"""A receipt that was already written, out of the database, against a file out of a folder.

The portal knows the parent, checks that the payment is this family's, and reads the kept PDF; the
baseline is a bare Pyramid view that answers with a file of the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.response import FileResponse

from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Result, compared, in_turns, main, rate
from benchmarks.portal import analysed, running
from core.api.payments import Means
from core.testing.portal import Portal, record
from core.web.app import make_app


def paid(portal: Portal) -> int:
    portal.publish(record("2026-1", family="F020"))
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
        assert ours() == bare()
        took = in_turns(
            {"ours": partial(rate, ours, count), "bare": partial(rate, bare, count)}, rounds
        )
        size = file.stat().st_size
    yield compared(
        "kept receipt", took["ours"], took["bare"], "papers/s", requests=count, bytes=size,
        baseline="bare Pyramid view, FileResponse: nobody signed in, no database",
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
