"""Tables of direct debits: lists of what was debited or sent back, by their titles or a layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.domain.bank_accounts import may_be_account
from core.domain.debit_files.report import (
    DebitFileError,
    DebitFileFault,
    DebitLine,
    DebitReport,
    Told,
)
from core.domain.direct_debits import RejectReason
from core.domain.statements.table import HEADER_ROWS, Column, columns
from core.domain.tabular.cells import cents_of, day_of
from core.domain.tabular.rows import Row, TableError, read_tables, title

FIELDS: Final = ("reference", "date", "amount", "status", "reason")
"""Fields that a layout may name; only the first has to be there."""

_TITLES: Final = {
    "reference": (
        re.compile(r"((numero|n|no|num|ref|reference)_)?(de_)?(la_)?factures?(_n|_numero)?"),
        re.compile(r"(numero|n|no|num)(_(de_)?(la_)?(piece|titre|dette|creance))?"),
        re.compile(r"(ref|reference)_(tipi|payfip|de_paiement|dette|piece|client|debiteur)"),
        re.compile(
            r"(ref(erence)?_)?(de_)?(bout_en_bout|end_?to_?end(_?id)?|e2e(_?id)?|endtoend\w*)"
        ),
        re.compile(r"ref(erence)?s?(_(du_)?(prelevement|operation|creancier|interne))?|invoice\w*"),
    ),
    "date": (
        re.compile(r"date(_(de_|du_|d_)?(la_)?(rejet|impaye|retour|prelevement|presentation))"),
        re.compile(
            r"date(_(de_|du_|d_)?(la_)?(reglement|encaissement|operation|comptable|valeur|echeance"
            r"|execution|traitement))?|jour|(booking|value|collection)_date"
        ),
    ),
    "amount": (
        re.compile(
            r"(montant|somme|amount)(_(du_|de_)?(la_|l_)?(prelevement|preleve|rejet|rejete|impaye"
            r"|facture|operation))?(_(en_)?(euros?|eur))?"
        ),
    ),
    "status": (re.compile(r"statut|status|etat|state|resultat|result|situation|suite"),),
    "reason": (
        re.compile(r"code(_(de_|du_)?(rejet|motif|retour|sepa|iso|impaye))?|reason_code"),
        re.compile(
            r"(libelle_)?motif(_(de_|du_)?(rejet|retour|impaye))?|raison|cause|reason|rejet"
        ),
    ),
}
_DONE = re.compile(
    r"(prelev|pay|encaiss|regl|sold|execut|effectu|abouti|settled|paid|collected|success|done)\w*"
    r"|ok|acsc|accc|fait"
)
_REFUSED = re.compile(
    r"(rejet|impay|retourn|refus|echou|contest|annul|reject|return|fail|unpaid|bounced)\w*|rjct|ko"
    r"|retour"
)
_WAITING = re.compile(
    r"(present|emis|transmis|attente|cours|pending|accept|envoy|sent|submitted|planifi|prevu)\w*"
    r"|en_(attente|cours)\w*|a_venir|accp|actc|acsp|pdng"
)
_CODE = re.compile(r"(?<![A-Z0-9])[A-Z]{2}\d{2}(?![A-Z0-9])|(?<![A-Z0-9])[A-Z]{4}(?![A-Z0-9])")
_IN_WORDS: Final = {
    "provision": RejectReason.INSUFFICIENT_FUNDS,
    "sans_provision": RejectReason.INSUFFICIENT_FUNDS,
    "solde_insuffisant": RejectReason.INSUFFICIENT_FUNDS,
    "compte_clo": RejectReason.ACCOUNT_CLOSED,
    "compte_solde": RejectReason.ACCOUNT_CLOSED,
    "compte_bloque": RejectReason.ACCOUNT_BLOCKED,
    "coordonnees": RejectReason.WRONG_ACCOUNT,
    "compte_incorrect": RejectReason.WRONG_ACCOUNT,
    "iban": RejectReason.WRONG_ACCOUNT,
    "mandat": RejectReason.NO_MANDATE,
    "ordre_de_payer": RejectReason.NO_MANDATE,
    "contest": RejectReason.UNAUTHORISED,
    "deced": RejectReason.DEBTOR_DECEASED,
    "deces": RejectReason.DEBTOR_DECEASED,
    "opposition": RejectReason.REFUSED_BY_DEBTOR,
    "refus_du_debiteur": RejectReason.REFUSED_BY_DEBTOR,
}
"""Beginnings of words of lists on paper, as tables of French banks and trésoreries write them."""


@dataclass(frozen=True, slots=True)
class _Places:
    header: int
    at: Mapping[str, int]

    def cell(self, row: Row, field: str) -> str:
        return row.cell(self.at.get(field))


def debit_columns(content: bytes) -> list[Column]:
    """The columns of the largest table of a file, among which a régie chooses.

    A table whose first row holds an account's number has no titles: its columns have places.

    Raises:
        DebitFileError: it is no file of tables.
    """
    found = columns(max(_tables(content), key=len))
    if any(may_be_account(one.shown) for one in found):
        return [Column(f"#{place}", f"#{place}") for place in range(1, len(found) + 1)]
    return found


def read_debit_table(
    content: bytes, default: Told, layout: Mapping[str, str] | None = None
) -> DebitReport:
    """The debits of a table.

    Args:
        content: the file.
        default: the outcome of a row that does not say it itself.
        layout: the column of each field, as `Column` names it, that the régie chose.

    Raises:
        DebitFileError: its columns are not told apart, or a row cannot be read.
    """
    found: list[tuple[Sequence[Row], _Places]] = []
    for table in _tables(content):
        at = _by_layout(table, layout or {}) or _by_titles(table)
        if at is not None:
            found.append((table, at))
    if not found:
        raise DebitFileError(DebitFileFault.COLUMNS)
    if len(found) > 1:
        raise DebitFileError(DebitFileFault.SHEETS)
    rows, places = found[0]
    pending, lines = 0, []
    for row in rows[places.header + 1 :]:
        if not places.cell(row, "reference"):
            continue  # A total, or a remark.
        told = _told(places, row, default)
        if told is None:
            pending += 1
        else:
            lines.append(_line(places, row, told))
    if not lines and not pending:
        raise DebitFileError(DebitFileFault.EMPTY)
    return DebitReport("table", tuple(lines), pending=pending)


def _tables(content: bytes) -> list[list[Row]]:
    if not content.strip(b"\0 \r\n\t"):
        raise DebitFileError(DebitFileFault.EMPTY)
    try:
        return read_tables(content)
    except TableError as error:
        raise DebitFileError(DebitFileFault(error.fault), error.line) from None


def _by_layout(rows: Sequence[Row], layout: Mapping[str, str]) -> _Places | None:
    """The columns that a régie chose; None where this table does not have them."""
    wanted = {field: layout[field] for field in FIELDS if layout.get(field)}
    if "reference" not in wanted:
        return None
    if all(name.startswith("#") for name in wanted.values()):
        return _Places(-1, {field: int(name[1:]) - 1 for field, name in wanted.items()})
    for number, row in enumerate(rows[:HEADER_ROWS]):
        names = [title(cell) for cell in row.cells]
        if {*wanted.values()} <= {*names}:
            return _Places(number, {field: names.index(name) for field, name in wanted.items()})
    return None


def _by_titles(rows: Sequence[Row]) -> _Places | None:
    for number, row in enumerate(rows[:HEADER_ROWS]):
        if any(day_of(cell) for cell in row.cells):
            continue  # Titles hold no days.
        names = [title(cell) for cell in row.cells]
        at: dict[str, int] = {}
        for field, patterns in _TITLES.items():
            place = next(_matching(names, patterns, at), None)
            if place is not None:
                at[field] = place
        if "reference" in at and len(at) > 1:
            return _Places(number, at)
    return None


def _matching(
    names: Sequence[str], patterns: Sequence[re.Pattern[str]], taken: Mapping[str, int]
) -> Iterator[int]:
    for pattern in patterns:
        for place, name in enumerate(names):
            if place not in taken.values() and pattern.fullmatch(name):
                yield place


def _told(places: _Places, row: Row, default: Told) -> Told | None:
    """The outcome of a row; None for a debit that is not over.

    Raises:
        DebitFileError: its word is unknown.
    """
    word = title(places.cell(row, "status"))
    if not word:
        return Told.REJECTED if places.cell(row, "reason") else default
    for pattern, told in ((_REFUSED, Told.REJECTED), (_WAITING, None), (_DONE, Told.SETTLED)):
        if any(pattern.fullmatch(part) for part in (word, *word.split("_"))):
            return told
    raise DebitFileError(DebitFileFault.STATUS, row.line)


def _line(places: _Places, row: Row, told: Told) -> DebitLine:
    amount, day = places.cell(row, "amount"), places.cell(row, "date")
    cents = cents_of(amount)
    if amount and not cents:
        raise DebitFileError(DebitFileFault.AMOUNT, row.line)
    on = day_of(day)
    if day and on is None:
        raise DebitFileError(DebitFileFault.DATE, row.line)
    reference = " ".join(places.cell(row, "reference").split())[:70]
    return DebitLine(
        row.line,
        told,
        () if may_be_account(reference) else (reference,),
        cents=abs(cents) if cents else None,  # A list of what came back may write it below zero.
        on=on,
        code=_code(places.cell(row, "reason")) if told is Told.REJECTED else "",
    )


def _code(text: str) -> str:
    """The reason's code, as it stands there or as its words mean it."""
    found = _CODE.search(text)
    if found:
        return found[0]
    words = title(text)
    return next(
        (reason.value for begins, reason in _IN_WORDS.items() if f"_{begins}" in f"_{words}"), ""
    )
