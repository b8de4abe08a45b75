"""Plugins write to families in words of their own, and say lines on tiles and under *À faire*."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pyramid.response import Response
from structlog.testing import capture_logs
from webtest import TestApp

from core.families.models import ContactEmail
from core.messages.models import MessageRow
from core.platform import i18n
from core.platform.plugins import rests
from core.plugin import (
    Audience,
    Document,
    Link,
    MenuEntry,
    Notification,
    Plugin,
    PluginSettings,
    TileLine,
    TodoEntry,
    Wording,
    hookimpl,
)
from core.testing.conformance import MessageKindContract
from core.testing.portal import make_portal, pages_of, record

SAID = {"fr": "Une place s’est libérée pour Léa.", "en": "A place is free for Léa."}


class Place:
    """A kind of message: a place is free."""

    key = "place"

    def __init__(self, ctx):
        self._ctx = ctx

    @property
    def label(self):
        return {"fr": "Une place se libère", "en": "A place is free"}[i18n.current_locale()]

    def write(self, notification):
        if notification.payload.get("gone") or self._ctx.families.get(notification.family_id) is None:
            return None
        if notification.payload.get("boom"):
            raise ValueError("boom")
        return Wording(
            "Une place",
            f"{SAID[i18n.current_locale()]}\n\n<b>{notification.payload.get('day', '')}</b>",
            Link("Réserver", f"{self._ctx.town.base_url}/+doors/"),
            (Document("place.txt", "text/plain", b"x"),),
        )


class Doors(Plugin[PluginSettings]):
    """Uses what plugins may use."""

    name = "doors"
    label = "Doors"
    Settings = PluginSettings

    def __init__(self):
        self.kinds = lambda ctx: [Place(ctx)]
        self.lines = lambda _ctx, family_id: [TileLine("doors.page", f"Pour la famille {family_id}")]
        self.todo = lambda _ctx: [
            TodoEntry(3, "3 demandes attendent", "Voir", "doors.page", {"etat": "neuf"}, True),
            TodoEntry(0, "0 demande", "Voir", "doors.page"),
        ]

    @hookimpl
    def configure_web(self, config):
        config.add_route("page", "")
        config.add_view(lambda _request: Response("doors"), route="page")

    @hookimpl
    def menu_entries(self, audience):
        return [MenuEntry("Portes", "doors.page", 5, "Ce qui s’ouvre")] if audience is Audience.PARENTS else []

    @hookimpl
    def message_kinds(self, ctx):
        return self.kinds(ctx)

    @hookimpl
    def tile_lines(self, ctx, family_id):
        return self.lines(ctx, family_id)

    @hookimpl
    def todo_entries(self, ctx):
        return self.todo(ctx)


@pytest.fixture
def doors():
    return Doors()


@pytest.fixture
def portal(database, redis, tmp_path, doors):
    redis.flushall()
    made = make_portal(database, tmp_path, plugins={"doors": doors}, toml="[plugins.doors]\n")
    made.publish(record())
    made.work()
    with made.town() as town:
        town.session.add(
            ContactEmail(
                tenant_id="valmont", family_id=town.families.by_code("F001").id,
                address="lea@exemple.fr", confirmed_at=made.clock.now(),
            )
        )  # fmt: skip
    rests.forget_rests()
    with capture_logs():
        yield made
    rests.forget_rests()
    made.runtime.close()


@pytest.fixture
def family(portal):
    with portal.town() as town:
        return town.families.by_code("F001").id


def send(portal, doors, *notifications, **options):
    with portal.town() as town:
        town.messages.send(doors, "place", *notifications, **options)
    portal.work()


def messages(portal):
    with portal.town() as town:
        rows = town.session.query(MessageRow).filter(MessageRow.kind.like("%.%")).order_by(MessageRow.id)
        return [(row.id, row.state, row.address, row.problem) for row in rows]


def rendered(portal):
    with portal.town() as town:
        row = town.session.query(MessageRow).filter(MessageRow.kind == "doors.place").one()
        return town.letters.render(row)


# --- Messages ------------------------------------------------------------------------------------


def test_a_message_reaches_each_address_once_in_the_plugins_words(portal, doors, family):
    for _time in range(2):
        send(portal, doors, Notification("7", family, {"day": "lundi"}))
    assert len(messages(portal)) == 1
    message = rendered(portal)
    assert message.kind == "doors.place"
    assert message.subject.endswith("Une place")
    assert SAID["fr"] in message.text
    assert "&lt;b&gt;lundi" in message.html
    assert message.links[0].label == "Réserver"
    assert message.documents[0].name == "place.txt"
    assert "/alertes/desabonner/" in message.unsubscribe_url


def test_the_words_are_in_the_familys_language(portal, doors, family):
    with portal.town() as town:
        town.families.set_language(family, "en")
    send(portal, doors, Notification("7", family))
    assert SAID["en"] in rendered(portal).text


def test_nothing_leaves_before_its_time(portal, doors, family):
    later = portal.clock.now() + timedelta(hours=3)
    send(portal, doors, Notification("7", family), after=later)
    assert messages(portal) == []
    portal.clock.pass_time(hours=4)
    portal.work()
    assert len(messages(portal)) == 1


def test_what_has_nothing_to_say_any_more_is_not_sent(portal, doors, family):
    send(portal, doors, Notification("7", family, {"gone": True}))
    ((_id, state, _address, _problem),) = messages(portal)
    assert state == "pointless"


@pytest.mark.parametrize("failure", ["raises", "gives a number", "says nothing", "its plugin is away"])
def test_what_cannot_be_put_into_words_waits_and_keeps_no_other_back(portal, doors, family, failure):
    class Broken(Place):
        def write(self, notification):
            if notification.key == "good" or failure == "raises":
                return super().write(notification)
            return 7 if failure == "gives a number" else Wording(" ", "")

    doors.kinds = lambda ctx: [] if failure == "its plugin is away" else [Broken(ctx)]
    send(
        portal, doors, Notification("bad", family, {"boom": True}), Notification("good", family), bulk=True
    )
    assert {state for _id, state, *_rest in messages(portal)} == {"queued"}  # Nobody listens to SMTP.
    waiting = [row for row in portal.outbox() if row.topic == "message.send" and row.state != "done"]
    assert waiting
    assert all(row.state == "ready" for row in waiting)
    doors.kinds = lambda ctx: [Place(ctx)]
    with portal.town() as town:
        row = town.session.query(MessageRow).filter(MessageRow.key.like("%/good/%")).one()
        assert SAID["fr"] in town.letters.render(row).text


@pytest.mark.parametrize("wrong", [Notification("", 1), Notification("x" * 201, 1), Notification("1", 1, {"a": object()})])
def test_what_cannot_be_kept_is_refused_at_once(portal, doors, wrong):
    with portal.town() as town, pytest.raises(ValueError, match="message"):
        town.messages.send(doors, "place", wrong)


def test_a_rolled_back_transaction_tells_nobody(portal, doors, family):
    with portal.town() as town:
        town.messages.send(doors, "place", Notification("7", family))
        town.session.rollback()
    portal.work()
    assert messages(portal) == []


# --- Pages ---------------------------------------------------------------------------------------


@pytest.fixture
def parent(portal):
    browser = TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})
    forms = browser.get("/valmont/connexion").forms
    form = next(form for form in forms.values() if "family_code" in form.fields)
    form["family_code"], form["child_code"] = "F001", portal.codes("F001")
    form.submit().follow()
    return browser


def place_box(page):
    """The form of what a family may switch off, and the box of this plugin's kind in it."""
    form = next(form for form in page.forms.values() if "kind" in form.fields)
    return form, next(box for box in form.fields["kind"] if box._value == "doors.place")


def test_a_family_switches_a_kind_off_and_on(portal, doors, family, parent):
    page = parent.get("/valmont/alertes")
    assert "Une place se libère" in page
    form, box = place_box(page)
    assert box.checked
    box.checked = False
    page = form.submit("action", value="choose").follow()
    send(portal, doors, Notification("7", family))
    assert messages(portal) == []
    form, box = place_box(page)
    assert not box.checked
    box.checked = True
    form.submit("action", value="choose").follow()
    send(portal, doors, Notification("8", family))
    assert len(messages(portal)) == 1


def test_a_kind_that_is_away_stays_switched_off(portal, doors, family):
    with portal.town() as town:
        town.messages.mute(family, "doors.place")
        town.messages.mute(family, "doors.place")
    doors.kinds = lambda _ctx: []
    with portal.town() as town:
        town.messages.choose(family, ())
    doors.kinds = lambda ctx: [Place(ctx)]
    with portal.town() as town:
        choices = town.messages.choices(family)
    assert ("doors.place", "Une place se libère", False) in choices


def test_a_tile_says_a_line_about_the_family_else_what_it_is_for(portal, doors, family, parent):
    assert f"Pour la famille {family}" in parent.get("/valmont/menu")
    for lines in (lambda _ctx, _id: [], lambda _ctx, _id: 1 / 0, lambda _ctx, _id: [TileLine("doors.page", "")]):
        doors.lines = lines
        rests.forget_rests()
        assert "Ce qui s’ouvre" in parent.get("/valmont/menu")
    doors.lines = lambda _ctx, _id: [TileLine("invoices", "Rien à payer"), TileLine("doors.page", "<b>")]
    page = parent.get("/valmont/menu")
    assert "Rien à payer" not in page
    assert "&lt;b&gt;" in page


def test_what_waits_is_asked_of_each_plugin_and_may_fail(portal, doors):
    with portal.town() as town:
        ((plugin, entry),) = town.todo_entries()
        assert (plugin, entry.count, entry.text) == ("doors", 3, "3 demandes attendent")
    for todo in (lambda _ctx: 7, lambda _ctx: [TodoEntry("3", "x", "y", "z")], lambda _ctx: 1 / 0):
        doors.todo = todo
        rests.forget_rests()
        with portal.town() as town:
            assert town.todo_entries() == []


class TestPlace(MessageKindContract):
    """The kind that the tests above use."""

    @pytest.fixture
    def kind(self, portal):
        with portal.town() as town:
            yield Place(town)

    @pytest.fixture
    def notification(self, family):
        return Notification("7", family, {"day": "lundi"})
