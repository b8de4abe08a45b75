"""Reminders and closing: each régie's calendar, and what would leave on a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Field, Form, StringField, ValidationError

from core.api.errors import UserError
from core.domain.reminders import MAX_DAYS, MAX_REMINDERS, OPENS, RuleError, parse_days
from core.platform.clock import PARIS, today
from core.platform.db.paging import PAGE_ROWS
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.i18n import ngettext
from core.platform.web import query_params as asked
from core.platform.web.forms import day as typed_day
from core.reminders.service import Calendar

T = "office"


def _days(_form: Form, field: Field) -> None:
    """Numbers of days; the field's `days` are what was typed, understood."""
    try:
        field.days = parse_days(field.data or "")
    except RuleError:
        raise ValidationError(
            _("Saisissez au plus %(most)s nombres de jours, de 0 à %(furthest)s : 8, 20.")
            % {"most": MAX_REMINDERS, "furthest": MAX_DAYS}
        ) from None


class CalendarForm(Form):
    """Days on which a régie reminds, and the day on which it closes."""

    before = StringField(validators=[_days])
    after = StringField(validators=[_days])
    closing = StringField(validators=[_days])

    def validate_closing(self, field: Field) -> None:
        """One number, or none."""
        if len(getattr(field, "days", [])) > 1:
            raise ValidationError(_("Saisissez un seul nombre de jours."))

    def calendar(self) -> Calendar:
        """Calendar that was typed, once it is valid."""
        before, after, closing = (field.days for field in (self.before, self.after, self.closing))
        return Calendar((*(-days for days in before), *after), closing[0] if closing else None)


@view_config(
    route_name="office_reminders",
    request_method="GET",
    renderer=f"{T}/reminders.jinja2",
    permission="office",
)
def page(request: Request) -> dict[str, Any]:
    """The calendars."""
    return _page(request, {})


@view_config(
    route_name="office_reminders",
    request_method="POST",
    renderer=f"{T}/reminders.jinja2",
    permission="regisseur",
)
def change(request: Request) -> dict[str, Any] | Response:
    """Set one régie's calendar."""
    regie = request.POST.get("regie", "")
    form = CalendarForm(request.POST, prefix=f"{regie}-")
    if form.validate():
        try:
            request.ctx.reminders.set_calendar(regie, form.calendar())
        except UserError as error:
            form.form_errors.append(error.message)
        else:
            request.session.flash(_("Le calendrier est enregistré."), "success")
            return HTTPSeeOther(location=request.route_path("office_reminders"))
    request.response.status_int = 422
    return _page(request, {regie: form})


def _page(request: Request, typed: dict[str, CalendarForm]) -> dict[str, Any]:
    return {
        "forms": {
            regie: typed.get(regie) or _form(regie, calendar)
            for regie, calendar in request.ctx.reminders.calendars().items()
        },
        "wrong": next(iter(typed.values()), None),
    }


def _form(regie: str, calendar: Calendar) -> CalendarForm:
    closing = "" if calendar.closing_days is None else str(calendar.closing_days)
    return CalendarForm(
        prefix=f"{regie}-",
        data={
            "before": ", ".join(map(str, calendar.before)),
            "after": ", ".join(map(str, calendar.after)),
            "closing": closing,
        },
    )


@view_config(
    route_name="office_reminders_preview",
    renderer=f"{T}/reminders_preview.jinja2",
    permission="office",
)
def preview(request: Request) -> dict[str, Any]:
    """Preview of a day: families to write to, by which way and why, and invoices to close."""
    day = asked.day(request, "jour") or _next_day(request)
    reminders = request.ctx.reminders
    planned = reminders.planned(day, after=asked.number(request, "rappels"), limit=PAGE_ROWS)
    closing = reminders.closing(day, after=asked.number(request, "clotures"), limit=PAGE_ROWS)
    return {
        "day": day,
        "planned": planned,
        "planned_pages": asked.pages(request, planned.more, name="rappels"),
        "ways": request.ctx.notifications.reached(
            list({row.family.id for row in planned.rows}), "invoice_due"
        ),
        "reason": reason,
        "closing": closing,
        "closing_pages": asked.pages(request, closing.more, name="clotures"),
    }


def reason(days: int) -> str:
    """A rule in words."""
    if not days:
        return _("Le jour de l’échéance")
    if days < 0:
        return ngettext("La veille de l’échéance", "%(num)s jours avant l’échéance", -days) % {
            "num": -days
        }
    return ngettext("Le lendemain de l’échéance", "%(num)s jours après l’échéance", days) % {
        "num": days
    }


def _next_day(request: Request) -> date:
    """The next day whose reminders have not left."""
    local = request.ctx.clock.now().astimezone(PARIS)
    return today(local) + timedelta(days=1 if local.time() >= OPENS else 0)


@view_config(route_name="office_invoice_closing", request_method="POST", permission="office")
def close(request: Request) -> Response:
    """Give one invoice a last day of its own, or its régie's rule again."""
    invoice_id = int(request.matchdict["id"])
    text = request.POST.get("closes_on", "").strip()
    try:
        request.ctx.reminders.set_closing(invoice_id, _day(text))
    except NotFoundError:
        raise
    except UserError as error:
        request.session.flash(error.message, "error")
    else:
        request.session.flash(_("La date de clôture est enregistrée."), "success")
    return HTTPSeeOther(location=request.route_path("office_invoice", id=invoice_id))


def _day(text: str) -> date | None:
    """A day as a browser sends it; None when empty.

    Raises:
        UserError: it is no day.
    """
    return typed_day(text) if text else None
