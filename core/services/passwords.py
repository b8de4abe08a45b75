"""Passwords of people: argon2id, checked in the same time whether the person exists or not."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.api.errors import UserError
from core.i18n import gettext as _

_PASSWORDS = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
NOBODY = _PASSWORDS.hash("nobody")
"""Verified when there is no such person, so that it takes as long as a wrong password."""


def hash_password(password: str, *, minimum: int) -> str:
    """What is kept of a password.

    Raises:
        UserError: it has fewer than `minimum` characters.
    """
    if len(password) < minimum:
        raise UserError(
            _("Choisissez un mot de passe d’au moins %(count)s caractères.") % {"count": minimum}
        )
    return _PASSWORDS.hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """Whether `password` is the one that was kept; nothing is ever kept as ""."""
    try:
        return _PASSWORDS.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
