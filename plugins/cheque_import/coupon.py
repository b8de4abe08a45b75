"""The coupon of an invoice, as a camera reads it: which invoice, and how much."""

from __future__ import annotations

from dataclasses import dataclass

from core.plugin import UserError
from core.plugin import gettext as _
from plugins.cheque_import.matcher.normalise import bare, check_character


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon that was read: `reference` carries its check character; `amount` is in cents."""

    regie: str
    reference: str
    amount: int


def read(text: str, *, town: str, regie: str) -> Coupon:
    """Read ``town|régie|invoice number|check character|cents``; only the number may hold a bar.

    Raises:
        UserError: it is no coupon, a misread one, or another town's or régie's.
    """
    fields = text.strip().split("|")
    number = "|".join(fields[2:-2])
    cents = fields[-1]
    if len(fields) < 5 or not number or not (cents.isascii() and cents.isdigit()):
        raise UserError(_("Ce code n’est pas celui d’un coupon de facture."))
    if check_character(bare(number)) != fields[-2]:
        raise UserError(_("Le coupon est mal lu : son caractère de contrôle est faux."))
    if fields[0] != town:
        raise UserError(_("Ce coupon est celui d’une autre collectivité."))
    if fields[1] != regie:
        raise UserError(_("Ce coupon est celui d’une autre régie : %s.") % fields[1])
    return Coupon(regie, f"{number}-{fields[-2]}", int(cents))
