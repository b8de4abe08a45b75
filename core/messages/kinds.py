"""Messages of plugins' own kinds: asked for, put into words, and switched off by families."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from types import NoneType
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.api.errors import RetryableError
from core.api.messages import Notification, Wording
from core.api.plugin import Plugin
from core.domain.addresses import leaving
from core.families.models import Family
from core.messages.models import MessageRow
from core.platform.i18n import SOURCE_LOCALE
from core.platform.i18n import gettext as _
from core.platform.outbox.service import Outbox
from core.platform.plugins.calls import ContractError, call_bounded
from core.platform.plugins.events import FAMILIES_PER_ROW, NOTIFY
from core.platform.plugins.guests import HeldKind

KEY_CHARACTERS = 200
SUBJECT_CHARACTERS = 150
TEXT_CHARACTERS = 20_000
MAX_DOCUMENTS = 5
DOCUMENTS_BYTES = 5_000_000
MISSING_AFTER = timedelta(hours=1)
"""Time after which a message is tried again whose plugin is not there, or fails."""


NOTICE, NEWS = "town_notice", "town_news"
"""What agents write to many families: what they must know, and what they may like to know."""


def optional() -> dict[str, str]:
    """Core's kinds that families may switch off, with their labels."""
    return {NEWS: _("Vie de la commune : menus, événements, informations pratiques")}


def is_own(kind: str) -> bool:
    """Tell a plugin's kind of message (``planning.reminder``) from core's."""
    return "." in kind


class Kinds:
    """The plugins' kinds of messages in one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        *,
        outbox: Outbox,
        kinds: Callable[[], Mapping[str, HeldKind]],
        queue: Callable[[], Callable[..., None]],
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._outbox = outbox
        self._queue = queue
        self._kinds = kinds

    def send(
        self,
        plugin: Plugin[Any],
        kind: str,
        *notifications: Notification,
        after: datetime | None = None,
        bulk: bool = False,
    ) -> None:
        """Ask for messages: see `core.api.context.Messages.send`."""
        name = f"{plugin.name}.{kind}"
        events = [_event(name, one, bulk=bulk) for one in notifications]
        # Many rows for few messages that somebody waits for: one that fails keeps no other back.
        size = FAMILIES_PER_ROW if bulk else 1
        rows = [
            (NOTIFY, {"kind": name, "events": events[start : start + size]}, events[start]["id"])
            for start in range(0, len(events), size)
        ]
        self._outbox.add_many(rows, after=after, bulk=bulk)

    def mail(
        self, plugin: Plugin[Any], kind: str, address: str, *, key: str, payload: Mapping[str, Any]
    ) -> None:
        """Mail a partner of the town: see `core.api.context.Messages.mail`."""
        leaving(address)
        event = _event(f"{plugin.name}.{kind}", Notification(key, 0, payload), bulk=False)
        self._queue()(
            f"{plugin.name}.{kind}",
            address=address,
            family_id=None,
            language=SOURCE_LOCALE,
            payload=event,
            key=event["id"],
        )

    def write(self, row: MessageRow) -> Wording | None:
        """Put a message into words, in the language of now; None: there is nothing to say any more.

        Raises:
            RetryableError: its plugin is not there, or fails.
        """
        kind = self._kinds().get(row.kind)
        if kind is None:
            raise RetryableError(f"nobody writes {row.kind!r} here", MISSING_AFTER)
        notification = Notification(
            row.payload["key"], row.family_id or 0, row.payload["payload"]
        )

        def written() -> Wording | None:
            wording = kind.write(notification)
            return sound(wording) if isinstance(wording, Wording) else wording

        return call_bounded(
            kind.plugin,
            "message_kinds.write",
            written,
            (Wording, NoneType),
            town=self._tenant,
        )

    def label(self, name: str) -> str:
        """A kind in words; its name where its plugin is not there."""
        kind = self._kinds().get(name)
        return kind.label if kind else name

    def choices(self, family_id: int) -> list[tuple[str, str, bool]]:
        """The kinds that the family may switch off: name, label, and if it wants them."""
        kinds = self._labels()
        muted = self._session.scalars(
            select(Family.muted).where(Family.tenant_id == self._tenant, Family.id == family_id)
        ).one()
        found = [(name, label, name not in muted) for name, label in kinds.items()]
        return sorted(found, key=lambda choice: choice[1])

    def choose(self, family_id: int, wanted: Collection[str]) -> None:
        """Send the family, of the kinds that there are, those that it wants and no other."""
        family = self._session.get_one(Family, (self._tenant, family_id), with_for_update=True)
        # What a plugin sends that is away today stays switched off.
        kinds = self._labels().keys()
        others = set(family.muted) - kinds
        family.muted = sorted(others | (kinds - set(wanted)))

    def _labels(self) -> dict[str, str]:
        """The kinds that there are to switch off, with their labels."""
        return {**optional(), **{name: kind.label for name, kind in self._kinds().items()}}

    def mute(self, family_id: int, name: str) -> None:
        """Switch one kind off."""
        self._session.execute(
            update(Family)
            .where(
                Family.tenant_id == self._tenant,
                Family.id == family_id,
                ~Family.muted.contains([name]),
            )
            .values(muted=Family.muted.op("||")([name]))
        )

    def refusing(self, name: str, family_ids: Iterable[int]) -> set[int]:
        """Those of the families that switched this kind off."""
        if not is_own(name) and name not in optional():
            return set()
        return set(
            self._session.scalars(
                select(Family.id).where(
                    Family.tenant_id == self._tenant,
                    Family.id.in_(list(family_ids)),
                    Family.muted.contains([name]),
                )
            )
        )


def _event(name: str, notification: Notification, *, bulk: bool) -> dict[str, Any]:
    key = notification.key
    if not isinstance(key, str) or not 0 < len(key) <= KEY_CHARACTERS or "\0" in key:
        raise ValueError(f"a message's key is a text of 1 to {KEY_CHARACTERS} characters: {key!r}")
    try:
        payload = json.loads(json.dumps(dict(notification.payload), allow_nan=False))
    except TypeError as error:
        raise ValueError(f"the payload of the message {key!r} is no JSON: {error}") from error
    return {
        "id": f"{name}/{key}",
        "family_id": int(notification.family_id),
        "key": key,
        "payload": payload,
        "bulk": bulk,
    }


def sound(wording: Wording) -> Wording:
    """Words that a message can carry.

    Raises:
        ContractError: they are none.
    """
    subject, text = wording.subject.strip(), wording.text.strip()
    if not 0 < len(subject) <= SUBJECT_CHARACTERS or len(subject.splitlines()) > 1:
        raise ContractError(f"gave {subject!r:.80} for a subject")
    if not 0 < len(text) <= TEXT_CHARACTERS:
        raise ContractError(f"gave a text of {len(text)} characters")
    action = wording.action
    if action is not None and (
        not action.label.strip()
        or urlsplit(action.url).scheme not in {"http", "https"}
        or any(character.isspace() for character in action.url)
    ):
        raise ContractError(f"gave {action!r:.80} for something to do")
    size = sum(len(document.content) for document in wording.documents)
    if len(wording.documents) > MAX_DOCUMENTS or size > DOCUMENTS_BYTES:
        raise ContractError(f"gave {len(wording.documents)} documents of {size} bytes")
    return wording
