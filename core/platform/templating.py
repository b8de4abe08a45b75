"""Parts that every Jinja2 environment of Préau shares: translation, amounts and dates."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal
from jinja2 import pass_context

from core.domain.figures import scale
from core.domain.money import decimal_text
from core.platform import i18n
from core.platform.clock import PARIS
from core.platform.means_words import means_label

if TYPE_CHECKING:
    from jinja2 import Environment


MINUS = "\N{MINUS SIGN}"
"""As wide as a digit, and no line ends behind it: a hyphen is neither."""


def money(cents: int) -> str:
    """Write cents as euros in the current locale: ``−1 234,56 €``; no line ends inside."""
    return _money(cents, i18n.formats())


@lru_cache(maxsize=4096)
def _money(cents: int, locale: str) -> str:
    # Kept: a canteen's amounts are few, and writing one takes as long as a statement.
    return str(format_currency(Decimal(cents) / 100, "EUR", locale=locale)).replace("-", MINUS)


def round_money(cents: int) -> str:
    """Write whole euros, on an axis: ``1 500 €``."""
    return re.sub(r"[.,]00(?!\d)", "", money(cents))


def quantity(value: Decimal | int) -> str:
    """Write how many: ``1 250,5``, without the zeros that say nothing."""
    locale = i18n.formats()
    return _count(value, locale) if isinstance(value, int) else _parted(value, locale)


@lru_cache(maxsize=4096)
def _count(value: int, locale: str) -> str:
    # Kept, as amounts are: most counts are of the first dozen.
    return _parted(value, locale)


def _parted(value: Decimal | int, locale: str) -> str:
    return str(format_decimal(value, locale=locale)).replace("-", MINUS)


def day(value: date) -> str:
    """Write a date as on paper: ``25/04/2012``, in every language of the portal."""
    return value.strftime("%d/%m/%Y")


def day_long(value: date) -> str:
    """Write a date in words: ``25 avril 2012``, ``1er avril 2012``."""
    return _first(format_date(value, "long", locale=i18n.formats()))


def moment(value: datetime) -> str:
    """Write a moment in French legal time: ``25 avril 2012 à 14 h 05``; in English ``, 14:05``."""
    local = value.astimezone(PARIS)
    locale = i18n.formats()
    between = " à " if locale.startswith("fr") else ", "
    return _first(format_date(local, "d MMMM y", locale=locale)) + between + hour(local)


def hour(value: datetime) -> str:
    """Write an hour in French legal time: ``14 h 05``, ``14 h``, and ``14:05`` in English."""
    local = value.astimezone(PARIS)
    if not i18n.formats().startswith("fr"):
        return f"{local:%H:%M}"
    minutes = f"\u00a0{local:%M}" if local.minute else ""
    return f"{local.hour}\u00a0h{minutes}"


def _first(written: str) -> str:
    """French counts the first of a month, and no other day, by its rank."""
    if written.startswith("1 ") and i18n.formats().startswith("fr"):
        return f"1er{written[1:]}"
    return written


COUNTS = ("num", "count")
"""Values of messages that are counts: their thousands are parted, as those of amounts are."""


def _with_counts(translate: Any) -> Any:
    """Let a template's messages write their counts as `quantity` does."""

    @pass_context
    def translated(context: Any, *messages: Any, **values: Any) -> Any:
        # The last of the messages of a plural is the number that chooses its form.
        if len(messages) > 2:
            values.setdefault("num", messages[-1])
        written = {
            name: quantity(value) if name in COUNTS and isinstance(value, int) else value
            for name, value in values.items()
        }
        return translate(context, *messages, **written)

    return translated


def configure(env: Environment) -> None:
    """Give `env` the ``trans`` tag, ``_``, and filters for amounts, days and moments."""
    env.add_extension("jinja2.ext.i18n")
    env.install_gettext_callables(  # type: ignore[attr-defined]
        i18n.gettext, i18n.ngettext, newstyle=True
    )
    for name in ("gettext", "ngettext"):
        env.globals[name] = _with_counts(env.globals[name])
    env.policies["ext.i18n.trimmed"] = True
    env.filters.update(
        means=means_label,
        money=money,
        decimal=decimal_text,
        quantity=quantity,
        round_money=round_money,
        scale=scale,
        day=day,
        day_long=day_long,
        moment=moment,
        hour=hour,
    )
