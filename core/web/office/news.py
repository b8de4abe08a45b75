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

from core.i18n import gettext as _
from core.models import News
from core.services.news import NEWS, NOTICE
from core.templating import PARIS
from core.web.forms import required
from core.web.office import asked
from core.web.rendering import markdown

T = "core:web/templates/office"
PAGE = 50


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
    rows = request.ctx.news.all(before=asked.number(request, "avant"), limit=PAGE + 1)
    more = rows[PAGE - 1].id if len(rows) > PAGE else None
    return {
        "rows": rows[:PAGE],
        "now": request.ctx.clock.now(),
        **asked.pages(request, more),
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
        request.ctx.news.show(item.id, _moment(request))
        message = _("L’actualité est publiée.")
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_news", id=item.id))


def _moment(request: Request) -> datetime:
    """The moment asked for, else now."""
    try:
        return datetime.fromisoformat(request.POST.get("at", "")).replace(tzinfo=PARIS)
    except ValueError:
        now: datetime = request.ctx.clock.now()
        return now


def _write(request: Request, item: News | None) -> Response:
    form = NewsForm(request.POST)
    valid = form.validate()
    if not valid or request.POST.get("action") == "preview":
        response = _page(request, item, form, preview=valid)
        response.status_int = 200 if valid else 422
        return response
    news_id = request.ctx.news.write(
        item.id if item else None,
        kind=form.kind.data,
        title=form.title.data,
        summary=form.summary.data or "",
        body=form.body.data,
    )
    request.session.flash(_("Le texte est enregistré."), "success")
    return HTTPSeeOther(location=request.route_path("office_news", id=news_id))


def _item(request: Request) -> News:
    found: News = request.ctx.news.find(int(request.matchdict["id"]))
    return found


def _page(
    request: Request, item: News | None, form: NewsForm, *, preview: bool = False
) -> Response:
    context = {
        "item": item,
        "form": form,
        "preview": markdown(form.body.data or "") if preview else None,
        "now": request.ctx.clock.now(),
    }
    return render_to_response(f"{T}/news.jinja2", context, request)
