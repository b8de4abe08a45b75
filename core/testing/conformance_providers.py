"""The contract of a payment provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol, get_args
from urllib.parse import urlsplit

import pytest

from core.api.errors import PermanentError, RetryableError, StartRefusedError
from core.api.payments import (
    Anomaly,
    Attempt,
    Capabilities,
    Failed,
    FailureKind,
    Means,
    Outcome,
    PaymentIntent,
    PaymentProvider,
    Pending,
    Redirect,
    Settled,
)
from core.domain.start_refusals import RefusalKind
from core.platform import i18n
from core.testing.conformance_peers import PEERS, Peer, Place, peer


class Counterpart(Protocol):
    """Counterpart of the provider in the contract: somebody who plays parent and bank."""

    provider: PaymentProvider

    def intent(self, payment_id: int, amount: int) -> PaymentIntent:
        """A payment that the provider would take, of `amount` cents."""
        ...

    def pay(self, reference: str) -> None:
        """The parent pays what was asked."""
        ...

    def fail(self, reference: str, kind: FailureKind) -> None:
        """The attempt ends without money, and nothing can change that any more."""
        ...

    def pay_another_amount(self, reference: str) -> None:
        """The service says that the attempt was paid, with an amount that was not asked."""
        ...

    def refuse(self, kind: RefusalKind) -> None:
        """The service refuses every payment from now on, for a reason of this kind.

        Called for each of `PaymentProviderContract.refusals`; `RefusalKind.AWAY`: it is away.
        """
        ...

    def elsewhere(self, place: Place) -> PaymentProvider | None:
        """The same provider, whose service is at `place`; None if it speaks to no network."""
        ...


class PaymentProviderContract:
    """Rules that core relies on when it takes money through a plugin's provider."""

    regie = "CANTINE"
    """A régie that the provider takes payments of."""
    patience = 30.0
    """Seconds within which it must give up on a service that does not answer; below core's 45."""
    failures = (FailureKind.REFUSED, FailureKind.CANCELLED)
    """The ways to end without money that its service knows."""
    refusals: tuple[RefusalKind, ...] = ()
    """The kinds of refusals at the start that its service knows, and the counterpart can play."""

    @pytest.fixture
    def counterpart(self) -> Counterpart:
        """The provider under test and who plays with it. Override it."""
        raise NotImplementedError

    # --- What it is and can ----------------------------------------------------------------------

    def test_it_has_a_key_and_a_label(self, counterpart: Counterpart) -> None:
        """The key is kept with each payment; parents read the label."""
        assert counterpart.provider.key.isidentifier()
        assert counterpart.provider.label.strip()

    def test_it_takes_its_regies_and_no_other(self, counterpart: Counterpart) -> None:
        """A régie that is not set up cannot be paid online: None, not an exception."""
        found = counterpart.provider.capabilities(self.regie)
        assert isinstance(found, Capabilities)
        assert 0 < found.minimum <= found.maximum
        for other in ("", "NOWHERE", "cantine’; --", "é" * 500):
            assert counterpart.provider.capabilities(other) is None

    @pytest.mark.parametrize("kind", [Peer.ABSENT, Peer.SILENT])
    def test_capabilities_wait_for_nobody(self, counterpart: Counterpart, kind: Peer) -> None:
        """They are asked while a page is made."""
        with peer(kind) as place:
            provider = self._elsewhere(counterpart, place)
            assert provider.capabilities(self.regie) is not None
            assert not place.visits, "they are told from the settings"

    # --- Beginning -------------------------------------------------------------------------------

    def test_it_tells_where_to_go(self, counterpart: Counterpart) -> None:
        """An address for the parent, a name for the attempt, and what was asked, as text."""
        redirect = counterpart.provider.start(counterpart.intent(1, 5687))
        assert isinstance(redirect, Redirect)
        assert redirect.reference
        assert urlsplit(redirect.url).scheme in {"http", "https"}
        assert urlsplit(redirect.url).netloc
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in redirect.asked.items())

    def test_each_attempt_has_a_name_of_its_own(self, counterpart: Counterpart) -> None:
        """Also the second one of the same payment."""
        intents = [counterpart.intent(number, 5687) for number in (1, 2, 2)]
        names = {counterpart.provider.start(intent).reference for intent in intents}
        assert len(names) == 3

    def test_odd_words_hurt_nobody(self, counterpart: Counterpart) -> None:
        """Labels come from somebody's billing software. They are cleaned, or refused by name."""
        for label in ("", "’ « Œuvre » €", "<b>&amp;]]>", "x" * 1000, "a\r\nb\x00c", "🍎"):
            intent = counterpart.intent(1, 5687)
            invoices = tuple(replace(invoice, label=label) for invoice in intent.invoices)
            _expect(
                lambda intent=intent, invoices=invoices: counterpart.provider.start(  # type: ignore[misc]
                    replace(intent, invoices=invoices)
                ),
                (Redirect,),
            )

    # --- Refusals at the start -------------------------------------------------------------------

    def test_a_refusal_says_whose_doing_it_is(self, counterpart: Counterpart) -> None:
        """The payer's, the invoice's, the settings', nobody knows, or it is away."""
        for number, kind in enumerate(self.refusals):
            counterpart.refuse(kind)
            found = _refusal(counterpart.provider, counterpart.intent(number + 1, 5687))
            assert found is kind, f"{kind} is told as {found}"

    @pytest.mark.parametrize(
        "email",
        ["", "camille", "camille@", "x" * 250 + "@exemple.fr", "é" * 60 + "@exemple.fr", "a b@c.fr",
         "a@b.fr\r\nBcc: c@d.fr", "a@b.fr,c@d.fr", "🍎@exemple.fr"],
    )  # fmt: skip
    def test_an_address_that_it_does_not_take_is_the_payers_to_correct(
        self, counterpart: Counterpart, email: str
    ) -> None:
        """Taken, or refused at its field; never as a fault of the settings or of the invoice."""
        intent = replace(counterpart.intent(1, 5687), email=email)
        assert _refusal(counterpart.provider, intent) in {None, RefusalKind.PAYER}

    def test_the_payer_is_answered_in_the_payers_language(self, counterpart: Counterpart) -> None:
        """Core calls `start` in the régie's; the payer reads the message later, in another."""
        for language in ("fr", "en"):
            intent = replace(counterpart.intent(1, 5687), email="a b@c.fr", language=language)
            messages = []
            for calling in (language, "fr"):
                with i18n.use(calling):
                    error = _error(counterpart.provider, intent)
                if error is not None:
                    with i18n.use(language):
                        messages.append(error.message)
            assert len(set(messages)) < 2, messages

    def test_amounts_out_of_its_bounds_are_the_invoices(self, counterpart: Counterpart) -> None:
        """Core asks for none: but who opens one says what is wrong."""
        found = counterpart.provider.capabilities(self.regie)
        assert found is not None
        for amount in (found.minimum - 1, found.maximum + 1):
            if amount <= 0:
                continue
            kind = _refusal(counterpart.provider, counterpart.intent(1, amount))
            assert kind in {None, RefusalKind.INVOICE}

    @pytest.mark.parametrize("reference", ["N°2026/12", "É", "x" * 200, "<&>", "' OR 1=1 --", ""])
    def test_references_that_it_does_not_take_are_the_invoices(
        self, counterpart: Counterpart, reference: str
    ) -> None:
        """Changed into one of its own, or refused by name; never as the payer's fault."""
        intent = counterpart.intent(1, 5687)
        invoices = tuple(
            replace(invoice, payment_reference=reference) for invoice in intent.invoices
        )
        kind = _refusal(counterpart.provider, replace(intent, invoices=invoices))
        assert kind in {None, RefusalKind.INVOICE}

    def test_a_regie_that_is_not_set_up_is_a_matter_of_settings(
        self, counterpart: Counterpart
    ) -> None:
        """It was removed, say, while a parent chose."""
        intent = replace(counterpart.intent(1, 5687), regie="NOWHERE")
        assert _refusal(counterpart.provider, intent) in {None, RefusalKind.SETTINGS}

    @pytest.mark.parametrize("kind", PEERS)
    def test_a_broken_service_is_nobodys_doing(
        self, counterpart: Counterpart, kind: Peer
    ) -> None:
        """It is away, or nobody knows: the payer and the régie are not sent to correct anything."""
        with peer(kind) as place:
            provider = self._elsewhere(counterpart, place)
            found = _refusal(provider, counterpart.intent(1, 5687))
            assert found in {RefusalKind.AWAY, RefusalKind.UNKNOWN}

    def test_the_reference_that_it_shows_is_one_line(self, counterpart: Counterpart) -> None:
        """It stands on the receipt beside the payer's own ticket."""
        redirect = counterpart.provider.start(counterpart.intent(1, 5687))
        assert redirect.payer_reference.isprintable()
        assert len(redirect.payer_reference) <= MAX_REFERENCE_CHARS

    # --- Asking ----------------------------------------------------------------------------------

    def test_nothing_is_known_at_first(self, counterpart: Counterpart) -> None:
        """A fresh attempt is open."""
        assert isinstance(self._ask(counterpart, self._begun(counterpart)), Pending)

    def test_a_payment_settles_with_its_amount(self, counterpart: Counterpart) -> None:
        """To the cent, with its means and an aware moment."""
        attempt = self._begun(counterpart, amount=22780)
        counterpart.pay(attempt.reference)
        outcome = self._ask(counterpart, attempt)
        assert isinstance(outcome, Settled), outcome
        assert outcome.amount == 22780
        assert isinstance(outcome.means, Means)
        assert isinstance(outcome.paid_at, datetime)
        assert outcome.paid_at.tzinfo is not None
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in outcome.raw.items())

    def test_asking_is_reading(self, counterpart: Counterpart) -> None:
        """The parent's return, the notification and the poller all ask; nothing changes by it."""
        attempt = self._begun(counterpart)
        open_ones = [self._ask(counterpart, attempt) for _time in range(3)]
        assert all(isinstance(outcome, Pending) for outcome in open_ones)
        counterpart.pay(attempt.reference)
        first, *others = (self._ask(counterpart, attempt) for _time in range(4))
        assert isinstance(first, Settled)
        assert all(other == first for other in others)

    def test_it_ends_without_money(self, counterpart: Counterpart) -> None:
        """Refused, cancelled, run out: said as such, again and again."""
        for number, kind in enumerate(self.failures):
            attempt = self._begun(counterpart, number + 1)
            counterpart.fail(attempt.reference, kind)
            outcomes = [self._ask(counterpart, attempt) for _time in range(2)]
            assert all(isinstance(o, Failed) and o.kind is kind for o in outcomes), outcomes

    def test_attempts_do_not_mix(self, counterpart: Counterpart) -> None:
        """Paying one attempt does not pay the other."""
        one, other = self._begun(counterpart, 1), self._begun(counterpart, 2)
        counterpart.pay(one.reference)
        assert isinstance(self._ask(counterpart, one), Settled)
        assert isinstance(self._ask(counterpart, other), Pending)

    def test_a_try_that_failed_is_told_at_once(self, counterpart: Counterpart) -> None:
        """The parent begins anew, so nothing may say that the attempt is merely open."""
        for number, kind in enumerate(self.failures):
            attempt = self._begun(counterpart, number + 1)
            counterpart.fail(attempt.reference, kind)
            outcome = self._ask(counterpart, attempt)
            assert isinstance(outcome, Failed) or (
                isinstance(outcome, Pending) and outcome.detail == kind
            ), outcome

    # --- Answers that must not become money ------------------------------------------------------

    def test_another_amount_is_not_what_was_asked(self, counterpart: Counterpart) -> None:
        """It is an anomaly, or told as it is; never taken for the amount asked."""
        attempt = self._begun(counterpart)
        counterpart.pay_another_amount(attempt.reference)
        outcome = self._ask(counterpart, attempt)
        assert isinstance(outcome, Anomaly) or (
            isinstance(outcome, Settled) and outcome.amount != attempt.amount
        ), outcome

    def test_nor_is_another_attempts_money(self, counterpart: Counterpart) -> None:
        """Amounts paid are compared with what this attempt asked for, not with nothing."""
        attempt = self._begun(counterpart)
        counterpart.pay(attempt.reference)
        outcome = self._ask(counterpart, replace(attempt, amount=attempt.amount + 1))
        assert not isinstance(outcome, Settled) or outcome.amount == attempt.amount

    @pytest.mark.parametrize("reference", ["", "unknown", "../../x", "' OR 1=1 --", "é" * 3000])
    def test_an_unknown_reference_settles_nothing(
        self, counterpart: Counterpart, reference: str
    ) -> None:
        """Whatever it answers, it is not money."""
        attempt = replace(self._begun(counterpart), reference=reference)
        found = _expect(lambda: counterpart.provider.outcome(attempt), get_args(Outcome))
        assert not isinstance(found, Settled)

    # --- A service that misbehaves ---------------------------------------------------------------

    @pytest.mark.parametrize("kind", PEERS)
    def test_a_broken_service_is_waited_for(self, counterpart: Counterpart, kind: Peer) -> None:
        """Both questions end in time, in a `RetryableError` or `PermanentError`, never in money."""
        attempt = self._begun(counterpart)
        intent = counterpart.intent(2, 5687)
        with peer(kind) as place:
            provider = self._elsewhere(counterpart, place)
            for call in (lambda: provider.start(intent), lambda: provider.outcome(attempt)):
                start = time.monotonic()
                found = _expect(call, (Pending, Anomaly))
                assert not isinstance(found, Redirect | Settled | Failed)
                assert time.monotonic() - start < self.patience
        assert isinstance(self._ask(counterpart, attempt), Pending), "it did not recover"

    # --- Inside ----------------------------------------------------------------------------------

    def _begun(
        self, counterpart: Counterpart, payment_id: int = 1, amount: int = 5687
    ) -> Attempt:
        intent = counterpart.intent(payment_id, amount)
        redirect = counterpart.provider.start(intent)
        return Attempt(
            payment_id=intent.payment_id,
            regie=intent.regie,
            reference=redirect.reference,
            amount=intent.amount,
            created_at=intent.created_at,
            asked=dict(redirect.asked),
        )

    def _ask(self, counterpart: Counterpart, attempt: Attempt) -> Outcome:
        outcome = counterpart.provider.outcome(attempt)
        assert isinstance(outcome, get_args(Outcome))
        return outcome

    def _elsewhere(self, counterpart: Counterpart, place: Place) -> PaymentProvider:
        provider = counterpart.elsewhere(place)
        if provider is None:
            pytest.skip("it speaks to no network")
        return provider


MAX_REFERENCE_CHARS = 60


def _error(provider: PaymentProvider, intent: PaymentIntent) -> StartRefusedError | None:
    try:
        provider.start(intent)
    except StartRefusedError as error:
        return error
    return None


def _refusal(provider: PaymentProvider, intent: PaymentIntent) -> RefusalKind | None:
    """Kind of the refusal if `provider` does not open a payment; None if it does."""
    try:
        opened = provider.start(intent)
    except RetryableError as error:
        kind, reason = RefusalKind.AWAY, error.reason
    except StartRefusedError as error:
        kind, reason = error.kind, error.reason
    except PermanentError as error:
        kind, reason = RefusalKind.UNKNOWN, error.reason
    else:
        assert isinstance(opened, Redirect)
        return None
    assert reason.strip(), "a refusal that says nothing"
    return kind


def _expect(call: Callable[[], object], kinds: tuple[type, ...]) -> object:
    """Answer of `call`, of one of `kinds`; None when it raises as a provider may."""
    reason = ""
    try:
        found = call()
    except (RetryableError, PermanentError) as error:
        found, reason = None, error.reason
    if found is None:
        assert reason.strip(), "a refusal that says nothing"
    else:
        assert isinstance(found, kinds), found
    return found
