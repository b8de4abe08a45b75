"""A town's configuration: tenant.toml, read once, checked, never changed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from core.api.context import ContactInfo, MailInfo, RegieInfo, TownInfo
from core.api.payments import kind_of, name_of
from core.domain.addresses import configured
from core.domain.money import AmountError, parse_amount
from core.platform.tenancy.colours import BLACK, WHITE, contrast
from core.platform.tenancy.exchanges import Exchanges
from core.platform.tenancy.means import USUAL, RegieMeans
from core.platform.tenancy.means import checked as checked_means
from core.platform.tenancy.reasons import reason
from core.platform.tenancy.secrets import SecretError, resolve

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
RESERVED = frozenset({"static", "health", "metrics", "webhooks", "admin", "api"})
LANGUAGES = ("fr", "en")
MINIMUM_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: text on the town's colour has to be readable."""

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=63)]
RegieKey = Annotated[str, Field(pattern=r"^[A-Z0-9_]{1,40}$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


def _cents(value: object) -> int | None:
    """Cents of an amount in euros: ``300``, or ``"1 220,50"`` as French people write it."""
    if value is None:
        return None
    try:
        # A number with a point is refused too: it may be no amount that has cents.
        cents = parse_amount("" if isinstance(value, bool) else str(value))
    except AmountError:
        raise ValueError('is an amount in euros, like 300 or "1220,50"') from None
    if not 0 <= cents <= MAX_EUROS * 100:
        raise ValueError("is no amount of a till")
    return cents


MAX_EUROS = 10_000_000
Euros = Annotated[int | None, BeforeValidator(_cents)]
"""An amount of the file, in euros, kept as cents."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def web_address(value: str) -> str:
    """Take an address of the web, or nothing."""
    if value and not value.startswith(("https://", "http://")):
        raise ValueError("has to be an address: https://…")
    return value


class Regie(_Section):
    """One cash desk. ``collects = false``: the trésorerie collects (*titre* invoices)."""

    label: str = Field(min_length=1)
    collects: bool = True
    pay_to: str = ""
    """Places and ways to pay otherwise, printed on invoices."""
    pay_tresorerie: str = ""
    """Places and ways to pay what the régie handed over to the trésorerie."""
    imputation: dict[str, str] = Field(default_factory=dict)
    """The budget's account of each activity, for the accounts: ``"REPAS" = "7067"``."""
    cash_float: Euros = None
    """The *fonds de caisse*: euros that stay in the till, beside what was collected."""
    cash_ceiling: Euros = None
    """Euros of cash in hand above which *À faire* asks for a remittance."""
    ceiling: Euros = None
    """The *montant maximum de l'encaisse*: euros in hand by all means, above which it asks too."""
    means: list[RegieMeans] = Field(default_factory=list)
    """Means that the counter takes, in its order, and the accounts of those that it does not."""

    @field_validator("means")
    @classmethod
    def _workable(cls, value: list[RegieMeans]) -> list[RegieMeans]:
        checked_means(value)
        return value

    @model_validator(mode="after")
    def _taken_here(self) -> Regie:
        if self.means and not self.collects:
            raise ValueError("takes no means: the trésorerie collects")
        return self


class Contact(_Section):
    """Ways for parents to reach the town."""

    email: str = ""
    phone: str = ""
    address: list[str] = Field(default_factory=list)
    hours: str = ""

    _leaves = field_validator("email")(configured)

    @field_validator("hours")
    @classmethod
    def _kept_together(cls, value: str) -> str:
        # "17 h 30" is one word to a reader: no line may end in the middle of it.
        return re.sub(r"(?<=\d) h\b( (?=\d))?", lambda m: m[0].replace(" ", "\u00a0"), value)


class Look(_Section):
    """The town's own colours and logo over the portal's design."""

    accent: Colour = "#8a3b12"
    logo: str = ""

    @field_validator("accent")
    @classmethod
    def _readable(cls, value: str) -> str:
        if max(contrast(value, WHITE), contrast(value, BLACK)) < MINIMUM_CONTRAST:
            raise ValueError("no text is readable on this colour")
        return value


class Mail(_Section):
    """Sender of the town's mails."""

    sender: str = ""
    reply_to: str = ""

    _leaves = field_validator("sender", "reply_to")(configured)


Conformity = Literal["non conforme", "partiellement conforme", "totalement conforme"]
AUDITED = ("partiellement conforme", "totalement conforme")
"""Conformity that a site may only claim after an audit."""


class Legal(_Section):
    """Information that the law asks a town to give on its site."""

    publisher: str = ""
    director: str = ""
    """The *directeur de la publication*, by name and office."""
    host: str = ""
    host_address: str = ""
    host_phone: str = ""
    data_protection: str = ""
    """Contact of the *délégué à la protection des données*: an e-mail address, or words."""
    processors: list[str] = Field(default_factory=list)
    """Others who work on the data for the town, and their task: ``"Société X (courriels)"``."""
    accounts_years: int = Field(default=10, ge=1, le=99)
    """For how long invoices and payments are kept as vouchers."""
    accessibility: Conformity = "non conforme"


class Accessibility(_Section):
    """Findings of the audit, and plans: the rest of the accessibility statement."""

    rate: float | None = Field(default=None, ge=0, le=100)
    """Percentage of the criteria of the RGAA that are met."""
    audited_on: date | None = None
    auditor: str = ""
    not_conforming: list[str] = Field(default_factory=list)
    exempt: list[str] = Field(default_factory=list)
    """Parts that stay as they are, because mending them would be a disproportionate burden."""
    pages: list[str] = Field(default_factory=list)
    environment: list[str] = Field(default_factory=list)
    """Browsers and screen readers of the audit."""
    plan: str = ""
    """Address of the *schéma pluriannuel de mise en accessibilité*."""

    _address = field_validator("plan")(web_address)

    @field_validator("audited_on")
    @classmethod
    def _plausible(cls, value: date | None) -> date | None:
        if value is not None and not 2010 <= value.year <= 2100:
            raise ValueError("is no year of an audit")
        return value


class Retention(_Section):
    """For how many months what is personal is kept; 0: for as long as nobody erases it."""

    families: int = Field(default=0, ge=0)
    """After a family's last invoice or payment; invoices and payments stay, without its name."""
    messages: int = Field(default=24, ge=0)
    """After a message was written: which was sent where, and what became of it."""

    @field_validator("families")
    @classmethod
    def _not_too_short(cls, value: int) -> int:
        if 0 < value < 24:
            raise ValueError("at least 24 months: last year's tax certificates are still asked for")
        return value


class TenantSection(_Section):
    """The town itself."""

    name: str = Field(min_length=1, max_length=120)
    demonstration: bool = False
    """True if the town is made up: production leaves it out."""
    hosts: list[Host] = Field(default_factory=list)
    languages: list[str] = Field(default_factory=lambda: ["fr", "en"], min_length=1)

    @field_validator("languages")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        unknown = [language for language in value if language not in LANGUAGES]
        if unknown:
            raise ValueError(f"unknown language {unknown[0]!r}; known: {', '.join(LANGUAGES)}")
        return value


class TenantFile(_Section):
    """The whole of tenant.toml; the plugins' sections are checked by their own models."""

    tenant: TenantSection
    contact: Contact = Contact()
    look: Look = Look()
    mail: Mail = Mail()
    legal: Legal = Legal()
    accessibility: Accessibility = Accessibility()
    retention: Retention = Retention()
    exchanges: Exchanges = Exchanges()
    regies: dict[RegieKey, Regie] = Field(min_length=1)
    plugins: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _collected_here(self) -> TenantFile:
        for key in self.exchanges.payments:
            regie = self.regies.get(key)
            if regie is None or not regie.collects:
                raise ValueError(f"exchanges.payments.{key}: no régie that collects has this key")
        return self


@dataclass(frozen=True, slots=True)
class Problem:
    """Error in a town's file: the file, the key, the reason."""

    file: Path
    key: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.file), self.key, self.reason)))


class TenantConfigError(Exception):
    """A town's file is wrong; the other towns still serve."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """A town, valid and frozen."""

    slug: str
    folder: Path
    file: TenantFile
    settings: Mapping[str, BaseModel]
    """Each enabled plugin's settings, by plugin name; never shown by ``repr`` (secrets)."""

    def __repr__(self) -> str:
        return f"<TenantConfig {self.slug}: {', '.join(sorted(self.settings))}>"

    @property
    def name(self) -> str:
        """The town's name as parents know it."""
        return self.file.tenant.name

    @property
    def enabled(self) -> frozenset[str]:
        """Names of the plugins this town enables, built-in ones included."""
        return frozenset(self.settings)

    @property
    def languages(self) -> tuple[str, ...]:
        """The portal's languages in this town; the first is its default."""
        return tuple(self.file.tenant.languages)

    def regie_label(self, key: str) -> str:
        """Name of the cash desk on paper; the key if the file no longer has the desk."""
        regie = self.file.regies.get(key)
        return regie.label if regie else key

    def collects(self, key: str) -> bool:
        """True if the régisseur books payments of this régie here (else the trésorerie does)."""
        regie = self.file.regies.get(key)
        return regie is not None and regie.collects

    def means(self, key: str) -> tuple[RegieMeans, ...]:
        """The means of a régie, in the order of its counter; the usual ones where it names none."""
        regie = self.file.regies.get(key)
        if regie is None or not regie.collects:
            return ()
        return tuple(regie.means) or USUAL

    def one_means(self, key: str, means: str) -> RegieMeans:
        """Settings of a means that a payment of this régie came by, listed or not any more."""
        kind, name = kind_of(means), name_of(means)
        listed = {one.means: one for one in self.means(key)}
        # As it stands: a name that the file lost is still that of money that came.
        return listed.get(means) or RegieMeans.model_construct(kind=kind, name=name)

    def pay_tresorerie(self, key: str) -> str:
        """Ways to pay what this cash desk handed over, in the town's own words; "" for ours."""
        regie = self.file.regies.get(key)
        return regie.pay_tresorerie if regie else ""

    def only(self, regies: Container[str]) -> TenantConfig:
        """The town without its other régies, for an agent who has no right on them."""
        kept = {key: regie for key, regie in self.file.regies.items() if key in regies}
        return replace(self, file=self.file.model_copy(update={"regies": kept}))

    def info(self, base_url: str) -> TownInfo:
        """The town as plugins see it."""
        return TownInfo(
            slug=self.slug,
            name=self.name,
            base_url=base_url,
            languages=self.languages,
            regies=tuple(
                RegieInfo(key, regie.label, regie.collects)
                for key, regie in self.file.regies.items()
            ),
            contact=ContactInfo(
                phone=self.file.contact.phone,
                email=self.file.contact.email,
                hours=self.file.contact.hours,
                address=tuple(self.file.contact.address),
            ),
            mail=MailInfo(self.file.mail.sender, self.file.mail.reply_to),
        )


def load(
    folder: Path, settings_models: Mapping[str, type[BaseModel]], content: bytes
) -> TenantConfig:
    """Read the town of `folder`, whose ``tenant.toml`` says `content`.

    `settings_models` are the installed plugins' settings models; built-in plugins are in it under
    their names and enabled whether the file names them or not (`core.platform.plugins.discovery`).

    Raises:
        TenantConfigError: naming file, key and reason of everything that is wrong.
    """
    path = folder / "tenant.toml"
    if not SLUG.match(folder.name) or folder.name in RESERVED or len(folder.name) > 63:
        reason = "this folder name cannot be a town's address"
        raise TenantConfigError([Problem(folder, "", reason)])
    try:
        raw = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TenantConfigError([Problem(path, "", f"not valid TOML: {error}")]) from None
    try:
        if "exchanges" in raw:
            raw = {**raw, "exchanges": resolve(raw["exchanges"])}
        file = TenantFile.model_validate(raw)
    except SecretError as error:
        key = f"exchanges.{error.key}"
        raise TenantConfigError([Problem(path, key, error.reason)]) from None
    except ValidationError as error:
        raise TenantConfigError(_problems(path, (), error, TenantFile)) from None
    problems: list[Problem] = []
    if file.look.logo and not _inside(folder, file.look.logo):
        problems.append(Problem(path, "look.logo", f"no file {file.look.logo!r} in {folder.name}/"))
    settings: dict[str, BaseModel] = {}
    for name, section in file.plugins.items():
        model = settings_models.get(name)
        if model is None:
            known = ", ".join(sorted(settings_models))
            problems.append(Problem(path, f"plugins.{name}", f"not installed; known: {known}"))
            continue
        try:
            settings[name] = model.model_validate(resolve(section))
        except ValidationError as error:
            problems.extend(_problems(path, ("plugins", name), error, model))
        except SecretError as error:
            problems.append(Problem(path, f"plugins.{name}.{error.key}", error.reason))
    if problems:
        raise TenantConfigError(problems)
    return TenantConfig(folder.name, folder, file, settings)


def is_demonstration(content: bytes) -> bool:
    """True if a town's file says that it is made up, whatever else stands in it."""
    if b"demonstration" not in content and b"\\" not in content:
        return False
    try:
        raw = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
    section = raw.get("tenant")
    return isinstance(section, dict) and section.get("demonstration") is True


def _problems(
    path: Path, prefix: tuple[str, ...], error: ValidationError, model: type[BaseModel]
) -> list[Problem]:
    return [
        Problem(path, ".".join(map(str, (*prefix, *item["loc"]))), reason(item, model))
        for item in error.errors(include_input=False)
    ]


def _inside(folder: Path, name: str) -> bool:
    target = (folder / name).resolve()
    return target.is_relative_to(folder.resolve()) and target.is_file()
