"""Columns of a régie's exports: chosen on a page, shown with an example, kept."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from typing import Any, Final

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.books.office import asked_regie
from core.exchanges.columns import (
    AMOUNTS,
    DATES,
    ENCODINGS,
    FIELDS,
    FIXED,
    FORMATS,
    SEPARATORS,
    ExportLayout,
    Movement,
)
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.web.forms import day as typed_day

TEMPLATE = "office/export_columns.jinja2"
MAX_WORD_CHARS: Final = 60
MAX_COLUMNS: Final = 40


@view_config(
    route_name="office_export_columns", request_method="GET", renderer=TEMPLATE,
    permission="office",
)  # fmt: skip
def columns(request: Request) -> dict[str, Any]:
    """The columns as they are kept."""
    return _page(request)


@view_config(
    route_name="office_export_columns", request_method="POST", renderer=TEMPLATE,
    permission="office",
)  # fmt: skip
def keep(request: Request) -> dict[str, Any] | Response:
    """Keep what was chosen, or show it once without keeping it."""
    try:
        layout = _chosen(request)
        layout.write("EXEMPLE", 1, _EXAMPLES)  # Its titles and words have to be writable.
        if request.POST.get("action") != "keep":
            return _page(request, layout)
    except UserError as error:
        request.response.status_int = 422
        return _page(request, error=error.message)
    regie = asked_regie(request)
    request.ctx.payment_exports.keep_layout(regie, layout)
    message = _("Les colonnes sont enregistrées pour les prochains exports.")
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_exports", _query={"regie": regie}))


def _chosen(request: Request) -> ExportLayout:
    places: list[tuple[int, int, str, str]] = []
    for at, name in enumerate(FIELDS):
        place = _text(request, f"rang-{name}")
        if not place:
            continue
        if not place.isdecimal() or not 1 <= int(place) <= MAX_COLUMNS:
            raise UserError(_("Un rang est un nombre, de 1 à 40."))
        places.append((int(place), at, name, _text(request, f"titre-{name}") or name))
    if not places:
        raise UserError(_("Donnez un rang à une colonne au moins."))
    names = {name for _place, _at, name, _title in places}
    if not names & {"montant", "montant_sans_signe"} or not names & {"facture", "reference"}:
        raise UserError(_("Il faut au moins un montant, et la facture ou sa référence."))
    if "montant" not in names and not names & {"sens", "mouvement"}:
        raise UserError(
            _("Sans signe, un montant a besoin de la colonne du sens ou du mouvement.")
        )
    since = _text(request, "since")
    return ExportLayout(
        columns=tuple((name, title) for _place, _at, name, title in sorted(places)),
        amounts=_one_of(request, "amounts", AMOUNTS),
        dates=_one_of(request, "dates", DATES),
        separator=_one_of(request, "separator", tuple(SEPARATORS)),
        encoding=_one_of(request, "encoding", tuple(ENCODINGS)),
        has_titles=bool(_text(request, "titles")),
        words={
            means: word
            for at, means in enumerate(_means(request))
            if (word := _text(request, f"moyen-{at}"))
        },
        fixed={name: text for name in FIXED if (text := _text(request, f"texte-{name}"))},
        signs=(_text(request, "credit") or "C", _text(request, "debit") or "D"),
        since=typed_day(since) if since else None,
        format=_one_of(request, "format", FORMATS),
    )


def _means(request: Request) -> list[str]:
    """Means that payments of the régie may have come by: at its counter, online, by a bank."""
    regie = asked_regie(request)
    taken = [one.means for one in request.town.means(regie)]
    return [*dict.fromkeys([*taken, "card", "online_debit", "direct_debit"])]


def _one_of(request: Request, name: str, known: tuple[str, ...]) -> str:
    typed = _text(request, name)
    return typed if typed in known else known[0]


def _text(request: Request, name: str) -> str:
    value = request.POST.get(name, "")
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value if c.isprintable()).strip()[:MAX_WORD_CHARS]


_EXAMPLES = [
    Movement(
        kind, day, date(2026, 11, 25), "2026-0417", "PER260417", 2026, "0120", amount, means,
        "CANTINE-2026-000812", "A1B2C3",
    )
    for kind, day, amount, means in (
        ("paid", date(2026, 11, 26), 5687, "cheque"),
        ("reversed", date(2026, 12, 4), -5687, "cheque"),
    )
]  # fmt: skip


def _page(
    request: Request, layout: ExportLayout | None = None, *, error: str = ""
) -> dict[str, Any]:
    regie = asked_regie(request)
    shown = layout or request.ctx.payment_exports.layout(regie)
    means = _means(request)
    chosen = dict(shown.columns)
    ranks = {name: str(at) for at, (name, _title) in enumerate(shown.columns, start=1)}
    values = {
        **{f"rang-{name}": ranks.get(name, "") for name in FIELDS},
        **{f"titre-{name}": chosen.get(name, name) for name in FIELDS},
        **{f"texte-{name}": shown.fixed.get(name, "") for name in FIXED},
        **{f"moyen-{at}": shown.words.get(one, "") for at, one in enumerate(means)},
        "amounts": shown.amounts, "dates": shown.dates, "separator": shown.separator,
        "encoding": shown.encoding, "format": shown.format,
        "titles": "1" if shown.has_titles else "",
        "credit": shown.signs[0], "debit": shown.signs[1],
        "since": shown.since.isoformat() if shown.since else "",
    }  # fmt: skip
    if error:  # What was typed stays as it was typed.
        values = {name: _text(request, name) for name in values}
    as_text = replace(shown, format="csv")
    lines = as_text.write(regie, 12, _EXAMPLES).decode(ENCODINGS[shown.encoding]).splitlines()
    return {
        "regie": regie,
        "where": {"regie": regie},
        "fields": [(name, name in FIXED) for name in FIELDS],
        "meanings": _meanings(),
        "means": [means_label(one) for one in means],
        "values": defaultdict(str, values),
        "example": [] if error else lines,
        "amount_forms": {"comma": "1234,56", "point": "1234.56", "cents": "123456"},
        "formats": {"csv": _("CSV (texte)"), "xlsx": _("XLSX (classeur)")},
        "date_forms": {"slashes": "25/11/2026", "iso": "2026-11-25", "compact": "20261125"},
        "separators": {
            "semicolon": _("point-virgule"), "comma": _("virgule"), "tab": _("tabulation"),
            "pipe": "|",
        },
        "encodings": {
            "utf-8-bom": _("UTF-8 avec marque (tableurs)"), "utf-8": "UTF-8",
            "windows-1252": "Windows-1252", "latin-9": "ISO-8859-15",
        },
        "error": error,
    }  # fmt: skip


def _meanings() -> dict[str, str]:
    """Meaning of each column."""
    return {
        "ligne": _("identifiant unique de la ligne"),
        "export": _("numéro de l’export"),
        "mouvement": _(
            "R : règlement, A : annulation, V : mise en avoir, AV : son annulation, "
            "C : moyen corrigé"
        ),
        "date": _("jour du mouvement"),
        "date_reglement": _("jour où la famille a payé"),
        "facture": _("numéro de la facture"),
        "reference": _("référence de paiement de la facture"),
        "exercice": _("exercice de la facture"),
        "code_famille": _("code famille, comme l’écrit le logiciel"),
        "regie": _("clé de la régie"),
        "montant": _("montant, négatif quand il est repris"),
        "montant_sans_signe": _("montant sans signe"),
        "sens": _("sens : un mot pour ce qui est payé, un autre pour ce qui est repris"),
        "moyen": _("moyen de paiement"),
        "recu": _("numéro du reçu"),
        "transaction": _("numéro d’autorisation du paiement en ligne"),
        "fixe_1": _("texte fixe"),
        "fixe_2": _("texte fixe"),
        "fixe_3": _("texte fixe"),
    }
