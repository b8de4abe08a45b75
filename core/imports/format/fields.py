"""Contents of each kind of cell. Every reader takes a cell that is not empty, or refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from functools import lru_cache

from core.api.context import RegieInfo
from core.api.invoices import InvoiceKind, TaxKind
from core.domain.dates import YEARS, DateError, parse_day
from core.domain.money import AmountError, parse_amount
from core.platform.i18n import gettext as _
from core.platform.tabular.header import normalise
from core.platform.tabular.problems import CellError

_FORMULA = frozenset("=+-@＝＋－＠")
_REFERENCE = re.compile(r"[^\W_][\w ./°-]*\Z")
_QUANTITY = re.compile(r"-?\d{1,9}([.,]\d{1,3})?\Z", re.ASCII)
_NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|]|^\.')


def text(limit: int) -> Callable[[str], str]:
    """A reader of words, at most `limit` characters."""

    def read(value: str) -> str:
        if "\n" in value:  # Written over several lines, in a cell of a spreadsheet.
            value = " ".join(value.split())
        # Spreadsheets run such cells when an export is opened: refused where they would come in.
        if value[0] in _FORMULA:
            raise CellError(_("Un texte ne commence pas par =, +, - ou @ (formule de tableur)."))
        if len(value) > limit:
            raise CellError(_("%(limit)s caractères au plus.") % {"limit": limit})
        return value

    return read


def reference(value: str) -> str:
    """A number or code, kept as given."""
    if not _REFERENCE.match(value) or len(value) > 40:
        raise CellError(
            _(
                "Lettres, chiffres, espaces et . / - ° seulement, 40 caractères au plus "
                "(mettez la colonne au format « Texte » avant d’exporter)."
            )
        )
    return value


def file_name(value: str) -> str:
    """The plain name of a PDF; the ending may be left out."""
    if _NOT_IN_FILE_NAMES.search(value) or len(value) > 200:
        raise CellError(_("Nom de fichier simple attendu, sans dossier : 2025-010-000314.pdf."))
    return value if value.lower().endswith(".pdf") else f"{value}.pdf"


def money(value: str) -> int:
    """An amount, in cents."""
    try:
        return parse_amount(value)
    except AmountError:
        raise CellError(
            _("Montant attendu en euros, deux décimales au plus : 56,87 ou 1234,56.")
        ) from None


@lru_cache(1024)
def day(value: str) -> date:
    """A date, ``25/11/2025`` or ``2025-11-25``."""
    try:
        return parse_day(value)
    except DateError:
        raise CellError(_("Date attendue sous la forme 25/11/2025 ou 2025-11-25.")) from None


def year(value: str) -> int:
    """A fiscal year."""
    if not (value.isascii() and value.isdigit() and len(value) == 4 and int(value) in YEARS):
        raise CellError(_("Exercice attendu en quatre chiffres : 2025."))
    return int(value)


def yes_no(value: str) -> bool:
    """``O`` or ``N``, ``oui`` or ``non``."""
    answer = {"o": True, "oui": True, "n": False, "non": False}.get(value.casefold())
    if answer is None:
        raise CellError(_("O ou N attendu."))
    return answer


def invoice_kind(value: str) -> InvoiceKind:
    """``facture`` or ``avoir``."""
    try:
        return InvoiceKind(value.casefold())
    except ValueError:
        raise CellError(_("« facture » ou « avoir » attendu.")) from None


def tax_kind(value: str) -> TaxKind:
    """``garde``, ``repas`` or ``autre``: never guessed, the tax certificate depends on it."""
    try:
        return TaxKind(value.casefold())
    except ValueError:
        raise CellError(_("« garde », « repas » ou « autre » attendu.")) from None


def rank(value: str) -> int:
    """A line's place in its invoice."""
    if not (value.isascii() and value.isdigit() and len(value) <= 4 and int(value) > 0):
        raise CellError(_("Rang attendu : un nombre entier, de 1 à 9999."))
    return int(value)


def quantity(value: str) -> Decimal:
    """Quantity, with at most three decimals (hours of care have some)."""
    if not _QUANTITY.match(value):
        raise CellError(_("Quantité attendue, trois décimales au plus : 16 ou 12,5."))
    return Decimal(value.replace(",", "."))


def regie(known: Iterable[RegieInfo]) -> Callable[[str], str]:
    """A reader of cash desks: the town's, by key or by label; any, if none is `known`."""
    keys = {normalise(info.label): info.key for info in known}
    keys |= {normalise(info.key): info.key for info in known}
    expected = ", ".join(sorted(set(keys.values())))

    def read(value: str) -> str:
        if not keys:
            return reference(value)
        try:
            return keys[normalise(value)]
        except KeyError:
            raise CellError(
                _("Régie inconnue de cette collectivité. Régies connues : %(keys)s.")
                % {"keys": expected}
            ) from None

    return read
