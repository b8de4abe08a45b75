"""The window of a French envelope: what must show in it does, and nothing else.

A sheet folded in three shows, through the right-hand window of a DL envelope, what stands between
44 and 79 mm from its top and 100 and 190 mm from its left, however it slips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from io import BytesIO
from math import ceil

from core.platform.documents.sheets import Addressee, Letterhead

_MM_PER_PT = 25.4 / 72
_WIDTH_MM, _HEIGHT_MM = 85.0, 31.0
"""Of the address: ``.whom`` in ``paper.css``, which begins at 46 mm."""
_LINE = 1.3
_POSTAL_CHARACTERS = 38
"""La Poste's longest line of an address: it stands on one line."""
_SIZES_PT = (10.5, 10, 9.5, 9, 8.5, 8, 7.5, 7, 6.5)
_TOWN_MM, _CONTACT_MM, _HEAD_MM = 62.0, 58.0, 25.0
"""Of the head beside the address: the widths of its columns, and the height above the window."""


def address_size(addressee: Addressee) -> float:
    """The size of an address's letters, in points: the largest at which it stays in the window."""
    lines = (addressee.name, *addressee.address)
    return next((size for size in _SIZES_PT if _fits(lines, size)), _SIZES_PT[-1])


def is_long(town: Letterhead) -> bool:
    """True if a head would reach into the window, and so stands beside the window."""
    name = _rows(town.name, 14 * 1.06, _TOWN_MM) * 14 * 1.2 * _MM_PER_PT
    address = sum(_rows(line, 8, _TOWN_MM) for line in town.address)
    contact = sum(_rows(line, 8, _CONTACT_MM) for line in town.contact)
    line_mm = 8 * 1.4 * _MM_PER_PT
    return max(name + address * line_mm, 1.6 + contact * line_mm) > _HEAD_MM


def _fits(lines: Sequence[str], size: float) -> bool:
    postal = [line for line in lines if len(line) <= _POSTAL_CHARACTERS]
    rows = sum(_rows(line, size, _WIDTH_MM) for line in lines)
    return (
        all(_rows(line, size, _WIDTH_MM) == 1 for line in postal)
        and rows * size * _LINE * _MM_PER_PT <= _HEIGHT_MM
    )


def _rows(text: str, size: float, width_mm: float) -> int:
    """Number of lines that a text takes; words broken between lines may add one."""
    length_mm = sum(map(_advance(), text)) * size * _MM_PER_PT
    return 1 if length_mm <= width_mm else ceil(length_mm / width_mm * 1.1)


@cache
def _advance() -> Callable[[str], float]:
    """The width of each letter of the papers' font, in ems; of one that it lacks, an em."""
    # Loaded with the first paper.
    from fontTools.ttLib import TTFont  # noqa: PLC0415

    file = resources.files(__package__) / "fonts" / "PreauSans-Regular.ttf"
    font = TTFont(BytesIO(file.read_bytes()))
    glyphs, widths, em = font.getBestCmap(), font["hmtx"], font["head"].unitsPerEm
    ems = {chr(code): widths[name][0] / em for code, name in glyphs.items()}
    return lambda letter: ems.get(letter, 1.0)
