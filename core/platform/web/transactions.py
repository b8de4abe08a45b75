"""One transaction a request: committed when the answer is good, rolled back otherwise."""

from __future__ import annotations

from collections.abc import Callable

from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response

from core.platform.web.reading import mark_position


def transaction_tween(
    handler: Callable[[Request], Response], _registry: Registry
) -> Callable[[Request], Response]:
    """Commit below 400, roll back on an error answer or an exception.

    Inside the exception views, so that a commit that fails shows an error page, never a success.
    """

    def tween(request: Request) -> Response:
        try:
            response = handler(request)
            if request.ctx is not None:
                if response.status_int < 400:
                    request.ctx.session.commit()
                else:
                    request.ctx.session.rollback()
        except BaseException:
            if request.ctx is not None:
                request.ctx.session.rollback()
                # A view may have committed before it failed.
                mark_position(request)
            raise
        if request.ctx is not None:
            mark_position(request)
        return response

    return tween
