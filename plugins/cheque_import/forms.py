"""What agents type, read from a posted form. Whatever cannot be read is a `UserError` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.plugin import AmountError, UserError, parse_amount
from core.plugin import gettext as _
from plugins.cheque_import import coupon
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
        raise UserError(_("%s : un nombre entier est attendu.") % what)
    return int(value)


def cents(value: str, what: str) -> int:
    """An amount in euros, as cents."""
    try:
        return parse_amount(value)
    except AmountError:
        raise UserError(_("%s : un montant est attendu, comme 56,87.") % what) from None


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


def typed_cheque(form: Mapping[str, Any], *, town: str, regie: str) -> ChequeRecord:
    """One cheque of the entry form: a coupon and a magnetic line when they were scanned."""
    cells = {name: text(form, name) for name in _TYPED}
    scanned = text(form, "coupon")
    if scanned:
        read = coupon.read(scanned, town=town, regie=regie)
        cells["ref"] = f"{cells['ref']} {read.reference}".strip()
        cells["montant"] = cells["montant"] or f"{read.amount // 100},{read.amount % 100:02d}"
    found = read_row({**cells, "remise": "-", "rang": "1"}, file="", line=0)
    if isinstance(found, ChequeProblem):
        label = _TYPED.get(found.column, found.column)
        raise UserError(f"{label} : {found.message}")
    return found


_TYPED = {
    "cmc7": "Ligne CMC7", "cle": "Clé", "cheque": "Numéro du chèque", "montant": "Montant",
    "emetteur": "Émetteur", "banque": "Banque", "ref": "Références", "code_famille": "Code famille",
    "date_cheque": "Date du chèque", "observations": "Observations",
}  # fmt: skip


def shares(form: Mapping[str, Any]) -> list[tuple[int, int]]:
    """The parts typed beside a family's invoices: fields ``part_<invoice id>``."""
    found = []
    for name in form:
        if name.startswith("part_") and text(form, name):
            amount = cents(text(form, name), _("Part"))
            if amount:
                found.append((whole(name.removeprefix("part_"), _("Facture")), amount))
    return found
