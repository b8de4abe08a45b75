"""The parents' page, the webhook, the commands, and the tables behind."""

import json
import re
from types import SimpleNamespace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner
from jinja2 import ChoiceLoader, DictLoader, Environment, PackageLoader, StrictUndefined
from pyramid import testing
from sqlalchemy import create_engine, text

from core.platform.db.base import Base
from core.platform.db.migrate import downgrade, upgrade
from core.platform.db.rls import OWNER
from core.platform.i18n import use
from core.platform.plugins.discovery import installed
from core.platform.templating import configure
from core.plugin import Audience
from plugins.telegram_bot import plugin
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.commands import simulator_command
from plugins.telegram_bot.inbox import UPDATE
from plugins.telegram_bot.views import SECRET_HEADER, Pages

SECRET = "a-webhook-secret-for-tests"
UPDATE_BODY = {
    "update_id": 7,
    "message": {
        "message_id": 1, "date": 1, "chat": {"id": 1001, "type": "private"},
        "from": {"id": 1001, "is_bot": False, "first_name": "Camille", "last_name": "Private"},
        "text": "/factures",
    },
}  # fmt: skip


@pytest.fixture
def pages(town):
    return Pages(lambda ctx: ctx.configured, Bots())


def post(town, body, secret=SECRET):
    request = testing.DummyRequest(method="POST")
    request.headers = {SECRET_HEADER: secret} if secret else {}
    request.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    request.content_length = len(request.body)
    request.ctx = town
    return request


def test_an_update_is_written_down_once_and_answered_at_once(pages, town):
    for _ in range(3):
        assert pages.webhook(post(town, UPDATE_BODY)).status_code == 200
    (payload,) = town.outbox.take(UPDATE)
    assert payload["text"] == "/factures"
    assert "Private" not in repr(payload), "what is not needed is not kept"


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x", "é"])
def test_an_update_without_the_secret_is_refused(pages, town, secret):
    assert pages.webhook(post(town, UPDATE_BODY, secret)).status_code == 403
    assert not town.outbox.rows


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b"[]", 200),
        (b"null", 200),
        (b'{"update_id": "x"}', 200),
        (b'{"update_id": 1, "poll": {}}', 200),
        (b" " * 300_000, 200),
    ],
)
def test_nothing_posted_is_trusted(pages, town, body, status):
    assert pages.webhook(post(town, body)).status_code == status
    assert not town.outbox.rows


def visit(town, family, **form):
    request = testing.DummyRequest(post=form or None)
    request.ctx, request.family_id = town, family.id
    return request


def test_the_page_shows_a_link_that_links(pages, town):
    family = town.add_family("Durand")
    shown = pages.home(visit(town, family))
    token = re.fullmatch(r"https://t\.me/ville_test_bot\?start=([\w-]{16,64})", shown["link"])[1]
    assert Book(town).present(token, 1001)
    assert shown["qr"].startswith("<svg")
    with town.session.begin_nested():
        stored = town.session.execute(text("SELECT token_hash FROM telegram_link_token")).scalars()
        assert token.encode() not in list(stored)


def test_the_page_is_not_kept_by_caches(pages, town):
    request = visit(town, town.add_family("Durand"))
    pages.home(request)
    assert request.response.headers["Cache-Control"] == "no-store"


def test_a_family_removes_its_own_chats_only(pages, town):
    testing.setUp().add_route("telegram_bot.home", "/+telegram_bot/")
    family, other = town.add_family("Durand"), town.add_family("Martin")
    for one in (family, other):
        Book(town).link(1001, one.id, name="", language="fr")
    mine, theirs = (Book(town).links_of_family(one.id)[0] for one in (family, other))
    for number in (theirs.id, "x", 10**30, ""):
        pages.unlink(visit(town, family, id=str(number)))
    assert Book(town).links_of_family(other.id)
    assert pages.unlink(visit(town, family, id=str(mine.id))).status_code == 303
    assert not Book(town).links_of_family(family.id)
    testing.tearDown()


@pytest.mark.parametrize(("language", "says"), [("fr", "Discussions reliées"), ("en", "Linked")])
def test_the_template_shows_it_all(pages, town, language, says):
    family = town.add_family("Durand")
    Book(town).link(1001, family.id, name="<Camille>", language="fr")
    env = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=ChoiceLoader([
            DictLoader({
                "layout.jinja2":
                    "{% block title %}{% endblock %}{% block content %}{% endblock %}",
                "macros.jinja2":
                    '{% macro csrf() %}<input name="csrf_token">{% endmacro %}'
                    "{% macro icon(name) %}{% endmacro %}",
            }),
            PackageLoader("plugins.telegram_bot"),
        ]),
    )  # fmt: skip
    configure(env)
    context = pages.home(visit(town, family))
    request = SimpleNamespace(route_path=lambda name: f"/{name}")
    with use(language):
        page = env.get_template("chats.jinja2").render(request=request, **context)
    assert says in page
    assert "&lt;Camille&gt;" in page
    assert "<svg" in page
    assert "csrf_token" in page
    assert "style=" not in page, "the portal's policy allows no inline style"


@pytest.mark.parametrize("audience", [Audience.PARENTS, Audience.ALERTS])
def test_the_menu_and_the_page_of_alerts_lead_to_the_chats(town, audience):
    entries = plugin.menu_entries(ctx=town, audience=audience)
    assert [entry.route for entry in entries] == ["telegram_bot.home"]


def test_agents_have_no_use_for_it(town):
    assert not plugin.menu_entries(ctx=town, audience=Audience.OFFICE)


def test_the_simulator_command_needs_no_town():
    shown = CliRunner().invoke(simulator_command(list), ["--help"])
    assert "TOKEN=USERNAME" in shown.output


def test_the_tables_are_those_of_the_models(servers, telegram_database):
    engine = create_engine(servers.url(OWNER, telegram_database))

    def ours(name, type_, _parents):
        return type_ != "table" or name.startswith("telegram_")

    with engine.connect() as connection:
        options = {"include_name": ours, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        diffs = compare_metadata(context, Base.metadata)
        changes = [d for d in diffs if "telegram" in repr(d)]
    engine.dispose()
    assert changes == []


def test_every_table_is_behind_the_wall(servers, telegram_database):
    engine = create_engine(servers.url(OWNER, telegram_database))
    with engine.connect() as connection:
        tables = connection.execute(
            text("SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class"
                 " WHERE relkind = 'r' AND relname LIKE 'telegram_%'")
        ).all()  # fmt: skip
    engine.dispose()
    assert len(tables) == 5
    assert all(walled for _name, walled in tables)


def test_the_migration_goes_down_and_up_again(servers, telegram_template):
    servers.create_database("telegram_down", telegram_template)
    url = servers.url(OWNER, "telegram_down")
    installed_ = {source.directory for source in installed().hook.migrations()}
    sources = sorted(installed_ | {plugin.migrations().directory})
    downgrade(url, sources, to="telegram_bot@base")
    upgrade(url, sources)
    servers.execute('DROP DATABASE "telegram_down" WITH (FORCE)')
