"""Refusals inside the source: raised where they are found, yielded as problems."""

from __future__ import annotations

from core.api.invoices import SourceProblem

SHOWN = 60
"""Characters of a value that a report shows: enough to find it, too little to flood the page."""


class CellError(ValueError):
    """A value is not what its column holds. The message says what was expected."""


class RefusedError(Exception):
    """The rest of the file cannot be read; `problems` say why."""

    def __init__(self, *problems: SourceProblem) -> None:
        super().__init__(*(problem.message for problem in problems))
        self.problems = problems


def problem(
    message: str, file: str, line: int = 0, column: str = "", value: str = ""
) -> SourceProblem:
    """A problem whose value is fit for a report."""
    return SourceProblem(message, file, line, column, shown(value))


def shown(value: str) -> str:
    """`value` as a report can print it: short, on one line, with nothing invisible in it."""
    visible = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value[:SHOWN])
    return visible + "…" if len(value) > SHOWN else visible
