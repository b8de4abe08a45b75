"""The unpaid invoices that a parent can put into the basket, and the payments it then takes."""

from __future__ import annotations

from collections.abc import Mapping

from core.api.context import InvoiceInfo
from core.api.payments import Capabilities
from core.domain.baskets import BasketItem, Desk


def is_offered(invoice: InvoiceInfo, capabilities: Capabilities | None) -> bool:
    """True if a parent can put the invoice into the basket now."""
    return (
        capabilities is not None
        and invoice.payable
        and not invoice.under_way
        and capabilities.takes_reference(invoice.payment_reference)
    )


def item_of(invoice: InvoiceInfo) -> BasketItem:
    """The invoice as the basket sees it."""
    return BasketItem(invoice.id, invoice.regie, invoice.balance or invoice.amount)


def desks_of(capabilities: Mapping[str, Capabilities | None]) -> dict[str, Desk]:
    """The limits of each régie that can be paid online; one at a time where it cannot."""
    return {
        regie: Desk(found.several_invoices, found.maximum) if found else Desk(False, 0)
        for regie, found in capabilities.items()
    }
