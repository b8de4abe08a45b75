"""Writing in the reader's language: what the bot takes from core for it, in one place."""

from datetime import date, datetime

from core.plugin import PARIS, day, gettext, money, ngettext
from core.plugin import use as speaking

__all__ = ["day", "gettext", "local_date", "money", "ngettext", "speaking"]


def local_date(moment: datetime) -> date:
    """The date that `moment` is in France."""
    return moment.astimezone(PARIS).date()
