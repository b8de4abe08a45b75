"""The magnetic line at the foot of a French cheque (CHEQUES_AND_FORMATS 1.1), and its RLMC key.

Three zones reach us: the cheque's number (Z4, 7 digits), the interbank zone (Z3, 12) and the
internal zone (Z2, 12). What delimits them is transcribed differently by every reader, so the
parser only trusts digits and lengths. The key detects misreadings; it never repairs one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from core.plugin import gettext as _
from plugins.cheque_import import keyboard

WIDTHS = (7, 12, 12)
DIGITS = sum(WIDTHS)
UNREAD = "?"
_KEY, _AMOUNT = 2, 12
_ILLEGIBLE = "*@#!_"
"""Signs that readers write for a digit that was not read, besides ``?``."""
_SIGNS = re.compile(r"[0-9?][^0-9?]*[^0-9?\s][^0-9?]*[0-9?]")
_RUNS = re.compile(r"[0-9?]+")


class Cmc7Error(ValueError):
    """The text is no CMC7 line; `str(error)` says why, in the reader's language."""


class KeyState(StrEnum):
    """Result of the check of a line with its RLMC key."""

    ABSENT = "absent"
    GOOD = "good"
    FILLED = "filled"
    """The key told the one digit that was not read: proven, not guessed."""
    BAD = "bad"
    """At least one digit, or the key itself, was misread: which one cannot be known."""


@dataclass(frozen=True, slots=True)
class Zones:
    """The three zones as digits: `number` (Z4), `interbank` (Z3), `internal` (Z2)."""

    number: str
    interbank: str
    internal: str

    def __post_init__(self) -> None:
        for zone, width in zip((self.number, self.interbank, self.internal), WIDTHS, strict=True):
            if len(zone) != width or not (zone.isascii() and zone.isdigit()):
                raise _zone_error(zone, width)

    @property
    def digits(self) -> str:
        """The 31 digits, in the order of the paper."""
        return self.number + self.interbank + self.internal

    @property
    def account(self) -> str:
        """Z3 and Z2: opaque (each bank codes them its own way), but the same for one account."""
        return self.interbank + self.internal


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read, and what its key said."""

    zones: Zones
    key: KeyState


def rlmc(digits: str) -> str:
    """The two-digit key of 31 digits: ``01`` to ``97``."""
    return f"{97 - int(digits) * 100 % 97:02d}"


def read_line(text: str, key: str = "") -> Line:
    """Read a whole line in any transcription: 31 digits, or runs of 7, 12 and 12.

    After them may come what the bank prints behind them (Z1, 12 digits, not used here) or the key.
    One unread digit (``?``) is filled when `key` is given, because exactly one digit then fits. A
    reader whose keyboard layout is not the machine's is understood, or named.

    Raises:
        Cmc7Error: for other lengths, or unread digits that the key cannot prove.
    """
    if keyboard.wrong_layout(text):
        try:
            return _read(keyboard.meant(text), key)
        except Cmc7Error as error:
            raise Cmc7Error(f"{error} {layout_hint()}") from None
    return _read(text, key)


def layout_hint() -> str:
    """Advice for a scanner whose keyboard layout is not the machine's."""
    return _(
        "Le lecteur semble réglé sur un clavier américain (QWERTY) : réglez-le sur le clavier "
        "français (AZERTY), avec le code-barres de sa notice."
    )


def _read(text: str, key: str) -> Line:
    zones, printed = _split(text)
    return read_zones(*zones, key=key or printed)


def read_zones(number: str, interbank: str, internal: str, *, key: str = "") -> Line:
    """Read three zones, each possibly with one unread digit in all. Raises as `read_line`."""
    zones = (number.strip(), interbank.strip(), internal.strip())
    if keyboard.wrong_layout("".join(zones)):
        zones = (keyboard.meant(zones[0]), keyboard.meant(zones[1]), keyboard.meant(zones[2]))
        key = key if key.strip("() ").isdigit() else keyboard.meant(key)
    digits = "".join(zones)
    if tuple(map(len, zones)) == WIDTHS:
        for zone, width in zip(zones, WIDTHS, strict=True):
            if not _RUNS.fullmatch(zone):
                raise _zone_error(zone, width)
    else:
        raise Cmc7Error(
            _("Les zones de la ligne CMC7 comptent %(got)s chiffres au lieu de 7, 12 et 12.")
            % {"got": ", ".join(str(len(zone)) for zone in zones)}
        )
    key = _key(key)
    unread = digits.count(UNREAD)
    if unread:
        if unread > 1 or not key:
            raise Cmc7Error(
                _("Un seul chiffre illisible (« ? ») peut être retrouvé, et seulement avec la clé.")
            )
        digits = _filled(digits, key)
        return Line(_zones(digits), KeyState.FILLED)
    if not key:
        return Line(_zones(digits), KeyState.ABSENT)
    state = KeyState.GOOD if rlmc(digits) == key else KeyState.BAD
    return Line(_zones(digits), state)


def _split(text: str) -> tuple[tuple[str, str, str], str]:
    """The three zones, and the key if it stands behind them."""
    # A sign is not always what it is elsewhere: `?` may end a zone, another be an unread digit.
    meanings = [text.replace(UNREAD, " "), *(text.replace(one, UNREAD) for one in _ILLEGIBLE)]
    for meaning in (text, *meanings):
        with suppress(Cmc7Error):
            zones, key = _parts(meaning)
            if tuple(map(len, zones)) == WIDTHS:
                return zones, key
    return _parts(text)


def _parts(text: str) -> tuple[tuple[str, str, str], str]:
    # The font's five symbols come out as `<`, `:`, `;`, `=`, or as A to E, but never as digits.
    runs = _RUNS.findall(text)
    key = ""
    behind = len("".join(runs)) - DIGITS
    if behind in {_KEY, _AMOUNT + _KEY} and len(runs[-1]) in {_KEY, behind + DIGITS}:
        last = runs.pop()
        key = last[-_KEY:]
        runs += [last[:-_KEY]] if last[:-_KEY] else []
        behind -= _KEY
    if behind == _AMOUNT and len(runs) == 1:
        runs = [runs[0][:DIGITS]]
    elif behind == _AMOUNT == len(runs[-1]):
        runs.pop()
    apart = [len(run) for run in runs]
    if apart == list(WIDTHS):
        return (runs[0], runs[1], runs[2]), key
    whole = "".join(runs)
    # Some readers put spaces anywhere; any other sign ends a zone.
    if len(whole) == DIGITS and (len(runs) == 1 or not _SIGNS.search(text.strip())):
        return (whole[:7], whole[7:19], whole[19:]), key
    if len(runs) != len(WIDTHS):
        raise Cmc7Error(
            _("Une ligne CMC7 compte 31 chiffres, ou trois zones de 7, 12 et 12 chiffres.")
        )
    return (runs[0], runs[1], runs[2]), key


def _zone_error(zone: str, width: int) -> Cmc7Error:
    return Cmc7Error(
        _("Une zone de la ligne CMC7 doit compter %(width)s chiffres : « %(zone)s ».")
        % {"width": width, "zone": zone}
    )


def _zones(digits: str) -> Zones:
    return Zones(digits[:7], digits[7:19], digits[19:])


def _key(text: str) -> str:
    bare = text.strip().strip("()").strip()
    if not bare:
        return ""
    if not (bare.isascii() and bare.isdigit() and len(bare) <= 2 and 1 <= int(bare) <= 97):
        raise Cmc7Error(_("La clé RLMC est un nombre de 01 à 97 : « %s ».") % text.strip())
    return bare.zfill(2)


def _filled(digits: str, key: str) -> str:
    # 97 is prime, so the ten candidates have ten different keys: one fits, or none.
    for digit in "0123456789":
        candidate = digits.replace(UNREAD, digit)
        if rlmc(candidate) == key:
            return candidate
    raise Cmc7Error(_("Aucun chiffre ne convient à la place du « ? » : relisez ligne et clé."))
