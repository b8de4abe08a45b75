"""Understanding what a parent types about days: pure, from words to a meaning.

Names, services and weekdays may be written without accents and with slips. Whatever is not clear
is left open: the answer asks back rather than guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from rapidfuzz import fuzz

from plugins.planning.rules import Wish

ALIKE = 82
"""Out of 100: how alike a word and a name are that mean the same."""
_WEEKDAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_ENGLISH = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = ("lun", "mar", "mer", "jeu", "ven", "sam", "dim")
_MONTHS = (
    "janvier", "fevrier", "mars", "avril", "mai", "juin", "juillet", "aout", "septembre", "octobre",
    "novembre", "decembre",
)  # fmt: skip
_REMOVE = re.compile(
    r"\b(annul\w*|absen\w*|malade\w*|retir\w*|supprim\w*|enlev\w*|decommand\w*|desinscri\w*"
    r"|(ne |n )?(mange|vient|viens|viendra|va|ira|sera|est|reste)\w* (pas|plus)|pas (la|cantine)"
    r"|cancel\w*|sick|away)\b"
)
_ADD = re.compile(
    r"\b(reserv\w*|inscri\w*|r?ajout\w*|mange\w*|vient|viendra|sera la|book\w*|add|met\w*)\b"
)
_SHOW = re.compile(r"\b(planning|semaine|quoi|quand|quels? jours?|reservations?|week)\b")
_UNTIL = re.compile(r"\bjusqu\w*\b|\b(until|tous les|toutes les|chaque|every)\b")
_HOLIDAYS = re.compile(r"\bvacanc\w*|\bholidays?\b")
_NEXT_WEEK = re.compile(r"\bsemaine (pro|prochaine?|suivante)\b|\bnext week\b")
_TOMORROW = frozenset({"dem", "tomorrow", "2main", "dmain"})
_GONE = ("absent", "absente", "annule", "annuler", "malade", "supprimer")
_THERE = ("reserve", "reserver", "inscrire", "ajoute", "ajouter")
_YEAR = re.compile(r"fin d\w* ?(l )?annee|l annee|toute l annee")


class Sense(StrEnum):
    """Kind of request that a text makes."""

    SHOW = "show"
    DAYS = "days"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class Meaning:
    """Content of an understood text; an empty tuple stands for a part that was not said."""

    sense: Sense
    wish: Wish
    children: tuple[int, ...]
    services: tuple[str, ...]
    days: tuple[date, ...]
    weekdays: frozenset[int] = frozenset()
    until: date | None = None
    every_child: bool = False


def plain(text: str) -> str:
    """Small letters without accents, single spaces."""
    folded = unicodedata.normalize("NFKD", text.replace("œ", "oe").casefold())
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    return " ".join(re.sub(r"[^a-z0-9/]+", " ", bare).split())


def understand(
    text: str,
    *,
    today: date,
    children: Mapping[int, str],
    services: Mapping[str, str],
    until_holidays: date,
    until_summer: date,
    days: tuple[date, date] | None = None,
) -> Meaning | None:
    """Meaning of a text; None when the text says nothing about days.

    `days` is what the chat understood itself, for dates that nothing here reads.
    """
    said = plain(text)[:400]
    words = said.split()
    who = _children(words, children)
    every = bool(re.search(r"\b(tous|toutes|les enfants|les (deux|trois)|everyone)\b", said))
    which = _services(words, services)
    weekdays = _named_weekdays(words)
    remove = bool(_REMOVE.search(said)) or _said_like(words, _GONE)
    add = bool(_ADD.search(said)) or _said_like(words, _THERE)
    wish = Wish.REMOVE if remove else Wish.ADD
    until = _until(said, today, until_holidays, until_summer)
    if weekdays and until is not None and not _SHOW.search(said):
        return Meaning(
            Sense.PATTERN, wish, who, which, (), frozenset(weekdays), until, every_child=every
        )
    asked = _days(words, said, today, weekdays)
    if not asked and days is not None:
        first, last = days
        asked = tuple(
            first + timedelta(days=number) for number in range(min((last - first).days, 13) + 1)
        )
    if asked and (remove or add) and not (_SHOW.search(said) and not remove and not which):
        return Meaning(Sense.DAYS, wish, who, which, asked, every_child=every)
    if _SHOW.search(said) or (asked and (who or which)):
        return Meaning(Sense.SHOW, wish, who, which, asked, every_child=every)
    return None


def _children(words: Sequence[str], children: Mapping[int, str]) -> tuple[int, ...]:
    found = []
    for child_id, name in children.items():
        own = [part for part in plain(name).split() if len(part) > 1]
        if any(_alike(word, part) for word in words for part in own if len(word) > 1):
            found.append(child_id)
    return tuple(found)


def _services(words: Sequence[str], services: Mapping[str, str]) -> tuple[str, ...]:
    found = []
    for key, label in services.items():
        own = [
            part
            for part in plain(f"{label} {key}").split()
            if len(part) > 3 and part not in _WEEKDAYS
        ]
        if any(_alike(word, part) for word in words for part in own if len(word) > 3):
            found.append(key)
    if not found and "repas" in words:
        found = [key for key, label in services.items() if "cantin" in plain(label)]
    return tuple(found)


def _said_like(words: Sequence[str], meant: Sequence[str]) -> bool:
    return any(len(word) > 4 and fuzz.ratio(word, one) >= ALIKE for word in words for one in meant)


def _alike(word: str, name: str) -> bool:
    if min(len(word), len(name)) < 4:
        return word == name
    return fuzz.ratio(word, name) >= ALIKE


def _weekday(word: str) -> int | None:
    for names in (_WEEKDAYS, _ENGLISH):
        for number, name in enumerate(names):
            if len(word) > 3 and fuzz.ratio(word.removesuffix("s"), name) >= ALIKE:
                return number
    return _SHORT.index(word) if word in _SHORT else None


def _named_weekdays(words: Sequence[str]) -> list[int]:
    found = []
    for word in words:
        number = _weekday(word)
        if number is not None and number not in found:
            found.append(number)
    return found


def _until(said: str, today: date, holidays: date, summer: date) -> date | None:
    if not _UNTIL.search(said):
        return None
    if _HOLIDAYS.search(said):
        return holidays
    after = said.partition("jusqu")[2]
    dated = _dates(after, today)
    if dated:
        return dated[-1]
    if _YEAR.search(said) or "jusqu" not in said:
        return summer
    for number, name in enumerate(_MONTHS, 1):
        if name in after.split():
            year = today.year + (number < today.month)
            return date(year + number // 12, number % 12 + 1, 1) - timedelta(days=1)
    return None


def _dates(said: str, today: date) -> list[date]:
    found = [
        (int(match[1]), int(match[2]), int(match[3]) if match[3] else 0)
        for match in re.finditer(r"\b(\d{1,2})/(\d{1,2})(?:/(\d{2,4}))?\b", said)
    ]
    names = "|".join(_MONTHS)
    for match in re.finditer(rf"\b(\d{{1,2}})(?:er)? ({names})(?: (\d{{4}}))?\b", said):
        number = _MONTHS.index(match[2]) + 1
        found.append((int(match[1]), number, int(match[3]) if match[3] else 0))
    days = []
    for day, month, year in found:
        full = year + 2000 if 0 < year < 100 else year
        try:
            value = date(full or today.year, month, day)
        except ValueError:
            continue
        if not full and (today - value).days > 60:
            value = value.replace(year=today.year + 1, day=min(value.day, 28))
        days.append(value)
    return sorted(days)


def _days(
    words: Sequence[str], said: str, today: date, weekdays: Sequence[int]
) -> tuple[date, ...]:
    dated = _dates(said, today)
    if dated:
        return tuple(dated)
    found = []
    if re.search(r"\bapres demain\b|\bapresdemain\b", said):
        found.append(today + timedelta(days=2))
    elif any(_alike(word, "demain") or word in _TOMORROW for word in words):
        found.append(today + timedelta(days=1))
    if re.search(r"\b(aujourd ?hui|auj|ce (midi|matin|soir)|today)\b", said):
        found.append(today)
    if found:
        return tuple(sorted(set(found)))
    next_week = bool(_NEXT_WEEK.search(said))
    following = bool(re.search(r"\b(prochain|pro|en huit|next)\b", said))
    monday = today - timedelta(days=today.weekday())
    for number in weekdays:
        ahead = (number - today.weekday()) % 7
        if next_week:
            day = monday + timedelta(days=7 + number)
        elif following and ahead == 0:
            day = today + timedelta(days=7)
        else:
            day = today + timedelta(days=ahead)
        found.append(day)
    if found:
        return tuple(sorted(set(found)))
    if next_week or re.search(r"\bcette semaine\b|\bla semaine\b|\bthis week\b", said):
        first = monday + timedelta(days=7 if next_week else 0)
        return tuple(
            first + timedelta(days=number)
            for number in range(7)
            if next_week or first + timedelta(days=number) >= today
        )
    return ()
