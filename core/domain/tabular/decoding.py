"""From bytes to text, for every file that somebody else wrote: repaired if certain, else refused.

French software writes UTF-8, Windows-1252, ISO-8859-15 and UTF-16, and labels them as it likes: a
label is not believed, the bytes are. Text that was encoded twice (``CÃ©line``) has one reading too,
if all of it was.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

CHUNK_BYTES: Final = 1 << 20

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # Before UTF-16, with which it begins.
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNKNOWN_TO_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_ONLY_1252 = re.compile(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f]")
_LETTER = rb"A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff"
_LATIN_9 = re.compile(
    # The sign of currencies, which nobody writes, stands where ISO-8859-15 has the euro; and a half
    # or a quarter inside a word, where it has the ligature of s(oe)ur. A half day stays one.
    rb"\xa4|(?<=[" + _LETTER + rb"])[\xbc-\xbe](?=[-" + _LETTER + rb"])"
    rb"|(?<![0-9" + _LETTER + rb"])[\xbc\xbd](?=[uU][" + _LETTER + rb"])"
)
_EUROPEAN = re.compile(
    "[\u00a0-\u024f\u02c6\u02dc\u0300-\u036f\u2010-\u203f\u20ac\u2116\u2122\u2212]+"
)
_OUTSIDE_ASCII = re.compile("[^\x00-\x7f]+")
Chunks = Callable[[], Iterator[bytes]]
"""Gives the bytes of a file from its start, each time it is called."""

DOS_END: Final = "\x1a"
"""Ctrl-Z: what MS-DOS programs write after the end of a text."""


class DecodeError(ValueError):
    """The bytes are no text of one encoding; `line` is the first that shows it (0: all are)."""

    def __init__(self, line: int = 0) -> None:
        super().__init__(f"line {line}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Encoding:
    """Encoding of a file: a codec of Python, and `twice` if its text was encoded twice."""

    codec: str
    twice: bool = False

    def repaired(self, text: str) -> str:
        """Undo the second encoding, if any, of `text` as `codec` decodes it."""
        if not self.twice:
            return text
        return _OUTSIDE_ASCII.sub(lambda run: _once(run[0]), text)


def decode(content: bytes) -> str:
    """The text of a file, without its mark of encoding and without a final Ctrl-Z.

    Raises:
        DecodeError: it is no text, or its text is damaged in a way that leaves a doubt.
    """
    encoding = detect(lambda: iter((content,)))
    try:
        text = encoding.repaired(content.decode(encoding.codec))
    except UnicodeDecodeError:
        raise DecodeError from None
    return without_dos_end(text)


def without_dos_end(text: str) -> str:
    """`text` without the Ctrl-Z that ends it, and what fills the rest of its block."""
    bare = text.rstrip(DOS_END + "\x00\r\n")
    end = text.find(DOS_END, len(bare))
    return text if end < 0 else text[:end]


def detect(chunks: Chunks) -> Encoding:
    """Tell the encoding of a file, which `chunks` gives from its start each time it is called.

    The whole file is looked at: its only accent may stand on its last line. Memory stays flat.

    Raises:
        DecodeError: there is none in which all of it is text.
    """
    start = next(chunks(), b"")[:4096]
    marked = next((codec for mark, codec in _MARKS if start.startswith(mark)), "")
    if marked and marked != "utf-8-sig":
        return Encoding(marked)
    if wide := _wide(start):
        return Encoding(wide)
    twice = _utf8(chunks())
    if twice is not None:
        return Encoding("utf-8-sig", twice)
    if marked:
        raise DecodeError(_first_wrong_line(chunks()))
    return Encoding(_single_byte(chunks()))


def _wide(start: bytes) -> str:
    """UTF-16 without a mark, told by the zeros beside Latin letters; "" if it is not."""
    even, odd = start[0:512:2], start[1:512:2]
    if len(odd) < 4 or b"\0" not in start:
        return ""
    if odd.count(0) > 0.9 * len(odd) and not even.count(0):
        return "utf-16-le"
    if even.count(0) > 0.9 * len(even) and not odd.count(0):
        return "utf-16-be"
    return ""


def _utf8(chunks: Iterable[bytes]) -> bool | None:
    """True if UTF-8 text was encoded twice; None if the text is no UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    some, all_twice, rest = False, True, ""
    try:
        for chunk in chunks:
            text = rest + decoder.decode(chunk)
            rest = ""
            if text.isascii():
                continue
            if all_twice:
                end = len(text)
                while end and not text[end - 1].isascii():
                    end -= 1
                rest = text[end:]  # It may go on in the next chunk.
                runs = _OUTSIDE_ASCII.findall(text, 0, end)
                some = some or bool(runs)
                all_twice = all(map(_is_twice, runs))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    if rest:
        some, all_twice = True, all_twice and _is_twice(rest)
    return some and all_twice


def _first_wrong_line(chunks: Iterable[bytes]) -> int:
    """The first line of a file that is not all UTF-8 which is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    for chunk in chunks:
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return line + error.object.count(b"\n", 0, error.start)
        line += chunk.count(b"\n")
    return line


def _is_twice(run: str) -> bool:
    try:
        _once(run)
    except UnicodeError:
        return False
    return True


def _once(run: str) -> str:
    raw = bytearray()
    for letter in run:
        try:
            raw += letter.encode("cp1252")
        except UnicodeEncodeError:
            raw += letter.encode("latin-1")
    meant = raw.decode("utf-8")
    if not _EUROPEAN.fullmatch(meant):
        # Letters of Asia: so the run was right as it stood.
        raise UnicodeError
    return meant


def _single_byte(chunks: Iterable[bytes]) -> str:
    line, windows, latin_9, before = 1, False, False, b""
    for chunk in chunks:
        wrong = _UNKNOWN_TO_1252.search(chunk)
        if wrong:
            raise DecodeError(line + chunk.count(b"\n", 0, wrong.start()))
        windows = windows or bool(_ONLY_1252.search(chunk))
        latin_9 = latin_9 or bool(_LATIN_9.search(before + chunk))
        if windows and latin_9:
            seen = (sign.search(chunk) for sign in (_LATIN_9, _ONLY_1252))
            place = max((found.start() for found in seen if found), default=0)
            raise DecodeError(line + chunk.count(b"\n", 0, place))
        line += chunk.count(b"\n")
        before = chunk[-2:]
    return "iso8859-15" if latin_9 else "cp1252"
