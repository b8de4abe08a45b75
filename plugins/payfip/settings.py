"""Settings of a town for PayFiP: ``[plugins.payfip]`` of its tenant.toml.

::

    [plugins.payfip.regies.PERI]
    numcli = "006382"
    mode = "W"
    direct_debit = true
    reference = "regie"
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from core.plugin import PluginSettings
from plugins.payfip.places import PUBLIC_ZONE, in_public_zone

REAL_ENDPOINT = "https://www.payfip.gouv.fr/tpa/services/securite"
REAL_PAGE = "https://www.payfip.gouv.fr/tpa/paiementws.web"
SERVICE_PATH = "/tpa/services/securite"
PAGE_PATH = "/tpa/paiementws.web"


class Mode(StrEnum):
    """The field `saisie` of the web service."""

    TEST = "T"
    """PayFiP's pages with test cards: no money moves."""
    ACTIVATION = "X"
    """Real payments that prove the set-up to the DGFiP, before production."""
    PRODUCTION = "W"


class ReferenceRule(StrEnum):
    """Source of `refdet`, which depends on the party that keeps the truth about the debt."""

    TITRE = "titre"
    """The trésorerie knows the debt: its reference exactly, or no payment. One at a time."""
    REGIE = "regie"
    """The régie is free: the invoice's payment reference if PayFiP takes it, else one that is made
    for the payment."""
    UNIQUE = "unique"
    """Always a reference made for the payment."""


class Exercise(StrEnum):
    """Year that is sent as `exer`."""

    INVOICE = "invoice"
    CURRENT = "current"


class Regie(PluginSettings):
    """PayFiP for one régie (or one budget, for *titres*)."""

    numcli: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    mode: Mode = Mode.TEST
    direct_debit: bool = False
    """The régie subscribed to payment by direct debit."""
    reference: ReferenceRule = ReferenceRule.REGIE
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{0,8}$")] = "PREAU"
    """Opens the references that Préau makes; two portals of one régie need two prefixes."""
    exercise: Exercise | None = None

    @property
    def exercise_rule(self) -> Exercise:
        """The rule in force: the invoice's year for a *titre*, the current one for a régie."""
        if self.exercise is not None:
            return self.exercise
        return Exercise.INVOICE if self.sends_titres else Exercise.CURRENT

    @property
    def sends_titres(self) -> bool:
        """True if the trésorerie's references must be sent as they are."""
        return self.reference is ReferenceRule.TITRE

    @property
    def several_invoices(self) -> bool:
        """True if one payment may carry several invoices: PayFiP itself takes one reference."""
        return not self.sends_titres


class PayFiPSettings(PluginSettings):
    """PayFiP in one town. Times are seconds."""

    regies: dict[str, Regie] = Field(default_factory=dict)
    """By the key of the régie in the town's file; a régie that is not here is not paid online."""
    simulator: str = ""
    """Base address of a PayFiP simulator; empty for the real service."""
    endpoint: str = REAL_ENDPOINT
    page: str = REAL_PAGE
    """To be set when PayFiP moves, as it did in 2021; `preau doctor` tells of it."""
    connect_timeout: Annotated[float, Field(gt=0, le=30)] = 3.0
    read_timeout: Annotated[float, Field(gt=0, le=60)] = 12.0
    """For the whole answer, not for each piece of it: a parent is waiting behind."""
    technical_pause: Annotated[int, Field(ge=0, le=7200)] = 1800
    """Time to leave the service alone after it said that it is in trouble (the guide's 30
    minutes). A parent's return and a notification still ask at once."""

    @field_validator("endpoint", "page", "simulator")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if value and not re.match(r"https?://[^/\s?#]+(/[^\s?#]*)?\Z", value):
            raise ValueError("must be an absolute http(s) address without query")
        return value.rstrip("/")

    @field_validator("regies")
    @classmethod
    def _one_reference_space_each(cls, regies: dict[str, Regie]) -> dict[str, Regie]:
        seen: dict[tuple[str, str], str] = {}
        for key, regie in regies.items():
            other = seen.setdefault((regie.numcli, regie.mode), key)
            if other != key and not regie.sends_titres:
                raise ValueError(
                    f"{other} and {key} share the client number {regie.numcli}: the payments of "
                    "one could not be told from those of the other"
                )
        return regies

    @model_validator(mode="after")
    def _production_is_real(self) -> Self:
        live = [key for key, regie in self.regies.items() if regie.mode is Mode.PRODUCTION]
        if not live:
            return self
        if self.simulator:
            raise ValueError(
                f"régie {live[0]} is in production (mode W) and cannot pay at a simulator: "
                "remove `simulator`, or set its mode to T"
            )
        for name in ("endpoint", "page"):
            if not in_public_zone(getattr(self, name)):
                raise ValueError(
                    f"régie {live[0]} is in production (mode W): `{name}` must be an https address "
                    f"below {PUBLIC_ZONE}, such as {globals()[f'REAL_{name.upper()}']}"
                )
        return self

    @property
    def service_url(self) -> str:
        """Address at which the three operations are called."""
        return self.simulator + SERVICE_PATH if self.simulator else self.endpoint

    @property
    def page_url(self) -> str:
        """The page that takes the parent, to be completed by ``?idop=``."""
        return self.simulator + PAGE_PATH if self.simulator else self.page
