"""How often each thing goes wrong in the made-up towns."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Noise:
    """Rates. Each is a noise class of the report, under its name here.

    Those down to `exchanged` are the prototype's of CHEQUES_AND_FORMATS 1.7, so that figures can
    be compared; the others are what it left out.
    """

    referenced: float = 0.55
    first_only: float = 0.30
    misread_reference: float = 0.05
    old_coupon: float = 0.03
    neighbours_coupon: float = 0.002
    misread_account: float = 0.03
    foreign_account: float = 0.03
    foreign_name: float = 0.03
    no_name: float = 0.20
    coded: float = 0.25
    wrong_code: float = 0.02
    short: float = 0.02
    over: float = 0.015
    swapped_digits: float = 0.01
    keyed_wrong: float = 0.004
    twice: float = 0.01
    shared_account: float = 0.02
    exchanged: float = 0.002
    check_character: float = 1.0

    comma_lost: float = 0.002
    """5687 for 56,87."""
    two_regies: float = 0.01
    """Of the households that owe both: one cheque for both, which no régie may take."""
    instalment: float = 0.005
    """A part of one invoice, the rest with a second cheque in the same pile."""
    paid_online: float = 0.003
    """The invoice was paid through the portal while the cheque was in the post."""
    not_ours: float = 0.003
    """Another town's family, by mistake."""
    no_account: float = 0.0
    """The magnetic line was not read at all."""
    grandparent: float = 0.0
    """Of the households, by pairs: one account and name, in neither file, pays for both."""
    known: float = 0.0
    """Of the households, those whose account was confirmed before the first month."""
    keyed: bool = False
    """The reader gives the RLMC key, which tells that a line was misread."""


BASE = Noise()
"""The prototype's rates, and cheques that no exact explanation fits."""
HARD = replace(
    BASE, misread_reference=0.20, misread_account=0.12, wrong_code=0.10, keyed_wrong=0.02,
    no_account=0.02, grandparent=0.02,
)  # fmt: skip
"""The prototype's hard rates, and what takes the account away or gives it to two families."""
NOISES = {
    "base": BASE,
    "hard": HARD,
    "base-own": replace(BASE, check_character=0.0),
    "hard-own": replace(HARD, check_character=0.0),
    "base-key": replace(BASE, keyed=True),
    "hard-key": replace(HARD, keyed=True),
    "base-known": replace(BASE, known=0.6),
    "hard-known": replace(HARD, known=0.6),
}
"""Each with our references, with the town's own numbers, which have no check character, with a
reader that gives the RLMC key, and in a later year than the first, when most accounts are known."""
