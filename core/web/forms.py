"""What all forms share. Labels stand in the templates, messages are French message ids."""

from __future__ import annotations

import re
from typing import Any

from wtforms import Form, HiddenField, StringField, ValidationError
from wtforms.validators import InputRequired, Length

from core.i18n import gettext as _
from core.services.errors import NotFoundError

_NUMBER = re.compile(r"[0-9]{1,18}")
"""What a row's number may look like; routes bound theirs likewise (`core.web.routes`)."""


def _strip(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def is_email(_form: Form, field: StringField) -> None:
    """Check an address's form and write it as mail servers do; its delivery is not asked."""
    # Loaded with the first address: its tables take a twentieth of a start.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        field.data = validate_email(field.data or "", check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValidationError(
            _("Saisissez une adresse e-mail valable, comme nom@exemple.fr.")
        ) from None


class EmailForm(Form):
    """One e-mail address."""

    email = StringField(
        filters=[_strip],
        validators=[InputRequired("Saisissez votre adresse e-mail."), Length(max=254), is_email],
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


def required(message: str, *, limit: int = 200) -> StringField:
    """A text field that has to be filled, of at most `limit` characters."""
    return StringField(
        filters=[_strip],
        validators=[
            InputRequired(message),
            Length(max=limit, message="Cette saisie est trop longue."),
        ],
    )
