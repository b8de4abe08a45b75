"""The page of unpaid invoices of a signed-in family, against a bare Pyramid view.

The baseline (`benchmarks.bare`) makes one SELECT of the same rows and renders the same template.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.bare import make_bare
from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Aim, Result, compared, each, in_turns, main, p99
from benchmarks.portal import analysed, running
from core.platform.clock import today
from core.platform.web.rendering import menu
from core.processes.app import make_app
from core.testing.portal import record

INVOICES = 20


def run(quick: bool) -> Iterator[Result]:
    count, rounds = (20, 1) if quick else (400, 9)
    with running() as portal:
        quiet_logs(portal.runtime)
        portal.publish(
            *(record(f"2026-{number}", family="F020") for number in range(INVOICES)),
            *(record(f"2026-1{number:03}", family=f"F{number}") for number in range(100)),
        )
        analysed(portal)
        with portal.town() as town:
            family_id = town.families.by_code("F020").id
            entries = menu(_Nobody(town))
        application = make_app(portal.runtime)
        tenant = portal.runtime.config("valmont")
        bare = make_bare(
            portal.runtime.settings.owner_url.replace("preau_owner", "postgres"), tenant,
            family_id, entries, today(portal.clock.now()),
        )  # fmt: skip
        ask_ours = asking(application, "/factures", signed_in(application, portal, "F020"))
        ask_bare = asking(bare, "/factures", town="")
        _same_rows(ask_ours(), ask_bare())
        took = in_turns(
            {"ours": lambda: each(ask_ours, count), "bare": lambda: each(ask_bare, count)}, rounds
        )
    told = {"invoices": INVOICES, "requests": count, "baseline": "bare Pyramid view, one SELECT,"
            " the same template; one thread, no HTTP server"}  # fmt: skip
    rates = {way: [1 / median(times) for times in rounds_] for way, rounds_ in took.items()}
    slow = {way: [1000 * p99(times) for times in rounds_] for way, rounds_ in took.items()}
    yield compared(
        "page of 20 unpaid invoices", rates["ours"], rates["bare"], "requests/s",
        Aim("at least", 0.7), **told,
    )  # fmt: skip
    yield compared(
        "page of 20 unpaid invoices: p99", slow["ours"], slow["bare"], "ms",
        Aim("at most", round(1 / 0.7, 2)), **told,
    )  # fmt: skip


class _Nobody:
    """As much of a request as the menu asks for."""

    family = agent = True

    def __init__(self, town: object) -> None:
        self.ctx = town

    def route_path(self, name: str) -> str:
        return name


def _same_rows(*pages: bytes) -> None:
    """A benchmark that compares different pages would be worth nothing."""
    for page in pages:
        assert page.count(b'name="invoice"') == INVOICES, page.decode()


if __name__ == "__main__":
    main(run, __doc__)
