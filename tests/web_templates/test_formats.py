"""Amounts, days and hours as each language writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

import core
import plugins
from core.domain.money import parse_amount
from core.platform import i18n
from core.platform.tabular.writing import Cents, Number, Table
from core.platform.templating import configure, hour, moment, money, round_money


@pytest.mark.parametrize(
    ("at", "french", "english"),
    [
        ("2026-11-25T13:05:00", "25 novembre 2026 à 14 h 05", "25 November 2026, 14:05"),
        ("2026-11-25T13:00:00", "25 novembre 2026 à 14 h", "25 November 2026, 14:00"),
        ("2026-06-30T22:00:00", "1er juillet 2026 à 0 h", "1 July 2026, 00:00"),
        ("2026-01-31T08:59:59", "31 janvier 2026 à 9 h 59", "31 January 2026, 09:59"),
    ],
)
def test_moments(at, french, english):
    value = datetime.fromisoformat(at).replace(tzinfo=UTC)
    with i18n.use("fr"):
        assert moment(value).replace("\u00a0", " ") == french
        assert " h" not in hour(value), "no line ends between an hour and its h"
    with i18n.use("en"):
        assert moment(value) == english


@pytest.mark.parametrize("language", ["fr", "en"])
def test_less_than_nothing_has_a_minus_sign(language):
    with i18n.use(language):
        assert "\N{MINUS SIGN}" in money(-123456)
        assert "-" not in money(-123456)


@given(st.integers(-10**9, 10**9))
def test_what_is_written_can_be_typed_back(cents):
    """What an agent copies from a page is the amount that the page shows."""
    with i18n.use("fr"):
        assert parse_amount(money(cents)) == cents


# --- Counts: their thousands are parted everywhere ------------------------------------------------

ROOTS = [Path(core.__file__).parent, Path(plugins.__path__[0])]
COUNT = re.compile(
    r"\{\{-?\s*[a-z_.\[\]]*\.(count|entries|pending|copies|waiting|refused|families|unreachable|asked)\s*-?\}\}"
    r"|\|length\s*-?\}\}|counts\.get\([^)]*\)\s*-?\}\}"
)


@pytest.fixture(scope="module")
def words():
    """Templates as pages and papers have them."""
    environment = Environment(autoescape=True)
    configure(environment)
    return environment


@pytest.mark.parametrize(("language", "written"), [("fr", "12\u202f345"), ("en", "12,345")])
@pytest.mark.parametrize(
    "template",
    ['{{ ngettext("%(num)s facture", "%(num)s factures", n) }}',
     '{{ ngettext("%(num)s facture en %(year)s", "%(num)s factures en %(year)s", n, year=2026) }}',
     "{% trans count=n %}{{ count }} famille{% pluralize %}{{ count }} familles{% endtrans %}",
     '{{ _("Factures : %(count)s", count=n) }}', "{{ n|quantity }}"],
)  # fmt: skip
def test_counts_of_messages_are_parted(words, template, language, written):
    with i18n.use(language):
        text = words.from_string(template).render(n=12345)
    assert written in text
    assert "2\u202f026" not in text
    assert "2,026" not in text


def test_the_form_of_a_plural_is_still_chosen_by_the_number(words):
    template = words.from_string('{{ ngettext("%(num)s page", "%(num)s pages", n) }}')
    with i18n.use("fr"):
        assert [template.render(n=n) for n in (0, 1, 2, 1000)] == ["0 page", "1 page", "2 pages", "1\u202f000 pages"]


def test_tables_part_counts_on_pages_and_not_in_files():
    table = Table("t", "T", ("N°", "Nombre", "Montant"), [(Number(1234), 1234, Cents(123400))])
    with i18n.use("fr"):
        assert [text for _column, text, _figure in table.shown(table.rows[0])] == ["1234", "1\u202f234", "1\u202f234,00\xa0€"]
        assert table.csv().content.decode("utf-8-sig").splitlines()[1] == "1234;1234;1234,00"


def test_no_page_writes_a_bare_count():
    bare = [
        f"{path.name}: {found[0]}"
        for root in ROOTS
        for path in root.rglob("*.jinja2")
        if not {"simulator", "dev"} & set(path.parts)
        for found in COUNT.finditer(path.read_text("utf-8"))
    ]
    assert bare == []


@pytest.mark.parametrize(("language", "written"), [("fr", "1\u202f500\xa0€"), ("en", "€1,500")])
def test_an_axis_has_whole_euros(language, written):
    with i18n.use(language):
        assert round_money(150000) == written
        assert "," not in round_money(0)
