"""Parts that the office's lists share: filters in the address, totals, and files of all rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response

from core.platform.db import paging
from core.platform.db.paging import Page
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Table
from core.platform.templating import quantity
from core.platform.web import query_params as asked
from core.platform.web.files import download

EXPORTED_ROWS = 20_000
"""Rows that a file of a list holds: what is longer is to be narrowed, or taken from the books."""
NO_FAMILY = 0
"""The id of no family: for a code that is nobody's."""


def filters(request: Request) -> dict[str, Any]:
    """Régie, days, amounts and family of the address, as every list is asked for them."""
    code = asked.word(request, "famille")
    family = request.ctx.families.by_code(code) if code else None
    return {
        "regie": asked.word(request, "regie", request.town.file.regies),
        "since": asked.day(request, "du"),
        "until": asked.day(request, "au"),
        "least": asked.amount(request, "min"),
        "most": asked.amount(request, "max"),
        "family_id": (family.id if family else NO_FAMILY) if code else None,
    }


def for_page(request: Request, page: Page, route: str, *, at: str = "") -> dict[str, Any]:
    """For a list's page: its rows, the pager, what the fields hold, where its files are.

    `route` is that of the files; `at` that of the page, where another address may answer with it.
    """
    query = {name: value for name, value in request.GET.items() if name != "avant" and value}
    return {
        "rows": page.rows,
        "typed": request.GET,
        "most_summed": paging.MAX_SUMMED,
        "regie_choices": [(one.key, one.label) for one in request.ctx.town.regies],
        "files": {
            kind: request.route_path(route, format=kind, _query=query) for kind in ("csv", "xlsx")
        },
        **asked.pages(request, page.more, at=at),
    }


def as_file(
    request: Request,
    read: Callable[[int], Page],
    write: Callable[[Any], Table],
    most: int = 0,
) -> Response:
    """All rows of a list as a file; one that is too long leads back to its page, with a word.

    `most` rows, if the list may have more than others (`EXPORTED_ROWS`).
    """
    limit = most or EXPORTED_ROWS
    page = read(limit)
    if page.more is not None:
        words = _("Cette liste dépasse %(most)s lignes : filtrez-la avant de l’exporter.")
        request.session.flash(words % {"most": quantity(limit)}, "error")
        route = request.matched_route.name.removesuffix("_file")
        return HTTPSeeOther(location=request.route_path(route, _query=request.GET))
    table = write(page.rows)
    return download(table.csv() if request.matchdict["format"] == "csv" else table.xlsx())
