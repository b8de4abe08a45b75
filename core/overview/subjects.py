"""Subjects of the audit trail, by the names that agents know them by."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.agents.models import Agent
from core.broadcasts.models import Broadcast
from core.families.models import Family
from core.imports.models import ImportBatch
from core.imports.upload_models import Upload
from core.invoices.models import Invoice
from core.news.models import News
from core.overview.search import FOUND, Search
from core.payments.models import Payment

_SUBJECT = re.compile(r"[a-z_]+:\S+")
"""A subject as the trail keeps it: ``invoice:12``."""

_NAMED: Mapping[str, tuple[Any, Any]] = {
    "agent": (Agent, func.coalesce(func.nullif(Agent.name, ""), Agent.email)),
    "batch": (ImportBatch, ImportBatch.file_name),
    "broadcast": (Broadcast, Broadcast.title),
    "family": (Family, func.coalesce(func.nullif(Family.name, ""), Family.code)),
    "invoice": (Invoice, Invoice.number),
    "news": (News, News.title),
    "payment": (Payment, Payment.receipt_number),
    "upload": (Upload, Upload.file_name),
}
"""Model of each kind of subject, and what it is called by."""


class Subjects:
    """Things that the trail of one town is about."""

    def __init__(self, session: Session, tenant: str, regies: Mapping[str, str]) -> None:
        self._session = session
        self._tenant = tenant
        self._regies = regies

    def names(self, subjects: Iterable[str]) -> dict[str, str]:
        """Subjects (``invoice:12``) to what they are called, but those that are gone or nameless.

        One statement for each kind, however many subjects there are.
        """
        numbers: dict[str, set[int]] = defaultdict(set)
        found: dict[str, str] = {}
        for subject in subjects:
            kind, _colon, rest = subject.partition(":")
            if kind in _NAMED and rest.isdecimal():
                numbers[kind].add(int(rest))
            elif kind == "regie" and rest in self._regies:
                found[subject] = self._regies[rest]
        for kind, ids in numbers.items():
            model, name = _NAMED[kind]
            rows = self._session.execute(
                select(model.id, name).where(model.tenant_id == self._tenant, model.id.in_(ids))
            )
            found |= {f"{kind}:{number}": called for number, called in rows if called}
        return found

    def find(self, typed: str) -> list[str]:
        """The subjects that an agent means by `typed`: what a search finds, or a file's name.

        A subject as the trail keeps it (``invoice:12``) means itself.
        """
        typed = typed.strip()
        if _SUBJECT.fullmatch(typed):
            return [typed]
        found = Search(self._session, self._tenant).find(typed)
        return [
            *(f"family:{family.id}" for family in found.families),
            *(f"invoice:{row.Invoice.id}" for row in found.invoices),
            *(f"payment:{row.Payment.id}" for row in found.payments),
            *self._files("batch", typed),
            *self._files("upload", typed),
            *(f"regie:{key}" for key, label in self._regies.items() if typed in (key, label)),
        ]

    def _files(self, kind: str, typed: str) -> list[str]:
        model, name = _NAMED[kind]
        numbers = self._session.scalars(
            select(model.id)
            .where(model.tenant_id == self._tenant, name == typed)
            .order_by(model.id.desc())
            .limit(FOUND)
        )
        return [f"{kind}:{number}" for number in numbers]
