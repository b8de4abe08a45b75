"""The simulator answers as Telegram does, mistakes included."""

import asyncio
import json
import re

import httpx
import pytest
import telegram
from hypothesis import given
from hypothesis import strategies as st

from core.testing.waiting import PATIENCE_SECONDS
from plugins.telegram_bot.simulator.app import open_world
from plugins.telegram_bot.simulator.markup import MarkupError, plain

TOKEN = "4242:test-token_of-the-town"
USERNAME = "ville_test_bot"


@pytest.fixture
def call(simulator):
    with httpx.Client(base_url=f"{simulator.url}/bot{TOKEN}/", timeout=PATIENCE_SECONDS) as client:

        def post(method, **data):
            return client.post(method, data=data)

        yield post


@pytest.fixture
def phone(simulator):
    """The parent's telephone, as a browser without JavaScript sees it."""
    with httpx.Client(base_url=simulator.url, follow_redirects=True, timeout=PATIENCE_SECONDS) as client:
        yield client


def starts(simulator, person=1001):
    world = simulator.world
    world.types(world.bots[TOKEN], world.people[person], "/start")


def test_get_me_tells_who_the_bot_is(call):
    assert call("getMe").json()["result"]["username"] == USERNAME


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"/bot{TOKEN}/noSuchMethod", 404), ("/bot99:unknown-token/getMe", 401), ("/botx/getMe", 404)],
)
def test_unknown_methods_and_tokens_are_refused(simulator, path, status):
    answer = httpx.get(simulator.url + path, timeout=PATIENCE_SECONDS)
    assert answer.status_code == status
    assert answer.json()["ok"] is False


@pytest.mark.parametrize(
    ("method", "data", "refusal"),
    [
        ("sendMessage", {"text": "x"}, (400, "chat_id is empty")),
        ("sendMessage", {"chat_id": 5, "text": "x"}, (400, "chat not found")),
        ("sendMessage", {"chat_id": 1002, "text": "x"}, (403, "can't initiate conversation")),
        ("sendMessage", {"chat_id": 1001}, (400, "message text is empty")),
        ("sendMessage", {"chat_id": 1001, "text": "x" * 4097}, (400, "too long")),
        ("sendMessage", {"chat_id": 1001, "text": "<b>x", "parse_mode": "HTML"}, (400, "entities")),
        ("editMessageText", {"chat_id": 1001, "text": "x"}, (400, "identifier is not specified")),
        ("editMessageText", {"chat_id": 1001, "text": "x", "message_id": 99}, (400, "not found")),
        ("editMessageText", {"chat_id": 1001, "text": "x", "message_id": 1}, (400, "can't be edited")),
        ("answerCallbackQuery", {"callback_query_id": "none"}, (400, "query is too old")),
        ("sendDocument", {"chat_id": 1001}, (400, "no document")),
        ("setWebhook", {"url": "http://example.org/x"}, (400, "HTTPS URL must be provided")),
        ("setWebhook", {"url": "https://example.org", "secret_token": "a b"}, (400, "unallowed")),
        ("setMyCommands", {"commands": '[{"command": "Été", "description": "x"}]'}, (400, "COMMAND")),
        ("getFile", {"file_id": "none"}, (400, "invalid file_id")),
    ],
)
def test_mistakes_are_answered_as_telegram_does(simulator, call, method, data, refusal):
    starts(simulator)
    status, says = refusal
    answer = call(method, **data)
    assert (answer.status_code, answer.json()["error_code"]) == (status, status)
    assert says in answer.json()["description"]


@pytest.mark.parametrize(
    "button",
    [
        {"text": "x"},
        {"text": "", "callback_data": "y"},
        {"text": "x", "callback_data": "y" * 65},
        {"text": "x", "callback_data": "y", "url": "https://example.org"},
        {"text": "x", "url": "https://nohost"},
        {"text": "x", "url": "javascript:alert(1)"},
    ],
)
def test_bad_buttons_are_refused(simulator, call, button):
    starts(simulator)
    markup = json.dumps({"inline_keyboard": [[button]]})
    assert call("sendMessage", chat_id=1001, text="x", reply_markup=markup).status_code == 400


def test_the_same_edit_twice_is_refused(simulator, call):
    starts(simulator)
    number = call("sendMessage", chat_id=1001, text="a").json()["result"]["message_id"]
    assert call("editMessageText", chat_id=1001, message_id=number, text="b").is_success
    again = call("editMessageText", chat_id=1001, message_id=number, text="b")
    assert "message is not modified" in again.json()["description"]


def test_updates_wait_for_their_reader_and_are_forgotten_by_offset(simulator, call):
    starts(simulator)
    first = call("getUpdates").json()["result"]
    assert [u["message"]["text"] for u in first] == ["/start"]
    assert call("getUpdates").json()["result"] == first
    assert call("getUpdates", offset=first[0]["update_id"] + 1).json()["result"] == []


def test_polling_beside_a_webhook_is_a_conflict(call):
    call("setWebhook", url="https://example.org/hook")
    assert call("getUpdates").status_code == 409
    call("deleteWebhook")
    assert call("getUpdates").is_success


def test_faults_come_on_demand(simulator, call, phone):
    starts(simulator)
    phone.post("/_panne", json={
        "method": "sendMessage", "status": 429, "description": "Too Many Requests", "retry_after": 7,
    })
    refused = call("sendMessage", chat_id=1001, text="x")
    assert (refused.status_code, refused.json()["parameters"]) == (429, {"retry_after": 7})
    assert call("sendMessage", chat_id=1001, text="x").is_success


def test_limits_are_telegrams():
    world = open_world(None, {TOKEN: USERNAME})
    bot = world.bots[TOKEN]
    assert [bool(world.too_fast(bot, 1)) for _ in range(4)] == [False, False, False, True]
    assert not any(world.too_fast(bot, chat) for chat in range(10, 37))
    assert world.too_fast(bot, 99)


def test_state_survives_a_restart(tmp_path):
    path = tmp_path / "deep" / "state.json"
    world = open_world(path, {TOKEN: USERNAME})
    world.types(world.bots[TOKEN], world.people[1001], "bonjour")
    again = open_world(path, {TOKEN: USERNAME})
    assert again.chats[TOKEN][1001].messages == world.chats[TOKEN][1001].messages
    assert again.bots[TOKEN].updates == world.bots[TOKEN].updates


def test_a_person_plays_the_parent_without_javascript(simulator, phone, call):
    page = phone.get(f"/{USERNAME}?start=abc")
    assert "Démarrer sur le téléphone de Camille" in page.text
    page = phone.post(f"/telephone/1001/{USERNAME}/faire", data={"action": "demarrer", "start": "abc"})
    assert "/start abc" in page.text
    markup = json.dumps({"inline_keyboard": [[{"text": "Oui", "callback_data": "yes"}]]})
    call("sendMessage", chat_id=1001, text="<b>Bonjour</b> &amp; bienvenue", parse_mode="HTML",
         reply_markup=markup)
    page = phone.get(f"/telephone/1001/{USERNAME}")
    assert "<b>Bonjour</b> &amp; bienvenue" in page.text
    button = re.search(r'value="(bouton-[\d-]+)">Oui', page.text)[1]
    phone.post(f"/telephone/1001/{USERNAME}/faire", data={"action": button})
    query = call("getUpdates").json()["result"][-1]["callback_query"]
    assert query["data"] == "yes"
    assert call("answerCallbackQuery", callback_query_id=query["id"], text="Noté").is_success
    assert "Noté" in phone.get(f"/telephone/1001/{USERNAME}").text
    phone.post(f"/telephone/1001/{USERNAME}/faire", data={"action": "bloquer"})
    assert call("sendMessage", chat_id=1001, text="x").status_code == 403
    assert call("getUpdates").json()["result"][-1]["my_chat_member"]["new_chat_member"]["status"] == (
        "kicked"
    )


def test_the_real_client_sends_documents_and_gets_them_back(simulator, phone):
    starts(simulator)

    async def scene():
        base = simulator.url
        async with telegram.Bot(TOKEN, f"{base}/bot", f"{base}/file/bot") as bot:
            sent = await bot.send_document(1001, b"%PDF-1.7", filename="reçu.pdf", caption="Voici")
            handle = await bot.get_file(sent.document.file_id)
            return sent, bytes(await handle.download_as_bytearray())

    sent, content = asyncio.run(scene())
    assert (sent.caption, sent.document.file_name, content) == ("Voici", "reçu.pdf", b"%PDF-1.7")
    page = phone.get(f"/telephone/1001/{USERNAME}")
    assert phone.get(re.search(r'href="(/fichier/[^"]+)"', page.text)[1]).content == b"%PDF-1.7"


def test_webhooks_are_posted_with_their_secret_until_they_are_taken(simulator, call):
    import threading
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    seen, answers = [], ["500 Internal Server Error", "200 OK"]

    def hook(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        seen.append((environ.get("HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN"), json.loads(body)))
        start_response(answers.pop(0), [("Content-Length", "0")])
        return [b""]

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    with make_server("127.0.0.1", 0, hook, handler_class=Quiet) as server:
        thread = threading.Thread(target=lambda: [server.handle_request() for _ in range(2)])
        thread.start()
        call("setWebhook", url=f"http://127.0.0.1:{server.server_port}/", secret_token="s3cret")
        starts(simulator)
        thread.join(PATIENCE_SECONDS)
    assert [secret for secret, _ in seen] == ["s3cret", "s3cret"]
    assert seen[0][1]["update_id"] == seen[1][1]["update_id"]


@given(st.text(alphabet='<>/&;ab "=hrefs:.ptx', max_size=40))
def test_markup_is_either_read_or_refused(text):
    try:
        seen = plain(text)
    except MarkupError:
        return
    assert "<b>" not in seen
