"""Recurring direct debits: what a bank took, noted for a régie and a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from core.api.errors import UserError
from core.debits.reasons import reason_words
from core.debits.service import Run
from core.platform.clock import today
from core.platform.db.paging import Page, Total
from core.platform.i18n import gettext as _
from core.platform.i18n import ngettext
from core.platform.tabular.writing import Cents, Table
from core.platform.templating import day as day_words
from core.platform.templating import money, quantity
from core.platform.web import listing
from core.platform.web import query_params as asked
from core.platform.web.forms import day as typed_day
from core.platform.web.forms import number

TEMPLATE = "office/debits.jinja2"
WAITING, AMOUNT = "a-constater", "montant"


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
        ) % {"num": quantity(count), "day": day_words(to)}
    debited_on = typed_day(request.POST.get("debited_on", ""))
    done = request.ctx.debits.settle(regie, chosen, debited_on=debited_on)
    message = ngettext(
        "%(num)s prélèvement constaté, pour %(amount)s.",
        "%(num)s prélèvements constatés, pour %(amount)s.",
        done.count,
    ) % {"num": quantity(done.count), "amount": money(done.cents)}
    if done.left_out:
        message += " " + ngettext(
            "%(num)s était déjà réglé, ou n’est plus prélevé.",
            "%(num)s étaient déjà réglés, ou ne sont plus prélevés.",
            done.left_out,
        ) % {"num": quantity(done.left_out)}
    return message


def _page(request: Request, error: str = "") -> dict[str, Any]:
    regie = asked.word(request, "regie", request.town.file.regies)
    day = asked.day(request, "jour")
    now = today(request.ctx.clock.now())
    context: dict[str, Any] = {"regie": regie, "day": day, "today": now, "error": error}
    if not (regie and day):
        runs = _runs(request)
        sums = {
            "total": sum(run.total.cents for run in runs),
            "waiting": sum(run.waiting.cents for run in runs),
        }
        return context | {
            "total": Total(len(runs), sums, is_whole=True),
            **listing.for_page(request, Page(runs, None), "office_debits_file"),
            "jobs": request.ctx.debit_files.jobs(),
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


def _runs(request: Request) -> list[Run]:
    """The runs of the address: by régie, day, state and amount."""
    chosen = listing.filters(request)
    waits = asked.word(request, "etat", {WAITING}) == WAITING
    since, until = chosen["since"] or date.min, chosen["until"] or date.max
    least, most = chosen["least"], chosen["most"]
    found = [
        run
        for run in request.ctx.debits.runs()
        if since <= run.day <= until
        and chosen["regie"] in {"", run.regie}
        and (run.waiting.count or not waits)
        and (least is None or run.total.cents >= least)
        and (most is None or run.total.cents <= most)
    ]
    if asked.word(request, "tri", {AMOUNT}):
        found.sort(key=lambda run: run.total.cents, reverse=True)
    return found


@view_config(route_name="office_debits_file", permission="office")
def debits_file(request: Request) -> Response:
    """The same runs as a file."""
    return listing.as_file(
        request, lambda _most: Page(_runs(request), None), lambda rows: _table(request, rows)
    )


def _table(request: Request, rows: Sequence[Run]) -> Table:
    columns = (_("Jour"), _("Régie"), _("Prélèvements"), _("En tout"), _("À constater"),
               _("Constatés"), _("Rejetés"), _("Réglés autrement"))  # fmt: skip
    return Table(
        "prelevements",
        _("Prélèvements"),
        columns,
        [
            (
                run.day, request.town.regie_label(run.regie), run.total.count,
                Cents(run.total.cents), Cents(run.waiting.cents), Cents(run.settled.cents),
                Cents(run.rejected.cents), Cents(run.otherwise.cents),
            )
            for run in rows
        ],
    )  # fmt: skip


def _typed(request: Request) -> date | None:
    try:
        return typed_day(request.POST.get("debited_on", ""))
    except UserError:
        return None
