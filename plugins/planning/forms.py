"""Input of families and agents, read from a posted form. Unreadable input is a `UserError`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from core.plugin import DateError, UserError, in_bounds, parse_day
from core.plugin import gettext as _
from plugins.planning.book import Asked
from plugins.planning.rules import Weeks, Wish

MAX_WISHES = 4000
"""Of one form: a school year of three children in several services is less."""
_CELL = re.compile(r"(\d{1,18})/([A-Za-z0-9_-]{1,30})/(\d{4}-\d{2}-\d{2})")
_KEY = re.compile(r"[A-Za-z0-9-]{8,64}")

Cell = tuple[int, str, date]


def cell_name(child_id: int, service: str, day: date) -> str:
    """The value of a day's box in a form."""
    return f"{child_id}/{service}/{day.isoformat()}"


def cells(values: Iterable[str]) -> set[Cell]:
    """The days that boxes of a form name."""
    found = set()
    for value in values:
        match = _CELL.fullmatch(value)
        if match is None:
            raise UserError(_("Un jour est illisible : rechargez la page."))
        found.add((int(match[1]), match[2], iso_day(match[3])))
    if len(found) > MAX_WISHES:
        raise UserError(_("C’est trop à la fois : choisissez une période plus courte."))
    return found


def wishes(form: Any) -> list[Asked]:
    """Changes from the days that the page showed (`was`) to the days that were ticked (`is`).

    A form that was shown to be confirmed carries its wishes as they are (`add`, `remove`).
    """
    was, now = cells(form.getall("was")), cells(form.getall("is"))
    asked = [(cell, Wish.ADD) for cell in now - was] + [(cell, Wish.REMOVE) for cell in was - now]
    asked += [(cell, Wish.ADD) for cell in cells(form.getall("add"))]
    asked += [(cell, Wish.REMOVE) for cell in cells(form.getall("remove"))]
    return sorted(
        (Asked(child, service, day, wish) for (child, service, day), wish in asked),
        key=lambda one: (one.day, one.child_id, one.service, one.wish),
    )


def key(form: Mapping[str, Any]) -> str:
    """The form's own key, which makes two clicks one request."""
    value = form.get("key", "")
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise UserError(_("Le formulaire est incomplet : rechargez la page."))
    return value


def text(form: Mapping[str, Any], name: str, longest: int = 200) -> str:
    """The text of a field, "" when it is missing or a file."""
    value = form.get(name, "")
    return " ".join(value.split())[:longest] if isinstance(value, str) else ""


def iso_day(value: str) -> date:
    """A day of an address or a hidden field."""
    try:
        return in_bounds(date.fromisoformat(value))
    except ValueError:  # A `DateError`, of a day out of bounds, is one too.
        raise UserError(_("Ce jour n’existe pas.")) from None


def typed_day(form: Mapping[str, Any], name: str, label: str) -> date:
    """A day that somebody typed, or that the browser's calendar gave."""
    value = text(form, name, 40)
    try:
        return parse_day(value)
    except DateError:
        raise UserError(_("%s : une date est attendue, comme 03/12/2026.") % label) from None


def week_of(params: Mapping[str, Any], today: date) -> date:
    """The Monday of the week that an address names; on weekends, the next week's by default."""
    value = params.get("jour", "")
    shown = iso_day(value) if value else today + timedelta(days=2 if today.weekday() > 4 else 0)
    return shown - timedelta(days=shown.weekday())


def weeks(form: Mapping[str, Any]) -> Weeks:
    """The weeks of a pattern."""
    value = form.get("weeks", "all")
    return Weeks(value) if value in set(Weeks) else Weeks.ALL


def whole(value: Any) -> int:
    """A number of an address or form; 0 for what is none."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value) else 0
