"""Cut the fonts of the printed papers from those of the pages, so that both are set alike.

*Preau Sans* is the pages' body font at two weights, with the figures of `core.dev.figures`: of one
width, with a plain zero, and a narrow space between thousands. *Preau Code* holds the struck zero
alone, for codes. *Preau Title* is the pages' title font. Run it again after renewing a page font::

    python -m core.dev.paper_fonts
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from fontTools.merge import Merger
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

import core.platform.documents
from core.dev.figures import NARROW_NO_BREAK_SPACE, SOURCE, SPACE_WIDTH, THIN_SPACE, plain_zero

EXTENDED = SOURCE.with_name(SOURCE.name.replace("latin", "latin-ext"))
TITLE = SOURCE.with_name("bricolage-grotesque-latin-wght-normal.woff2")
TARGET = Path(core.platform.documents.__file__).parent / "fonts"

NO_BREAK_SPACE = 0xA0
WEIGHTS = {"Regular": 400, "SemiBold": 600}
DIGITS = {ord(digit): name for digit, name in zip(
    "0123456789",
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    strict=True,
)}


def _instance(source: Path, weight: int, *, plain: bool = False) -> TTFont:
    font = TTFont(source)
    if plain:
        plain_zero(font)
    return instantiateVariableFont(font, {"wght": weight})


def _tabular(font: TTFont) -> None:
    """Let digits be of one width without any feature, and part thousands by a narrow space."""
    order = font.getReverseGlyphMap()
    for table in font["cmap"].tables:
        for code, name in DIGITS.items():
            if code in table.cmap and f"{name}.tf" in order:
                table.cmap[code] = f"{name}.tf"
        if THIN_SPACE in table.cmap:
            table.cmap[NARROW_NO_BREAK_SPACE] = table.cmap[THIN_SPACE]
    if NARROW_NO_BREAK_SPACE in font.getBestCmap():
        font["hmtx"][font.getBestCmap()[NARROW_NO_BREAK_SPACE]] = (SPACE_WIDTH, 0)


def _cut(font: TTFont, unicodes: list[int]) -> TTFont:
    options = Options()
    options.hinting = False
    options.layout_features = ["kern", "mark", "mkmk", "ccmp", "locl"]
    options.name_IDs = ["*"]
    cut = Subsetter(options)
    cut.populate(unicodes=unicodes)
    cut.subset(font)
    return font


def _save(font: TTFont, family: str, style: str) -> None:
    joined = family.replace(" ", "")
    for record in font["name"].names:
        if record.nameID in {1, 3, 4, 6, 16}:
            record.string = f"{joined}-{style}" if record.nameID in {3, 6} else family
    font.flavor = None
    font.save(TARGET / f"{joined}-{style}.ttf")


def _stream(font: TTFont) -> BytesIO:
    font.flavor = None
    stream = BytesIO()
    font.save(stream)
    stream.seek(0)
    return stream


def main() -> None:
    """Write the fonts."""
    for style, weight in WEIGHTS.items():
        latin = _instance(SOURCE, weight, plain=True)
        _tabular(latin)
        _cut(latin, list(latin.getBestCmap()))
        extended = _instance(EXTENDED, weight)
        # Both hold a few letters: those of the first stand.
        _cut(extended, [code for code in extended.getBestCmap() if code not in latin.getBestCmap()])
        _save(Merger().merge([_stream(latin), _stream(extended)]), "Preau Sans", style)
        code = _instance(SOURCE, weight)
        _tabular(code)
        # Where a run of text goes over to another font, spaces may stay in the one before.
        _save(_cut(code, [ord("0"), ord(" "), NO_BREAK_SPACE]), "Preau Code", style)
    title = _instance(TITLE, WEIGHTS["SemiBold"])
    _save(_cut(title, list(title.getBestCmap())), "Preau Title", "SemiBold")


if __name__ == "__main__":
    main()
