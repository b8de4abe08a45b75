"""Holding the account's statement against what was paid online."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.books.office import asked_period, period_query
from core.domain.bank import StatementError, StatementFault, read_statement
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Table
from core.platform.web.files import download

T = "office"
MAX_UPLOAD_BYTES = 5 * 1024 * 1024


@view_config(
    route_name="office_bank", request_method="GET", renderer=f"{T}/bank.jinja2", permission="office"
)
def bank(request: Request) -> dict[str, Any]:
    """What the account should have received, and the form for its statement."""
    return _page(request, _table(request, b""))


@view_config(
    route_name="office_bank",
    request_method="POST",
    renderer=f"{T}/bank.jinja2",
    permission="office",
)
def compare(request: Request) -> dict[str, Any] | Response:
    """Both sides, on the page or as a file. The statement is read and not kept."""
    try:
        table = _table(request, _given(request))
    except UserError as error:
        request.response.status_int = 422
        return _page(request, _table(request, b""), error.message)
    kind = request.POST.get("as", "")
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


def _table(request: Request, content: bytes) -> Table:
    period = asked_period(request)
    try:
        credits_ = read_statement(content) if content else []
    except StatementError as error:
        raise UserError(refusal(error)) from None
    label = request.town.regie_label(period.regie)
    table: Table = request.ctx.accounts.matching.table(label, period, credits_)
    return table


def _page(request: Request, table: Table, error: str = "") -> dict[str, Any]:
    period = asked_period(request)
    return {
        "period": period,
        "regie": period.regie,
        "where": period_query(period),
        "table": table,
        "rows": [(row, None) for row in table.rows],
        "compared": request.method == "POST" and not error,
        "error": error,
    }


def refusal(error: StatementError) -> str:
    """Why a statement is not read, and what to do about it."""
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
        StatementFault.COLUMNS: _(
            "Les titres ne disent pas où se trouvent la date et le montant (« Date », « Débit » et "
            "« Crédit », ou « Montant »). Renommez-les dans le fichier."
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
