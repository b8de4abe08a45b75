"""Stand-ins that tests steer: the clock, and a payment provider that answers what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from core.api.context import TenantContext
from core.api.messages import Address, Delivered, Delivery, Message, NotificationChannel
from core.api.payments import (
    Attempt,
    Capabilities,
    Means,
    Outcome,
    PaymentIntent,
    PaymentProvider,
    Pending,
    Redirect,
    Settled,
)
from core.api.plugin import Plugin, PluginSettings, hookimpl


class FakeClock:
    """A clock that stands still until it is told."""

    def __init__(self, now: datetime = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        """The moment it shows."""
        return self._now

    def pass_time(self, **delta: float) -> None:
        """Let ``hours=2`` pass."""
        self._now += timedelta(**delta)


class FakeBank:
    """Requests that the fake provider got, and answers that it will give, by reference."""

    def __init__(self) -> None:
        self.intents: dict[str, PaymentIntent] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.questions: list[str] = []
        self.down: Exception | None = None
        self.reference_pattern = ""

    @property
    def last(self) -> str:
        """The reference of the newest attempt."""
        return list(self.intents)[-1]

    def pay(self, reference: str, clock: FakeClock, amount: int | None = None) -> None:
        """Answer from now on that the attempt was paid by card."""
        self.outcomes[reference] = Settled(
            amount=self.intents[reference].amount if amount is None else amount,
            means=Means.CARD,
            paid_at=clock.now(),
            authorisation="A1B2C3",
            raw={"resultrans": "P"},
        )


class FakeProvider:
    """A payment provider without a network."""

    key = "fakepay"
    label = "FakePay"

    def __init__(self, bank: FakeBank, regies: Sequence[str], *, several: bool) -> None:
        self._bank = bank
        self._regies = regies
        self._several = several

    def capabilities(self, regie: str) -> Capabilities | None:
        """All that is asked, in the régies of the settings."""
        if regie not in self._regies:
            return None
        pattern = self._bank.reference_pattern
        rule = f"La référence doit être de la forme {pattern}." if pattern else ""
        return Capabilities(
            several_invoices=self._several, reference_pattern=pattern, reference_rule=rule
        )

    def start(self, intent: PaymentIntent) -> Redirect:
        """Note the intent."""
        if self._bank.down:
            raise self._bank.down
        reference = f"ref-{intent.payment_id}-{len(self._bank.intents)}"
        self._bank.intents[reference] = intent
        asked = {"amount": str(intent.amount)}
        shown = f"FP{intent.payment_id:08d}"
        return Redirect(reference, f"https://bank.invalid/{reference}", asked, shown)

    def outcome(self, attempt: Attempt) -> Outcome:
        """Answer what the test said, else that nothing is known yet."""
        self._bank.questions.append(attempt.reference)
        if self._bank.down:
            raise self._bank.down
        return self._bank.outcomes.get(
            attempt.reference,
            Pending(resumable=True, resume_url=f"https://bank.invalid/{attempt.reference}"),
        )


class FakePaySettings(PluginSettings):
    """``[plugins.fakepay]``."""

    regies: tuple[str, ...] = ()
    several: bool = True


class FakePay(Plugin[FakePaySettings]):
    """The fake provider's plugin."""

    name: ClassVar[str] = "fakepay"
    label: ClassVar[str] = "FakePay"
    Settings = FakePaySettings

    def __init__(self) -> None:
        self.bank = FakeBank()
        self.events: list[tuple[str, str, object]] = []

    @hookimpl
    def payment_providers(self, ctx: TenantContext) -> Sequence[PaymentProvider]:
        """The provider, over this plugin's bank."""
        settings = ctx.settings(self)
        return [FakeProvider(self.bank, settings.regies, several=settings.several)]

    @hookimpl
    def notification_channels(self) -> Sequence[NotificationChannel]:
        """A channel to nobody."""
        return [SilentChannel()]

    @hookimpl
    def payment_settled(self, ctx: TenantContext, event: object) -> None:
        """Note the event."""
        self.events.append((ctx.town.slug, "payment_settled", event))


class SilentChannel:
    """A channel that has no address and takes everything."""

    key = "silent"
    label = "Silent"

    def addresses(self, family_id: int, kind: str) -> tuple[Address, ...]:  # noqa: ARG002
        """Nowhere."""
        return ()

    def deliver(self, message: Message, to: Address, key: str) -> Delivery:  # noqa: ARG002
        """Taken."""
        return Delivered(key)


TOWN = """\
[tenant]
name = "{name}"
hosts = ["{slug}.test"]

[contact]
email = "regie@{slug}.test"

[regies.CANTINE]
label = "Restauration scolaire"

[regies.GARDERIE]
label = "Accueil périscolaire"

[regies.CRECHE]
label = "Multi-accueil"
collects = false

[plugins.fakepay]
regies = ["CANTINE", "CRECHE"]
"""

TOWNS: Mapping[str, str] = {"valmont": "Valmont", "brumes": "Brumes-sur-Loire"}
"""Slug and name of the two towns of tests."""
