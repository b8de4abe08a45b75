"""Messages to many families: written, looked at, counted, sent, taken back, stopped."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import BooleanField, Form, RadioField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from core.api.errors import UserError
from core.broadcasts.groups import ALL
from core.broadcasts.models import Broadcast, BroadcastState
from core.broadcasts.service import BODY_CHARACTERS, TITLE_CHARACTERS, UNDO_TIME, Draft
from core.platform.i18n import SOURCE_LOCALE, ngettext
from core.platform.i18n import gettext as _
from core.platform.tabular.writing import Table
from core.platform.templating import moment as moment_words
from core.platform.templating import quantity
from core.platform.web import query_params as asked
from core.platform.web.files import download
from core.platform.web.forms import moment as typed_moment
from core.platform.web.forms import number, required

LIST, EDIT, ONE = (
    f"office/{name}.jinja2" for name in ("broadcasts", "broadcast_edit", "broadcast")
)
LANGUAGE_NAMES = {"en": "English"}
TOO_LONG = "Cette saisie est trop longue."


def _unix_lines(text: str | None) -> str | None:
    return text.replace("\r\n", "\n").strip() if text else text


class BroadcastForm(Form):
    """Words of an agent, and the families they go to."""

    group = RadioField(choices=[], validate_choice=False, default="")
    nature = RadioField(
        choices=["necessary", "optional"],
        validators=[InputRequired("Dites si c’est une information de service.")],
    )
    title = required("Saisissez le titre.", limit=TITLE_CHARACTERS)
    body = TextAreaField(
        filters=[_unix_lines],
        validators=[
            DataRequired("Saisissez le texte."), Length(max=BODY_CHARACTERS, message=TOO_LONG),
        ],
    )  # fmt: skip
    other_title = StringField(validators=[Length(max=TITLE_CHARACTERS, message=TOO_LONG)])
    other_body = TextAreaField(
        filters=[_unix_lines],
        validators=[Length(max=BODY_CHARACTERS, message=TOO_LONG)],
    )
    on_news = BooleanField()


@view_config(route_name="office_broadcasts", renderer=LIST, permission="office")
def broadcasts(request: Request) -> dict[str, Any]:
    """All messages, the last one first."""
    page = request.ctx.broadcasts.page(before=asked.number(request, "avant"))
    return {
        "rows": page.rows,
        "state": _state,
        "names": request.ctx.agents.names(),
        **asked.pages(request, page.more),
    }


@view_config(
    route_name="office_broadcast_new", request_method="GET", renderer=EDIT, permission="office"
)
def new_page(request: Request) -> dict[str, Any]:
    """An empty form."""
    return _edit(request, None, BroadcastForm())


@view_config(
    route_name="office_broadcast_new", request_method="POST", renderer=EDIT, permission="office"
)
def new(request: Request) -> dict[str, Any] | Response:
    """Keep a new draft, and show it."""
    return _write(request, None)


@view_config(
    route_name="office_broadcast_edit", request_method="GET", renderer=EDIT, permission="office"
)
def edit_page(request: Request) -> dict[str, Any] | Response:
    """The form of a draft."""
    found = _found(request)
    if found.state != BroadcastState.DRAFT:
        return _to(request, found.id)
    language = _other_language(request)
    title, body = found.translations.get(language, ("", ""))
    form = BroadcastForm(
        data={
            "group": found.group,
            "nature": "necessary" if found.is_necessary else "optional",
            "title": found.title,
            "body": found.body,
            "other_title": title,
            "other_body": body,
            "on_news": found.on_news,
        }
    )
    chosen = {f"{found.group}:{key}": value for key, value in found.chosen.items()}
    return _edit(request, found, form, chosen)


@view_config(
    route_name="office_broadcast_edit", request_method="POST", renderer=EDIT, permission="office"
)
def edit(request: Request) -> dict[str, Any] | Response:
    """Change a draft."""
    return _write(request, _found(request))


@view_config(
    route_name="office_broadcast", request_method="GET", renderer=ONE, permission="office"
)
def broadcast(request: Request) -> dict[str, Any]:
    """One message: what families read, who they are, and what became of it."""
    return _one(request, _found(request))


@view_config(route_name="office_broadcast_state", renderer="json", permission="office")
def state(request: Request) -> dict[str, Any]:
    """For the page that waits until the families are counted."""
    return {"final": request.ctx.broadcasts.counted(_found(request)).is_complete}


@view_config(
    route_name="office_broadcast", request_method="POST", renderer=ONE, permission="office"
)
def act(request: Request) -> dict[str, Any] | Response:
    """Send it, take it back, stop it, count again, throw the draft away."""
    found = _found(request)
    try:
        message = _act(request, found)
    except UserError as error:
        request.response.status_int = 422
        return _one(request, found, error.message)
    if message:
        request.session.flash(message, "success")
    if request.POST.get("action") == "discard":
        return HTTPSeeOther(location=request.route_path("office_broadcasts"))
    return _to(request, found.id)


@view_config(route_name="office_broadcast_unreached", permission="office")
def unreached(request: Request) -> Response:
    """The families that no channel reaches: for letters, or the telephone."""
    found = _found(request)
    rows = [
        (family.name, ", ".join(family.address), family.code)
        for family in request.ctx.broadcasts.unreachable(found.id)
    ]
    table = Table(
        f"a-prevenir-{found.id}",
        _("Familles à prévenir autrement – %(title)s") % {"title": found.title},
        (_("Débiteur"), _("Adresse"), _("Code famille")),
        rows,
    )
    kind = request.matchdict["format"]
    if kind == "pdf":
        return download(table.pdf(request.town.name, language=request.language))
    return download(table.csv() if kind == "csv" else table.xlsx())


def _act(request: Request, found: Broadcast) -> str:
    messages, action = request.ctx.broadcasts, request.POST.get("action", "")
    if action == "send":
        _may_send(request, found)
        at = request.POST.get("at", "").strip()
        leaves = messages.send(
            found.id,
            revision=number(request.POST.get("revision", "")),
            moment=typed_moment(at) if at else None,
        )
        return _("Le message part le %(at)s. Jusque-là, vous pouvez le reprendre.") % {
            "at": moment_words(leaves)
        }
    if action == "undo":
        messages.undo(found.id)
        return _("Le message est repris : rien n’est parti.")
    if action == "stop":
        _may_send(request, found)
        messages.stop(found.id)
        told = messages.sent(found).families
        return ngettext(
            "Le message est arrêté : il était parti à %(num)s famille.",
            "Le message est arrêté : il était parti à %(num)s familles.",
            told,
        ) % {"num": quantity(told)}
    if action == "count":
        messages.count(found.id)
        return ""
    if action == "discard":
        messages.discard(found.id)
        return _("Le brouillon est supprimé.")
    raise HTTPNotFound


def _may_send(request: Request, found: Broadcast) -> None:
    """Check that this agent may write to so many.

    Raises:
        UserError: a message to the whole town is the régisseur's.
    """
    if not _is_theirs(request, found):
        raise UserError(_("Seul le régisseur écrit à toutes les familles."))


def _is_theirs(request: Request, found: Broadcast) -> bool:
    return found.group != ALL or bool(request.agent.is_regisseur)


def _write(request: Request, found: Broadcast | None) -> dict[str, Any] | Response:
    form = BroadcastForm(request.POST)
    given = {
        key: value for key, value in request.POST.items() if isinstance(value, str) and ":" in key
    }
    valid = form.validate()
    if bool(form.other_title.data) != bool(form.other_body.data):
        form.other_title.errors = [_("Traduisez le titre et le texte, ou ni l’un ni l’autre.")]
        valid = False
    if valid:
        group = form.group.data or ""
        draft = Draft(
            title=form.title.data,
            body=form.body.data,
            group=group,
            given={
                key.removeprefix(f"{group}:"): value
                for key, value in given.items()
                if key.startswith(f"{group}:")
            },
            is_necessary=form.nature.data == "necessary",
            on_news=form.on_news.data,
            translations={
                _other_language(request): (form.other_title.data or "", form.other_body.data or "")
            },
        )
        try:
            # What fails later takes back what was done before it.
            with request.ctx.session.begin_nested():
                written = request.ctx.broadcasts.write(found.id if found else None, draft)
        except UserError as error:
            form.form_errors.append(error.message)
        else:
            return _to(request, written.id)
    request.response.status_int = 422
    return _edit(request, found, form, given)


def _edit(
    request: Request,
    found: Broadcast | None,
    form: BroadcastForm,
    given: dict[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "broadcast": found,
        "form": form,
        "groups": request.ctx.broadcasts.groups.all(),
        "given": given or {},
        "other": LANGUAGE_NAMES.get(_other_language(request), ""),
        "other_language": _other_language(request),
        "all": ALL,
        "body_limit": BODY_CHARACTERS,
    }


def _one(request: Request, found: Broadcast, error: str = "") -> dict[str, Any]:
    messages = request.ctx.broadcasts
    count = messages.counted(found)
    labels = {key: channel.label for key, channel in request.ctx.channels.items()}
    return {
        "broadcast": found,
        "state": _state(found),
        "count": count,
        "channels": [
            (labels.get(key, key), families) for key, families in count.by_channel.items()
        ],
        "previews": messages.previews(found, labels),
        "sent": messages.sent(found) if found.left_at else None,
        "is_theirs": _is_theirs(request, found),
        "names": request.ctx.agents.names(),
        "at": request.POST.get("at", ""),
        "is_late": found.state == BroadcastState.SCHEDULED
        and found.leaves_at is not None
        and found.leaves_at + UNDO_TIME < request.ctx.clock.now(),
        "undo_minutes": int(UNDO_TIME.total_seconds() // 60),
        "error": error,
    }


def _state(found: Broadcast) -> tuple[str, str]:
    """The state in words, and the look of its pill."""
    return {
        BroadcastState.DRAFT: (_("Brouillon"), ""),
        BroadcastState.SCHEDULED: (_("Prêt à partir"), "warning"),
        BroadcastState.LEAVING: (_("En train de partir"), "info"),
        BroadcastState.SENT: (_("Envoyé"), "success"),
        BroadcastState.STOPPED: (_("Arrêté"), "error"),
    }[found.state]


def _other_language(request: Request) -> str:
    """The language besides French that the town speaks; "" where it speaks no other."""
    return next((one for one in request.town.languages if one != SOURCE_LOCALE), "")


def _found(request: Request) -> Broadcast:
    found: Broadcast = request.ctx.broadcasts.get(int(request.matchdict["id"]))
    return found


def _to(request: Request, broadcast_id: int) -> Response:
    return HTTPSeeOther(location=request.route_path("office_broadcast", id=broadcast_id))
