"""Links that open on paying invoices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

PAYMENT_LINK = "payment-link"
PAYMENT_LINK_LIFE = timedelta(minutes=30)


def linked(payload: Mapping[str, Any]) -> list[int]:
    """The invoices that a payment link is for."""
    # Links that were made before a link could carry several name one.
    return [int(number) for number in payload.get("invoice_ids", [payload.get("invoice_id")])]
