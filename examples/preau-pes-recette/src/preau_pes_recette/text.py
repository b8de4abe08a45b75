"""Repair of text whose bytes were read in another encoding than they were written in.

Billing programs declare ISO-8859-1 and write Windows-1252, ISO-8859-15 or UTF-8. What such a text
was is certain in the cases below, since the result of the mistake is no French text; everything
else is left as it is, or refused where a letter is lost for good.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from core.plugin import gettext as _

WRITTEN = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŒœŸŠšŽž"
    "ĀāĂăĄąĆćĈĉĊċČčĎďĐđĒēĔĕĖėĘęĚěĞğĢģĪīĮįİıĶķĹĺĻļĽľŁłŃńŅņŇňŌōŎŏŐőŔŕŘřŚśŞşŢţŤťŪūŮůŰűŲųŹźŻż"
    "€‚„…‘’“”•–—«»°º·²³§±£µ\u00a0\u202f¿¡©®´¨¸½¼¾"
)
"""Characters outside ASCII that European names and labels hold."""

_MISREAD = re.compile("[ÂÃ][\u0080-\u00bf]|â(?:€|\u0080)")
"""What UTF-8 looks like when it was read byte by byte."""
_CONTROL = re.compile("[\u0080-\u009f]")
_LATIN9 = {"¼": "Œ", "½": "œ", "¾": "Ÿ"}
_LATIN9_IN_WORD = re.compile(r"(?<=[^\W\d_])[¼½¾]|[¼½¾](?=[^\W\d_])")

_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_CHUNK = 1 << 16


class UnreadableError(ValueError):
    """Some letters of the text are lost, or cannot be told for certain."""


def repaired(text: str) -> str:
    """The text as it was written.

    Raises:
        UnreadableError: it was damaged in a way that has more than one explanation.
    """
    if text.isascii():
        return text
    if "\ufffd" in text:
        raise UnreadableError(text)
    decoded = _as_utf8(text)
    if decoded is not None:
        return repaired(decoded)  # Twice misread, twice repaired: each time it gets shorter.
    if _MISREAD.search(text):
        raise UnreadableError(text)
    # No program writes the control characters of ISO-8859-1: these bytes are of Windows-1252.
    text = _CONTROL.sub(_windows, text)
    # The currency sign, and fractions within a word, are those places of ISO-8859-15.
    return _LATIN9_IN_WORD.sub(lambda found: _LATIN9[found[0]], text.replace("¤", "€"))


def encoding_to_read(path: Path) -> str | None:
    """The encoding to read an XML file in, against what it declares; None: as it declares.

    Raises:
        UnreadableError: it declares UTF-8, and its bytes are of no encoding that is certain.
    """
    with path.open("rb") as file:
        head = file.read(1024)
        found = _DECLARED.search(head)
        declared = found[1].decode().lower() if found else "utf-8"
        if head.startswith((b"\xff\xfe", b"\xfe\xff")) or declared not in {"utf-8", "utf8"}:
            return None
        file.seek(0)
        if _decodes(file, "utf-8"):
            return None
        file.seek(0)
        if _decodes(file, "cp1252"):
            return "windows-1252"
    raise UnreadableError(_("L’encodage de ce fichier n’est pas celui qu’il annonce."))


def _decodes(file: object, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := file.read(_CHUNK):  # type: ignore[attr-defined]
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _as_utf8(text: str) -> str | None:
    """What the text is if its characters are the bytes of UTF-8, and that is a text; else None."""
    raw = bytearray()
    for character in text:
        if ord(character) < 0x100:
            raw.append(ord(character))
        else:
            try:
                raw += character.encode("cp1252")
            except UnicodeEncodeError:
                return None
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return decoded if all(one.isascii() or one in WRITTEN for one in decoded) else None


def _windows(found: re.Match[str]) -> str:
    try:
        return found[0].encode("latin-1").decode("cp1252")
    except UnicodeDecodeError:  # One of the five places that Windows-1252 leaves empty.
        raise UnreadableError(found.string) from None
