"""Hypothesis strategies for what nobody means to send."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

_ODD = (
    b"\0", b"\xff", b'"', b";", b"\n", b"\r", b"&", b"<", b"]]>", b"%", b"=1+1", b"9" * 30, b"-1",
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """One of `seeds`, cut, doubled, overwritten or filled at up to four places."""
    content = draw(st.sampled_from(seeds))
    for _time in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        doubled = st.just(content[start:end] * 2)
        filling = draw(st.one_of(st.sampled_from(_ODD), st.binary(max_size=8), doubled))
        content = content[:start] + filling + content[end:]
    return content


def strange_texts() -> st.SearchStrategy[str]:
    """Texts that a field of a form may be sent: those that people type, and those nobody types."""
    return st.one_of(
        st.sampled_from(_STRANGE),
        st.text(max_size=40),
        st.integers(-(10**20), 10**20).map(str),
        st.dates().map(str),
    )


_STRANGE = (
    "", " ", "0", "1", "-1", "9" * 30, "1,00", "-0,01", "1e400", "NaN", "12.345.678,9", "٣", "²",
    "2026-03-10", "2026-02-30", "0000-00-00", "99999-01-01", "31/12/2026",
    "0001-01-01", "9999-12-31", "1900-01-01", "01/01/0001", "2026-13", "9999-12", "23:61",
    "2026-01-01T10:00", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "2147483648", "١٢", "+1", "1_000", "0x10",
    "\0", "\x7f", "é" * 300, "😀", "\u202e", "\ufeff", "\ud7ff", "x" * 5000,
    "%s%n", "{{7*7}}", "${7*7}", "<script>alert(1)</script>", "' OR 1=1--", "=1+1",
    "../../etc/passwd", "//evil.example", "a@b.fr", "a@b", "a\r\nBcc: x@y.fr",
    "true", "on", "null", "[]", "F001", "CANTINE", "cash", "csv",
)  # fmt: skip
