"""State of a town's machinery: its queue, its channels, its ways to pay, its plugins' own word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.payments import PaymentProvider
from core.api.plugin import HealthCheck
from core.domain.payment_states import PaymentState
from core.domain.smtp_replies import Cause, parse
from core.messages.models import MessageRow, MessageState
from core.payments.models import Payment
from core.platform.outbox.models import OutboxRow, OutboxState
from core.platform.plugins.calls import ContractError, contain
from core.platform.plugins.guests import HeldChannel
from core.platform.plugins.rests import FaultError
from core.platform.plugins.visits import Access

CHECK_TIMEOUT_SECONDS = 5.0
"""Seconds for which a plugin's answer is waited for."""
MAX_ANSWER_CHARACTERS = 500
"""Characters of a plugin's answer that are shown."""
MAX_MAILS = 1000
"""Mails that are looked at for what the relay says."""
OVERDUE_AFTER = timedelta(minutes=10)
"""Longest normal wait; a longer one means that no relay or no worker runs."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The outbox: what is due, for how long the oldest has been, and what was given up."""

    due: int
    oldest: datetime | None
    later: int
    dead: int

    def is_late(self, now: datetime) -> bool:
        """True if something waits longer than it should."""
        return self.oldest is not None and self.oldest < now - OVERDUE_AFTER


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A notification channel: its last delivery, what waits, what was refused in a week."""

    key: str
    label: str
    delivered_at: datetime | None
    waiting: int
    refused: int


@dataclass(frozen=True, slots=True)
class MailTrouble:
    """Mails that were not taken, or came back, through no fault of their addresses."""

    cause: Cause
    waiting: int
    """Mails that are tried again."""
    returned: int
    """Mails that came back in a week, and are not sent again."""
    said: str
    """Answer of the server on the latest of these mails."""


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A way to pay online: when it last answered, and how many payments it is asked about."""

    key: str
    label: str
    answered_at: datetime | None
    watched: int
    is_there: bool = True
    """True if a plugin brings it: else its payments wait until one does again."""


@dataclass(frozen=True, slots=True)
class PluginState:
    """Report of a plugin on itself; `problem` is empty when it is well."""

    plugin: str
    name: str
    problem: str


@dataclass(frozen=True, slots=True)
class PapersState:
    """Store of finished papers; `problem` is empty when it takes and gives them."""

    problem: str
    in_database: int
    """Papers that are in the database still: moved never, or written while the store was away."""


class Health:
    """The health of one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        channels: Callable[[], Mapping[str, HeldChannel]],
        providers: Callable[[], Mapping[str, PaymentProvider]],
        checks: Callable[[], Sequence[tuple[str, HealthCheck]]],
        papers: Callable[[], PapersState | None],
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._channels = channels
        self._providers = providers
        self._checks = checks
        self._papers = papers

    def queue(self) -> Queue:
        """The town's outbox."""
        now = self._clock.now()
        due = OutboxRow.available_at <= now
        open_ = OutboxRow.state.in_((OutboxState.READY, OutboxState.RUNNING))
        row = self._session.execute(
            select(
                func.count().filter(open_, due).label("due"),
                func.min(OutboxRow.available_at).filter(open_, due).label("oldest"),
                func.count().filter(open_, ~due).label("later"),
                func.count().filter(OutboxRow.state == OutboxState.DEAD).label("dead"),
            ).where(OutboxRow.tenant_id == self._tenant, OutboxRow.state != OutboxState.DONE)
        ).one()
        return Queue(row.due, row.oldest, row.later, row.dead)

    def channels(self) -> list[ChannelState]:
        """Each notification channel."""
        week = self._clock.now() - timedelta(days=7)
        found = {
            row.channel: row
            for row in self._session.execute(
                select(
                    MessageRow.channel,
                    func.max(MessageRow.sent_at).filter(MessageRow.state == MessageState.SENT),
                    func.count().filter(MessageRow.state == MessageState.QUEUED),
                    func.count().filter(
                        MessageRow.state == MessageState.REFUSED, MessageRow.sent_at > week
                    ),
                )
                .where(MessageRow.tenant_id == self._tenant)
                .group_by(MessageRow.channel)
            )
        }
        return [
            ChannelState(key, channel.label, *(found[key][1:] if key in found else (None, 0, 0)))
            for key, channel in self._channels().items()
        ]

    def mail_troubles(self) -> list[MailTrouble]:
        """Troubles with the relay that an operator has to hear of, the latest first."""
        mails = [key for key, channel in self._channels().items() if channel.capabilities.bounces]
        week = self._clock.now() - timedelta(days=7)
        rows = self._session.execute(
            select(MessageRow.state, MessageRow.problem)
            .where(
                MessageRow.tenant_id == self._tenant,
                MessageRow.channel.in_(mails),
                MessageRow.problem != "",
                or_(
                    # What waits for longer was given up, and stands among what failed.
                    and_(MessageRow.state == MessageState.QUEUED, MessageRow.created_at > week),
                    and_(MessageRow.state == MessageState.RETURNED, MessageRow.sent_at > week),
                ),
            )
            .order_by(MessageRow.id.desc())
            .limit(MAX_MAILS)
        )
        found: dict[Cause, MailTrouble] = {}
        for state, problem in rows:
            reply = parse(problem)
            if reply is None or not reply.cause.is_ours:
                continue
            known = found.get(reply.cause, MailTrouble(reply.cause, 0, 0, problem))
            waits = state == MessageState.QUEUED
            found[reply.cause] = replace(
                known, waiting=known.waiting + waits, returned=known.returned + (not waits)
            )
        return list(found.values())

    def providers(self) -> list[ProviderState]:
        """Each way to pay online, those included that are gone while payments wait for them."""
        rows = self._session.execute(
            select(Payment.provider, func.count().label("watched"))
            .where(Payment.tenant_id == self._tenant, Payment.state == PaymentState.PENDING)
            .group_by(Payment.provider)
        )
        watched = {row.provider: row.watched for row in rows}
        labels = {key: provider.label for key, provider in self._providers().items()}
        return [
            ProviderState(
                key,
                labels.get(key, key),
                self._session.scalar(
                    select(func.max(Payment.answered_at)).where(
                        Payment.tenant_id == self._tenant,
                        Payment.provider == key,
                        Payment.answered_at.is_not(None),
                    )
                ),
                watched.get(key, 0),
                key in labels,
            )
            for key in [*labels, *sorted(watched.keys() - labels.keys())]
        ]

    def papers(self) -> PapersState | None:
        """The store of finished papers, asked now; None where they are in the database."""
        return self._papers()

    def plugins(self) -> list[PluginState]:
        """Ask each plugin its own questions, for `CHECK_TIMEOUT_SECONDS` each."""
        return [
            PluginState(
                plugin,
                check.name,
                problem_of(self._tenant, plugin, check, CHECK_TIMEOUT_SECONDS),
            )
            for plugin, check in self._checks()
        ]


def problem_of(town: str, plugin: str, check: HealthCheck, seconds: float) -> str:
    """Answer of a plugin to its own question about a town; "" when it is well."""

    def asked() -> str:
        answer = check.check()
        if not isinstance(answer, str):
            raise ContractError(f"answered {answer!r:.80}")
        return answer[:MAX_ANSWER_CHARACTERS]

    try:
        return contain(
            plugin,
            f"check {check.name}",
            asked,
            town=town,
            seconds=seconds,
            access=Access.WRITE,
        )
    except FaultError as error:  # A question that fails is its answer.
        return error.reason[:MAX_ANSWER_CHARACTERS]
