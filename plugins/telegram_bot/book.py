"""The bot's tables, in the words of what it does: the only code that reads and writes them."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ARRAY,
    BigInteger,
    TextClause,
    Update,
    any_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from core.plugin import TenantContext
from plugins.telegram_bot.models import ChatLink, Delivery, LinkToken, Pace, ShownMessage

TOKEN_LIFE = timedelta(minutes=10)
LIVE_TOKENS = 5
"""Deep links of one family that may be open at once: reloading the page must not pile them up."""

CHATS_PER_FAMILY = 10
FAMILIES_PER_CHAT = 10

CHAT_STEP = timedelta(seconds=1)
BOT_STEP = timedelta(seconds=1 / 25)
"""Telegram lets a bot write once a second in a chat and thirty times a second in all; five of these
are kept for answers, which do not queue behind a mailing."""

WAVE = 5
"""Chats refused one after the other, with no message taken between, that stop the bot."""
FIRST_PAUSE = timedelta(minutes=5)
MAX_PAUSE = timedelta(hours=1)
SECOND_LOOK = timedelta(minutes=2)
"""After how long a message is tried again when Telegram refuses one chat after another."""
CLOSED_KEPT = timedelta(days=7)
"""Time in which a chat that Telegram closed may be taken back."""

BOT = 0
"""Stands for the bot as a whole where a chat's number is asked for."""


# What every update needs, put together once: to do it each time costs as much as running it.
_LINKS_OF_CHAT = (
    select(ChatLink)
    .where(
        ChatLink.tenant_id == bindparam("town"),
        ChatLink.chat_id == bindparam("chat"),
        ChatLink.closed_at.is_(None),
    )
    .order_by(ChatLink.id)
)
_LINKS_OF_CHATS = (
    select(ChatLink)
    .where(
        ChatLink.tenant_id == bindparam("town"),
        ChatLink.chat_id == any_(bindparam("chats", type_=ARRAY(BigInteger))),
        ChatLink.closed_at.is_(None),
    )
    .order_by(ChatLink.id)
)
_PLACES = (
    "(VALUES (1, :town, CAST(:chat AS bigint), CAST(:in_chat AS timestamptz)),"
    " (2, :town, CAST(:bot AS bigint), CAST(:of_bot AS timestamptz)))"
    " AS place (rank, town, chat, free_at)"
)
_BOOKED = (
    " ORDER BY rank, chat"
    " ON CONFLICT (tenant_id, chat_id) DO UPDATE"
    " SET free_at = greatest(known.free_at, :now) + (excluded.free_at - :now)"
    " RETURNING chat_id, free_at, held_until, trouble <> '' OR refused_chats <> '{}' AS ill"
)
_BOOK = text(
    "INSERT INTO telegram_pace AS known (tenant_id, chat_id, free_at)"
    f" SELECT town, chat, free_at FROM {_PLACES}" + _BOOKED
)
_TAKE_AND_BOOK = text(
    "WITH taken AS (INSERT INTO telegram_delivery (tenant_id, key) VALUES (:town, :key)"
    " ON CONFLICT (tenant_id, key) DO NOTHING RETURNING id)"
    " INSERT INTO telegram_pace AS known (tenant_id, chat_id, free_at)"
    f" SELECT town, chat, free_at FROM {_PLACES}, taken" + _BOOKED
)
"""The right to send and the turn to do so, in one statement; no row when the right was taken."""
_KEEP_AND_BOOK = text(
    "WITH asked AS (SELECT * FROM unnest(CAST(:keys AS text[]), CAST(:chats AS bigint[]))"
    " AS asked (key, chat)),"
    " kept AS (INSERT INTO telegram_delivery (tenant_id, key, turn_at)"
    " SELECT :town, key, :now FROM asked ORDER BY key"
    " ON CONFLICT (tenant_id, key) DO NOTHING RETURNING key),"
    " mine AS (SELECT chat FROM asked JOIN kept USING (key)),"
    " place AS (SELECT 1 AS rank, chat, CAST(:in_chat AS timestamptz) AS free_at FROM mine"
    " UNION ALL SELECT 2, :bot, :now + count(*) * CAST(:bot_step AS interval) FROM mine"
    " HAVING count(*) > 0)"
    " INSERT INTO telegram_pace AS known (tenant_id, chat_id, free_at)"
    " SELECT :town, chat, free_at FROM place" + _BOOKED
)
"""`_TAKE_AND_BOOK` for several chats, with rights that wait to be taken (`turn_at`)."""
_KEEP_TURNS = text(
    "UPDATE telegram_delivery SET turn_at = turn"
    " FROM unnest(CAST(:keys AS text[]), CAST(:turns AS timestamptz[])) AS waiting (name, turn)"
    " WHERE tenant_id = :town AND key = name"
)
_HAND_OVER = text(
    "UPDATE telegram_delivery SET turn_at = NULL"
    " WHERE tenant_id = :town AND key = ANY(:keys) AND turn_at IS NOT NULL RETURNING key"
)
_TAKE_BACK = text(
    "UPDATE telegram_delivery SET turn_at = :now WHERE tenant_id = :town AND key = ANY(:keys)"
)
_REMEMBER = text(
    "INSERT INTO telegram_message (tenant_id, chat_id, message_id, invoice_ids)"
    " VALUES (:town, :chat, :message, :invoices)"
    " ON CONFLICT (tenant_id, chat_id, message_id) DO UPDATE SET invoice_ids = excluded.invoice_ids"
)
_REMEMBER_ALL = text(
    "INSERT INTO telegram_message (tenant_id, chat_id, message_id, invoice_ids)"
    " SELECT :town, chat, message, invoices FROM json_to_recordset(CAST(:rows AS json))"
    " AS shown (chat bigint, message bigint, invoices bigint[]) ORDER BY chat"
    " ON CONFLICT (tenant_id, chat_id, message_id) DO UPDATE SET invoice_ids = excluded.invoice_ids"
)


def token_hash(token: str) -> bytes:
    """Hash of a token, kept in its place; a token is random, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).digest()


class Book:
    """One town's chats, tokens, messages and pace, in one unit of work."""

    def __init__(self, ctx: TenantContext) -> None:
        self._session = ctx.session
        self._tenant = ctx.town.slug
        self._now = ctx.clock.now
        self._may_be_ill = True
        """True if a message that is taken has to end a stop. Unknown is yes."""

    # --- links ---------------------------------------------------------------------------------

    def links_of_chat(self, chat_id: int) -> Sequence[ChatLink]:
        """The families that this chat sees, oldest link first."""
        found = self._session.scalars(_LINKS_OF_CHAT, {"town": self._tenant, "chat": chat_id})
        return found.all()

    def links_of_chats(self, chat_ids: Sequence[int]) -> Mapping[int, Sequence[ChatLink]]:
        """`links_of_chat` of several, by chat, in one statement."""
        found: dict[int, list[ChatLink]] = {chat_id: [] for chat_id in chat_ids}
        values = {"town": self._tenant, "chats": list(chat_ids)}
        for link in self._session.scalars(_LINKS_OF_CHATS, values):
            found[link.chat_id].append(link)
        return found

    def links_of_family(self, family_id: int) -> Sequence[ChatLink]:
        """The chats that see this family, oldest link first."""
        return self._session.scalars(
            select(ChatLink)
            .where(
                ChatLink.tenant_id == self._tenant,
                ChatLink.family_id == family_id,
                ChatLink.closed_at.is_(None),
            )
            .order_by(ChatLink.id)
        ).all()

    def new_token(self, family_id: int) -> str:
        """Open a deep link for a family: 128 random bits, in Telegram's alphabet."""
        mine = (LinkToken.tenant_id == self._tenant, LinkToken.family_id == family_id)
        newest = (
            select(LinkToken.id).where(*mine).order_by(LinkToken.id.desc()).limit(LIVE_TOKENS - 1)
        )
        self._session.execute(
            delete(LinkToken).where(
                *mine,
                or_(LinkToken.expires_at <= self._now(), LinkToken.id.not_in(newest)),
            )
        )
        token = secrets.token_urlsafe(16)
        self._session.add(
            LinkToken(
                tenant_id=self._tenant,
                token_hash=token_hash(token),
                family_id=family_id,
                expires_at=self._now() + TOKEN_LIFE,
            )
        )
        self._session.flush()
        return token

    def present(self, token: str, chat_id: int) -> tuple[int, int] | None:
        """Keep a token for the first chat that shows it; its id and family, or None.

        One UPDATE: of two chats that show the same token at once, one gets it.
        """
        row = self._session.execute(
            update(LinkToken)
            .where(
                LinkToken.tenant_id == self._tenant,
                LinkToken.token_hash == token_hash(token),
                LinkToken.expires_at > self._now(),
                or_(LinkToken.chat_id.is_(None), LinkToken.chat_id == chat_id),
            )
            .values(chat_id=chat_id)
            .returning(LinkToken.id, LinkToken.family_id)
        ).one_or_none()
        return (row.id, row.family_id) if row else None

    def redeem(self, token_id: int, chat_id: int) -> int | None:
        """Use up the token that this chat showed; its family, or None."""
        return self._session.scalar(
            delete(LinkToken)
            .where(
                LinkToken.tenant_id == self._tenant,
                LinkToken.id == token_id,
                LinkToken.chat_id == chat_id,
                LinkToken.expires_at > self._now(),
            )
            .returning(LinkToken.family_id)
        )

    def link(
        self, chat_id: int, family_id: int, *, name: str, language: str, update: int = 0
    ) -> bool:
        """Link a chat to a family. Linking twice is linking once; False when there are too many.

        `update` is the number of the update that asked for it.
        """
        if (
            len(self.links_of_family(family_id)) >= CHATS_PER_FAMILY
            or len(self.links_of_chat(chat_id)) >= FAMILIES_PER_CHAT
        ):
            return any(link.family_id == family_id for link in self.links_of_chat(chat_id))
        self._session.execute(
            insert(ChatLink)
            .values(
                tenant_id=self._tenant,
                chat_id=chat_id,
                family_id=family_id,
                name=name,
                language=language,
                since_update=update,
            )
            .on_conflict_do_update(
                index_elements=["tenant_id", "chat_id", "family_id"],
                set_={"since_update": update, "closed_at": None, "created_at": func.now()},
            )
        )
        return True

    def still_linked(self, chat_id: int, family_id: int, number: int) -> None:
        """Note that the parent presented a link again with update `number`: the chat is alive."""
        self._session.execute(
            self._of_chat(chat_id)
            .where(ChatLink.family_id == family_id, ChatLink.since_update < number)
            .values(since_update=number)
        )

    def unlink(self, link_id: int, family_id: int) -> None:
        """Take one of a family's chats away, from the portal."""
        chat_id = self._session.scalar(
            delete(ChatLink)
            .where(
                ChatLink.tenant_id == self._tenant,
                ChatLink.id == link_id,
                ChatLink.family_id == family_id,
            )
            .returning(ChatLink.chat_id)
        )
        if chat_id is not None and not self.links_of_chat(chat_id):
            self.forget_chat(chat_id)

    def forget_chat(self, chat_id: int) -> None:
        """Unlink a chat from everything, and forget what it shows."""
        for table in (ChatLink, ShownMessage, LinkToken):
            self._session.execute(
                delete(table).where(table.tenant_id == self._tenant, table.chat_id == chat_id)
            )

    def blocked(self, chat_id: int, number: int, moment: int) -> None:
        """Unlink a chat whose parent blocked the bot: what was linked before that.

        `number` is the update's, `moment` its date in seconds; 0 where it has none. Updates may be
        worked on late: the parent may have come back since, and linked anew.
        """
        later = ChatLink.since_update > number
        if moment:
            later |= func.date_trunc("second", ChatLink.created_at) > func.to_timestamp(moment)
        self._session.execute(
            delete(ChatLink).where(
                ChatLink.tenant_id == self._tenant, ChatLink.chat_id == chat_id, ~later
            )
        )
        if not self.links_of_chat(chat_id):
            self.forget_chat(chat_id)

    def set_alerts(self, chat_id: int, *, on: bool) -> None:
        """Turn a chat's alerts on or off, for all its families."""
        self._session.execute(self._of_chat(chat_id).values(alerts=on))

    def set_language(self, chat_id: int, language: str) -> None:
        """Set the language of a chat."""
        self._session.execute(self._of_chat(chat_id).values(language=language))

    def _of_chat(self, chat_id: int) -> Update:
        return update(ChatLink).where(
            ChatLink.tenant_id == self._tenant, ChatLink.chat_id == chat_id
        )

    # --- messages ------------------------------------------------------------------------------

    def remember(self, chat_id: int, message_id: int, invoice_ids: Iterable[int]) -> None:
        """Note which invoices a message shows; none any more forgets the message."""
        ids = sorted(set(invoice_ids))
        if not ids:
            self._session.execute(
                delete(ShownMessage).where(
                    ShownMessage.tenant_id == self._tenant,
                    ShownMessage.chat_id == chat_id,
                    ShownMessage.message_id == message_id,
                )
            )
            return
        self._session.connection().execute(
            _REMEMBER,
            {"town": self._tenant, "chat": chat_id, "message": message_id, "invoices": ids},
        )

    def remember_all(self, shown: Mapping[tuple[int, int], Collection[int]]) -> None:
        """`remember` for several messages, by chat and number."""
        rows = []
        for (chat_id, message_id), ids in shown.items():
            if ids:
                invoices = sorted(set(ids))
                rows.append({"chat": chat_id, "message": message_id, "invoices": invoices})
            else:
                self.remember(chat_id, message_id, ())
        if rows:
            values = {"town": self._tenant, "rows": json.dumps(rows)}
            self._session.connection().execute(_REMEMBER_ALL, values)

    def shown_in(self, chat_id: int, message_id: int) -> tuple[int, ...]:
        """The invoices that a message shows, as far as is known."""
        ids = self._session.scalar(
            select(ShownMessage.invoice_ids).where(
                ShownMessage.tenant_id == self._tenant,
                ShownMessage.chat_id == chat_id,
                ShownMessage.message_id == message_id,
            )
        )
        return tuple(ids or ())

    def showing(self, invoice_ids: Sequence[int], limit: int = 50) -> Sequence[ShownMessage]:
        """The newest messages that show one of these invoices, in chats still linked.

        Whatever family they are linked to: a child's other home may see the invoice too.
        """
        return self._session.scalars(
            select(ShownMessage)
            .where(
                ShownMessage.tenant_id == self._tenant,
                ShownMessage.invoice_ids.overlap(list(invoice_ids)),
                exists().where(
                    ChatLink.tenant_id == self._tenant,
                    ChatLink.chat_id == ShownMessage.chat_id,
                    ChatLink.closed_at.is_(None),
                ),
            )
            .order_by(ShownMessage.id.desc())
            .limit(limit)
        ).all()

    # --- sending -------------------------------------------------------------------------------

    def claim_turn(
        self, key: str, chat_id: int, patience: timedelta, *, answer: bool = False
    ) -> timedelta | None:
        """Take the right to send something, once, and a turn to send it.

        Returns how long it is until the turn, or None when the right was taken before. Beyond
        `patience` the right is not taken yet, but the turn is kept: come back when it is due. So a
        mailing of thousands is spread over minutes with one wait for each message.
        """
        mine = (Delivery.tenant_id == self._tenant, Delivery.key == key)
        # Taken at first: what goes out at once, as nearly all does, needs no second statement.
        turn_at = self._book(_TAKE_AND_BOOK, chat_id, answer=answer, key=key)
        kept: datetime | None = None
        if turn_at is None:
            kept = self._session.scalar(select(Delivery.turn_at).where(*mine).with_for_update())
            if kept is None:
                return None
            turn_at = self.turn(chat_id, answer=answer) if self.held(chat_id) else kept
        wait = max(turn_at - self._now(), timedelta())
        keep = None if wait <= patience else turn_at
        if keep != kept:
            self._session.execute(update(Delivery).where(*mine).values(turn_at=keep))
        return wait

    def keep_turns(self, chats: Mapping[str, int]) -> set[str]:
        """Book answers in several chats, by their keys; returns the keys whose turn is now.

        No right is taken yet: `hand_over` does so, before what it names is sent. A key that was met
        before is not among them, and one whose chat is busy is kept for `claim_turn`.
        """
        now = self._now()
        rows = self._session.connection().execute(
            _KEEP_AND_BOOK,
            {
                "town": self._tenant, "keys": list(chats), "chats": list(chats.values()),
                "now": now, "in_chat": now + CHAT_STEP, "bot": BOT, "bot_step": BOT_STEP,
            },
        )  # fmt: skip
        booked = {row.chat_id: row for row in rows}
        if not booked:
            return set()
        self._may_be_ill = booked[BOT].ill
        of_bot = booked[BOT].held_until or now
        turns = {
            key: max(booked[chat_id].free_at - CHAT_STEP, of_bot)
            for key, chat_id in chats.items()
            if chat_id in booked
        }
        later = {key: turn for key, turn in turns.items() if turn > now}
        if later:
            self._session.connection().execute(
                _KEEP_TURNS,
                {"town": self._tenant, "keys": list(later), "turns": list(later.values())},
            )
        return turns.keys() - later.keys()

    def hand_over(self, keys: Collection[str]) -> set[str]:
        """Take the rights to send what `keep_turns` booked; returns those that nobody took."""
        values = {"town": self._tenant, "keys": list(keys)}
        return set(self._session.connection().execute(_HAND_OVER, values).scalars())

    def take_back(self, keys: Collection[str]) -> None:
        """Give rights back that `hand_over` took: Telegram surely took nothing."""
        values = {"town": self._tenant, "keys": list(keys), "now": self._now()}
        self._session.connection().execute(_TAKE_BACK, values)

    def release(self, key: str) -> None:
        """Give the right back: Telegram surely did not take it."""
        self._session.execute(
            delete(Delivery).where(Delivery.tenant_id == self._tenant, Delivery.key == key)
        )

    def turn(self, chat_id: int, *, answer: bool = False) -> datetime:
        """Book the next moment at which the bot may write to a chat.

        An answer waits for its chat only, unless Telegram asked the bot to wait, but is counted for
        the bot too. The rows are shared by all processes, as Telegram's limits are; the chat's row
        is always taken first, so that two processes cannot wait for each other.
        """
        return self._book(_BOOK, chat_id, answer=answer) or self._now()

    def _book(
        self, statement: TextClause, chat_id: int, *, answer: bool, **values: str
    ) -> datetime | None:
        now = self._now()
        # What each is booked for, if it is idle; else as much later as it is busy.
        rows = self._session.connection().execute(
            statement,
            {
                "town": self._tenant, "now": now,
                "chat": chat_id, "in_chat": now + CHAT_STEP,
                "bot": BOT, "of_bot": now + BOT_STEP, **values,
            },
        )  # fmt: skip
        booked = {row.chat_id: row for row in rows}
        if not booked:
            return None
        self._may_be_ill = booked[BOT].ill
        in_chat: datetime = booked[chat_id].free_at - CHAT_STEP
        of_bot: datetime = booked[BOT].free_at - BOT_STEP
        if answer:
            of_bot = booked[BOT].held_until or now
        return max(in_chat, of_bot)

    def hold(self, chat_id: int, wait: timedelta) -> None:
        """Telegram asked to wait: it does not say for what, so the chat and the bot both do."""
        until = self._now() + wait
        for scope in (chat_id, BOT):
            self._session.execute(
                insert(Pace)
                .values(tenant_id=self._tenant, chat_id=scope, free_at=until, held_until=until)
                .on_conflict_do_update(
                    index_elements=["tenant_id", "chat_id"],
                    set_={"free_at": func.greatest(Pace.free_at, until), "held_until": until},
                )
            )

    def held(self, chat_id: int) -> timedelta:
        """Time that Telegram still asks to wait; zero when it does not."""
        until = self._session.scalar(
            select(func.max(Pace.held_until)).where(
                Pace.tenant_id == self._tenant, Pace.chat_id.in_((chat_id, BOT))
            )
        )
        return max(until - self._now(), timedelta()) if until else timedelta()

    # --- what Telegram refuses -----------------------------------------------------------------

    def refused(self, chat_id: int, reason: str, *, over: bool) -> timedelta | None:
        """Note that Telegram refuses a chat; `over` when it says that the chat is over.

        Such a chat is unlinked in a way that can be taken back: when chat after chat is refused and
        no message is taken, the fault lies with the bot. Then all chats that were so closed are
        linked again, and sending stops.

        Returns:
            After how long the message may be tried again, or None when it need not be.
        """
        if not self.links_of_chat(chat_id):
            return None
        bot = self._bot_row()
        now = self._now()
        bot.refused_chats = [*(c for c in bot.refused_chats if c != chat_id), chat_id][-WAVE * 10 :]
        bot.refused_since = bot.refused_since or now
        if len(bot.refused_chats) < WAVE and not bot.trouble:
            if over:
                self._session.execute(self._of_chat(chat_id).values(closed_at=now))
            self._session.flush()
            # A second in a row may be the beginning of a wave: what it was told is not lost yet.
            return SECOND_LOOK if len(bot.refused_chats) > 1 else None
        self._session.execute(
            update(ChatLink)
            .where(ChatLink.tenant_id == self._tenant, ChatLink.closed_at >= bot.refused_since)
            .values(closed_at=None)
        )
        return self.stop(reason)

    def stop(self, reason: str) -> timedelta:
        """Stop sending for a while, longer each time in a row; returns how long.

        The next message after it is the trial: `taken` ends the stop, `stop` prolongs it.
        """
        bot = self._bot_row()
        now = self._now()
        if bot.trouble and bot.held_until is not None and bot.held_until > now:
            return bot.held_until - now  # Another worker stopped it a moment ago.
        pause = min(FIRST_PAUSE * 2**bot.stops, MAX_PAUSE)
        bot.trouble = reason[:500]
        bot.stops = min(bot.stops + 1, 10)
        bot.held_until = now + pause
        bot.free_at = max(bot.free_at, bot.held_until)
        self._session.flush()
        return pause

    def taken(self) -> None:
        """Note that Telegram took a message: whatever was wrong with the bot is over."""
        if not self._may_be_ill:
            return
        ill = (Pace.trouble != "") | (Pace.refused_chats != [])
        self._session.execute(
            update(Pace)
            .where(Pace.tenant_id == self._tenant, Pace.chat_id == BOT, ill)
            .values(
                held_until=case((Pace.trouble != "", None), else_=Pace.held_until),
                free_at=case((Pace.trouble != "", self._now()), else_=Pace.free_at),
                trouble="",
                stops=0,
                refused_chats=[],
                refused_since=None,
            )
        )

    def trouble(self) -> tuple[str, datetime | None]:
        """Reason why sending is stopped, and the end of the stop; "" when it is not stopped."""
        row = self._session.execute(
            select(Pace.trouble, Pace.held_until).where(
                Pace.tenant_id == self._tenant, Pace.chat_id == BOT
            )
        ).one_or_none()
        return (row.trouble, row.held_until) if row else ("", None)

    def _bot_row(self) -> Pace:
        """Lock the bot's row of paces, made if there is none."""
        self._session.execute(
            insert(Pace)
            .values(tenant_id=self._tenant, chat_id=BOT, free_at=self._now())
            .on_conflict_do_nothing(index_elements=["tenant_id", "chat_id"])
        )
        return self._session.scalars(
            select(Pace)
            .where(Pace.tenant_id == self._tenant, Pace.chat_id == BOT)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one()

    def sweep(self, *, keep: timedelta) -> None:
        """Forget what is older than `keep` and of no use any more."""
        before = self._now() - keep
        for table, moment in (
            (Delivery, Delivery.created_at),
            (ShownMessage, ShownMessage.created_at),
            (LinkToken, LinkToken.expires_at),
            (Pace, Pace.free_at),
        ):
            self._session.execute(
                delete(table).where(table.tenant_id == self._tenant, moment < before)
            )
        closed = self._now() - CLOSED_KEPT
        for chat_id in self._session.scalars(
            delete(ChatLink)
            .where(ChatLink.tenant_id == self._tenant, ChatLink.closed_at < closed)
            .returning(ChatLink.chat_id)
        ).all():
            if not self.links_of_chat(chat_id):
                self.forget_chat(chat_id)
