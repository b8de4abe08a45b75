"""The contract of an invoice source."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from collections.abc import Iterator
from datetime import date
from itertools import chain, islice, zip_longest
from pathlib import Path
from random import Random

import pytest

from core.api.invoices import (
    InvoiceKind,
    InvoiceRecord,
    InvoiceSource,
    LineRecord,
    SourceFile,
    SourceNotice,
    SourceProblem,
    TaxKind,
)

Item = InvoiceRecord | SourceProblem | SourceNotice

SECRET = "preau-conformance-secret-7f3a"  # noqa: S105 - what must not come out of a file
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">'
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><b>&i;</b>"
)
"""A gigabyte, for who believes in entities."""

HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n\n\n",
    "zeros": b"\x00" * 5000,
    "noise": Random(1).randbytes(20_000),  # noqa: S311 - the same noise on each day
    "no text in any encoding": b"\x81\x8d\x8f\x90\x9d;\xff\xfe\n" * 50,
    "one endless line": b"a;" * 500_000,
    "an empty archive": b"PK\x05\x06" + bytes(18),
    "a broken archive": b"PK\x03\x04" + bytes(200),
    "another table": "nom;âge\nLéa;7\n".encode(),
    "another document": b'<?xml version="1.0"?><invoice><amount>1</amount></invoice>',
    "a bomb": BOMB.encode(),
    "%PDF": b"%PDF-1.7\n%%EOF\n",
}
"""Files that hold no invoice."""


class InvoiceSourceContract:
    """Rules that core relies on when it reads a file with a plugin's source."""

    most_seconds = 20.0
    """Seconds that the reading of one hostile file may take."""
    most_memory = 8 * 2**20
    """Bytes that reading may take at its height, whatever the size of the file."""
    many = 8000
    """Invoices of a file that would not fit into that memory."""

    @pytest.fixture
    def source(self) -> InvoiceSource:
        """The source under test. Override it."""
        raise NotImplementedError

    def write(self, folder: Path, count: int) -> Path:
        """Write a valid file of `count` invoices, each with lines, into `folder`. Override it."""
        raise NotImplementedError

    # --- What it is ----------------------------------------------------------------------------

    def test_it_has_a_key_and_a_label(self, source: InvoiceSource) -> None:
        """The key is kept with each import; agents read the label."""
        assert source.key.isidentifier()
        assert source.label.strip()

    # --- A file that is right ------------------------------------------------------------------

    def test_a_valid_file_gives_its_invoices(self, source: InvoiceSource, tmp_path: Path) -> None:
        """All of them, with the types that the contract says, and sums that are true."""
        items = list(source.read(given(self.write(tmp_path, 7))))
        assert [item for item in items if not isinstance(item, InvoiceRecord)] == []
        assert len(items) == 7
        for item in items:
            check_record(item)
        keys = {(item.regie, item.number) for item in items if isinstance(item, InvoiceRecord)}
        assert len(keys) == 7

    def test_reading_again_gives_the_same(self, source: InvoiceSource, tmp_path: Path) -> None:
        """An import repeated is found out by its content."""
        file = given(self.write(tmp_path, 5))
        assert stated(source.read(file)) == stated(source.read(file))

    def test_two_readings_do_not_meet(self, source: InvoiceSource, tmp_path: Path) -> None:
        """One source serves two agents at a time."""
        file = given(self.write(tmp_path, 5))
        pairs = list(zip_longest(source.read(file), source.read(file)))
        assert stated(pair[0] for pair in pairs) == stated(pair[1] for pair in pairs)

    def test_the_file_stays_as_it_was(self, source: InvoiceSource, tmp_path: Path) -> None:
        """Its fingerprint is kept as what was imported."""
        path = self.write(tmp_path, 3)
        before = path.read_bytes(), sorted(tmp_path.iterdir())
        list(source.read(given(path)))
        assert (path.read_bytes(), sorted(tmp_path.iterdir())) == before

    def test_its_name_means_nothing(self, source: InvoiceSource, tmp_path: Path) -> None:
        """It is what a browser said: any text, as long as it likes."""
        file = given(self.write(tmp_path, 2))
        for name in ("../../etc/passwd", "x" * 4000, "’ « é » ", "a\nb", ""):
            assert len(list(source.read(SourceFile(file.path, name, file.size)))) == 2

    # --- A large file --------------------------------------------------------------------------

    def test_memory_stays_flat(self, source: InvoiceSource, tmp_path: Path) -> None:
        """Records are yielded as they are read, and nothing of them is kept."""
        assert self._height(source, self.write(tmp_path, self.many)) < self.most_memory

    def test_it_can_be_left_halfway(self, source: InvoiceSource, tmp_path: Path) -> None:
        """Whoever stops reading leaves no open file behind."""
        path = self.write(tmp_path, 50)
        list(source.read(given(path)))  # What is loaded once stays open: not to be counted.
        gc.collect()
        before = _open_files()
        for _time in range(5):
            reading = source.read(given(path))
            list(islice(reading, 3))
            del reading
        gc.collect()
        assert _open_files() <= before

    # --- Files that are wrong ------------------------------------------------------------------

    @pytest.mark.parametrize("name", HOSTILE)
    def test_what_is_no_invoice_file_is_a_problem(
        self, source: InvoiceSource, tmp_path: Path, name: str
    ) -> None:
        """It raises nothing, invents nothing, and says so within a time."""
        path = tmp_path / "file"
        path.write_bytes(HOSTILE[name])
        items = self._read(source, path)
        assert items, "an agent would see nothing"
        assert all(isinstance(item, SourceProblem) for item in items)

    def test_a_file_that_is_not_there_is_a_problem(
        self, source: InvoiceSource, tmp_path: Path
    ) -> None:
        """The disk may be full or gone."""
        items = self._read(source, tmp_path / "gone")
        assert items
        assert all(isinstance(item, SourceProblem) for item in items)

    def test_a_file_cut_off_anywhere_is_a_problem(
        self, source: InvoiceSource, tmp_path: Path
    ) -> None:
        """Half an upload must not pass for the whole: what is said must be true, or refused."""
        path = self.write(tmp_path, 6)
        whole, content = list(source.read(given(path))), path.read_bytes()
        known = set(map(repr, map(_plain, whole)))
        for part in range(1, 20):
            path.write_bytes(content[: len(content) * part // 20])
            for item in self._read(source, path):
                if isinstance(item, InvoiceRecord):
                    assert item.lines or not any(
                        isinstance(one, InvoiceRecord) and one.lines for one in whole
                    )
                    check_record(item)
                    assert repr(_plain(item)) in known, "an invoice that the whole has not"

    def test_a_damaged_file_raises_nothing(self, source: InvoiceSource, tmp_path: Path) -> None:
        """Bytes changed anywhere: every record that is still given is one of the contract."""
        path = self.write(tmp_path, 6)
        content, random = path.read_bytes(), Random(7)  # noqa: S311
        for _time in range(60):
            damaged = bytearray(content)
            for _byte in range(random.choice((1, 1, 3, 40))):
                damaged[random.randrange(len(damaged))] = random.randrange(256)
            path.write_bytes(damaged)
            for item in self._read(source, path):
                if isinstance(item, InvoiceRecord):
                    check_record(item)

    def test_no_other_file_is_opened(self, source: InvoiceSource, tmp_path: Path) -> None:
        """An XML file that asks for a file of this machine does not get it."""
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        path = tmp_path / "file"
        for entity in (
            f'<!ENTITY x SYSTEM "{secret.as_uri()}">',
            f'<!ENTITY % y SYSTEM "{secret.as_uri()}"> %y;',
        ):
            path.write_text(f'<?xml version="1.0"?><!DOCTYPE a [{entity}]><a><b V="1">&x;</b></a>')
            assert SECRET not in repr(self._read(source, path))

    # --- Inside --------------------------------------------------------------------------------

    def _read(self, source: InvoiceSource, path: Path) -> list[Item]:
        """Read a file that may be anything: what comes is of the contract, and in time."""
        start = time.monotonic()
        items = list(source.read(given(path)))
        assert time.monotonic() - start < self.most_seconds
        for item in items:
            assert isinstance(item, InvoiceRecord | SourceProblem | SourceNotice)
            if not isinstance(item, InvoiceRecord):
                assert item.message.strip(), "a problem that says nothing"
                assert len(item.value) < 500, "a problem that quotes the whole file"
        return items

    def _height(self, source: InvoiceSource, path: Path) -> int:
        """Bytes that reading takes at its height."""
        next(iter(source.read(given(path))))  # What is loaded once does not count.
        tracemalloc.start()
        try:
            for _item in source.read(given(path)):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def given(path: Path) -> SourceFile:
    """A file as core hands it to a source."""
    return SourceFile(path, path.name, path.stat().st_size if path.exists() else 0)


def check_record(record: Item) -> None:
    """A record is as the contract says: typed, complete, and its sums are true."""
    assert isinstance(record, InvoiceRecord), record
    for text in (record.regie, record.number, record.family_code, record.label):
        assert isinstance(text, str)
        assert text.strip(), record
    assert type(record.amount) is int
    assert type(record.issued_on) is date
    assert type(record.due_on) is date
    assert isinstance(record.fiscal_year, int)
    assert isinstance(record.kind, InvoiceKind)
    assert record.amount >= 0 or record.kind is InvoiceKind.CREDIT_NOTE
    assert isinstance(record.lines, tuple)
    for line in record.lines:
        assert isinstance(line, LineRecord)
        assert type(line.amount) is int
        assert isinstance(line.tax_kind, TaxKind)
    if record.lines:
        assert sum(line.amount for line in record.lines) == record.amount, record
        assert len({line.rank for line in record.lines}) == len(record.lines), record
    if record.document is not None:
        assert isinstance(record.document.read(), bytes)


def stated(items: Iterator[Item]) -> list[tuple[object, ...]]:
    """Items that were read, in a form that compares: documents by their content."""
    return [_plain(item) for item in items]


def _plain(item: Item) -> tuple[object, ...]:
    names = chain.from_iterable(getattr(c, "__slots__", ()) for c in type(item).__mro__)
    values = {name: getattr(item, name) for name in names}
    document = values.get("document")
    if document is not None:
        values["document"] = (document.name, document.read())
    return tuple(values.items())


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208
