"""The codes on paper: what a camera reads to pay online, or to tell which invoice a cheque pays."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from io import BytesIO

import segno

from core.domain.references import check_character

_PIXELS = 8
"""Of a module's side: viewers blur what they must enlarge more."""

_MASK = 4
"""One of the eight patterns that readers undo. Trying all of them takes four times as long."""


def checked(reference: str) -> str:
    """A reference with its check character, as people copy it: ``2025-010-000314 / K``."""
    return f"{reference} / {check_character(reference)}"


def coupon_code(town: str, regie: str, number: str, cents: int) -> str:
    """Text of the coupon's code: ``town|régie|invoice number|check character|cents``.

    Invoice numbers are unique within a régie. Only the number may hold a bar: a reader takes two
    fields off the left and two off the right.
    """
    return "|".join((town, regie, number, check_character(number), str(cents)))


@lru_cache(maxsize=64)  # The address of a town's pages is on every paper that it prints.
def qr_image(text: str) -> str:
    """`text` as a QR code: a PNG in a ``data:`` URL, without quiet zone.

    Correction level M takes the fold of an envelope and a stamp's edge. Grey of eight bits is what
    WeasyPrint puts into a PDF as it is; an SVG it would draw module by module.
    """
    rows = segno.make_qr(text, error="m", mask=_MASK).matrix
    modules = bytes(0 if dark else 255 for row in rows for dark in row)
    side = len(rows)
    from PIL import Image  # noqa: PLC0415 - a web process starts without it

    picture = Image.frombytes("L", (side, side), modules)
    out = BytesIO()
    picture.resize((side * _PIXELS, side * _PIXELS), Image.Resampling.NEAREST).save(out, "PNG")
    return f"data:image/png;base64,{b64encode(out.getvalue()).decode()}"
