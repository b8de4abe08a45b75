"""Passwords of people: argon2id, checked in the same time whether the person exists or not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.api.errors import UserError
from core.platform.i18n import gettext as _

COST: dict[str, Any] = {"time_cost": 2, "memory_cost": 19 * 1024, "parallelism": 1}
"""Cost of a guess, in argon2's terms (memory in KiB): RFC 9106's second choice, with less memory
(19 MiB, OWASP's minimum)."""

_PASSWORDS = PasswordHasher(**COST)

NOBODY = (
    "$argon2id$v=19$m={memory_cost},t={time_cost},p={parallelism}".format_map(COST)
    + f"${'A' * 22}${'A' * 43}"
)
"""Verified when there is no such person, so that it takes as long as a wrong password. A salt and a
hash of zeros: no password is known to have it."""

EXPECTED = frozenset(
    {
        "azertyuiop", "cantine", "ecole", "famille", "garderie", "mairie", "motdepasse", "portail",
        "preau", "qwertyuiop", "regie", "regisseur", "perisco", "periscolaire",
    }
)  # fmt: skip
"""Words that a guesser tries first here; the town's slug and one's own address are added."""


def hash_password(password: str, *, minimum: int, about: Iterable[str] = ()) -> str:
    """Hash a new password to be kept, and refuse one that is easy to guess.

    Any characters will do, and nothing is asked for but that nobody guesses it: it may be neither
    one of those that leaked lists show most, nor a word of `about` (the address, the town) or of
    `EXPECTED` with digits around it.

    Raises:
        UserError: it has fewer than `minimum` characters, or is too easy to guess.
    """
    if len(password) < minimum:
        raise UserError(
            _("Choisissez un mot de passe d’au moins %(count)s caractères.") % {"count": minimum}
        )
    words = {_plain(word) for text in about for word in _words(text)}
    if password.casefold() in _most_used() or _plain(password) in (words | EXPECTED | {""}):
        raise UserError(
            _("Ce mot de passe est trop facile à deviner : choisissez-en un autre.")
        )
    return _PASSWORDS.hash(password)


def verify_password(password_hash: str, password: str) -> bool:
    """True if `password` is the one that was kept; an empty hash matches none."""
    try:
        return _PASSWORDS.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _words(text: str) -> list[str]:
    """An address as a whole, what stands before its @, and each of its words."""
    return [text, text.partition("@")[0], *re.split(r"[@.\s_-]+", text)]


def _plain(text: str) -> str:
    """Letters only, without case, accents or repetition: "Azerty2026!" is "azerty"."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    letters = re.sub(r"[^a-z]", "", bare)
    return re.sub(r"^(.+?)\1+$", r"\1", letters)


@cache
def _most_used() -> frozenset[str]:
    # Loaded at the first password that is chosen: a third of a second that few processes need.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(FREQUENCY_LISTS["passwords"])
