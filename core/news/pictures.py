"""Pictures that agents send: checked, turned upright, made small, and freed of what they tell.

A telephone writes into a photograph where and when it was taken; nothing of that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from core.api.errors import UserError
from core.platform.i18n import gettext as _

MAX_BYTES = 10_000_000
"""Bytes of a file."""
MAX_PIXELS = 50_000_000
"""Of a picture as it is sent: a small file may unfold to fill the memory."""
MAX_WIDTH_PIXELS = 1600
"""Pixels of a side, as it is kept."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is kept and shown. `width` and `height` are in pixels."""

    media_type: str
    width: int
    height: int
    content: bytes


def prepare(content: bytes) -> Picture:
    """Make a picture that was sent fit to be shown.

    Raises:
        UserError: it is none that can be read, or it is too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 - few need it

    if len(content) > MAX_BYTES:
        raise UserError(_("Cette image est trop lourde : 10 Mo au plus."))
    try:
        with Image.open(BytesIO(content), formats=("JPEG", "PNG", "WEBP", "GIF")) as sent:
            if sent.width * sent.height > MAX_PIXELS:
                raise UserError(_("Cette image est trop grande : 50 millions de pixels au plus."))
            upright = ImageOps.exif_transpose(sent)
            kept = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(_("Cette image est trop grande : 50 millions de pixels au plus.")) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(
            _("Ce fichier n’est pas une image lisible : JPEG, PNG, WebP ou GIF.")
        ) from error
    kept.thumbnail((MAX_WIDTH_PIXELS, MAX_WIDTH_PIXELS))
    out = BytesIO()
    kept.save(out, "WEBP", quality=82, method=4)  # Only pixels: no EXIF, no profile, no comment.
    return Picture("image/webp", kept.width, kept.height, out.getvalue())
