"""The contract of a kind of file that a plugin imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.api.context import TenantContext
from core.api.invoices import SourceFile, SourceNotice, SourceProblem
from core.api.records import RecordImport, RecordReport


class RecordImportContract:
    """Rules that core relies on when agents import a plugin's files."""

    @pytest.fixture
    def town(self) -> TenantContext:
        """A unit of work in which the files make sense. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def kind(self, town: TenantContext) -> RecordImport:
        """The kind of file under test. Override it."""
        raise NotImplementedError

    def write(self, folder: Path) -> Path:
        """A file that is right. Override it."""
        raise NotImplementedError

    def state(self, town: TenantContext) -> Any:
        """All that imports of this kind write, in a form that can be compared. Override it."""
        raise NotImplementedError

    def records(self, kind: RecordImport, path: Path) -> list[Any]:
        """Records that a file gives."""
        return list(kind.read(SourceFile(path, path.name, path.stat().st_size)))

    def test_importing_again_changes_nothing(
        self, kind: RecordImport, town: TenantContext, tmp_path: Path
    ) -> None:
        """The same file comes every week."""
        records = self.records(kind, self.write(tmp_path))
        assert records
        assert not [one for one in records if isinstance(one, SourceProblem | SourceNotice)]
        report = kind.merge(town, records, 1)
        assert isinstance(report, RecordReport)
        assert report.figures
        assert not report.problems
        first = self.state(town)
        kind.merge(town, records, 2)
        assert self.state(town) == first

    def test_undoing_leaves_nothing_of_an_import(
        self, kind: RecordImport, town: TenantContext, tmp_path: Path
    ) -> None:
        """Undoing removes what an import wrote and restores what it changed; twice is once."""
        before = self.state(town)
        records = self.records(kind, self.write(tmp_path))
        kind.merge(town, records, 1)
        assert self.state(town) != before
        for _time in range(2):
            assert isinstance(kind.undo(town, 1), RecordReport)
            assert self.state(town) == before

    @pytest.mark.parametrize(
        "content",
        [b"", b"\0" * 100, b"\xff\xfe\x00", b"a;b;c\n1;2", b"PK\x03\x04 broken", b"x" * 100_000],
        ids=["empty", "zeroes", "half", "other columns", "a broken archive", "one long line"],
    )
    def test_a_file_of_something_else_is_a_problem_and_no_fault(
        self, kind: RecordImport, tmp_path: Path, content: bytes
    ) -> None:
        """The wrong file is chosen now and then."""
        path = tmp_path / "other.csv"
        path.write_bytes(content)
        assert [one for one in self.records(kind, path) if isinstance(one, SourceProblem)]

    def test_a_file_that_is_cut_off_is_no_fault(self, kind: RecordImport, tmp_path: Path) -> None:
        """A download may end early: what is left is a problem, or fewer records."""
        path = self.write(tmp_path)
        content = path.read_bytes()
        for share in (0.25, 0.5, 0.9):
            path.write_bytes(content[: int(len(content) * share)])
            for one in self.records(kind, path):
                if isinstance(one, SourceProblem):
                    assert one.message


__all__ = ["RecordImportContract"]
