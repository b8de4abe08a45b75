"""The codes on paper: what a camera reads to pay online, or to tell which invoice a cheque pays."""

from __future__ import annotations

import segno

from core.domain.references import check_character


def checked(reference: str) -> str:
    """A reference with its check character, as people copy it: ``2025-010-000314 / K``."""
    return f"{reference} / {check_character(reference)}"


def coupon_code(town: str, regie: str, number: str, cents: int) -> str:
    """What the coupon's code says: ``town|régie|invoice number|check character|cents``.

    Invoice numbers are unique within a régie. Only the number may hold a bar: a reader takes two
    fields off the left and two off the right.
    """
    return "|".join((town, regie, number, check_character(number), str(cents)))


def qr_image(text: str) -> str:
    """`text` as a QR code: an SVG in a ``data:`` URL, quiet zone included.

    Correction level M takes the fold of an envelope and a stamp's edge.
    """
    return str(segno.make_qr(text, error="m").svg_data_uri(border=4, omitsize=True))
