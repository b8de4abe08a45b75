"""Families that want to be debited: what each régie offers, its form, and their requests.

The form is paper: the family fills in its bank and gives it to the régie. No page asks for an
account, and nothing of one is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.messages import Document as FinishedDocument
from core.debits.models import DebitOffer, DebitRequest, RequestState
from core.domain.creditor_identifiers import is_creditor_identifier
from core.families.models import Family
from core.invoices.files import Files
from core.platform.audit.service import Audit
from core.platform.clock import today
from core.platform.documents.letterhead import letterhead
from core.platform.documents.render import render_mandate
from core.platform.documents.sheets import Addressee, MandateSheet
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.plugins.events import Events
from core.platform.tenancy.config import TenantConfig

MAX_FORM_BYTES: Final = 2 * 1024 * 1024
MAX_TEXT_CHARS: Final = 2000
MAX_NOTE_CHARS: Final = 500
MAX_LISTED: Final = 200
ANSWERED: Final = "debit_request_answered"
"""Kind of the message about the régie's answer."""
_SPACES = re.compile(r"\s+")


class DebitRequests:
    """The offers and requests of one town."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        files: Files,
        events: Events,
        audit: Audit,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._files = files
        self._events = events
        self._audit = audit

    # --- What a régie offers -----------------------------------------------------------------

    def offer(self, regie: str) -> DebitOffer | None:
        """The offer of a régie, open or not; None if it made none."""
        return self._session.scalar(
            select(DebitOffer).where(
                DebitOffer.tenant_id == self._tenant, DebitOffer.regie == regie
            )
        )

    def offers(self) -> Sequence[DebitOffer]:
        """The offers that are open, by régie."""
        rows = self._session.scalars(
            select(DebitOffer)
            .where(DebitOffer.tenant_id == self._tenant, DebitOffer.is_open)
            .order_by(DebitOffer.regie)
        )
        return [offer for offer in rows if offer.regie in self._town.file.regies]

    def set_offer(
        self,
        regie: str,
        *,
        is_open: bool,
        creditor: str,
        ics: str,
        address: Sequence[str],
        next_steps: str,
    ) -> None:
        """Say what a régie offers.

        Raises:
            UserError: the creditor's identifier is none, or an open offer has no form to give.
        """
        ics = _SPACES.sub("", ics).upper()
        if ics and not is_creditor_identifier(ics):
            raise UserError(
                _("Cet identifiant de créancier SEPA (ICS) est incorrect. Exemple : FR72ZZZ123456.")
            )
        known = self.offer(regie)
        has_own_form = known is not None and known.document_id is not None
        if is_open and not has_own_form and not (ics and creditor):
            raise UserError(
                _(
                    "Pour ouvrir les demandes, donnez le nom du créancier et son ICS (le portail "
                    "imprime alors le mandat), ou envoyez votre formulaire."
                )
            )
        values = {
            "is_open": is_open,
            "creditor": creditor[:120],
            "ics": ics,
            "address": [line[:120] for line in address[:6]],
            "next_steps": next_steps[:MAX_TEXT_CHARS],
        }
        self._session.execute(
            insert(DebitOffer)
            .values(tenant_id=self._tenant, regie=regie, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "regie"], set_=values)
        )
        self._session.expire_all()
        self._audit.write("debits.offer_set", f"regie:{regie}", open=is_open)

    def set_form(self, regie: str, content: bytes) -> None:
        """Keep a régie's own form, in place of the one that the portal prints.

        Raises:
            UserError: it is no PDF, or too large.
        """
        if not content.startswith(b"%PDF-"):
            raise UserError(_("Ce formulaire n’est pas un PDF."))
        if len(content) > MAX_FORM_BYTES:
            raise UserError(_("Ce formulaire est trop lourd : deux mégaoctets au plus."))
        filed = self._files.add(f"mandat-{regie.lower()}.pdf", "application/pdf", content)
        self._set_document(regie, filed.id)

    def remove_form(self, regie: str) -> None:
        """Print the portal's form again.

        Raises:
            UserError: families may ask, and there is nothing to print it from.
        """
        offer = self.offer(regie)
        if offer is None:
            return
        if offer.is_open and not (offer.ics and offer.creditor):
            raise UserError(
                _("Donnez d’abord le nom du créancier et son ICS : sans eux, rien ne s’imprime.")
            )
        self._set_document(regie, None)

    def _set_document(self, regie: str, document_id: int | None) -> None:
        self._session.execute(
            insert(DebitOffer)
            .values(
                tenant_id=self._tenant, regie=regie, is_open=False, creditor="", ics="",
                next_steps="", document_id=document_id,
            )
            .on_conflict_do_update(
                index_elements=["tenant_id", "regie"], set_={"document_id": document_id}
            )
        )  # fmt: skip
        self._session.expire_all()
        self._audit.write("debits.form_set", f"regie:{regie}", own=document_id is not None)

    def form(self, regie: str, family_id: int | None, language: str) -> FinishedDocument:
        """The form to sign: the régie's own, or a mandate with an empty place for the account.

        Raises:
            NotFoundError: the régie offers none.
        """
        offer = self.offer(regie)
        if offer is None:
            raise NotFoundError
        if offer.document_id is not None:
            return self._files.get(offer.document_id)
        if not (offer.ics and offer.creditor):
            raise NotFoundError
        family = (
            self._session.get_one(Family, (self._tenant, family_id)) if family_id else None
        )
        return render_mandate(
            MandateSheet(
                town=letterhead(self._town),
                language=language,
                regie=self._town.regie_label(regie),
                creditor=offer.creditor,
                ics=offer.ics,
                address=tuple(offer.address),
                debtor=Addressee(
                    family.name if family else "", tuple(family.address) if family else ()
                ),
                family_code=family.code if family else "",
                printed_on=today(self._clock.now()),
            )
        )

    # --- Requests ----------------------------------------------------------------------------

    def ask(self, family_id: int, regie: str) -> None:
        """Ask to be debited: one request at a time, however often it is sent.

        Raises:
            NotFoundError: the régie does not offer it.
        """
        offer = self.offer(regie)
        if offer is None or not offer.is_open or regie not in self._town.file.regies:
            raise NotFoundError
        asked = self._session.scalar(
            insert(DebitRequest)
            .values(
                tenant_id=self._tenant,
                family_id=family_id,
                regie=regie,
                state=RequestState.ASKED,
                asked_at=self._clock.now(),
            )
            .on_conflict_do_nothing(
                index_elements=["tenant_id", "family_id", "regie"],
                index_where=DebitRequest.state == RequestState.ASKED,
            )
            .returning(DebitRequest.id)
        )
        if asked is not None:
            self._audit.write("debit_request.asked", f"family:{family_id}", regie=regie)

    def withdraw(self, family_id: int, regie: str) -> None:
        """Take a request back; one that has its answer stays."""
        ended = self._end(
            RequestState.WITHDRAWN,
            and_(DebitRequest.family_id == family_id, DebitRequest.regie == regie),
        )
        if ended is not None:
            self._audit.write("debit_request.withdrawn", f"family:{family_id}", regie=regie)

    def answer(self, request_id: int, *, accept: bool, note: str = "") -> None:
        """Answer a request: the family is told by its channels.

        Raises:
            UserError: it was answered or withdrawn meanwhile, or a refusal says no reason.
        """
        note = note.strip()[:MAX_NOTE_CHARS]
        if not accept and not note:
            raise UserError(_("Dites à la famille pourquoi : saisissez le motif."))
        state = RequestState.ACCEPTED if accept else RequestState.REFUSED
        ended = self._end(state, DebitRequest.id == request_id, note)
        if ended is None:
            raise UserError(_("Cette demande a déjà sa réponse, ou la famille l’a retirée."))
        self._audit.write(
            "debit_request.accepted" if accept else "debit_request.refused",
            f"family:{ended.family_id}",
            regie=ended.regie,
        )
        event_id = f"debit-request-{request_id}"
        self._events.tell(
            ANSWERED,
            event_id,
            {
                "id": event_id,
                "family_id": ended.family_id,
                "invoice_ids": [],
                "regie": ended.regie,
                "accepted": accept,
                "note": note,
            },
        )

    def _end(self, state: RequestState, chosen: Any, note: str = "") -> Any:
        return self._session.execute(
            update(DebitRequest)
            .where(
                DebitRequest.tenant_id == self._tenant,
                DebitRequest.state == RequestState.ASKED,
                chosen,
            )
            .values(state=state, ended_at=self._clock.now(), actor=self._audit.actor, note=note)
            .returning(DebitRequest.family_id, DebitRequest.regie)
        ).one_or_none()

    def last(self, family_id: int) -> dict[str, DebitRequest]:
        """The last request of a family to each régie."""
        rows = self._session.scalars(
            select(DebitRequest)
            .where(DebitRequest.tenant_id == self._tenant, DebitRequest.family_id == family_id)
            .order_by(DebitRequest.id)
        )
        return {row.regie: row for row in rows}

    def waiting(self) -> Sequence[Any]:
        """Requests without an answer, with their family, the oldest first."""
        return self._session.execute(
            self._rows()
            .where(DebitRequest.state == RequestState.ASKED)
            .order_by(DebitRequest.id)
            .limit(MAX_LISTED)
        ).all()

    def answered(self) -> Sequence[Any]:
        """The last requests that ended, with their family."""
        return self._session.execute(
            self._rows()
            .where(DebitRequest.state != RequestState.ASKED)
            .order_by(DebitRequest.ended_at.desc(), DebitRequest.id.desc())
            .limit(MAX_LISTED // 4)
        ).all()

    def count(self) -> int:
        """Number of requests without an answer."""
        return self._session.scalars(
            select(func.count())
            .select_from(DebitRequest)
            .where(
                DebitRequest.tenant_id == self._tenant, DebitRequest.state == RequestState.ASKED
            )
        ).one()

    def _rows(self) -> Any:
        return (
            select(DebitRequest, Family)
            .join(
                Family,
                and_(
                    Family.tenant_id == DebitRequest.tenant_id,
                    Family.id == DebitRequest.family_id,
                ),
            )
            .where(DebitRequest.tenant_id == self._tenant)
        )
