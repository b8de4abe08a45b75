"""The conversation: an update comes in, actions go out. It knows neither HTTP nor the client."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import cache, cached_property

from core.plugin import AttemptInfo, FamilyInfo, InvoiceInfo, PaymentInfo, TenantContext
from plugins.telegram_bot import replies, screens
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.events import (
    Action,
    Button,
    Incoming,
    Kind,
    Leave,
    Notice,
    Screen,
    SendFile,
    Show,
)
from plugins.telegram_bot.models import ChatLink
from plugins.telegram_bot.skills import Handler, Skill, Skills
from plugins.telegram_bot.understanding import (
    SERVICES,
    Meaning,
    Narrowed,
    Wish,
    names_own,
    narrow,
    own,
    understand,
)
from plugins.telegram_bot.words import day, local_date, speaking
from plugins.telegram_bot.words import gettext as _

LAST_PAYMENTS = 3
"""Payments that answer *j'ai déjà payé*."""
NARROWED_PAYMENTS = 60
"""The newest payments, among which words choose."""

_DATA = re.compile(r"(?P<verb>[a-z]{3,8})(?::(?P<argument>[a-z0-9]{1,18}))?\Z")
"""A button's data. Of 18 digits at most: a larger number is no row's, and PostgreSQL refuses it."""


class _Families(Mapping[int, FamilyInfo]):
    """The families of a chat. Each is read when it is asked for by name: most answers name none."""

    def __init__(self, ctx: TenantContext, ids: Sequence[int]) -> None:
        self._ctx = ctx
        self._known: dict[int, FamilyInfo | None] = {}
        self._ids = ids

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, family_id: object) -> bool:
        return family_id in self._ids

    def __getitem__(self, family_id: int) -> FamilyInfo:
        if family_id in self._ids and family_id not in self._known:
            self._known[family_id] = self._ctx.families.get(family_id)
        family = self._known.get(family_id)
        if family is None:
            raise KeyError(family_id)
        return family


class Conversation:
    """One update of one chat, in one unit of work.

    Buttons carry numbers only, and every number is looked up among what this chat may see: a forged
    one finds nothing.
    """

    def __init__(
        self,
        ctx: TenantContext,
        incoming: Incoming,
        skills: Skills | None = None,
        links: Sequence[ChatLink] | None = None,
    ) -> None:
        """Begin with an update; `links` are the chat's, where they are known already."""
        self._ctx = ctx
        self._skills = skills or own_skills()
        self._in = incoming
        self._book = Book(ctx)
        self._known_links = links
        self._links: Sequence[ChatLink] = ()
        self._families: Mapping[int, FamilyInfo] = {}
        self._seen_by: dict[int, int] = {}
        """The family of this chat as which each invoice was read: its own, or another home's."""

    @property
    def ctx(self) -> TenantContext:
        """The town and its unit of work."""
        return self._ctx

    @property
    def incoming(self) -> Incoming:
        """The update itself."""
        return self._in

    @property
    def families(self) -> Mapping[int, FamilyInfo]:
        """The families that this chat sees, by number; a handler acts for no other."""
        return self._families

    @property
    def today(self) -> date:
        """The day on which the parent reads the answer."""
        return local_date(self._ctx.clock.now())

    def actions(self) -> list[Action]:
        """Actions that the update calls for, in order."""
        if self._in.kind is Kind.BLOCKED:
            self._book.blocked(self._in.chat_id, self._in.number, self._in.date)
            return []
        self._read_links()
        with speaking(self._language()):
            if self._in.kind is Kind.GROUP:
                refusal = _("Je ne parle qu’en tête-à-tête : écrivez-moi directement.")
                return [Show(screens.said(refusal)), Leave()]
            if self._in.kind is Kind.TAPPED:
                return self._tapped()
            return self._typed(understand(self._in.text, self.today, self._skills.intents))

    def _read_links(self) -> None:
        known = self._known_links
        self._links = self._book.links_of_chat(self._in.chat_id) if known is None else known
        self._families = _Families(self._ctx, [link.family_id for link in self._links])

    @property
    def language(self) -> str:
        """The language that the chat speaks."""
        return self._language()

    def _language(self) -> str:
        offered = self._ctx.town.languages
        wanted = self._links[0].language if self._links else self._in.language
        return wanted if wanted in offered else offered[0]

    # --- typed ---------------------------------------------------------------------------------

    def _typed(self, meaning: Meaning) -> list[Action]:
        """Answer what was typed. Words never change anything: what would is asked back."""
        if meaning.wish == Wish.START and meaning.argument:
            return self._start(meaning.argument)
        if not self._families:
            return [Show(screens.stranger(self._ctx.town))]
        if not self._in.text.strip():
            return [Show(screens.only_text())]
        if meaning.wish == Wish.UNKNOWN and not meaning.is_command:
            # "Cantine", "Léa", "56,87": most likely the invoices of it.
            unpaid = self._all_unpaid()
            is_only_a_time = meaning.narrows and not meaning.words and not meaning.numbers
            if is_only_a_time or names_own(
                unpaid, meaning, self._children(unpaid, meaning), self._regies
            ):
                meaning = replace(meaning, wish=Wish.UNPAID)
        handler = self._skills.handler(meaning.wish)
        return handler(self, meaning) if handler else [Show(screens.puzzled(self._ctx.town))]

    @classmethod
    def handlers(cls) -> dict[str, Handler]:
        """Handler of each wish that the bot itself knows."""
        return {
            Wish.UNPAID: cls._unpaid,
            Wish.PAY: cls._unpaid,
            Wish.PAY_ALL: cls._pay_all,
            Wish.MISSING_INVOICE: cls._missing_invoice,
            Wish.INVOICE_FILE: cls._invoice_file,
            Wish.HISTORY: cls._history,
            Wish.RECEIPT: cls._receipt,
            Wish.TAX_CERTIFICATE: cls._tax_certificate,
            Wish.ALREADY_PAID: cls._already_paid,
            Wish.PAYMENT_PROBLEM: cls._payment_problem,
            Wish.OTHER_HOME: cls._other_home,
            Wish.REFUND: cls._refund,
            Wish.DISPUTE: cls._dispute,
            Wish.ALERTS: cls._alerts,
            Wish.STOP: cls._stop,
            Wish.LANGUAGE: cls._choose_language,
            Wish.UNLINK: _ask_to_unlink,
            Wish.START: _help,
            Wish.HELP: _help,
            Wish.GREETING: _help,
            **{wish: _saying(answer) for wish, answer in replies.ANSWERS.items()},
        }

    @cached_property
    def _regies(self) -> dict[str, str]:
        return {regie.key: regie.label for regie in self._ctx.town.regies}

    def _children(
        self, invoices: Sequence[InvoiceInfo], meaning: Meaning
    ) -> Mapping[int, Sequence[str]]:
        """The children's names on invoices, asked for only when a word may be one."""
        if not any(word.isalpha() and word not in SERVICES for word in meaning.words):
            return {}
        return self._ctx.invoices.children([invoice.id for invoice in invoices]) if invoices else {}

    def _narrow(self, invoices: Sequence[InvoiceInfo], meaning: Meaning) -> Narrowed:
        return narrow(invoices, meaning, self._children(invoices, meaning), self._regies)

    def _start(self, token: str) -> list[Action]:
        presented = self._book.present(token, self._in.chat_id)
        family = self._ctx.families.get(presented[1]) if presented else None
        if presented is None or family is None:
            text = _(
                "Ce lien a déjà servi ou n’est plus valable. Ouvrez-en un autre depuis le portail."
            )
            return [Show(screens.said(text, (screens.portal(self._ctx.town),)))]
        if family.id in self._families:
            self._book.redeem(presented[0], self._in.chat_id)
            self._book.still_linked(self._in.chat_id, family.id, self._in.number)
            return [Show(screens.said(_("Cette discussion est déjà reliée à ce dossier.")))]
        return [Show(screens.ask_to_link(family, presented[0]))]

    def _unpaid(self, meaning: Meaning) -> list[Action]:
        unpaid = self._all_unpaid()
        narrowed = self._narrow(unpaid, meaning)
        note = ""
        if narrowed.not_found or (not unpaid and meaning.narrows):
            # "Factures de 2025", "le mois dernier": paid ones are meant where none is due.
            paid = self._payments(meaning) if meaning.narrows and not meaning.is_command else []
            if paid:
                return [Show(self._payments_screen(paid, note=_("Rien à payer n’y correspond.")))]
        if unpaid and narrowed.not_found:
            note = _("Rien à payer ne correspond exactement. Voici tout ce qui reste dû.")
        return [Show(self._fresh(narrowed.invoices, note))]

    def _pay_all(self, _meaning: Meaning) -> list[Action]:
        return [Show(self._fresh(self._all_unpaid(), everything=True))]

    def _missing_invoice(self, meaning: Meaning) -> list[Action]:
        unpaid = self._all_unpaid()
        if not unpaid:
            return [Show(replies.no_invoice(self._ctx.town))]
        note = _(
            "Voici vos factures à payer, avec leur PDF. S’il en manque une, elle n’est pas encore "
            "en ligne ou déjà payée."
        )
        return [Show(self._fresh(self._narrow(unpaid, meaning).invoices, note))]

    def _invoice_file(self, meaning: Meaning) -> list[Action]:
        unpaid = self._all_unpaid()
        chosen = self._narrow(unpaid, meaning).invoices
        if len(chosen) == 1:
            return self._document(chosen[0].id)
        return [Show(self._fresh(chosen))]

    def _dispute(self, meaning: Meaning) -> list[Action]:
        unpaid = self._all_unpaid()
        narrowed = self._narrow(unpaid, meaning)
        about = narrowed.invoices[0] if len(narrowed.invoices) == 1 else None
        return [Show(replies.dispute(self._ctx.town, about))]

    def _history(self, meaning: Meaning) -> list[Action]:
        return [Show(self._payments_screen(self._payments(meaning)))]

    def _receipt(self, meaning: Meaning) -> list[Action]:
        found = self._payments(meaning)
        if len(found) == 1 or (found and len(found) == len(self._payments())):
            return self._receipt_file(found[0].id)
        return [Show(self._payments_screen(found))]

    def _already_paid(self, _meaning: Meaning) -> list[Action]:
        unpaid = self._all_unpaid()
        note = replies.already_paid(unpaid, self._attempts(unpaid))
        return [Show(self._last_payments(note))]

    def _payment_problem(self, _meaning: Meaning) -> list[Action]:
        return [Show(replies.payment_problem(self._ctx.town, self._attempts(self._all_unpaid())))]

    def _other_home(self, _meaning: Meaning) -> list[Action]:
        parts = [
            part for family_id in self._families for part in self._ctx.invoices.shared(family_id)
        ]
        return [Show(screens.other_home(self._ctx.town, parts))]

    def _refund(self, _meaning: Meaning) -> list[Action]:
        return [Show(self._last_payments(replies.refund(self._ctx.town)))]

    def _last_payments(self, note: str) -> Screen:
        none = _("Aucun paiement n’est enregistré à votre nom pour l’instant.")
        shown = self._payments()[:LAST_PAYMENTS]
        contact = ((screens.portal(self._ctx.town),),)
        return self._payments_screen(shown, note=note, none=none, contact=contact)

    def _tax_certificate(self, meaning: Meaning) -> list[Action]:
        years = {
            (found.year, family_id): found
            for family_id in self._families
            for found in self._ctx.certificates.years(family_id)
        }
        final = [key for key, found in years.items() if found.final]
        wanted = meaning.year or max((year for year, _family in final or years), default=0)
        files = [
            file
            for year, family_id in years
            if year == wanted
            for file in self._certificate_file(family_id, year)
        ]
        others = sorted({year for year, _family in years if year != wanted}, reverse=True)
        return [*files, *replies.other_certificates(self._ctx.town, wanted, others, bool(files))]

    def _certificate_file(self, family_id: int, year: int) -> list[Action]:
        document = self._ctx.certificates.document(family_id, year)
        if document is None:
            return []
        return [SendFile(document, _("Attestation fiscale %(year)s") % {"year": year})]

    def _alerts(self, meaning: Meaning) -> list[Action]:
        on = any(link.alerts for link in self._links)
        if not meaning.argument or (meaning.argument == "on") == on:
            wanted = meaning.argument == "on"
            if meaning.is_command and meaning.argument:
                self._book.set_alerts(self._in.chat_id, on=wanted)
            return [Show(screens.alerts(on=on))]
        on = not on
        if not meaning.is_command:
            return [Show(screens.ask_alerts(on=on))]
        self._book.set_alerts(self._in.chat_id, on=on)
        return [Show(screens.alerts(on=on))]

    def _stop(self, _meaning: Meaning) -> list[Action]:
        return [Show(screens.ask_to_stop(on=any(link.alerts for link in self._links)))]

    def _choose_language(self, meaning: Meaning) -> list[Action]:
        offered = self._ctx.town.languages
        if meaning.argument in offered and meaning.is_command:
            return [Show(self._speak(meaning.argument))]
        if meaning.argument == self._language():
            return [Show(screens.help_screen(puzzled=False))]
        if meaning.argument in offered:
            # Asked in the language that was asked for: who cannot read the other can answer.
            with speaking(meaning.argument):
                return [Show(screens.languages(offered))]
        return [Show(screens.languages(offered))]

    # --- tapped --------------------------------------------------------------------------------

    def _tapped(self) -> list[Action]:
        read = _DATA.match(self._in.text)
        verb = read["verb"] if read else ""
        argument = (read["argument"] or "") if read else ""
        number = int(argument) if argument.isdecimal() else 0
        if verb == "link":
            return self._confirm(number)
        if verb == "nolink":
            self._book.redeem(number, self._in.chat_id)
            return self.replace(screens.said(_("Rien n’a été relié.")))
        if not self._families:
            return self.replace(screens.stranger(self._ctx.town))
        if belongs := self._skills.tapped(self._in.text):
            tapped, rest = belongs
            return tapped(self, rest)
        if verb == "list":
            return self.replace(self._fresh(self._all_unpaid()))
        if verb == "all":
            shown = self._seen(self._book.shown_in(self._in.chat_id, self._in.message_id))
            return self.replace(self._fresh(shown or self._all_unpaid(), everything=True))
        if verb == "paid":
            return self.replace(self._payments_screen(self._payments()))
        if verb == "pay":
            return self._pay(number)
        if verb in {"doc", "rec"}:
            files = self._document(number) if verb == "doc" else self._receipt_file(number)
            return [Notice(self._in.query_id), *files]
        if verb == "alerts":
            self._book.set_alerts(self._in.chat_id, on=argument == "on")
            return self.replace(screens.alerts(on=argument == "on"))
        if verb == "keep":
            return self.replace(screens.said(_("Rien n’a changé.")))
        if verb == "tax":
            files = [f for id_ in self._families for f in self._certificate_file(id_, number)]
            return [Notice(self._in.query_id), *files]
        if verb == "lang" and argument in self._ctx.town.languages:
            return self.replace(self._speak(argument))
        if verb == "bye":
            self._book.forget_chat(self._in.chat_id)
            text = _("Cette discussion n’est plus reliée à aucun dossier. À bientôt !")
            return self.replace(screens.said(text, (screens.portal(self._ctx.town),)))
        return [Notice(self._in.query_id, _("Ce bouton ne sert plus."))]

    def _confirm(self, token_id: int) -> list[Action]:
        family_id = self._book.redeem(token_id, self._in.chat_id)
        family = self._ctx.families.get(family_id) if family_id else None
        if family is None and self._families:
            # Tapped twice, or run again because Telegram was busy: it is done.
            return self._linked()
        if family is None:
            text = _("Ce lien n’est plus valable. Ouvrez-en un autre depuis le portail.")
            return self.replace(screens.said(text, (screens.portal(self._ctx.town),)))
        offered = self._ctx.town.languages
        language = self._links[0].language if self._links else family.language
        language = language if language in offered else offered[0]
        linked = self._book.link(
            self._in.chat_id,
            family.id,
            name=self._in.name,
            language=language,
            update=self._in.number,
        )
        with speaking(language):
            if not linked:
                text = _("Il y a déjà trop de discussions reliées. Retirez-en une sur le portail.")
                return self.replace(screens.said(text, (screens.portal(self._ctx.town),)))
            return self._linked()

    def _linked(self) -> list[Action]:
        whole = screens.help_screen(puzzled=False)
        text = _("C’est fait : cette discussion est reliée.") + "\n\n"
        return self.replace(Screen(text + whole.html, whole.rows))

    def _pay(self, invoice_id: int) -> list[Action]:
        shown = self._book.shown_in(self._in.chat_id, self._in.message_id)
        invoices = self._seen(shown or (invoice_id,))
        if invoice_id not in (invoice.id for invoice in invoices):
            return [Notice(self._in.query_id, _("Cette facture n’est pas disponible."))]
        return self.replace(self._fresh(invoices))

    def replace(self, screen: Screen) -> list[Action]:
        """Show `screen` in place of the message whose button was tapped."""
        return [Notice(self._in.query_id), Show(screen, edit=self._in.message_id)]

    # --- what both lead to ---------------------------------------------------------------------

    def _speak(self, language: str) -> Screen:
        self._book.set_language(self._in.chat_id, language)
        with speaking(language):
            return screens.help_screen(puzzled=False)

    def _document(self, invoice_id: int) -> list[Action]:
        for invoice in self._seen([invoice_id]):
            document = self._ctx.invoices.document(invoice.id)
            if document is not None:
                return [SendFile(document, screens.safe(invoice.label))]
        return [Show(screens.said(_("Ce document n’est pas disponible.")))]

    def _receipt_file(self, payment_id: int) -> list[Action]:
        payment = self._ctx.payments.get(payment_id)
        mine = payment is not None and payment.family_id in self._families
        document = self._ctx.payments.receipt(payment_id) if mine else None
        if payment is None or document is None:
            return [Show(screens.said(_("Ce document n’est pas disponible.")))]
        date = day(local_date(payment.paid_at))
        return [SendFile(document, _("Reçu du %(date)s") % {"date": date})]

    def _seen(self, invoice_ids: Sequence[int]) -> list[InvoiceInfo]:
        """Those of these invoices that this chat may see."""
        return self._of_families(
            lambda family_id: self._ctx.invoices.seen_by(family_id, invoice_ids)
        )

    def _all_unpaid(self) -> list[InvoiceInfo]:
        return self._of_families(self._ctx.invoices.unpaid)

    def _of_families(self, read: Callable[[int], Sequence[InvoiceInfo]]) -> list[InvoiceInfo]:
        """Invoices that the families of this chat see; one that two of them see comes once."""
        found: dict[int, InvoiceInfo] = {}
        for family_id in self._families:
            for invoice in read(family_id):
                if found.setdefault(invoice.id, invoice) is invoice:
                    self._seen_by[invoice.id] = family_id
        return list(found.values())

    def _attempts(self, invoices: Sequence[InvoiceInfo]) -> Mapping[int, AttemptInfo]:
        """The payments that hold some of these, in core's words."""
        held = {invoice.under_way for invoice in invoices if invoice.under_way}
        return self._ctx.payments.attempts(held)

    def _fresh(
        self, invoices: Sequence[InvoiceInfo], note: str = "", *, everything: bool = False
    ) -> Screen:
        def link(chosen: Sequence[InvoiceInfo]) -> str:
            ids = [invoice.id for invoice in chosen]
            return self._ctx.invoices.payment_link(ids, self._seen_by[ids[0]])

        return screens.invoices(
            self._ctx.town,
            invoices,
            self._families,
            today=self.today,
            attempts=self._attempts(invoices),
            online=self._ctx.payments.online,
            link=link,
            note=note,
            everything=everything,
        )

    def _payments(self, meaning: Meaning | None = None) -> list[PaymentInfo]:
        found = [
            payment
            for family_id in self._families
            for payment in self._ctx.payments.history(family_id)
        ]
        found.sort(key=lambda payment: payment.paid_at, reverse=True)
        if meaning is None or not (meaning.words or meaning.narrows):
            return found
        paid_for = {
            payment.id: [i for i in map(self._ctx.invoices.get, payment.invoice_ids) if i]
            for payment in found[:NARROWED_PAYMENTS]
        }
        everything = list({i.id: i for some in paid_for.values() for i in some}.values())
        narrowed = self._narrow(everything, replace(meaning, amounts=()))
        about = {invoice.id for invoice in narrowed.invoices} if narrowed.is_narrowed else set()
        nothing_said = not (narrowed.is_narrowed or meaning.narrows or narrowed.not_found)
        return [
            payment
            for payment in found[:NARROWED_PAYMENTS]
            if nothing_said
            or any(invoice.id in about for invoice in paid_for[payment.id])
            or (not narrowed.has_words and _is_payment(payment, meaning))
        ]

    def _payments_screen(
        self,
        payments: Sequence[PaymentInfo],
        *,
        note: str = "",
        none: str = "",
        contact: Sequence[tuple[Button, ...]] = (),
    ) -> Screen:
        labels = {}
        for payment in payments[: screens.MAX_SHOWN]:
            invoices = filter(None, map(self._ctx.invoices.get, payment.invoice_ids))
            labels[payment.id] = ", ".join(invoice.label for invoice in invoices)
        return screens.payments(payments, labels, note=note, none=none, contact=contact)


def _is_payment(payment: PaymentInfo, meaning: Meaning) -> bool:
    """True if the payment itself has the date or the amount (or both) that the parent named."""
    # "Reçu de novembre" is the one paid in November, or the one for November's invoice.
    paid = local_date(payment.paid_at)
    if meaning.amounts and payment.amount not in meaning.amounts:
        return False
    if meaning.days:
        return meaning.days[0] <= paid <= meaning.days[1]
    if not (meaning.month or meaning.year or meaning.amounts):
        return False
    return meaning.month in {0, paid.month} and meaning.year in {0, paid.year}


def _help(_conversation: Conversation, _meaning: Meaning) -> list[Action]:
    return [Show(screens.help_screen(puzzled=False))]


def _ask_to_unlink(_conversation: Conversation, _meaning: Meaning) -> list[Action]:
    return [Show(screens.ask_to_unlink())]


def _saying(answer: replies.Answer) -> Handler:
    return lambda conversation, _meaning: [Show(answer(conversation.ctx.town))]


@cache
def own_skills() -> Skills:
    """Skills of the bot itself."""
    intents = own()
    return Skills(
        Skill(name, handler, tuple(intent for intent in intents if intent.name == name))
        for name, handler in Conversation.handlers().items()
    )
