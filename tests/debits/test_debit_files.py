"""Files of direct debits: messages of ISO 20022 and tables, and nothing of an account in either."""

from __future__ import annotations

from datetime import date

import pytest
from debit_messages import IBAN, camt, detail, entry, pain002, returned, status
from hypothesis import given
from hypothesis import strategies as st

from core.domain.bank_accounts import MASK, may_be_account, without_accounts
from core.domain.debit_files.reading import read_debits
from core.domain.debit_files.report import DebitFileError, DebitFileFault, Told
from core.domain.debit_files.table import debit_columns
from core.domain.direct_debits import RejectReason, reject_code

DAY = date(2026, 3, 10)


def brief(content, *more, **named):
    return [
        (line.told.value, line.references[:1], line.cents, line.on, line.code)
        for line in read_debits(content, *more, **named).lines
    ]


# --- pain.002 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["03", "10", "12"])
def test_a_status_report_tells_what_was_refused(version):
    report = read_debits(
        pain002(
            status("2026-0001"),
            status("2026-0002", "", state="ACSP"),
            status("2026-0003", "", state="ACSC", cents=1234),
            version=version,
        )
    )
    assert report.kind == "pain.002"
    assert report.pending == 1
    assert [(line.rank, line.told, line.references, line.cents, line.on, line.code)
            for line in report.lines] == [
        (1, Told.REJECTED, ("2026-0001", "I1"), 2000, DAY, "AM04"),
        (2, Told.SETTLED, ("2026-0003", "I1"), 1234, DAY, ""),
    ]  # fmt: skip


def test_a_rejection_has_the_later_of_its_two_days():
    early = pain002(status("1", day="2026-03-20"))
    late = pain002(status("1", day="2026-03-01"))
    assert read_debits(early).lines[0].on == date(2026, 3, 20)
    assert read_debits(late).lines[0].on == date(2026, 3, 9)


def test_a_debit_inherits_the_state_of_its_remittance():
    of_payment = pain002(status("1", state=""), status("2", state=""), payment="RJCT")
    of_group = pain002(status("1", "MD01", state=""), group="RJCT")
    assert [line.told for line in read_debits(of_payment).lines] == [Told.REJECTED] * 2
    assert read_debits(of_group).lines[0].code == "MD01"


def test_a_remittance_that_was_refused_as_a_whole_names_nobody():
    with pytest.raises(DebitFileError) as refused:
        read_debits(pain002(payment="RJCT", group=""))
    assert refused.value.fault is DebitFileFault.WHOLE


def test_a_report_about_transfers_is_refused():
    with pytest.raises(DebitFileError) as refused:
        read_debits(pain002(status("1"), original="pain.001.001.03"))
    assert refused.value.fault is DebitFileFault.TRANSFERS


# --- camt ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "version"), [("4", "02"), ("4", "08"), ("3", "02"), ("2", "08")])
def test_an_account_shows_what_came_and_what_went_back(kind, version):
    content = camt(
        entry(detail("A", cents=2000), detail("B", cents=3000), cents=5000),
        returned("B", "MD06", cents=3000),
        kind=kind, version=version,
    )  # fmt: skip
    report = read_debits(content)
    assert report.kind == f"camt.05{kind}"
    assert brief(content) == [
        ("settled", ("A",), 2000, DAY, ""),
        ("settled", ("B",), 3000, DAY, ""),
        ("rejected", ("B",), 3000, date(2026, 3, 12), "MD06"),
    ]


def test_one_debit_of_a_movement_has_its_amount():
    assert brief(camt(entry(detail("A"), cents=1999))) == [("settled", ("A",), 1999, DAY, "")]


def test_a_detail_may_go_the_other_way():
    content = camt(entry(detail("A", cents=3000), detail("B", cents=1000, side="DBIT", code="AC04"),
                         cents=2000))  # fmt: skip
    assert [line[0] for line in brief(content)] == ["settled", "rejected"]


def test_what_is_no_direct_debit_is_passed_over():
    report = read_debits(
        camt(
            entry(detail("2026-0001"), family="RCDT", sub="ESCT"),
            entry(detail("2026-0001", code="AC04"), family="RCDT", sub="RRTN", side="DBIT"),
            entry(detail("2026-0001"), family="ICDT", sub="ESCT", side="DBIT"),
            entry(detail("2026-0001", code="AC01"), family="ICDT", sub="RRTN"),
        )
    )
    assert (report.lines, report.others) == ((), 4)


def test_without_the_standards_codes_the_mandate_or_the_banks_words_tell():
    words = "<AddtlNtryInf>REMISE PRLV SEPA</AddtlNtryInf>"
    plain = "<TxDtls><Refs><EndToEndId>A</EndToEndId></Refs></TxDtls>"
    assert brief(camt(entry(detail("A"), family="")))[0][0] == "settled"
    assert brief(camt(entry(plain, family="", more=words)))[0][0] == "settled"
    assert brief(camt(entry(plain, family=""))) == []
    assert brief(camt(entry(detail("A", code="AM04"), family="", side="DBIT")))[0][0] == "rejected"


def test_a_remittance_in_one_sum_names_nobody():
    report = read_debits(
        camt(entry(cents=5000, batch="<Btch><NbOfTxs>2</NbOfTxs></Btch>"), entry(cents=10))
    )
    assert [(one.on, one.cents, one.count) for one in report.sums] == [(DAY, 5000, 2), (DAY, 10, None)]
    assert report.lines == ()


def test_what_is_not_booked_waits():
    report = read_debits(camt(entry(detail("A"), status="<Sts><Cd>PDNG</Cd></Sts>")))
    assert (report.lines, report.pending) == ((), 1)


def test_another_currency_is_refused():
    with pytest.raises(DebitFileError) as refused:
        read_debits(camt(entry(detail("A"))).replace(b'Ccy="EUR"', b'Ccy="CHF"'))
    assert refused.value.fault is DebitFileFault.CURRENCY


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?><a/>", b"<Document><CstmrPmtStsRpt>", b"<",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><CstmrPmtStsRpt/>",
        camt(entry(detail("A"), cents=0)), camt(entry(detail("A"), day="2026-02-30")),
        camt(entry(detail("A"), side="X")),
    ],
)  # fmt: skip
def test_what_is_not_sound_is_refused(content):
    with pytest.raises(DebitFileError):
        read_debits(content)


def test_a_reference_that_is_none_is_not_taken_for_one():
    content = pain002(status("NOTPROVIDED", words="Facture 2026-0001", instruction=IBAN))
    (line,) = read_debits(content).lines
    assert line.references == ()
    assert "2026-0001" in line.words


# --- Tables --------------------------------------------------------------------------------------


def test_a_list_of_rejections():
    content = (
        "Liste des rejets;;;\nN° facture;Date de rejet;Montant;Motif\n"
        "2026-0001;12/03/2026;-20,00;AM04 Provision insuffisante\n"
        "2026-0002;12/03/2026;30,00;Compte clôturé\n;;50,00;\n"
    ).encode()
    assert brief(content, Told.REJECTED) == [
        ("rejected", ("2026-0001",), 2000, date(2026, 3, 12), "AM04"),
        ("rejected", ("2026-0002",), 3000, date(2026, 3, 12), "AC04"),
    ]


def test_a_list_that_says_itself_what_became_of_each():
    content = (
        "Référence facture;Date;Montant;Statut;Code rejet\n"
        "1;10/03/2026;20,00;Payé;\n2;10/03/2026;30,00;Rejeté;MD01\n3;10/03/2026;1,00;Présenté;\n"
    ).encode("cp1252")
    report = read_debits(content)
    assert [(line.rank, line.told, line.code) for line in report.lines] == [
        (2, Told.SETTLED, ""), (3, Told.REJECTED, "MD01"),
    ]  # fmt: skip
    assert report.pending == 1


def test_a_reason_makes_a_rejection_where_no_state_is_said():
    content = b"facture;montant;motif\n1;20,00;\n2;30,00;AC06\n"
    assert [line[0] for line in brief(content)] == ["settled", "rejected"]


@pytest.mark.parametrize(
    ("content", "fault", "line"),
    [
        (b"", DebitFileFault.EMPTY, 0),
        (b"facture;montant\n", DebitFileFault.EMPTY, 0),
        (b"nom;prenom\na;b\n", DebitFileFault.COLUMNS, 0),
        (b"facture;montant\n1;abc\n", DebitFileFault.AMOUNT, 2),
        (b"facture;montant\n1;0,00\n", DebitFileFault.AMOUNT, 2),
        (b"facture;date\n1;31/02/2026\n", DebitFileFault.DATE, 2),
        (b"facture;statut\n1;bizarre\n", DebitFileFault.STATUS, 2),
        (b"PK\x03\x04xx", DebitFileFault.WORKBOOK, 0),
    ],
)
def test_a_table_that_is_not_read_says_where(content, fault, line):
    with pytest.raises(DebitFileError) as refused:
        read_debits(content)
    assert (refused.value.fault, refused.value.line) == (fault, line)


def test_a_layout_names_the_columns():
    content = b"Colonne A;Quand;Combien\nx;10/03/2026;20,00\n"
    layout = {"reference": "colonne_a", "date": "quand", "amount": "combien"}
    assert brief(content, layout=layout) == [("settled", ("x",), 2000, DAY, "")]
    bare = b"x;10/03/2026;20,00\n"
    places = {"reference": "#1", "date": "#2", "amount": "#3"}
    assert brief(bare, layout=places) == [("settled", ("x",), 2000, DAY, "")]


def test_columns_of_a_table_without_titles_show_no_account():
    found = debit_columns(f"DURAND;{IBAN};2026-0001;x\n".encode())
    assert [one.shown for one in found] == ["#1", "#2", "#3", "#4"]


# --- Accounts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        IBAN, "FR76 3000 6000 0112 3456 7890 189", "fr76-3000-6000-0112-3456-7890-189",
        "30006 00001 12345678901 89", "30006000011234567890189", "DE89370400440532013000",
        "BE68 5390 0754 7034", "LU280019400644750000", "Vir FR7630006000011234567890189 Durand",
        "MC5811222000010123456789030", "NL91ABNA0417164300",
    ],
)  # fmt: skip
def test_an_account_is_masked(text):
    assert may_be_account(text)
    shown = without_accounts(text)
    assert MASK in shown
    assert sum(sign.isdigit() for sign in shown) < 5


@pytest.mark.parametrize(
    "text", ["2026-0001", "CANTINE/2026/000123", "FA26-1234", "2026030012345678", "RUM 2024 0099"]
)
def test_a_reference_is_left_as_it_is(text):
    assert not may_be_account(text)


@given(
    st.from_regex(r"[A-Z]{2}[0-9]{2}[0-9]{11,26}", fullmatch=True),
    st.sampled_from(["", " ", "facture 12 ", "["]),
)
def test_no_account_is_read_of_any_field(account, before):
    text = f"{before}{account}"
    lines = [
        *read_debits(pain002(status(text, words=text, instruction=text))).lines,
        *read_debits(camt(entry(detail(text, words=text)))).lines,
        *read_debits(f"facture;montant\n{text};1,00\n".encode()).lines,
    ]
    assert len(lines) == 3
    assert all(account not in repr(line) for line in lines)


# --- Reasons -------------------------------------------------------------------------------------


def test_the_code_of_a_reason_is_a_code_or_nothing():
    assert reject_code(" am04 ") == "AM04"
    assert reject_code("XX99") == "XX99"
    assert reject_code(IBAN) == reject_code("") == RejectReason.UNSPECIFIED.value


def test_the_reasons_of_the_sepa_rulebook_are_all_there():
    rulebook = (
        "AC01 AC04 AC06 AC13 AG01 AG02 AM04 AM05 BE05 CNOR DNOR ED05 FF01 FF05 MD01 MD02 MD06 MD07"
        " MS02 MS03 RC01 RR01 RR02 RR03 RR04 SL01 TM01 FOCR SL11 SL12 SL13 SL14 BE04"
    )
    assert set(rulebook.split()) <= {reason.value for reason in RejectReason}
