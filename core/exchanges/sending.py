"""Exports of payments that go to the billing software by themselves, in the town's own rhythm."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from core.api.errors import UserError
from core.api.messages import Document
from core.exchanges.exports import PaymentExports
from core.exchanges.places import PlaceError, opened
from core.exchanges.states import OUT, ExchangeStates
from core.platform.audit.service import Audit
from core.platform.tenancy.config import TenantConfig

SEND: Final = "exchange.send"
MAX_EXPORTS: Final = 50
"""Exports that one run makes: the next goes on."""


class Sending:
    """The exports of one town on their way."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        *,
        exports: PaymentExports,
        states: ExchangeStates,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._exports = exports
        self._states = states
        self._audit = audit

    def send(self, regie: str) -> int:
        """Make the régie's next export and send what has not left; how many left.

        Commits after each: the other side is never spoken to within a transaction. One that left
        without a note of it goes once more, under the same name and with the same bytes.
        """
        place = self._town.file.exchanges.payments.get(regie)
        if place is None:
            return 0  # The town's file changed since.
        self._audit.actor = f"exchange:{regie}"
        count = 0
        try:
            for _number in range(MAX_EXPORTS):
                made = self._exports.make(regie)
                self._session.commit()
                if made is None:
                    break
            waiting = [(one.id, one.number) for one in self._exports.unsent(regie)]
            self._session.commit()
            if waiting:
                with opened(place) as there:
                    for export_id, number in waiting:
                        document = self._document(export_id)
                        there.put(document, f"{self._town.slug}-{regie}-{number}")
                        self._exports.leave(export_id, self._audit.actor)
                        self._session.commit()
                        count += 1
        except PlaceError as error:
            self._fail(regie, str(error))
        except UserError as error:
            self._fail(regie, error.message)
        else:
            self._states.reached(OUT, regie)
        self._session.commit()
        return count

    def _document(self, export_id: int) -> Document:
        found = self._exports.get(export_id)
        document = Document(
            found.file_name, found.media_type, self._exports.content(export_id)
        )
        self._session.commit()
        return document

    def _fail(self, regie: str, problem: str) -> None:
        self._session.rollback()
        self._states.failed(OUT, regie, problem)
