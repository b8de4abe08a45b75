"""Settings of the installation: the machines it runs on. Towns have their own files (tenants/)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from core.api.plugin import Plugin
from core.domain.addresses import configured

PREFIX = "PREAU_"
DEVELOPMENT_KEY = "development only: this key is public and signs nothing of worth"
"""The key that everybody knows; production refuses it."""

MINIMUM_KEY_LENGTH = 32


class SettingsError(Exception):
    """The installation's settings are wrong; each line names the variable and the reason."""


class Settings(BaseSettings):
    """Settings that differ from one installation to the next.

    Each field is an environment variable: its name in capitals after ``PREAU_`` (`database_url` is
    ``PREAU_DATABASE_URL``), or the same line in a file ``.env`` of the current folder; the
    environment wins. Nothing has to be set for `preau run`, which starts servers of its own and
    hands their addresses to its processes by these very variables. Production has to set
    `environment`, `secret_key`, `public_base_url`, `database_url` and `redis_url`.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        # The same .env may hold what other programs want.
        extra="ignore",
        frozen=True,
        # An error message must not quote a password to the log.
        hide_input_in_errors=True,
    )

    environment: Literal["development", "production"] = "development"
    """``production`` refuses everything that is only good enough for a demonstration."""

    secret_key: str = Field(default=DEVELOPMENT_KEY, repr=False)
    """Signs links and sessions, and keys the hashes of access codes. Lost: all codes are reissued,
    and agents get new ways in.

    At least 32 characters, the same on every machine: ``openssl rand -base64 48``.
    """

    public_base_url: str = "http://localhost:8080"
    """Address of the towns that have no host name of their own; no slash at the end."""

    proxy_hops: int = Field(default=0, ge=0, le=5)
    """Number of one's own proxies before the portal, each adding to ``X-Forwarded-For``.

    0 believes no such header. A wrong count lets visitors choose the address they are throttled by.
    """

    database_url: str = Field(default="", repr=False)
    """PostgreSQL as the application's role ``preau_app``, which owns nothing and bypasses nothing:
    ``postgresql+psycopg://preau_app:…@host/preau``."""

    read_database_url: str = Field(default="", repr=False)
    """A hot standby of the same database, as the same role: lists, statements, exports and
    certificates are read from it where it is not behind. Empty: all from the primary."""

    read_lag_seconds: int = Field(default=10, ge=1, le=300)
    """Age up to which the standby's pages may be shown to people who wrote nothing themselves."""

    trail_months: int | None = Field(default=None, ge=12)
    """Months for which the audit trail is kept, at least; whole months are dropped by
    `preau database housekeep`. None: as long as the towns keep their vouchers."""

    owner_url: str = Field(default="", repr=False)
    """The same database as ``preau_owner``, for migrations only."""

    relay_url: str = Field(default="", repr=False)
    """The same database as ``preau_relay``, which sees the outbox of all towns and no more."""

    maintenance_url: str = Field(default="", repr=False)
    """The same database as ``preau_maintenance``, which reads everything: for `preau backup`."""

    mover_url: str = Field(default="", repr=False)
    """The same database as ``preau_mover``, which writes everywhere: for `preau tenant` only."""

    redis_url: str = Field(default="", repr=False)
    """Redis or Valkey, as Celery’s broker and for throttling: ``redis://…`` or
    ``rediss://…``. It may be lost at any time without losing an effect."""

    tenants_dir: Path = Path("tenants")
    """The folder that holds a folder for each town."""

    data_dir: Path = Path("data")
    """Folder where `preau run` keeps its servers' files. Unused when the URLs above are set."""

    demo_households: int = Field(default=120, ge=10)
    """Families of the larger demonstration town, beside the few that one signs in as."""

    cache_dir: Path | None = None
    """Folder where compiled templates are kept between starts, by this user only.

    None: nowhere, each process compiles what it shows.
    """

    papers_ahead: bool = True
    """False to make an invoice's PDF only when a family asks for it first, never ahead in idle time
    after a publication."""

    documents_url: str = ""
    """Object store (S3) for finished papers: ``s3://bucket`` or ``s3://bucket/folder``.

    Empty: in PostgreSQL, as is right for most. It wants ``pip install preau[objects]``.
    """

    documents_endpoint: str = ""
    """Address of the store: ``https://…``; empty: Amazon's."""

    documents_region: str = "us-east-1"
    """Region that requests are signed for; most other stores take any."""

    documents_key_id: str = ""
    """Name of the access key; empty: that of the machine's role."""

    documents_secret: str = Field(default="", repr=False)
    """Secret of `documents_key_id`."""

    documents_encryption: Literal["", "AES256", "aws:kms"] = ""
    """Encryption at rest to ask for with each paper; empty: that which the bucket has by itself."""

    smtp_host: str = "localhost"
    """The server that takes outgoing mail."""

    smtp_port: int = Field(default=25, ge=1, le=65535)
    """Its port: 25 inside a network; with a user, 465 with `smtp_tls`, 587 with `smtp_starttls`."""

    smtp_user: str = ""
    """Name to sign in with; empty: without signing in."""

    smtp_password: str = Field(default="", repr=False)
    """Password of `smtp_user`."""

    smtp_tls: bool = False
    """True to encrypt from the first byte (implicit TLS, port 465) instead of by STARTTLS."""

    smtp_starttls: bool = False
    """True to encrypt by STARTTLS; a server that does not offer it is then refused."""

    mail_from: str = "ne-pas-repondre@localhost"
    """Sender of the mails of towns that name none in their tenant.toml."""

    mail_returns: str = ""
    """Address that undeliverable mails return to.

    Its server knows details after ``+`` and hands what arrives to ``preau mail returned``. Empty:
    to the sender's own mailbox, unread.
    """

    log_format: Literal["console", "json"] = "console"
    """``console`` for people, ``json`` (one object a line) for machines."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious message that is written."""

    @field_validator("public_base_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("has to start with https:// (or http:// in development)")
        return value.rstrip("/")

    @field_validator("documents_url")
    @classmethod
    def _a_bucket(cls, value: str) -> str:
        if value and not value.removeprefix("s3://").strip("/"):
            raise ValueError("names no bucket: s3://bucket or s3://bucket/folder")
        if value and not value.startswith("s3://"):
            raise ValueError("has to start with s3://")
        return value

    @field_validator("documents_endpoint")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("has to start with https:// (or http:// inside a network)")
        return value.rstrip("/")

    _leaves = field_validator("mail_from", "mail_returns")(configured)

    @model_validator(mode="after")
    def _one_encryption(self) -> Self:
        if self.smtp_tls and self.smtp_starttls:
            raise ValueError("PREAU_SMTP_TLS and PREAU_SMTP_STARTTLS exclude each other")
        return self

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.environment != "production":
            return self
        problems = []
        if self.secret_key == DEVELOPMENT_KEY:
            problems.append("PREAU_SECRET_KEY is not set: openssl rand -base64 48")
        elif len(self.secret_key) < MINIMUM_KEY_LENGTH:
            problems.append(f"PREAU_SECRET_KEY is shorter than {MINIMUM_KEY_LENGTH} characters")
        if not self.public_base_url.startswith("https://"):
            problems.append("PREAU_PUBLIC_BASE_URL has to start with https://")
        problems += [
            f"PREAU_{name.upper()} is not set"
            for name in ("database_url", "redis_url")
            if not getattr(self, name)
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def is_production(self) -> bool:
        """True if real families use this installation."""
        return self.environment == "production"


def load(**overrides: object) -> Settings:
    """Read the settings; `overrides` win over the environment (tests).

    Raises:
        SettingsError: naming every wrong variable and why, without its value.
    """
    return _read(lambda: Settings(**overrides))  # type: ignore[arg-type]


def _read(make: Callable[[], Settings]) -> Settings:
    try:
        return make()
    except ValidationError as error:
        lines = [
            f"{_variable(item['loc'])}{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError("\n".join(lines)) from None


class _OfFiles(Settings):
    """Settings as files say, whatever this process's environment does."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Files only."""
        return init_settings, dotenv_settings


def of_files(paths: Sequence[Path]) -> Settings:
    """Read the settings of another installation.

    Raises:
        SettingsError: naming every wrong variable and why, without its value.
    """
    return _read(lambda: _OfFiles(_env_file=tuple(paths)))  # type: ignore[call-arg]


def installation_settings(settings: Settings, plugin: Plugin[Any]) -> BaseModel:
    """A plugin's settings for the whole installation; core's own fields for what is built in.

    Raises:
        pydantic.ValidationError: one is missing or wrong.
    """
    fields = plugin.Installation.model_fields
    if plugin.built_in:
        values = {name: getattr(settings, name) for name in fields}
    else:
        variables = {name: f"PREAU_{plugin.name}_{name}".upper() for name in fields}
        values = {
            name: os.environ[variable]
            for name, variable in variables.items()
            if variable in os.environ
        }
    return plugin.Installation.model_validate(values)


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load()


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Variables that start with ``PREAU_`` and mean nothing: most likely a slip of the pen."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    names = os.environ if environ is None else environ
    return sorted(name for name in names if name.startswith(PREFIX) and name not in known)


def _variable(location: tuple[int | str, ...]) -> str:
    return f"{PREFIX}{str(location[0]).upper()}: " if location else ""
