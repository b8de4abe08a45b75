"""Values in the address of office pages: read with care, wrong values are ignored."""

from __future__ import annotations

from collections.abc import Container
from datetime import date

from pyramid.request import Request

from core.api.payments import Means
from core.domain.dates import DateError, parse_day
from core.domain.money import AmountError, parse_amount


def number(request: Request, name: str) -> int | None:
    """A whole number of the query, or None."""
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 18 else None


def word(request: Request, name: str, known: Container[str] | None = None) -> str:
    """A word of the query, if it is one of `known`; else ""."""
    typed = request.GET.get(name, "")
    text = "".join(c for c in typed if c.isprintable()).strip()[:100]
    return text if known is None or text in known else ""


def regie(request: Request) -> str:
    """The régie of the query, else the first one whose money is taken here, else the first one."""
    regies = request.town.file.regies
    first = next(filter(request.town.collects, regies), None) or next(iter(regies))
    return word(request, "regie", regies) or first


def means(request: Request, name: str) -> str:
    """A means of payment of the query, one that a régie names (``other:Bons CAF``) too; else ""."""
    typed = word(request, name)
    return typed if is_means(typed) else ""


def is_means(text: str) -> bool:
    """True if a text may be a means of payment of a régie."""
    return text.partition(":")[0] in set(Means)


def day(request: Request, name: str) -> date | None:
    """A day of the query (``2026-03-31``), or None."""
    try:
        return parse_day(request.GET.get(name, ""))
    except DateError:
        return None


def amount(request: Request, name: str) -> int | None:
    """Cents of an amount of the query, as French people write it, or None."""
    try:
        return parse_amount(request.GET.get(name, ""))
    except AmountError:
        return None


def pages(
    request: Request, key: object, *, name: str = "avant", at: str = ""
) -> dict[str, str]:
    """For the pager: the page that follows, by its `key`, and the first if this is not it.

    `at` is the route of the list, where this answer may be another address's.
    """

    def path(query: dict[str, object]) -> str:
        found: str = (
            request.route_path(at, _query=query) if at else request.current_route_path(_query=query)
        )
        return found

    rest = {given: value for given, value in request.GET.items() if given != name and value}
    return {
        "more": path(rest | {name: key}) if key else "",
        "first": path(rest) if request.GET.get(name) else "",
    }
