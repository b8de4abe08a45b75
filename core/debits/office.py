"""Recurring direct debits: what a bank took, noted for a régie and a day."""

from __future__ import annotations

from datetime import date
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.debits.reasons import reason_words
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.i18n import ngettext
from core.platform.templating import day as day_words
from core.platform.templating import money
from core.platform.web import query_params as asked
from core.platform.web.forms import day as typed_day
from core.platform.web.forms import number

TEMPLATE = "office/debits.jinja2"


@view_config(
    route_name="office_debits", request_method="GET", renderer=TEMPLATE, permission="office"
)
def debits(request: Request) -> dict[str, Any]:
    """The runs, or what is debited on one of them."""
    return _page(request)


@view_config(
    route_name="office_debits", request_method="POST", renderer=TEMPLATE, permission="office"
)
def settle(request: Request) -> dict[str, Any] | Response:
    """Note that the bank took what is ticked, or that it takes it on another day."""
    try:
        message = _act(request)
    except UserError as error:
        request.response.status_int = 422
        return _page(request, error.message)
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.current_route_path())


def _act(request: Request) -> str:
    regie = asked.word(request, "regie", request.town.file.regies)
    chosen = sorted({number(text) for text in request.POST.getall("invoice")})
    if not regie or not chosen:
        raise UserError(_("Cochez les prélèvements à constater."))
    if request.POST.get("action") == "move":
        to = typed_day(request.POST.get("debit_on", ""))
        count = request.ctx.debits.move(regie, chosen, to=to)
        return ngettext(
            "%(num)s prélèvement reporté au %(day)s.",
            "%(num)s prélèvements reportés au %(day)s.",
            count,
        ) % {"num": count, "day": day_words(to)}
    debited_on = typed_day(request.POST.get("debited_on", ""))
    done = request.ctx.debits.settle(regie, chosen, debited_on=debited_on)
    message = ngettext(
        "%(num)s prélèvement constaté, pour %(amount)s.",
        "%(num)s prélèvements constatés, pour %(amount)s.",
        done.count,
    ) % {"num": done.count, "amount": money(done.cents)}
    if done.left_out:
        message += " " + ngettext(
            "%(num)s était déjà réglé, ou n’est plus prélevé.",
            "%(num)s étaient déjà réglés, ou ne sont plus prélevés.",
            done.left_out,
        ) % {"num": done.left_out}
    return message


def _page(request: Request, error: str = "") -> dict[str, Any]:
    regie = asked.word(request, "regie", request.town.file.regies)
    day = asked.day(request, "jour")
    now = today(request.ctx.clock.now())
    context: dict[str, Any] = {"regie": regie, "day": day, "today": now, "error": error}
    if not (regie and day):
        runs = request.ctx.debits.runs()
        return context | {
            "runs": runs,
            "requests": request.ctx.debit_requests.count(),
            "collects": any(info.collects for info in request.ctx.town.regies),
        }
    page = request.ctx.debits.waiting(regie, day, before=asked.number(request, "avant"))
    return context | {
        "run": request.ctx.debits.run(regie, day),
        "rows": page.rows,
        "noted": request.ctx.debits.noted(regie, day),
        "rejections": request.ctx.debits.rejections(regie, day),
        "reason_words": reason_words,
        "total": sum(row.left for row in page.rows),
        "collects": request.town.collects(regie),
        "came": day <= now,
        "debited_on": _typed(request) or min(asked.day(request, "le") or day, now),
        "chosen": set(request.POST.getall("invoice")) if error else None,
        **asked.pages(request, page.more),
    }


def _typed(request: Request) -> date | None:
    try:
        return typed_day(request.POST.get("debited_on", ""))
    except UserError:
        return None
