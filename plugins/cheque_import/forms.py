"""Entries of agents, read from a posted form. Whatever cannot be read is a `UserError` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.plugin import AmountError, UserError, decimal_text, parse_amount
from core.plugin import gettext as _
from plugins.cheque_import import coupon, labels
from plugins.cheque_import.readers.table import read_row
from plugins.cheque_import.records import ChequeProblem, ChequeRecord

UPLOAD_LIMIT = 20 * 1024 * 1024


def text(form: Mapping[str, Any], name: str) -> str:
    """The text of a field, "" when it is missing or a file."""
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def whole(value: str, what: str) -> int:
    """A whole number of a form or address."""
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise UserError(_("%s : un nombre entier est attendu.") % what)
    return int(value)


def cents(value: str, what: str) -> int:
    """An amount in euros, as cents."""
    try:
        return parse_amount(value)
    except AmountError:
        raise UserError(_("%s : un montant est attendu, comme 56,87.") % what) from None


def controls(form: Mapping[str, Any]) -> dict[str, int | None]:
    """The control count and total of a slip, each None when it is not given."""
    count, total = text(form, "nombre"), text(form, "total")
    return {
        "control_count": whole(count, _("Nombre de chèques")) if count else None,
        "control_total": cents(total, _("Total de contrôle")) if total else None,
    }


def upload(form: Mapping[str, Any], name: str) -> tuple[str, bytes]:
    """The name and content of a file that was sent."""
    field: Any = form.get(name)
    if not hasattr(field, "file") or not field.filename:
        raise UserError(_("Choisissez un fichier."))
    content = field.file.read(UPLOAD_LIMIT + 1)
    return str(field.filename).replace("\\", "/").rsplit("/", 1)[-1], content


class RefusedFieldError(UserError):
    """Refusal of the text typed in `field`; the page comes back with the cursor there."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def still_wanted(form: Mapping[str, Any]) -> str:
    """The field to go on with, when a scanner sent the form before it was full; "" when it is.

    A coupon brings invoice and amount, so the cheque is missing; a cheque alone, its amount.
    """
    cheque = text(form, "cmc7") or text(form, "cheque")
    if text(form, "coupon") and not cheque:
        return "cmc7"
    if cheque and not text(form, "montant") and not text(form, "coupon"):
        return "montant"
    return ""


def scanned_coupon(form: Mapping[str, Any], *, town: str, regie: str) -> coupon.Coupon | None:
    """The coupon of the entry form, when one was scanned.

    Raises:
        RefusedFieldError: it is no coupon of this régie.
    """
    scanned = text(form, "coupon")
    if not scanned:
        return None
    try:
        return coupon.read(scanned, town=town, regie=regie)
    except UserError as refusal:
        raise RefusedFieldError(refusal.message, "coupon") from None


def typed_cheque(form: Mapping[str, Any], scanned: coupon.Coupon | None) -> ChequeRecord:
    """One cheque of the entry form, with what its coupon says.

    Raises:
        RefusedFieldError: a field cannot be read.
    """
    cells = {name: text(form, name) for name in _TYPED}
    if scanned is not None:
        cells["ref"] = f"{cells['ref']} {scanned.reference}".strip()
        cells["montant"] = cells["montant"] or decimal_text(scanned.amount)
    found = read_row({**cells, "remise": "-", "rang": "1"}, file="", line=0)
    if isinstance(found, ChequeProblem):
        # The page has one field for the whole magnetic line.
        field = "cmc7" if found.column in {"z3", "z2"} else found.column
        message = _("%(field)s : %(problem)s") % {
            "field": labels.field(field),
            "problem": found.message,
        }
        raise RefusedFieldError(message, field)
    return found


_TYPED = (
    "cmc7", "cle", "cheque", "montant", "emetteur", "banque", "ref", "code_famille", "date_cheque",
    "observations",
)  # fmt: skip


def shares(form: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The parts typed beside a family's invoices: fields ``part_<invoice id>``."""
    found = []
    for name in form:
        if name.startswith("part_") and text(form, name):
            amount = cents(text(form, name), _("Part"))
            if amount:
                found.append((whole(name.removeprefix("part_"), _("Facture")), amount))
    return found
