"""Cut the font of figures: the body font's digits, with a zero that has no stroke.

It also holds the narrow no-break space (U+202F), which parts thousands; the body font lacks it, and
each machine has one of another width, some so thin that "1 234" reads as one number.

The body font strikes its zero through, which tells it from the letter O in a code, and disturbs in
an amount or a date. This draws the zero of ``figures.woff2`` from the same outline: the two halves
of its counter become one. Run it again after renewing the body font::

    python -m core.dev.figures
"""

from __future__ import annotations

from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import GlyphCoordinates
from fontTools.varLib.iup import iup_delta

import core.platform.web

STATIC = Path(core.platform.web.__file__).parent / "static"
SOURCE = STATIC / "vendor" / "fonts" / "atkinson-hyperlegible-next-latin-wght-normal.woff2"
TARGET = STATIC / "fonts" / "figures.woff2"
FAMILY = "Preau Figures"

THIN_SPACE, NARROW_NO_BREAK_SPACE = 0x2009, 0x202F
SPACE_WIDTH = 220
"""In thousandths of the letter size: a space between words is 280."""

OUTLINE_POINTS = 16
LEFT_HALF = range(16, 27)
RIGHT_HALF = range(27, 39)
STROKE_AFTER = (19, 27)
"""The stroke runs from these points of the two halves to the next ones."""


def _order() -> list[int]:
    """Give the points of the plain zero by their places in the struck one."""
    left, right = list(LEFT_HALF), list(RIGHT_HALF)
    cut_left = left.index(STROKE_AFTER[0]) + 1
    # From the far end of the stroke round the left half to its near end; then round the right.
    round_left = left[cut_left:] + left[:cut_left]
    cut_right = right.index(STROKE_AFTER[1]) + 1
    round_right = right[cut_right:] + right[:cut_right]
    return [*range(OUTLINE_POINTS), *round_left, *round_right]


def plain_zero(font: TTFont) -> None:
    """Redraw `font`'s zero without its stroke, in every weight."""
    glyph = font["glyf"]["zero"]
    ends = list(glyph.endPtsOfContours)
    if ends != [OUTLINE_POINTS - 1, LEFT_HALF[-1], RIGHT_HALF[-1]]:
        raise SystemExit(f"the zero is drawn otherwise now: {ends}")
    order, before = _order(), list(glyph.coordinates)
    phantom = range(len(before), len(before) + 4)
    for variation in font["gvar"].variations["zero"]:
        places = before + [(0, 0)] * len(phantom)
        deltas = iup_delta(variation.coordinates, places, ends)
        variation.coordinates = [deltas[place] for place in (*order, *phantom)]
    glyph.coordinates = GlyphCoordinates([before[place] for place in order])
    glyph.flags = bytearray(glyph.flags[place] for place in order)
    glyph.endPtsOfContours = [OUTLINE_POINTS - 1, RIGHT_HALF[-1]]
    glyph.numberOfContours = 2


def main() -> None:
    """Write the font."""
    font = TTFont(SOURCE)
    plain_zero(font)
    options = Options()
    options.layout_features = ["tnum", "pnum", "kern"]
    options.name_IDs = ["*"]
    cut = Subsetter(options)
    cut.populate(unicodes=[*range(ord("0"), ord("9") + 1), THIN_SPACE])
    cut.subset(font)
    space = font.getBestCmap()[THIN_SPACE]
    font["hmtx"][space] = (SPACE_WIDTH, 0)
    for table in font["cmap"].tables:
        table.cmap[NARROW_NO_BREAK_SPACE] = table.cmap.pop(THIN_SPACE)
    for record in font["name"].names:
        if record.nameID in {1, 3, 4, 6, 16}:
            record.string = FAMILY.replace(" ", "") if record.nameID == 6 else FAMILY
    font.flavor = "woff2"
    TARGET.parent.mkdir(exist_ok=True)
    font.save(TARGET)


if __name__ == "__main__":
    main()
