"""Keyed hashes and signed links, each bound to its purpose."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer


def keyed_hash(secret_key: str, purpose: str, value: str) -> bytes:
    """HMAC-SHA-256 of `value` under a key derived for `purpose`: 32 bytes."""
    key = hashlib.blake2b(purpose.encode(), key=secret_key.encode()[:64], digest_size=32).digest()
    return hmac.new(key, value.encode(), hashlib.sha256).digest()


def new_token() -> str:
    """A random token of 256 bits, safe in a URL and a cookie."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """Hash of a random token, as the database keeps it."""
    return hashlib.sha256(token.encode()).digest()


class LinkError(ValueError):
    """The link was altered, is not for this purpose, or is too old."""


class Links:
    """Signed links of one town: stateless, with a purpose and an expiry."""

    def __init__(self, secret_key: str, tenant: str) -> None:
        self._secret_key = secret_key
        self._tenant = tenant

    def sign(self, purpose: str, payload: Any) -> str:
        """A token that carries `payload` (JSON) and proves that Préau made it."""
        return str(self._serializer(purpose).dumps(payload))

    def read(self, purpose: str, token: str, max_age: timedelta | None = None) -> Any:
        """The payload of a token of this purpose and town.

        Raises:
            LinkError: for anything else.
        """
        seconds = int(max_age.total_seconds()) if max_age else None
        try:
            return self._serializer(purpose).loads(token, max_age=seconds)
        except BadSignature:
            raise LinkError(purpose) from None

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret_key, salt=f"{purpose}/{self._tenant}")
