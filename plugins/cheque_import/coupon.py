"""The coupon of an invoice, as a camera reads it: which invoice, and how much."""

from __future__ import annotations

from dataclasses import dataclass

from core.plugin import UserError
from core.plugin import gettext as _
from plugins.cheque_import import cmc7, keyboard
from plugins.cheque_import.matcher.normalise import bare, check_character


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon that was read: `reference` carries its check character; `amount` is in cents."""

    regie: str
    reference: str
    amount: int


def read(text: str, *, town: str, regie: str) -> Coupon:
    """Read ``town|régie|invoice number|check character|cents``; only the number may hold a bar.

    A scanner whose keyboard layout is not the machine's is understood, or named.

    Raises:
        UserError: it is no coupon, a misread one, or another town's or régie's.
    """
    if keyboard.wrong_layout(text):
        try:
            return _read(keyboard.meant(text), town=town, regie=regie, unwritten="~")
        except UserError as refusal:
            raise UserError(f"{refusal.message} {cmc7.layout_hint()}") from None
    return _read(text, town=town, regie=regie)


def _read(text: str, *, town: str, regie: str, unwritten: str = "") -> Coupon:
    """`unwritten`: the check character that the machine wrote nothing for."""
    fields = text.strip().split("|")
    number = "|".join(fields[2:-2])
    cents = fields[-1]
    if len(fields) < 5 or not number or not (cents.isascii() and cents.isdigit()):
        raise UserError(_("Ce code n’est pas celui d’un coupon de facture."))
    check = fields[-2] or unwritten
    if check_character(bare(number)) != check:
        raise UserError(_("Le coupon est mal lu : son caractère de contrôle est faux."))
    if fields[0] != town:
        raise UserError(_("Ce coupon est celui d’une autre collectivité."))
    if fields[1] != regie:
        raise UserError(_("Ce coupon est celui d’une autre régie : %s.") % fields[1])
    return Coupon(regie, f"{number}-{check}", int(cents))
