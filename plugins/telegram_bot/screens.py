"""What the bot writes: messages in Telegram's HTML with their buttons, in the current language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from core.plugin import FamilyInfo, InvoiceInfo, PaymentInfo, TownInfo
from plugins.telegram_bot.events import Button, Screen
from plugins.telegram_bot.words import day, local_date, money, ngettext
from plugins.telegram_bot.words import gettext as _

MOST_SHOWN = 8
"""Invoices or payments in one message: beyond, the portal reads better than a chat."""

LABEL = 40
"""Characters of a button's label: what a narrow telephone shows."""

LANGUAGES = {"fr": "Français", "en": "English"}


def safe(text: str, longest: int = 200) -> str:
    """`text` within Telegram's HTML, cut to `longest` characters."""
    return escape(_cut(text, longest), quote=False)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def portal(town: TownInfo) -> Button:
    """A button to the portal."""
    return Button(_("Ouvrir le portail"), url=f"{town.base_url}/")


def stranger(town: TownInfo) -> Screen:
    """To a chat that is not linked: how to link it, and nothing else."""
    return Screen(
        _(
            "<b>%(town)s</b>\n"
            "Cette discussion n’est reliée à aucun dossier famille.\n\n"
            "Connectez-vous au portail avec vos codes, ouvrez la page « Telegram », puis touchez "
            "le lien qui s’y trouve : il ramène ici."
        )
        % {"town": safe(town.name)},
        ((Button(_("Ouvrir le portail"), url=f"{town.base_url}/+telegram_bot/"),),),
    )


def ask_to_link(family: FamilyInfo, token_id: int) -> Screen:
    """Ask whether this chat shall see the family's invoices."""
    return Screen(
        _(
            "Relier cette discussion au dossier <b>%(family)s</b> (code %(code)s) ?\n\n"
            "Vous y verrez vos factures, et vous y serez averti. Toute personne qui a accès à ce "
            "téléphone les verra aussi."
        )
        % {"family": safe(family.name or family.code), "code": safe(family.code)},
        (
            (Button(_("Oui, relier"), data=f"link:{token_id}"),),
            (Button(_("Non"), data=f"nolink:{token_id}"),),
        ),
    )


def help_text() -> str:
    """What may be asked."""
    return _(
        "Voici ce que vous pouvez demander :\n\n"
        "/factures – ce qu’il reste à payer\n"
        "/payees – vos paiements et leurs reçus\n"
        "/alertes – être averti, ou non\n"
        "/langue – français ou anglais\n"
        "/deconnexion – délier cette discussion\n\n"
        "Vous pouvez aussi l’écrire : « mes factures », « payer cantine », « reçu de novembre »."
    )


def help_screen(*, puzzled: bool) -> Screen:
    """Help, for who asks for it or was not understood."""
    start = _("Je n’ai pas compris.") + "\n\n" if puzzled else ""
    return Screen(
        start + help_text(),
        ((Button(_("Mes factures"), data="list"), Button(_("Mes paiements"), data="paid")),),
    )


def said(text: str, *rows: tuple[Button, ...]) -> Screen:
    """A plain sentence."""
    return Screen(safe(text, 1000), rows)


def invoices(
    town: TownInfo,
    shown: Sequence[InvoiceInfo],
    families: dict[int, FamilyInfo],
    *,
    link: Callable[[InvoiceInfo], str] | None,
    note: str = "",
) -> Screen:
    """Invoices, paid or not, with a button to pay each that can be.

    With `link`, the buttons open the payment itself. Without, they ask for that first: a payment
    link lives for minutes and must not lie in a message that nobody asked for.
    """
    listed = list(shown[:MOST_SHOWN])
    due = [invoice for invoice in shown if invoice.balance > 0]
    if not shown:
        return Screen(note + _("Vous n’avez rien à payer. Merci !"), _navigation())
    parts = [note] if note else []
    if due:
        total = money(sum(invoice.balance for invoice in due))
        parts.append(
            ngettext(
                "<b>%(count)s facture à payer : %(total)s</b>",
                "<b>%(count)s factures à payer : %(total)s</b>",
                len(due),
            )
            % {"count": len(due), "total": total}
        )
    several = len({invoice.family_id for invoice in shown}) > 1
    for rank, invoice in enumerate(listed, start=1):
        family = families.get(invoice.family_id) if several else None
        parts.append(_invoice(rank if len(listed) > 1 else 0, invoice, family))
    if len(shown) > len(listed):
        parts.append(_("Les autres sont sur le portail."))
    if link and any(invoice.payable and invoice.balance > 0 for invoice in listed):
        parts.append(
            "<i>"
            + _("Les boutons de paiement servent une fois, pendant quelques minutes.")
            + "</i>"
        )
    rows: list[tuple[Button, ...]] = []
    for invoice in listed:
        if not (invoice.payable and invoice.balance > 0):
            continue
        label = _cut(
            _("Payer %(amount)s – %(label)s")
            % {"amount": money(invoice.balance), "label": invoice.label},
            LABEL,
        )
        rows.append(
            (Button(label, url=link(invoice)) if link else Button(label, f"pay:{invoice.id}"),)
        )
    files = [
        Button(
            _("PDF de la facture") if len(listed) == 1 else _("PDF %(rank)s") % {"rank": rank},
            f"doc:{invoice.id}",
        )
        for rank, invoice in enumerate(listed, start=1)
    ]
    rows += [tuple(files[start : start + 4]) for start in range(0, len(files), 4)]
    if len(shown) > len(listed):
        rows.append((portal(town),))
    rows += _navigation()
    return Screen("\n\n".join(parts), tuple(rows), tuple(invoice.id for invoice in listed))


def _navigation() -> tuple[tuple[Button, ...], ...]:
    return ((Button(_("Actualiser"), data="list"), Button(_("Mes paiements"), data="paid")),)


def _invoice(rank: int, invoice: InvoiceInfo, family: FamilyInfo | None) -> str:
    first = f"{rank}. " if rank else ""
    if family is not None:
        first += f"{safe(family.name or family.code, 60)} – "
    first += f"<b>{safe(invoice.label)}</b> – {money(invoice.amount)}"
    if invoice.is_credit_note:
        return f"{first}\n" + _("avoir n° %(number)s") % {"number": safe(invoice.number, 40)}
    number = _("facture n° %(number)s") % {"number": safe(invoice.number, 40)}
    if invoice.balance <= 0:
        word = _("payée") if invoice.credited < invoice.amount else _("rien à payer")
        return f"✓ {first}\n{word} – {number}"
    state = _("à payer avant le %(date)s") % {"date": day(invoice.due_on)}
    if invoice.balance < invoice.amount:
        state = _("reste %(amount)s") % {"amount": money(invoice.balance)} + f" – {state}"
    if not invoice.payable:
        state += " – " + _("pas payable en ligne pour l’instant")
    elif invoice.closes_on:
        state += " – " + _("payable ici jusqu’au %(date)s") % {"date": day(invoice.closes_on)}
    return f"{first}\n{state} – {number}"


def payments(shown: Sequence[PaymentInfo], labels: dict[int, str]) -> Screen:
    """Payments, newest first, with a button for each receipt. `labels` by payment."""
    back = (Button(_("Mes factures"), data="list"),)
    if not shown:
        return Screen(_("Aucun paiement ne correspond."), (back,))
    listed = shown[:MOST_SHOWN]
    lines = ["<b>" + _("Vos paiements") + "</b>"]
    lines += [
        f"✓ {day(local_date(payment.paid_at))} – {money(payment.amount)}"
        + (f"\n{safe(labels[payment.id])}" if labels.get(payment.id) else "")
        for payment in listed
    ]
    receipts = [
        Button(
            _("Reçu du %(date)s") % {"date": day(local_date(payment.paid_at))}, f"rec:{payment.id}"
        )
        for payment in listed
    ]
    rows = [tuple(receipts[start : start + 2]) for start in range(0, len(receipts), 2)]
    return Screen("\n\n".join(lines), (*rows, back))


def alerts(*, on: bool) -> Screen:
    """Whether this chat is written to, and a button for the other."""
    if on:
        return Screen(
            _("Les alertes sont <b>activées</b> : nouvelles factures, paiements et rappels."),
            ((Button(_("Désactiver les alertes"), data="alerts:off"),),),
        )
    return Screen(
        _("Les alertes sont <b>désactivées</b> : rien n’arrivera ici sans que vous le demandiez."),
        ((Button(_("Activer les alertes"), data="alerts:on"),),),
    )


def languages(offered: Iterable[str]) -> Screen:
    """Choose a language."""
    row = tuple(
        Button(LANGUAGES[code], data=f"lang:{code}") for code in offered if code in LANGUAGES
    )
    return Screen(_("Dans quelle langue voulez-vous que j’écrive ?"), (row,))


def ask_to_unlink() -> Screen:
    """Ask before unlinking."""
    return Screen(
        _("Délier cette discussion ? Vous n’y verrez plus vos factures."),
        ((Button(_("Oui, délier"), data="bye"), Button(_("Non"), data="list")),),
    )


def commands() -> list[tuple[str, str]]:
    """The commands that Telegram proposes, with what they do."""
    return [
        ("factures", _("Ce qu’il reste à payer")),
        ("payees", _("Vos paiements et leurs reçus")),
        ("alertes", _("Être averti, ou non")),
        ("langue", _("Français ou anglais")),
        ("aide", _("Ce que vous pouvez demander")),
        ("deconnexion", _("Délier cette discussion")),
    ]
