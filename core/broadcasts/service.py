"""A message to many families: counted, told in steps by workers, stopped on its way.

Nothing leaves from the request. A row of the outbox brings the message's moment; it finds the
families anew, and asks for one more row for each few of them, which queues their copies. Each copy
is a message like any other: it leaves once, through its channel's own row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    any_,
    delete,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.messages import Message
from core.broadcasts.groups import Groups
from core.broadcasts.models import Broadcast, BroadcastRecipient, BroadcastState
from core.families.models import Family
from core.families.service import Families
from core.letters.service import Letters, Written
from core.messages.kinds import NEWS, NOTICE
from core.messages.models import MessageRow, MessageState
from core.messages.service import Notifications
from core.news.service import NewsDesk
from core.platform.audit.service import Audit
from core.platform.db.paging import Page, newest
from core.platform.errors import NotFoundError
from core.platform.i18n import SOURCE_LOCALE, use
from core.platform.i18n import gettext as _
from core.platform.outbox.service import NotOverError, Outbox

log = structlog.get_logger(__name__)

COUNT, DEPART, TELL, END = (
    "broadcast.count", "broadcast.depart", "broadcast.tell", "broadcast.end",
)  # fmt: skip
UNDO_TIME = timedelta(minutes=2)
"""Time between an agent's *Envoyer* and the first copy: as long as it can be taken back whole."""
FAMILIES_AT_ONCE = 200
"""Families that are counted while the agent waits; a message to no more passes the mailings."""
FAMILIES_PER_COUNT = 500
"""Families that one row counts thereafter."""
FAMILIES_PER_ROW = 50
"""Families whose copies one row queues."""
END_AFTER = timedelta(days=3)
"""Time after which the figures are kept, though some copies still wait."""
END_PAUSE = timedelta(minutes=1)
TITLE_CHARACTERS, BODY_CHARACTERS = 120, 3000
"""What every channel carries whole."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Words and choices that an agent typed."""

    title: str
    body: str
    group: str
    given: Mapping[str, str]
    is_necessary: bool
    on_news: bool
    translations: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Count:
    """The families that a message is for, by what reaches them."""

    families: int
    asked: int
    """Families whose channels are known."""
    unreachable: int
    by_channel: Mapping[str, int]

    @property
    def is_complete(self) -> bool:
        """True once every family was looked at."""
        return self.asked == self.families


@dataclass(frozen=True, slots=True)
class Sent:
    """Copies of a message that left, wait, or will not leave; families are counted once."""

    families: int
    copies: int
    waiting: int
    refused: int


class Broadcasts:
    """The messages to many families of one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        clock: Clock,
        *,
        groups: Groups,
        families: Families,
        notifications: Notifications,
        letters: Letters,
        news: NewsDesk,
        outbox: Outbox,
        audit: Audit,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._clock = clock
        self.groups = groups
        self._families = families
        self._notifications = notifications
        self._letters = letters
        self._news = news
        self._outbox = outbox
        self._audit = audit

    # --- Writing -----------------------------------------------------------------------------

    def get(self, broadcast_id: int, *, locked: bool = False) -> Broadcast:
        """One message. Raises `NotFoundError` when there is none."""
        found = self._session.get(
            Broadcast,
            (self._tenant, broadcast_id),
            with_for_update=locked or None,
            populate_existing=True,
        )
        if found is None:
            raise NotFoundError
        return found

    def page(self, *, before: int | None = None) -> Page:
        """The messages, the last one first."""
        query = select(Broadcast).where(Broadcast.tenant_id == self._tenant)
        return newest(self._session, query, Broadcast.id, before)

    def write(self, broadcast_id: int | None, draft: Draft) -> Broadcast:
        """Keep a draft, new (None) or changed, and look for its families.

        Raises:
            UserError: its group or a choice is none, or it is no draft any more.
        """
        chosen = self.groups.checked(draft.group, draft.given)
        if broadcast_id is None:
            found = Broadcast(tenant_id=self._tenant, written_by=self._audit.actor, revision=0)
            self._session.add(found)
        else:
            found = self._draft(broadcast_id)
        found.title, found.body = draft.title, draft.body
        found.is_necessary, found.on_news = draft.is_necessary, draft.on_news
        found.group, found.chosen = draft.group, chosen
        found.translations = {
            language: list(words) for language, words in draft.translations.items() if all(words)
        }
        self._session.flush()
        self._audit.write("broadcast.written", f"broadcast:{found.id}")
        self.count(found.id)
        return found

    def discard(self, broadcast_id: int) -> None:
        """Throw a draft away.

        Raises:
            UserError: it is no draft any more.
        """
        found = self._draft(broadcast_id)
        self._audit.write("broadcast.discarded", f"broadcast:{found.id}", title=found.title)
        self._session.delete(found)
        self._session.flush()

    # --- Counting ----------------------------------------------------------------------------

    def count(self, broadcast_id: int) -> None:
        """Look for the families of a draft; the first ones now, the others by a worker.

        Raises:
            UserError: it is no draft any more, or its plugin does not answer.
        """
        found = self._draft(broadcast_id)
        self._find_families(found)
        self._session.flush()
        self._count_some(found, FAMILIES_AT_ONCE)

    def count_more(self, broadcast_id: int, revision: int) -> None:
        """Count some more families of a draft, unless it changed since."""
        found = self._session.get(Broadcast, (self._tenant, broadcast_id), with_for_update=True)
        if found and found.revision == revision and found.state == BroadcastState.DRAFT:
            self._count_some(found, FAMILIES_PER_COUNT)

    def counted(self, found: Broadcast) -> Count:
        """The families of a message, by what reaches them, as far as they were looked at."""
        ours = self._recipients_of(found)
        total, asked, unreachable = self._session.execute(
            select(
                func.count(),
                func.count(BroadcastRecipient.ways),
                func.count().filter(func.cardinality(BroadcastRecipient.ways) == 0),
            ).where(*ours)
        ).one()
        way = func.unnest(BroadcastRecipient.ways).label("way")
        ways = self._session.execute(select(way, func.count()).where(*ours).group_by(way))
        by_channel = {name: int(number) for name, number in ways}
        return Count(total, asked, unreachable, dict(sorted(by_channel.items())))

    def unreachable(self, broadcast_id: int) -> Sequence[Family]:
        """The families that no channel reaches: to be told on paper, or by telephone."""
        return self._session.scalars(
            select(Family)
            .join(
                BroadcastRecipient,
                (BroadcastRecipient.tenant_id == Family.tenant_id)
                & (BroadcastRecipient.family_id == Family.id),
            )
            .where(
                Family.tenant_id == self._tenant,
                BroadcastRecipient.broadcast_id == self.get(broadcast_id).id,
                func.cardinality(BroadcastRecipient.ways) == 0,
            )
            .order_by(Family.name_folded, Family.code)
        ).all()

    # --- Sending -----------------------------------------------------------------------------

    def send(self, broadcast_id: int, *, revision: int, moment: datetime | None = None) -> datetime:
        """Let a draft leave at `moment`, or as soon as it cannot be taken back any more.

        Args:
            broadcast_id: the draft.
            revision: what the agent looked at.
            moment: not before the time that there is to take it back.

        Returns:
            The moment at which it leaves.

        Raises:
            UserError: it changed since, is still being counted, is for nobody, or is no draft.
        """
        found = self._draft(broadcast_id)
        count = self.counted(found)
        if found.revision != revision:
            raise UserError(_("Ce message a changé entre-temps : relisez-le avant de l’envoyer."))
        if not count.is_complete:
            raise UserError(_("Les familles sont encore en train d’être comptées."))
        if not count.families:
            raise UserError(_("Aucune famille n’est concernée : choisissez à qui écrire."))
        now = self._clock.now()
        if moment is not None and moment < now:
            raise UserError(_("Ce moment est passé : choisissez-en un à venir."))
        leaves_at = max(moment or now, now + UNDO_TIME)
        found.leaves_at, found.sent_by = leaves_at, self._audit.actor
        self._session.flush()
        stamp = leaves_at.isoformat()
        self._outbox.add(
            DEPART,
            {"broadcast_id": found.id, "at": stamp},
            key=f"{found.id}/{found.revision}/{stamp}",
            after=leaves_at,
        )
        self._audit.write(
            "broadcast.scheduled", f"broadcast:{found.id}", families=count.families, at=stamp[:16]
        )
        return leaves_at

    def undo(self, broadcast_id: int) -> None:
        """Take a message back before it leaves: a draft again.

        Raises:
            UserError: it left, or was never sent.
        """
        found = self.get(broadcast_id, locked=True)
        if found.state != BroadcastState.SCHEDULED:
            raise UserError(_("Ce message n’attend plus de partir."))
        found.leaves_at, found.sent_by = None, ""
        found.revision += 1
        self._session.flush()
        self._audit.write("broadcast.undone", f"broadcast:{found.id}")

    def stop(self, broadcast_id: int) -> None:
        """Stop a message on its way: what has not left does not leave any more.

        Raises:
            UserError: it is not on its way.
        """
        found = self.get(broadcast_id, locked=True)
        if found.state != BroadcastState.LEAVING:
            raise UserError(_("Ce message n’est pas en train de partir."))
        found.stopped_at, found.stopped_by = self._clock.now(), self._audit.actor
        self._session.flush()
        self._news.withdraw(_news_key(found))
        self._audit.write(
            "broadcast.stopped", f"broadcast:{found.id}", families=self.sent(found).families
        )

    def sent(self, found: Broadcast) -> Sent:
        """Fate of a message's copies."""
        if found.figures is not None:
            return Sent(**found.figures)
        states = MessageRow.state
        families, copies, waiting, refused = self._session.execute(
            select(
                func.count(MessageRow.family_id.distinct()).filter(states == MessageState.SENT),
                func.count().filter(states == MessageState.SENT),
                func.count().filter(states == MessageState.QUEUED),
                func.count().filter(
                    states.in_((MessageState.REFUSED, MessageState.RETURNED))
                ),
            ).where(MessageRow.tenant_id == self._tenant, MessageRow.broadcast_id == found.id)
        ).one()
        return Sent(families, copies, 0 if found.stopped_at else waiting, refused)

    # --- The words ---------------------------------------------------------------------------

    def written(self, broadcast_id: int, language: str) -> Written | None:
        """Words of a message in a language; None once it was stopped."""
        found = self._session.get(
            Broadcast, (self._tenant, broadcast_id), populate_existing=True
        )
        if found is None or found.stopped_at is not None:
            return None
        return _words(found, language)

    def previews(
        self, found: Broadcast, channels: Mapping[str, str]
    ) -> list[tuple[str, str, Message]]:
        """The exact message that families get: channel, language, message."""
        languages = [SOURCE_LOCALE, *sorted(found.translations)]
        return [
            (
                label,
                language,
                self._letters.preview(_kind(found), language, channel, _words(found, language)),
            )
            for channel, label in channels.items()
            for language in languages
        ]

    # --- By workers --------------------------------------------------------------------------

    def depart(self, broadcast_id: int, at: str) -> None:
        """Begin to send a message whose moment came; nothing if it was taken back since."""
        found = self._session.get(
            Broadcast, (self._tenant, broadcast_id), with_for_update=True, populate_existing=True
        )
        if (
            found is None
            or found.state != BroadcastState.SCHEDULED
            or found.leaves_at != datetime.fromisoformat(at)
        ):
            return
        try:
            self._find_families(found)
        except UserError as error:
            # Its plugin is away: those who were counted are told, rather than nobody.
            log.warning("broadcast.not_found_anew", broadcast=found.id, reason=error.message)
            self._forget_ways(found)
        found.left_at = self._clock.now()
        self._session.flush()
        ids = self._recipients(found)
        bulk = len(ids) > FAMILIES_AT_ONCE
        rows = []
        for start in range(0, len(ids), FAMILIES_PER_ROW):
            part = ids[start : start + FAMILIES_PER_ROW]
            payload = {
                "broadcast_id": found.id, "first": part[0], "last": part[-1], "bulk": bulk,
            }  # fmt: skip
            rows.append((TELL, payload, f"{found.id}/{part[0]}"))
        self._outbox.add_many(rows, bulk=bulk)
        self._outbox.add(END, {"broadcast_id": found.id}, key=str(found.id))
        if found.on_news:
            self._news.publish(
                _news_key(found), title=found.title, body=_as_markdown(found.body)
            )
        self._audit.write(
            "broadcast.left", f"broadcast:{found.id}", families=len(ids)
        )

    def tell(self, broadcast_id: int, first: int, last: int, *, bulk: bool) -> None:
        """Queue the copies for some families. The same again queues none twice.

        Raises:
            FaultError: a channel did not say where; what the others carry is queued.
        """
        found = self._session.get(Broadcast, (self._tenant, broadcast_id))
        if found is None or found.stopped_at is not None:
            return
        ids = self._recipients(found, first, last)
        with self._families.prefetch(ids):
            # A duplicate became another family meanwhile: that one is told, and once.
            families = {
                one: info.id for one in ids if (info := self._families.get(one)) is not None
            }
        events = [
            {
                "id": f"broadcast-{found.id}-{family_id}",
                "family_id": family_id,
                "broadcast_id": found.id,
                "bulk": bulk,
            }
            for family_id in dict.fromkeys(families.values())
        ]
        ways = self._notifications.fan_out(_kind(found), *events)
        self._note(found, {one: ways[family_id] for one, family_id in families.items()})

    def end(self, broadcast_id: int) -> None:
        """Keep the figures of a message once nothing of it is left to send.

        Raises:
            NotOverError: something is.
        """
        found = self._session.get(
            Broadcast, (self._tenant, broadcast_id), with_for_update=True, populate_existing=True
        )
        if found is None or found.left_at is None or found.ended_at is not None:
            return
        waits = self._session.scalar(
            select(
                exists().where(
                    *self._recipients_of(found),
                    BroadcastRecipient.ways.is_(None),
                )
                | exists().where(
                    MessageRow.tenant_id == self._tenant,
                    MessageRow.broadcast_id == found.id,
                    MessageRow.state == MessageState.QUEUED,
                )
            )
        )
        now = self._clock.now()
        if waits and found.stopped_at is None and now < found.left_at + END_AFTER:
            raise NotOverError("copies still wait", END_PAUSE)
        sent = self.sent(found)
        found.figures = {
            "families": sent.families, "copies": sent.copies, "waiting": sent.waiting,
            "refused": sent.refused,
        }  # fmt: skip
        found.ended_at = now

    # --- Pieces ------------------------------------------------------------------------------

    def _draft(self, broadcast_id: int) -> Broadcast:
        found = self.get(broadcast_id, locked=True)
        if found.state != BroadcastState.DRAFT:
            raise UserError(_("Ce message n’est plus un brouillon."))
        return found

    def _find_families(self, found: Broadcast) -> None:
        """Write down which families are meant now, in place of those of before."""
        with use(SOURCE_LOCALE):  # Plugins are asked once: the words that are kept are French.
            group = self.groups.all().get(found.group)
            if group is not None:
                found.audience = group.describe(found.chosen)
        if group is None:
            group = self.groups.get(found.group)  # It says so in the agent's own language.
        numbers = group.families(found.chosen)
        self._session.execute(
            delete(BroadcastRecipient).where(*self._recipients_of(found))
        )
        meant = (
            select(func.coalesce(Family.merged_into, Family.id).label("id"))
            .where(
                Family.tenant_id == self._tenant,
                # One array: a statement takes 65 535 parameters at most.
                Family.id == any_(literal(list(numbers), ARRAY(BigInteger))),
            )
            .distinct()
            .subquery()
        )
        self._session.execute(
            insert(BroadcastRecipient).from_select(
                ["tenant_id", "broadcast_id", "family_id"],
                select(literal(self._tenant), literal(found.id), meant.c.id),
            )
        )
        found.families = self._session.execute(
            select(func.count()).where(*self._recipients_of(found))
        ).scalar_one()
        found.revision += 1

    def _count_some(self, found: Broadcast, limit: int) -> None:
        ids = self._session.scalars(
            select(BroadcastRecipient.family_id)
            .where(
                *self._recipients_of(found),
                BroadcastRecipient.ways.is_(None),
            )
            .order_by(BroadcastRecipient.family_id)
            .limit(limit)
        ).all()
        ways, _all = self._notifications.ways(_kind(found), ids)
        self._note(found, ways)
        if len(ids) == limit:
            self._outbox.add(
                COUNT,
                {"broadcast_id": found.id, "revision": found.revision},
                key=f"{found.id}/{found.revision}/{ids[-1]}",
            )

    def _recipients_of(self, found: Broadcast) -> tuple[ColumnElement[bool], ...]:
        """SQL: the rows of a message's families."""
        return (
            BroadcastRecipient.tenant_id == self._tenant,
            BroadcastRecipient.broadcast_id == found.id,
        )

    def _recipients(
        self, found: Broadcast, first: int = 0, last: int | None = None
    ) -> Sequence[int]:
        query = (
            select(BroadcastRecipient.family_id)
            .where(
                *self._recipients_of(found),
                BroadcastRecipient.family_id >= first,
            )
            .order_by(BroadcastRecipient.family_id)
        )
        if last is not None:
            query = query.where(BroadcastRecipient.family_id <= last)
        return self._session.scalars(query).all()

    def _forget_ways(self, found: Broadcast) -> None:
        self._session.execute(
            update(BroadcastRecipient)
            .where(*self._recipients_of(found))
            .values(ways=None)
        )

    def _note(self, found: Broadcast, ways: Mapping[int, Sequence[str]]) -> None:
        """Keep which channels reach families."""
        by_ways: dict[tuple[str, ...], list[int]] = {}
        for family_id, names in ways.items():
            by_ways.setdefault(tuple(names), []).append(family_id)
        for names, ids in by_ways.items():
            self._session.execute(
                update(BroadcastRecipient)
                .where(
                    *self._recipients_of(found),
                    BroadcastRecipient.family_id.in_(ids),
                )
                .values(ways=list(names))
            )


def _kind(found: Broadcast) -> str:
    return NOTICE if found.is_necessary else NEWS


def _words(found: Broadcast, language: str) -> Written:
    translated = found.translations.get(language)
    title, body = translated or (found.title, found.body)
    return Written(title, body, language if translated else SOURCE_LOCALE)


def _news_key(found: Broadcast) -> str:
    return f"broadcast-{found.id}"


def _as_markdown(body: str) -> str:
    """Plain text as Markdown that shows it as it is, line by line."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+\-.!>|~<=&:])", r"\\\1", body)
    return "\n\n".join(
        "  \n".join(line.strip() for line in paragraph.splitlines())
        for paragraph in re.split(r"\n\s*\n", escaped)
    )
