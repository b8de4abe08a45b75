"""Layouts: a régie shows its program's own list once, says which column is what, and keeps it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.domain.tabular.rows import TableError, title
from core.imports.format.mapped import (
    AMOUNTS,
    COLUMNS,
    DATES,
    MAX_BYTES,
    NEVER_CONSTANT,
    InvoiceLayout,
    titles_of,
)
from core.imports.layouts import INVOICES
from core.platform.i18n import gettext as _

T = "office"
MAX_TITLES = 200
MAX_VALUE_CHARACTERS = 200


@view_config(
    route_name="office_layouts", request_method="GET", renderer=f"{T}/layouts.jinja2",
    permission="office",
)  # fmt: skip
def layouts(request: Request) -> dict[str, Any]:
    """The layouts that are kept, and the form to make one."""
    return _page(request)


@view_config(
    route_name="office_layouts", request_method="POST", renderer=f"{T}/layouts.jinja2",
    permission="office",
)  # fmt: skip
def act(request: Request) -> dict[str, Any] | Response:
    """Read the titles of a file, keep a layout, or forget one."""
    action = request.POST.get("action", "")
    try:
        if action == "remove":
            request.ctx.layouts.remove(INVOICES, _text(request, "name"))
            message = _("Le modèle est supprimé. Ce qu’il a importé reste.")
        elif action == "keep":
            _keep(request)
            message = _("Le modèle est enregistré : choisissez-le à la page Imports.")
        else:
            return _page(request, titles=_titles(request))
    except UserError as error:
        request.response.status_int = 422
        return _page(request, titles=_sent_titles(request), error=error.message)
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_layouts"))


def _titles(request: Request) -> list[str]:
    given = request.POST.get("file")
    if not hasattr(given, "file"):
        raise UserError(_("Choisissez un fichier."))
    with given.file:
        content = given.file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(_("Ce fichier est trop grand."))
    try:
        return titles_of(content)[:MAX_TITLES]
    except TableError:
        raise UserError(_("Ce fichier est illisible ou abîmé.")) from None


def _sent_titles(request: Request) -> list[str]:
    sent = request.POST.getall("title")[:MAX_TITLES]
    return [text[:MAX_VALUE_CHARACTERS] for text in sent if isinstance(text, str)]


def _keep(request: Request) -> None:
    name = _text(request, "name")
    if not name:
        raise UserError(_("Donnez un nom au modèle, comme celui du logiciel."))
    known = {title(text) for text in _sent_titles(request)}
    titles = {column: _text(request, f"titre-{column}") for column in COLUMNS}
    titles = {column: text for column, text in titles.items() if text in known and text}
    constants = {
        column: text
        for column in COLUMNS
        if column not in titles and column not in NEVER_CONSTANT
        and (text := _text(request, f"valeur-{column}"))
    }  # fmt: skip
    amounts, dates = _text(request, "amounts"), _text(request, "dates")
    words = _text(request, "leave_out").split(",")
    settings = {
        "titles": titles,
        "constants": constants,
        "amounts": amounts if amounts in AMOUNTS else AMOUNTS[0],
        "dates": dates if dates in DATES else DATES[0],
        "leave_out": [word.strip() for word in words if word.strip()],
    }
    missing = InvoiceLayout.of(settings).missing
    if missing:
        raise UserError(
            _("Indiquez une colonne ou une valeur pour : %(names)s.")
            % {"names": ", ".join(missing)}
        )
    request.ctx.layouts.keep(INVOICES, name, settings)


def _text(request: Request, name: str) -> str:
    value = request.POST.get(name, "")
    return value.strip()[:MAX_VALUE_CHARACTERS] if isinstance(value, str) else ""


def _page(request: Request, *, titles: list[str] | None = None, error: str = "") -> dict[str, Any]:
    sent = {key: value for key, value in request.POST.items() if isinstance(value, str)}
    typed = defaultdict(str, sent)
    names = {title(text): text for text in reversed(titles or [])}
    # A title that is the column's own name is proposed; nothing else is guessed.
    chosen = {
        column: sent.get(f"titre-{column}", column if column in names else "")
        for column in COLUMNS
    }
    return {
        "layouts": request.ctx.layouts.all(INVOICES),
        "titles": titles or [],
        "names": dict(reversed(names.items())),
        "columns": COLUMNS,
        "never_constant": NEVER_CONSTANT,
        "chosen": chosen,
        "typed": typed,
        "amount_forms": {
            "house": "1 234,56", "thousands_dot": "1.234,56", "thousands_comma": "1,234.56",
            "cents": _("centimes entiers : 123456"),
        },
        "date_forms": {
            "house": "25/11/2026, 2026-11-25", "short": "25/11/26, 25.11.2026",
            "compact": "20261125", "month_first": "11/25/2026",
        },
        "error": error,
    }  # fmt: skip
