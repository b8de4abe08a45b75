"""Texts, amounts and dates in every spelling that files have."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pes_writing import line, pes, piece, slip

from core.plugin import InvoiceRecord, SourceFile, SourceProblem
from plugins.pes_recette import PesSettings
from plugins.pes_recette import values as spelt
from plugins.pes_recette.reader import PesError
from plugins.pes_recette.source import PesSource
from plugins.pes_recette.text import UnreadableError, repaired

SOURCE = PesSource(PesSettings(regie="CANTINE"))
LABEL = "CANTINE D’OCTOBRE – ŒUVRE 5 € « DÉJÀ »"


def read_bytes(folder, content):
    path = folder / "recette.xml"
    path.write_bytes(content)
    return list(SOURCE.read(SourceFile(path, path.name, 0)))


def content_of(label, declared="ISO-8859-1"):
    made = piece(line().replace("LEA - REPAS", label), ObjPce="")
    return pes(slip(made, total="41.60")).replace("ISO-8859-1", declared)


# --- Text ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "declared", "written"),
    [
        (LABEL, "ISO-8859-1", "cp1252"),
        (LABEL, "ISO-8859-1", "utf-8"),
        (LABEL, "UTF-8", "utf-8"),
        (LABEL, "UTF-8", "cp1252"),
        (LABEL, "windows-1252", "cp1252"),
        (LABEL, "UTF-8", "utf-16"),
        ("REPAS ÉTÉ À 5 €, SŒUR ET CŒUR", "ISO-8859-15", "iso-8859-15"),
        ("REPAS ÉTÉ À 5 €, SŒUR ET CŒUR", "ISO-8859-1", "iso-8859-15"),
        ("REPAS ÉTÉ À 5 €, SŒUR ET CŒUR", "UTF-8", "iso-8859-15"),
        ("DÉJÀ ÉTÉ", "ISO-8859-1", "iso-8859-1"),
    ],
)
def test_a_text_arrives_as_it_was_written(tmp_path, label, declared, written):
    content = content_of(label, declared)
    if written == "utf-16":
        content = content.replace("UTF-8", "UTF-16")
    (invoice,) = read_bytes(tmp_path, content.encode(written))
    assert isinstance(invoice, InvoiceRecord), invoice
    assert invoice.label == label


def test_a_name_that_ends_with_a_grave_is_not_cut(tmp_path):
    """Its second byte in UTF-8 is a space in ISO-8859-1."""
    (invoice,) = read_bytes(tmp_path, content_of("VOILÀ voilà").encode())
    assert invoice.label == "VOILÀ voilà"


def test_a_text_that_was_misread_twice_is_repaired_twice(tmp_path):
    twice = "Céline".encode().decode("latin-1")
    (invoice,) = read_bytes(tmp_path, content_of(twice).encode())
    assert invoice.label == "Céline"


@pytest.mark.parametrize("label", ["CANTINE D�OCTOBRE", "CÃ©line MÜLLER"])
def test_a_text_that_lost_letters_is_refused_by_name(tmp_path, label):
    declared = "ISO-8859-1" if label.isascii() or "�" not in label else "UTF-8"
    encoding = "latin-1" if declared == "ISO-8859-1" else "utf-8"
    found = read_bytes(tmp_path, content_of(label, declared).encode(encoding))
    assert [one.column for one in found if isinstance(one, SourceProblem)] == ["ObjLignePce"]
    assert not [one for one in found if isinstance(one, InvoiceRecord)]


def test_bytes_of_no_encoding_are_refused(tmp_path):
    content = content_of("REPAS X", "UTF-8").encode().replace(b"REPAS X", b"REPAS \x81")
    (problem,) = read_bytes(tmp_path, content)
    assert isinstance(problem, SourceProblem)
    assert problem.message


LATIN = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f¤¼½¾ÂÃÄÅâ",
                  exclude_categories=["Cc"]), max_size=30,
)  # fmt: skip
FRENCH = st.text(
    st.sampled_from("abcdefghij ÀÂÇÉÈÊËÎÏÔŒÙÛÜàâçéèêëîïôœùûü’–€«»-'ABC 0123"), max_size=30
).filter(lambda text: not re.search("Â(?![A-Za-z])|â€", text))
"""Texts without the pairs that no French word has, and that damage looks like."""


@given(LATIN)
def test_a_right_text_stays_as_it_is(text):
    assert repaired(text) == text


@given(FRENCH)
def test_what_was_misread_is_what_was_written(text):
    assert repaired(text.encode().decode("latin-1")) == text


@given(FRENCH)
def test_what_is_of_windows_is_what_was_written(text):
    assert repaired(text.encode("cp1252").decode("latin-1")) == text


@given(st.text(max_size=30))
def test_any_text_ends(text):
    with suppress(UnreadableError):
        assert repaired(repaired(text)) == repaired(text)


# --- Amounts and dates ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelt_so", "cents"),
    [
        ("41.60", 4160), (".50", 50), ("12.", 1200), ("2.500", 250), ("+1.5", 150), ("-.5", -50),
        ("0041.6", 4160), ("7", 700), ("0", 0), ("-0.00", 0), ("999999999999.99", 99999999999999),
        ("00000000000000000001.00", 100),
    ],
)  # fmt: skip
def test_amounts_of_xml_schema(spelt_so, cents):
    assert spelt.cents(spelt_so, "MtHT", 1) == cents


@pytest.mark.parametrize(
    "wrong",
    ["", ".", "-", "+", "41,60", "1 000.00", "41.605", "1e3", "INF", "NaN", "--1", "٤١", "1.2.3",
     "1000000000000.00", "0x10", None, "41.60 €"],
)  # fmt: skip
def test_what_is_no_amount(wrong):
    with pytest.raises(PesError):
        spelt.cents(wrong, "MtHT", 1)


@given(st.integers(-(10**13), 10**13), st.sampled_from(["", "0", "00"]), st.sampled_from(["", "+"]))
def test_every_cent_is_read_however_it_is_padded(cents, zeros, plus):
    sign = "-" if cents < 0 else plus
    whole, part = divmod(abs(cents), 100)
    assert spelt.cents(f"{sign}{zeros}{whole}.{part:02d}{zeros}", "MtHT", 1) == cents


@pytest.mark.parametrize(
    "said",
    ["2026-11-03", "2026-11-03Z", "2026-11-03+01:00", "2026-11-03-05:00", "2026-11-03+14:00"],
)
def test_a_zone_changes_no_day(said):
    assert spelt.day(said, "DteBordEm", 1) == date(2026, 11, 3)


@pytest.mark.parametrize(
    "wrong",
    ["", None, "2026-13-01", "2026-02-30", "03/11/2026", "20261103", "2026-11-03T00:00:00",
     "2026-11-03+15:00", "2026-11-03+1:00", "0001-01-01", "1999-12-31", "9999-12-31", "2026-W45-2"],
)  # fmt: skip
def test_what_is_no_day_of_a_debt(wrong):
    with pytest.raises(PesError):
        spelt.day(wrong, "DteBordEm", 1)


def test_spaces_round_a_datum_mean_nothing(tmp_path):
    content = pes(slip(piece(line(" 41.60 ")), total="\t41.60", DteBordEm=" 2026-11-03 "))
    (invoice,) = read_bytes(tmp_path, content.encode("latin-1"))
    assert invoice.amount == 4160
