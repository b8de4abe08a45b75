"""What a hook costs a page: one contained call of a plugin, against the page's own time.

A page asks all its plugins in one thread beside its own. So a call costs next to nothing where one
is asked anyway, and else as much as waking that thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median

from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Aim, Result, each, in_turns, main
from benchmarks.portal import analysed, running
from core.containment import together
from core.plugin import Audience, MenuEntry, Plugin, PluginSettings, hookimpl
from core.testing.portal import record
from core.web.app import make_app


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

            def menu(plugins: frozenset[str]) -> None:
                found = extensions.contained(
                    plugins, "menu_entries", ctx=town, audience=Audience.PARENTS
                )
                assert [name for name, _entries in found] == sorted(plugins & {"nothing"})

            def page_asks(plugins: frozenset[str]) -> None:
                def both() -> None:
                    menu(plugins)
                    town.attempts.choices(["CANTINE"])

                together(both)

            each(ask, 20)
            page = median(each(ask, pages))
            took = in_turns(
                {
                    "with": lambda: each(partial(page_asks, enabled), calls),
                    "without": lambda: each(partial(page_asks, enabled - {"nothing"}), calls),
                    "alone": lambda: each(partial(menu, enabled), calls),
                },
                rounds,
            )
    medians = {way: [median(times) for times in rounds_] for way, rounds_ in took.items()}
    more = [has - lacks for has, lacks in zip(medians["with"], medians["without"], strict=True)]
    told = {"page_ms": round(page * 1e3, 2), "page": "20 unpaid invoices",
            "hook": "menu_entries, contained"}  # fmt: skip
    for name, hook, what in (
        ("one hook call more of a page's time", more,
         "beside what the page asks its payment provider"),
        ("one hook call alone of a page's time", medians["alone"],
         "of a page that asks nothing else of plugins: a thread is woken for it"),
    ):  # fmt: skip
        yield Result(
            name, 100 * median(hook) / page, None, "%", Aim("at most", 1, of="figure"),
            conditions={"hook_us": round(median(hook) * 1e6, 1), "what": what,
                        "from_us": round(min(hook) * 1e6, 1), "to_us": round(max(hook) * 1e6, 1),
                        **told},
        )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
