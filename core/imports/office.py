"""Imports: send a file, look at what it would do, confirm, publish, undo."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.imports.lists import PLANNED, PUBLISHED, UNDONE, WAITING, Asked, state_of
from core.imports.models import ImportBatch
from core.imports.upload_models import Upload, UploadState
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Table
from core.platform.templating import quantity
from core.platform.web import listing
from core.platform.web import query_params as asked
from core.platform.web.forms import moment as typed_moment

T = "office"


@view_config(
    route_name="office_imports",
    request_method="GET",
    renderer=f"{T}/imports.jinja2",
    permission="office",
)
def imports(request: Request) -> dict[str, Any]:
    """The history, files on their way, and the form to send one."""
    return _imports(request)


@view_config(
    route_name="office_uploads",
    request_method="POST",
    renderer=f"{T}/imports.jinja2",
    permission="office",
)
def send(request: Request) -> dict[str, Any] | Response:
    """Take a file in; the next page says what it would do."""
    given = request.POST.get("file")
    try:
        if not hasattr(given, "file"):
            raise UserError(_("Choisissez un fichier à importer."))  # noqa: TRY301
        upload_id = request.ctx.uploads.receive(
            given.file, given.filename, request.POST.get("source", "")
        )
    except UserError as error:
        request.response.status_int = 422
        return _imports(request, error.message)
    return HTTPSeeOther(location=request.route_path("office_upload", id=upload_id))


def _imports(request: Request, error: str = "") -> dict[str, Any]:
    which = _which(request)
    page = request.ctx.import_list.page(which, before=asked.number(request, "avant"))
    return {
        "total": request.ctx.import_list.total(which),
        "states": state_words(),
        "state_of": state_of,
        "names": request.ctx.agents.names(),
        "uploads": request.ctx.uploads.waiting(),
        "sources": [
            *((source.key, source.label) for source in request.ctx.sources.values()),
            *((name, kind.label) for name, kind in request.ctx.record_imports.kinds().items()),
        ],
        "record_imports": request.ctx.record_imports.latest(),
        "error": error,
        **listing.for_page(request, page, "office_imports_file", at="office_imports"),
    }


def _which(request: Request) -> Asked:
    chosen = listing.filters(request)
    return Asked(
        state=asked.word(request, "etat", state_words()),
        **{name: chosen[name] for name in ("regie", "since", "until")},
    )


def state_words() -> dict[str, str]:
    """States of an import, in words."""
    return {
        WAITING: _("À publier"),
        PLANNED: _("Programmé"),
        PUBLISHED: _("Publié"),
        UNDONE: _("Annulé"),
    }


@view_config(route_name="office_imports_file", permission="office", reads=True)
def imports_file(request: Request) -> Response:
    """The same imports as a file."""
    which = _which(request)
    return listing.as_file(
        request,
        lambda most: request.ctx.import_list.page(which, limit=most),
        lambda rows: _table(request, rows),
    )


def _table(request: Request, rows: Sequence[ImportBatch]) -> Table:
    names, states = request.ctx.agents.names(), state_words()
    columns = (_("Fichier"), _("Régies"), _("Date"), _("Par"), _("Nouvelles factures"),
               _("Factures modifiées"), _("Publié le"), _("État"))  # fmt: skip
    return Table(
        "imports",
        _("Imports"),
        columns,
        [
            (
                one.file_name, ", ".join(map(request.town.regie_label, one.regies)),
                one.created_at, names.get(one.actor, one.actor), one.counts.get("created", 0),
                one.counts.get("changed", 0), one.published_at, states[state_of(one)],
            )
            for one in rows
        ],
    )  # fmt: skip


@view_config(
    route_name="office_upload",
    request_method="GET",
    renderer=f"{T}/upload.jinja2",
    permission="office",
)
def upload(request: Request, error: str = "") -> dict[str, Any]:
    """Page of a file: its progress, and the findings in it."""
    found = _upload(request)
    return {
        "upload": found,
        "busy": found.state in {UploadState.CHECKING, UploadState.IMPORTING},
        "seen_at": _seen_at(request, found),
        "is_records": "." in found.source,
        "is_kept": found.state == UploadState.REFUSED and request.ctx.uploads.is_kept(found.id),
        "error": error,
    }


def _seen_at(request: Request, found: Upload) -> datetime | None:
    """The moment at which the very same file was imported."""
    if "." in found.source:
        return cast("datetime | None", request.ctx.record_imports.seen_before(found))
    batch = request.ctx.uploads.seen_before(found)
    return batch.created_at if batch else None


@view_config(route_name="office_upload_state", renderer="json", permission="office")
def upload_state(request: Request) -> dict[str, Any]:
    """For the page that waits."""
    state = UploadState(_upload(request).state)
    return {"state": state, "final": state not in {UploadState.CHECKING, UploadState.IMPORTING}}


@view_config(route_name="office_upload", request_method="POST", permission="office")
def decide(request: Request) -> Response:
    """Import the file, or give it up."""
    found = _upload(request)
    if request.POST.get("action") == "undo":
        return _undo(request, found)
    if request.POST.get("action") == "again":
        return _again(request, found)
    if request.POST.get("action") == "import":
        request.ctx.uploads.confirm(found.id)
    else:
        request.ctx.uploads.abandon(found.id)
    found = request.ctx.uploads.get(found.id)
    if found.state == UploadState.ABANDONED:
        request.session.flash(_("Le fichier est abandonné : rien n’a été importé."), "success")
        return HTTPSeeOther(location=request.route_path("office_imports"))
    if found.state == UploadState.IMPORTED and found.batch_id:
        return HTTPSeeOther(location=request.route_path("office_import", id=found.batch_id))
    return HTTPSeeOther(location=request.route_path("office_upload", id=found.id))


def _again(request: Request, found: Upload) -> Response:
    """Read a refused file anew."""
    try:
        request.ctx.uploads.check_again(found.id)
    except UserError as error:
        response = render_to_response(f"{T}/upload.jinja2", upload(request, error.message), request)
        response.status_int = 422
        return response
    return HTTPSeeOther(location=request.route_path("office_upload", id=found.id))


def _undo(request: Request, found: Upload) -> Response:
    """Take an import of a plugin's records back."""
    try:
        if not request.agent.is_regisseur:
            raise UserError(_("Cette action n’est pas permise"))  # noqa: TRY301
        request.ctx.record_imports.undo(found.id)
    except UserError as error:
        response = render_to_response(f"{T}/upload.jinja2", upload(request, error.message), request)
        response.status_int = 422
        return response
    request.session.flash(_("L’import est annulé."), "success")
    return HTTPSeeOther(location=request.route_path("office_upload", id=found.id))


def _upload(request: Request) -> Upload:
    found: Upload = request.ctx.uploads.get(int(request.matchdict["id"]))
    return found


# --- What came in ------------------------------------------------------------------------------


@view_config(route_name="office_import", request_method="GET", permission="office")
def batch(request: Request) -> Response:
    """One import and its invoices."""
    return _batch(request)


@view_config(route_name="office_import", request_method="POST", permission="office")
def act(request: Request) -> Response:
    """Publish, now or at a moment, or take back."""
    batch_id = int(request.matchdict["id"])
    action = request.POST.get("action", "")
    try:
        message = _act(request, batch_id, action)
    except UserError as error:
        response = _batch(request, error.message)
        response.status_int = 422
        return response
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_import", id=batch_id))


def _act(request: Request, batch_id: int, action: str) -> str:
    imports = request.ctx.imports
    if action == "publish":
        count = imports.publish(batch_id)
        words = _("Factures publiées : %(count)s. Les familles sont averties.")
        return words % {"count": quantity(count)}
    if action == "later":
        typed = request.POST.get("at", "")
        moment = typed_moment(typed) if typed else None
        if moment is None or moment <= request.ctx.clock.now():
            raise UserError(_("Choisissez un moment à venir."))
        imports.publish_at(batch_id, moment)
        return _("La publication est programmée.")
    if action == "unschedule":
        imports.publish_at(batch_id, None)
        return _("La publication n’est plus programmée.")
    if action == "undo" and request.agent.is_regisseur:
        count = imports.undo(batch_id)
        words = _("Import annulé : %(count)s factures retirées ou rétablies.")
        return words % {"count": quantity(count)}
    raise UserError(_("Cette action n’est pas permise"))


def _batch(request: Request, error: str = "") -> Response:
    found: ImportBatch = request.ctx.imports.get(int(request.matchdict["id"]))
    page = request.ctx.invoice_list.page(batch_id=found.id, before=asked.number(request, "avant"))
    context = {
        "batch": found,
        "names": request.ctx.agents.names(),
        "rows": page.rows,
        "changes": request.ctx.corrections.of_batch(found.id),
        "error": error,
        **asked.pages(request, page.more),
    }
    return render_to_response(f"{T}/import.jinja2", context, request)
