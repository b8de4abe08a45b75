"""Problems that no invoice source may let through, whoever wrote it, in words for the agent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from core.api.invoices import (
    InvoiceKind,
    InvoiceRecord,
    LineRecord,
    SourceNotice,
    SourceProblem,
)
from core.platform.i18n import gettext as _

MAX_CENTS = 10**9
"""Cents of one invoice or line: ten million euros, a thousand times the dearest of a canteen."""
MAX_LINES = 1000
NUMBER_CHARACTERS = 100
TEXT_CHARACTERS = 500
ADDRESS_LINES = 10

_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
_PATH = re.compile(r"(^|[/\\])\.{1,2}([/\\]|$)")
"""A step to another folder: no number of an invoice, and a name of a file in some tool."""

Fault = tuple[str, str, object]
"""A sentence, the column that it concerns, and what stood there."""


def faults(record: InvoiceRecord) -> Iterator[Fault]:
    """Everything about a record that the accounts, its pages or its papers could not bear."""
    yield from _amount_faults(record)
    if record.due_on < record.issued_on:
        yield _("L’échéance précède la date de facture."), "date_echeance", record.due_on
    for column, value in _names(record):
        yield from _text_faults(column, value, NUMBER_CHARACTERS)
        if _PATH.search(value):
            yield _("Ce numéro contient un chemin de fichier."), column, value
    for column, value in _texts(record):
        yield from _text_faults(column, value, TEXT_CHARACTERS)
    if len(record.address) > ADDRESS_LINES:
        yield _("Adresse de plus de %(limit)s lignes.") % {"limit": ADDRESS_LINES}, "adresse", ""
    if len(record.lines) > MAX_LINES:
        words = _("Plus de %(limit)s lignes pour une facture.") % {"limit": MAX_LINES}
        yield words, "numero", record.number
    elif len({line.rank for line in record.lines}) < len(record.lines):
        yield _("Deux lignes de la facture ont le même rang."), "rang", record.number


def _amount_faults(record: InvoiceRecord) -> Iterator[Fault]:
    cents = (record.amount, *(line.amount for line in record.lines))
    prices = (line.unit_price for line in record.lines if line.unit_price is not None)
    if any(abs(one) > MAX_CENTS for one in (*cents, *prices)):
        # Not quoted: it may have a million digits.
        yield _("Ce montant est trop grand pour une facture."), "montant", ""
    elif record.amount <= 0 and record.kind is InvoiceKind.INVOICE:
        yield _("Le montant d’une facture est supérieur à zéro."), "montant", record.amount
    elif record.amount > 0 and record.kind is InvoiceKind.CREDIT_NOTE:
        yield _("Le montant d’un avoir est négatif."), "montant", record.amount
    if not all(_is_count(line.quantity) for line in record.lines):
        yield _("Cette quantité n’est pas un nombre d’unités."), "quantite", ""


def _is_count(quantity: Decimal | None) -> bool:
    return quantity is None or (quantity.is_finite() and abs(quantity) < MAX_CENTS)


def _names(record: InvoiceRecord) -> Iterator[tuple[str, str]]:
    yield "numero", record.number
    yield "code_famille", record.family_code
    yield "regie", record.regie
    yield "ref_tipi", record.payment_reference
    yield "facture_origine", record.origin_number


def _texts(record: InvoiceRecord) -> Iterator[tuple[str, str]]:
    yield "libelle", record.label
    yield "debiteur", record.debtor
    for line in record.address:
        yield "adresse", line
    for position in record.lines[:MAX_LINES]:
        yield from _line_texts(position)


def _line_texts(line: LineRecord) -> Iterator[tuple[str, str]]:
    yield "activite", line.activity
    yield "enfant", line.child


def _text_faults(column: str, value: str, most: int) -> Iterator[Fault]:
    if len(value) > most:
        yield _("%(limit)s caractères au plus.") % {"limit": most}, column, value
    elif not value.isprintable() and any(unicodedata.category(one) in _UNSEEN for one in value):
        words = _("Ce texte contient des caractères invisibles ou un retour à la ligne.")
        yield words, column, value


Q = TypeVar("Q", SourceProblem, SourceNotice)


def quotable(item: Q) -> Q:
    """The same problem or notice, fit to be stored and shown, whatever it quotes."""
    if all(map(str.isprintable, (item.message, item.file, item.column, item.value))):
        return item
    return replace(
        item,
        message=_visible(item.message),
        file=_visible(item.file),
        column=_visible(item.column),
        value=_visible(item.value),
    )


def _visible(text: str) -> str:
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _UNSEEN else one for one in text
    )
