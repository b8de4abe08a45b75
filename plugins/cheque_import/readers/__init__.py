"""Readers of cheque files: whatever the format, one typed `ChequeRecord` a cheque."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from core.plugin import gettext as _
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

PARSER_VERSION = 1
MAX_BYTES = 20 * 1024 * 1024
MAX_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file as it was read: all its cheques, or its problems (then nothing may be stored)."""

    source: str
    records: tuple[ChequeRecord, ...]
    problems: tuple[ChequeProblem, ...]
    left_out: tuple[ChequeProblem, ...] = ()
    """Lines that are no cheque to record (cancelled, foreign): the others are taken."""


def read_file(
    name: str,
    content: bytes,
    *,
    mapping: Mapping[str, str] | None = None,
    slip: str = "",
    right_lines: bool = False,
) -> ReadFile:
    """Read a file of any known format, told by its content and not by its name.

    With `right_lines`, each wrong line of a list is left out by name, and the others are read; a
    bank's own file is still whole or wrong.

    Bad content raises nothing: it is a problem with its place.
    """
    if len(content) > MAX_BYTES:
        problem = ChequeProblem(_("Le fichier dépasse 20 Mo."), name)
        return ReadFile("", (), (problem,))
    source, found = _open(name, content, mapping, slip)
    records: list[ChequeRecord] = []
    problems: list[ChequeProblem] = []
    left_out: list[ChequeProblem] = []
    places: dict[tuple[str, int], int] = {}
    for item in found:
        if isinstance(item, ChequeProblem) and item.left_out:
            left_out.append(item)
            continue
        if isinstance(item, ChequeProblem):
            problems.append(item)
            if len(problems) >= MAX_PROBLEMS and not right_lines:
                break
            continue
        # A place in a slip is one cheque; twice is a line pasted twice, or a rank mistyped.
        first = places.setdefault((item.slip.upper(), item.rank), item.line)
        if first != item.line and item.zones is None:
            problems.append(
                ChequeProblem(
                    _("Le rang est déjà pris à la ligne %s de la même remise.") % first,
                    name,
                    item.line,
                    "rang",
                    str(item.rank),
                )
            )
            if right_lines:
                continue
        records.append(item)
    if right_lines and records and source != "tlmc320":
        wrong = (replace(problem, left_out=True) for problem in problems)
        named = sorted((*left_out, *wrong), key=lambda problem: problem.line)
        return ReadFile(source, tuple(records), (), tuple(named))
    if problems:
        return ReadFile(source, (), tuple(problems))
    return ReadFile(source, tuple(records), (), tuple(left_out))


def _open(
    name: str, content: bytes, mapping: Mapping[str, str] | None, slip: str
) -> tuple[str, Iterator[ChequeRecord | ChequeProblem]]:
    from plugins.cheque_import.readers import scanner, tables, tlmc  # noqa: PLC0415

    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "xlsx", tables.read(content, name, mapping, slip=slip)
    if tlmc.looks_like(content):
        return "tlmc320", tlmc.read(content, name)
    if scanner.looks_like(content[:4000]):
        return "cmc7", scanner.read(content, name, slip=slip)
    return "csv", tables.read(content, name, mapping, slip=slip, strict=True)
