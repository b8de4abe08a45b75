"""Polling goes on: whatever an update holds, whatever a gateway answers, and while the database is away."""

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy.exc import OperationalError

from core.plugin import TownClosedError
from core.testing.waiting import PATIENCE_SECONDS
from plugins.telegram_bot import polling
from plugins.telegram_bot.bots import Bots
from plugins.telegram_bot.events import read_update
from plugins.telegram_bot.inbox import UPDATE, UPDATES

CHAT = 1001


def message(number, text="/factures", chat=CHAT, **more):
    return {"update_id": number, "message": {
        "message_id": number, "date": 1, "chat": {"id": chat, "type": "private"},
        "from": {"id": chat, "is_bot": False, "first_name": "C"}, "text": text, **more,
    }}  # fmt: skip


class BotApi:
    """A Bot API that hands out updates, after the failures it is told to show."""

    def __init__(self):
        self.updates = []
        self.failures = []
        self.asked = []

    def answer(self, method, values):
        if method != "getUpdates":
            return 200, json.dumps({"ok": True, "result": True}).encode()
        offset = int(values.get("offset", 0) or 0)
        self.asked.append(offset)
        if self.failures:
            return self.failures.pop(0)
        found = [u for u in self.updates
                 if not isinstance(u, dict) or u.get("update_id", 0) >= offset]  # fmt: skip
        return 200, json.dumps({"ok": True, "result": found}).encode()


@pytest.fixture
def serve():
    """Serve Bot APIs over HTTP, one for each town: ``serve() -> (api, url)``."""
    servers = []

    def start():
        api = BotApi()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                from urllib.parse import parse_qsl

                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = api.answer(
                    self.path.rpartition("/")[2], dict(parse_qsl(raw.decode()))
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return api, f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def two_towns(make_town, serve, monkeypatch):
    monkeypatch.setattr(polling, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(polling, "REFUSED_PAUSE_SECONDS", 0.1)
    made = []
    for name, token in (("ici", "41:token-of-ici"), ("ailleurs", "42:token-of-ailleurs")):
        api, url = serve()
        made.append((make_town(name, base_url=url, token=token), api))
    return made


def poll_until(towns, done, open_town=None, seconds=PATIENCE_SECONDS):
    """Poll for the towns until `done()`, and fail when that does not come."""
    bots = Bots()
    by_slug = {town.town.slug: town for town, _api in towns}

    @contextmanager
    def opened(slug):
        yield by_slug[slug]
        by_slug[slug].session.commit()

    async def scene():
        settings = {slug: town.configured for slug, town in by_slug.items()}
        task = asyncio.create_task(polling.poll(bots, settings, open_town or opened))
        end = time.monotonic() + seconds
        while not done() and time.monotonic() < end and not task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert not task.done(), "polling ended"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        bots.run(scene())
    finally:
        bots.close()
    assert done()


def texts(town):
    """All that was written down, one by one or together."""
    rows = town.outbox.rows.items()
    alone = [row["text"] for (topic, _key), row in rows if topic == UPDATE]
    together = [row["updates"] for (topic, _key), row in rows if topic == UPDATES]
    return alone + [update["text"] for updates in together for update in updates]


NGINX = b"<html>502 Bad Gateway</html>"


@pytest.mark.parametrize(
    "failure",
    [
        (502, NGINX),
        (403, NGINX),
        (200, NGINX),
        (200, b""),
        (200, b'{"ok":true,"result":null}'),
        (200, b'{"ok":true,"result":{"update_id":1}}'),
        (200, b'{"ok":true,"result":[1,null,{"update_id":"x"},{}]}'),
        (401, b'{"ok":false,"error_code":401,"description":"Unauthorized"}'),
        (404, b'{"ok":false,"error_code":404,"description":"Not Found"}'),
        (409, b'{"ok":false,"error_code":409,"description":"Conflict: webhook is active"}'),
        (429, b'{"ok":false,"error_code":429,"description":"","parameters":{"retry_after":1}}'),
    ],
)
def test_no_answer_ends_it_for_any_town(two_towns, failure):
    (here, api), (there, other) = two_towns
    api.failures = [failure]
    api.updates, other.updates = [message(5)], [message(6, "mes factures")]
    poll_until(two_towns, lambda: texts(here) and texts(there))


ODD = [
    {"update_id": 1, "message": {"chat": None}},
    {"update_id": 2, "message": {"message_id": "x", "date": 10**20, "chat": {"id": 2**70}}},
    {"update_id": 3, "callback_query": {"id": 4, "from": {}}},
    message(4, date=10**18),
    message(5, entities=[{"type": 4}], reply_to_message={"message_id": 1}),
    {"update_id": 6, "some_new_thing": {"a": 1}},
    message(7, "deux\ud83d moitiés"),
    message(8, "nul\0le"),
]


def test_no_update_ends_it_and_none_hides_the_next(two_towns):
    (here, api), (there, other) = two_towns
    api.updates = [*ODD, message(9, "après")]
    other.updates = [message(1, "ailleurs")]
    poll_until(two_towns, lambda: "après" in texts(here) and texts(there))
    poll_until(two_towns, lambda: api.asked[-1] == 10)
    assert {"deux\ufffd moitiés", "nulle"} <= set(texts(here))


@pytest.mark.parametrize("odd", ["a\0b", "\ud800", "\udfff!", "\ud83d\ude00"])
def test_whatever_is_typed_can_be_kept(servers, telegram_database, town, odd):
    raw = message(1, odd)
    raw["message"]["from"] |= {"first_name": odd, "language_code": odd}
    incoming = read_update("1", json.loads(json.dumps(raw)))
    for text in (incoming.text, incoming.name, incoming.language):
        assert "\0" not in text
        text.encode()


def test_a_database_that_is_away_loses_no_update(two_towns):
    (here, api), (there, other) = two_towns
    api.updates = [message(number, f"m{number}") for number in range(1, 12)]
    other.updates = [message(1, "ailleurs")]
    by_slug = {here.town.slug: here, there.town.slug: there}
    tries = []

    @contextmanager
    def open_town(slug):
        if slug == here.town.slug:
            tries.append(slug)
            if len(tries) < 15:
                raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))
        yield by_slug[slug]

    poll_until(two_towns, lambda: len(texts(here)) == 11 and texts(there), open_town)
    assert set(api.asked[:-1]) <= {0, 12}


def test_an_update_that_cannot_be_written_is_dropped_alone(two_towns, monkeypatch):
    (here, api), (there, other) = two_towns
    api.updates = [message(1, "bon"), message(2, "mauvais"), message(3, "bon aussi")]
    other.updates = [message(1, "ailleurs")]
    add = here.outbox.add

    def refuse(topic, payload, *, key, after=None):
        if "mauvais" in json.dumps(payload):
            raise ValueError("cannot be written")
        add(topic, payload, key=key)

    monkeypatch.setattr(here.outbox, "add", refuse)
    poll_until(two_towns, lambda: len(texts(here)) == 2 and texts(there))


def test_who_answers_nothing_at_once_is_not_asked_all_the_time(two_towns):
    (_here, api), _there = two_towns
    poll_until(two_towns, lambda: len(api.asked) >= 2)
    assert len(api.asked) <= 3


def test_who_polls_asks_nothing_for_a_closed_town_and_confirms_nothing(two_towns):
    """Confirmed, an update would be lost; asked for, it would be taken from where the town lives now."""
    (town, api), other = two_towns
    api.updates = [message(5)]
    opened, closed = [], [True, False, True, True, False, False]

    @contextmanager
    def open_town(slug):
        if slug == town.town.slug:
            opened.append(len(api.asked))
            if closed and closed.pop(0):
                raise TownClosedError(slug)
        yield town if slug == town.town.slug else other[0]

    poll_until(two_towns, lambda: texts(town), open_town)
    # Closed before the first question; then at the writing: the same question is asked again.
    assert opened[0] == 0
    assert api.asked[:2] == [0, 0]
