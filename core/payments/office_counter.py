"""The counter: what a family gives for its invoices, by one means or several."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import BooleanField, Form, HiddenField, SelectField, StringField
from wtforms.validators import InputRequired, Length, ValidationError

from core.api.context import InvoiceInfo
from core.api.errors import UserError
from core.api.payments import Means
from core.domain.allocation import Due, allocate
from core.domain.counter_dates import DayDoubt, day_doubt
from core.domain.money import AmountError, decimal_text, parse_amount
from core.families.models import Family
from core.payments.counter import CashLimitError, Given, Visit
from core.payments.titles import title_numbers
from core.platform.clock import PARIS, today
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.templating import money
from core.platform.web import query_params as asked
from core.platform.web.forms import DayField, number

NOON = time(12)
MAX_KEY = 64
"""Signs of a form's key, which is made here."""
MAX_MEANS = 6
"""Means that one visit may bring."""


class GivenForm(Form):
    """Money given by one means."""

    amount = StringField(validators=[Length(max=30)])
    means = SelectField(choices=(), validate_choice=False)  # The desk says no, in words.
    note = StringField(validators=[Length(max=200, message="Cette saisie est trop longue.")])
    titles = StringField(validators=[Length(max=8000, message="Cette saisie est trop longue.")])
    cents = 0
    numbers: tuple[str, ...] = ()

    def validate_amount(self, field: StringField) -> None:
        """Cents, of a positive amount; none if nothing was typed."""
        if not (field.data or "").strip():
            return
        try:
            self.cents = parse_amount(field.data)
        except AmountError:
            raise ValidationError(_("Saisissez un montant, comme 56,87.")) from None
        if self.cents <= 0:
            raise ValidationError(_("Saisissez un montant, comme 56,87."))

    def validate_titles(self, field: StringField) -> None:
        """Numbers of titles, if some were typed."""
        try:
            self.numbers = title_numbers(field.data or "")
        except UserError as error:
            raise ValidationError(error.message) from None


class CounterForm(Form):
    """Money that was just given. `key` makes a form that is sent twice one visit."""

    key = HiddenField(validators=[Length(max=MAX_KEY)])
    regie = HiddenField()
    rows = HiddenField()
    paid_on = DayField(validators=[InputRequired("Saisissez la date du règlement.")])
    payer = StringField(validators=[Length(max=200, message="Cette saisie est trop longue.")])
    keep = BooleanField()
    old = BooleanField()
    exception = BooleanField()
    ask_old = False
    """True if the day is so long gone that the form asks about it."""
    ask_exception = False
    """True if cash is refused, unless an agent confirms an exception."""


@view_config(
    route_name="office_desk", renderer="office/desk.jinja2", permission="office", reads=True
)
def desk(request: Request) -> dict[str, Any] | Response:
    """Whom the agent is about to collect from; a single family is gone to at once."""
    typed = asked.word(request, "q")
    found = request.ctx.search.find(typed)
    # A number or a reference on the paper in the family's hand leads to the family.
    families = {family.id: family for family in found.families}
    rows = (*found.invoices, *found.payments)
    families |= {row.Family.id: row.Family for row in rows if row.Family}
    if len(families) == 1:
        (family_id,) = families
        return HTTPSeeOther(location=request.route_path("office_family_payment", id=family_id))
    return {
        "q": typed,
        "families": list(families.values()),
        "due": request.ctx.invoice_list.due_of(list(families)),
    }


@view_config(route_name="office_family_payment", request_method="GET", permission="office")
def counter_page(request: Request) -> Response:
    """Page of the invoices that a family owes to a régie, and the form for a visit."""
    family, due = _due(request)
    regie = _regie(request, request.GET.get("regie", ""), due)
    # What a debit takes is listed, and not proposed: its bank would pay it a second time.
    mine = [
        invoice for invoice in due if invoice.regie == regie and invoice.debited_on is None
    ]
    form = CounterForm(
        data={
            "key": secrets.token_urlsafe(16),
            "regie": regie,
            "rows": "1",
            "paid_on": today(request.ctx.clock.now()),
            "payer": family.name,
        }
    )
    total = decimal_text(sum(invoice.balance for invoice in mine)) if mine else ""
    first = GivenForm(data={"amount": total})
    return _counter(request, form, [first], {invoice.id for invoice in mine})


@view_config(route_name="office_family_payment", request_method="POST", permission="office")
def counter(request: Request) -> Response:
    """Record the visit, or show a line for one means more."""
    form = CounterForm(request.POST)
    rows = _rows(request, form)
    chosen = {number(text) for text in request.POST.getall("invoice")}
    valid = all([form.validate(), *(row.validate() for row in rows)])
    if "more" in request.POST:
        return _one_more(request, form, rows, chosen)
    if valid and not any(row.cents for row in rows):
        rows[0].amount.errors = [_("Saisissez le montant reçu.")]
        valid = False
    if valid:
        try:
            visit = _record(request, form, rows, chosen)
        except UserError as error:
            form.ask_exception = isinstance(error, CashLimitError)
            form.form_errors.append(error.message)
        else:
            return _recorded(request, visit)
    response = _counter(request, form, rows, chosen)
    response.status_int = 422
    return response


def _recorded(request: Request, visit: Visit) -> Response:
    request.session.flash(_("Le règlement est enregistré."), "success")
    if visit.change:
        request.session.flash(
            _("Monnaie à rendre : %s.") % money(visit.change), "warning"
        )
    return HTTPSeeOther(location=request.route_path("office_payment", id=visit.payment_ids[0]))


def _rows(request: Request, form: Any) -> list[Any]:
    """The means of the form, a line each."""
    typed = form.rows.data or ""
    count = min(max(int(typed), 1), MAX_MEANS) if typed.isdecimal() and len(typed) < 4 else 1
    return [GivenForm(request.POST, prefix=_prefix(index)) for index in range(count)]


def _prefix(index: int) -> str:
    return f"other{index}-" if index else ""


def _one_more(request: Request, form: Any, rows: list[Any], chosen: set[int]) -> Response:
    """The page again, as it was typed, with a line for what is still to be paid."""
    _family, due = _due(request)
    total = sum(invoice.balance for invoice in due if invoice.id in chosen)
    left = total - sum(row.cents for row in rows)
    if len(rows) < MAX_MEANS:
        data = {"amount": decimal_text(left) if left > 0 else ""}
        rows.append(GivenForm(prefix=_prefix(len(rows)), data=data))
        form.rows.data = str(len(rows))
    return _counter(request, form, rows, chosen)


def _record(request: Request, form: Any, rows: Sequence[Any], chosen: set[int]) -> Visit:
    family, due = _due(request)
    now, day = request.ctx.clock.now(), form.paid_on.data
    regie = _regie(request, form.regie.data or "", due)
    wanted = [i for i in due if i.regie == regie and i.id in chosen]
    given = [
        Given(row.means.data, row.cents, row.note.data or "", row.numbers)
        for row in rows
        if row.cents
    ]
    split = allocate(sum(one.amount for one in given), [Due(i.id, i.balance) for i in wanted])
    paid = {share.invoice_id for share in split.shares}
    _look_at_day(request, form, regie, [i.issued_on for i in wanted if i.id in paid])
    visit: Visit = request.ctx.desk.take(
        regie=regie,
        family_id=family.id,
        # All that were chosen: a form that is sent twice finds them paid, and what it paid.
        invoice_ids=[invoice.id for invoice in wanted],
        given=given,
        paid_at=now if day == today(now) else datetime.combine(day, NOON, PARIS),
        payer=form.payer.data or family.name,
        key=f"counter/{family.id}/{form.key.data or secrets.token_urlsafe(16)}",
        keep=form.keep.data,
        exception=form.exception.data,
    )
    return visit


def _look_at_day(request: Request, form: Any, regie: str, issued_on: Sequence[date]) -> None:
    """Refuse a day that cannot be; ask once about one that is long gone.

    Raises:
        UserError: see `day_doubt`.
    """
    day = form.paid_on.data
    closed = request.ctx.accounts.closings.is_closed(regie, day)
    doubt = day_doubt(day, today(request.ctx.clock.now()), issued_on=issued_on, closed=closed)
    form.ask_old = doubt is DayDoubt.OLD
    if doubt is None or (form.ask_old and form.old.data):
        return
    raise UserError(
        {
            DayDoubt.FUTURE: _("Cette date n’est pas encore venue."),
            DayDoubt.BEFORE_INVOICE: _(
                "À cette date, une facture choisie n’était pas encore émise."
            ),
            DayDoubt.CLOSED: _(
                "Le mois de cette date est arrêté : enregistrez le règlement à la date du jour."
            ),
            DayDoubt.OLD: _(
                "Cette date remonte à plus de trois mois. Vérifiez-la, puis cochez « La date est "
                "exacte »."
            ),
        }[doubt]
    )


def _due(request: Request) -> tuple[Family, Sequence[InvoiceInfo]]:
    family: Family = request.ctx.files.get(int(request.matchdict["id"]))
    unpaid = request.ctx.invoices.unpaid(family.id)
    return family, [invoice for invoice in unpaid if invoice.family_id == family.id]


def _regie(request: Request, wanted: str, due: Sequence[InvoiceInfo]) -> str:
    """The régie asked for, else one whose money is taken here, else any that is owed to."""
    owed = sorted(due, key=lambda invoice: not request.town.collects(invoice.regie))
    return wanted or next((invoice.regie for invoice in owed), "")


def _counter(
    request: Request, form: Any, rows: Sequence[Any], chosen: set[int]
) -> Response:
    family, due = _due(request)
    regie = _regie(request, form.regie.data or "", due)
    mine = [invoice for invoice in due if invoice.regie == regie]
    collected = [regie for regie in request.ctx.town.regies if regie.collects]
    if regie and regie not in request.town.file.regies:
        raise NotFoundError
    means = [one for one in request.town.means(regie) if one.at_counter]
    for row in rows:
        row.means.choices = [(one.means, means_label(one.means)) for one in means]
    context = {
        "family": family,
        "form": form,
        "rows": rows,
        "most": MAX_MEANS,
        "invoices": mine,
        "chosen": chosen,
        "attempts": request.ctx.payments.office_words(
            {invoice.under_way for invoice in mine if invoice.under_way}
        ),
        "regie": regie,
        "regies": collected,
        "collects": request.town.collects(regie),
        "limit": next((one.limit * 100 for one in means if one.kind is Means.CASH), 0),
        "has_titles": any(one.is_title for one in means),
        "restricted": [
            (means_label(one.means), ", ".join(one.activities), _payable(request, regie, one, mine))
            for one in means
            if one.activities
        ],
    }
    return render_to_response("office/counter.jinja2", context, request)


def _payable(request: Request, regie: str, means: Any, mine: Sequence[InvoiceInfo]) -> int:
    """Cents of these invoices that a title may pay."""
    caps = request.ctx.titles.payable(regie, means.means, [invoice.id for invoice in mine]) or {}
    return sum(min(invoice.balance, caps.get(invoice.id, 0)) for invoice in mine)
