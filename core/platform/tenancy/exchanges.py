"""Places that a town exchanges files with its billing software in: folders, SFTP, HTTPS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from core.domain.addresses import configured

SHORTEST_MINUTES = 5
"""Minutes between two looks, at least: as often as beat asks."""

PlaceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
Minutes = Annotated[int, Field(ge=SHORTEST_MINUTES, le=7 * 24 * 60)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SftpPlace(_Section):
    """A directory of an SFTP server, which is known by its key and by nothing else."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(min_length=1)
    folder: str = Field(default=".", min_length=1)
    host_keys: list[str] = Field(min_length=1)
    """The server's public keys, as ``ssh-keyscan`` prints them without the name."""
    password: SecretStr | None = None
    private_key: SecretStr | None = None
    """The whole private key, in OpenSSH's format."""

    @model_validator(mode="after")
    def _has_a_way_in(self) -> Self:
        if (self.password is None) == (self.private_key is None):
            raise ValueError("needs password or private_key, and not both")
        return self


class HttpsPlace(_Section):
    """An address of the web, with a token."""

    url: str = Field(max_length=2000)
    token: SecretStr | None = None
    ca: Path | None = None
    """File with the certificates of the authority that the server's comes from; None: the usual."""

    @field_validator("url")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            raise ValueError("has to be an address https://… without a name or a password in it")
        return value


class Place(_Section):
    """One place: a folder of this machine, a directory of an SFTP server, or an address."""

    folder: Path | None = None
    sftp: SftpPlace | None = None
    https: HttpsPlace | None = None
    every_minutes: Minutes = 15

    @field_validator("folder")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("has to be an absolute path")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(way is not None for way in (self.folder, self.sftp, self.https)) != 1:
            raise ValueError("needs one of folder, sftp, https, and one only")
        return self

    @property
    def claim(self) -> tuple[str, ...]:
        """Parts of its name: two towns may have neither the same place nor one below another."""
        if self.folder is not None:
            return ("", *self.folder.resolve().parts)
        if self.sftp is not None:
            parts = [part for part in self.sftp.folder.split("/") if part not in {"", "."}]
            server = f"{self.sftp.user}@{self.sftp.host.lower()}:{self.sftp.port}"
            return (server, *(parts if ".." not in parts else []))
        assert self.https is not None  # noqa: S101 - one of the three is there
        return (self.https.url,)


class InvoicePlace(Place):
    """A place that invoices come from by themselves."""

    format: str = Field(default="csv", min_length=1)
    """Key of a format, or name of a layout that the régie keeps."""
    publish: Literal["never", "if_clean", "always"] = "never"
    """``if_clean``: if nothing of the file has to be looked at by an agent."""
    move: bool = False
    """True to move files that were read into ``importes`` or ``refuses``, below the place."""

    @model_validator(mode="after")
    def _movable(self) -> Self:
        if self.move and self.https is not None:
            raise ValueError("move is for a folder or an SFTP directory")
        return self


class PaymentPlace(Place):
    """A place that a régie's exports of payments go to by themselves."""

    every_minutes: Minutes = 24 * 60


class Exchanges(_Section):
    """Exchanges of a town with its billing software."""

    tell: list[str] = Field(default_factory=list)
    """Addresses that are told of what came in; none: the town's own."""
    invoices: dict[PlaceName, InvoicePlace] = Field(default_factory=dict, max_length=20)
    payments: dict[str, PaymentPlace] = Field(default_factory=dict)
    """By the key of the régie."""

    @field_validator("tell")
    @classmethod
    def _leave(cls, value: list[str]) -> list[str]:
        return [configured(address) for address in value]

    def places(self) -> Iterator[tuple[str, Place]]:
        """Every place, with its name in the file."""
        for name, place in self.invoices.items():
            yield f"invoices.{name}", place
        for name, out in self.payments.items():
            yield f"payments.{name}", out
