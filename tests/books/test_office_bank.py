"""PayFiP against the account: statements are read, matched to the cent, and never guessed."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtest import Upload

from core.api.payments import Means
from core.domain.bank import Credit, Expected, StatementError, match, read_statement
from core.imports.layouts import BANK

MARCH = "/regie/comptes/rapprochement?regie=CANTINE&mois=2026-03"
DAYS = st.dates(date(2026, 3, 1), date(2026, 3, 31))


def cfonb(on, cents, label="PAYFIP CB"):
    """A movement of CFONB 120, made up."""
    digits = f"{abs(cents):014d}"
    last = ("{ABCDEFGHI" if cents >= 0 else "}JKLMNOPQR")[int(digits[-1])]
    line = f"04{'10071':5}{'':4}{'75000':5}EUR2 {'00001005400':11}05{on:%d%m%y}{'':8}{label:31}{'':2}{'0000000':7}{'':2}"
    line = f"{line:90}{digits[:-1]}{last}"
    assert len(line) == 104
    return f"{line:120}\n"


def test_both_shapes_say_the_same():
    on = date(2026, 3, 11)
    expected = [Credit(on, "PAYFIP CB", 5687), Credit(on, "PAYFIP PRLV", 123456)]
    lines = cfonb(on, 5687) + cfonb(on, -250, "COMMISSION") + cfonb(on, 123456, "PAYFIP PRLV")
    assert read_statement(lines.encode("latin-1")) == expected
    table = "Compte 00001;;\nDate;Libellé;Montant\n11/03/2026;PAYFIP CB;56,87\n11/03/2026;COMMISSION;-2,50\n11/03/26;PAYFIP PRLV;1 234,56\n"
    assert read_statement(table.encode("cp1252")) == expected
    assert read_statement(b"2026-03-11\tPAYFIP CB\t\t56.87\n") == expected[:1]


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"", 0), (b"\x00\xff" * 200, 0), (b"rien;du;tout\n", 0), (b"11/03/2026;A;5,00\n11/03/2026;sans montant;\n", 2),
     (b"11/03/2026;A;5,00\nn'importe quoi;;\n", 2), (("04" + "x" * 118).encode(), 1)],
)  # fmt: skip
def test_what_is_no_statement_is_told(content, line):
    with pytest.raises(StatementError) as error:
        read_statement(content)
    assert error.value.line == line


@given(st.lists(st.tuples(DAYS, st.integers(1, 400)), max_size=12), st.lists(st.tuples(DAYS, st.integers(1, 400)), max_size=12))
def test_matching_loses_and_invents_nothing(expected, credits_):
    one = [Expected(on, "card", 1, cents) for on, cents in expected]
    other = [Credit(on, "x", cents) for on, cents in credits_]
    pairs = match(one, other)
    assert sorted(p.expected.amount for p in pairs if p.expected) == sorted(e.amount for e in one)
    assert sorted(p.credit.amount for p in pairs if p.credit) == sorted(c.amount for c in other)
    for pair in pairs:
        if pair.expected and pair.credit:
            assert pair.expected.amount == pair.credit.amount
            assert 0 <= (pair.credit.on - pair.expected.on).days <= 7


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"Date;Libell\xe9;D\xe9bit;Cr\xe9dit\r27/03/2026;PAYFIP;;56,87\r", ""), (b"Date;Montant\n27/03/2026;x\x81", "deux encodages"),
     (b"Date;Montant\n27/03/2026;56 87\n", "Ligne 2"), (b"Quand;Combien\nx;y\n", "Les titres ne disent pas")],
)  # fmt: skip
def test_a_statement_is_read_or_refused_in_words(work, content, words):
    page = send(work, content)
    assert page.status_int == (422 if words else 200)
    assert words in page if words else "56,87" in page


def send(work, content, button=None):
    form = work.form(work.get(MARCH), "file")
    form["file"] = Upload("releve.csv", content)
    return form.submit(*(("as", None, button) if button else ()), expect_errors=True)


@pytest.fixture
def paid(work, portal):
    for number, means, key in (("1", Means.CARD, "a"), ("2", Means.ONLINE_DEBIT, "b")):
        with portal.town() as town:
            invoice = town.invoices.by_number(number)[0]
            town.payments.record(
                regie="CANTINE", family_id=invoice.family_id, means=means, amount=invoice.balance,
                paid_at=town.clock.now(), payer="x", shares=[(invoice.id, invoice.balance)], key=key,
            )  # fmt: skip
    return work


def test_the_account_is_held_against_the_days(paid):
    page = send(paid, b"12/03/2026;PAYFIP;56,87\n13/03/2026;VIREMENT INCONNU;9,00\n")
    rows = [[cell.text.strip() for cell in row.select("th, td")] for row in page.html.select("tbody tr")]
    assert [row[-1] for row in rows] == ["rapproché", "pas encore sur le compte", "à identifier"]
    foot = [cell.text.strip().replace("\xa0", " ") for cell in page.html.select("tfoot td") if cell.text.strip()]
    assert foot == ["2", "66,87 €", "65,87 €", "−1,00 €"]


def test_a_bad_statement_is_told_and_the_days_stay(paid):
    for content in (b"", b"rien", b"11/03/2026;A;5,00\n11/03/2026;sans;\n"):
        page = send(paid, content)
        assert page.status_int == 422
        assert page.html.select("[role=alert]")
        assert len(page.html.select("tbody tr")) == 2


@pytest.mark.parametrize(("kind", "start"), [("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK"), ("pdf", b"%PDF")])
def test_it_is_a_file_too(paid, kind, start):
    form = paid.form(paid.get(MARCH), "file")
    form["file"] = Upload("releve.csv", b"12/03/2026;PAYFIP;56,87\n")
    answer = form.submit("as", value=kind)
    assert answer.body.startswith(start)


UNTOLD = "Quand;Combien;Dans quel sens;Pourquoi\n27/03/2026;56,87;C;PAYFIP\n28/03/2026;2,50;D;FRAIS\n".encode("cp1252")


def choose(work, content, button="keep", **chosen):
    """Read the columns of a statement, and say which is what."""
    form = next(f for f in work.get(MARCH).forms.values() if "as" in f.fields and "columns" in str(f.text))
    form["file"] = Upload("releve.csv", content)
    page = work.follow(form.submit("as", value="columns", expect_errors=True))
    form = work.form(page, "column-date")
    for field, name in chosen.items():
        form[f"column-{field}"] = name
    return work.follow(form.submit("as", value=button, expect_errors=True))


def test_a_regie_says_once_which_column_is_what(work, portal):
    assert send(work, UNTOLD).status_int == 422, "a column that nobody knows says whether it came"
    page = choose(work, UNTOLD, date="quand", amount="combien", side="dans_quel_sens", label="pourquoi")
    assert "gardées" in page
    shown = send(work, UNTOLD)
    assert shown.status_int == 200
    assert "56,87" in shown
    assert "2,50" not in shown, "a debit is no receipt"
    with portal.town() as town:
        assert town.layouts.find(BANK, "CANTINE")["side"] == "dans_quel_sens"
        assert town.layouts.find(BANK, "GARDERIE") is None
        assert not any(key.startswith("layout-") for key in town.sources)
    assert send(work, cfonb(date(2026, 3, 27), 5687).encode()).status_int == 200, "a file of another kind"
    other = "Date;Libellé;Montant\n27/03/2026;PAYFIP;56,87\n".encode()
    assert send(work, other).status_int == 200, "and a table of other titles"
    page = work.get(MARCH)
    form = next(f for f in page.forms.values() if "as" in f.fields and "forget" in str(f.text))
    work.follow(form.submit("as", value="forget"))
    assert send(work, UNTOLD).status_int == 422


def test_columns_without_titles_are_told_by_their_place(work):
    rows = "27/03/2026;56,87;1 234,56;PAYFIP\n28/03/2026;-2,50;1 232,06;FRAIS\n".encode("cp1252")
    assert send(work, rows).status_int == 422, "two amounts: one is a balance"
    choose(work, rows, date="#1", amount="#2", label="#4")
    shown = send(work, rows)
    assert shown.status_int == 200
    assert "1\u202f234,56" not in shown


@pytest.mark.parametrize("chosen", [{}, {"date": "quand"}, {"amount": "combien"}, {"date": "quand", "amount": "quand"}, {"date": "quand", "debit": "combien", "side": "pourquoi"}])
def test_a_choice_that_says_too_little_is_asked_again(work, portal, chosen):
    page = choose(work, UNTOLD, **chosen)
    assert page.status_int == 422
    assert work.form(page, "column-date")["column-date"].value == chosen.get("date", "")
    with portal.town() as town:
        assert town.layouts.find(BANK, "CANTINE") is None


def test_columns_of_no_table_are_refused_in_words(work):
    form = next(f for f in work.get(MARCH).forms.values() if "as" in f.fields and "columns" in str(f.text))
    form["file"] = Upload("releve.xlsx", b"PK\x03\x04rest")
    assert "ne s’ouvre pas" in form.submit("as", value="columns", expect_errors=True)
