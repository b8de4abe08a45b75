"""Means of payment that a régie takes, with the account and the slip of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from core.api.payments import Means

CASH_LIMIT_EUROS = 300
"""Euros beyond which no debt is paid in cash (CGI art. 1680; décret 2019-798 art. 8)."""

TITLES = frozenset(
    {Means.CESU_PAPER, Means.CESU_ELECTRONIC, Means.HOLIDAY_VOUCHER, Means.OTHER}
)
"""Means that are worth what is printed on them: no change is given, and none is paid back."""

ELSEWHERE = frozenset({Means.CARD, Means.ONLINE_DEBIT, Means.DIRECT_DEBIT})
"""Means that no counter takes: a bank tells of them."""

_SLIPS = {
    Means.CASH: "versement",
    Means.CHEQUE: "chèques",
    Means.CESU_PAPER: "CESU",
    Means.HOLIDAY_VOUCHER: "chèques-vacances",
}
"""Slip of what is handed over on paper; of others nothing is, unless the town says so."""

Words = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=60, pattern=r"^[^|\x00-\x1f\x7f]*$")
]


class RegieMeans(BaseModel):
    """One means of a régie: ``kind = "cash"``, or ``kind = "other"`` with a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Means
    name: Words = ""
    account: Words = ""
    """The account that the money goes to, on the statements."""
    slip: Words | None = None
    """Name of the slip that hands it over; "" if nothing is handed over."""
    activities: tuple[str, ...] = ()
    """Activities of invoices that a title may pay; all of them where none is named."""
    limit: int = Field(default=CASH_LIMIT_EUROS, ge=1, le=CASH_LIMIT_EUROS)
    """Euros of the debt beyond which no cash is taken."""

    @model_validator(mode="after")
    def _coherent(self) -> RegieMeans:
        if self.kind is Means.OTHER and not self.name:
            raise ValueError('needs a name: kind = "other", name = "…"')
        if self.name and self.kind in {Means.CASH, Means.CHEQUE, *ELSEWHERE}:
            raise ValueError(f"{self.kind} has no name of its own")
        if "activities" in self.model_fields_set and self.kind not in TITLES:
            raise ValueError(f"activities are chosen for titles (CESU…), not for {self.kind}")
        if "limit" in self.model_fields_set and self.kind is not Means.CASH:
            raise ValueError(f"limit is for cash, not for {self.kind}")
        if self.kind in {Means.CASH, Means.CHEQUE} and self.slip is not None:
            raise ValueError(f"{self.kind} has a slip of its own")
        return self

    @property
    def means(self) -> str:
        """The means as the database keeps it."""
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    @property
    def slip_name(self) -> str:
        """Name of the slip that hands it over; "" if nothing is handed over on paper."""
        if self.slip is not None:
            return self.slip
        return _SLIPS.get(self.kind, self.name if self.kind is Means.OTHER else "")

    @property
    def at_counter(self) -> bool:
        """True if an agent may take it at the counter."""
        return self.kind not in ELSEWHERE

    @property
    def is_title(self) -> bool:
        """True if it is worth what is printed on it: no change is given."""
        return self.kind in TITLES


USUAL = tuple(
    RegieMeans(kind=kind)
    for kind in (Means.CASH, Means.CHEQUE, Means.TERMINAL, Means.TRANSFER)
)
"""Means of a régie whose file names none."""


def checked(listed: Sequence[RegieMeans]) -> None:
    """Refuse a list that no counter can work with.

    Raises:
        ValueError: a means stands twice, or what is no cash and no cheque is on their slip.
    """
    seen: set[str] = set()
    for one in listed:
        if one.means.casefold() in seen:
            raise ValueError(f"{one.means} stands twice")
        seen.add(one.means.casefold())
        own = (_SLIPS[Means.CASH], _SLIPS[Means.CHEQUE])
        if one.slip and one.slip.casefold() in own:
            raise ValueError(f"{one.means} may not be on the slip of cash or cheques: {one.slip}")
