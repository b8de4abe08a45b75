"""Questions of the pages and acts of invoices about payments, which stand above this room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement


@dataclass(frozen=True, slots=True)
class Money:
    """SQL about the payments of an invoice: the unit of work gives `core.payments.models.MONEY`."""

    under_way: Callable[[], ColumnElement[int | None]]
    """The payment that holds `Invoice`, and that a provider knows; else NULL."""
    is_held: Callable[[str, Any], ColumnElement[bool]]
    """For a tenant and an invoice's id: a payment holds the invoice."""
    is_paid: Callable[[str, Any], ColumnElement[bool]]
    """For a tenant and an invoice's id: something of the invoice is paid."""
