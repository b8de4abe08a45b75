"""The words that the law wants of a town, and that its file does not say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.api.payments import Means
from core.platform.tenancy.config import AUDITED, TenantConfig

CESU = (Means.CESU_PAPER, Means.CESU_ELECTRONIC)


@dataclass(frozen=True, slots=True)
class Missing:
    """A key that is empty, and the page that lacks it."""

    key: str
    reason: str


def missing(config: TenantConfig) -> Iterator[Missing]:
    """Tell what the pages of a town that serves do not say, though they have to."""
    legal, contact, audit = config.file.legal, config.file.contact, config.file.accessibility
    notice = "legal notice (loi 2004-575, article 1-1)"
    for key, value, page in (
        ("legal.publisher", legal.publisher, notice),
        ("legal.director", legal.director, notice),
        ("legal.host", legal.host, notice),
        ("legal.host_address", legal.host_address, notice),
        ("legal.host_phone", legal.host_phone, notice),
        ("contact.address", contact.address, notice),
        ("contact.phone", contact.phone, notice),
        ("contact.email", contact.email, "accessibility statement and privacy page: whom to ask"),
        ("legal.data_protection", legal.data_protection, "privacy page (RGPD, articles 13 and 37)"),
        ("accessibility.plan", audit.plan, "accessibility statement: the plan for several years"),
    ):
        if not _says(value):
            yield Missing(key, page)
    if legal.accessibility in AUDITED:
        for key, is_said in (
            ("accessibility.rate", audit.rate is not None),
            ("accessibility.audited_on", audit.audited_on is not None),
            ("accessibility.auditor", _says(audit.auditor)),
            ("accessibility.pages", _says(audit.pages)),
            ("accessibility.environment", _says(audit.environment)),
        ):
            if not is_said:
                yield Missing(key, f"“{legal.accessibility}” needs an audit (RGAA)")
    if legal.accessibility == "partiellement conforme" and not _says(audit.not_conforming):
        yield Missing("accessibility.not_conforming", "accessibility statement: what fails")
    if legal.accessibility == "totalement conforme" and audit.rate not in {None, 100}:
        yield Missing("accessibility.rate", "“totalement conforme” is 100 %")
    yield from _unsure_means(config)
    if not config.file.retention.families:
        yield Missing("retention.families", "privacy page: how long a family's file is kept")
    if not config.file.retention.messages:
        yield Missing("retention.messages", "privacy page: how long sent messages are kept")


_PLACEHOLDERS = frozenset(
    {"", "todo", "tbd", "xxx", "n a", "à compléter", "a completer", "à définir", "à renseigner"}
)


def _says(value: str | Sequence[str]) -> bool:
    """Tell words from blanks, dots and what stands for words to come."""
    text = value if isinstance(value, str) else " ".join(value)
    return re.sub(r"[\W_]+", " ", text).strip().casefold() not in _PLACEHOLDERS


def _unsure_means(config: TenantConfig) -> Iterator[Missing]:
    """Tell what a régie's titles may pay without being said, or by a name that no one has."""
    for key, regie in config.file.regies.items():
        for number, one in enumerate(regie.means):
            place = f"regies.{key}.means.{number}.activities"
            if one.kind in CESU and not one.activities:
                yield Missing(place, "a CESU pays everything, the canteen too (CESU: child-care)")
            for name in one.activities:
                if regie.imputation and name not in regie.imputation:
                    yield Missing(
                        f"regies.{key}.imputation.{name}", f"{place} names it; is it an activity?"
                    )
