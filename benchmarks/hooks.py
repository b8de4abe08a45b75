"""What a hook costs a page: one contained call of a plugin, against the page without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Aim, Result, each, main
from benchmarks.portal import analysed, running
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
    pages, calls = (20, 200) if quick else (500, 20_000)
    with running(plugins={"nothing": Nothing()}, toml="[plugins.nothing]\n") as portal:
        quiet_logs(portal.runtime)
        portal.publish(*(record(f"2026-{number}", family="F020") for number in range(20)))
        analysed(portal)
        application = make_app(portal.runtime)
        ask = asking(application, "/factures", signed_in(application, portal, "F020"))
        with portal.town() as town:
            extensions, enabled = portal.runtime.extensions, town.config.enabled

            def call() -> None:
                hook = extensions.contained(
                    enabled, "menu_entries", ctx=town, audience=Audience.PARENTS
                )
                assert [name for name, _entries in hook] == ["nothing"]

            each(ask, 20)
            page, hook = median(each(ask, pages)), median(each(call, calls))
    yield Result(
        "one hook call of a page's time", 100 * hook / page, None, "%",
        Aim("at most", 1, of="figure"),
        conditions={"hook_us": round(hook * 1e6, 1), "page_ms": round(page * 1e3, 2),
                    "page": "20 unpaid invoices", "hook": "menu_entries, contained"},
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
