"""Payment at the simulator's bank: a parent pays, is refused or gives up."""

from __future__ import annotations

import secrets
from typing import Protocol

from plugins.payfip.simulator.scenarios import Scenario
from plugins.payfip.simulator.store import Operation, Store

LATER = 60.0
"""Seconds that a late notification or a slow result takes."""
OTHER_RESULT = "I"
"""No result that the interface knows: what a means of payment may bring that comes one day."""


class Wakes(Protocol):
    """Whoever sends what is due."""

    def wake(self) -> None:
        """Something may be due now."""
        ...


class Bank:
    """Gives operations their outcome, and orders the notification and the ticket."""

    def __init__(self, store: Store, courier: Wakes) -> None:
        self._store = store
        self._courier = courier

    def pay_by_card(self, operation: Operation) -> None:
        """Do as the card's scenario says."""
        scenario = Scenario(operation.scenario or Scenario.ACCEPT)
        refuse = scenario in {Scenario.REFUSE, Scenario.SINGLE_USE} or (
            scenario is Scenario.REFUSE_THEN_ACCEPT and operation.tries < 2
        )
        if refuse:
            self.refuse(operation)
            return
        told = {Scenario.WRONG_AMOUNT: "montant", Scenario.WRONG_REFERENCE: "refdet"}
        done = self._store.finish(
            operation.id_op,
            "P",
            numauto=secrets.token_hex(3),
            told=told.get(scenario, ""),
            hidden=LATER if scenario is Scenario.SLOW_RESULT else 0,
        )
        if done:
            self._tell(operation, scenario)

    def promise_debit(self, operation: Operation) -> None:
        """Take a mandate for one direct debit: money that comes in days."""
        mandate = f"{secrets.randbelow(10**12):012d}-tip"
        if self._store.finish(operation.id_op, "V", numauto=mandate):
            self._tell(operation, Scenario.ACCEPT)

    def refuse(self, operation: Operation, result: str = "R") -> None:
        """Refuse a card (``R``) or a direct debit (``Z``)."""
        if self._store.finish(operation.id_op, result):
            self._notify(operation)

    def cancel(self, operation: Operation) -> None:
        """The parent gives up."""
        if self._store.finish(operation.id_op, "A"):
            self._notify(operation)

    def other(self, operation: Operation) -> None:
        """End in a result that nobody knows."""
        if self._store.finish(operation.id_op, OTHER_RESULT):
            self._notify(operation)

    def notify(self, operation: Operation) -> None:
        """Send a notification once more, whatever happened."""
        self._notify(operation)

    def _tell(self, operation: Operation, scenario: Scenario) -> None:
        self._store.add_effect("mail", operation.id_op)
        if scenario is Scenario.DROP:
            self._courier.wake()
            return
        self._notify(
            operation,
            after=LATER if scenario is Scenario.LATE else 0,
            held=scenario is Scenario.HOLD,
        )
        if scenario is Scenario.DOUBLE:
            self._notify(operation)

    def _notify(self, operation: Operation, *, after: float = 0, held: bool = False) -> None:
        self._store.add_effect("notify", operation.id_op, after=after, held=held)
        self._courier.wake()
