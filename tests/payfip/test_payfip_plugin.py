"""The plugin object, its notification address, and what an operator types."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from core.plugin import PluginSettings, UnknownTownError
from plugins.payfip import PayFiP, commands
from plugins.payfip.client import Client
from plugins.payfip.settings import PayFiPSettings, Regie


@pytest.fixture
def plugin(settings: PayFiPSettings) -> Iterator[PayFiP]:
    made = PayFiP()
    yield made
    made._clients.close()


@pytest.fixture
def ctx(settings: PayFiPSettings, clock) -> SimpleNamespace:
    town = SimpleNamespace(slug="demo", base_url="https://demo.exemple.fr")
    return SimpleNamespace(settings=lambda _plugin: settings, clock=clock, town=town)


@pytest.fixture
def cli(plugin: PayFiP, ctx: SimpleNamespace) -> click.Group:
    @contextmanager
    def town_context(_slug: str) -> Iterator[SimpleNamespace]:
        yield ctx

    group = click.Group()
    for command in commands.build(plugin.open, town_context):
        group.add_command(command)
    return group


def test_it_names_itself_and_its_settings(plugin: PayFiP) -> None:
    assert plugin.name == "payfip"
    assert issubclass(plugin.Settings, PluginSettings)


def test_it_gives_one_provider_or_none(plugin: PayFiP, ctx: SimpleNamespace) -> None:
    (provider,) = plugin.payment_providers(ctx)
    assert provider.key == "payfip"
    assert provider.capabilities("PERI").direct_debit
    ctx.settings = lambda _plugin: PayFiPSettings()
    assert plugin.payment_providers(ctx) == []


def test_only_the_notification_is_open_to_strangers(plugin: PayFiP) -> None:
    views: list[dict] = []
    config = SimpleNamespace(
        add_route=lambda _name, _pattern: None,
        add_view=lambda _view, **options: views.append(options),
    )
    plugin.configure_web(config)
    assert [view["route"] for view in views if "permission" not in view] == ["notification"]
    assert {view["permission"] for view in views if "permission" in view} == {"office"}
    assert [view["route"] for view in views if view.get("csrf") is False] == ["notification"]


def test_health_says_what_is_wrong(plugin: PayFiP, ctx: SimpleNamespace, payfip) -> None:
    peri, titre, page = plugin.health_checks(ctx)
    assert peri.check() == page.check() == ""
    payfip.http.put("/_simulator/api/clients/006383", json={"secure": False})
    assert "DGFiP" in titre.check()
    payfip.fault("unavailable")
    assert "difficulté" in peri.check()


@pytest.fixture
def old_address(payfip) -> Iterator[str]:
    """A host that the service left, and that sends its callers on."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(301)
            self.send_header("Location", f"{payfip.base}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            elsewhere = "http://localhost:1/" if "elsewhere" in self.path else f"{payfip.base}/"
            self.send_response(302)
            self.send_header("Location", f"{elsewhere}page?idop=")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_service_that_moved_works_and_is_told_of(
    plugin: PayFiP, ctx: SimpleNamespace, cli: click.Group, payfip, old_address: str
) -> None:
    moved = PayFiPSettings(simulator=old_address, regies={"PERI": Regie(numcli="006382")})
    ctx.settings = lambda _plugin: moved
    health, page = plugin.health_checks(ctx)
    assert payfip.service in health.check()
    assert page.check() == "", "the page has another name, but the same host"
    result = CliRunner().invoke(cli, ["payfip", "check", "demo"])
    assert result.exit_code == 0, result.output
    assert payfip.service in result.output


@pytest.mark.parametrize(
    ("path", "words"), [("/elsewhere", "hors des sites de l’État"), ("/here", "")]
)
def test_a_page_that_moved_is_told_of(
    plugin: PayFiP, ctx: SimpleNamespace, old_address: str, path: str, words: str
) -> None:
    settings = PayFiPSettings(
        endpoint=old_address, page=f"{old_address}{path}", regies={"PERI": Regie(numcli="006382")}
    )
    ctx.settings = lambda _plugin: settings
    _health, page = plugin.health_checks(ctx)
    assert words in page.check()
    assert bool(page.check()) is bool(words)


def test_check_says_in_words(cli: click.Group, payfip) -> None:
    result = CliRunner().invoke(cli, ["payfip", "check", "demo"])
    assert result.exit_code == 0, result.output
    assert re.search(r"PERI \(006382\).*ouverte \(essai", result.output)
    payfip.http.put("/_simulator/api/clients/006383", json={"known": False})
    result = CliRunner().invoke(cli, ["payfip", "check", "demo"])
    assert result.exit_code == 1
    assert "ne connaît pas" in result.output


def test_activation_is_walked_through(cli: click.Group, payfip, monkeypatch) -> None:
    def pay(_seconds: float) -> None:
        (operation,) = payfip.simulator.store.operations()
        payfip.act(operation.id_op, "accept")

    monkeypatch.setattr(commands.follow, "__kwdefaults__", {"patience": 60, "sleep": pay})
    result = CliRunner().invoke(
        cli, ["payfip", "activate", "demo", "PERI", "--email", "regie@exemple.fr"]
    )
    assert result.exit_code == 0, result.output
    assert "paiementws.web?idop=" in result.output
    assert 'mode = "W"' in result.output
    (operation,) = payfip.simulator.store.operations()
    assert (operation.saisie, operation.montant) == ("X", "100")
    assert operation.urlnotif == "https://demo.exemple.fr/+payfip/notification"


@pytest.mark.parametrize(
    "arguments",
    [
        ["PERI", "--email", "nobody"],
        ["PERI", "--email", "a@b.fr", "--amount", "0,50"],
        ["PERI", "--email", "a@b.fr", "--amount", "un"],
        ["AUTRE", "--email", "a@b.fr"],
    ],
)
def test_activation_says_what_is_wrong(cli: click.Group, arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["payfip", "activate", "demo", *arguments])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("error", "words"),
    [(UnknownTownError("demo"), "Aucune commune"), (KeyError("payfip"), "n’active pas")],
)
def test_a_town_without_payfip(plugin: PayFiP, error: Exception, words: str) -> None:
    @contextmanager
    def town_context(_slug: str) -> Iterator[None]:
        raise error
        yield

    payfip, _simulator = commands.build(plugin.open, town_context)
    result = CliRunner().invoke(payfip, ["check", "demo"])
    assert result.exit_code == 1
    assert words in result.output


def test_activation_is_not_for_production(plugin: PayFiP, ctx, cli: click.Group) -> None:
    ctx.settings = lambda _plugin: PayFiPSettings(regies={"PERI": Regie(numcli="006382", mode="W")})
    result = CliRunner().invoke(cli, ["payfip", "activate", "demo", "PERI", "--email", "a@b.fr"])
    assert result.exit_code == 1
    assert "déjà en production" in result.output


def test_an_unpaid_activation_can_be_followed_later(client: Client, payfip, provider, intent) -> None:
    redirect = provider.start(intent)
    assert commands.follow(client, redirect.reference, patience=5, sleep=lambda _s: None) is None
    payfip.act(redirect.reference, "cancel")
    detail = commands.follow(client, redirect.reference, patience=5, sleep=lambda _s: None)
    assert detail.resultrans == "A"


def test_the_simulator_command_checks_its_arguments() -> None:
    result = CliRunner().invoke(commands.simulator, ["--smtp", "nowhere"])
    assert result.exit_code == 2


def test_threads_share_one_client(plugin: PayFiP, ctx: SimpleNamespace) -> None:
    found: list[Client] = []
    threads = [threading.Thread(target=lambda: found.append(plugin.open(ctx)[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1
