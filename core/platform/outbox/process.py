"""The process and its units of work, as the machinery sees them: it knows no room."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy.orm import Session

from core.api.context import Clock
from core.platform.outbox.service import Outbox
from core.platform.settings import Settings
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.registry import Registry


class UnitOfWork(Protocol):
    """One tenant in one transaction."""

    config: TenantConfig
    session: Session

    @property
    def outbox(self) -> Outbox:
        """Effects that leave after the commit."""
        ...


class Process(Protocol):
    """Opens units of work for the tenants that this process serves (`core.runtime.Runtime`)."""

    settings: Settings
    registry: Registry
    clock: Clock

    def config(self, slug: str) -> TenantConfig:
        """Give the configuration of a tenant that serves, else raise `UnknownTownError`."""
        ...

    def open(self, slug: str, *, actor: str = ..., base_url: str = ...) -> UnitOfWork:
        """Open a unit of work that the caller commits and closes."""
        ...

    def unit_of_work(
        self, slug: str, *, actor: str = ...
    ) -> AbstractContextManager[UnitOfWork]:
        """Open a unit of work that commits at the end, and rolls back if the block raises."""
        ...
