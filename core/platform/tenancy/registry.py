"""All towns of the installation, found by slug or host name.

Files are taken in as they are when the process starts, and each is read when its town is first
asked for: a start with ten thousand towns takes hardly longer than with ten. A reload is a new
registry.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import RLock

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
_HOSTS = re.compile(rb"""\bhosts\s*=\s*\[((?:\s*(?:"[^"\\\n]+"|'[^'\n]+')\s*,?)*)\s*\]""")
"""A town's hosts as files usually have them."""
_QUOTED = re.compile(rb"""["']([^"']+)["']""")


class Registry:
    """The towns that serve, and those whose file is wrong (they answer 503)."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        settings_models: Mapping[str, type[BaseModel]],
        built_in: Mapping[str, BaseModel],
        *,
        directory: Path = Path(),
        demonstrations: bool = True,
    ) -> None:
        """`files`: what each ``tenant.toml`` says, by the name of its folder in `directory`."""
        self._files = dict(sorted(files.items()))
        self._models = settings_models
        self._built_in = built_in
        self._directory = directory
        self._demonstrations = demonstrations
        self._read: dict[str, TenantConfig | list[Problem] | None] = {}
        self._lock = RLock()
        self._hosts: dict[str, list[str]] = {}
        """Towns whose files name a host, in their order; none of them has been read yet."""
        self._exchanging = [
            slug
            for slug, content in self._files.items()
            if b"exchanges" in content or b"\\" in content
        ]
        """Towns whose files may name places of exchanges."""
        for slug, content in self._files.items():
            for host in hosts_named(content):
                self._hosts.setdefault(host, []).append(slug)

    def __iter__(self) -> Iterator[TenantConfig]:
        """Give the towns that serve, by slug. All of them are read."""
        for slug in self._files:
            if (config := self.get(slug)) is not None:
                yield config

    @property
    def towns(self) -> Mapping[str, TenantConfig]:
        """The towns that serve, by slug. All of them are read."""
        return {config.slug: config for config in self}

    @property
    def broken(self) -> Mapping[str, list[Problem]]:
        """Problems of the other towns' files. All towns are read."""
        return {slug: found for slug in self._files if (found := self.problems(slug))}

    @property
    def left_out(self) -> tuple[str, ...]:
        """Demonstration towns, in production. All towns are read."""
        return tuple(slug for slug in self._files if self._one(slug) is None)

    def get(self, slug: str) -> TenantConfig | None:
        """The town of this slug; None if there is none, or its file is wrong."""
        found = self._one(slug)
        return found if isinstance(found, TenantConfig) else None

    def problems(self, slug: str) -> list[Problem]:
        """Problems of a town's file; none if there is no such town."""
        found = self._one(slug)
        return found if isinstance(found, list) else []

    def by_host(self, host: str) -> str | None:
        """The slug of the town that this host name (port and case ignored) belongs to."""
        found = _HOST.fullmatch(host)
        return self._owner(found[1].lower()) if found else None

    def _one(self, slug: str) -> TenantConfig | list[Problem] | None:
        """A town, or what is wrong with its file; None if there is no such town."""
        if slug not in self._files:
            return None
        with self._lock:
            if slug not in self._read:
                self._read[slug] = self._load(slug)
                self._files[slug] = b""  # Nothing asks for what it said any more.
            return self._read[slug]

    def _load(self, slug: str) -> TenantConfig | list[Problem] | None:
        folder, content = self._directory / slug, self._files[slug]
        if not self._demonstrations and is_demonstration(content):
            return None
        try:
            config = load(folder, self._models, content)
        except TenantConfigError as error:
            return error.problems
        for host in config.file.tenant.hosts:
            if owner := self._owner(host, before=slug):
                reason = f"{host} already belongs to {owner}"
                return [Problem(folder / "tenant.toml", "tenant.hosts", reason)]
        if problem := self._taken(config):
            return [problem]
        settings = LentSettings({**self._built_in, **config.settings})
        return TenantConfig(config.slug, config.folder, config.file, settings)

    def _taken(self, config: TenantConfig) -> Problem | None:
        """A place of exchanges that a town before this one has, or that lies within another."""
        mine = list(config.file.exchanges.places())
        if not mine:
            return None
        owned = [
            (place.claim, other.slug)
            for slug in self._exchanging
            if slug < config.slug and (other := self.get(slug)) is not None
            for _name, place in other.file.exchanges.places()
        ]
        for name, place in mine:
            claim = place.claim
            for other_claim, owner in owned:
                shared = min(len(claim), len(other_claim))
                if claim[:shared] == other_claim[:shared]:
                    reason = f"is a place of {owner} already, or lies within one"
                    return Problem(config.folder / "tenant.toml", f"exchanges.{name}", reason)
            owned.append((claim, config.slug))
        return None

    def _owner(self, host: str, *, before: str = "") -> str | None:
        """The first town that has the host, or of those `before` a town."""
        for slug in self._hosts.get(host, ()):
            if before and slug >= before:
                break
            config = self.get(slug)
            if config is not None and host in config.file.tenant.hosts:
                return slug
        return None


def hosts_named(content: bytes) -> list[str]:
    """Hosts that a town's file may name: all that it does, and rarely another.

    Where they are written as usual, they are found without reading the file.
    """
    if b"hosts" not in content and b"\\" not in content:
        return []
    if content.count(b"hosts") == 1 and b"\\" not in content and (at := _HOSTS.search(content)):
        return [host.decode("ascii", "replace") for host in _QUOTED.findall(at[1])]
    try:
        section = tomllib.loads(content.decode()).get("tenant")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return []
    hosts = section.get("hosts") if isinstance(section, dict) else None
    return [host for host in hosts if isinstance(host, str)] if isinstance(hosts, list) else []


def load_registry(
    directory: Path,
    settings_models: Mapping[str, type[BaseModel]],
    built_in: Mapping[str, BaseModel],
    *,
    demonstrations: bool = True,
) -> Registry:
    """Take in every town below `directory`. A wrong file takes down its own town only.

    `demonstrations`: made-up towns serve, too. They are in each clone, and serve no production.
    """
    files: dict[str, bytes] = {}
    if directory.is_dir():
        for folder in directory.iterdir():
            with suppress(FileNotFoundError, NotADirectoryError):
                files[folder.name] = (folder / "tenant.toml").read_bytes()
    return Registry(
        files, settings_models, built_in, directory=directory, demonstrations=demonstrations
    )
