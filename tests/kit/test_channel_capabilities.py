"""Any channel may do what e-mail does, by saying so; and has settings of the whole installation."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from structlog.testing import capture_logs

from core.messages.email.channel import plugin as email
from core.messages.models import MessageRow
from core.platform.plugins import rests
from core.plugin import (
    Address,
    ChannelCapabilities,
    Delivered,
    Means,
    Plugin,
    PluginSettings,
    Rejected,
    hookimpl,
)
from core.testing.portal import make_portal, record


class Account(PluginSettings):
    key: str
    pace: int = 5


class Post:
    """A channel that reaches e-mail addresses in another way."""

    key = "post"
    label = "Post"

    def __init__(self, plugin, ctx):
        self._plugin, self._ctx = plugin, ctx
        if plugin.capabilities is not None:
            self.capabilities = plugin.capabilities

    def addresses(self, family_id, kind):
        return tuple(Address(one, family_id) for one in self._ctx.families.emails(family_id))

    def deliver(self, message, to, key):
        self._plugin.sent.append((message.kind, to.value))
        return Rejected("nobody lives there") if to.value.startswith("gone") else Delivered()


class Postal(Plugin[PluginSettings]):
    name = "post"
    label = "Post"
    Settings = PluginSettings
    Installation = Account

    def __init__(self):
        self.capabilities, self.sent = None, []

    @hookimpl
    def notification_channels(self, ctx):
        return [Post(self, ctx)]


@pytest.fixture
def post():
    return Postal()


@pytest.fixture
def portal(database, redis, tmp_path, post):
    redis.flushall()
    made = make_portal(database, tmp_path, plugins={"post": post}, toml="[plugins.post]\n")
    with made.town() as town:
        family = town.families.open("F001", "x")
        for address in ("a@exemple.fr", "gone@exemple.fr"):
            town.alerts.add(family.id, address)
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
        town.session.execute(text("DELETE FROM message"))
        town.session.execute(text("DELETE FROM outbox"))
    rests.forget_rests()
    with capture_logs():
        yield made
    rests.forget_rests()
    made.runtime.close()


def rows(portal, channel):
    with portal.town() as town:
        found = town.session.query(MessageRow).filter(MessageRow.channel == channel).all()
        return sorted((row.kind, row.address) for row in found)


def refused(portal):
    with portal.town() as town:
        return list(town.session.scalars(text("SELECT address FROM contact_email WHERE refused_at IS NOT NULL")))


def sends(portal):
    with portal.town() as town:
        return list(
            town.session.scalars(
                text("SELECT jsonb_array_length(payload->'message_ids') FROM outbox WHERE topic = 'message.send'")
            )
        )


@pytest.mark.parametrize("able", [False, True])
def test_bounces_mark_the_familys_address_only_where_the_channel_says_so(portal, post, able):
    post.capabilities = ChannelCapabilities(bounces=able)
    portal.publish(record())
    portal.work()
    assert ("invoices_published", "gone@exemple.fr") in post.sent
    assert refused(portal) == (["gone@exemple.fr"] if able else [])


@pytest.mark.parametrize("able", [False, True])
def test_a_mailing_travels_together_only_where_the_channel_says_so(portal, post, able):
    post.capabilities = ChannelCapabilities(bulk=able)
    portal.publish(record())
    portal.work()
    # E-mail's two addresses are one row; the other channel's one or two.
    assert sorted(sends(portal)) == ([2, 2] if able else [1, 1, 2])


@pytest.mark.parametrize("able", [False, True])
def test_a_receipt_reaches_who_paid_where_the_channel_says_so(portal, post, able):
    post.capabilities = ChannelCapabilities(receipts=able)
    portal.publish(record())
    portal.work()
    with portal.town() as town:
        family = town.families.by_code("F001")
        invoice = town.invoices.unpaid(family.id)[0]
        recorded = town.payments.record(
            regie="CANTINE", family_id=family.id, means=Means.CASH, amount=5687,
            paid_at=portal.clock.now(), payer="x", shares=[(invoice.id, 5687)], key="k",
        )  # fmt: skip
        town.session.execute(
            text("UPDATE payment SET email = 'payer@exemple.fr' WHERE id = :id"), {"id": recorded.payment_id}
        )
    portal.work()
    assert (("payment_settled", "payer@exemple.fr") in rows(portal, "post")) is able
    assert ("payment_settled", "payer@exemple.fr") in rows(portal, "email")


def test_one_time_links_go_over_the_first_channel_that_carries_them(portal, post):
    def asked():
        with portal.town() as town:
            town.alerts.add(town.families.by_code("F001").id, "new@exemple.fr")
            return town.session.scalars(text("SELECT channel FROM message ORDER BY id DESC")).first()

    assert asked() == "email"


@pytest.mark.parametrize("capabilities", [7, "bulk", {"bulk": True}])
def test_capabilities_of_no_such_type_are_a_fault(portal, post, capabilities):
    post.capabilities = capabilities
    with portal.town() as town:
        assert "post" not in town.channels
        assert "email" in town.channels


def test_installation_settings_come_from_the_environment_and_no_town(portal, post, monkeypatch):
    with portal.town() as town, pytest.raises(ValidationError):
        town.installation_settings(post)
    monkeypatch.setenv("PREAU_POST_KEY", "k1")
    monkeypatch.setenv("PREAU_POST_PACE", "7")
    with portal.town() as town:
        assert town.installation_settings(post) == town.guest.installation_settings(post) == Account(key="k1", pace=7)
        assert town.installation_settings(email).smtp_port == 9


def test_keyed_digits_differ_from_town_to_town_and_plugin_to_plugin(portal, post):
    def digits(slug, plugin):
        with portal.town(slug) as town:
            return town.keyed_hash(plugin, "7")

    found = {digits(slug, plugin) for slug in ("valmont", "brumes") for plugin in (post, email)}
    assert len(found) == 4
    assert digits("valmont", post) in found
    assert all(len(one) == 64 for one in found)
