"""Whatever comes, in whatever order: two towns' bots in one process, and real, odd and forged updates.

Rows of the outbox are done late, in any order, and more than once; the tables are real, and
Telegram is a list of what was said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from core.plugin import PaymentSettled
from plugins.telegram_bot import plugin, work
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.inbox import UPDATE, Inbox

LINKED_HERE, LINKED_THERE, STRANGER, GROUP = 1001, 1002, 1003, -77
CHATS = (LINKED_HERE, LINKED_THERE, STRANGER)
OFTEN = st.integers(0, 5).map(bool)
"""True five times of six."""

# --- What Telegram, or somebody who plays Telegram, may send --------------------------------------

_KNOWN_WORDS = st.sampled_from(
    ["/factures", "/payees", "/start", "/start x", "/aide", "/alertes off", "/langue en",
     "/deconnexion", "payer cantine", "mes factures", "reçu", "pdf de la cantine", "bonjour"]
)  # fmt: skip
_WORDS = OFTEN.flatmap(lambda known: _KNOWN_WORDS if known else st.text(max_size=12))
_KNOWN_DATA = st.sampled_from(
    ["list", "paid", "alerts:on", "alerts:off", "lang:en", "lang:xx", "bye", "link:1", "nolink:1",
     "doc:MINE", "pay:MINE", "doc:OTHERS", "pay:OTHERS", "doc:THERE", "pay:THERE", "rec:1", "rec:2",
     "doc:", "pay:-1", "x"]
)  # fmt: skip
_DATA = OFTEN.flatmap(lambda known: _KNOWN_DATA if known else st.text(max_size=12))
_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["id", "chat", "text", "from", "type"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def _sender(chat: int) -> dict[str, Any]:
    return {"id": chat, "is_bot": False, "first_name": "Camille", "language_code": "fr"}


@st.composite
def _messages(draw: st.DrawFn, of: tuple[int, ...] = (*CHATS, GROUP)) -> dict[str, Any]:
    chat = draw(st.sampled_from(of))
    kind = "group" if chat == GROUP else "private"
    message = {
        "message_id": draw(st.integers(1, 9)), "date": 1, "chat": {"id": chat, "type": kind},
        "from": _sender(max(chat, 1)),
    }  # fmt: skip
    return message | draw(st.sampled_from([{}, {"photo": [{}]}])) | {"text": draw(_WORDS)}


@st.composite
def _updates(draw: st.DrawFn) -> dict[str, Any]:
    """One update: mostly well-formed, with few numbers, so that some come twice."""
    kind = draw(
        st.sampled_from(
            ["message"] * 4 + ["callback_query"] * 4 + ["my_chat_member", "edited_message",
             "channel_post", "poll", "message_reaction", "business_message", "junk"]
        )
    )  # fmt: skip
    number = draw(st.integers(1, 12))
    if kind == "callback_query":
        message = draw(_messages(CHATS))
        content: Any = {"id": str(number), "from": message["from"], "chat_instance": "1",
                        "message": message, "data": draw(_DATA)}  # fmt: skip
    elif kind == "my_chat_member":
        status = draw(st.sampled_from(["member", "kicked", "left"]))
        content = {"chat": draw(_messages())["chat"], "new_chat_member": {"status": status}}
    elif kind == "junk":
        return {"update_id": number, draw(st.sampled_from(["message", "callback_query"])):
                draw(_JUNK)}  # fmt: skip
    else:
        content = draw(_messages())
    return {"update_id": number, kind: content}


@dataclass(frozen=True)
class Comes:
    """An update comes to a town's bot."""

    there: bool
    update: dict[str, Any]


@dataclass(frozen=True)
class Works:
    """A worker does one waiting row of a town, `times` times."""

    there: bool
    which: int
    times: int


@dataclass(frozen=True)
class Pays:
    """A town's invoice is paid."""

    there: bool


def _tap(chat: int, number: int, data: str) -> dict[str, Any]:
    message = {"message_id": 1, "date": 1, "chat": {"id": chat, "type": "private"}}
    return {"update_id": number, "callback_query": {
        "id": str(number), "from": _sender(chat), "message": message, "data": data,
    }}  # fmt: skip


FORGED = [
    Comes(there, _tap(chat, number, data))
    for there, chat in ((False, LINKED_HERE), (True, LINKED_THERE), (False, STRANGER))
    for number, data in enumerate(
        ("doc:OTHERS", "pay:OTHERS", "rec:1", "doc:THERE", "pay:THERE", "link:9999999999999999999"),
        start=10 + 10 * chat,
    )
]

_STEPS = st.lists(
    st.one_of(
        st.builds(Comes, st.booleans(), _updates()),
        st.builds(Comes, st.booleans(), _updates()),
        st.builds(Works, st.booleans(), st.integers(0, 9), st.integers(1, 3)),
        st.builds(Pays, st.booleans()),
    ),
    min_size=4,
    max_size=24,
)


# --- Who listens ----------------------------------------------------------------------------------


class Ear:
    """Stands for python-telegram-bot: keeps what each bot said, and to whom."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, str]] = []
        """The bot's number, the chat, and all that was handed to it there."""

    def call(self, configured: Any, do: Callable[[Any], Any]) -> Any:
        coroutine = do(SimpleNamespace(
            send_message=self._noting(configured.bot_id),
            edit_message_text=self._noting(configured.bot_id, chat_at=1),
            send_document=self._noting(configured.bot_id),
            answer_callback_query=self._silent,
            leave_chat=self._silent,
        ))  # fmt: skip
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("nothing here waits")

    def _noting(self, bot: str, chat_at: int = 0) -> Callable[..., Any]:
        async def note(*args: Any, **kwargs: Any) -> Any:
            chat = args[chat_at]
            self.said.append((bot, chat, f"{args} {_plain(kwargs)}"))
            return SimpleNamespace(message_id=len(self.said))

        return note

    @staticmethod
    async def _silent(*_args: Any) -> bool:
        return True


def _plain(kwargs: dict[str, Any]) -> str:
    markup = kwargs.get("reply_markup")
    return json.dumps(markup.to_dict() if markup else {}) + str(kwargs.get("filename", ""))


@dataclass
class Side:
    """A town, its bot, and the rows that wait."""

    town: Any
    courier: Courier
    numbers: dict[str, int]
    """Invoices: of the linked family, and of another that no chat is linked to."""
    secrets: tuple[str, ...]
    """What only linked chats may read."""
    others: tuple[str, ...]
    """What no chat may read."""
    waiting: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    inbox: Inbox = field(default_factory=Inbox)

    def is_linked(self, chat: int) -> bool:
        return bool(Book(self.town).links_of_chat(chat))

    def comes(self, update: dict[str, Any]) -> None:
        self.inbox.accept(self.town, self.town.configured, update)
        self.town.session.commit()
        rows, self.town.outbox.rows = self.town.outbox.rows, Remembering(self.town.outbox.rows)
        self.waiting += [(topic, payload) for (topic, _key), payload in rows.items()]

    def work(self, topic: str, payload: dict[str, Any]) -> None:
        do = work.answer if topic == UPDATE else work.refresh
        do(self.town, self.courier, payload)
        self.town.session.commit()
        self.town.clock.advance(seconds=3)


class Remembering(dict):
    """An outbox whose rows were taken: the same key again is still the same row."""

    def __init__(self, taken: dict[Any, Any]) -> None:
        super().__init__()
        self.known = {*getattr(taken, "known", ()), *taken}

    def setdefault(self, key: Any, value: Any = None) -> Any:
        return value if key in self.known else super().setdefault(key, value)


def make_side(make_town: Any, ear: Ear, number: int, name: str, linked: int) -> Side:
    town = make_town(name, token=f"{number}:token-of-{name}")
    other = town.add_family(f"Autre-{name}")
    paid = town.pay(town.add_invoice(other, f"Autre {name}", 800))
    family = town.add_family(f"Famille-{name}")
    mine = town.add_invoice(family, f"Cantine {name}", 4242)
    others = town.add_invoice(other, f"Autre {name}", 900)
    Book(town).link(linked, family.id, name="Camille", language="fr")
    town.session.commit()
    return Side(
        town,
        Courier(town, town.configured, ear),
        {"MINE": mine.id, "OTHERS": others.id},
        (f"Famille-{name}", f"Cantine {name}", "https://ville.example.org/p/", ".pdf"),
        (f"Autre-{name}", f"Autre {name}", f"facture-{others.id}.", f"recu-{paid.id}."),
    )


# Each example makes two towns: shrinking would take minutes, and the steps read well as they are.
@settings(
    max_examples=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(steps=_STEPS)
@example(steps=FORGED)
def test_no_crash_no_word_to_strangers_nothing_twice_and_no_mixing(make_town, steps):
    ear = Ear()
    sides = (
        make_side(make_town, ear, 41, "ici", LINKED_HERE),
        make_side(make_town, ear, 42, "ailleurs", LINKED_THERE),
    )

    def do(side: Side, topic: str, payload: dict[str, Any], times: int) -> None:
        other = sides[side is sides[0]]
        linked = {chat: side.is_linked(chat) for chat in (*CHATS, GROUP)}
        before = len(ear.said)
        side.work(topic, payload)
        now = len(ear.said)
        for bot, chat, words in ear.said[before:]:
            assert bot == side.town.configured.bot_id, "another town's bot spoke"
            assert chat == payload["chat_id"], "another chat was written to"
            assert not any(secret in words for secret in other.secrets[:2]), "towns mix"
            assert not any(secret in words for secret in side.others), "families mix"
            assert linked[chat] or not any(s in words for s in side.secrets), "a stranger was told"
        if topic == UPDATE and payload["kind"] == "typed":
            assert now > before, "silence"
        for _ in range(times - 1):
            side.work(topic, payload)
        if topic == UPDATE:
            assert len(ear.said) == now, "the same row again said it again"
        for chat in (*CHATS, GROUP):
            assert side.is_linked(chat) <= linked[chat], "nobody links without a token"

    for step in steps:
        side = sides[step.there]
        if isinstance(step, Comes):
            raw = json.dumps(step.update)
            there = sides[side is sides[0]].numbers["MINE"]
            for name, number in (side.numbers | {"THERE": there}).items():
                raw = raw.replace(f":{name}", f":{number}")
            side.comes(json.loads(raw))
        elif isinstance(step, Pays):
            invoice = side.town.invoices.known[side.numbers["MINE"]]
            if invoice.balance:
                payment = side.town.pay(invoice)
                event = PaymentSettled(
                    f"paid-{payment.id}", payment.id, invoice.family_id, (invoice.id,), 1
                )
                plugin.payment_settled(ctx=side.town, event=event)
                side.comes({})
        elif side.waiting:
            row = side.waiting.pop(step.which % len(side.waiting))
            do(side, *row, step.times)
    for side in sides:
        while side.waiting:
            do(side, *side.waiting.pop(), 2)
        side.town.session.close()
