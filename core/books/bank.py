"""Holding the account's statement against what was paid online."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.books.office import asked_period, period_query
from core.domain.bank import (
    Column,
    Layout,
    StatementError,
    StatementFault,
    read_statement,
    statement_columns,
)
from core.domain.statements.table import FIELDS
from core.imports.layouts import BANK
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Table
from core.platform.web.columns import chosen_columns, sent_columns, shown_columns
from core.platform.web.files import download

T = "office"
MAX_UPLOAD_BYTES = 5 * 1024 * 1024


@view_config(
    route_name="office_bank", request_method="GET", renderer=f"{T}/bank.jinja2", permission="office"
)
def bank(request: Request) -> dict[str, Any]:
    """Page of the money that the account should have received, and the form for its statement."""
    return _page(request, _table(request, b""))


@view_config(
    route_name="office_bank",
    request_method="POST",
    renderer=f"{T}/bank.jinja2",
    permission="office",
)
def compare(request: Request) -> dict[str, Any] | Response:
    """Both sides, on the page or as a file. The statement is read and not kept.

    Or read its columns, keep which is what for this régie, or forget that.
    """
    kind = request.POST.get("as", "")
    columns: list[Column] = []
    try:
        if kind in {"keep", "forget"}:
            return _layout(request, kind)
        content = _given(request)
        if kind == "columns":
            columns = _columns(content)
            table = _table(request, b"")
        else:
            table = _table(request, content)
    except UserError as error:
        request.response.status_int = 422
        return _page(request, _table(request, b""), error.message, columns=sent_columns(request))
    if columns:
        return _page(request, table, columns=columns)
    if kind == "pdf":
        return download(table.pdf(request.town.name, language=request.language))
    if kind in {"csv", "xlsx"}:
        return download(table.csv() if kind == "csv" else table.xlsx())
    return _page(request, table)


def _given(request: Request) -> bytes:
    given = request.POST.get("file")
    if not hasattr(given, "file"):
        raise UserError(_("Choisissez le relevé du compte."))
    with given.file:
        content: bytes = given.file.read(MAX_UPLOAD_BYTES + 1)
    if not content:
        raise UserError(_("Choisissez le relevé du compte."))
    if len(content) > MAX_UPLOAD_BYTES:
        raise UserError(_("Ce relevé est trop grand : prenez un seul mois."))
    return content


def _columns(content: bytes) -> list[Column]:
    try:
        columns = statement_columns(content)
    except StatementError as error:
        raise UserError(refusal(error)) from None
    return shown_columns(columns)


def _layout(request: Request, kind: str) -> Response:
    period = asked_period(request)
    if kind == "forget":
        request.ctx.layouts.remove(BANK, period.regie)
        message = _("Les colonnes de ce relevé sont oubliées.")
    else:
        chosen = chosen_columns(request, FIELDS)
        twice = len(set(chosen.values())) < len(chosen)
        if Layout.of(chosen) is None or twice or ("side" in chosen and "amount" not in chosen):
            raise UserError(
                _("Indiquez la colonne de la date, et celle du montant (ou celles du débit et du "
                  "crédit). Une colonne ne sert qu’une fois.")
            )  # fmt: skip
        request.ctx.layouts.keep(BANK, period.regie, chosen)
        message = _("Les colonnes sont gardées pour les relevés de cette régie.")
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_bank", _query=period_query(period)))


def _table(request: Request, content: bytes) -> Table:
    period = asked_period(request)
    kept = request.ctx.layouts.find(BANK, period.regie) if content else None
    try:
        credits_ = read_statement(content, Layout.of(kept) if kept else None) if content else []
    except StatementError as error:
        raise UserError(refusal(error)) from None
    label = request.town.regie_label(period.regie)
    table: Table = request.ctx.accounts.matching.table(label, period, credits_)
    return table


def _page(
    request: Request, table: Table, error: str = "", *, columns: Sequence[Column] = ()
) -> dict[str, Any]:
    period = asked_period(request)
    kept = request.ctx.layouts.find(BANK, period.regie) or {}
    return {
        "period": period,
        "regie": period.regie,
        "where": period_query(period),
        "table": table,
        "rows": [(row, None) for row in table.rows],
        "compared": request.method == "POST" and not error and not columns,
        "columns": columns,
        "fields": {
            "date": _("Date"), "label": _("Libellé"), "amount": _("Montant, débits et crédits"),
            "side": _("Sens (débit ou crédit) de ce montant"), "debit": _("Débit"),
            "credit": _("Crédit"),
        },
        "chosen": {
            field: request.POST.get(f"column-{field}", kept.get(field, "")) for field in FIELDS
        },
        "kept": kept,
        "error": error,
    }


def refusal(error: StatementError) -> str:
    """Reason why a statement is not read, and what to do about it."""
    said = _faults()[error.fault]
    if not error.line:
        return said
    return _("Ligne %(line)s de ce relevé : %(fault)s") % {"line": error.line, "fault": said}


def _faults() -> dict[StatementFault, str]:
    return {
        StatementFault.UNKNOWN: _(
            "Ce fichier n’est pas un relevé qui se lit ici. Prenez l’export CFONB 120, OFX, "
            "camt.053, CSV ou Excel de votre banque."
        ),
        StatementFault.EMPTY: _("Ce fichier est vide."),
        StatementFault.ENCODING: _(
            "Ce fichier mélange deux encodages. Téléchargez-le de nouveau, sans l’ouvrir dans un "
            "autre logiciel."
        ),
        StatementFault.QUOTES: _("Un guillemet n’est pas refermé."),
        StatementFault.CELL: _("Une cellule est trop longue : le fichier est abîmé."),
        StatementFault.WORKBOOK: _(
            "Ce classeur ne s’ouvre pas : il est abîmé, trop grand, ou protégé par un mot de passe."
        ),
        StatementFault.SHEETS: _(
            "Plusieurs feuilles de ce classeur portent des mouvements : envoyez-en une à la fois."
        ),
        StatementFault.COLUMNS: _(
            "Les titres ne disent pas où se trouvent la date et le montant (« Date », « Débit » et "
            "« Crédit », ou « Montant »). Dites ci-dessous quelle colonne est quoi."
        ),
        StatementFault.CUT: _(
            "Un enregistrement CFONB n’a pas ses 120 caractères, ou son type est inconnu."
        ),
        StatementFault.DATE: _("La date ne se lit pas."),
        StatementFault.AMOUNT: _("Le montant manque, ou ne se lit pas."),
        StatementFault.SIDE: _(
            "Impossible de dire si c’est un débit ou un crédit : les colonnes se contredisent."
        ),
        StatementFault.CURRENCY: _("Ce mouvement n’est pas en euros."),
    }
