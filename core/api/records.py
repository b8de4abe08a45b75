"""Files of records that are no invoices, such as enrolments: read, looked at, imported, undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from core.api.checked import Checked
from core.api.invoices import SourceFile, SourceProblem

if TYPE_CHECKING:
    from core.api.context import TenantContext


@dataclass(frozen=True, slots=True)
class Figure(Checked):
    """A number of a report, and its words: ``Figure("Inscriptions nouvelles", 12)``."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class RecordReport(Checked):
    """Told by `RecordImport.merge`: what importing a file does, for the agent who decides.

    With a problem, nothing of the file is kept. `changes` are whole phrases.
    """

    figures: tuple[Figure, ...] = ()
    changes: tuple[str, ...] = ()
    problems: tuple[SourceProblem, ...] = ()


class RecordImport(Protocol):
    """A kind of file that a plugin imports, on core's page *Imports*.

    Core receives the file and has it read; then it asks `merge` once to look, and undoes all that
    it did; and, once the agent agreed, again to keep it. `undo` takes an import back.
    """

    key: str
    """A name within the plugin."""
    label: str
    """The kind of file in the agents' list of formats."""

    def read(self, file: SourceFile) -> Iterator[Any]:
        """Yield the file's records, and a `SourceProblem` or `SourceNotice` where one is wrong.

        As lazy as an invoice source, and as little may it raise. It can only read the database.
        """
        ...

    def merge(self, ctx: TenantContext, records: Sequence[Any], import_id: int) -> RecordReport:
        """Write the records, in the transaction of `ctx`, and say what that does.

        The same records again change nothing. Note `import_id` with what is written, and what a
        row was before, for `undo`.
        """
        ...

    def undo(self, ctx: TenantContext, import_id: int) -> RecordReport:
        """Take an import back whole, and say what that does.

        Raises:
            UserError: something depends on it since, in words for the agent.
        """
        ...
