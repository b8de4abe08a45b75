"""The reasons of a proposal, in words that a régisseur can defend before the comptable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from core.plugin import gettext as _
from plugins.cheque_import.matcher.evidence import Evidence, Quality
from plugins.cheque_import.matcher.snapshot import OpenInvoice


def euros(cents: int) -> str:
    """Cents as a French amount, with spaces that do not break: ``1 592,36 €``."""
    sign = "\N{MINUS SIGN}" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}{whole:,}".replace(",", " ") + f",{rest:02d} €"


def numbers(invoices: Sequence[OpenInvoice]) -> str:
    """The invoices' numbers, joined."""
    return " + ".join(invoice.number for invoice in invoices)


def identity(evidence: Evidence, family_id: int, name: int) -> list[str]:
    """Reasons for this family, and doubts about it, in words."""
    reasons = []
    for hit in evidence.hits:
        if hit.invoice.family_id == family_id:
            text = {
                Quality.CHECKED: _("La référence %s est valide (caractère de contrôle juste)."),
                Quality.EXACT: _("La référence %s désigne une facture due."),
                Quality.REPAIRED: _("La référence %(raw)s se lit sans doute %(number)s."),
            }[hit.quality]
            named = {"raw": hit.raw, "number": hit.invoice.number}
            reasons.append(text % (named if "%(" in text else hit.raw))
    for link in evidence.links:
        if link.family_id == family_id:
            reasons.append(_("Ce compte a déjà payé pour cette famille (chèque confirmé)."))
            if len(evidence.links) > 1:
                reasons.append(_("Ce compte paie aussi pour une autre famille."))
            if link.flagged:
                reasons.append(_("Un chèque de ce compte est déjà revenu impayé."))
    if any(link.family_id == family_id for link in evidence.near_links):
        reasons.append(_("À un chiffre près, ce compte est connu pour cette famille."))
    if evidence.code_family == family_id:
        reasons.append(_("Le code famille est celui-ci."))
    if evidence.beside == family_id:
        reasons.append(
            _("Cette famille seule doit aussi ce que ce compte paie à une autre régie.")
        )
    if evidence.named:
        if name >= 85:
            reasons.append(_("Le nom de l’émetteur correspond (%s sur 100).") % name)
        elif name >= 60:
            reasons.append(_("Le nom de l’émetteur ressemble (%s sur 100).") % name)
        else:
            reasons.append(_("Le nom de l’émetteur est autre que celui de la famille."))
    return reasons


def habit(scores: Mapping[str, int]) -> list[str]:
    """Reason from a family's habits, when reference, account and code say nothing.

    `scores` are the proposal's.
    """
    if not scores["habit"] or scores["reference"] or scores["account"] or scores["code"]:
        return []
    return [_("Le compte du chèque s’accorde avec les habitudes de cette famille.")]


def warnings(evidence: Evidence) -> tuple[str, ...]:
    """Problems of a cheque's references that do not depend on the family."""
    found = [
        _("Référence %(raw)s : %(reason)s") % {"raw": raw, "reason": known.reason}
        for raw, known in evidence.elsewhere
    ]
    found += [_("Référence %s inconnue.") % raw for raw in evidence.unread]
    if len({hit.invoice.family_id for hit in evidence.hits}) > 1:
        found.append(_("Les références désignent plusieurs familles."))
    return tuple(found)


def under_way(invoices: Sequence[OpenInvoice]) -> tuple[str, ...]:
    """Warnings about invoices that a parent is paying online at this moment."""
    return tuple(
        _("Un paiement en ligne est en cours pour %s.") % invoice.number
        for invoice in invoices
        if invoice.under_way
    )


def difference(amount: int, expected: int) -> str:
    """Explain why a cheque is not what the invoices owe; "" when it is."""
    gap = amount - expected
    if not gap:
        return ""
    text = _("il manque %s") % euros(-gap) if gap < 0 else _("%s de trop") % euros(gap)
    cause = slip(amount, expected)
    return f"{text} – {cause}" if cause else text


def slip(amount: int, expected: int) -> str:
    """The keying slip that would turn `expected` into `amount`, in words, or ""."""
    kind = slip_kind(amount, expected)
    if not kind:
        return ""
    text = {
        Slip.COMMA: _("virgule oubliée ? (%s attendus)"),
        Slip.SWAPPED: _("chiffres inversés ? (%s attendus)"),
        Slip.DIGIT: _("un chiffre mal lu ? (%s attendus)"),
    }[kind]
    return text % euros(expected)


class Slip(StrEnum):
    """Kind of typing mistake in an amount."""

    COMMA = "comma"
    SWAPPED = "swapped"
    DIGIT = "digit"


_ONE_DIGIT = frozenset(digit * 10**zeros for digit in range(1, 10) for zeros in range(12))


def slip_kind(amount: int, expected: int) -> Slip | None:
    """The keying slip that would turn `expected` into `amount`. Asked often: it says no quickly."""
    if amount == expected * 100 or expected == amount * 100:
        return Slip.COMMA
    gap = abs(amount - expected)
    # Two digits that change places differ by a multiple of nine; one digit, by a digit and zeros.
    if not gap or (gap % 9 and gap not in _ONE_DIGIT):
        return None
    typed, meant = str(amount), str(expected)
    if len(typed) != len(meant):
        return None
    differ = [i for i, (a, b) in enumerate(zip(typed, meant, strict=True)) if a != b]
    if len(differ) == 1:
        return Slip.DIGIT
    return Slip.SWAPPED if len(differ) == 2 and sorted(typed) == sorted(meant) else None
