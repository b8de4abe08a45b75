"""What a hook costs a page: one contained call of a plugin, against the page's own time.

What plugins say of a town from its settings alone is kept for a minute, so most pages find an
answer. Else a thread is woken, so that a plugin that hangs holds no page up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Aim, Result, each, in_turns, main
from benchmarks.portal import analysed, running
from core.plugin import Audience, MenuEntry, Plugin, PluginSettings, hookimpl
from core.processes.app import make_app
from core.testing.portal import record


class Nothing(Plugin[PluginSettings]):
    """A plugin that has nothing to say."""

    name, label, Settings = "nothing", "Nothing", PluginSettings

    @hookimpl
    def menu_entries(self) -> Sequence[MenuEntry]:
        return []


def run(quick: bool) -> Iterator[Result]:
    pages, calls, rounds = (20, 200, 1) if quick else (500, 2_000, 9)
    with running(plugins={"nothing": Nothing()}, toml="[plugins.nothing]\n") as portal:
        quiet_logs(portal.runtime)
        portal.publish(*(record(f"2026-{number}", family="F020") for number in range(20)))
        analysed(portal)
        application = make_app(portal.runtime)
        ask = asking(application, "/factures", signed_in(application, portal, "F020"))
        with portal.town() as town:
            extensions, enabled = portal.runtime.extensions, town.config.enabled

            def kept() -> None:
                assert town.menu(Audience.PARENTS) == ()

            def asked() -> None:
                found = extensions.contained(
                    enabled, "menu_entries", ctx=town, audience=Audience.PARENTS
                )
                assert [name for name, _entries in found] == ["nothing"]

            each(ask, 20)
            page = median(each(ask, pages))
            took = in_turns(
                {"kept": lambda: each(kept, calls), "asked": lambda: each(asked, calls)}, rounds
            )
    told = {"page_ms": round(page * 1e3, 2), "page": "20 unpaid invoices",
            "hook": "menu_entries, contained"}  # fmt: skip
    for name, way, what, aim in (
        ("one hook call of a page's time", "kept", "a page finds the answer of the last minute",
         Aim("at most", 1, of="figure")),
        ("one hook call asked anew of a page's time", "asked",
         "once a minute, or where nothing is kept: a thread is woken for it", None),
    ):  # fmt: skip
        hook = [median(times) for times in took[way]]
        yield Result(
            name, 100 * median(hook) / page, None, "%", aim,
            conditions={"hook_us": round(median(hook) * 1e6, 1), "what": what,
                        "from_us": round(min(hook) * 1e6, 1), "to_us": round(max(hook) * 1e6, 1),
                        **told},
        )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
