"""A town's settings: ``[plugins.planning]`` of its tenant.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    model_validator,
)

from core.plugin import PluginSettings
from plugins.planning.calendar import REGIONS, Span, calendar
from plugins.planning.rules import (
    Calendar,
    Counting,
    Deadline,
    DeadlineKind,
    Late,
    Period,
    Service,
)

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_AT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


T = TypeVar("T")
Table = Annotated[
    Mapping[str, T], AfterValidator(MappingProxyType), PlainSerializer(dict, return_type=dict)
]
"""A table that nobody can change: core copies settings with any other one for each who asks."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeadlineSettings(_Strict):
    """One deadline: exactly one of `days`, `weekday`, `day_of_month`, `always`, `never`."""

    at: str = "24:00"
    """hh:mm in Paris; "24:00" is the end of the day."""
    days: int | None = Field(default=None, ge=0, le=60)
    counting: Counting = Counting.CALENDAR
    weekday: Weekday | None = None
    weeks: int = Field(default=1, ge=1, le=8)
    day_of_month: int | None = Field(default=None, ge=1, le=31)
    school_day: bool = False
    always: bool = False
    never: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> DeadlineSettings:
        given = [self.days is not None, self.weekday is not None, self.day_of_month is not None,
                 self.always, self.never]  # fmt: skip
        if sum(given) != 1:
            raise ValueError('say one of days, weekday, day_of_month, "always", "never"')
        if not _AT.fullmatch(self.at):
            raise ValueError('at is hh:mm, from "00:00" to "24:00"')
        return self

    def rule(self) -> Deadline:
        """The deadline for the rules."""
        hours, minutes = self.at.split(":")
        at = int(hours) * 60 + int(minutes)
        if self.always or self.never:
            return Deadline(DeadlineKind.NONE if self.always else DeadlineKind.NEVER)
        if self.days is not None:
            return Deadline(
                DeadlineKind.DAYS, at, days=self.days, counting=self.counting,
                school_day=self.school_day,
            )  # fmt: skip
        if self.weekday is not None:
            return Deadline(
                DeadlineKind.WEEKDAY, at, weekday=WEEKDAYS.index(self.weekday), weeks=self.weeks,
                school_day=self.school_day,
            )  # fmt: skip
        return Deadline(
            DeadlineKind.MONTH, at, day_of_month=self.day_of_month or 1, school_day=self.school_day
        )


def _words(value: object) -> object:
    """Let "always" and "never" stand for themselves."""
    return {value: True} if value in ("always", "never") else value


DeadlineField = Annotated[DeadlineSettings, BeforeValidator(_words)]


class ServiceSettings(_Strict):
    """One service, under its key."""

    label: str = Field(min_length=1, max_length=60)
    weekdays: tuple[Weekday, ...] = ("monday", "tuesday", "thursday", "friday")
    period: Period = Period.SCHOOL
    places: int | None = Field(default=None, ge=0, le=100_000)
    places_at: Table[int] = Field(default_factory=dict, validate_default=True)
    """Children a day at each school with its own number, by the name that the enrolments give."""
    add: DeadlineField = DeadlineSettings(always=True)
    cancel: DeadlineField = DeadlineSettings(always=True)
    late: Late = Late.REFUSE
    waiting_list: bool = False
    window_days: int | None = Field(default=None, ge=1, le=800)
    caterer: str = Field(default="", max_length=254)
    """The caterer's mail address: the order of a day is frozen at the deadline and sent there."""

    def rule(self, key: str) -> Service:
        """The service for the rules."""
        return Service(
            key=key,
            label=self.label,
            weekdays=frozenset(WEEKDAYS.index(name) for name in self.weekdays),
            period=self.period,
            places=self.places,
            places_at=self.places_at,
            add=self.add.rule(),
            cancel=self.cancel.rule(),
            late=self.late,
            waiting_list=self.waiting_list,
            window_days=self.window_days,
            order=bool(self.caterer),
        )


class HolidaySettings(_Strict):
    """School holidays that the zone does not have, both days included."""

    first: date
    last: date

    @model_validator(mode="after")
    def _forward(self) -> HolidaySettings:
        if not 0 <= (self.last - self.first).days <= 120:
            raise ValueError("last is after first, within 120 days")
        return self


class PlanningSettings(PluginSettings):
    """All of them. Only `feed_key` has no default."""

    feed_key: SecretStr = Field(min_length=16)
    """Keys the addresses of calendar feeds. Give it as a reference; a new one ends all of them."""
    zone: Literal["A", "B", "C"] | None = None
    region: str = "metropole"
    """Region whose public holidays apply: see docs/planning-operating.md."""
    school_weekdays: tuple[Weekday, ...] = ("monday", "tuesday", "thursday", "friday")
    holidays: tuple[HolidaySettings, ...] = ()
    known_until: date | None = None
    remind_hours: int = Field(default=24, ge=0, le=168)
    """Families are reminded so many hours before a deadline; 0: never."""
    services: Table[ServiceSettings] = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _sound(self) -> PlanningSettings:
        if self.region not in REGIONS:
            raise ValueError(f"region is one of: {', '.join(sorted(REGIONS))}")
        if self.zone is None and not self.holidays:
            raise ValueError("without a zone, say the holidays")
        for key in self.services:
            if not re.fullmatch(r"[A-Za-z0-9_-]{1,30}", key):
                raise ValueError(f"a service's key has letters, digits, _ and - only: {key!r}")
        return self

    def calendar(self) -> Calendar:
        """The town's calendar."""
        return calendar(
            zone=self.zone,
            region=self.region,
            school_weekdays=frozenset(WEEKDAYS.index(name) for name in self.school_weekdays),
            own=tuple(Span(span.first, span.last) for span in self.holidays),
            known_until=self.known_until,
        )

    def rules(self) -> dict[str, Service]:
        """The services by key, in the order of the file."""
        return {key: given.rule(key) for key, given in self.services.items()}
