"""What is written is read back the same, whatever it is; and nothing at all makes reading raise."""

import io
import tempfile
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from csv_building import FLAT_ROWS, flat, row, table
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from pypdf import PdfWriter

from core.api.invoices import (
    Attachment,
    InvoiceKind,
    InvoiceRecord,
    LineRecord,
    SourceFile,
    SourceProblem,
    TaxKind,
)
from core.domain.references import bare
from core.imports.format.csv import CsvSource
from core.imports.format.writing import flat_rows, write_zip


def _blank_pdf():
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(10, 10)
    writer.write(out)
    return out.getvalue()


PDF = _blank_pdf()


def patient(examples):
    """They write files: a busy machine is no failure."""
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


LETTERS = "abzAZéÉçœŒàüñ’'\"«» ;,\t.-/()&%€0123456789"
words = (
    st.text(LETTERS.replace("\t", ""), min_size=1, max_size=30)
    .map(str.strip)
    .filter(lambda text: text and text[0] not in "=+-@")
)
references = st.from_regex(r"[A-Z0-9][A-Z0-9 ./-]{0,18}[A-Z0-9]", fullmatch=True)
days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
cents = st.integers(-(10**7), 10**7)


@st.composite
def line_records(draw):
    quantity = draw(st.none() | st.decimals(-99, 999, places=draw(st.integers(0, 3))))
    price = draw(st.none() | st.integers(0, 10**5))
    amount = draw(cents) if quantity is None or price is None else round(quantity * price)
    return LineRecord(
        0,
        draw(words),
        draw(st.sampled_from(TaxKind)),
        amount,
        draw(st.just("") | words),
        quantity,
        price,
    )


@st.composite
def invoice_records(draw):
    lines = draw(st.lists(line_records(), min_size=1, max_size=4))
    ranks = draw(st.lists(st.integers(1, 9999), min_size=4, max_size=4, unique=True).map(sorted))
    total = sum(line.amount for line in lines)
    kind = InvoiceKind.INVOICE if total > 0 else InvoiceKind.CREDIT_NOTE
    issued_on, due_on = sorted((draw(days), draw(days)))
    start, end = sorted((draw(days), draw(days)))
    return InvoiceRecord(
        regie=draw(st.sampled_from(["CANTINE", "CRECHE"])),
        number=draw(references),
        family_code=draw(references),
        label=draw(words),
        amount=total,
        issued_on=issued_on,
        due_on=due_on,
        fiscal_year=draw(st.integers(2000, 2100)),
        payment_reference=draw(st.just("") | references),
        debtor=draw(st.just("") | words),
        address=tuple(draw(st.lists(words, max_size=4))),
        period_start=draw(st.sampled_from([None, start])),
        period_end=draw(st.sampled_from([None, end])),
        direct_debit=draw(st.booleans()),
        kind=kind,
        origin_number=draw(references) if kind is InvoiceKind.CREDIT_NOTE else "",
        lines=tuple(replace(line, rank=rank) for line, rank in zip(lines, ranks, strict=False)),
    )


@st.composite
def files(draw):
    records = draw(st.lists(invoice_records(), min_size=1, max_size=6))
    assume(len({(r.regie, r.number) for r in records}) == len(records))
    owed = [
        (r.regie, r.fiscal_year, bare(r.payment_reference))
        for r in records
        if r.payment_reference and r.kind is InvoiceKind.INVOICE
    ]
    assume(len(set(owed)) == len(owed))
    return records


def read_back(path):
    items = list(CsvSource().read(SourceFile(path, path.name, path.stat().st_size)))
    return [
        replace(item, line_number=0) if isinstance(item, InvoiceRecord) else item for item in items
    ]


@patient(60)
@given(files(), st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]))
def test_one_table_is_read_as_it_was_written(records, encoding):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.csv"
        path.write_bytes("".join(flat_rows(records)).encode(encoding))
        assert read_back(path) == records


@patient(40)
@given(files())
def test_a_zip_is_read_as_it_was_written(records):
    records = [
        replace(record, document=Attachment(f"{index}.pdf", lambda: PDF)) if index % 2 else record
        for index, record in enumerate(records)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.zip"
        write_zip(path, records)
        found = read_back(path)
        assert [replace(r, document=None) for r in found] == [
            replace(r, document=None) for r in records
        ]
        assert [r.document and (r.document.name, r.document.read()) for r in found] == [
            r.document and (r.document.name, r.document.read()) for r in records
        ]
        before = path.read_bytes()
        write_zip(path, records)
        assert path.read_bytes() == before


def _seeds():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.zip"
        record = next(CsvSource().read(_written(Path(folder), table(row()))))
        line = LineRecord(1, "REPAS", TaxKind.MEAL, 5687, "E1", Decimal(1), 5687)
        document = Attachment("2025-010-000314.pdf", lambda: PDF)
        write_zip(path, [replace(record, lines=(line,), document=document)])
        return [table(row()), flat(*FLAT_ROWS), table(row(), encoding="cp1252"), path.read_bytes()]


def _written(folder, content):
    path = folder / "f.csv"
    path.write_bytes(content)
    return SourceFile(path, path.name, len(content))


SEEDS = _seeds()
junk = st.binary(max_size=6) | st.sampled_from(
    [
        b";",
        b'"',
        b"\n",
        b"\0",
        b",",
        b"\xef\xbb\xbf",
        b"\xe9",
        b"PK\x01\x02",
        b"../",
        b"=1",
        b"9" * 9,
    ]
)


@patient(100)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), junk), min_size=1, max_size=4),
)
def test_a_damaged_file_never_raises(seed, damages):
    content = bytearray(seed)
    for where, length, replacement in damages:
        start = int(where * len(content))
        content[start : start + length] = replacement
    _reads_without_raising(bytes(content))


@patient(100)
@given(st.binary(max_size=300))
@example(b"PK\x05\x06" + b"\0" * 18)
def test_noise_never_raises(content):
    _reads_without_raising(content)


@patient(100)
@given(st.text(max_size=300), st.sampled_from(["utf-8", "cp1252", "utf-16"]))
def test_text_never_raises(text, encoding):
    _reads_without_raising(text.encode(encoding, "replace"))


def _reads_without_raising(content):
    with tempfile.TemporaryDirectory() as folder:
        for item in CsvSource().read(_written(Path(folder), content)):
            assert isinstance(item, (InvoiceRecord, SourceProblem))
            if isinstance(item, SourceProblem):
                assert item.message
                assert item.value.isprintable()
            elif item.document:
                assert item.document.read().startswith(b"%PDF-")
