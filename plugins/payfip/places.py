"""The addresses of the service: which are trusted, and by which proxy they are reached."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

PUBLIC_ZONE = ".gouv.fr"
"""Zone of the State's services, also after a move: in June 2021 PayFiP's host changed."""

_HERE = {"localhost", "127.0.0.1", "::1"}
"""This machine, where only a simulator is: no proxy leads to it."""


def redirect_target(source: str, location: str) -> str:
    """Read where a redirect leads; "" where nothing is sent on to."""
    try:
        target = urljoin(source, location) if location else ""
    except ValueError:
        return ""
    return target if target and follows(source, target) else ""


def follows(source: str, target: str) -> bool:
    """True if a message that was meant for `source` may be sent to `target` instead.

    Over TLS within the State's zone, or on the same machine by the same scheme: an amount and an
    e-mail address stand in it, and what comes back decides about money.
    """
    try:
        old, new = urlsplit(source), urlsplit(target)
        plain = new.username is None and new.password is None and _port(new) is not None
    except ValueError:
        return False
    if not plain or not new.hostname:
        return False
    if in_public_zone(source):
        return in_public_zone(target)
    return (new.scheme, new.hostname) == (old.scheme, old.hostname)


def in_public_zone(url: str) -> bool:
    """True if an address is one of the State's, over TLS and without anything unusual in it.

    >>> in_public_zone("https://www.payfip.gouv.fr/tpa/services/securite")
    True
    >>> in_public_zone("https://www.payfip.gouv.fr.example.org/")
    False
    """
    try:
        parts = urlsplit(url)
        port = _port(parts)
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        parts.scheme == "https"
        and port == 443
        and parts.username is None
        and parts.password is None
        and url.isascii()
        and "\\" not in url
        and host.endswith(PUBLIC_ZONE)
        and all(host.removesuffix(PUBLIC_ZONE).split("."))
    )


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def proxy_for(endpoint: str) -> str | None:
    """The outgoing proxy that the environment names for a service, as curl and pip read it."""
    url = urlsplit(endpoint)
    host = url.hostname or ""
    if host in _HERE or proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    return f"http://{found}" if found and "://" not in found else found
