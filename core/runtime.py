"""The process: settings, towns, database and Redis, put together once; units of work from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis import Redis
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from core.api.context import Clock
from core.api.plugin import Plugin
from core.platform import metrics
from core.platform.clock import SystemClock
from core.platform.db.outage import is_outage
from core.platform.db.session import guests_of, leave_connections, make_engine, make_session_factory
from core.platform.db.standby import Standby, where
from core.platform.documents.objects import open_store
from core.platform.plugins.cache import PluginCache
from core.platform.plugins.discovery import Extensions, discovered
from core.platform.settings import Settings, SettingsError, get_settings
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.models import SERVING, Tenant
from core.platform.tenancy.registry import Registry, UnknownTownError, load_registry
from core.platform.throttling import Throttle
from core.unit_of_work import SharedServices, UnitOfWork

T = TypeVar("T")

CATCH_UP_SECONDS = 2.0
"""Time that whoever reads much waits for the standby, before the primary is asked instead."""
_LOOK_SECONDS = 0.05


class Runtime:
    """Everything a process needs to work for any town."""

    def __init__(
        self,
        settings: Settings,
        extensions: Extensions,
        *,
        clock: Clock | None = None,
        engine: Engine | None = None,
    ) -> None:
        """`engine` is one on the settings' database, for those who have it already."""
        self.settings = settings
        self.extensions = extensions
        self.registry = read_towns(settings, extensions)
        for name, value in (
            ("PREAU_DATABASE_URL", settings.database_url or engine),
            ("PREAU_REDIS_URL", settings.redis_url),
        ):
            if not value:
                raise SettingsError(f"{name} is not set, and no `preau run` runs")
        self.engine: Engine = engine or make_engine(settings.database_url)
        self.sessions: sessionmaker[Session] = make_session_factory(self.engine)
        self.standby = (
            Standby(settings.read_database_url, lag_seconds=settings.read_lag_seconds)
            if settings.read_database_url
            else None
        )
        """Where pages that only read may be read from."""
        self.redis = Redis.from_url(
            settings.redis_url, socket_connect_timeout=1, socket_timeout=1
        )
        self.clock = clock or SystemClock()
        self.answers = PluginCache()
        self.objects = open_store(settings)
        self._shared = SharedServices(
            settings,
            extensions,
            self.clock,
            Throttle(self.redis),
            self.answers,
            guests_of(self.engine),
            self.objects,
        )

    def config(self, slug: str) -> TenantConfig:
        """The configuration of a town that serves.

        Raises:
            UnknownTownError: there is none.
        """
        config = self.registry.get(slug)
        if config is None:
            raise UnknownTownError(slug)
        return config

    def serving(self) -> list[TenantConfig]:
        """The towns that are not closed, and have not moved to another installation."""
        with self.engine.connect() as connection:
            closed = set(
                connection.scalars(
                    select(Tenant.id).where(Tenant.state.not_in(SERVING))
                )
            )
        return [config for config in self.registry if config.slug not in closed]

    def base_url(self, config: TenantConfig) -> str:
        """Address of the town's pages, for those who come from a mail: its host, else its path."""
        public = self.settings.public_base_url
        if config.file.tenant.hosts and self.settings.is_production:
            return f"{urlsplit(public).scheme}://{config.file.tenant.hosts[0]}"
        return f"{public}/{config.slug}"

    def open(self, slug: str, *, actor: str = "system", base_url: str = "") -> UnitOfWork:
        """A town with a session of its own, which the caller commits and closes."""
        config = self.config(slug)
        session = self.sessions(info={"tenant": slug})
        return UnitOfWork(
            config,
            session,
            self._shared,
            base_url=base_url or self.base_url(config),
            actor=actor,
        )

    @contextmanager
    def unit_of_work(self, slug: str, *, actor: str = "system") -> Iterator[UnitOfWork]:
        """A town for one piece of work: committed at the end, rolled back if it raises."""
        town = self.open(slug, actor=actor)
        with town.session:
            yield town
            town.session.commit()

    def read(self, slug: str, act: Callable[[UnitOfWork], T], *, actor: str = "system") -> T:
        """Give what `act` reads of a town, and changes nothing.

        It runs on the standby, once that has all that the primary has now: whoever wrote before
        finds it. On the primary where there is no standby, where it does not come so far within
        `CATCH_UP_SECONDS`, and again where it fails in the middle.
        """
        with closing(self.open(slug, actor=actor).session) as primary:
            session = self._caught_up(slug, primary)
        if session is not None:
            town = self.open(slug, actor=actor)
            try:
                with session:
                    found = act(town.on(session))
            except Exception as error:
                if self.standby is None or not is_outage(error):
                    raise
                self.standby.failed(error)
                metrics.readings.labels("failed").inc()
            else:
                metrics.readings.labels("standby").inc()
                return found
        with self.unit_of_work(slug, actor=actor) as town:
            return act(town)

    def _caught_up(self, slug: str, primary: Session) -> Session | None:
        if self.standby is None:
            return None
        mark, _system = where(primary)
        deadline = monotonic() + CATCH_UP_SECONDS
        while True:
            found = self.standby.open(slug, mark, primary)
            if isinstance(found, Session):
                return found
            if found.why not in {"own_write", "late"} or monotonic() > deadline:
                metrics.readings.labels(found.why).inc()
                return None
            sleep(_LOOK_SECONDS)

    def forked(self) -> None:
        """Leave the parent process, in a forked one, its connections."""
        leave_connections(self.engine)
        if self.standby is not None:
            leave_connections(self.standby.engine)
        self.redis.connection_pool.reset()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()
        if self.standby is not None:
            self.standby.engine.dispose()
        self.redis.close()


def read_towns(settings: Settings, extensions: Extensions) -> Registry:
    """All towns of the installation, those with a wrong file apart."""
    return load_registry(
        Path(settings.tenants_dir),
        extensions.settings_models(),
        extensions.built_in(),
        demonstrations=not settings.is_production,
    )


def sync_towns(owner_url: str, registry: Registry) -> None:
    """Write the towns that serve into the table that foreign keys point to."""
    engine = create_engine(owner_url)
    write_town_rows(engine, registry)
    engine.dispose()


def write_town_rows(owner: Engine, registry: Registry) -> None:
    """Do the same on an engine of the owner's that is there already."""
    with owner.begin() as connection:
        for config in registry:
            connection.execute(
                text(
                    "INSERT INTO tenant (id, name) VALUES (:id, :name)"
                    " ON CONFLICT (id) DO UPDATE SET name = excluded.name"
                ),
                {"id": config.slug, "name": config.name},
            )


@cache
def get_runtime() -> Runtime:
    """The runtime of this process."""
    return Runtime(get_settings(), discovered())


class Tenants:
    """The towns for plugins' commands (`core.api.context.Tenants`), from the runtime when used."""

    @contextmanager
    def open(self, slug: str) -> Iterator[UnitOfWork]:
        """Open a town for one unit of work, committed at the end.

        Raises:
            UnknownTownError: there is no such town.
        """
        with get_runtime().unit_of_work(slug, actor="cli") as town:
            yield town

    def enabled(self, plugin: Plugin[Any]) -> list[str]:
        """Slugs of the towns that enable a plugin."""
        return enabled_towns(plugin.name)


def enabled_towns(plugin: str) -> list[str]:
    """Slugs of the towns that enable the plugin of this name."""
    return [config.slug for config in get_runtime().registry if plugin in config.enabled]
