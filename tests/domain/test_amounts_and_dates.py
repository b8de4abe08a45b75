"""One reading of amounts and dates for the whole house, held against one that is written otherwise."""

import re
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.domain.dates import (
    EARLIEST,
    LATEST,
    DateError,
    in_bounds,
    is_surprising,
    parse_day,
    parse_moment,
)
from core.domain.money import MAX_CENTS, AmountError, decimal_text, parse_amount, parse_decimal

DOC = (Path(__file__).parents[2] / "docs" / "amounts-and-dates.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| (.+?) \|$", DOC, re.MULTILINE)
PARIS = ZoneInfo("Europe/Paris")
SPACES = (" ", "\u00a0", "\u202f", "\u2009")


def reading(text, parse, error):
    try:
        return parse(text)
    except error:
        return None


def spelled(cents):
    """All spellings of an amount, with plain spaces and without zeros before it: written, not read."""
    euros, rest = divmod(abs(cents), 100)
    wholes = {f"{euros}", f"{euros:,}".replace(",", " ")}
    fractions = {f"{mark}{rest:02}" for mark in ",."}
    if rest % 10 == 0:
        fractions |= {f"{mark}{rest // 10}" for mark in ",."}
    if rest == 0:
        fractions.add("")
    # No amount has no sign: -0,00 is zero too.
    signs = {"-", "- "} if cents < 0 else {"", "+", "+ "} if cents else {"", "+", "+ ", "-", "- "}
    return {
        f"{sign}{whole}{fraction}{unit}"
        for sign in signs for whole in wholes for fraction in fractions
        for unit in ("", "€", " €", "eur", " eur", "euro", " euro", "euros", " euros")
    }  # fmt: skip


def judged(text):
    """What a text says by going through all that could be meant; None if nothing is spelled so."""
    plain = text.strip("\t" + "".join(SPACES)).lower().replace("\u2212", "-")
    for space in SPACES:
        plain = plain.replace(space, " ")
    plain = re.sub(r" +(?=€|e)", " ", plain)
    sign, body = re.fullmatch(r"([+-] ?)?(.*)", plain, re.DOTALL).groups()
    number = re.match("[0-9 ]*", body)[0].rstrip()
    if len(number.replace(" ", "")) > 12:
        return None
    if " " not in number:  # Zeros before a plain number say nothing; a group of thousands has none.
        body = re.sub("^0+(?=[0-9])", "", body)
    digits = "".join(c for c in body if c in "0123456789")
    if not digits:
        return None
    for scale in (1, 10, 100):
        for value in (int(digits) * scale, -int(digits) * scale):
            if abs(value) <= MAX_CENTS and (sign or "") + body in spelled(value):
                return value
    return None


def test_the_table_of_the_documentation_is_true():
    amounts = [row for row in ROWS if row[1].endswith("€") or row[1] == "refusé"]
    dates = [row for row in ROWS if "/" in row[1] or row[1] == "refusée"]
    assert len(amounts) > 30
    assert len(dates) > 15
    for text, said in amounts:
        found = reading(text, parse_amount, AmountError)
        assert found == (None if said == "refusé" else parse_amount(said)), text
    for text, said in dates:
        found = reading(text, parse_day, DateError)
        day = None if said == "refusée" else date(*map(int, reversed(said.split("/"))))
        assert found == day, text


@pytest.mark.parametrize(
    "text",
    ["56 87", "12 50", "1 2", "1 2345", "12 34,5", "1234 567", "1 234 56", "56 8,70", "1\t234", "1\n234", "1\u00a0 234",
     "1 23 456", "12 3456 789", "1 234.567", "5 6,87", "0 5", "1_000", "٥٦", "56,87 $", "56.87.00", "5e3", "nan", "", "€", "-", "1" * 5000],
)  # fmt: skip
def test_a_space_parts_thousands_or_the_text_is_refused(text):
    with pytest.raises(AmountError):
        parse_amount(text)


@given(st.text(st.sampled_from("0125,.-+\u2212€ \u00a0\u202f\u2009\t\n'"), max_size=9))
@example("0 123,45")
@example("00 123 456")
@example("1 234 567,8 €")
@example("0000,00")
def test_every_text_has_one_reading_or_none(text):
    assert reading(text, parse_amount, AmountError) == judged(text)


@given(st.lists(st.sampled_from(["0", "1", "50", "234", "567", *SPACES, ",", ".", "-", "+", "\u2212", "€", "eur", "\t"]), max_size=9).map("".join))
def test_pieces_of_amounts_have_one_reading_or_none(text):
    assert reading(text, parse_amount, AmountError) == judged(text)


@given(st.integers(-MAX_CENTS, MAX_CENTS), st.sampled_from(SPACES))
def test_each_spelling_of_an_amount_is_read(cents, space):
    for text in spelled(cents):
        assert parse_amount(text.replace(" ", space)) == cents
    assert parse_amount(decimal_text(cents)) == parse_decimal(decimal_text(cents).replace(",", ".")) == cents


@pytest.mark.parametrize(
    ("text", "cents"),
    [(".50", 50), ("12.", 1200), ("2.500", 250), ("+1.5", 150), ("-0.01", -1), ("1234567.89", 123456789), ("0012.30000", 1230), (" 5 ", 500)],
)
def test_programs_write_decimals(text, cents):
    assert parse_decimal(text) == cents


@pytest.mark.parametrize("text", ["", ".", "+", "1,5", "1 234", "2.505", "1e3", "1.2.3", "1.005", "INF", "5 €", "1" * 5000])
def test_other_decimals_are_refused(text):
    with pytest.raises(AmountError):
        parse_decimal(text)


@given(st.dates(EARLIEST, LATEST))
def test_each_spelling_of_a_day_is_read(day):
    for text in (f"{day:%d/%m/%Y}", f"{day.day}/{day.month}/{day.year}", f"\u00a0{day.isoformat()} "):
        assert parse_day(text) == day
    for text in (f"{day:%d-%m-%Y}", f"{day:%d.%m.%Y}"):
        assert reading(text, parse_day, DateError) is None
        assert parse_day(text, marks="/.-") == day
    short = f"{day:%d/%m}/{day.year % 100:02}"
    assert reading(short, parse_day, DateError) is None
    assert parse_day(short, short_years=True) == day.replace(year=2000 + day.year % 100)


@given(st.text(st.sampled_from("0123456789/.-"), max_size=11))
@example("01/02/03")
@example("2026-11-5")
def test_a_day_that_is_read_stands_in_the_text(text):
    found = reading(text, parse_day, DateError)
    parts = re.split(r"[/.-]", text)
    expected = None
    if len(parts) == 3 and all(parts) and len({*re.sub(r"\d", "", text)}) == 1:
        if list(map(len, parts)) == [4, 2, 2] and "-" in text:
            year, month, day = map(int, parts)
        elif "/" in text and len(parts[2]) == 4 and max(map(len, parts[:2])) <= 2:
            day, month, year = map(int, parts)
        else:
            day = month = year = 0
        lengths = [31, 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        if 2000 <= year <= 2100 and 1 <= month <= 12 and 1 <= day <= lengths[month - 1]:
            expected = date(year, month, day)
    assert found == expected


@given(st.dates(EARLIEST, LATEST), st.times())
@example(date(2026, 3, 29), time(2, 30))
@example(date(2026, 10, 25), time(2, 30))
def test_moments_are_read_in_the_towns_time(day, clock):
    found = reading(f"{day}T{clock:%H:%M}", lambda typed: parse_moment(typed, PARIS), DateError)
    # Only the hour that is left out on the last Sunday of March is no time.
    if (day.month, day.weekday(), clock.hour) == (3, 6, 2) and day.day > 24:
        assert found is None
    else:
        assert found == datetime.combine(day, clock.replace(second=0, microsecond=0), PARIS)
        assert found.tzinfo is PARIS


@pytest.mark.parametrize(
    ("text", "read"),
    [("2026-11-25T08:30", (8, 30)), ("2026-11-25T08:30:00", (8, 30)), ("2026-11-25 08:30", (8, 30)), ("25/11/2026 8:30", (8, 30)),
     ("25/11/2026 8 h 30", (8, 30)), ("25/11/2026 08h30", (8, 30)), ("2026-03-29T02:30", None), ("2026-11-25T24:00", None),
     ("2026-11-25T08:30+05:00", None), ("2026-11-25T08:30Z", None), ("2026-W48-3T08:30", None), ("2026-11-25", None), ("", None),
     ("0001-01-01T00:00", None), ("9999-12-31T23:59", None), ("1999-12-31T23:59", None)],
)  # fmt: skip
def test_other_moments_are_refused(text, read):
    found = reading(text, lambda typed: parse_moment(typed, PARIS), DateError)
    assert found == (datetime(2026, 11, 25, *read, tzinfo=PARIS) if read else None)


def test_bounds_and_surprises():
    assert in_bounds(EARLIEST) == EARLIEST
    for day in (date(1, 1, 1), date(1999, 12, 31), date(2101, 1, 1), date(9999, 12, 31)):
        with pytest.raises(DateError):
            in_bounds(day)
    today = date(2026, 11, 30)
    assert not is_surprising(date(2025, 11, 30), today)
    assert is_surprising(date(2025, 11, 28), today)
    assert is_surprising(date(2062, 11, 30), today)
