"""Views of PayFiP: the notification, and the comparison of PayFiP's journal with Préau."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from core.plugin import gettext as _
from plugins.payfip.hints import MAX_HINT_BYTES, hinted
from plugins.payfip.journal import describe
from plugins.payfip.reconciling import reconcile

KEY = "payfip"
MAX_JOURNAL_BYTES = 10_000_000
"""Bytes: a year of a large town's journal is a tenth of it."""


def notification(request: Request) -> Response:
    """Take ``idOp=<id>`` as a hint that it is worth asking, and nothing else.

    Anyone may send it, so nothing in it is believed: a known idOp is asked after outside this
    request, at most once however often it is repeated; an unknown one costs a look-up. The answer
    is always the same, so that it tells a stranger nothing, and PayFiP never insists.
    """
    for id_op in hinted(request.query_string, request.body_file.read(MAX_HINT_BYTES)):
        request.ctx.payments.ask_again(KEY, id_op)
    return Response(status=200, body=b"", content_type="text/plain")


def journal_page(_request: Request) -> dict[str, Any]:
    """The form."""
    return {"error": "", "found": None, "describe": describe}


def journal(request: Request) -> dict[str, Any]:
    """Compare the journal that was sent. Nothing is stored and nothing is changed."""
    upload = request.POST.get("journal")
    content = upload.file.read(MAX_JOURNAL_BYTES + 1) if hasattr(upload, "file") else b""
    error = ""
    if not content:
        error = _("Choisissez le fichier du journal.")
    elif len(content) > MAX_JOURNAL_BYTES:
        error = _("Ce fichier est trop gros pour être un journal.")
    if error:
        request.response.status_int = 422
        return {"error": error, "found": None, "describe": describe}
    found = reconcile(request.ctx, content, upload.filename)
    if not found.lines:
        request.response.status_int = 422
    return {"error": "", "found": found, "describe": describe}
