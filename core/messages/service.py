"""Messages to families: a row before anything is sent, rendered when it leaves."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import islice
from typing import Any, Protocol, cast, get_args

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from core.api.checked import exactly
from core.api.context import Clock, FamilyInfo
from core.api.errors import PermanentError, RetryableError
from core.api.messages import (
    Address,
    Delivered,
    Delivery,
    Message,
    Rejected,
    Retry,
)
from core.domain.smtp_replies import Cause, Reply, parse, report
from core.families.models import ContactEmail
from core.families.service import Families
from core.messages.kinds import Kinds
from core.messages.models import MessageRow, MessageState
from core.platform.db.session import change
from core.platform.outbox.models import OutboxRow
from core.platform.outbox.service import Outbox
from core.platform.plugins.calls import ContractError, batch_calls, call_bounded, contain
from core.platform.plugins.events import TO_MANY
from core.platform.plugins.guests import HeldChannel
from core.platform.plugins.rests import FaultError
from core.platform.plugins.visits import Access

SEND = "message.send"
EMAIL = "email"
"""The channel of one-time links where none says that it carries them."""
MAIL_BATCH_SIZE = 20
"""Mails of one mailing that a row of the outbox carries: each is sent and ended for itself."""
MAX_CONSECUTIVE_FAILURES = 3
"""So many failures one after the other, and the other side is away: the rest comes later."""
MAX_ADDRESSES = 200
"""Addresses of one family that a channel may know: one without end must not fill the memory."""
SENT_AGAIN_AFTER = timedelta(hours=6)
"""Time after which a mail that came back through no fault of its address is sent once more."""

DEAD_AFTER = timedelta(days=2)
"""Time for which an address is refused without a reason before its mailbox counts as dead."""
COMES_BACK_WITHIN = timedelta(days=1)
"""Time in which a mail that was taken mostly comes back, if it does."""
LATEST_MESSAGES = 500
"""Messages that are looked through for one that the same mail domain took."""

SEND_TIMEOUT_SECONDS = 50.0
"""Seconds that a channel may take for one message: less than the lease of its row."""


Recipients = dict[tuple[str, str], None]
"""Places that a message goes to, each once and in order: (channel, address)."""


class Writer(Protocol):
    """Puts messages into words."""

    def render(self, row: MessageRow) -> Message | None:
        """Message of a row, in words; None when there is nothing left to say."""
        ...

    def prefetch(self, rows: Sequence[MessageRow]) -> AbstractContextManager[None]:
        """Read together what these messages will say."""
        ...


class Notifications:
    """The messages of one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        outbox: Outbox,
        families: Families,
        channels: Callable[[], Mapping[str, HeldChannel]],
        writer: Writer,
        kinds: Kinds,
        inviting: Callable[[], str],
        payer_email: Callable[[int], str],
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self._outbox = outbox
        self._families = families
        self._channels = channels
        self._writer = writer
        self._kinds = kinds
        self._inviting = inviting
        self._payer_email = payer_email

    def queue(
        self,
        kind: str,
        *,
        address: str,
        family_id: int | None,
        language: str,
        payload: dict[str, Any],
        key: str,
    ) -> None:
        """Ask for one message to an e-mail address. The same `key` again: the same message."""
        self._queue(
            kind,
            [
                {
                    "key": key,
                    "channel": self._inviting(),
                    "address": address,
                    "language": language,
                    "family_id": family_id,
                    "payload": payload,
                }
            ],
        )

    def fan_out(self, kind: str, *events: dict[str, Any]) -> dict[int, list[str]]:
        """Queue what events mean for each address of their families, over every channel.

        Returns:
            The channels that carry it, by family; none for who cannot be reached or does not want
            it.
        """
        ways: dict[int, list[str]] = {int(event["family_id"]): [] for event in events}
        messages: list[dict[str, Any]] = []
        failed = None
        with self._families.prefetch(int(event["family_id"]) for event in events):
            concerned = [
                (family, event)
                for event in events
                if (family := self._families.get(int(event["family_id"]))) is not None
            ]
            muted = self._kinds.refusing(kind, (family.id for family, _event in concerned))
            concerned = [one for one in concerned if one[0].id not in muted]
            asked = self._ask_channels(kind, [family.id for family, _event in concerned])
            for (family, event), (found, fault) in zip(concerned, asked, strict=True):
                failed = failed or fault
                self._add_payer(found, family, kind, event)
                ways[int(event["family_id"])] = _channels_of(found)
                messages += (
                    {
                        "key": f"{event['id']}/{channel}/{address}",
                        "channel": channel,
                        "address": address,
                        "language": family.language,
                        "family_id": family.id,
                        "payload": event,
                    }
                    for channel, address in found
                )
        self._queue(kind, messages)
        if failed is not None:
            # The other channels' messages leave; the whole comes again, and they know their keys.
            self._session.commit()
            raise failed
        return ways

    def ways(self, kind: str, family_ids: Sequence[int]) -> tuple[dict[int, list[str]], bool]:
        """Channels that would carry a message of this kind now, by family; nothing is queued.

        Returns:
            The channels, and whether every channel answered.
        """
        with self._families.prefetch(family_ids):
            muted = self._kinds.refusing(kind, family_ids)
            wanting = [one for one in family_ids if one not in muted]
            asked = self._ask_channels(kind, wanting)
        found: dict[int, list[str]] = {one: [] for one in family_ids}
        for one, (places, _fault) in zip(wanting, asked, strict=True):
            found[one] = _channels_of(places)
        return found, all(fault is None for _places, fault in asked)

    def _queue(self, kind: str, messages: list[dict[str, Any]]) -> None:
        if not messages:
            return
        given = [
            {
                "tenant_id": self._tenant,
                "kind": kind,
                "broadcast_id": message["payload"].get("broadcast_id"),
                **message,
            }
            for message in messages
        ]
        new = self._session.execute(
            insert(MessageRow)
            .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
            .returning(MessageRow.id, MessageRow.channel),
            given,
        ).all()
        bulk = kind in TO_MANY or all(message["payload"].get("bulk") for message in messages)
        together = self._able("bulk") if bulk else frozenset()
        mails: dict[str, list[int]] = {}
        groups: list[list[int]] = []
        for row in new:
            # Chats have a pace of their own, and a person may wait for any other message.
            if row.channel in together:
                mails.setdefault(row.channel, []).append(row.id)
            else:
                groups.append([row.id])
        groups += (
            ids[start : start + MAIL_BATCH_SIZE]
            for ids in mails.values()
            for start in range(0, len(ids), MAIL_BATCH_SIZE)
        )
        rows = [(SEND, {"message_ids": ids}, str(ids[0])) for ids in groups]
        self._outbox.add_many(rows, bulk=bulk)

    def reached(self, family_ids: Sequence[int], kind: str) -> dict[int, list[str]]:
        """Ways for messages of this kind to reach families, in words: addresses or channels."""
        asked = self._ask_channels(kind, family_ids)
        mails = self._able("invitations")
        return {
            family_id: list(
                dict.fromkeys(
                    address if channel in mails else self._channels()[channel].label
                    for channel, address in found
                )
            )
            for family_id, (found, _fault) in zip(family_ids, asked, strict=True)
        }

    def _able(self, capability: str) -> frozenset[str]:
        """The channels that can do something (a field of `ChannelCapabilities`)."""
        return frozenset(
            key
            for key, channel in self._channels().items()
            if getattr(channel.capabilities, capability)
        )

    def _ask_channels(
        self, kind: str, family_ids: Sequence[int]
    ) -> list[tuple[Recipients, FaultError | None]]:
        """Places of messages to each family, and the error of a channel that could not tell."""
        channels = self._channels()
        ask = partial(_places, self._tenant, channels, kind)
        # What is built in reads with this session, and is asked in this thread.
        found = [ask(family_id, built_in=True) for family_id in family_ids]
        if not all(channel.built_in for channel in channels.values()):
            others = batch_calls(lambda: [ask(one, built_in=False) for one in family_ids])
            found = [
                (ours[0] | theirs[0], ours[1] or theirs[1])
                for ours, theirs in zip(found, others, strict=True)
            ]
        return found

    def _add_payer(
        self, found: Recipients, family: FamilyInfo, kind: str, event: dict[str, Any]
    ) -> None:
        """Add the payer to the recipients of a message about a payment."""
        if "payment_id" not in event:
            return
        payer = self._payer_email(int(event["payment_id"]))
        reached = [payer] if payer else []
        if not payer and kind == "payment_settled":
            # Paid by cheque or at the counter: nobody gave an address with the payment.
            reached = list(self._families.emails(family.id))
        for channel in sorted(self._able("receipts")):
            found |= dict.fromkeys((channel, one) for one in reached)

    def send(self, *message_ids: int) -> None:
        """Send queued messages, each ended for itself. Commits before the other side is spoken to.

        One that fails keeps the others off only if the other side seems to be away.

        Raises:
            RetryableError: some were not taken now. The same call sends those that are left.
            PermanentError: those that are left will never be taken.
        """
        rows = self._queued(message_ids)
        failures: list[Exception] = []
        failed_last = 0
        with self._writer.prefetch(rows):
            for row in rows:
                if failed_last == MAX_CONSECUTIVE_FAILURES:
                    break
                try:
                    self._send(row)
                except Exception as error:
                    if len(rows) == 1:
                        raise
                    self._session.rollback()
                    failures.append(error)
                    # Who refuses for good is there.
                    failed_last += not isinstance(error, PermanentError)
                else:
                    failed_last = 0
                    if len(rows) > 1:
                        # Before the next one begins: what was sent is not sent again.
                        self._session.commit()
        if failures:
            raise max(failures, key=_severity)

    def _queued(self, message_ids: Sequence[int]) -> list[MessageRow]:
        """Those that still wait, in any order: what ends a worker leaves a chance to the rest."""
        rows = list(
            self._session.scalars(
                select(MessageRow).where(
                    MessageRow.tenant_id == self._tenant,
                    MessageRow.id.in_(message_ids),
                    MessageRow.state == MessageState.QUEUED,
                ),
                execution_options={"populate_existing": True},
            )
        )
        random.shuffle(rows)
        return rows

    def _send(self, row: MessageRow) -> None:
        channel = self._channels().get(row.channel)
        if channel is None:
            raise RetryableError(f"channel {row.channel!r} is not available", timedelta(hours=1))
        message = self._writer.render(row)
        if message is None:
            self._end(row, state=MessageState.POINTLESS)
            return
        to = Address(row.address, row.family_id)
        self._session.commit()
        match call_bounded(
            row.channel,
            "deliver",
            partial(channel.deliver, message, to, row.key),
            get_args(Delivery),
            town=self._tenant,
            seconds=SEND_TIMEOUT_SECONDS,
            access=Access.WRITE,
            here=channel.built_in,  # It bounds each of the server's answers.
        ):
            case Delivered(reference):
                self._end(row, state=MessageState.SENT, reference=reference)
            case Retry(reason, after) if not (
                channel.capabilities.bounces
                and self._is_dead(row, parse(reason), self._clock.now())
            ):
                # Told while it waits; the attempt itself is rolled back.
                self._note(row, reason)
                self._session.commit()
                raise RetryableError(reason, after)
            case Rejected(reason) | Retry(reason):
                self._end(row, state=MessageState.REFUSED, problem=reason)
                if channel.capabilities.bounces:
                    self._refuse(row, reason)

    def returned(self, number: str, reason: str) -> bool:
        """Note that a mail came back; on the family's file too, if it is its mailbox's doing.

        What came back for another reason is sent once more, `SENT_AGAIN_AFTER` later.

        Args:
            number: its Message-ID's part before the @.
            reason: what the other server said, in its words.

        Returns:
            Whether such a mail left this town. Said twice, it is noted once.
        """
        row = self._session.scalar(
            select(MessageRow)
            .where(
                MessageRow.tenant_id == self._tenant,
                MessageRow.reference.startswith(f"<{number}@", autoescape=True),
            )
            .with_for_update()
        )
        if row is None:
            return False
        if row.state != MessageState.SENT:
            return True
        reply = report(reason)
        row.problem = str(reply)
        before = self._clock.now() - COMES_BACK_WITHIN
        if reply.cause is Cause.RECIPIENT or self._is_dead(row, reply, before):
            row.state, row.problem = MessageState.REFUSED, reason
            self._refuse(row, reason)
        elif self._was_sent_again(row):
            row.state = MessageState.RETURNED
        else:
            row.state = MessageState.QUEUED
            self._outbox.add(
                SEND,
                {"message_ids": [row.id]},
                key=_again(row),
                after=self._clock.now() + SENT_AGAIN_AFTER,
            )
        return True

    def _was_sent_again(self, row: MessageRow) -> bool:
        return (
            self._session.scalar(
                select(OutboxRow.id).where(
                    OutboxRow.tenant_id == self._tenant,
                    OutboxRow.topic == SEND,
                    OutboxRow.dedupe_key == _again(row),
                )
            )
            is not None
        )

    def of_family(self, family_id: int, limit: int = 50) -> list[MessageRow]:
        """Messages to a family, newest first."""
        return list(
            self._session.scalars(
                select(MessageRow)
                .where(MessageRow.tenant_id == self._tenant, MessageRow.family_id == family_id)
                .order_by(MessageRow.id.desc())
                .limit(limit)
            )
        )

    def _end(
        self, row: MessageRow, *, state: MessageState, reference: str = "", problem: str = ""
    ) -> None:
        values = {"sent_at": self._clock.now(), "state": state}
        values |= {"reference": reference, "problem": problem}
        # On the table, not on the row, which has served.
        change(self._session, _ending(), {"tenant": self._tenant, "message": row.id, **values})

    def _note(self, row: MessageRow, problem: str) -> None:
        self._session.execute(
            update(MessageRow)
            .where(MessageRow.tenant_id == self._tenant, MessageRow.id == row.id)
            .values(problem=problem)
        )

    def _is_dead(self, row: MessageRow, reply: Reply | None, before: datetime) -> bool:
        """True if an address was refused without a reason for long, and its neighbours were not.

        One such refusal may be anybody's doing, and so may those of a whole domain: it begins a
        doubt, which ends with the next mail that the address takes.

        Args:
            row: the message that was refused.
            reply: what was said of it.
            before: a mail that was taken later does not count: it may come back yet.
        """
        if reply is None or reply.cause is not Cause.UNSAID:
            return False
        address = self._session.scalar(
            select(ContactEmail).where(
                ContactEmail.tenant_id == self._tenant,
                ContactEmail.family_id == row.family_id,
                ContactEmail.address == row.address,
            )
        )
        if address is None:
            return False
        since = address.doubted_at
        taken = select(MessageRow.address, MessageRow.sent_at, MessageRow.state).where(
            MessageRow.tenant_id == self._tenant,
            MessageRow.channel == row.channel,
            MessageRow.id != row.id,
        )
        own = taken.where(MessageRow.family_id == row.family_id)
        if since is None or any(
            one.address == row.address and since < one.sent_at < before
            for one in self._session.execute(own)
            if one.state == MessageState.SENT
        ):
            address.doubted_at = self._clock.now()
            return False
        latest = taken.order_by(MessageRow.id.desc()).limit(LATEST_MESSAGES)
        return self._clock.now() - since >= DEAD_AFTER and any(
            one.address != row.address
            and _domain(one.address) == _domain(row.address)
            and since < one.sent_at
            for one in self._session.execute(latest)
            if one.state == MessageState.SENT
        )

    def _refuse(self, row: MessageRow, reason: str) -> None:
        """Show on the family's file that an address no longer takes mail."""
        self._session.execute(
            update(ContactEmail)
            .where(
                ContactEmail.tenant_id == self._tenant,
                ContactEmail.family_id == row.family_id,
                ContactEmail.address == row.address,
            )
            .values(refused_at=self._clock.now(), refusal=reason)
        )


def _channels_of(places: Recipients) -> list[str]:
    return sorted({channel for channel, _address in places})


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def _again(row: MessageRow) -> str:
    """The key of the outbox under which a mail that came back is sent once more."""
    return f"{row.id}/again"


def _severity(failure: Exception) -> tuple[int, timedelta]:
    """Of several failures the gravest is told: a fault of ours, then the longest wait.

    What will never be taken is told when nothing else waits any more: its row ends by it.
    """
    match failure:
        case PermanentError():
            return 0, timedelta()
        case RetryableError():
            return 1, failure.after or timedelta()
        case _:
            return 2, timedelta()


@cache
def _ending() -> ReturningUpdate[Any]:
    # Put together once: each message that leaves ends by it.
    columns = ("sent_at", "state", "reference", "problem")
    table = cast("Table", MessageRow.__table__)
    return (
        update(table)
        .where(table.c.tenant_id == bindparam("tenant"), table.c.id == bindparam("message"))
        .values({name: bindparam(name) for name in columns})
        # Nobody waits for the disk: if a crash of PostgreSQL forgets the end of what was sent, it
        # is as if the worker had died before, and the message comes once more.
        .returning(func.set_config("synchronous_commit", "off", True))
    )


def _places(
    town: str,
    channels: Mapping[str, HeldChannel],
    kind: str,
    family_id: int,
    *,
    built_in: bool,
) -> tuple[Recipients, FaultError | None]:
    found: Recipients = {}
    failed = None
    for key, channel in channels.items():
        if channel.built_in != built_in:
            continue
        try:
            values = contain(
                channel.plugin,
                "addresses",
                partial(_asked, channel, family_id, kind),
                town=town,
                here=built_in,
            )
        except FaultError as error:
            failed = error
        else:
            found |= dict.fromkeys((key, value) for value in values)
    return found, failed


def _asked(channel: HeldChannel, family_id: int, kind: str) -> list[str]:
    addresses = list(islice(channel.addresses(family_id, kind), MAX_ADDRESSES + 1))
    if len(addresses) > MAX_ADDRESSES:
        raise ContractError(f"gave more than {MAX_ADDRESSES} addresses of one family")
    for address in addresses:
        if not isinstance(address, Address):
            raise ContractError(f"gave {address!r:.80}")
    return [exactly(Address, address).value for address in addresses]
