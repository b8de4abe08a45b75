"""Messages of the bot: Telegram's HTML with their buttons, in the current language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from html import escape
from itertools import groupby

from core.plugin import AttemptInfo, FamilyInfo, InvoiceInfo, PaymentInfo, SharedInfo, TownInfo
from plugins.telegram_bot.events import Button, Screen
from plugins.telegram_bot.words import day, local_date, money, ngettext
from plugins.telegram_bot.words import gettext as _

MAX_SHOWN = 8
"""Invoices or payments in one message: beyond, the portal reads better than a chat."""

LABEL = 40
"""Characters of a button's label: what a narrow telephone shows."""

Online = Callable[[Sequence[InvoiceInfo]], bool]
"""Tells if invoices can be paid online together: `core.plugin.Payments.online`."""

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
            "le lien qui s’y trouve : il ramène ici. Si rien ne se passe, copiez ici la ligne "
            "« /start … » de cette page."
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
    """List of the requests that a parent may make."""
    return _(
        "Voici ce que vous pouvez demander :\n\n"
        "/factures – ce qu’il reste à payer\n"
        "/payees – vos paiements et leurs reçus\n"
        "/attestation – votre attestation fiscale\n"
        "/contact – joindre la mairie\n"
        "/alertes – être averti, ou non\n"
        "/langue – français ou anglais\n"
        "/deconnexion – délier cette discussion\n\n"
        "Vous pouvez aussi l’écrire : « mes factures », « payer cantine », « reçu de novembre »."
    )


def help_screen(*, puzzled: bool) -> Screen:
    """Help, for who asks for it or was not understood."""
    start = _("Je n’ai pas compris.") + "\n\n" if puzzled else ""
    return Screen(
        start + help_text(),
        ((Button(_("Mes factures"), data="list"), Button(_("Mes paiements"), data="paid")),),
    )


def only_text() -> Screen:
    """To a picture, a voice message or a place: what the bot reads."""
    return Screen(
        _("Je ne lis que les messages écrits : ni photos, ni messages vocaux, ni fichiers."),
        ((Button(_("Mes factures"), data="list"), Button(_("Mes paiements"), data="paid")),),
    )


def puzzled(town: TownInfo) -> Screen:
    """To what was not understood: what may be asked, and who answers the rest."""
    whole = help_screen(puzzled=True)
    words = _("Pour toute autre question :")
    return Screen(f"{whole.html}\n\n{words}\n{contact(town)}", whole.rows)


def said(text: str, *rows: tuple[Button, ...]) -> Screen:
    """A plain sentence."""
    return Screen(safe(text, 1000), rows)


def invoices(
    town: TownInfo,
    shown: Sequence[InvoiceInfo],
    families: Mapping[int, FamilyInfo],
    *,
    today: date,
    attempts: Mapping[int, AttemptInfo],
    online: Online,
    link: Callable[[Sequence[InvoiceInfo]], str] | None,
    note: str = "",
    everything: bool = False,
) -> Screen:
    """Invoices, paid or not, with a button to pay each that can be, and those of a régie at once.

    With `link`, the buttons open the payment itself. Without, they ask for that first: a payment
    link lives for minutes and must not lie in a message that nobody asked for. `everything` puts
    what pays several first, or says that they are paid one by one. `attempts` are the payments that
    hold some of them, by number: core's words tell of these, and nothing invites to pay them again.
    """
    listed = list(shown[:MAX_SHOWN])
    if not shown:
        return Screen(note + _("Vous n’avez rien à payer. Merci !"), _navigation())
    parts = [note] if note else []
    parts += _totals(shown, families)
    several = len({invoice.family_id for invoice in shown}) > 1
    payable = [invoice for invoice in shown if can_be_paid(invoice) and online([invoice])]
    for rank, invoice in enumerate(listed, start=1):
        family = families.get(invoice.family_id) if several else None
        ranked = rank if len(listed) > 1 else 0
        attempt = attempts.get(invoice.under_way or 0)
        is_payable = invoice in payable
        parts.append(_invoice(ranked, invoice, family, today, attempt, is_payable=is_payable))
    if len(shown) > len(listed):
        parts.append(_("Les autres sont sur le portail."))
    baskets = _baskets(payable, online)
    if everything and not baskets and len(payable) > 1:
        parts.append(_("Ces factures se règlent une par une."))
    if link and payable:
        parts.append(
            "<i>"
            + _("Les boutons de paiement servent une fois, pendant quelques minutes.")
            + "</i>"
        )
    rows: list[tuple[Button, ...]] = []
    for invoice in listed:
        if invoice in payable:
            label = _cut(
                _("Payer %(amount)s – %(label)s")
                % {"amount": money(invoice.balance), "label": invoice.label},
                LABEL,
            )
            url = link([invoice]) if link else ""
            rows.append((Button(label, "" if url else f"pay:{invoice.id}", url),))
        elif invoice.balance > 0 and invoice.under_way:
            rows.append((held(attempts[invoice.under_way]),))
    together = _together(town, baskets, families if several else {}, link)
    rows = [*together, *rows] if everything else [*rows, *together]
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


def held(attempt: AttemptInfo) -> Button:
    """A button to the payment that holds an invoice."""
    return Button(_cut(attempt.label, LABEL), url=attempt.url)


def can_be_paid(invoice: InvoiceInfo) -> bool:
    """True if a button to pay the invoice makes sense now."""
    return invoice.payable and invoice.balance > 0 and not invoice.under_way


def _baskets(payable: Sequence[InvoiceInfo], online: Online) -> list[list[InvoiceInfo]]:
    """Invoices that can be paid at once: several of one family and régie."""

    def payee(invoice: InvoiceInfo) -> tuple[int, str]:
        return invoice.family_id, invoice.regie

    groups = [list(group) for _payee, group in groupby(sorted(payable, key=payee), payee)]
    return [group for group in groups if len(group) > 1 and online(group)]


def _together(
    town: TownInfo,
    baskets: Sequence[list[InvoiceInfo]],
    families: Mapping[int, FamilyInfo],
    link: Callable[[Sequence[InvoiceInfo]], str] | None,
) -> list[tuple[Button, ...]]:
    """A button for each basket; without `link`, one that asks for them."""
    if baskets and link is None:
        total = money(sum(invoice.balance for basket in baskets for invoice in basket))
        return [(Button(_("Tout payer : %(amount)s") % {"amount": total}, data="all"),)]
    labels = {regie.key: regie.label for regie in town.regies}
    rows: list[tuple[Button, ...]] = []
    for basket in baskets:
        total = money(sum(invoice.balance for invoice in basket))
        words = _("Tout payer : %(amount)s") % {"amount": total}
        if family := families.get(basket[0].family_id):
            words += f" – {family.name or family.code}"
        if len({other[0].regie for other in baskets}) > 1 and basket[0].regie in labels:
            words += f" – {labels[basket[0].regie]}"
        rows.append((Button(_cut(words, LABEL), url=link(basket) if link else ""),))
    return rows


def _totals(shown: Sequence[InvoiceInfo], families: Mapping[int, FamilyInfo]) -> list[str]:
    """Lines of the totals: to pay, to pay by the children's other home, and being paid."""
    open_ = [invoice for invoice in shown if invoice.balance > 0 and invoice.debited_on is None]
    due = [invoice for invoice in open_ if not invoice.under_way]
    under_way = [invoice for invoice in open_ if invoice.under_way]
    # In a message that arrives by itself nobody says which families are the chat's own.
    own = [invoice for invoice in due if not families or invoice.family_id in families]
    others = [invoice for invoice in due if invoice not in own]
    lines = []
    if own:
        lines.append(
            ngettext(
                "<b>%(count)s facture à payer : %(total)s</b>",
                "<b>%(count)s factures à payer : %(total)s</b>",
                len(own),
            )
            % {"count": len(own), "total": money(sum(invoice.balance for invoice in own))}
        )
    if others:
        lines.append(
            _("Au nom de l’autre foyer : %(total)s")
            % {"total": money(sum(invoice.balance for invoice in others))}
        )
    if under_way:
        lines.append(
            _("Déjà en cours de paiement : %(total)s")
            % {"total": money(sum(invoice.balance for invoice in under_way))}
        )
    return lines


def other_home(town: TownInfo, parts: Sequence[SharedInfo]) -> Screen:
    """Shared children's costs invoiced to another home, newest first: in no sum of this one."""
    if not parts:
        none = _("Je ne vois rien qui soit facturé à un autre foyer pour vos enfants.")
        return to_the_town(town, none)
    listed = parts[:MAX_SHOWN]
    total = money(sum(part.amount for part in listed))
    lines = ["<b>" + _("Facturé à l’autre foyer : %(total)s") % {"total": total} + "</b>"]
    lines += [
        f"{safe(part.label, 60)} – {safe(part.child, 60)} – {money(part.amount)}\n"
        + _("facturé le %(date)s") % {"date": day(part.issued_on)}
        for part in listed
    ]
    lines.append(
        _("Pour information : ce n’est pas à vous de le régler, et vos totaux ne le comptent pas.")
    )
    return Screen("\n\n".join(lines), _navigation())


def _navigation() -> tuple[tuple[Button, ...], ...]:
    return ((Button(_("Actualiser"), data="list"), Button(_("Mes paiements"), data="paid")),)


def _invoice(
    rank: int,
    invoice: InvoiceInfo,
    family: FamilyInfo | None,
    today: date,
    attempt: AttemptInfo | None,
    *,
    is_payable: bool,
) -> str:
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
    due = {"date": day(invoice.due_on)}
    is_late = invoice.due_on < today
    if attempt is not None:
        state = safe(attempt.label)
    elif invoice.debited_on:
        state = _("prélevée le %(date)s, rien à faire") % {"date": day(invoice.debited_on)}
    elif is_late:
        state = _("échue le %(date)s") % due
    else:
        state = _("à payer avant le %(date)s") % due
    if attempt is None and invoice.debit_rejected_on:
        rejected = {"date": day(invoice.debit_rejected_on)}
        state = _("prélèvement rejeté le %(date)s") % rejected + f", {state}"
    if invoice.balance < invoice.amount:
        state = _("reste %(amount)s") % {"amount": money(invoice.balance)} + f" – {state}"
    if attempt is not None:
        pass  # Neither a day nor a way to pay it: both would ask for it a second time.
    elif invoice.handed_over:
        state += " – " + _("transmise à la trésorerie : ne se règle plus ici")
    elif not is_payable and not invoice.debited_on:
        state += " – " + _("pas payable en ligne pour l’instant")
    elif invoice.closes_on and not invoice.debited_on:
        state += " – " + _("payable ici jusqu’au %(date)s") % {"date": day(invoice.closes_on)}
    return f"{first}\n{state} – {number}"


def payments(
    shown: Sequence[PaymentInfo],
    labels: dict[int, str],
    *,
    note: str = "",
    none: str = "",
    contact: Sequence[tuple[Button, ...]] = (),
) -> Screen:
    """Payments, newest first, with a button for each receipt. `labels` by payment.

    `note` stands before them, `none` instead of them where there are none.
    """
    back = (Button(_("Mes factures"), data="list"),)
    if not shown:
        words = none or _("Aucun paiement ne correspond.")
        return Screen("\n\n".join(filter(None, (note, words))), (back, *contact))
    listed = shown[:MAX_SHOWN]
    lines = [note] if note else []
    lines.append("<b>" + _("Vos paiements") + "</b>")
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
    return Screen("\n\n".join(lines), (*rows, back, *contact))


def alerts(*, on: bool) -> Screen:
    """State of the chat's alerts, on or off, and a button to change it."""
    if on:
        return Screen(
            _("Les alertes sont <b>activées</b> : nouvelles factures, paiements et rappels."),
            ((Button(_("Désactiver les alertes"), data="alerts:off"),),),
        )
    return Screen(
        _("Les alertes sont <b>désactivées</b> : rien n’arrivera ici sans que vous le demandiez."),
        ((Button(_("Activer les alertes"), data="alerts:on"),),),
    )


def ask_alerts(*, on: bool) -> Screen:
    """Ask whether alerts shall be turned on, or off."""
    if on:
        question = _("Voulez-vous être averti ici : nouvelles factures, paiements et rappels ?")
        yes = Button(_("Oui, activer"), data="alerts:on")
    else:
        question = _(
            "Voulez-vous ne plus recevoir d’alertes ici ? Rien n’arrivera plus sans que vous le "
            "demandiez."
        )
        yes = Button(_("Oui, désactiver"), data="alerts:off")
    return Screen(question, ((yes, Button(_("Non"), data="keep")),))


def ask_to_stop(*, on: bool) -> Screen:
    """Ask how quiet it shall be."""
    quiet = ((Button(_("Désactiver les alertes"), data="alerts:off"),),) if on else ()
    return Screen(
        _(
            "Que voulez-vous arrêter ?\n\n"
            "Sans alertes, je n’écris plus que si vous me demandez quelque chose. Déliée, cette "
            "discussion ne montre plus vos factures."
        )
        if on
        else _(
            "Les alertes sont déjà désactivées : je n’écris que si vous me demandez quelque chose. "
            "Déliée, cette discussion ne montre plus vos factures."
        ),
        (
            *quiet,
            (Button(_("Délier cette discussion"), data="bye"),),
            (Button(_("Ne rien changer"), data="keep"),),
        ),
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


def contact(town: TownInfo) -> str:
    """Contact details of the town: telephone, mail, hours and address."""
    found = town.contact
    lines = [f"<b>{safe(town.name)}</b>"]
    if found.phone:
        lines.append(_("Téléphone : %s") % safe(found.phone, 40))
    if found.email:
        lines.append(_("Courriel : %s") % safe(found.email, 100))
    if found.hours:
        lines.append(_("Horaires : %s") % safe(found.hours))
    if found.address:
        lines.append(safe(", ".join(found.address)))
    if len(lines) == 1:
        lines.append(_("Les coordonnées sont sur le portail."))
    return "\n".join(lines)


def to_the_town(town: TownInfo, text: str, *rows: tuple[Button, ...]) -> Screen:
    """An answer that a person of the town has to complete: `text`, and how to reach the town."""
    back = (Button(_("Mes factures"), data="list"), portal(town))
    return Screen(f"{safe(text, 1000)}\n\n{contact(town)}", (*rows, back))


def page(town: TownInfo, label: str, path: str) -> tuple[Button, ...]:
    """A button to one of the portal's pages."""
    return (Button(label, url=f"{town.base_url}{path}"),)


def commands() -> list[tuple[str, str]]:
    """The commands that Telegram proposes, with what they do."""
    return [
        ("factures", _("Ce qu’il reste à payer")),
        ("payees", _("Vos paiements et leurs reçus")),
        ("attestation", _("Votre attestation fiscale")),
        ("contact", _("Joindre la mairie")),
        ("alertes", _("Être averti, ou non")),
        ("langue", _("Français ou anglais")),
        ("aide", _("Ce que vous pouvez demander")),
        ("deconnexion", _("Délier cette discussion")),
    ]
