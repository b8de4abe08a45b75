"""Cases that the simulator can produce: by test card, by amount, or by the control page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scenario(StrEnum):
    """Course of a payment with a card."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    REFUSE_THEN_ACCEPT = "refuse_then_accept"
    SINGLE_USE = "single_use"
    """Refused, and the page takes no other try: what two public modules report of the service."""
    DROP = "drop"
    DOUBLE = "double"
    LATE = "late"
    HOLD = "hold"
    SLOW_RESULT = "slow_result"
    WRONG_AMOUNT = "wrong_amount"
    WRONG_REFERENCE = "wrong_reference"


@dataclass(frozen=True, slots=True)
class TestCard:
    """A card that only exists here."""

    __test__ = False

    number: str
    brand: str
    scenario: Scenario
    words: str

    @property
    def spaced(self) -> str:
        """The number in groups of four."""
        return " ".join(self.number[i : i + 4] for i in range(0, len(self.number), 4))


CARDS = {
    card.number: card
    for card in (
        TestCard("4970100000000055", "VISA", Scenario.ACCEPT, "Paiement accepté"),
        TestCard("4970100000000147", "VISA", Scenario.REFUSE, "Paiement refusé par la banque"),
        TestCard(
            "4970100000000238", "VISA", Scenario.REFUSE_THEN_ACCEPT,
            "Refusé au premier essai, accepté au second",
        ),
        TestCard(
            "4970100000001053", "VISA", Scenario.SINGLE_USE,
            "Refusé, et la page ne se rouvre pas",
        ),
        TestCard(
            "4970100000000329", "VISA", Scenario.DROP,
            "Accepté, la notification se perd",
        ),
        TestCard(
            "4970100000000410", "VISA", Scenario.DOUBLE,
            "Accepté, la notification arrive deux fois",
        ),
        TestCard(
            "4970100000000501", "VISA", Scenario.LATE,
            "Accepté, la notification arrive une minute après",
        ),
        TestCard(
            "4970100000000691", "VISA", Scenario.HOLD,
            "Accepté, la notification attend la suivante et passe après elle",
        ),
        TestCard(
            "4970100000000782", "VISA", Scenario.SLOW_RESULT,
            "Accepté, le résultat n’est connu qu’une minute après",
        ),
        TestCard(
            "4970100000000873", "VISA", Scenario.WRONG_AMOUNT,
            "Accepté, le résultat porte un autre montant",
        ),
        TestCard(
            "4970100000000964", "VISA", Scenario.WRONG_REFERENCE,
            "Accepté, le résultat porte une autre référence",
        ),
        TestCard("5555555555554444", "MASTERCARD", Scenario.ACCEPT, "Paiement accepté"),
    )
}  # fmt: skip
"""Nobody's real card: every other number is refused, so that no real one is typed in by mistake."""

REFUSED_CODE = "000000"
"""The 3-D Secure code that fails; any other six digits pass."""
REFUSED_TAX_NUMBER = "0000000000000"
"""The tax number whose direct debit is refused; any other thirteen digits pass."""


class FaultKind(StrEnum):
    """Defect that an answer of the web service can have."""

    DELAY = "delay"
    """The right answer, `seconds` late."""
    TIMEOUT = "timeout"
    """No answer: `seconds` pass, then an empty one."""
    HTTP_500 = "http_500"
    HTTP_502 = "http_502"
    MALFORMED = "malformed"
    EMPTY = "empty"
    TECHNICAL = "technical"
    UNAVAILABLE = "unavailable"
    PROTOCOL = "protocol"
    LOST_ANSWER = "lost_answer"
    """The work is done and the answer is lost: an idOp nobody hears of."""


AMOUNT_FAULTS = {
    50013: FaultKind.TECHNICAL,
    50213: FaultKind.HTTP_502,
    50313: FaultKind.UNAVAILABLE,
    50413: FaultKind.TIMEOUT,
    50513: FaultKind.MALFORMED,
}
"""Amounts (in cents) whose creation fails, for those who steer by what they send."""

UNKNOWN_CLIENTS = frozenset({"000000", "999999"})
"""Client numbers that the simulator does not know (T2)."""
UNSECURED_CLIENTS = frozenset({"999998"})
"""Client numbers without the secure access (T4)."""
