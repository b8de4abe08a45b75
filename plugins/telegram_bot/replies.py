"""Answers to wishes that the bot cannot grant by itself: what to know, and whom to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.plugin import AttemptInfo, InvoiceInfo, TownInfo
from plugins.telegram_bot import screens
from plugins.telegram_bot.events import Action, Button, Screen, Show
from plugins.telegram_bot.understanding import Wish
from plugins.telegram_bot.words import gettext as _
from plugins.telegram_bot.words import money

Answer = Callable[[TownInfo], Screen]


def _mine() -> Button:
    return Button(_("Mes factures"), data="list")


def already_paid(unpaid: Sequence[InvoiceInfo], attempts: Mapping[int, AttemptInfo]) -> str:
    """To *j'ai déjà payé*: what is under way, and why a cheque may not show yet."""
    lines = [
        _("%(state)s : %(label)s, %(amount)s")
        % {
            "state": screens.safe(attempts[invoice.under_way].label),
            "label": screens.safe(invoice.label),
            "amount": money(invoice.balance),
        }
        for invoice in unpaid
        if invoice.under_way
    ]
    lines.append(
        _(
            "Un paiement en ligne paraît ici en quelques minutes ; un chèque, des espèces ou un "
            "virement, quand la mairie les a enregistrés. Ne payez pas une seconde fois."
        )
    )
    return "\n".join(lines)


def payment_problem(town: TownInfo, attempts: Mapping[int, AttemptInfo]) -> Screen:
    """To *le paiement ne marche pas*: where those stand that hold an invoice."""
    text = _(
        "Si la page de paiement a été refusée ou coupée, rien n’est perdu : demandez une page "
        "neuve par le bouton « Mes factures ». Les boutons de paiement servent une fois, pendant "
        "quelques minutes."
    )
    under_way = list(attempts.values())[:1]
    if under_way:
        words = _("Attendez le résultat de ce paiement avant de payer de nouveau.")
        text = f"{under_way[0].title}. {words}"
    rows = [(Button(attempt.next_act, url=attempt.url),) for attempt in under_way]
    return screens.to_the_town(town, text, *rows)


def refund(town: TownInfo) -> str:
    """To *je voudrais être remboursé*, before the last payments."""
    words = _(
        "Voici vos derniers paiements. Pour un remboursement ou un paiement fait deux fois, "
        "adressez-vous à la mairie, avec le numéro du reçu :"
    )
    return f"{words}\n{screens.contact(town)}"


def dispute(town: TownInfo, about: InvoiceInfo | None) -> Screen:
    """To *il y a une erreur*, *pourquoi*: where the details are, and who may change them."""
    text = _(
        "Le détail de chaque facture est dans son PDF. Je ne peux rien y corriger : pour une "
        "erreur ou une question, la mairie vous répondra."
    )
    rows = ((Button(_("PDF de la facture"), data=f"doc:{about.id}"),),) if about else ()
    return screens.to_the_town(town, text, *rows)


def no_invoice(town: TownInfo) -> Screen:
    """To *je n'ai pas reçu ma facture*, when nothing is due."""
    text = _(
        "Aucune facture n’attend votre paiement : la prochaine paraîtra ici dès qu’elle sera en "
        "ligne. Celles que vous avez payées sont sur le portail."
    )
    return screens.to_the_town(
        town, text, screens.page(town, _("Factures payées"), "/factures/payees")
    )


def other_certificates(
    town: TownInfo, wanted: int, others: Sequence[int], sent: bool
) -> list[Action]:
    """After a tax certificate: those of other years; or that there is none."""
    buttons = tuple(
        Button(_("Attestation %(year)s") % {"year": year}, data=f"tax:{year}")
        for year in others[:4]
    )
    if sent:
        words = _("D’autres années :")
        return [Show(screens.said(words, buttons))] if buttons else []
    text = (
        _("Aucune attestation fiscale pour %(year)s.") % {"year": wanted}
        if wanted
        else _("Aucune attestation fiscale : rien n’a encore été payé ici pour la garde d’enfants.")
    )
    rows = (buttons,) if buttons else ()
    return [Show(screens.to_the_town(town, text, *rows))]


def _how_to_pay(town: TownInfo) -> Screen:
    text = _(
        "En ligne, par les boutons « Payer » de vos factures : la page de paiement propose les "
        "moyens acceptés. Pour payer autrement (chèque, espèces, CESU, prélèvement…), le mode de "
        "règlement est indiqué sur chaque facture."
    )
    return screens.to_the_town(town, text)


def _delay(town: TownInfo) -> Screen:
    text = _(
        "Je ne peux pas accorder de délai ni de paiement en plusieurs fois. N’attendez pas "
        "l’échéance : parlez-en à la mairie, qui vous dira ce qui est possible."
    )
    return screens.to_the_town(town, text)


def _absence(town: TownInfo) -> Screen:
    text = _(
        "Je ne m’occupe que des factures : je ne peux pas noter une absence ni annuler un repas. "
        "Prévenez la mairie :"
    )
    return screens.to_the_town(town, text)


def _registration(town: TownInfo) -> Screen:
    text = _(
        "Je ne m’occupe que des factures : pour une inscription ou une réservation, adressez-vous "
        "à la mairie :"
    )
    return screens.to_the_town(town, text)


def _change_details(town: TownInfo) -> Screen:
    text = _(
        "Je ne peux pas changer votre dossier : donnez votre nouvelle adresse, votre RIB ou votre "
        "quotient à la mairie :"
    )
    return screens.to_the_town(town, text)


def _contact(town: TownInfo) -> Screen:
    return screens.to_the_town(town, _("Pour toute question, voici comment joindre la mairie :"))


def _sign_in(town: TownInfo) -> Screen:
    text = _(
        "Pour entrer sur le portail, il faut votre code famille et votre code d’accès, ou votre "
        "compte. Codes perdus : la page ci-dessous en envoie de nouveaux. Ici, vos factures "
        "restent visibles sans code."
    )
    return screens.to_the_town(
        town,
        text,
        screens.page(town, _("Me connecter"), "/connexion"),
        screens.page(town, _("Codes perdus"), "/codes-perdus"),
    )


def _delete_account(town: TownInfo) -> Screen:
    text = _(
        "Je peux délier cette discussion : j’oublie alors tout ce que je sais d’elle. Votre "
        "dossier famille est tenu par la mairie ; pour le faire effacer, écrivez-lui."
    )
    return screens.to_the_town(
        town, text, (Button(_("Délier cette discussion"), data="bye"),)
    )


def _thanks(_town: TownInfo) -> Screen:
    return screens.said(_("Avec plaisir ! Je reste à votre disposition."), (_mine(),))


def _insult(town: TownInfo) -> Screen:
    text = _(
        "Je ne suis qu’un programme, et je vois que quelque chose ne va pas. Une personne de la "
        "mairie vous répondra mieux que moi :"
    )
    return screens.to_the_town(town, text)


ANSWERS: Mapping[str, Answer] = {
    Wish.HOW_TO_PAY: _how_to_pay,
    Wish.DELAY: _delay,
    Wish.ABSENCE: _absence,
    Wish.REGISTRATION: _registration,
    Wish.CHANGE_DETAILS: _change_details,
    Wish.CONTACT: _contact,
    Wish.SIGN_IN: _sign_in,
    Wish.DELETE_ACCOUNT: _delete_account,
    Wish.THANKS: _thanks,
    Wish.INSULT: _insult,
}
