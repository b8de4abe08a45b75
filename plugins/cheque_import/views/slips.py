"""Cheques go out: the deposit slips and their files."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound

from core.plugin import Document, UserError
from plugins.cheque_import import forms
from plugins.cheque_import.models import ChequeDeposit
from plugins.cheque_import.slips import name_of
from plugins.cheque_import.views.office import Office, or_again, see


def slips(request: Any) -> dict[str, Any]:
    """The slips, and what the next one would hold."""
    office = Office(request)
    regie = office.regie(request)
    ready = office.slips.ready(regie)
    return {
        "regies": office.regies, "regie": regie, "ready": ready,
        "total": sum(row.amount for row in ready), "typed": request.POST,
        "slips": [(slip, name_of(slip)) for slip in office.slips.all()], "error": "",
    }  # fmt: skip


@or_again(slips)
def post_slips(request: Any) -> Any:
    """Freeze a slip over what is ready."""
    office = Office(request)
    regie = office.regie(request)
    office.slips.make(regie, **forms.controls(request.POST))
    return see(request, "slips", _query={"regie": regie})


def slip_file(request: Any) -> Any:
    """A slip as PDF, XLSX or CSV."""
    office = Office(request)
    slip = _slip(office, request)
    made = {
        "pdf": office.slips.pdf, "xlsx": office.slips.xlsx, "csv": office.slips.csv,
    }[request.matchdict["kind"]]  # fmt: skip
    return _download(request, made(slip))


@or_again(slips)
def slip_for_bank(request: Any) -> Any:
    """A slip as TLMC 320, made with the cheque reader's file that is sent along."""
    office = Office(request)
    slip = _slip(office, request)
    _name, content = forms.upload(request.POST, "fichier")
    return _download(request, office.slips.tlmc(slip, [content], office.hasher))


def _slip(office: Office, request: Any) -> ChequeDeposit:
    try:
        return office.slips.get(int(request.matchdict["id"]))
    except UserError:
        raise HTTPNotFound from None


def _download(request: Any, document: Document) -> Any:
    response = request.response
    response.content_type = document.media_type
    response.content_disposition = f'attachment; filename="{document.name}"'
    response.body = document.content
    return response
