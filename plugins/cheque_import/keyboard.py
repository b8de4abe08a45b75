"""Correction of text that a scanner typed on the wrong keyboard layout.

A scanner is a keyboard. Set to the American layout (as most are delivered) on a French machine, it
presses the key that has the character in America, and the machine writes what that key has in
France: ``1`` comes out as ``&``, ``|`` as ``µ``. Each character has one counterpart, so what was
meant is known.
"""

from __future__ import annotations

_AMERICAN = (
    "`1234567890-=!@#$%^&*()_+"
    "qwertyuiop]asdfghjkl;'\\zxcvbnm,./"
    'QWERTYUIOP}ASDFGHJKL:"|ZXCVBNM<>?'
)
_FRENCH = (
    "²&é\"'(-è_çà)=1234567890°+"
    "azertyuiop$qsdfghjklmù*wxcvbn,;:!"
    "AZERTYUIOP£QSDFGHJKLM%µWXCVBN?./§"
)
_MEANT = str.maketrans(_FRENCH, _AMERICAN)
_DIGITS = frozenset("&é\"'(-è_çà")
_ENOUGH = 6


def meant(text: str) -> str:
    """Text meant by a scanner that was set to the American layout on a French machine."""
    return text.translate(_MEANT)


def wrong_layout(text: str) -> bool:
    """True if a text looks typed on the wrong layout: many signs of French digit keys, few digits.

    A digit would be a sign above a digit key; coupons and lines have at most a few of those.
    """
    typed = sum(character in _DIGITS for character in text)
    return typed >= _ENOUGH and typed > 3 * sum(c.isascii() and c.isdigit() for c in text)
