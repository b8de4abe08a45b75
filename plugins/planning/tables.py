"""Tables as French spreadsheets and billing software read them: semicolons, UTF-8."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def written(rows: Iterable[Sequence[str]]) -> str:
    """Write rows as CSV. Texts from outside are the caller's to pass through `csv_text`."""
    out = io.StringIO()
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows(rows)
    return out.getvalue()
