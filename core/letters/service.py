"""Content of each kind of message: gathered when it leaves, so that it is true when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

from sqlalchemy import ARRAY, BigInteger, Select, any_, bindparam, select
from sqlalchemy.orm import Session

from core.api.context import AttemptInfo, Clock, InvoiceInfo
from core.api.messages import Document, Link, Message
from core.api.payments import Means
from core.families.models import ContactEmail
from core.invoices.service import Invoices
from core.links import tokens
from core.messages.alerts import CONFIRM, UNSUBSCRIBE
from core.messages.compose import Letter, compose
from core.messages.kinds import NEWS, NOTICE, Kinds, is_own
from core.messages.models import MessageRow
from core.messages.service import EMAIL
from core.payments.service import Payments
from core.platform import i18n
from core.platform.clock import today
from core.platform.i18n import gettext as _
from core.platform.signing import Links
from core.platform.tenancy.colours import ink_on
from core.platform.tenancy.config import TenantConfig
from core.sign_in.service import (
    CONFIRM_LIFE,
    LOST_CODES,
    LOST_CODES_LIFE,
    NEW_ACCOUNT,
    NEW_EMAIL,
    WAY_IN,
    WAY_IN_LIFE,
)

NOT_ALERTS = frozenset(
    {
        "lost_codes", "address_confirmation", "account_way_in", "account_linked",
        "account_unlinked", "account_confirmation", "account_new_email", "account_email_changed",
    }
)  # fmt: skip
"""Mails to whom asked for them, or whom they protect: nobody is unsubscribed from these."""


@dataclass(frozen=True, slots=True)
class Written:
    """Words that an agent wrote to many families: plain text, paragraphs parted by empty lines."""

    title: str
    body: str
    language: str = i18n.SOURCE_LOCALE


@cache
def _registered() -> Select[int | None, str, int]:
    # Put together once: every mail to a registered address asks it.
    return select(ContactEmail.family_id, ContactEmail.address, ContactEmail.id).where(
        ContactEmail.tenant_id == bindparam("tenant"),
        ContactEmail.family_id == any_(bindparam("families", type_=ARRAY(BigInteger))),
    )


class Letters:
    """Turns message rows of one town into messages."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        invoices: Invoices,
        payments: Payments,
        links: Links,
        kinds: Kinds,
        debit_reason: Callable[[int], str],
        reject_words: Callable[[str], str],
        invite: Callable[[int], str],
        written: Callable[[int, str], Written | None],
        base_url: str,
    ) -> None:
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._invoices = invoices
        self._payments = payments
        self._links = links
        self._kinds = kinds
        self._debit_reason = debit_reason
        self._reject_words = reject_words
        self._invite = invite
        self._written = written
        self._base_url = base_url
        self._contacts: dict[tuple[int | None, str], int] = {}

    @contextmanager
    def prefetch(self, rows: Sequence[MessageRow]) -> Iterator[None]:
        """Read together what messages will say: `render` of them asks no more for a while."""
        wanted = {number for row in rows for number in row.payload.get("invoice_ids", ())}
        with self._invoices.prefetch(wanted):
            self._contacts = self._contacts_of(rows) if len(rows) > 1 else {}
            try:
                yield
            finally:
                self._contacts = {}

    def render(self, row: MessageRow) -> Message | None:
        """The message of a row, in its language; None when there is nothing left to say."""
        writers: dict[str, Callable[[MessageRow], Letter | None]] = {
            "invoices_published": self._invoices_published,
            "invoice_due": self._invoice_due,
            "payment_settled": self._payment_settled,
            "payment_reversed": self._payment_reversed,
            "debit_rejected": self._debit_rejected,
            "debit_request_answered": self._debit_request_answered,
            "address_confirmation": self._address_confirmation,
            "lost_codes": self._lost_codes,
            "account_way_in": self._account_way_in,
            "account_confirmation": self._account_confirmation,
            "account_new_email": self._account_new_email,
            "account_email_changed": self._account_email_changed,
            "account_linked": self._account_linked,
            "account_unlinked": self._account_unlinked,
            "agent_invitation": self._agent_invitation,
            "invoices_received": self._invoices_received,
            NOTICE: self._town_message,
            NEWS: self._town_message,
        }
        with i18n.use(row.language):
            letter = (self._own if is_own(row.kind) else writers[row.kind])(row)
            return compose(letter) if letter else None

    def _invoices_published(self, row: MessageRow) -> Letter | None:
        published = self._published(row)
        # Not what a credit note covers whole: nobody is to pay it. What was paid meanwhile is told
        # all the same, so that a mail that is written again, after a crash, is the same mail.
        invoices = [invoice for invoice in published if invoice.credited < invoice.amount]
        notes = [invoice for invoice in published if invoice.is_credit_note]
        if not invoices and not notes:
            return None
        page, words = (
            ("factures", _("Voir mes factures"))
            if invoices
            else ("factures/payees", _("Voir mes factures payées"))
        )
        data: dict[str, object] = {
            "invoices": invoices, "notes": notes, "attempts": self._attempts(invoices),
        }  # fmt: skip
        return self._letter(row, page, words, data, invoices=published)

    def _invoice_due(self, row: MessageRow) -> Letter | None:
        invoices = [invoice for invoice in self._published(row) if invoice.payable]
        if not invoices:
            return None
        data = {
            "invoices": invoices,
            "to_pay": [invoice for invoice in invoices if invoice.under_way is None],
            "today": today(self._clock.now()),
            "attempts": self._attempts(invoices),
        }
        return self._letter(row, "factures", _("Voir mes factures"), data, invoices=invoices)

    def _payment_settled(self, row: MessageRow) -> Letter:
        payment_id = int(row.payload["payment_id"])
        receipt = self._payments.receipt(payment_id)
        payment = self._payments.row(payment_id)
        invoices = self._published(row)
        return self._letter(
            row,
            "factures/payees",
            _("Voir mes factures payées"),
            {
                "payment": payment,
                "promised": payment.means == Means.ONLINE_DEBIT,
                "excess": self._payments.excess(payment_id),
                "invoices": invoices,
            },
            invoices=invoices,
            documents=(receipt,) if receipt else (),
        )

    def _payment_reversed(self, row: MessageRow) -> Letter:
        # Not what a credit note covers whole meanwhile: nobody is to pay it.
        # Nor what its direct debit takes still: the payment was noted by mistake.
        invoices = self._due_again(row)
        debit = self._debit_reason(int(row.payload["payment_id"]))
        data = {
            "amount": row.payload["amount"],
            "reason": debit or row.payload["reason"],
            "is_debit": bool(debit),
            "invoices": invoices,
            "attempts": self._attempts(invoices),
        }
        return self._letter(row, "factures", _("Voir mes factures"), data, invoices=invoices)

    def _debit_rejected(self, row: MessageRow) -> Letter | None:
        invoices = self._due_again(row)
        if not invoices:
            return None  # Paid meanwhile, or debited anew.
        data = {
            "amount": row.payload["amount"],
            "reason": self._reject_words(row.payload["code"]),
            "invoices": invoices,
            "attempts": self._attempts(invoices),
        }
        return self._letter(row, "factures", _("Voir mes factures"), data, invoices=invoices)

    def _debit_request_answered(self, row: MessageRow) -> Letter:
        data = {
            "regie": self._town.regie_label(row.payload["regie"]),
            "is_accepted": row.payload["accepted"],
            "note": row.payload["note"],
        }
        return self._letter(row, "prelevement", _("Voir ma demande"), data)

    def _due_again(self, row: MessageRow) -> list[InvoiceInfo]:
        return [
            invoice
            for invoice in self._published(row)
            if invoice.balance and invoice.debited_on is None
        ]

    def _address_confirmation(self, row: MessageRow) -> Letter:
        token = self._links.sign(CONFIRM, [row.payload["contact_id"], row.address])
        return self._letter(row, f"alertes/confirmer/{token}", _("Confirmer cette adresse"), {})

    def _lost_codes(self, row: MessageRow) -> Letter:
        token = self._works_once(row, LOST_CODES, LOST_CODES_LIFE)
        return self._letter(row, f"codes-perdus/{token}", _("Recevoir de nouveaux codes"), {})

    def _account_way_in(self, row: MessageRow) -> Letter:
        token = self._works_once(row, WAY_IN, WAY_IN_LIFE)
        return self._letter(row, f"connexion/lien/{token}", _("Me connecter"), {})

    def _account_confirmation(self, row: MessageRow) -> Letter:
        token = self._works_once(row, NEW_ACCOUNT, CONFIRM_LIFE)
        return self._letter(row, f"compte/confirmer/{token}", _("Confirmer cette adresse"), {})

    def _account_new_email(self, row: MessageRow) -> Letter:
        token = self._works_once(row, NEW_EMAIL, CONFIRM_LIFE)
        return self._letter(row, f"compte/adresse/{token}", _("Confirmer cette adresse"), {})

    def _account_email_changed(self, row: MessageRow) -> Letter:
        return self._letter(row, "compte", _("Voir qui a accès"), {"email": row.payload["email"]})

    def _account_linked(self, row: MessageRow) -> Letter:
        return self._letter(row, "compte", _("Voir qui a accès"), {"email": row.payload["email"]})

    def _account_unlinked(self, row: MessageRow) -> Letter:
        return self._letter(row, "connexion", _("Me connecter"), {"email": row.payload["email"]})

    def _works_once(self, row: MessageRow, purpose: str, life: timedelta) -> str:
        """A link's token. Made when the mail is written: no secret lies in the outbox."""
        return tokens.issue(
            self._session, self._tenant, purpose, row.family_id or 0, self._clock.now() + life,
            row.payload,
        )  # fmt: skip

    def _agent_invitation(self, row: MessageRow) -> Letter:
        token = self._invite(int(row.payload["agent_id"]))
        return self._letter(row, f"regie/invitation/{token}", _("Ouvrir mon accès"), {})

    def _invoices_received(self, row: MessageRow) -> Letter:
        upload_id = int(row.payload["upload_id"])
        page, words = (
            (f"regie/imports/fichiers/{upload_id}", _("Voir le fichier"))
            if upload_id
            else ("regie/imports/automatiques", _("Voir les réceptions"))
        )
        return self._letter(row, page, words, {"said": row.payload})

    def _town_message(self, row: MessageRow) -> Letter | None:
        written = self._written(int(row.payload["broadcast_id"]), row.language)
        return self._to_many(row, written) if written else None

    def preview(self, kind: str, language: str, channel: str, written: Written) -> Message:
        """The message that a family would get over a channel; the way out leads nowhere."""
        row = MessageRow(kind=kind, language=language, channel=channel, address="", payload={})
        letter = self._to_many(row, written)
        if channel == EMAIL:
            letter = replace(letter, unsubscribe_url=f"{self._base_url}/alertes/desabonner/…")
        return compose(letter)

    def _to_many(self, row: MessageRow, written: Written) -> Letter:
        data: dict[str, object] = {"written": written, "is_optional": row.kind == NEWS}
        letter = self._letter(row, "", "", data)
        return replace(letter, action=None, template="town_message")

    def _own(self, row: MessageRow) -> Letter | None:
        wording = self._kinds.write(row)
        if wording is None:
            return None
        letter = self._letter(row, "", "", {"wording": wording}, documents=wording.documents)
        return replace(letter, action=wording.action, template="plugin")

    def _attempts(self, invoices: Sequence[InvoiceInfo]) -> Mapping[int, AttemptInfo]:
        """Attempts to pay that hold these invoices: a mail never asks to pay them again."""
        held = {invoice.under_way for invoice in invoices if invoice.under_way}
        return self._payments.attempts(held)

    def _published(self, row: MessageRow) -> Sequence[InvoiceInfo]:
        return self._invoices.several([int(number) for number in row.payload["invoice_ids"]])

    def _letter(
        self,
        row: MessageRow,
        path: str,
        label: str,
        data: dict[str, object],
        *,
        invoices: Sequence[InvoiceInfo] = (),
        documents: tuple[Document, ...] = (),
    ) -> Letter:
        accent = self._town.file.look.accent
        return Letter(
            kind=row.kind,
            language=row.language,
            town=self._town.name,
            accent=accent,
            accent_ink=ink_on(accent),
            action=Link(label, f"{self._base_url}/{path}"),
            data=data,
            documents=documents,
            invoice_ids=tuple(invoice.id for invoice in invoices),
            unsubscribe_url=self._unsubscribe_url(row),
        )

    def _contacts_of(self, rows: Sequence[MessageRow]) -> dict[tuple[int | None, str], int]:
        """The registered addresses of the messages' families, by family and address."""
        values = {"tenant": self._tenant, "families": [row.family_id for row in rows]}
        found = self._session.execute(_registered(), values)
        return {(family_id, address): number for family_id, address, number in found}

    def _unsubscribe_url(self, row: MessageRow) -> str:
        """The way out of a registered address's messages; other mails were asked for one by one."""
        if row.channel != "email" or row.kind in NOT_ALERTS:
            return ""
        contacts = self._contacts or self._contacts_of([row])
        contact_id = contacts.get((row.family_id, row.address))
        if contact_id is None:
            return ""
        token = self._links.sign(UNSUBSCRIBE, [contact_id, row.address])
        return f"{self._base_url}/alertes/desabonner/{token}"
