"""Text of other people's programs: repaired where that is certain, refused where it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.tabular.decoding import DecodeError, decode, detect

NAMES = "Céline;L’œuvre;56,87 €;L'HAŸ-LES-ROSES;N° 3;à Noël;½ journée\n"
FRENCH = st.text(st.sampled_from("abcXYZ 0123,;\nàâäçéèêëîïôöùûüÿœŒæÀÉÈÇÊ°’«»€–"), max_size=60)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_each_encoding_says_the_same(codec):
    assert decode(NAMES.encode(codec)) == NAMES


@pytest.mark.parametrize(
    "text", ["56,87 €", "s\u0153ur", "\u0152uvre", "C\u0152UR", "LE N\u0152UD", "L'HA\u0178-LES-ROSES", "b\u0153uf, 12 €", "\u0153ufs", "Céline, 1 200,00 €"]
)
def test_latin_9_keeps_its_euro_and_its_ligatures(text):
    assert decode(f"été;{text}\n".encode("iso8859-15")) == f"été;{text}\n"


@pytest.mark.parametrize("text", ["½ journée", "1½ heure", "¼ de tarif", "tarif ½", "l´école", "2 h½"])
def test_fractions_stay_what_they_are(text):
    assert decode(f"été;{text}\n".encode("cp1252")) == f"été;{text}\n"


@pytest.mark.parametrize("content", [b"\x92l'\xe9t\xe9; 3 \xa4", b"s\xbdur; 3 \x80"])
def test_two_encodings_in_one_file_are_refused(content):
    with pytest.raises(DecodeError) as error:
        decode(b"a\nb\n" + content)
    assert error.value.line == 3


@pytest.mark.parametrize("content", [b"a\nb\x81c", b"\xef\xbb\xbfa\nb\xe9c", b"\xff\xfe\x00\xd8a", "é".encode() + b"\n\x9d"])
def test_what_is_no_text_is_refused(content):
    with pytest.raises(DecodeError):
        decode(content)


@given(FRENCH)
def test_text_that_was_encoded_twice_is_repaired(text):
    for codec in ("latin-1", "cp1252"):
        try:
            twice = text.encode().decode(codec)
        except UnicodeDecodeError:
            continue
        assert decode(twice.encode()) == text


@given(FRENCH, FRENCH)
def test_text_that_was_encoded_once_is_left_alone(text, other):
    once = f"é{text}"
    assert decode(once.encode()) == once
    # Some of it damaged and some not: nothing is repaired.
    mixed = f"été {'Céline'.encode().decode('cp1252')} {other}"
    assert decode(mixed.encode()) == mixed


@given(FRENCH, st.integers(1, 7))
def test_chunks_make_no_difference(text, size):
    for content in (text.encode(), text.encode().decode("latin-1").encode(), text.encode("cp1252")):
        parts = [content[i : i + size] for i in range(0, len(content), size)]
        whole = detect(lambda content=content: iter((content,)))
        assert detect(lambda parts=parts: iter(parts)) == whole


@given(st.binary(max_size=80))
def test_any_bytes_are_text_or_refused(content):
    try:
        text = decode(content)
    except DecodeError:
        return
    assert isinstance(text, str)


@pytest.mark.parametrize("end", ["\x1a", "\x1a\x00\x00", "\x1a\x1a"])
def test_the_end_of_dos_is_no_text(end):
    assert decode(f"é\r\n{end}".encode("cp1252")) == "é\r\n"
