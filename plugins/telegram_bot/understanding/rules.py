"""The bot's own intents and words, and reading a text by them.

The rules are in ``intents.toml``, the words in ``words.toml``: data, read once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from plugins.telegram_bot.understanding.figures import read_amounts, read_numbers
from plugins.telegram_bot.understanding.intents import Intent, Intents
from plugins.telegram_bot.understanding.meaning import COMMANDS, Meaning, Wish
from plugins.telegram_bot.understanding.text import speller, words_of
from plugins.telegram_bot.understanding.times import MONTHS, read_time


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))


def load_intents(data: dict[str, Any]) -> list[Intent]:
    """The intents of a document like ``intents.toml``; ``<NAME>`` in a rule stands for a piece."""
    pieces: dict[str, str] = data.get("pieces", {})

    def whole(rules: list[str]) -> tuple[str, ...]:
        return tuple(_PIECE.sub(lambda found: whole([pieces[found[1]]])[0], r) for r in rules)

    return [
        Intent(
            found["name"],
            found["rank"],
            whole(found["rules"]),
            whole(found.get("unless", [])),
            found.get("argument", ""),
        )
        for found in data["intents"]
    ]


_PIECE = re.compile(r"<([A-Z]+)>")


@cache
def own() -> Intents:
    """Intents that the bot itself understands, in the order of decision."""
    return Intents(load_intents(_data("intents.toml")))


@cache
def _words(name: str) -> frozenset[str]:
    return frozenset(_data("words.toml")[name].split())


@lru_cache(maxsize=4096)
def _mend(word: str) -> str:
    return _speller()(word)


@cache
def _speller() -> Callable[[str], str]:
    known = _words("says_nothing") | _words("about_money") | _words("right_as_they_are")
    return speller((w for w in _words("vocabulary") if len(w) >= 5), known | set(MONTHS))

_COMMAND = re.compile(r"/(?P<name>[A-Za-z0-9_]{1,32})(?:@\w+)?(?:\s+(?P<rest>.*))?\Z", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_LINK = re.compile(r"[?&]start=([A-Za-z0-9_-]{1,64})(?![A-Za-z0-9_-])")
_BARE_TOKEN = re.compile(r"(?=\S*[A-Z0-9_-])[A-Za-z0-9_-]{22}\Z")
"""Token that the portal makes: 128 bits in Telegram's alphabet."""

_NUMBER_SIGN = re.compile(r"\b(?:no|nr|num) (?=[a-z]*\d)")
_VERB_RECU = re.compile(
    r"\b(ai|as|a|avons|avez|ont|pas|rien|jamais|deja|bien|avoir|toujours|encore) recu\b"
    r"|\brecu\b(?= (?:ma|mon|la|votre|vos|de facture|un rappel|un message|une|aucune?|par|ce|cette)"
    r")"
)
_NOUN_RECU = re.compile(r"\b(?:le|un|mon|vos|votre|du|de|des|ton) recu\b")
_ON = frozenset(("oui", "on", "active", "activer", "actives", "yes", "marche", "enable"))
_OFF = frozenset(("non", "off", "stop", "desactive", "desactiver", "no", "arret", "arreter",
                  "arrete", "couper", "coupe", "disable"))  # fmt: skip
_LANGUAGES = {"english": "en", "anglais": "en", "en": "en", "francais": "fr", "french": "fr",
              "fr": "fr"}  # fmt: skip
_TIMES = re.compile(r"\b\d+\s*(?:fois|x)\b")
"""*En 3 fois* names no number."""


def understand(text: str, today: date | None = None, intents: Intents | None = None) -> Meaning:
    """Read what a parent typed. Never fails; `today` gives *le mois dernier* its sense."""
    typed = text.strip()
    intents = intents or own()
    if command := _COMMAND.match(typed):
        return _command(command["name"].lower(), (command["rest"] or "").strip(), today)
    if link := _LINK.search(typed):
        return Meaning(Wish.START, argument=link[1])
    if _BARE_TOKEN.match(typed):
        return Meaning(Wish.START, argument=typed)
    words = [_mend(word) for word in words_of(typed)]
    plain = " ".join(words)
    plain = _NUMBER_SIGN.sub("numero ", plain.replace("c est est ", "c est "))
    if not _NOUN_RECU.search(plain):
        plain = _VERB_RECU.sub(lambda found: f"{found[1]} obtenu" if found[1] else "obtenu", plain)
    # Emoji are no words, and the only thing that some say.
    intent = intents.of(plain) or intents.of(typed)
    if intent is None:
        return _about(Wish.UNKNOWN, typed, today)
    return _about(intent.name, typed, today, intent.argument)


def _command(name: str, rest: str, today: date | None) -> Meaning:
    wish = COMMANDS.get(name, Wish.UNKNOWN)
    if wish is Wish.START:
        return Meaning(wish, argument=rest if _TOKEN.match(rest) else "", is_command=True)
    said = words_of(rest)
    argument = ""
    if wish is Wish.ALERTS:
        argument = _first(said, _ON, "on") or _first(said, _OFF, "off")
    elif wish is Wish.LANGUAGE:
        argument = next((_LANGUAGES[word] for word in said if word in _LANGUAGES), "")
    return _about(wish, rest, today, argument, is_command=True)


def _first(said: list[str], known: frozenset[str], answer: str) -> str:
    return answer if known.intersection(said) else ""


def _about(
    wish: str, typed: str, today: date | None, argument: str = "", *, is_command: bool = False
) -> Meaning:
    today = today or date.today()  # noqa: DTZ011 - what is said without a day means the reader's
    amounts, rest = read_amounts(_TIMES.sub(" ", typed))
    time = read_time(rest, " ".join(words_of(rest)), today)
    numbers, words = read_numbers(time.rest.split())
    left = tuple(
        dict.fromkeys(
            word
            for word in words
            if word not in _words("says_nothing")
            and word not in _words("about_money")
            and _mend(word) not in _words("about_money")
            and word != "?"
        )
    )
    return Meaning(
        wish, left, time.month, time.year, time.days, amounts, numbers, argument, is_command
    )
