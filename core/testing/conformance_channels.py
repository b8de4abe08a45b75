"""The contract of a notification channel."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import get_args

import pytest

from core.api.messages import (
    Address,
    ChannelCapabilities,
    Delivered,
    Delivery,
    Document,
    Link,
    Message,
    NotificationChannel,
    Rejected,
    Retry,
)
from core.testing.conformance_peers import PEERS, Peer, Place, peer

MESSAGE = Message(
    kind="invoices_published",
    language="fr",
    subject="Une facture est en ligne",
    text="Bonjour,\nune facture vous attend.",
    html="<p>Bonjour,<br>une facture vous attend.</p>",
    links=(Link("Voir la facture", "https://ville.example.org/factures"),),
)
HOSTILE_WORDS = (
    "<script>alert(1)</script> <b>& &amp; ]]> {{ 7*7 }} %s",
    "_*[]()~`>#+-=|{}.! \\",
    "🍎" * 50 + " ’ « Œuvre » \u202e",
    "a" * 20_000,
    "une\r\nligne\r\n.\r\nQUIT\r\n",
)


class NotificationChannelContract:
    """Rules that core relies on when it writes to families through a plugin's channel."""

    patience = 20.0
    """Seconds within which it must give up on a service that does not answer; below core's 50."""
    kinds = ("invoices_published", "invoice_due", "payment_settled", "payment_reversed")

    def test_its_capabilities_are_capabilities(self, channel: NotificationChannel) -> None:
        """Abilities that a channel states are stated in core's type, or not at all."""
        none = ChannelCapabilities()
        assert isinstance(getattr(channel, "capabilities", none), ChannelCapabilities)

    @pytest.fixture
    def channel(self) -> NotificationChannel:
        """The channel under test. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def family(self) -> int:
        """A family that wants messages about new invoices on this channel. Override it."""
        raise NotImplementedError

    def received(self) -> list[str]:
        """Messages that the family got, one entry for each that it sees as one. Override it."""
        raise NotImplementedError

    def gone(self) -> Address:
        """An address that refuses for good. Override it, or the test is skipped."""
        pytest.skip("it cannot tell an address that is gone")

    def elsewhere(self, place: Place) -> NotificationChannel:  # noqa: ARG002
        """The same channel, whose service is at `place`. Override it, or the tests are skipped."""
        pytest.skip("it speaks to no network")

    # --- What it is ------------------------------------------------------------------------------

    def test_it_has_a_key_and_a_label(self, channel: NotificationChannel) -> None:
        """The key is kept with each message; families read the label."""
        assert channel.key.isidentifier()
        assert channel.label.strip()

    def test_a_family_has_addresses(self, channel: NotificationChannel, family: int) -> None:
        """The same ones whenever asked, each with a text that its channel understands."""
        found = channel.addresses(family, "invoices_published")
        assert isinstance(found, tuple)
        assert found
        assert all(isinstance(address, Address) and address.value for address in found)
        assert channel.addresses(family, "invoices_published") == found

    def test_who_is_not_known_has_none(self, channel: NotificationChannel, family: int) -> None:
        """Neither an unknown family nor an unknown kind of message is an error."""
        for kind in (*self.kinds, "a_kind_of_tomorrow"):
            assert channel.addresses(2**31 - 1, kind) == ()
            assert isinstance(channel.addresses(family, kind), tuple)

    # --- Delivering ------------------------------------------------------------------------------

    def test_a_message_arrives(self, channel: NotificationChannel, family: int) -> None:
        """Once, with and without its extras."""
        (to, *_others) = channel.addresses(family, "invoices_published")
        assert isinstance(channel.deliver(MESSAGE, to, "key-1"), Delivered)
        assert len(self.received()) == 1
        plain = replace(MESSAGE, html="", links=())
        self.rest()
        assert isinstance(channel.deliver(plain, to, "key-2"), Delivered)
        assert len(self.received()) == 2

    def test_a_document_goes_with_it(self, channel: NotificationChannel, family: int) -> None:
        """A receipt is a PDF."""
        receipt = Document("recu.pdf", "application/pdf", b"%PDF-1.7\n%%EOF\n")
        (to, *_others) = channel.addresses(family, "invoices_published")
        message = replace(MESSAGE, kind="payment_settled", documents=(receipt,))
        assert isinstance(channel.deliver(message, to, "key-1"), Delivered)
        assert len(self.received()) == 1

    def test_the_same_key_is_the_same_message(
        self, channel: NotificationChannel, family: int
    ) -> None:
        """A worker that died after sending sends again: the family sees one message."""
        (to, *_others) = channel.addresses(family, "invoices_published")
        for _time in range(3):
            assert isinstance(channel.deliver(MESSAGE, to, "one-key"), Delivered)
            self.rest()
        assert len(self.received()) == 1

    @pytest.mark.parametrize("words", HOSTILE_WORDS, ids=range(len(HOSTILE_WORDS)))
    def test_odd_words_arrive_or_are_refused(
        self, channel: NotificationChannel, family: int, words: str
    ) -> None:
        """Names and labels come from files; nothing in them is an exception."""
        (to, *_others) = channel.addresses(family, "invoices_published")
        message = replace(MESSAGE, text=words, html="")
        found = channel.deliver(message, to, "key")
        assert isinstance(found, get_args(Delivery)), found

    def test_an_address_that_is_gone_is_dead(self, channel: NotificationChannel) -> None:
        """It is not tried for ever, and a person reads why."""
        found = channel.deliver(MESSAGE, self.gone(), "key")
        assert isinstance(found, Rejected), found
        assert found.reason.strip()

    # --- A service that misbehaves ---------------------------------------------------------------

    @pytest.mark.parametrize("kind", PEERS)
    def test_a_broken_service_is_tried_again(
        self, channel: NotificationChannel, family: int, kind: Peer
    ) -> None:
        """In time, and without giving the address up. Taken is only what may have been taken."""
        (to, *_others) = channel.addresses(family, "invoices_published")
        with peer(kind) as place:
            broken = self.elsewhere(place)
            start = time.monotonic()
            found = broken.deliver(MESSAGE, to, f"key-{kind}")
            assert time.monotonic() - start < self.patience
        if kind is Peer.ABSENT:
            assert isinstance(found, Retry), found
        assert isinstance(found, Retry | Delivered), found

    def rest(self) -> None:
        """Let time pass between two messages, for channels that keep a pace."""
