"""Time in which a cheque may be presented, and problems of the paper itself."""

from __future__ import annotations

from datetime import date, timedelta

from core.plugin import gettext as _
from plugins.cheque_import.cmc7 import KeyState
from plugins.cheque_import.models import Cheque

_VALID_DAYS = 8
FAR = timedelta(days=366)
"""A date further ahead was misread: nobody post-dates a cheque so far."""


def expires_on(drawn_on: date) -> date:
    """The last day a cheque may be presented: one year and eight days after its date."""
    try:
        year_later = drawn_on.replace(year=drawn_on.year + 1)
    except ValueError:  # 29 February
        year_later = date(drawn_on.year + 1, 3, 1)
    return year_later + timedelta(days=_VALID_DAYS)


def blockers(
    cheque: Cheque, today: date, *, twin: bool, again: bool = False
) -> tuple[str, ...]:
    """Reasons why a person must see this cheque, whatever it matches.

    `twin`, and `again` with one digit misread: it was perhaps scanned twice.
    """
    found = []
    if twin:
        found.append(_("Un autre chèque a ce numéro et ce montant : lu deux fois ?"))
    if again:
        found.append(
            _("Un autre chèque ne s’en distingue que par un chiffre du numéro : le même, mal lu ?")
        )
    if cheque.attempt:
        found.append(_("Une imputation de ce chèque a déjà été annulée."))
    if cheque.drawn_on is not None:
        if expires_on(cheque.drawn_on) < today:
            found.append(_("Chèque périmé : plus d’un an et huit jours."))
        elif cheque.drawn_on > today + FAR:
            found.append(
                _("Daté du %s, à plus d’un an : bien lu ?") % f"{cheque.drawn_on:%d/%m/%Y}"
            )
        elif cheque.drawn_on > today:
            found.append(_("Chèque postdaté du %s.") % f"{cheque.drawn_on:%d/%m/%Y}")
    return tuple(found)


def notes(cheque: Cheque) -> tuple[str, ...]:
    """Remarks about the paper for a person; they stop nothing.

    A line whose key is false hides its account only: a coupon still says what it says.
    """
    if cheque.rlmc == KeyState.BAD:
        return (_("La clé RLMC est fausse : la ligne magnétique est mal lue."),)
    return ()


def refusal(cheque: Cheque, today: date, *, hold_post_dated: bool) -> str:
    """Reason why the cheque cannot be posted today; "" when its date allows it."""
    if cheque.drawn_on is None:
        return ""
    if cheque.deposit_id is None and expires_on(cheque.drawn_on) < today:
        return _("Ce chèque est périmé (plus d’un an et huit jours) : rendez-le au payeur.")
    # Further ahead it is misread: who accepts it has looked at the paper.
    if today < cheque.drawn_on <= today + FAR and hold_post_dated:
        return _("Ce chèque est postdaté : il se traite à partir du %s.") % (
            f"{cheque.drawn_on:%d/%m/%Y}"
        )
    return ""
