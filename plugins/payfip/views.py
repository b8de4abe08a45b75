"""Where PayFiP knocks: the one address that it calls by itself."""

from __future__ import annotations

import re
from typing import Any

from pyramid.request import Request
from pyramid.response import Response

KEY = "payfip"
_ID_OP = re.compile(r"[0-9A-Za-z-]{8,64}")


def notification(request: Request) -> Response:
    """Take ``idOp=<id>`` as a hint that it is worth asking, and nothing else.

    Anyone may send it, so nothing in it is believed: a known idOp is asked after outside this
    request, at most once however often it is repeated; an unknown one costs a look-up. The answer
    is always the same, so that it tells a stranger nothing, and PayFiP never insists.
    """
    id_op = _id_op(request.POST)
    if id_op:
        request.ctx.payments.ask_again(KEY, id_op)
    return Response(status=200, body=b"", content_type="text/plain")


def _id_op(form: Any) -> str:
    """The idOp of a form; its spelling varies (``idop``, ``idOp``), its shape does not."""
    for name, value in form.items():
        if name.lower() == "idop" and isinstance(value, str) and _ID_OP.fullmatch(value):
            return value
    return ""
