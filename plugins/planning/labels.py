"""Days, moments and answers in the words of families, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from core.plugin import PARIS
from core.plugin import gettext as _
from plugins.planning.rules import (
    NEVER,
    Cell,
    DeadlineKind,
    Decision,
    State,
    Verdict,
    Weeks,
    Why,
)


def weekday(number: int) -> str:
    """The name of a weekday, 0 for Monday."""
    return (
        _("lundi"), _("mardi"), _("mercredi"), _("jeudi"), _("vendredi"), _("samedi"), _("dimanche")
    )[number]  # fmt: skip


def month(number: int) -> str:
    """The name of a month, 1 for January."""
    return (
        _("janvier"), _("février"), _("mars"), _("avril"), _("mai"), _("juin"), _("juillet"),
        _("août"), _("septembre"), _("octobre"), _("novembre"), _("décembre"),
    )[number - 1]  # fmt: skip


def day(value: date) -> str:
    """Write a day as it is said: ``jeudi 3 décembre``."""
    rank = _("1er") if value.day == 1 else str(value.day)
    return _("%(weekday)s %(rank)s %(month)s") % {
        "weekday": weekday(value.weekday()),
        "rank": rank,
        "month": month(value.month),
    }


def moment(value: datetime) -> str:
    """Write a deadline: ``jeudi 3 décembre, 10 h``; midnight is the end of the day before."""
    shown = value.astimezone(PARIS)
    if (shown.hour, shown.minute) == (0, 0):
        return _("%s, minuit") % day(shown.date() - timedelta(days=1))
    return _("%(day)s, %(clock)s") % {"day": day(shown.date()), "clock": clock(shown)}


def clock(value: datetime) -> str:
    """Write a time of Paris: ``10 h``, ``10 h 30``."""
    shown = value.astimezone(PARIS)
    if shown.minute == 0:
        return _("%s h") % shown.hour
    return _("%(hours)s h %(minutes)s") % {"hours": shown.hour, "minutes": f"{shown.minute:02d}"}


def state(value: State | None, *, late: bool = False) -> str:
    """State of a day, in a word or two."""
    match value:
        case None:
            return _("non réservé")
        case State.BOOKED:
            return _("réservé hors délai") if late else _("réservé")
        case State.WAITING:
            return _("en liste d’attente")
        case State.ABSENT:
            return _("absence annoncée")
        case State.CANCELLED:
            return _("annulé")
        case State.CLOSED:
            return _("fermé")


def verdict(value: Verdict, why: Why | None, deadline: datetime | None) -> str:
    """Result of a wish, as the end of a sentence that begins with child, service and day."""
    if value is Verdict.REFUSE:
        return refusal(why, deadline)
    return {
        Verdict.BOOK: _("réservé"),
        Verdict.BOOK_LATE: _("réservé hors délai"),
        Verdict.WAIT: _("complet, inscrit sur la liste d’attente"),
        Verdict.RESTORE: _("l’enfant viendra, l’annonce d’absence est retirée"),
        Verdict.CANCEL: _("annulé"),
        Verdict.ABSENCE: _("absence notée ; il est trop tard pour annuler la réservation"),
        Verdict.NOTHING: _("rien ne change"),
    }[value]


def proved(answer: Mapping[str, Any]) -> str:
    """Result of a wish as the proof keeps it (`Answer.as_json`)."""
    said = answer.get("deadline", "")
    return verdict(
        Verdict(answer["verdict"]),
        Why(answer["why"]) if answer["why"] else None,
        datetime.fromisoformat(said) if said else None,
    )


def refusal(why: Why | None, deadline: datetime | None = None) -> str:
    """A reason why nothing is done."""
    match why:
        case None:
            return ""
        case Why.NOT_ENROLLED:
            return _("l’enfant n’est pas inscrit à ce service ce jour-là")
        case Why.SHOWN_ONLY:
            return _("se modifie auprès de la collectivité")
        case Why.NOT_OPEN:
            return _("le service n’est pas ouvert ce jour-là")
        case Why.CLOSED:
            return _("le service est fermé ce jour-là")
        case Why.OTHER_HOME:
            return _("cette semaine se règle depuis l’autre foyer")
        case Why.BEYOND_WINDOW:
            return _("les réservations ne sont pas encore ouvertes pour ce jour")
        case Why.TOO_LATE if deadline is not None and deadline != NEVER:
            return _("trop tard depuis le %s") % moment(deadline)
        case Why.TOO_LATE:
            return _("ne se modifie pas en ligne")
        case Why.FULL:
            return _("complet")
        case Why.PAST:
            return _("ce jour est passé")


def until(cell: Cell, decision: Decision) -> str:
    """The deadline that stands beside a day; "" where nothing can be changed in time any more."""
    if decision.verdict not in {Verdict.BOOK, Verdict.WAIT, Verdict.CANCEL}:
        return ""
    rule = cell.service.cancel if cell.state is State.BOOKED else cell.service.add
    if decision.deadline is None or rule.kind is DeadlineKind.NONE:
        return _("modifiable jusqu’au jour même")
    return _("modifiable jusqu’au %s") % moment(decision.deadline)


def weeks(value: Weeks) -> str:
    """The weeks of a pattern."""
    return {
        Weeks.ALL: _("toutes les semaines"),
        Weeks.EVEN: _("semaines paires"),
        Weeks.ODD: _("semaines impaires"),
    }[value]


def trail(value: str) -> str:
    """A state or mark of the history, in words."""
    if value in set(State):
        return state(State(value))
    return {"": state(None), "present": _("pointé présent")}.get(value, value)


def colon() -> str:
    """Colon between a thing and its description, spaced as the language asks."""
    return _(" : ")
