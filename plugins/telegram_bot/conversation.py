"""The conversation: an update comes in, actions go out. It knows neither HTTP nor the client."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from core.plugin import FamilyInfo, InvoiceInfo, PaymentInfo, TenantContext
from plugins.telegram_bot import screens
from plugins.telegram_bot.book import Book
from plugins.telegram_bot.events import (
    Action,
    Incoming,
    Kind,
    Leave,
    Notice,
    Screen,
    SendFile,
    Show,
)
from plugins.telegram_bot.models import ChatLink
from plugins.telegram_bot.understanding import Meaning, Wish, normalise, understand
from plugins.telegram_bot.words import day, local_date, speaking
from plugins.telegram_bot.words import gettext as _

_DATA = re.compile(r"(?P<verb>[a-z]{3,8})(?::(?P<argument>[a-z0-9]{1,18}))?\Z")
"""A button's data. Of 18 digits at most: a larger number is no row's, and PostgreSQL refuses it."""


class Conversation:
    """One update of one chat, in one unit of work.

    Buttons carry numbers only, and every number is looked up among what this chat may see: a forged
    one finds nothing.
    """

    def __init__(self, ctx: TenantContext, incoming: Incoming) -> None:
        self._ctx = ctx
        self._in = incoming
        self._book = Book(ctx)
        self._links: Sequence[ChatLink] = ()
        self._families: dict[int, FamilyInfo] = {}
        self._seen_by: dict[int, int] = {}
        """The family of this chat as which each invoice was read: its own, or another home's."""

    def actions(self) -> list[Action]:
        """What to do about the update, in order."""
        if self._in.kind is Kind.BLOCKED:
            self._book.blocked(self._in.chat_id, self._in.number, self._in.date)
            return []
        self._read_links()
        with speaking(self._language()):
            if self._in.kind is Kind.GROUP:
                refusal = _("Je ne parle qu’en tête-à-tête : écrivez-moi directement.")
                return [Show(screens.said(refusal)), Leave()]
            if self._in.kind is Kind.TAPPED:
                return self._tapped()
            return self._typed(understand(self._in.text))

    def _read_links(self) -> None:
        self._links = self._book.links_of_chat(self._in.chat_id)
        for link in self._links:
            family = self._ctx.families.get(link.family_id)
            if family is not None:
                self._families[family.id] = family

    def _language(self) -> str:
        offered = self._ctx.town.languages
        wanted = self._links[0].language if self._links else self._in.language
        return wanted if wanted in offered else offered[0]

    # --- typed ---------------------------------------------------------------------------------

    def _typed(self, meaning: Meaning) -> list[Action]:
        if meaning.wish is Wish.START and meaning.argument:
            return self._start(meaning.argument)
        if not self._families:
            return [Show(screens.stranger(self._ctx.town))]
        answers: dict[Wish, Callable[[Meaning], list[Action]]] = {
            Wish.UNPAID: self._unpaid,
            Wish.PAY: self._unpaid,
            Wish.INVOICE_FILE: self._invoice_file,
            Wish.HISTORY: self._history,
            Wish.RECEIPT: self._receipt,
            Wish.ALERTS: self._alerts,
            Wish.LANGUAGE: self._choose_language,
            Wish.UNLINK: lambda _meaning: [Show(screens.ask_to_unlink())],
        }
        answer = answers.get(meaning.wish)
        if answer is None:
            puzzled = meaning.wish is Wish.UNKNOWN
            return [Show(screens.help_screen(puzzled=puzzled))]
        return answer(meaning)

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
        chosen = [invoice for invoice in unpaid if _is_about(invoice, meaning)]
        note = ""
        if unpaid and not chosen:
            note = _("Rien à payer ne correspond exactement. Voici tout ce qui reste dû.")
        return [Show(self._fresh(chosen or unpaid, note))]

    def _invoice_file(self, meaning: Meaning) -> list[Action]:
        unpaid = self._all_unpaid()
        chosen = [invoice for invoice in unpaid if _is_about(invoice, meaning)]
        if len(chosen) == 1:
            return self._document(chosen[0].id)
        return [Show(self._fresh(chosen or unpaid))]

    def _history(self, meaning: Meaning) -> list[Action]:
        return [Show(self._payments_screen(self._payments(meaning)))]

    def _receipt(self, meaning: Meaning) -> list[Action]:
        found = self._payments(meaning)
        narrowed = meaning.words or meaning.month or meaning.year
        if len(found) == 1 or (found and not narrowed):
            return self._receipt_file(found[0].id)
        return [Show(self._payments_screen(found))]

    def _alerts(self, meaning: Meaning) -> list[Action]:
        on = any(link.alerts for link in self._links)
        if meaning.argument:
            on = meaning.argument == "on"
            self._book.set_alerts(self._in.chat_id, on=on)
        return [Show(screens.alerts(on=on))]

    def _choose_language(self, meaning: Meaning) -> list[Action]:
        if meaning.argument in self._ctx.town.languages:
            return [Show(self._speak(meaning.argument))]
        return [Show(screens.languages(self._ctx.town.languages))]

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
            return self._replace(screens.said(_("Rien n’a été relié.")))
        if not self._families:
            return self._replace(screens.stranger(self._ctx.town))
        if verb == "list":
            return self._replace(self._fresh(self._all_unpaid()))
        if verb == "paid":
            return self._replace(self._payments_screen(self._payments(Meaning(Wish.HISTORY))))
        if verb == "pay":
            return self._pay(number)
        if verb in {"doc", "rec"}:
            files = self._document(number) if verb == "doc" else self._receipt_file(number)
            return [Notice(self._in.query_id), *files]
        if verb == "alerts":
            self._book.set_alerts(self._in.chat_id, on=argument == "on")
            return self._replace(screens.alerts(on=argument == "on"))
        if verb == "lang" and argument in self._ctx.town.languages:
            return self._replace(self._speak(argument))
        if verb == "bye":
            self._book.forget_chat(self._in.chat_id)
            text = _("Cette discussion n’est plus reliée à aucun dossier. À bientôt !")
            return self._replace(screens.said(text, (screens.portal(self._ctx.town),)))
        return [Notice(self._in.query_id, _("Ce bouton ne sert plus."))]

    def _confirm(self, token_id: int) -> list[Action]:
        family_id = self._book.redeem(token_id, self._in.chat_id)
        family = self._ctx.families.get(family_id) if family_id else None
        if family is None and self._families:
            # Tapped twice, or run again because Telegram was busy: it is done.
            return self._linked()
        if family is None:
            text = _("Ce lien n’est plus valable. Ouvrez-en un autre depuis le portail.")
            return self._replace(screens.said(text, (screens.portal(self._ctx.town),)))
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
                return self._replace(screens.said(text, (screens.portal(self._ctx.town),)))
            return self._linked()

    def _linked(self) -> list[Action]:
        whole = screens.help_screen(puzzled=False)
        text = _("C’est fait : cette discussion est reliée.") + "\n\n"
        return self._replace(Screen(text + whole.html, whole.rows))

    def _pay(self, invoice_id: int) -> list[Action]:
        shown = self._book.shown_in(self._in.chat_id, self._in.message_id)
        invoices = self._seen(shown or (invoice_id,))
        if invoice_id not in (invoice.id for invoice in invoices):
            return [Notice(self._in.query_id, _("Cette facture n’est pas disponible."))]
        return self._replace(self._fresh(invoices))

    def _replace(self, screen: Screen) -> list[Action]:
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
        """What each family of this chat sees; an invoice that two of them see comes once."""
        found: dict[int, InvoiceInfo] = {}
        for family_id in self._families:
            for invoice in read(family_id):
                if found.setdefault(invoice.id, invoice) is invoice:
                    self._seen_by[invoice.id] = family_id
        return list(found.values())

    def _fresh(self, invoices: Sequence[InvoiceInfo], note: str = "") -> Screen:
        def link(invoice: InvoiceInfo) -> str:
            return self._ctx.invoices.payment_link(invoice.id, self._seen_by[invoice.id])

        return screens.invoices(self._ctx.town, invoices, self._families, link=link, note=note)

    def _payments(self, meaning: Meaning) -> list[PaymentInfo]:
        found = [
            payment
            for family_id in self._families
            for payment in self._ctx.payments.history(family_id)
        ]
        found.sort(key=lambda payment: payment.paid_at, reverse=True)
        if not (meaning.words or meaning.month or meaning.year):
            return found
        return [payment for payment in found if self._payment_is_about(payment, meaning)]

    def _payment_is_about(self, payment: PaymentInfo, meaning: Meaning) -> bool:
        # "Reçu de novembre" is the one paid in November, or the one for November's invoice.
        paid = local_date(payment.paid_at)
        then = meaning.month in {0, paid.month} and meaning.year in {0, paid.year}
        if then and not meaning.words:
            return True
        return any(
            invoice is not None and _is_about(invoice, meaning)
            for invoice in map(self._ctx.invoices.get, payment.invoice_ids)
        )

    def _payments_screen(self, payments: Sequence[PaymentInfo]) -> Screen:
        labels = {}
        for payment in payments[: screens.MOST_SHOWN]:
            invoices = filter(None, map(self._ctx.invoices.get, payment.invoice_ids))
            labels[payment.id] = ", ".join(invoice.label for invoice in invoices)
        return screens.payments(payments, labels)


def _is_about(invoice: InvoiceInfo, meaning: Meaning) -> bool:
    label = normalise(f"{invoice.label} {invoice.regie} {invoice.number}")
    if not all(word in label for word in meaning.words):
        return False
    named = understand(invoice.label)
    month = named.month or invoice.issued_on.month
    year = named.year or invoice.issued_on.year
    return meaning.month in {0, month} and meaning.year in {0, year}
