"""Look of each situation of an attempt to pay: one colour and one sign, easy to tell apart.

Six looks: paid, promised, waiting, refused, cancelled, being looked into. Colour never speaks
alone: the sign differs too, and the words of `core.payments.standings` stand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.domain.attempt_status import Situation


class Tone(StrEnum):
    """A colour of the style sheet; the text is the class."""

    PAID = "success"
    PROMISED = "promise"
    WAITING = "info"
    REFUSED = "error"
    CANCELLED = "neutral"
    CHECKED = "warning"


@dataclass(frozen=True, slots=True)
class Look:
    """A colour, and the name of a symbol of ``icons.svg``."""

    tone: Tone
    icon: str


_LOOKS = {
    Situation.PAID: Look(Tone.PAID, "check"),
    Situation.PROMISED: Look(Tone.PROMISED, "calendar"),
    Situation.OPENING: Look(Tone.WAITING, "clock"),
    Situation.OPEN: Look(Tone.WAITING, "clock"),
    Situation.AWAITED: Look(Tone.WAITING, "clock"),
    Situation.OVERDUE: Look(Tone.WAITING, "clock"),
    Situation.REFUSED: Look(Tone.REFUSED, "error"),
    Situation.TRY_REFUSED: Look(Tone.REFUSED, "error"),
    Situation.UNFIT: Look(Tone.REFUSED, "error"),
    Situation.NOT_OPENED_PAYER: Look(Tone.REFUSED, "mail"),
    Situation.NOT_OPENED_INVOICE: Look(Tone.REFUSED, "invoice"),
    Situation.NOT_OPENED_SETTINGS: Look(Tone.REFUSED, "tools"),
    Situation.NOT_OPENED: Look(Tone.REFUSED, "tools"),
    Situation.CANCELLED: Look(Tone.CANCELLED, "close"),
    Situation.TRY_CANCELLED: Look(Tone.CANCELLED, "close"),
    Situation.EXPIRED: Look(Tone.CANCELLED, "clock"),
    Situation.SUPERSEDED: Look(Tone.CANCELLED, "refresh"),
    Situation.REVERSED: Look(Tone.CANCELLED, "back"),
    Situation.DISMISSED: Look(Tone.CANCELLED, "search"),
    Situation.CHECKED: Look(Tone.CHECKED, "search"),
    Situation.UNREADABLE: Look(Tone.CHECKED, "search"),
}


def look_of(situation: str) -> Look:
    """Give the look of a situation, by its word or its member."""
    return _LOOKS[Situation(situation)]
