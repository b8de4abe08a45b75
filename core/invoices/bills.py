"""The address on a paper bill: it leads whoever holds the paper to that invoice, for good."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

from core.platform.signing import keyed_hash

PURPOSE = "bill"
SEAL_BYTES = 15
"""120 bits: nobody guesses them, and the code stays easy to scan."""


class Bills:
    """The addresses of one town's paper bills.

    An address is made from the invoice's id and a seal under the installation's key: nothing is
    stored, the same invoice has the same address, and another town's seal fits none.
    """

    def __init__(self, secret_key: str, tenant: str, base_url: str) -> None:
        self._secret_key = secret_key
        self._tenant = tenant
        self._base_url = base_url

    def url(self, invoice_id: int) -> str:
        """Give the address to print."""
        return f"{self._base_url}/f/{self.token(invoice_id)}"

    def token(self, invoice_id: int) -> str:
        """Name an invoice so that nobody else can."""
        return f"{invoice_id}.{self._seal(str(invoice_id))}"

    def invoice_id(self, token: str) -> int | None:
        """Find the invoice of a token; None where the seal is not ours."""
        number, _, seal = token.partition(".")
        if not (number.isascii() and number.isdecimal() and len(number) <= 18):
            return None
        if not hmac.compare_digest(seal.encode(), self._seal(number).encode()):
            return None
        return int(number)

    def _seal(self, number: str) -> str:
        made = keyed_hash(self._secret_key, f"{PURPOSE}/{self._tenant}", number)
        return urlsafe_b64encode(made[:SEAL_BYTES]).decode()
