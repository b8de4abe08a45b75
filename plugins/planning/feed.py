"""A family's calendar feed (.ics) under a secret address, signed and revocable.

The address carries a random name and its signature: what was made up is refused before the
database is asked. Of the name, only a hash is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select, update

from core.plugin import TenantContext
from plugins.planning.models import PlanningBooking, PlanningFeed
from plugins.planning.rules import State

MAX_LINE_BYTES = 75
"""Bytes of a line of RFC 5545; the rest is folded."""
PAST_DAYS = 31


class Feeds:
    """The feeds of a town."""

    def __init__(self, ctx: TenantContext, key: str) -> None:
        self._ctx = ctx
        self._key = key.encode()

    def new(self, family_id: int) -> str:
        """Make the family's address, in place of the one before; returned once."""
        self.revoke(family_id)
        name = secrets.token_urlsafe(24)
        self._ctx.session.add(
            PlanningFeed(
                tenant_id=self._ctx.town.slug,
                family_id=family_id,
                token_hash=_hash(name),
                created_at=self._ctx.clock.now(),
                revoked_at=None,
            )
        )
        self._ctx.session.flush()
        return f"{name}.{self._sign(name)}"

    def revoke(self, family_id: int) -> None:
        """End the family's addresses."""
        self._ctx.session.execute(
            update(PlanningFeed)
            .where(
                PlanningFeed.tenant_id == self._ctx.town.slug,
                PlanningFeed.family_id == family_id,
                PlanningFeed.revoked_at.is_(None),
            )
            .values(revoked_at=self._ctx.clock.now())
        )

    def since(self, family_id: int) -> datetime | None:
        """Time at which the family's address was made; None without an address."""
        found: datetime | None = self._ctx.session.scalar(
            select(PlanningFeed.created_at).where(
                PlanningFeed.tenant_id == self._ctx.town.slug,
                PlanningFeed.family_id == family_id,
                PlanningFeed.revoked_at.is_(None),
            )
        )
        return found

    def family(self, token: str) -> int | None:
        """Family of an address; None for an address that is forged, of another town or revoked."""
        name, _dot, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(name).encode()):
            return None
        found: int | None = self._ctx.session.scalar(
            select(PlanningFeed.family_id).where(
                PlanningFeed.tenant_id == self._ctx.town.slug,
                PlanningFeed.token_hash == _hash(name),
                PlanningFeed.revoked_at.is_(None),
            )
        )
        return found

    def events(self, family_id: int, labels: dict[str, str]) -> Sequence[Event]:
        """The booked days of the family's children, from a month ago on."""
        names = {child.id: child.name for child in self._ctx.families.children(family_id)}
        if not names:
            return ()
        rows = self._ctx.session.execute(
            select(PlanningBooking.child_id, PlanningBooking.service, PlanningBooking.day,
                   PlanningBooking.changed_at)
            .where(
                PlanningBooking.tenant_id == self._ctx.town.slug,
                PlanningBooking.child_id.in_(names),
                PlanningBooking.state == State.BOOKED,
                PlanningBooking.day >= self._ctx.clock.now().date() - timedelta(days=PAST_DAYS),
            )
            .order_by(PlanningBooking.day, PlanningBooking.service, PlanningBooking.child_id)
        )  # fmt: skip
        return [
            Event(
                f"{row.child_id}-{row.service}-{row.day.isoformat()}@{self._ctx.town.slug}",
                row.day,
                f"{names[row.child_id]} – {labels.get(row.service, row.service)}",
                row.changed_at,
            )
            for row in rows
        ]

    def _sign(self, name: str) -> str:
        text = f"planning-feed/{self._ctx.town.slug}/{name}".encode()
        return hmac.new(self._key, text, "sha256").hexdigest()[:32]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Event:
    """A whole day of a calendar."""

    uid: str
    day: date
    summary: str
    changed_at: datetime


def ics(title: str, events: Iterable[Event]) -> bytes:
    """Write a calendar as RFC 5545 has it."""
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Preau//Planning//FR", "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escaped(title)}", "REFRESH-INTERVAL;VALUE=DURATION:PT6H",
        "X-PUBLISHED-TTL:PT6H",
    ]  # fmt: skip
    for event in events:
        lines += [
            "BEGIN:VEVENT", f"UID:{_escaped(event.uid)}",
            f"DTSTAMP:{event.changed_at.strftime('%Y%m%dT%H%M%SZ')}",
            f"DTSTART;VALUE=DATE:{event.day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{event.day + timedelta(days=1):%Y%m%d}",
            f"SUMMARY:{_escaped(event.summary)}", "TRANSP:TRANSPARENT", "END:VEVENT",
        ]  # fmt: skip
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _escaped(text: str) -> str:
    text = "".join(char for char in text if char >= " " or char == "\n")
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> bytes:
    parts, part = [], b""
    for char in line:
        encoded = char.encode()
        if len(part) + len(encoded) > MAX_LINE_BYTES:
            parts.append(part)
            part = b" "
        part += encoded
    return b"\r\n".join([*parts, part]) + b"\r\n"
