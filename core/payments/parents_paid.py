"""Pages of paid invoices."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.payments.paid import by_year, table
from core.platform.web.files import download, pdf


@view_config(route_name="paid", renderer="paid.jinja2", permission="parent", reads=True)
def paid(request: Request) -> dict[str, Any]:
    """*Factures déjà payées*, year by year, with a filter by régie."""
    everything = request.ctx.paid_invoices.of(request.family_id)
    year_text = request.GET.get("annee", "")
    year = int(year_text) if year_text.isdecimal() and len(year_text) == 4 else None
    regie = request.GET.get("regie") or None
    known = {row.regie for row in everything}
    shown = by_year([row for row in everything if regie is None or row.regie == regie])
    return {
        "paid_years": [found for found in shown if year in {None, found.year}],
        "credits": [
            (request.town.regie_label(regie), cents)
            for regie, cents in request.ctx.credits.left_of(request.family_id).items()
        ],
        "credit_notes": request.ctx.invoices.credit_notes(request.family_id),
        "anything": bool(everything),
        "regies": [info for info in request.ctx.town.regies if info.key in known],
        "year": year,
        "regie": regie,
    }


@view_config(route_name="paid_year", permission="parent", reads=True)
def paid_year(request: Request) -> Response:
    """A year's list of what was paid, as CSV or PDF: all régies."""
    year = int(request.matchdict["year"])
    found = by_year(request.ctx.paid_invoices.of(request.family_id, year=year))
    if not found:
        raise HTTPNotFound
    family = request.family
    drawn = table(found[0], family.name or family.code, request.town.regie_label)
    if request.matchdict["format"] == "csv":
        return download(drawn.csv())
    return pdf(drawn.pdf(request.town.name, language=request.language))
