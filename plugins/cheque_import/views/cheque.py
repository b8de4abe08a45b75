"""One cheque: its proposals, a split by hand, its history, and every decision about it."""

from __future__ import annotations

from typing import Any

from core.plugin import UserError
from core.plugin import gettext as _
from plugins.cheque_import import forms, labels
from plugins.cheque_import.models import PENDING, Cheque, ChequeState
from plugins.cheque_import.views.office import Office, or_again, see


def cheque(request: Any) -> dict[str, Any]:
    """A cheque with its ranked proposals, its history, and a family searched by hand."""
    office = Office(request)
    row = office.cheque(request)
    search = str(request.params.get("famille", "")).strip()
    families = office.overview.search(search) if search else []
    chosen = families[0] if len(families) == 1 else None
    return {
        "cheque": row, "proposals": office.overview.proposals(row),
        "history": office.overview.history(row), "posted": office.overview.posted(row),
        "search": search, "families": families,
        "chosen": chosen, "parts": office.overview.parts(row, chosen) if chosen else [],
        "following": office.overview.following(row),
        "waiting": office.overview.counts(row.regie).get(ChequeState.REVIEW, (0, 0))[0],
        "pending": row.state in {*PENDING, ChequeState.TO_CLASSIFY}, "labels": labels,
        "error": "",
    }  # fmt: skip


@or_again(cheque)
def post_cheque(request: Any) -> Any:
    """Decide on one cheque, then go on to the next one."""
    office = Office(request)
    row = office.cheque(request)
    stays = _decide(office, row, request.POST)
    if stays:
        office.matching.rematch(row.regie)
        office.matching.tell_others(row.regie, {row.account})
        return see(request, "cheque", id=row.id)
    following = office.overview.following(row)
    if following is None:
        return see(request, "queue", _query={"regie": row.regie})
    return see(request, "cheque", id=following)


def _decide(office: Office, row: Cheque, form: Any) -> bool:
    """Do what the button says; tells whether this cheque is to be looked at again."""
    desk, why = office.desk, forms.text(form, "pourquoi")
    keep = forms.text(form, "avoir") == "oui"
    match forms.text(form, "action"):
        case "accepter":
            rank = forms.whole(forms.text(form, "proposition") or "1", _("Proposition"))
            desk.accept(row.id, rank, keep_excess=keep)
        case "repartir":
            family = forms.whole(forms.text(form, "famille_id"), _("Famille"))
            desk.split(row.id, family, forms.shares(form), keep_excess=keep)
        case "classer":
            desk.classify(row.id, why)
        case "rendre":
            desk.give_back(row.id, why)
        case "impaye":
            desk.bounce(row.id, forms.text(form, "motif"), why)
        case "corriger":
            desk.correct(row.id, forms.cents(forms.text(form, "montant"), _("Montant")))
            return True
        case "annuler":
            desk.undo(row.id, why)
            return True
        case "representer":
            desk.represent(row.id, why)
            return True
        case _:
            raise UserError(_("Choisissez une action."))
    return False
