"""The Bot API's address: ``/bot<token>/<method>`` and ``/file/bot<token>/<path>``."""

from __future__ import annotations

import re
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from plugins.telegram_bot.simulator.methods import METHODS, ApiError, Call, Upload
from plugins.telegram_bot.simulator.world import Bot, World

TOKEN = re.compile(r"\d{1,16}:[A-Za-z0-9_-]{3,}\Z")


def answer(request: Request) -> Response:
    """Answer one call as Telegram does: JSON, with the HTTP status of its error."""
    try:
        return _json(200, {"ok": True, "result": _result(request)})
    except ApiError as error:
        body: dict[str, Any] = {
            "ok": False,
            "error_code": error.status,
            "description": error.description,
        }
        if error.retry_after:
            body["parameters"] = {"retry_after": error.retry_after}
        return _json(error.status, body)


def file(request: Request) -> Response:
    """Give back a file that ``getFile`` named."""
    world: World = request.registry["world"]
    stored = world.files.get(request.matchdict["file_id"])
    if request.matchdict["token"] not in world.bots or stored is None:
        return _json(404, {"ok": False, "error_code": 404, "description": "Not Found"})
    return Response(stored.data, content_type="application/octet-stream")


def _result(request: Request) -> Any:
    world: World = request.registry["world"]
    bot = _bot(world, request.matchdict["token"])
    name = request.matchdict["method"]
    method = METHODS.get(name.lower())
    if method is None:
        raise ApiError(404, "Not Found: method not found")
    values, uploads = _parameters(request)
    world.calls.append((bot.token, name, values))
    fault = world.fault_for(name)
    if fault:
        raise ApiError(fault.status, fault.description, fault.retry_after)
    return method(Call(world, bot, values, uploads))


def _bot(world: World, token: str) -> Bot:
    if not TOKEN.match(token):
        raise ApiError(404, "Not Found")
    bot = world.bots.get(token)
    if bot is None:
        raise ApiError(401, "Unauthorized")
    return bot


def _parameters(request: Request) -> tuple[dict[str, Any], dict[str, Upload]]:
    values: dict[str, Any] = dict(request.GET)
    uploads: dict[str, Upload] = {}
    if request.content_type == "application/json" and request.body:
        try:
            read = request.json_body
        except ValueError:
            raise ApiError(400, "Bad Request: can't parse JSON object") from None
        if not isinstance(read, dict):
            raise ApiError(400, "Bad Request: object expected as parameters")
        values |= read
    elif request.method == "POST":
        for name, value in request.POST.items():
            if isinstance(value, str):
                values[name] = value
            else:
                with value.file as stream:
                    uploads[name] = Upload(value.filename, value.type, stream.read())
        # WebOb copies a large body into a temporary file, which it leaves open.
        request.body_file_raw.close()
    return values, uploads


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(json_body=body, status=status, content_type="application/json")
