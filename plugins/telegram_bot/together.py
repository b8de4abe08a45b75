"""Answering updates that came together: decided in one transaction, said at the same time.

Whatever is not plain is left to `work.answer`, which takes updates one by one: the second update of
a chat, an answer of several messages, a chat whose turn is later, a fault, a refusal of Telegram's.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from core.plugin import TenantContext
from plugins.telegram_bot.answers import Fate
from plugins.telegram_bot.book import CHAT_STEP, Book
from plugins.telegram_bot.conversation import Conversation
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.events import Action, Incoming, Kind, SendFile, Show
from plugins.telegram_bot.inbox import from_payload, write_alone
from plugins.telegram_bot.skills import Skills
from plugins.telegram_bot.work import right_of

AT_ONCE = 10
"""Chats that are spoken to at the same time: so many answers may be lost with a process."""
DECIDING_SECONDS = 5.0
"""Time after which no more answers are put together, as those that are wait to be said."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Decided:
    """An update whose answer is one message at most."""

    incoming: Incoming
    actions: Sequence[Action]

    @property
    def right(self) -> str:
        return right_of(self.incoming)

    @property
    def shown(self) -> Sequence[int] | None:
        """The invoices that the message is to be remembered for; None when it is not."""
        for action in self.actions:
            if isinstance(action, Show) and (action.edit or action.screen.invoice_ids):
                return action.screen.invoice_ids
        return None


def answer(
    ctx: TenantContext, courier: Courier, payload: dict[str, Any], skills: Skills | None = None
) -> None:
    """Answer several updates, and write those down that are to be answered one by one.

    The right to answer is taken for a few at a time, right before they are said. If the process
    dies, all updates come back here, and each that was met before is left to `work.answer`, which
    knows whether its right was taken.
    """
    updates = [from_payload(each) for each in payload["updates"]]
    book = Book(ctx)
    first: dict[int, Incoming] = {}
    for incoming in updates:
        first.setdefault(incoming.chat_id, incoming)
    plain = [each for each in first.values() if each.kind in {Kind.TYPED, Kind.TAPPED}]
    now = book.keep_turns({right_of(each): each.chat_id for each in plain})
    # Shared with all processes: what was booked must not wait for what is decided.
    ctx.session.commit()
    decided = _decide(ctx, book, [each for each in plain if right_of(each) in now], skills)
    _write_again(ctx, updates, _say(ctx, book, courier, decided))


def _decide(
    ctx: TenantContext, book: Book, updates: Sequence[Incoming], skills: Skills | None
) -> list[_Decided]:
    """Decide all in one transaction, or none: which statement spoiled it is not known."""
    decided = []
    until = time.monotonic() + DECIDING_SECONDS
    try:
        links = book.links_of_chats([each.chat_id for each in updates])
        families = {link.family_id for found in links.values() for link in found}
        with ctx.invoices.together(families):
            for each in updates:
                if time.monotonic() > until:
                    break
                actions = Conversation(ctx, each, skills, links[each.chat_id]).actions()
                if sum(isinstance(action, Show | SendFile) for action in actions) <= 1:
                    decided.append(_Decided(each, actions))
        ctx.session.commit()
    except Exception:  # one by one, each meets its own fault
        log.exception("telegram.not_together town=%s", ctx.town.slug)
        ctx.session.rollback()
        return []
    return decided


def _say(
    ctx: TenantContext, book: Book, courier: Courier, decided: Sequence[_Decided]
) -> set[str]:
    """Say what was decided; returns the keys of the updates that are done."""
    answered: set[str] = set()
    for start in range(0, len(decided), AT_ONCE):
        mine = book.hand_over([each.right for each in decided[start : start + AT_ONCE]])
        ctx.session.commit()
        some = [each for each in decided[start : start + AT_ONCE] if each.right in mine]
        spoken = courier.speak_at_once({each.incoming.chat_id: each.actions for each in some})
        refused = set()
        for each in some:
            said = spoken[each.incoming.chat_id]
            # What may have been said is not said again.
            if said.fate in {Fate.TAKEN, Fate.UNKNOWN}:
                answered.add(each.incoming.key)
            else:
                refused.add(each.right)
        # Committed with the next rights, or with the end of the outbox row.
        book.remember_all(
            {
                (each.incoming.chat_id, number): each.shown
                for each in some
                if (number := spoken[each.incoming.chat_id].number) and each.shown is not None
            }
        )
        if any(said.number for said in spoken.values()):
            book.taken()
        if refused:
            # Alone, each meets its refusal again, and it is noted what that means for the others.
            book.take_back(refused)
            break
    return answered


def _write_again(
    ctx: TenantContext, updates: Sequence[Incoming], answered: Collection[str]
) -> None:
    """Write down what is not answered; a chat's next update for its next turn."""
    now = ctx.clock.now()
    before = Counter(each.chat_id for each in updates if each.key in answered)
    for incoming in updates:
        if incoming.key not in answered:
            write_alone(ctx, incoming, now + before[incoming.chat_id] * CHAT_STEP)
            before[incoming.chat_id] += 1
