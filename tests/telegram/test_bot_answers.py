"""What the Bot API, and what stands before it, answer: each reading, and what the bot makes of it."""

import json
import threading
from dataclasses import asdict
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugin import Address, Delivered, Message, PermanentError, Rejected, Retry, RetryableError
from plugins.telegram_bot import plugin, work
from plugins.telegram_bot.answers import MAX_ANSWER_WAIT, WAIT_UNSAID, Fate, read_answer
from plugins.telegram_bot.book import CLOSED_KEPT, WAVE, Book
from plugins.telegram_bot.channel import TelegramChannel
from plugins.telegram_bot.commands import problem, stopped
from plugins.telegram_bot.courier import Courier
from plugins.telegram_bot.events import read_update

CHAT = 1001
NGINX = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>"
KONG = b'{"message":"no Route matched with those values"}'
AWAY = b'{"error": {"code": 403, "message": "blocked by policy"}}'


def telegram(code, description, **more):
    return json.dumps({"ok": False, "error_code": code, "description": description, **more}).encode()


OK = (b'{"ok":true,"result":{"message_id":1,"date":1,'
      b'"chat":{"id":1001,"type":"private","first_name":"C"}}}')  # fmt: skip

READINGS = [
    # method, status, body, fate
    ("sendMessage", 200, OK, Fate.TAKEN),
    ("sendMessage", 200, NGINX, Fate.BARRED),
    ("sendMessage", 200, b'{"ok":true,"resu', Fate.UNKNOWN),
    ("sendMessage", 200, b"", Fate.UNKNOWN),
    ("getUpdates", 200, b"", Fate.NOT_SENT),
    ("sendMessage", 200, b'{"ok":true}', Fate.UNKNOWN),
    ("sendMessage", 302, NGINX, Fate.BARRED),
    *(("sendMessage", status, NGINX, Fate.NOT_SENT) for status in (408, 500, 502, 503, 504, 520)),
    ("sendMessage", 429, NGINX, Fate.WAIT),
    ("sendMessage", 429, b"", Fate.WAIT),
    ("sendDocument", 413, NGINX, Fate.REFUSED),
    *(("sendMessage", status, body, Fate.BARRED)
      for status in (400, 401, 403, 404, 407, 451) for body in (NGINX, KONG, AWAY, b"", b"[]")),
    ("sendMessage", 502, KONG, Fate.NOT_SENT),
    ("sendDocument", 404, b'{"detail":"Not Found"}', Fate.NOT_SENT),
    ("answerCallbackQuery", 403, NGINX, Fate.NOT_SENT),
    ("sendMessage", 401, telegram(401, "Unauthorized"), Fate.BOT_REFUSED),
    ("sendMessage", 401, telegram(401, "Unauthorized: invalid token specified"), Fate.BOT_REFUSED),
    ("getUpdates", 404, telegram(404, "Not Found"), Fate.BOT_REFUSED),
    ("sendMessage", 400, telegram(400, "Bad Request: Logged out"), Fate.BOT_REFUSED),
    ("sendMessage", 403, telegram(403, "Forbidden: bot was blocked by the user"), Fate.CLOSED),
    ("sendMessage", 403, telegram(403, "Forbidden: user is deactivated"), Fate.CLOSED),
    ("sendDocument", 400, telegram(400, "Bad Request: USER_IS_BLOCKED"), Fate.CLOSED),
    ("sendMessage", 400, telegram(400, "Bad Request: chat not found"), Fate.UNREACHABLE),
    ("sendMessage", 400, telegram(400, "Bad Request: private chat not found"), Fate.UNREACHABLE),
    ("sendMessage", 400, telegram(400, "Bad Request: PEER_ID_INVALID"), Fate.UNREACHABLE),
    ("sendMessage", 403, telegram(403, "Forbidden: bot can't initiate conversation with a user"),
     Fate.UNREACHABLE),
    ("sendMessage", 403, telegram(403, "Forbidden: bots can't send messages to bots"),
     Fate.FORBIDDEN),
    ("sendMessage", 403, telegram(403, ""), Fate.FORBIDDEN),
    ("sendMessage", 403, b'{"ok":false}', Fate.FORBIDDEN),
    ("editMessageText", 400, telegram(400, "Bad Request: message is not modified: specified new"),
     Fate.UNCHANGED),
    *(("editMessageText", 400, telegram(400, f"Bad Request: {words}"), Fate.UNEDITABLE)
      for words in ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID",
                    "there is no text in the message to edit", "MESSAGE_AUTHOR_REQUIRED",
                    "message identifier is not specified", "MESSAGE_EDIT_TIME_EXPIRED")),
    ("sendMessage", 400, telegram(400, "Bad Request: message is too long"), Fate.REFUSED),
    ("sendMessage", 400, telegram(400, "Bad Request: BUTTON_DATA_INVALID"), Fate.REFUSED),
    ("sendMessage", 500, telegram(500, "Internal Server Error"), Fate.NOT_SENT),
    ("sendMessage", 504, telegram(504, "Gateway Timeout"), Fate.NOT_SENT),
    ("getUpdates", 409, telegram(409, "Conflict: terminated by other getUpdates"), Fate.NOT_SENT),
    # Some stand-ins for Telegram, and some gateways, answer every error under status 200.
    ("sendMessage", 200, telegram(403, "Forbidden: bot was blocked by the user"), Fate.CLOSED),
    ("editMessageText", 200, telegram(400, "Bad Request: message to edit not found"),
     Fate.UNEDITABLE),
    ("sendMessage", 200, telegram(429, "Too Many Requests: retry after 3"), Fate.WAIT),
]  # fmt: skip


@pytest.mark.parametrize(("method", "status", "body", "fate"), READINGS)
def test_each_answer_is_read(method, status, body, fate):
    assert read_answer(method, status, body).fate is fate


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"parameters": {"retry_after": 9}}, 9),
        ({"parameters": {"retry_after": "9"}}, 9),
        ({"parameters": {"retry_after": 0.5}}, 0.5),
        ({"description": "Too Many Requests: retry after 12"}, 12),
        ({"parameters": {"retry_after": 0}}, WAIT_UNSAID.total_seconds()),
        ({"parameters": {"retry_after": -4}}, WAIT_UNSAID.total_seconds()),
        ({"parameters": {"retry_after": True}}, WAIT_UNSAID.total_seconds()),
        ({"parameters": [1]}, WAIT_UNSAID.total_seconds()),
        ({}, WAIT_UNSAID.total_seconds()),
        ({"parameters": {"retry_after": 10**30}}, MAX_ANSWER_WAIT.total_seconds()),
    ],
)
def test_how_long_to_wait(said, seconds):
    body = json.dumps({"ok": False, "error_code": 429, "description": "", **said}).encode()
    assert read_answer("sendMessage", 429, body).after == timedelta(seconds=seconds)


@given(st.sampled_from(["sendMessage", "editMessageText", "getUpdates"]), st.integers(100, 999),
       st.binary(max_size=60) | st.sampled_from([NGINX, KONG, OK]))  # fmt: skip
def test_any_answer_is_read_and_none_but_telegrams_own_words_close_a_chat(method, status, body):
    answer = read_answer(method, status, body)
    assert answer.fate not in {Fate.CLOSED, Fate.UNREACHABLE, Fate.FORBIDDEN, Fate.BOT_REFUSED}
    assert (answer.fate is Fate.TAKEN) == (200 <= status < 300 and b'"result"' in body)


def test_what_telegram_quotes_stays_out_of_the_reason():
    quoted = telegram(400, "Bad Request: button URL 'https://ville.example.org/p/secret' is wrong")
    assert "secret" not in read_answer("sendMessage", 400, quoted).reason


class Gateway:
    """An HTTP server before Telegram that answers what it is told, call after call."""

    def __init__(self):
        self.answers = []
        self.called = []

    def says(self, status, body, times=1):
        self.answers += [(status, body)] * times


@pytest.fixture
def gateway():
    told = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.called.append(self.path.rpartition("/")[2])
            status, body = told.answers.pop(0) if told.answers else (200, OK)
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield told
        server.shutdown()


@pytest.fixture
def town(make_town, gateway):
    return make_town(base_url=gateway.url)


@pytest.fixture
def courier(town, bots):
    return Courier(town, town.configured, bots)


@pytest.fixture
def channel(town, courier):
    return TelegramChannel(town, courier)


@pytest.fixture
def chats(town):
    """Families with a chat each: `(chat, family)`."""
    made = [(CHAT + n, town.add_family(f"Durand{n}")) for n in range(WAVE + 3)]
    for chat, family in made:
        Book(town).link(chat, family.id, name="Camille", language="fr")
    town.session.commit()
    return made


def tell(channel, chat, key):
    town = channel._ctx
    (link,) = Book(town).links_of_chat(chat) or [None]
    family = link.family_id if link else 0
    said = channel.deliver(Message("reminder", "fr", "S", "T"), Address(str(chat), family), key)
    town.session.commit()
    town.clock.advance(seconds=2)
    return said


def linked(town, chats):
    return [chat for chat, _family in chats if Book(town).links_of_chat(chat)]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_alert_that_a_gateway_refused_comes_later_and_once(gateway, channel, chats, status):
    gateway.says(status, NGINX)
    first = tell(channel, CHAT, "k")
    assert isinstance(first, Retry)
    channel._ctx.clock.advance(minutes=1)
    assert isinstance(tell(channel, CHAT, "k"), Delivered)
    assert isinstance(tell(channel, CHAT, "k"), Delivered)
    assert gateway.called == ["sendMessage"] * 2


@pytest.mark.parametrize("status", [429, 502, 504, 403])
def test_a_parent_is_answered_once_the_gateway_is_well(gateway, town, courier, chats, status):
    gateway.says(status, NGINX)
    update = {"update_id": 9, "message": {
        "message_id": 9, "chat": {"id": CHAT, "type": "private"}, "from": {"first_name": "C"},
        "text": "/factures",
    }}  # fmt: skip
    payload = asdict(read_update("4242", update))
    with pytest.raises(RetryableError) as refused:
        work.answer(town, courier, payload)
    town.session.rollback()
    town.clock.time += refused.value.after or timedelta(seconds=1)
    for _ in range(2):
        work.answer(town, courier, payload)
        town.session.commit()
    assert gateway.called == ["sendMessage"] * 2


@pytest.mark.parametrize("body", [NGINX, KONG, AWAY])
@pytest.mark.parametrize("status", [401, 403, 404, 407])
def test_a_proxys_refusal_stops_and_unlinks_nobody(gateway, town, channel, chats, status, body):
    gateway.says(status, body, times=9)
    held = tell(channel, CHAT, "k")
    assert isinstance(held, Retry)
    assert held.after >= timedelta(minutes=5)
    for number, (chat, _family) in enumerate(chats[1:]):
        assert isinstance(tell(channel, chat, f"k{number}"), Retry)
    assert len(gateway.called) == 1, "nothing more is sent while it is stopped"
    assert linked(town, chats) == [chat for chat, _ in chats]
    (check,) = plugin.health_checks(ctx=town)
    assert "arrêtés" in check.check()


@pytest.mark.parametrize(
    "refusal",
    [(401, telegram(401, "Unauthorized")), (404, telegram(404, "Not Found"))],
)
def test_a_wrong_token_stops_all_and_loses_nothing(gateway, town, channel, chats, refusal):
    gateway.says(*refusal, times=3)
    assert isinstance(tell(channel, CHAT, "k"), Retry)
    assert "arrêtés" in stopped(town)
    pauses = []
    for _ in range(2):
        town.clock.advance(minutes=70)
        pauses.append(tell(channel, CHAT, "k").after)
    assert pauses == [timedelta(minutes=10), timedelta(minutes=20)]
    town.clock.advance(minutes=70)
    assert isinstance(tell(channel, CHAT, "k"), Delivered)
    assert stopped(town) == ""
    assert linked(town, chats) == [chat for chat, _ in chats]


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot can't initiate conversation with a user"),
        (403, "Forbidden: something new"),
        (400, "Bad Request: chat not found"),
    ],
)
def test_a_wave_of_refusals_stops_and_keeps_every_link(
    gateway, town, channel, chats, status, description
):
    gateway.says(status, telegram(status, description), times=99)
    fates = [tell(channel, chat, f"k{chat}") for chat, _family in chats]
    assert linked(town, chats) == [chat for chat, _ in chats]
    assert sum(isinstance(fate, Rejected) for fate in fates) <= 1
    assert len(gateway.called) == WAVE
    assert description in stopped(town)
    # The operator mends it: what was held comes, and the stop ends by itself.
    gateway.answers.clear()
    town.clock.advance(minutes=10)
    for chat, _family in chats[1:]:
        assert isinstance(tell(channel, chat, f"k{chat}"), Delivered)
    assert stopped(town) == ""


def test_some_who_blocked_the_bot_are_no_wave(gateway, town, channel, chats):
    for number, (chat, _family) in enumerate(chats):
        if number % 2:
            gateway.says(403, telegram(403, "Forbidden: bot was blocked by the user"))
            assert isinstance(tell(channel, chat, f"k{chat}"), Rejected)
        else:
            assert isinstance(tell(channel, chat, f"k{chat}"), Delivered)
    assert linked(town, chats) == [chat for n, (chat, _) in enumerate(chats) if n % 2 == 0]
    assert stopped(town) == ""


def test_one_chat_refused_again_and_again_is_no_wave(gateway, town, channel, chats):
    gateway.says(403, telegram(403, "Forbidden: something new"), times=WAVE * 2)
    for number in range(WAVE * 2):
        assert isinstance(tell(channel, CHAT, f"k{number}"), Retry)
    assert stopped(town) == ""


def test_a_chat_out_of_reach_stays_linked(gateway, town, channel, chats):
    gateway.says(400, telegram(400, "Bad Request: chat not found"))
    assert isinstance(tell(channel, CHAT, "k"), Rejected)
    assert Book(town).links_of_chat(CHAT)


def test_a_closed_chat_is_forgotten_after_days_and_may_link_again(gateway, town, channel, chats):
    for chat in (CHAT, CHAT + 1):
        gateway.says(403, telegram(403, "Forbidden: user is deactivated"))
        tell(channel, chat, "k")
        tell(channel, CHAT + 2, f"k{chat}")
    family = chats[1][1]
    Book(town).link(CHAT + 1, family.id, name="", language="fr", update=7)
    assert Book(town).links_of_chat(CHAT + 1)
    assert plugin.family_data(ctx=town, family_id=chats[0][1].id), "what is kept is told"
    town.clock.time += CLOSED_KEPT + timedelta(days=1)
    Book(town).sweep(keep=timedelta(days=180))
    town.session.commit()
    assert plugin.family_data(ctx=town, family_id=chats[0][1].id) is None
    assert Book(town).links_of_chat(CHAT + 1)


def test_an_erased_family_leaves_no_closed_chat(gateway, town, channel, chats):
    gateway.says(403, telegram(403, "Forbidden: user is deactivated"))
    tell(channel, CHAT, "k")
    plugin.family_erased(ctx=town, family_id=chats[0][1].id)
    assert plugin.family_data(ctx=town, family_id=chats[0][1].id) is None




@pytest.mark.parametrize(
    ("number", "date", "stays"),
    [(50, 0, True), (150, 0, False), (150, 1_000_000, True), (150, 4_000_000_000, False)],
)
def test_a_late_kicked_never_unlinks_what_was_linked_after_it(
    town, courier, number, date, stays
):
    family = town.add_family("Durand")
    Book(town).link(CHAT, family.id, name="", language="fr", update=100)
    town.session.commit()
    kicked = {"update_id": number, "my_chat_member": {
        "chat": {"id": CHAT, "type": "private"}, "date": date,
        "new_chat_member": {"status": "kicked"},
    }}  # fmt: skip
    work.answer(town, courier, asdict(read_update("4242", kicked)))
    assert bool(Book(town).links_of_chat(CHAT)) is stays


def test_a_link_presented_again_outlives_a_late_kicked(town, courier):
    family = town.add_family("Durand")
    Book(town).link(CHAT, family.id, name="", language="fr", update=100)
    token = Book(town).new_token(family.id)
    start = {"update_id": 120, "message": {
        "message_id": 9, "chat": {"id": CHAT, "type": "private"}, "from": {"first_name": "C"},
        "text": f"/start {token}",
    }}  # fmt: skip
    work.answer(town, courier, asdict(read_update("4242", start)))
    town.clock.advance(seconds=2)
    kicked = {"update_id": 110, "my_chat_member": {
        "chat": {"id": CHAT, "type": "private"}, "new_chat_member": {"status": "kicked"},
    }}  # fmt: skip
    work.answer(town, courier, asdict(read_update("4242", kicked)))
    assert Book(town).links_of_chat(CHAT)


def test_a_refused_content_is_for_a_person_to_mend(gateway, channel, chats):
    gateway.says(400, telegram(400, "Bad Request: message is too long"))
    with pytest.raises(PermanentError):
        tell(channel, CHAT, "k")


def test_an_edit_that_is_refused_is_sent_anew(gateway, town, courier, chats):
    family = chats[0][1]
    town.add_invoice(family, "Cantine", 100)
    gateway.says(200, b'{"ok":true,"result":true}')  # answerCallbackQuery
    gateway.says(400, telegram(400, "Bad Request: MESSAGE_ID_INVALID"))
    tap = {"update_id": 9, "callback_query": {
        "id": "1", "from": {"first_name": "C"}, "data": "list",
        "message": {"message_id": 4, "chat": {"id": CHAT, "type": "private"}},
    }}  # fmt: skip
    work.answer(town, courier, asdict(read_update("4242", tap)))
    assert gateway.called == ["answerCallbackQuery", "editMessageText", "sendMessage"]


def test_the_check_says_what_a_gateway_answers(gateway, town, bots):
    gateway.says(502, NGINX)
    assert "ne répond pas" in problem(bots, town.configured)
