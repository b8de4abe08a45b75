"""Text as it was written, whatever a file says of its encoding.

Billing programs declare ISO-8859-1 and write Windows-1252, ISO-8859-15 or UTF-8; some mix them in
one file. The file is therefore read by its bytes, and each text is looked at once more: where the
result of a mistake is no French text it is undone, and where a letter is lost the text is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from core.plugin import DecodeError, detect

WRITTEN = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿŒœŸŠšŽž"
    "ĀāĂăĄąĆćĈĉĊċČčĎďĐđĒēĔĕĖėĘęĚěĞğĢģĪīĮįİıĶķĹĺĻļĽľŁłŃńŅņŇňŌōŎŏŐőŔŕŘřŚśŞşŢţŤťŪūŮůŰűŲųŹźŻż"
    "€‚„…‘’“”•–—«»°º·²³§±£µ\u00a0\u202f¿¡©®´¨¸½¼¾"
)
"""Characters outside ASCII that European names and labels hold."""

_MISREAD = re.compile("[ÂÃ][\u0080-\u00bf]|â(?:€|\u0080)")
"""Pattern of UTF-8 that was read byte by byte."""
_CONTROL = re.compile("[\u0080-\u009f]")
_NAMES = {
    "utf-8-sig": "utf-8", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be",
    "cp1252": "windows-1252", "iso8859-15": "iso-8859-15",
}  # fmt: skip
_CHUNK_BYTES = 1 << 18


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
    return _CONTROL.sub(_windows, text)


def encoding_of(path: Path) -> str:
    """The encoding that an XML file is in, whatever it declares, as libxml2 calls it.

    Raises:
        UnreadableError: its bytes are of none, or of more than one.
    """
    try:
        codec = detect(partial(_chunks, path)).codec
    except DecodeError as error:
        raise UnreadableError(str(error.line)) from None
    return _NAMES.get(codec, codec)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _as_utf8(text: str) -> str | None:
    """Text whose UTF-8 bytes are the characters of `text`; None if there is no such text."""
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
