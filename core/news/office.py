"""News: written in Markdown, looked at, shown from a moment on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Form, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from core.api.errors import UserError
from core.news.markdown import page_html, picture_line
from core.news.models import News
from core.news.pictures import MAX_BYTES
from core.news.service import NEWS, NOTICE
from core.platform.i18n import gettext as _
from core.platform.web import query_params as asked
from core.platform.web.forms import moment as typed_moment
from core.platform.web.forms import required

T = "office"


class NewsForm(Form):
    """A piece of news, or the *Bon à savoir* box."""

    kind = SelectField(choices=[NEWS, NOTICE])
    title = required("Saisissez le titre.")
    summary = StringField(validators=[Length(max=300, message="Cette saisie est trop longue.")])
    body = TextAreaField(
        validators=[
            InputRequired("Saisissez le texte."),
            Length(max=20_000, message="Cette saisie est trop longue."),
        ]
    )


@view_config(route_name="office_news_list", renderer=f"{T}/news_list.jinja2", permission="office")
def news_list(request: Request) -> dict[str, Any]:
    """All pieces, drafts too."""
    page = request.ctx.news.page(before=asked.number(request, "avant"))
    return {
        "rows": page.rows,
        "now": request.ctx.clock.now(),
        **asked.pages(request, page.more),
    }


@view_config(route_name="office_news_new", request_method="GET", permission="office")
def new_page(request: Request) -> Response:
    """An empty form."""
    return _page(request, None, NewsForm())


@view_config(route_name="office_news_new", request_method="POST", permission="office")
def new(request: Request) -> Response:
    """A new draft, or how it would look."""
    return _write(request, None)


@view_config(route_name="office_news", request_method="GET", permission="office")
def piece(request: Request) -> Response:
    """One piece."""
    item = _item(request)
    return _page(request, item, NewsForm(obj=item), preview=True)


@view_config(route_name="office_news", request_method="POST", permission="office")
def act(request: Request) -> Response:
    """Write it, show it, hide it."""
    item = _item(request)
    action = request.POST.get("action", "")
    if action not in {"show", "hide"}:
        return _write(request, item)
    if action == "hide":
        request.ctx.news.show(item.id, None)
        message = _("Cette actualité n’est plus affichée.")
    else:
        try:
            moment = _moment(request)
        except UserError as error:
            response = _page(request, item, NewsForm(obj=item), preview=True, error=error.message)
            response.status_int = 422
            return response
        request.ctx.news.show(item.id, moment)
        message = (
            _("L’actualité paraîtra à cette date.")
            if moment > request.ctx.clock.now()
            else _("L’actualité est publiée.")
        )
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_news", id=item.id))


def _moment(request: Request) -> datetime:
    """The moment asked for, in the town's time; now if none is.

    Raises:
        UserError: it is no moment.
    """
    text = request.POST.get("at", "").strip()
    if not text:
        now: datetime = request.ctx.clock.now()
        return now
    return typed_moment(text)


def _write(request: Request, item: News | None) -> Response:
    form, action = NewsForm(request.POST), request.POST.get("action")
    valid = form.validate()
    if valid and action != "preview":
        try:
            # What fails later takes back what was done before it.
            with request.ctx.session.begin_nested():
                news_id = _save(request, item.id if item else None, form)
                if action == "picture":
                    _add_picture(request, news_id, form)
        except UserError as error:
            form.form_errors.append(error.message)
            valid = False
        else:
            request.session.flash(
                _("L’image est à la fin du texte : déplacez sa ligne où il vous plaît.")
                if action == "picture"
                else _("Le texte est enregistré."),
                "success",
            )
            return HTTPSeeOther(location=request.route_path("office_news", id=news_id))
    response = _page(request, item, form, preview=valid)
    response.status_int = 200 if valid else 422
    return response


def _save(request: Request, news_id: int | None, form: NewsForm) -> int:
    saved: int = request.ctx.news.write(
        news_id,
        kind=form.kind.data,
        title=form.title.data,
        summary=form.summary.data or "",
        body=form.body.data,
    )
    return saved


def _add_picture(request: Request, news_id: int, form: NewsForm) -> None:
    """Add the picture that was sent, and its line to the text."""
    sent, alt = request.POST.get("picture"), request.POST.get("alt", "")
    if not hasattr(sent, "file"):
        raise UserError(_("Choisissez une image."))
    number = request.ctx.news.add_picture(news_id, sent.file.read(MAX_BYTES + 1), str(alt)[:300])
    line = picture_line(str(alt)[:300], number)
    # Only what is kept has it: a form that comes back must show what was typed.
    kept = request.ctx.news.find(news_id)
    kept.body = f"{(form.body.data or '').rstrip()}\n\n{line}\n"


def _item(request: Request) -> News:
    found: News = request.ctx.news.find(int(request.matchdict["id"]))
    return found


def _page(
    request: Request,
    item: News | None,
    form: NewsForm,
    *,
    preview: bool = False,
    error: str = "",
) -> Response:
    context = {
        "item": item,
        "form": form,
        "preview": page_html(request, form.body.data or "") if preview else None,
        "pictures": [
            (picture, picture_line(picture.alt, picture.id))
            for picture in (request.ctx.news.pictures(item.id) if item else ())
        ],
        "alt": str(request.POST.get("alt", "")),
        "now": request.ctx.clock.now(),
        "error": error,
    }
    return render_to_response(f"{T}/news.jinja2", context, request)
