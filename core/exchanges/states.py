"""State of the places of a town: what the last look at each of them found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.exchanges.models import ExchangeFile, ExchangePlace
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.exchanges import Place

IN, OUT = "in", "out"
SHOWN = 100
"""Files of a place that its page shows."""


@dataclass(frozen=True, slots=True)
class PlaceState:
    """A place of the town's file, and what is known of it."""

    direction: str
    name: str
    where: str
    """The place in words that hold no secret."""
    looked_at: datetime | None = None
    reached_at: datetime | None = None
    failing_since: datetime | None = None
    problem: str = ""


class ExchangeStates:
    """The places of one town."""

    def __init__(self, session: Session, town: TenantConfig, clock: Clock) -> None:
        self._session = session
        self._town = town
        self._clock = clock

    def reached(self, direction: str, name: str) -> None:
        """Note that a place was there."""
        self._note(direction, name, "")

    def failed(self, direction: str, name: str, problem: str) -> None:
        """Note that a place was not, and why."""
        self._note(direction, name, problem)

    def all(self) -> list[PlaceState]:
        """Every place that the town's file names."""
        known = {
            (row.direction, row.name): row
            for row in self._session.scalars(
                select(ExchangePlace).where(ExchangePlace.tenant_id == self._town.slug)
            )
        }
        found = []
        exchanges = self._town.file.exchanges
        for direction, name, place in (
            *((IN, name, place) for name, place in exchanges.invoices.items()),
            *((OUT, name, place) for name, place in exchanges.payments.items()),
        ):
            row = known.get((direction, name))
            found.append(
                PlaceState(
                    direction, name, where(place), row.looked_at, row.reached_at,
                    row.failing_since, row.problem,
                )
                if row
                else PlaceState(direction, name, where(place))
            )  # fmt: skip
        return found

    def files(self, place: str) -> Sequence[ExchangeFile]:
        """The files of a place, the last one first."""
        return self._session.scalars(
            select(ExchangeFile)
            .where(ExchangeFile.tenant_id == self._town.slug, ExchangeFile.place == place)
            .order_by(ExchangeFile.seen_at.desc(), ExchangeFile.id.desc())
            .limit(SHOWN)
        ).all()

    def _note(self, direction: str, name: str, problem: str) -> None:
        now = self._clock.now()
        values: dict[str, Any] = {
            "looked_at": now,
            "problem": problem,
            "failing_since": now if problem else None,
            **({} if problem else {"reached_at": now}),
        }
        statement = insert(ExchangePlace).values(
            tenant_id=self._town.slug, direction=direction, name=name, **values
        )
        if problem:
            values["failing_since"] = case(
                (ExchangePlace.problem != "", ExchangePlace.failing_since), else_=now
            )
        self._session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "direction", "name"], set_=values
            )
        )


def where(place: Place) -> str:
    """A place in words, without its secrets."""
    if place.folder is not None:
        return str(place.folder)
    if place.sftp is not None:
        return f"sftp://{place.sftp.user}@{place.sftp.host}/{place.sftp.folder.lstrip('/')}"
    assert place.https is not None  # noqa: S101 - one of the three is there
    return place.https.url.partition("?")[0]
