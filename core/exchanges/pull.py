"""Addresses at which the billing software fetches its exports, with the town's token.

A software that keeps the number of the last export that it read asks for what comes ``apres`` it,
and loses nothing when a connection breaks. One that keeps nothing gets what has not left yet.
"""

from __future__ import annotations

import base64
import binascii

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.exchanges.models import PaymentExport
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.web import query_params as asked

ACTOR = "billing:token"
MAX_TOKEN_CHARS = 200


@view_config(route_name="exchange_payments", request_method="GET", permission="public")
def next_export(request: Request) -> Response:
    """The next export, made now if rows wait for one; 204 when there is nothing."""
    if not _is_known(request):
        return _refusal()
    regie = _regie(request)
    given = request.GET.get("apres", "")
    after = asked.number(request, "apres")
    if given and (after is None or after >= 10**9):
        return _text(422, _("Le numéro du dernier export est un nombre entier."))
    request.ctx.audit.actor = ACTOR
    try:
        found = request.ctx.payment_exports.next(regie, after=after)
    except NotFoundError:
        # A software that counts from elsewhere would wait for ever, and nobody would know.
        return _text(409, _("Cette régie n’a pas d’export de ce numéro."))
    except UserError as error:
        return _text(422, error.message)
    if found is None:
        return Response(status=204)
    return _file(request, found)


@view_config(route_name="exchange_payments_one", request_method="GET", permission="public")
def one(request: Request) -> Response:
    """The export of a number, the same bytes for ever."""
    if not _is_known(request):
        return _refusal()
    try:
        found = request.ctx.payment_exports.numbered(
            _regie(request), int(request.matchdict["number"])
        )
    except NotFoundError:
        raise HTTPNotFound from None
    return _file(request, found)


def _file(request: Request, found: PaymentExport) -> Response:
    exports = request.ctx.payment_exports
    exports.leave(found.id, ACTOR)
    return export_response(found, exports.content(found.id))


def export_response(found: PaymentExport, content: bytes) -> Response:
    """The file of an export, with its number for programs."""
    response = Response(content)
    response.headers["Content-Type"] = found.media_type
    response.content_disposition = f'attachment; filename="{found.file_name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Preau-Export"] = str(found.number)
    response.headers["X-Preau-SHA256"] = found.sha256
    return response


def _is_known(request: Request) -> bool:
    token = _token(request.headers.get("Authorization", ""))
    return bool(token) and bool(request.ctx.exchange_tokens.opens(token))


def _token(header: str) -> str:
    """The token of a header: as such, or as the password of a software that knows no other way."""
    kind, _space, rest = header.strip().partition(" ")
    rest = rest.strip()
    if kind.lower() == "basic":
        try:
            rest = base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    elif kind.lower() != "bearer":
        return ""
    return rest if len(rest) <= MAX_TOKEN_CHARS and rest.isascii() else ""


def _regie(request: Request) -> str:
    regie: str = request.matchdict["regie"]
    if not request.town.collects(regie):
        raise HTTPNotFound
    return regie


def _refusal() -> Response:
    response = _text(401, _("Un jeton valable est nécessaire."))
    response.headers["WWW-Authenticate"] = 'Bearer realm="preau"'
    return response


def _text(status: int, words: str) -> Response:
    return Response(words, status=status, content_type="text/plain", charset="utf-8")
