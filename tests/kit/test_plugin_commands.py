"""A plugin's commands open the towns that core hands them."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from core import runtime
from core.cli.main import PreauGroup
from core.plugin import Plugin, PluginSettings, UnknownTownError, hookimpl
from core.testing.portal import installed_plugins, make_portal, record


class Counting(Plugin[PluginSettings]):
    """Counts what a family owes."""

    name = "counting"
    label = "Counting"
    Settings = PluginSettings

    @hookimpl
    def commands(self, cli, tenants):
        @cli.command()
        @click.option("--fail", is_flag=True)
        def count(*, fail):
            for slug in tenants.enabled(self):
                with tenants.open(slug) as ctx:
                    family = ctx.families.by_code("F001")
                    ctx.families.open("F777", "from the command")
                    click.echo(f"{slug} {sum(one.balance for one in ctx.invoices.unpaid(family.id))}")
                    if fail:
                        raise click.ClickException("no")

        @cli.command()
        def nowhere():
            with pytest.raises(UnknownTownError), tenants.open("nowhere"):
                pass


@pytest.fixture
def portal(database, redis, tmp_path, monkeypatch):
    redis.flushall()
    made = make_portal(database, tmp_path, plugins={"counting": Counting()}, toml="[plugins.counting]\n")
    for slug in ("valmont", "brumes"):
        made.publish(record(), slug=slug)
    monkeypatch.setattr(runtime, "get_runtime", lambda: made.runtime)
    with installed_plugins(made.runtime.extensions):
        yield made
    made.runtime.close()


@pytest.mark.parametrize("fails", [False, True])
def test_each_enabling_town_is_one_unit_of_work(portal, fails):
    arguments = ["count", *(["--fail"] if fails else [])]
    result = CliRunner().invoke(PreauGroup(), arguments)
    assert result.exit_code == int(fails), result.output
    assert "brumes 5687" in result.output
    assert ("valmont 5687" in result.output) is not fails
    with portal.town("brumes") as town:
        assert (town.families.by_code("F777") is None) is fails


def test_a_town_that_is_not_there_is_said(portal):
    assert CliRunner().invoke(PreauGroup(), ["nowhere"]).exit_code == 0
