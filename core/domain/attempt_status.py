"""One table of what an attempt to pay means: state, last answer and age become a situation.

Pages, lists, messages and the office take their words and next acts from here, so that none of them
invites to pay what may be paid already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from core.domain.payment_states import PaymentState
from core.domain.start_refusals import RefusalKind

RESTART_AFTER = timedelta(minutes=15)
"""Time that a provider's page stays open: until then, an attempt without an answer holds."""


class LastAnswer(StrEnum):
    """The provider's last answer in one word. The text is what the database keeps."""

    NONE = ""
    PENDING = "pending"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SETTLED = "settled"
    ANOMALY = "anomaly"
    """It does not fit what was asked."""
    UNKNOWN = "unknown"
    """It fits, with a result that the provider's plugin does not know."""


class Situation(StrEnum):
    """One row of the table."""

    NOT_OPENED_PAYER = "not_opened_payer"
    NOT_OPENED_INVOICE = "not_opened_invoice"
    NOT_OPENED_SETTINGS = "not_opened_settings"
    NOT_OPENED = "not_opened"
    OPENING = "opening"
    """Noted here; the provider does not know of it yet, or is being told."""
    OPEN = "open"
    """The provider's page takes the parent."""
    AWAITED = "awaited"
    """The page is closed, or nobody knows; the answer may come any minute."""
    OVERDUE = "overdue"
    """No answer came while the page was open: the parent most likely left."""
    TRY_REFUSED = "try_refused"
    """The bank refused; the provider does not call it final yet."""
    TRY_CANCELLED = "try_cancelled"
    SUPERSEDED = "superseded"
    """The parent began anew, told that this one may still settle."""
    CHECKED = "checked"
    """An answer that does not fit: its money may be there, and the régie looks."""
    UNREADABLE = "unreadable"
    """A result that nobody here knows: it may be paid, and the régie looks."""
    UNFIT = "unfit"
    """An answer that does not fit, and that says for sure that nothing was paid."""
    DISMISSED = "dismissed"
    """A person looked, and found no money."""
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    PAID = "paid"
    PROMISED = "promised"
    """A direct debit was agreed to: the money comes in days."""
    REVERSED = "reversed"


class Act(StrEnum):
    """Act open to a parent; the first one of a situation is the one to offer first."""

    RESUME = "resume"
    """Go (back) to the provider's page of this attempt."""
    RETRY = "retry"
    """Pay the same invoices by a fresh attempt."""
    RESTART = "restart"
    """The same, after the provider was asked a last time; this attempt stays under watch."""
    CHOOSE = "choose"
    """Choose among the invoices to pay."""
    CORRECT = "correct"
    """Correct the e-mail address, and pay."""
    WAIT = "wait"
    RECEIPT = "receipt"


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """Known facts of an attempt."""

    state: PaymentState
    last_answer: LastAnswer
    age: timedelta
    start_refusal: RefusalKind | None = None
    may_be_paid: bool = False
    resumable: bool = False
    dismissed: bool = False
    superseded: bool = False
    promised: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Meaning of the facts of an attempt."""

    situation: Situation
    acts: tuple[Act, ...]
    holds: bool
    """Nobody can begin another payment of its invoices."""
    watched: bool
    """Something may change by itself at any minute: the page looks again."""
    for_the_office: bool = False
    """It waits for the régie, under *À faire*."""


_NOT_OPENED = {
    RefusalKind.PAYER: Standing(
        Situation.NOT_OPENED_PAYER, (Act.CORRECT, Act.CHOOSE), holds=False, watched=False
    ),
    RefusalKind.INVOICE: Standing(
        Situation.NOT_OPENED_INVOICE, (Act.CHOOSE,), holds=False, watched=False,
        for_the_office=True,
    ),
    RefusalKind.SETTINGS: Standing(
        Situation.NOT_OPENED_SETTINGS, (Act.CHOOSE,), holds=False, watched=False,
        for_the_office=True,
    ),
}  # fmt: skip
_NOT_OPENED_UNKNOWN = Standing(
    Situation.NOT_OPENED, (Act.CHOOSE,), holds=False, watched=False, for_the_office=True
)
_ENDS = {
    PaymentState.REFUSED: Situation.REFUSED,
    PaymentState.CANCELLED: Situation.CANCELLED,
    PaymentState.EXPIRED: Situation.EXPIRED,
}
_TRIES = {
    LastAnswer.REFUSED: Situation.TRY_REFUSED,
    LastAnswer.CANCELLED: Situation.TRY_CANCELLED,
}


def standing(facts: AttemptFacts) -> Standing:
    """Tell what an attempt means to the parent and to the office, and what may be done next."""
    if facts.state is PaymentState.REVERSED:
        return Standing(Situation.REVERSED, (Act.CHOOSE,), holds=False, watched=False)
    if facts.state is PaymentState.SETTLED:
        situation = Situation.PROMISED if facts.promised else Situation.PAID
        return Standing(situation, (Act.RECEIPT,), holds=False, watched=False)
    if facts.start_refusal is not None:
        return _NOT_OPENED.get(facts.start_refusal, _NOT_OPENED_UNKNOWN)
    if facts.may_be_paid:
        # Whatever the state: a refusal that was final may be contradicted the next morning.
        unreadable = facts.last_answer is LastAnswer.UNKNOWN
        return Standing(
            Situation.UNREADABLE if unreadable else Situation.CHECKED,
            (Act.WAIT,),
            holds=True,
            watched=True,
            for_the_office=True,
        )
    if facts.state in _ENDS:
        return Standing(_ENDS[facts.state], (Act.RETRY, Act.CHOOSE), holds=False, watched=False)
    if facts.state is PaymentState.CREATED:
        return Standing(Situation.OPENING, (Act.RESUME, Act.CHOOSE), holds=False, watched=True)
    return _pending(facts)


def _pending(facts: AttemptFacts) -> Standing:
    if facts.dismissed:
        return Standing(
            Situation.DISMISSED, (Act.RETRY, Act.CHOOSE), holds=False, watched=False
        )
    if facts.superseded:
        return Standing(Situation.SUPERSEDED, (Act.CHOOSE,), holds=False, watched=True)
    if facts.last_answer in _TRIES:
        # Where the page takes a second card, that is the safest way: one attempt, not two.
        again = Act.RESUME if facts.resumable else Act.RETRY
        return Standing(
            _TRIES[facts.last_answer], (again, Act.CHOOSE), holds=False, watched=True
        )
    if facts.last_answer is LastAnswer.ANOMALY:
        return Standing(
            Situation.UNFIT, (Act.RETRY, Act.CHOOSE), holds=False, watched=True, for_the_office=True
        )
    late = facts.age >= RESTART_AFTER
    if facts.resumable:
        acts = (Act.RESUME, Act.RESTART) if late else (Act.RESUME,)
        return Standing(Situation.OPEN, acts, holds=True, watched=True)
    if late:
        return Standing(Situation.OVERDUE, (Act.RESTART,), holds=True, watched=True)
    return Standing(Situation.AWAITED, (Act.WAIT,), holds=True, watched=True)
