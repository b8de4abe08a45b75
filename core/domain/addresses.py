"""E-mail addresses: as they are typed, and as they leave.

A domain may be written with any letters: it leaves in punycode (IDNA). The part before the @ has
no such spelling: with letters outside ASCII it needs a relay, and a mailbox's server, that know
SMTPUTF8 (RFC 6531), which few do, and PayFiP takes none. Such an address is refused where it is
typed.
"""

from __future__ import annotations

import unicodedata
from email.utils import parseaddr

_SELECTORS = {chr(number) for number in range(0xFE00, 0xFE10)}
_BLANKS = _SELECTORS | frozenset("\u034f\u115f\u1160\u3164\uffa0\u2800")
"""Characters that show as nothing, besides the format characters (zero-width, direction)."""


class AddressError(ValueError):
    """It is no e-mail address."""


class AccentsError(AddressError):
    """There are letters outside ASCII before the @: no mail would reach it."""


def without_invisible(text: str) -> str:
    """Take off what nobody sees: it came along when the address was copied."""
    return "".join(
        one for one in text if one not in _BLANKS and unicodedata.category(one) not in {"Cf", "Cc"}
    ).strip()


def typed(text: str) -> str:
    """Read an address that a person typed; whether its mailbox exists is not asked.

    Raises:
        AccentsError: there are letters outside ASCII before the @.
        AddressError: it is no address.
    """
    # Loaded with the first address: its tables take a twentieth of a start.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    bare = without_invisible(text)
    try:
        # Strict: of more than 64 characters before the @ most servers take none (RFC 5321).
        return validate_email(
            bare, check_deliverability=False, allow_smtputf8=False, strict=True
        ).normalized
    except EmailNotValidError as error:
        local, at, domain = bare.rpartition("@")
        if at and domain and not "".join(local.split()).isascii():
            raise AccentsError(str(error)) from None
        raise AddressError(str(error)) from None


def leaving(address: str) -> str:
    """Write an address for mail servers and payment services: its domain in punycode.

    Raises:
        AccentsError: it has no such form.
        AddressError: its domain can be none.
    """
    if address.isascii():
        return address
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    bare = without_invisible(address)
    if bare.isascii():
        return bare
    try:
        found = validate_email(bare, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise AddressError(str(error)) from None
    if found.ascii_email is None:
        raise AccentsError("letters outside ASCII before the @")
    return found.ascii_email


def configured(text: str) -> str:
    """Check an address of a settings file, alone or as ``Name <address>``; as it is shown.

    Raises:
        ValueError: no mail could leave with it, in words for an operator.
    """
    bare = without_invisible(text)
    if not bare:
        return ""
    address = parseaddr(bare)[1]
    local, at, domain = address.rpartition("@")
    if not (at and local and domain):
        raise ValueError("is no e-mail address, like name@town.fr")
    try:
        leaving(address)
    except AccentsError:
        raise ValueError(
            "has letters outside ASCII before the @, which mail servers do not take"
        ) from None
    except AddressError as error:
        raise ValueError(f"is no e-mail address: {error}") from None
    return bare
