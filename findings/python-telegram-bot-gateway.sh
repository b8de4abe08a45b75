#!/bin/bash
# python-telegram-bot 22.8 judges an answer by its HTTP status alone. A proxy's 403 page is `Forbidden`,
# the error of a chat that blocked the bot; an error that a gateway answers under status 200 is no
# TelegramError at all, but a KeyError.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check python-telegram-bot==22.8
timeout 60 "$folder/venv/bin/python" - <<'PY'
import asyncio
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import telegram
from telegram.error import Forbidden

ANSWERS = [
    (403, b"<html>Blocked by the proxy</html>"),
    (200, b'{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}'),
]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = ANSWERS.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
bot = telegram.Bot("1:x", base_url=f"http://127.0.0.1:{server.server_port}/bot")


async def ask():
    try:
        await bot.send_message(1, "x")
    except Exception as error:  # whatever it is, is what is to be seen
        return error


async def both():
    return await ask(), await ask()


page, error = asyncio.run(both())
server.shutdown()
print("python-telegram-bot", telegram.__version__)
print("expected: neither Forbidden nor success for a page; a TelegramError for ok: false")
print("seen:    ", type(page).__name__, "for a 403 page;", type(error).__name__, "for ok: false under 200")
sys.exit(0 if isinstance(page, Forbidden) and isinstance(error, KeyError) else 1)
PY
