"""Cheques come in: a file, or typed one after another."""

from __future__ import annotations

from typing import Any

from core.plugin import UserError
from plugins.cheque_import import forms, labels
from plugins.cheque_import.readers.table import FIELDS
from plugins.cheque_import.views.office import Office, or_again, see

_TYPED_SHOWN = 10


def upload(request: Any) -> dict[str, Any]:
    """The page to send a file, and to name the columns of the town's own spreadsheet."""
    office = Office(request)
    return {
        "regies": office.regies, "regie": office.regie(request), "fields": FIELDS,
        "layout": office.intake.layout(), "done": None, "typed": request.POST, "labels": labels,
        "error": "",
    }  # fmt: skip


@or_again(upload)
def post_upload(request: Any) -> Any:
    """Import a file, all or nothing; or save the columns."""
    office = Office(request)
    regie, form = office.regie(request), request.POST
    if forms.text(form, "action") == "colonnes":
        office.intake.save_layout({field: forms.text(form, f"col_{field}") for field in FIELDS})
        return see(request, "upload", _query={"regie": regie})
    name, content = forms.upload(form, "fichier")
    done = office.intake.import_file(
        name, content, regie=regie, actor=office.actor, slip=forms.text(form, "remise"),
        right_lines=bool(forms.text(form, "justes")), **forms.controls(form),
    )  # fmt: skip
    if done.problems:
        request.response.status_int = 422
    else:
        office.matching.rematch(regie)
        office.matching.tell_others(regie)
    return {**upload(request), "done": done}


def entry(request: Any) -> dict[str, Any]:
    """The page to type cheques, one after another, in a sitting."""
    office = Office(request)
    regie = office.regie(request)
    name = str(request.params.get("remise", "")).strip()
    batch = office.intake.find_sitting(regie, name) if name else None
    return {
        "regies": office.regies, "regie": regie, "name": name, "batch": batch,
        "pile": office.overview.pile(batch) if batch else None,
        "rows": office.overview.typed(batch, _TYPED_SHOWN) if batch else (),
        "typed": request.POST, "focus": "coupon", "coupon": None, "error": "",
    }  # fmt: skip


def post_entry(request: Any) -> Any:
    """Store one typed cheque, and be ready for the next.

    A scanner ends each line with Enter, which sends the form: after a coupon alone the page comes
    back for the cheque, and after a cheque's line alone for its amount.
    """
    office = Office(request)
    regie, form = office.regie(request), request.POST
    try:
        batch = office.intake.sitting(
            regie, actor=office.actor, name=forms.text(form, "remise"), **forms.controls(form)
        )
        if forms.text(form, "action") != "ouvrir":
            wanted = forms.still_wanted(form)
            coupon = forms.scanned_coupon(form, town=office.ctx.town.slug, regie=regie)
            if wanted:
                return {**entry(request), "focus": wanted, "coupon": coupon}
            record = forms.typed_cheque(form, coupon)
            office.intake.enter(batch, record, actor=office.actor)
    except UserError as refusal:
        request.response.status_int = 422
        focus = getattr(refusal, "field", "cmc7")
        return {**entry(request), "error": refusal.message, "focus": focus}
    return see(request, "entry", _query={"regie": regie, "remise": batch.file_name})
