"""All towns of the installation, found by slug or host name. Immutable: a reload swaps it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from core.platform.tenancy.config import (
    Problem,
    TenantConfig,
    TenantConfigError,
    is_demonstration,
    load,
)
from core.platform.tenancy.lent import LentSettings


class UnknownTownError(LookupError):
    """No town of this slug serves: there is none, or its file is wrong."""


_HOST = re.compile(r"([^:@/\s]+)(?::[0-9]{1,5})?")
"""A host name, and its port: nothing else may stand in a link."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The towns that serve, and those whose file is wrong (they answer 503)."""

    towns: Mapping[str, TenantConfig]
    broken: Mapping[str, list[Problem]] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Demonstration towns, in production."""

    def __iter__(self) -> Iterator[TenantConfig]:
        return iter(self.towns.values())

    def get(self, slug: str) -> TenantConfig | None:
        """The town of this slug, or None."""
        return self.towns.get(slug)

    def by_host(self, host: str) -> str | None:
        """The slug of the town that this host name (port and case ignored) belongs to."""
        found = _HOST.fullmatch(host)
        return self.hosts.get(found[1].lower()) if found else None


def load_registry(
    directory: Path,
    settings_models: Mapping[str, type[BaseModel]],
    built_in: Mapping[str, BaseModel],
    *,
    demonstrations: bool = True,
) -> Registry:
    """Read every town below `directory`. A wrong file takes down its own town only.

    `demonstrations`: made-up towns are read, too. They are in each clone, and serve no production.
    """
    towns: dict[str, TenantConfig] = {}
    broken: dict[str, list[Problem]] = {}
    hosts: dict[str, str] = {}
    folders = sorted(path.parent for path in directory.glob("*/tenant.toml"))
    left_out = () if demonstrations else tuple(filter(is_demonstration, folders))
    for folder in folders:
        if folder in left_out:
            continue
        try:
            config = load(folder, settings_models)
            _claim(hosts, config)
        except TenantConfigError as error:
            broken[folder.name] = error.problems
            continue
        settings = LentSettings({**built_in, **config.settings})
        towns[config.slug] = TenantConfig(config.slug, config.folder, config.file, settings)
    return Registry(towns, broken, hosts, tuple(folder.name for folder in left_out))


def _claim(hosts: dict[str, str], config: TenantConfig) -> None:
    taken = [host for host in config.file.tenant.hosts if host in hosts]
    if taken:
        reason = f"{taken[0]} already belongs to {hosts[taken[0]]}"
        raise TenantConfigError([Problem(config.folder / "tenant.toml", "tenant.hosts", reason)])
    hosts.update(dict.fromkeys(config.file.tenant.hosts, config.slug))
