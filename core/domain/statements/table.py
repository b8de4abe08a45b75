"""Statements as tables: which column is what, by its title, and whether the money came or went.

Nothing is taken for money because it looks like a number: its column has to say so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.domain.statements.movement import Credit, StatementError, StatementFault
from core.domain.tabular.cells import cents_of, day_of
from core.domain.tabular.rows import Row, title

HEADER_ROWS: Final = 60
"""Rows above the titles: account, period and balance take a dozen."""

FIELDS: Final = ("date", "label", "amount", "debit", "credit", "side")
"""Fields that a layout may name; see `Layout`."""

_DATES: Final = (
    re.compile(r"date_(de_)?(la_)?compta\w*"),
    re.compile(
        r"date|date_d_?ecriture|date_d_enregistrement|date_(du_)?mouvement|jour"
        r"|(booking|settlement|operation|transaction|completed)_date\w*"
    ),
    re.compile(r"date_?op\w*|date_(de_)?(l_)?op\w*|date_d_op\w*|date_(de_)?transaction"),
    re.compile(r"date_(d_)?(execution|reglement)|date_?val\w*|date_(de_)?(la_)?valeur|valeur"),
)
"""Titles of dates, the date that the account goes by first."""

_DEBIT = re.compile(
    r"((montants?|mouvements?|operations?)_)?(au_|des_|du_)?debit(e|es|s|eur|euse)?(_(en_)?(euros?|eur))?"
    r"|sorties?|retraits?|depenses?|decaissements?|d"
)
_CREDIT = re.compile(
    r"((montants?|mouvements?|operations?)_)?(au_|des_|du_)?credit(e|es|s|eur|euse)?(_(en_)?(euros?|eur))?"
    r"|entrees?|versements?|recettes?|encaissements?|c"
)
_AMOUNT: Final = (
    re.compile(r"(montant|amount|somme)(_de_l_?operation|_(de_l_)?operation)?_?(en_)?(euros?|eur)"),
    re.compile(r"montant|amount|somme|montant_(de_l_)?(operation|ecriture)|montant_du_mouvement"),
    re.compile(r"montant_net|montant_total(_ttc)?|total_amount\w*|debit_credit|credit_debit"),
)
_SIDE = re.compile(
    r"(code_)?sens(_\w*)?|d_c|c_d|dc|cd|debit_credit|credit_debit|signe|type(_d?e?_?l?_?operation)?"
    r"|cdtdbtind|nature"
)
_CURRENCY = re.compile(r"devise|monnaie|currency|code_devise")
_STATUS = re.compile(r"statut|status|state|etat")
_LABELS: Final = re.compile(
    r"libelle\w*|label|suggestedlabel|detail\w*|intitule\w*|description|operation|operations"
    r"|nature\w*|motif|communication|informations?_complementaires?|nom_de_la_contrepartie|tiers"
    r"|counterparty_name|reference_libre"
)
_CAME = {"+", "c", "cr", "credit", "crediteur", "crdt", "recette", "entree"}
_WENT = {"-", "d", "db", "debit", "debiteur", "dbit", "depense", "sortie"}
_NOT_BOOKED = {"en_attente", "pending", "processing", "refuse", "refusee", "declined", "annule",
               "annulee", "reverted", "failed", "a_venir"}  # fmt: skip
_BALANCE = re.compile(
    r"(ancien|nouveau|dernier)_solde\w*|soldes?(_(initial|final|crediteur|debiteur|precedent|comptable"
    r"|disponible|previsionnel|de_cloture|d_ouverture|reporte|de_depart|de_fin|euros?|eur|du_compte"
    r"|en_(debut|fin|euros?)|au|a_la|le|fin|debut|\d)\w*)?"
    r"|(sous_)?tota(l|ux)(_(des|du|de_la_periode|debits?|credits?|general|operations|mouvements)\w*)?"
    r"|reports?(_(de_|du_)?solde\w*)?"
)
_KINDS = re.compile(r"type\w*|nature\w*|categorie\w*|mode\w*|moyen\w*")
_GONE = re.compile(
    r"prelevement|prlv|retrait|commission|frais|cotisation|agios|cheques?_emis|virements?_emis|debit"
    r"|paiement_(par_)?carte|facture_carte|achat|depense"
)
"""Kinds of movements that take money off the account."""
_EUROS = {"", "€", "eur", "euro", "euros"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Column of each field, by its title as `title` writes it, or ``#3`` for the third.

    The money stands either in `amount`, with its sign or beside a `side` that says D or C, or in
    `debit` and `credit`.
    """

    date: str
    amount: str = ""
    debit: str = ""
    credit: str = ""
    side: str = ""
    label: str = ""

    @staticmethod
    def of(kept: Mapping[str, str]) -> Layout | None:
        """The layout that a régie kept; None if it does not say where day and money stand."""
        values = {field: kept.get(field, "") for field in FIELDS}
        money = values["amount"] or values["debit"] or values["credit"]
        return Layout(**values) if values["date"] and money else None


@dataclass(frozen=True, slots=True)
class _Places:
    """The columns by their place, and the row of titles."""

    header: int
    date: int
    labels: tuple[int, ...]
    amount: int | None = None
    debit: int | None = None
    credit: int | None = None
    side: int | None = None
    currency: int | None = None
    status: int | None = None


def read_table(rows: Sequence[Row], layout: Layout | None = None) -> list[Credit]:
    """The movements of a table.

    Raises:
        StatementError: its columns are not told apart, or a row cannot be read.
    """
    places = _places(rows, layout)
    movements = _Movements(rows, places)
    return list(movements.read())


@dataclass(frozen=True, slots=True)
class Column:
    """A column among which a régie chooses: how a `Layout` names it, and how a page shows it."""

    name: str
    """Its title, or ``#3`` where the table has no row of titles that tells its columns apart."""
    shown: str


def columns(rows: Sequence[Row]) -> list[Column]:
    """The columns of a table, by the row that is likeliest to hold the titles."""
    best = max(
        rows[:HEADER_ROWS],
        key=lambda row: (
            _may_be_titles(row),
            sum(map(_is_known, map(title, row.cells))),
            _words(row),
        ),
        default=None,
    )
    if best is None:
        return []
    names = [title(cell) for cell in best.cells]
    if not _may_be_titles(best) or len(set(filter(None, names))) < len(list(filter(None, names))):
        return [
            Column(f"#{place}", cell)
            for place, cell in enumerate(best.cells, start=1)
            if cell
        ]
    return [Column(name, cell) for name, cell in zip(names, best.cells, strict=True) if name]


def _may_be_titles(row: Row) -> bool:
    """True for a row of several words, with no day and no amount among them."""
    holds_values = any(day_of(cell) or _has_cents(cell) for cell in row.cells)
    return not holds_values and len(list(filter(None, row.cells))) > 1


def _is_known(name: str) -> bool:
    return bool(name) and any(
        pattern.fullmatch(name)
        for pattern in (*_DATES, _DEBIT, _CREDIT, *_AMOUNT, _SIDE, _LABELS)
    )


def _words(row: Row) -> int:
    return sum(1 for cell in row.cells if cell and cents_of(cell) is None and day_of(cell) is None)


def _places(rows: Sequence[Row], layout: Layout | None) -> _Places:
    if layout is not None:
        found = _places_by_layout(rows, layout)
        if found is not None:
            return found
        # Another bank's file, or the bank has changed its titles: as if nothing had been kept.
    for number, row in enumerate(rows[:HEADER_ROWS]):
        if any(day_of(cell) or _has_cents(cell) for cell in row.cells):
            continue  # Titles hold neither days nor amounts.
        titled = _places_by_titles([title(cell) for cell in row.cells], number, rows)
        if titled is not None:
            return titled
    return _places_by_sight(rows)


def _places_by_layout(rows: Sequence[Row], layout: Layout) -> _Places | None:
    """The columns that a régie chose; None where this table does not have them."""
    wanted = {field: getattr(layout, field) for field in FIELDS if getattr(layout, field)}
    named: list[list[str]] = []
    if all(name.startswith("#") for name in wanted.values()):
        at = {field: int(name[1:]) - 1 for field, name in wanted.items()}
        first = next(
            (n for n, row in enumerate(rows) if day_of(row.cell(at["date"])) is not None), None
        )
        if first is None:
            return None
        header = first - 1
    else:
        named = [[title(cell) for cell in row.cells] for row in rows[:HEADER_ROWS]]
        found = (n for n, names in enumerate(named) if {*wanted.values()} <= {*names})
        header = next(found, -1)
        if header < 0:
            return None
        at = {field: named[header].index(name) for field, name in wanted.items()}
    return _Places(
        header,
        at["date"],
        (at["label"],) if "label" in at else (),
        at.get("amount"), at.get("debit"), at.get("credit"), at.get("side"),
        *((_first(named[header], _CURRENCY), _first(named[header], _STATUS)) if named else ()),
    )  # fmt: skip


def _places_by_titles(names: list[str], header: int, rows: Sequence[Row]) -> _Places | None:
    day = _first(names, *_DATES)
    if day is None:
        return None
    debit, credit = _first(names, _DEBIT), _first(names, _CREDIT)
    body = rows[header + 1 :]
    side = next(
        (n for n, name in enumerate(names) if _SIDE.fullmatch(name) and _says_sides(body, n)), None
    )
    amount = None
    if debit is None and credit is None:
        for pattern in _AMOUNT:
            known = [n for n, name in enumerate(names) if pattern.fullmatch(name)]
            found = [n for n in known if n not in {side, day}]
            if len(found) > 1:
                raise StatementError(rows[header].line, StatementFault.COLUMNS)
            if found:
                amount = found[0]
                break
    if amount is None and debit is None and credit is None:
        return None
    money = {amount, debit, credit, side}
    return _Places(
        header,
        day,
        tuple(n for n, name in enumerate(names) if n not in money and _LABELS.fullmatch(name)),
        amount,
        debit,
        credit,
        side if amount is not None else None,
        _first(names, _CURRENCY),
        _first(names, _STATUS),
    )


def _first(names: list[str], *patterns: re.Pattern[str]) -> int | None:
    for pattern in patterns:
        for place, name in enumerate(names):
            if pattern.fullmatch(name):
                return place
    return None


def _says_sides(rows: Sequence[Row], place: int) -> bool:
    """True if a column says of each row with a day that the money came, or that it went."""
    dated = [row for row in rows if any(map(day_of, row.cells))]
    said = {title(row.cell(place)) or row.cell(place) for row in dated}
    return bool(said) and said <= _CAME | _WENT


def _places_by_sight(rows: Sequence[Row]) -> _Places:
    """The columns of a table without titles, if only one could be the day and one the money.

    Such a table has to show by a sign, or by holding one amount a row, that none is a balance.
    """
    days_in = Counter(
        n for row in rows for n, cell in enumerate(row.cells) if day_of(cell) is not None
    )
    if not days_in:
        raise StatementError(0, StatementFault.COLUMNS)
    # A line above may hold a day elsewhere: that of the statement.
    most = max(days_in.values())
    by = min(n for n, count in days_in.items() if count == most)
    dated = [row for row in rows if day_of(row.cell(by)) is not None]
    width = max(len(row.cells) for row in dated)
    days = [n for n in range(width) if all(day_of(row.cell(n)) is not None for row in dated)]
    money = [
        n
        for n in range(width)
        if any(_has_cents(row.cell(n)) for row in dated)
        and all(not row.cell(n) or cents_of(row.cell(n)) is not None for row in dated)
    ]
    if not days or len(money) != 1:
        raise StatementError(0, StatementFault.COLUMNS)
    first = rows.index(dated[0])
    above = rows[first - 1].cell(money[0]) if first else ""
    if above and cents_of(above) is None:
        # It has a title, which nobody here knows: money that came, that went, or a balance.
        raise StatementError(0, StatementFault.COLUMNS)
    if any(_says_sides(dated, n) for n in range(width) if n not in {*days, *money}):
        raise StatementError(0, StatementFault.COLUMNS)
    labels = [
        n
        for n in range(width)
        if n not in {*days, *money} and any(re.search(r"[^\W\d_]", row.cell(n)) for row in dated)
    ]
    return _Places(first - 1, days[0], tuple(labels), money[0])


class _Movements:
    """One reading of one table."""

    def __init__(self, rows: Sequence[Row], places: _Places) -> None:
        self._rows = rows[places.header + 1 :]
        self._titles = rows[places.header].cells if places.header >= 0 else ()
        self._at = places
        went = places.debit if places.amount is None else places.amount
        self._debit_sign = self._sign_of(went)
        self._refuse_a_hidden_sense()
        self._balance = self._balance_without_title()

    def read(self) -> Iterator[Credit]:
        for row in self._rows:
            if row.cells == self._titles:
                continue  # Printed again on each page.
            day = day_of(row.cell(self._at.date))
            if day is None:
                self._look_at_other(row)
                continue
            if self._is_balance(row) or title(row.cell(self._at.status)) in _NOT_BOOKED:
                continue
            yield Credit(day, self._label(row), self._cents(row))

    def _label(self, row: Row) -> str:
        words = dict.fromkeys(" ".join(row.cell(place).split()) for place in self._at.labels)
        return " ".join(filter(None, words))

    def _is_balance(self, row: Row) -> bool:
        if row is self._balance:
            return True
        words = [title(row.cell(place)) for place in self._at.labels]
        if not self._titles and self._at.labels and not any(words):
            return True  # What the account came to, below a table without titles.
        if not any(words):
            words = list(map(title, row.cells))
        return any(_BALANCE.fullmatch(word) for word in words if word)

    def _balance_without_title(self) -> Row | None:
        """The last row of a table without titles, if it has none of the words of all the others."""
        dated = [row for row in self._rows if day_of(row.cell(self._at.date)) is not None]
        if self._titles or len(dated) < 2:
            return None
        *others, last = dated
        money = self._at.amount
        always = [
            n
            for n in range(max(len(row.cells) for row in others))
            if n != money and all(row.cell(n) and day_of(row.cell(n)) is None for row in others)
        ]
        return last if always and not any(last.cell(n) for n in always) else None

    def _refuse_a_hidden_sense(self) -> None:
        """Refuse amounts that all have no sign, where a column says that some went."""
        at = self._at
        if at.amount is None or at.side is not None:
            return
        if any((cents_of(row.cell(at.amount)) or 0) < 0 for row in self._rows):
            return
        kinds = [n for n, cell in enumerate(self._titles) if _KINDS.fullmatch(title(cell))]
        for row in self._rows:
            if any(_GONE.match(title(row.cell(n))) for n in kinds):
                raise StatementError(row.line, StatementFault.SIDE)

    def _look_at_other(self, row: Row) -> None:
        """A row without a day: words, a balance, or a movement whose day cannot be read."""
        at = self._at
        some = any(cents_of(row.cell(place)) for place in (at.amount, at.debit, at.credit))
        about_balance = any(
            re.search(r"(^|_)(solde|total|totaux|report)(_|$)", title(cell)) for cell in row.cells
        )
        dated = row.cell(at.date) and re.match(r"\d", row.cell(at.date))
        if (some or dated or not self._titles) and not about_balance:
            raise StatementError(row.line, StatementFault.DATE)

    def _cents(self, row: Row) -> int:
        at = self._at
        if row.cell(at.currency).casefold() not in _EUROS:
            raise StatementError(row.line, StatementFault.CURRENCY)
        if at.amount is None:
            return self._of_two(row)
        cents = self._amount(row, at.amount)
        if cents is None:
            raise StatementError(row.line, StatementFault.AMOUNT)
        if at.side is None:
            return cents
        said = self._side(row)
        if said in _CAME and cents >= 0:
            return cents
        if said in _WENT and cents * self._debit_sign >= 0:
            return -abs(cents)
        raise StatementError(row.line, StatementFault.SIDE)

    def _side(self, row: Row) -> str:
        return title(row.cell(self._at.side)) or row.cell(self._at.side)

    def _of_two(self, row: Row) -> int:
        debit = self._amount(row, self._at.debit) or 0
        credit = self._amount(row, self._at.credit) or 0
        if debit and credit:
            raise StatementError(row.line, StatementFault.SIDE)
        if not debit and not credit:
            raise StatementError(row.line, StatementFault.AMOUNT)
        if not debit:
            return credit
        if debit * self._debit_sign < 0:
            # One of another sign than the rest: a debit that came back, or a slip.
            raise StatementError(row.line, StatementFault.SIDE)
        return -abs(debit)

    def _sign_of(self, place: int | None) -> int:
        """The sign with which this table writes its debits: what most of them have."""
        if place is None:
            return 1
        rows = [row for row in self._rows if day_of(row.cell(self._at.date)) is not None]
        if self._at.side is not None:
            rows = [row for row in rows if self._side(row) in _WENT]
        found = [cents_of(row.cell(place)) or 0 for row in rows]
        return -1 if sum(c < 0 for c in found) > sum(c > 0 for c in found) else 1

    def _amount(self, row: Row, place: int | None) -> int | None:
        cell = row.cell(place)
        if not cell:
            return None
        cents = cents_of(cell)
        if cents is None:
            raise StatementError(row.line, StatementFault.AMOUNT)
        return cents


def _has_cents(cell: str) -> bool:
    return bool(re.search(r"[.,€]", cell)) and cents_of(cell) is not None
