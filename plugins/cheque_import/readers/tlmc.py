"""The bank's deposit file TLMC, 320 characters a record ended by CR (CHEQUES_AND_FORMATS 1.2).

``03`` opens the slip, each ``04`` is a cheque, ``08`` closes it with the total and the count. One
public description exists: ask the bank for its own guide before a town relies on the writer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from core.plugin import gettext as _
from plugins.cheque_import.cmc7 import Cmc7Error, Zones, read_zones, rlmc
from plugins.cheque_import.readers.table import read_date
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

WIDTH = 320
_OPERATION = "CH"
_IN_FORCE = {" ", "0"}
_REFERENCE = 24
_SLIPS = re.compile(r"(?:oc+e)+\Z")


@dataclass(frozen=True, slots=True)
class Deposit:
    """Header of a deposit: its depositor, reference, account, date and SIRET."""

    depositor: str
    reference: str
    account: str
    on: date
    siret: str = ""


def looks_like(content: bytes) -> bool:
    """True if the first record is a TLMC header: blanks at its end may have been stripped."""
    first = _records(content[: 2 * WIDTH])[0]
    return first[:2] == "03" and first[4:10].isdigit() and len(first) <= WIDTH


def read(content: bytes, file: str) -> Iterator[ChequeRecord | ChequeProblem]:
    """Yield the cheques of each slip, after every control the format allows.

    Sequence without holes, total and count of the ``08``, each key, no cheque twice: a file that
    fails one of them is not what the bank was sent. A cheque that was cancelled, or that no French
    bank issued, is named and left out.
    """
    records = [record.ljust(WIDTH) for record in _records(content)]
    problem = _frame_problem(records)
    if problem:
        yield ChequeProblem(problem, file)
        return
    seen: set[str] = set()
    start = 0
    for end, record in enumerate(records):
        if record[:2] == "08":
            yield from _slip(records[start : end + 1], start, file, seen)
            start = end + 1


def _slip(
    records: Sequence[str], before: int, file: str, seen: set[str]
) -> Iterator[ChequeRecord | ChequeProblem]:
    header, *cheques, footer = records
    total = cancelled = gone = 0
    for rank, record in enumerate(cheques, 2):
        line = before + rank
        if not _follows(record, header, rank):
            yield ChequeProblem(
                _("Les enregistrements ne se suivent pas."), file, line, "5-10", _cut(record, 5, 10)
            )
            return
        found = _cheque(record, header, file, line, rank - 1)
        amount = max(_digits(record, 118, 129), 0)
        total += amount
        if _cut(record, 130, 130) not in _IN_FORCE:
            cancelled, gone = cancelled + amount, gone + 1
        if isinstance(found, ChequeRecord):
            digits = found.zones.digits if found.zones else ""
            if digits in seen:
                found = ChequeProblem(
                    _("Le même chèque figure deux fois dans la remise."), file, line, "20-50"
                )
            seen.add(digits)
        yield found
    last = before + len(records)
    if _digits(footer, 173, 184) not in {total, total - cancelled}:
        yield ChequeProblem(
            _("Le total de la remise n’est pas la somme des chèques."),
            file, last, "173-184", _cut(footer, 173, 184),
        )  # fmt: skip
    if _digits(footer, 186, 190) not in {len(cheques), len(cheques) - gone}:
        yield ChequeProblem(
            _("Le nombre de chèques annoncé n’est pas celui du fichier."),
            file, last, "186-190", _cut(footer, 186, 190),
        )  # fmt: skip


def _follows(record: str, header: str, rank: int) -> bool:
    """True if a record's number follows from its slip's header, which need not be number 1."""
    first = _cut(header, 5, 10)
    return first.isdigit() and _cut(record, 5, 10) == f"{int(first) + rank - 1:06d}"


def write(deposit: Deposit, cheques: Sequence[tuple[Zones, int, str]]) -> bytes:
    """Write a deposit of (zones, cents, our own reference of the cheque), in Latin-1."""
    total = sum(amount for _zones, amount, _reference in cheques)
    records = [_slip_record("03", 1, deposit)]
    for sequence, (zones, amount, reference) in enumerate(cheques, 2):
        record = _blank("04", sequence)
        _put(record, 20, zones.digits)
        _put(record, 86, f"{deposit.on:%Y%m%d}")
        _put(record, 94, _number(reference, _REFERENCE))
        _put(record, 118, f"{amount:012d}")
        _put(record, 130, "00")
        _put(record, 132, rlmc(zones.digits))
        records.append(record)
    footer = _slip_record("08", len(cheques) + 2, deposit)
    _put(footer, 173, f"{total:012d}")
    _put(footer, 185, "0")
    _put(footer, 186, f"{len(cheques):05d}")
    records.append(footer)
    # As banks take it: a CR between records, and none at the very end.
    return "\r".join("".join(record) for record in records).encode("latin-1", "replace")


def _slip_record(kind: str, sequence: int, deposit: Deposit) -> list[str]:
    record = _blank(kind, sequence)
    _put(record, 11, f"{deposit.on:%Y%m%d}")
    _put(record, 19, _text(deposit.depositor, 35))
    _put(record, 54, _text(deposit.siret, 14))
    _put(record, 68, _number(deposit.reference, 7))
    _put(record, 111, _number(deposit.reference, _REFERENCE))
    _put(record, 135, "2")
    _put(record, 136, _text(deposit.account, 34))
    _put(record, 170, "EUR")
    return record


def _blank(kind: str, sequence: int) -> list[str]:
    record = [" "] * WIDTH
    _put(record, 1, f"{kind}{_OPERATION}{sequence:06d}")
    return record


def _put(record: list[str], position: int, text: str) -> None:
    record[position - 1 : position - 1 + len(text)] = text


def _number(text: str, width: int) -> str:
    """A reference, right-aligned and filled with zeros; its end when it is too long."""
    return _text(text, len(text)).strip()[-width:].rjust(width, "0")


def _slip_name(header: str) -> str:
    """Name of the slip, without the zeros that fill it."""
    return _cut(header, 111, 134).strip().lstrip("0") or _cut(header, 68, 74).strip().lstrip("0")


def _text(text: str, width: int) -> str:
    # A control character would break the records apart.
    printable = "".join(c if c.isprintable() else " " for c in text)
    return printable[:width].ljust(width)


def _records(content: bytes) -> list[str]:
    text = content.decode("latin-1").rstrip("\x1a")
    # The format says CR alone; transfers often make it CR LF or LF, or leave none.
    found = [part for part in text.replace("\n", "\r").split("\r") if part.strip()]
    if len(found) == 1 and len(found[0]) > WIDTH:
        whole = found[0]
        found = [whole[at : at + WIDTH] for at in range(0, len(whole), WIDTH)]
    return found or [""]


def _frame_problem(records: Sequence[str]) -> str:
    for number, record in enumerate(records, 1):
        if len(record) != WIDTH:
            return _("L’enregistrement %(number)s compte %(got)s caractères au lieu de 320.") % {
                "number": number,
                "got": len(record),
            }
    kinds = "".join({"03": "o", "04": "c", "08": "e"}.get(record[:2], "?") for record in records)
    if not _SLIPS.match(kinds):
        return _("Le fichier doit contenir un en-tête 03, des chèques 04 et un total 08.")
    opened = 0
    for number, record in enumerate(records):
        opened = number if record[:2] == "03" else opened
        if not _follows(record, records[opened], number - opened + 1):
            return _("Les enregistrements ne se suivent pas.")
    return ""


def _cut(record: str, first: int, last: int) -> str:
    return record[first - 1 : last]


def _digits(record: str, first: int, last: int) -> int:
    text = _cut(record, first, last).strip()
    return int(text) if text.isascii() and text.isdigit() else -1


def _cheque(
    record: str, header: str, file: str, line: int, rank: int
) -> ChequeRecord | ChequeProblem:
    if _cut(record, 130, 130) not in _IN_FORCE:
        return ChequeProblem(
            _("Le chèque est annulé dans la remise."), file, line, "130", left_out=True
        )
    amount = _digits(record, 118, 129)
    if amount <= 0:
        return ChequeProblem(
            _("Le montant n’est pas un nombre de centimes."),
            file, line, "118-129", _cut(record, 118, 129),
        )  # fmt: skip
    try:
        magnetic = read_zones(
            _cut(record, 20, 26), _cut(record, 27, 38), _cut(record, 39, 50),
            key=_cut(record, 132, 133),
        )  # fmt: skip
        drawn_on = read_date(_cut(record, 86, 93).strip(), "86-93")
        slip_date = read_date(_cut(header, 11, 18).strip(), "11-18")
    except Cmc7Error as error:
        value = _cut(record, 20, 50).strip()
        return ChequeProblem(
            str(error), file, line, "20-50", value, left_out=not value.isdigit() or len(value) < 31
        )
    except ValueError as error:
        return ChequeProblem(str(error), file, line, "86-93", _cut(record, 86, 93))
    reference = _cut(record, 94, 117).strip()
    if len(reference) == _REFERENCE and reference.isdigit() and reference.startswith("0"):
        reference = ""  # Zero-filled: the reader's own serial number, and no invoice's.
    return ChequeRecord(
        slip=_slip_name(header) or file,
        rank=rank,
        amount=amount,
        number=magnetic.zones.number,
        zones=magnetic.zones,
        key=magnetic.key,
        bank=_cut(record, 51, 85).strip(),
        references=(reference,) if reference else (),
        drawn_on=drawn_on,
        slip_date=slip_date,
        line=line,
    )
