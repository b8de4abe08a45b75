"""The telephone: pages on which a person plays a parent. Complete without JavaScript."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from plugins.telegram_bot.simulator.world import Bot, Chat, Fault, Person, World

PATIENCE = 2.0
"""Seconds that a page waits for the bot's answer, so that nobody has to reload to see it."""

FAULTS = {
    "429": ("sendMessage", 429, "Too Many Requests: retry after 3", 3),
    "403": ("sendMessage", 403, "Forbidden: bot was blocked by the user", 0),
    "500": ("*", 500, "Internal Server Error", 0),
}


def home(request: Request) -> dict[str, Any]:
    """List telephones and bots."""
    world = _world(request)
    return {"people": list(world.people.values()), "bots": list(world.bots.values())}


def add_person(request: Request) -> HTTPSeeOther:
    """Give someone a telephone."""
    name = request.POST.get("nom", "").strip()[:64]
    if name:
        _world(request).add_person(name, "en" if request.POST.get("langue") == "en" else "fr")
    return HTTPSeeOther(request.route_path("home"))


def order_fault(request: Request) -> HTTPSeeOther:
    """Have the next call answered with an error."""
    known = FAULTS.get(request.POST.get("panne", ""))
    if known:
        world = _world(request)
        with world.change():
            world.faults.append(Fault(*known))
    return HTTPSeeOther(request.route_path("home"))


def deep_link(request: Request) -> dict[str, Any]:
    """``/<bot>?start=<token>``: what t.me shows, with a button for each telephone."""
    world = _world(request)
    bot = world.bot_named(request.matchdict["username"])
    if bot is None:
        raise HTTPNotFound
    start = request.GET.get("start", "")
    return {"people": list(world.people.values()), "bot": bot, "start": start}


def conversation(request: Request, patience: float = PATIENCE) -> dict[str, Any]:
    """Show one telephone's conversation with one bot; wait for news beyond ``depuis`` first."""
    person, bot, chat = _parties(request)
    before = request.GET.get("depuis", "")
    if before.isdigit():
        _world(request).wait_beyond(chat, int(before), patience)
    return {
        "person": person,
        "bot": bot,
        "chat": chat,
        "commands": bot.commands.get(person.language) or bot.commands.get("") or [],
    }


def log(request: Request) -> dict[str, Any]:
    """The messages alone, once something has changed: what the page's script shows."""
    return conversation(request, patience=20)


def act(request: Request) -> HTTPSeeOther:
    """Do what the person did: type, tap, start, block."""
    person, bot, chat = _parties(request)
    world = _world(request)
    form = request.POST
    # What the person wrote shows at once; the page waits for what the bot makes of it.
    seen = chat.revision + (form.get("action") in {"texte", "demarrer"})
    action = form.get("action", "")
    if action == "texte" and form.get("texte", "").strip():
        world.types(bot, person, form["texte"].strip()[:4096])
    elif action == "demarrer":
        world.types(bot, person, f"/start {form.get('start', '')}".strip())
    elif action in {"bloquer", "debloquer"}:
        world.blocks(bot, person, blocked=action == "bloquer")
    elif action.startswith("bouton"):
        _, message_id, row, column = action.split("-")
        world.taps(bot, person, int(message_id), int(row), int(column))
    query = {"depuis": str(seen)}
    path = request.route_path("chat", person=person.id, bot=bot.username, _query=query)
    return HTTPSeeOther(path + "#fin")


def file(request: Request) -> Response:
    """Open a file that a bot sent."""
    stored = _world(request).files.get(request.matchdict["file_id"])
    if stored is None:
        raise HTTPNotFound
    response = Response(stored.data, content_type=stored.media_type)
    response.content_disposition = f'inline; filename="{stored.name}"'
    return response


def _world(request: Request) -> World:
    world: World = request.registry["world"]
    return world


def _parties(request: Request) -> tuple[Person, Bot, Chat]:
    world = _world(request)
    person = world.people.get(int(request.matchdict["person"]))
    bot = world.bot_named(request.matchdict["bot"])
    if person is None or bot is None:
        raise HTTPNotFound
    chat = world.chat(bot, person.id)
    if chat is None:
        raise HTTPNotFound
    return person, bot, chat
