"""A file of debits, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.debit_files.iso20022 import is_xml, read_iso20022
from core.domain.debit_files.report import DebitFileError, DebitFileFault, DebitReport, Told
from core.domain.debit_files.table import read_debit_table


def read_debits(
    content: bytes, default: Told = Told.SETTLED, layout: Mapping[str, str] | None = None
) -> DebitReport:
    """The debits of a file: see `read_iso20022` and `read_debit_table`.

    Raises:
        DebitFileError: it is none, or a debit of it cannot be read.
    """
    if not content.strip(b"\0 \r\n\t"):
        raise DebitFileError(DebitFileFault.EMPTY)
    if is_xml(content):
        return read_iso20022(content)
    return read_debit_table(content, default, layout)
