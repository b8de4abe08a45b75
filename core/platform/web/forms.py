"""Parts that all forms share. Labels stand in the templates, messages are French message ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from wtforms import (
    DateField,
    Form,
    HiddenField,
    PasswordField,
    StringField,
    ValidationError,
)
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length

from core.api.errors import UserError
from core.domain.addresses import AccentsError, AddressError, typed
from core.domain.dates import DateError, parse_day, parse_moment
from core.domain.money import AmountError, parse_amount
from core.platform.clock import PARIS
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _

_NUMBER = re.compile(r"[0-9]{1,18}")
"""Pattern of a row's number; routes bound theirs likewise (`core.processes.routes`)."""


def _strip(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def is_email(_form: Form, field: StringField) -> None:
    """Check that mails can leave for an address; whether its mailbox exists is not asked."""
    try:
        field.data = typed(field.data or "")
    except AccentsError:
        raise ValidationError(
            _("Une adresse e-mail n’a ni accent ni lettre spéciale avant l’arobase (@).")
        ) from None
    except AddressError:
        raise ValidationError(
            _("Saisissez une adresse e-mail valable, comme nom@exemple.fr.")
        ) from None


class EmailForm(Form):
    """One e-mail address."""

    email = StringField(
        filters=[_strip],
        validators=[InputRequired("Saisissez votre adresse e-mail."), Length(max=254), is_email],
    )


def new_password(length: Length) -> PasswordField:
    """Make the field of a new password, of a bounded length; `typed_again` goes with it."""
    return PasswordField(validators=[InputRequired("Choisissez un mot de passe."), length])


def typed_again() -> PasswordField:
    """Make the field in which a form's `password` is typed a second time."""
    return PasswordField(
        validators=[EqualTo("password", "Les deux mots de passe ne sont pas les mêmes.")]
    )


class NextForm(Form):
    """A form that leads on to `next`, a path of this town."""

    next = HiddenField()


def number(text: object) -> int:
    """The number of something that a form names.

    Raises:
        NotFoundError: nothing has this number, because no row could.
    """
    # A file may come in the place of a text: who writes the request decides.
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise NotFoundError
    return int(text)


def amount(text: object) -> int:
    """The cents that an agent typed.

    Raises:
        UserError: it is no amount.
    """
    try:
        return parse_amount(text if isinstance(text, str) else "")
    except AmountError:
        raise UserError(_("Saisissez un montant, comme 56,87.")) from None


def day(text: object) -> date:
    """The day that an agent typed, or that a browser sends for one.

    Raises:
        UserError: it is no day, or too far away to be meant.
    """
    try:
        return parse_day(text if isinstance(text, str) else "")
    except DateError:
        raise UserError(_no_date()) from None


def moment(text: object) -> datetime:
    """The moment that an agent typed, in French legal time, or that a browser sends for one.

    Raises:
        UserError: it is no moment, or too far away to be meant.
    """
    try:
        return parse_moment(text if isinstance(text, str) else "", PARIS)
    except DateError:
        raise UserError(_no_date()) from None


def _no_date() -> str:
    return _("Cette date n’existe pas, ou n’est pas entre 2000 et 2100.")


class DayField(DateField):
    """A day, in any spelling that `parse_day` reads."""

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        """Read what was sent."""
        self.data = None
        if valuelist and valuelist[0]:
            try:
                self.data = parse_day(valuelist[0])
            except DateError:
                raise ValueError(_no_date()) from None


def required(message: str, *, limit: int = 200) -> StringField:
    """A text field that has to be filled, of at most `limit` characters."""
    return StringField(
        filters=[_strip],
        validators=[
            DataRequired(message),
            Length(max=limit, message="Cette saisie est trop longue."),
        ],
    )
