"""What the parents' pages are shown with here: the manual's own invoices, and the corner cases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from pyramid.config import Configurator
from pyramid.request import Request
from wtforms import Form, HiddenField, PasswordField, StringField
from wtforms.validators import InputRequired

from core import rooms
from core.api.context import FamilyInfo, InvoiceInfo, RegieInfo
from core.api.web import MenuEntry
from core.domain.attempt_looks import look_of
from core.domain.attempt_status import Situation
from core.domain.baskets import Chain, Lot
from core.invoices.lines import LineInfo
from core.invoices.service import CreditNote, SharedPart
from core.payments.paid import PaidInvoice, by_year
from core.payments.standings import act_words, for_parent
from core.platform import i18n, templating
from core.platform.tenancy.config import TenantConfig, TenantFile
from core.platform.web.trial import Trial, TrialFamily

CORE = Path(rooms.__file__).parent
STATIC = CORE / "platform" / "web" / "static"
FOLDERS = [CORE.joinpath(*folder.split(":")[1].split("/")) for folder in rooms.TEMPLATES]
TEMPLATES = {
    path.relative_to(folder).with_suffix("").as_posix(): path
    for folder in FOLDERS
    for path in folder.rglob("*.jinja2")
    if "letters" not in path.parts
}
"""The pages' templates by their short names."""

ROUTES = {
    "home": "/",
    "office": "/regie/",
    "news": "/actualites/{id}",
    "sign_in": "/connexion",
    "sign_in_account": "/connexion/compte",
    "way_in": "/connexion/lien/{token}",
    "lost_codes": "/codes-perdus",
    "new_code": "/codes-perdus/{token}",
    "sign_out": "/deconnexion",
    "menu": "/menu",
    "invoices": "/factures",
    "checkout": "/factures/recapitulatif",
    "payments": "/paiements",
    "payment": "/paiements/{id}",
    "payment_go": "/paiements/{id}/aller",
    "payment_state": "/paiements/{id}/etat",
    "receipt": "/paiements/{id}/recu.pdf",
    "paid": "/factures/payees",
    "paid_year": "/factures/payees/{year}.{format}",
    "invoice_pdf": "/factures/{id}.pdf",
    "certificates": "/attestations",
    "certificate_pdf": "/attestations/{year}.pdf",
    "alerts": "/alertes",
    "debit": "/prelevement",
    "debit_form": "/prelevement/formulaire.pdf",
    "alert_confirm": "/alertes/confirmer/{token}",
    "alert_unsubscribe": "/alertes/desabonner/{token}",
    "payment_link": "/payer/{token}",
    "account": "/compte",
    "account_confirm": "/compte/confirmer/{token}",
    "account_email": "/compte/adresse/{token}",
    "switch_family": "/famille",
    "help": "/aide",
    "guide": "/mode-d-emploi.pdf",
    "language": "/langue",
    "legal": "/mentions-legales",
    "accessibility": "/accessibilite",
    "theme": "/theme.css",
    "manifest": "/manifest.webmanifest",
    "logo": "/logo",
    "telegram_bot.link": "/+telegram_bot/lier",
}

TOWN = TenantConfig(
    slug="ville-de-demo",
    folder=Path("ville-de-demo"),
    file=TenantFile.model_validate(
        {
            "tenant": {"name": "Ville de Démo"},
            "contact": {
                "email": "regie@ville-de-demo.example",
                "phone": "01 99 00 12 34",
                "address": ["Régie des affaires scolaires", "1 place de la Mairie", "99000 Démo"],
                "hours": "du lundi au vendredi, 8 h 30 – 12 h",
            },
            "legal": {
                "publisher": "Commune de Démo, représentée par son maire",
                "director": "Hélène Vasseur, maire",
                "host": "Hébergeur Exemple",
                "host_address": "99000 Démo",
                "host_phone": "01 99 00 00 01",
                "data_protection": "dpo@ville-de-demo.example",
                "processors": ["Société Exemple (courriels)"],
                "accessibility": "partiellement conforme",
            },
            "retention": {"families": 36},
            "accessibility": {
                "rate": 87.5,
                "audited_on": "2026-09-01",
                "auditor": "Cabinet Exemple",
                "not_conforming": ["Une image de l’actualité n’a pas d’alternative."],
                "exempt": ["Les factures d’avant 2024."],
                "pages": ["Accueil", "Factures"],
                "environment": ["Firefox et NVDA"],
                "plan": "https://www.ville-de-demo.example/accessibilite",
            },
            "regies": {
                "EXTRA": {"label": "REGIE EXTRASCOLAIRE"},
                "PERI": {"label": "REGIE PERISCOLAIRE"},
                "EAU": {"label": "Titres de la trésorerie", "collects": False},
            },
        }
    ),
    settings={},
)
BARE_TOWN = TenantConfig(
    slug="bourg",
    folder=Path("bourg"),
    file=TenantFile.model_validate(
        {
            "tenant": {
                "name": "Saint-Julien-de-la-Grande-Forêt-lès-Montagnes",
                "languages": ["fr"],
            },
            "look": {"logo": "logo.svg"},
            "regies": {"PERI": {"label": "REGIE PERISCOLAIRE"}},
        }
    ),
    settings={},
)
BOND = FamilyInfo(1, "F4821", "BOND Jamie", "fr")
MARTIN = FamilyInfo(2, "F4822", "MARTIN-DUPONT DE LA VILLARDIÈRE Marie-Charlotte", "fr")
MENU = [
    MenuEntry("Factures", "invoices", 10),
    MenuEntry("Factures déjà payées", "paid", 20),
    MenuEntry("Attestations", "certificates", 30),
    MenuEntry("Être averti", "alerts", 40),
    MenuEntry("Telegram", "telegram_bot.link", 50),
    MenuEntry("Mon compte", "account", 60),
    MenuEntry("Aide", "help", 90),
]
CHOICES = [("planning.place", "Une place se libère", True), ("planning.reminder", "Rappel", False)]
OTHER_WAYS = [MenuEntry("Telegram", "telegram_bot.link")]
NOW = datetime(2018, 11, 24, 13, 5, tzinfo=UTC)


def invoice(number: int, label: str, regie: str, amount: int, **changes: Any) -> InvoiceInfo:
    """An invoice of the demo."""
    values = {
        "id": number,
        "family_id": 1,
        "regie": regie,
        "number": f"2018-010-{number:06d}",
        "payment_reference": f"2018-TS-00-{number:07d}",
        "label": label,
        "amount": amount,
        "balance": amount,
        "issued_on": date(2018, 11, 5),
        "due_on": date(2018, 12, 15),
        "payable": True,
        **changes,
    }
    return InvoiceInfo(**values)  # type: ignore[arg-type]


CANTEEN = invoice(1, "CANTINE", "EXTRA", 5687)
CARE = invoice(2, "GARDERIE B", "PERI", 22780, due_on=date(2018, 11, 15), balance=21580, credited=1200)
BOTH = invoice(3, "CANTINE ET TRANSPORT NOVEMBRE 2018", "PERI", 17995, balance=10000)
HELD = invoice(4, "GARDERIE OCTOBRE 2018", "PERI", 4200, under_way=7)
TITLE = invoice(5, "TITRE RESTAURATION", "EAU", 123456, payable=False)
AWAY = invoice(6, "ACCUEIL DE LOISIRS (prélèvement)", "PERI", 6400, payable=False)


@dataclass
class Group:
    """One cash desk's unpaid invoices."""

    key: str
    label: str
    online: bool
    invoices: list[InvoiceInfo]
    tresorerie: str = ""


CREDIT_NOTES = [
    CreditNote(9, "PERI", "2018-010-000009", "AVOIR GARDERIE B", -1200, date(2018, 11, 3), "2018-010-000002"),
    CreditNote(8, "EXTRA", "2018-009-000008", "AVOIR CANTINE : repas non pris, maladie", -460, date(2018, 10, 3), ""),
]

GROUPS = [
    Group("EXTRA", "REGIE EXTRASCOLAIRE", True, [CANTEEN]),
    Group("PERI", "REGIE PERISCOLAIRE", True, [CARE, BOTH, HELD, AWAY]),
    Group("EAU", "Titres de la trésorerie", False, [TITLE]),
]


def payment(state: str, **changes: Any) -> SimpleNamespace:
    """A payment's row, as far as pages read it."""
    values = {
        "id": 7,
        "state": state,
        "amount": 5687,
        "regie": "EXTRA",
        "email": "jamie.bond.aux-prenoms-tres-longs@exemple-de-messagerie.example",
        "created_at": NOW,
        "paid_at": NOW if state in ("settled", "reversed") else None,
        "means": "card",
        "authorisation": "A55A",
        "receipt_number": "EXTRA-2018-000123",
        "payer_reference": "PREAU2018112400000042",
        "start_refusal": "",
        **changes,
    }
    return SimpleNamespace(**values)


def paid(number: int, **changes: Any) -> PaidInvoice:
    """A line of the invoices already paid."""
    values = {
        "invoice_id": number,
        "payment_id": number,
        "number": f"2012-003-{number:06d}",
        "payment_reference": f"2012-TS-00-3{number:06d}",
        "label": "CANTINE ET GARDERIE MARS 2012",
        "regie": "PERI",
        "due_on": date(2012, 4, 15),
        "paid": 2100,
        "payer": "Jamie BOND",
        "means": "card",
        "paid_at": datetime(2012, 4, 25, 8, 30, tzinfo=UTC),
        "authorisation": "554466",
        "receipt_number": "PERI-2012-000045",
        **changes,
    }
    return PaidInvoice(**values)  # type: ignore[arg-type]


PAID = [
    paid(314),
    paid(315, means="cheque", authorisation="", payer="", payment_reference="", receipt_number=""),
    paid(
        313, label="CANTINE ET TRANSPORT ET ACCUEIL DE LOISIRS NOVEMBRE 2011", paid=123456, released=2100,
        paid_at=datetime(2011, 12, 31, 22, 30, tzinfo=UTC),
    ),
]


class CodesForm(Form):
    """As the sign-in form is."""

    family_code = StringField(validators=[InputRequired("Saisissez le code famille.")])
    child_code = PasswordField(validators=[InputRequired("Saisissez le code enfant.")])
    next = HiddenField()


class EmailForm(Form):
    """A form with one address."""

    email = StringField(
        validators=[InputRequired("Saisissez une adresse e-mail, à 100 % complète.")]
    )
    key = HiddenField()


class AddressForm(Form):
    """The form of the alerts."""

    address = StringField(validators=[InputRequired("Saisissez une adresse e-mail.")])


class AccountForm(Form):
    """The form of an own account."""

    email = StringField(validators=[InputRequired("Saisissez une adresse e-mail.")])
    password = PasswordField(validators=[InputRequired("Choisissez un mot de passe.")])
    again = PasswordField()


class ChangeEmailForm(Form):
    """The form of an account's new address."""

    email = StringField()
    proof = PasswordField()


class NewPasswordForm(Form):
    """The form of a new account's password."""

    password = PasswordField(validators=[InputRequired("Choisissez un mot de passe.")])
    again = PasswordField()


class JoinForm(Form):
    """The form that links a family to the account there is."""

    current = PasswordField(validators=[InputRequired("Saisissez le mot de passe du compte.")])


class CloseForm(Form):
    """The form that closes an account."""

    closing = PasswordField()


class PasswordForm(Form):
    """The form of a new password."""

    current = PasswordField()
    password = PasswordField()
    again = PasswordField()


def told(situation: str, *acts: str, holds: bool = False, office: bool = False) -> dict[str, Any]:
    """What an attempt means, and its words."""
    standing = SimpleNamespace(
        situation=situation, acts=acts, holds=holds, watched=True, for_the_office=office
    )
    return {
        "standing": standing, "meaning": for_parent(Situation(situation)), "opening": False,
        "act_words": act_words, "look": look_of(situation),
    }  # fmt: skip


def wrong(form: Form) -> Form:
    """`form` as it comes back when nothing was filled in, with an error of no field."""
    form.validate()
    form.form_errors.append("Ces codes ne vont pas ensemble.")
    return form


def address(number: int, **changes: Any) -> SimpleNamespace:
    """A notification address."""
    values = {
        "id": number,
        "address": f"jamie.bond.{number}@exemple.example",
        "confirmed_at": NOW,
        "refused_at": None,
        "refusal": "",
        **changes,
    }
    return SimpleNamespace(**values)


ADDRESSES = [
    address(1),
    address(
        2,
        confirmed_at=None,
        address="une-adresse-vraiment-tres-longue-sans-coupure@exemple.example",
    ),
    address(3, refused_at=NOW, refusal="550 5.1.1 User unknown"),
]
NEWS = [
    SimpleNamespace(
        id=1, title="Vacances d’hiver : les inscriptions sont ouvertes",
        summary="L’accueil de loisirs reçoit les enfants du 11 au 22 février.", published_at=NOW,
    ),
    SimpleNamespace(id=2, title="Menus de décembre", summary="", published_at=NOW),
]  # fmt: skip
NOTICE = Markup(
    "<p>Pensez à décommander les repas <strong>48 heures</strong> avant.</p>"
    "<ul><li>Repas oublié : 2 €</li><li>Garderie : jusqu’à 18 h 30</li></ul>"
)
PARENT = {"family": BOND, "families": [BOND]}
TWO_HOMES = {"family": BOND, "families": [BOND, MARTIN]}
VISITOR: dict[str, Any] = {"family": None, "families": []}


@dataclass
class Sample:
    """One page to look at: its template, who sees it, and with what."""

    name: str
    template: str
    context: dict[str, Any]
    who: dict[str, Any]
    route: str | None = None
    town: TenantConfig | None = TOWN
    errors: int = 0


SHARED = SharedPart(
    "PERI", "Cantine octobre", "Jamie", date(2018, 11, 2),
    (LineInfo("Repas", "Jamie", "repas", None, None, 5687), LineInfo("Garderie", "Jamie", "garde", None, None, 1200)),
)  # fmt: skip


TOWNS = [
    SimpleNamespace(slug="ville-de-demo", name=TOWN.name, url="/ville-de-demo/"),
    SimpleNamespace(slug="bourg", name=BARE_TOWN.name, url="/bourg/"),
]
TRIAL = Trial(
    {"ville-de-demo": [TrialFamily("F00007", "7KMP-Q2RS-TV4X", "trois factures à payer, deux déjà payées"),
                       TrialFamily("F00451", "8KVR-VZWY-WFZN", "parents séparés")]},
    "http://mail.test", "http://chat.test",
)  # fmt: skip

LINES = [
    LineInfo("Restauration scolaire", "Jamie", "repas", Decimal("12.000"), 361, 4332),
    LineInfo("Restauration scolaire", "Camille-Charlotte", "repas", Decimal("3.500"), None, 1083),
    LineInfo("Arrondi", "", "autre", None, None, 272),
]


HELD_ATTEMPTS = {
    7: SimpleNamespace(
        payment_id=7, situation="open", title="Nous attendons la réponse de la banque", label="Paiement en cours",
        next_act="Voir où en est ce paiement",
    )
}  # fmt: skip


def unpaid(groups: list[Group], **changes: Any) -> dict[str, Any]:
    """The page of unpaid invoices, of these groups."""
    invoices = [invoice for group in groups for invoice in group.invoices]
    offered = [i for i in invoices if i.payable and not i.under_way]
    return {
        "groups": groups,
        "offered": {invoice.id for invoice in offered},
        "lines": {invoice.id: [] if invoice is TITLE else LINES for invoice in invoices},
        "due_total": sum(invoice.balance for invoice in invoices if not (invoice.debited_on or invoice.under_way)),
        "offered_total": sum(invoice.balance for invoice in offered),
        "payment_count": 1,
        "today": date(2018, 11, 24),
        "error": None,
        "attempts": HELD_ATTEMPTS,
        "look_of": look_of,
        "shared": [],
        **changes,
    }


TWO_PAYMENTS = Chain((), (Lot("EXTRA", (1,), 5687), Lot("PERI", (2, 3), 31580)))
HALF_WAY = Chain((Lot("EXTRA", (1,), 5687),), (Lot("PERI", (2, 3), 31580),))


def samples() -> list[Sample]:
    """Every page in every state. Made anew each time: forms keep their errors."""
    twenty = [invoice(n, f"CANTINE ET GARDERIE {n}", "PERI", 4000 + n) for n in range(50, 70)]
    watching = {"payment": payment("pending"), "invoices": [CANTEEN]}
    one = Group("PERI", "REGIE PERISCOLAIRE", True, [CARE, BOTH])
    taken = invoice(41, "CANTINE novembre 2018", "PERI", 4120, payable=False,
                    debited_on=date(2018, 12, 15))
    debited = Group("PERI", "REGIE PERISCOLAIRE", True, [taken])
    done = {"invoices": [CANTEEN], "excess": 0, "chain": None}
    account = SimpleNamespace(id=1, email="jamie.bond@exemple.example")
    paid_all = {
        "paid_years": by_year(PAID), "anything": True,
        "regies": [RegieInfo("PERI", "REGIE PERISCOLAIRE", True), RegieInfo("EXTRA", "REGIE EXTRASCOLAIRE", True)],
        "year": None, "regie": None, "credit_notes": CREDIT_NOTES, "credits": [("REGIE PERISCOLAIRE", 2100)],
    }  # fmt: skip
    return [
        Sample("home", "home", {"news": NEWS, "notice": NOTICE}, VISITOR, "home"),
        Sample("home-in", "home", {"news": [], "notice": None}, PARENT, "home", BARE_TOWN),
        Sample("news", "news", {"item": NEWS[0], "body": NOTICE}, VISITOR, "news"),
        Sample("sign-in", "sign_in", {"form": CodesForm()}, VISITOR, "sign_in"),
        Sample("sign-in-wrong", "sign_in", {"form": wrong(CodesForm())}, VISITOR, "sign_in", errors=3),
        Sample("session-ended", "session_ended", {"form": CodesForm()}, VISITOR, "sign_in"),
        Sample("sign-in-account", "sign_in_account", {"form": AccountForm()}, VISITOR),
        Sample("sign-in-mailed", "sign_in_mailed", {}, VISITOR),
        Sample("way-in", "way_in", {"valid": True}, VISITOR),
        Sample("way-in-late", "way_in", {"valid": False}, VISITOR),
        Sample("lost-codes", "lost_codes", {"form": EmailForm()}, VISITOR),
        Sample("lost-codes-sent", "lost_codes_sent", {}, VISITOR),
        Sample("new-code-ask", "new_code", {"valid": True, "family_code": "F4821", "secret": None}, VISITOR),
        Sample(
            "new-code", "new_code",
            {"valid": True, "family_code": "F4821", "secret": "7KMP-Q2RS-TV4X"}, VISITOR,
        ),
        Sample("new-code-late", "new_code", {"valid": False, "family_code": "", "secret": None}, VISITOR),
        Sample("menu", "menu", {"due_count": 3, "due_total": 46462, "attempts": {}, "lines": {"telegram_bot.home": "Deux discussions reliées"}, "may_ask_debit": True}, PARENT, "menu"),
        Sample("menu-one", "menu", {"due_count": 1, "due_total": 5687, "attempts": HELD_ATTEMPTS, "lines": {}, "may_ask_debit": False}, TWO_HOMES, "menu"),
        Sample("menu-none", "menu", {"due_count": 0, "due_total": 0, "attempts": {}, "lines": {}, "may_ask_debit": False}, TWO_HOMES, "menu"),
        Sample("menu-held", "menu", {"due_count": 0, "due_total": 0, "attempts": HELD_ATTEMPTS, "lines": {}, "may_ask_debit": False}, PARENT, "menu"),
        Sample(
            "invoices", "invoices",
            unpaid(GROUPS, payment_count=2), TWO_HOMES, "invoices",
        ),
        Sample(
            "invoices-one-by-one", "invoices",
            unpaid([one], payment_count=2, error="Choisissez une facture."),
            PARENT, "invoices",
        ),
        Sample(
            "invoices-shared", "invoices",
            unpaid([one], shared=[SHARED]), TWO_HOMES, "invoices",
        ),
        Sample(
            "invoices-debited", "invoices",
            unpaid([debited]), PARENT, "invoices",
        ),
        Sample(
            "invoices-twenty", "invoices",
            unpaid([Group("PERI", "REGIE PERISCOLAIRE", True, twenty)]), PARENT, "invoices",
        ),
        Sample("invoices-none", "invoices", unpaid([]), PARENT, "invoices"),
        Sample(
            "checkout", "checkout",
            {"form": EmailForm(email="jamie@exemple.example"), "invoices": [CANTEEN], "total": 5687,
             "provider": "PayFiP", "direct_debit": True, "earlier": [], "chain": None}, PARENT,
        ),
        Sample(
            "checkout-chain", "checkout",
            {"form": EmailForm(email="jamie@exemple.example"), "invoices": [CANTEEN], "total": 5687,
             "provider": "PayFiP", "direct_debit": True, "earlier": [], "chain": TWO_PAYMENTS}, PARENT,
        ),
        Sample(
            "checkout-two", "checkout",
            {"form": wrong(EmailForm()), "invoices": [CARE, BOTH], "total": 32780, "provider": "PayFiP",
             "direct_debit": False, "earlier": [payment("pending", id=7, created_at=NOW)], "chain": None}, PARENT, errors=2,
        ),
        *(
            Sample(name, "payment_waiting", {**watching, **told(situation, *acts, holds=holds), "opening": opening}, PARENT)
            for name, situation, acts, holds, opening in (
                ("waiting", "overdue", ("restart",), True, False),
                ("waiting-resume", "open", ("resume",), True, False),
                ("waiting-refused", "try_refused", ("retry", "choose"), False, False),
                ("waiting-cancelled", "try_cancelled", ("resume", "choose"), False, False),
                ("waiting-checked", "checked", ("wait",), True, False),
                ("waiting-unreadable", "unreadable", ("wait",), True, False),
                ("waiting-unfit", "unfit", ("retry", "choose"), False, False),
                ("opening", "opening", ("resume", "choose"), False, True),
            )
        ),
        Sample(
            "under-way", "payment_under_way",
            {**watching, **told("open", "resume", "restart", holds=True), "free_at": NOW}, PARENT,
        ),
        Sample(
            "under-way-stuck", "payment_under_way",
            {**watching, **told("awaited", "wait", holds=True), "free_at": NOW}, PARENT,
        ),
        Sample(
            "under-way-checked", "payment_under_way",
            {**watching, **told("checked", "wait", holds=True, office=True), "free_at": NOW}, PARENT,
        ),
        Sample("done", "payment_done", {**done, **told("paid", "receipt"), "payment": payment("settled")}, PARENT),
        Sample(
            "done-half-way", "payment_done",
            {**done, **told("paid", "receipt"), "payment": payment("settled"), "chain": HALF_WAY}, PARENT,
        ),
        Sample(
            "done-debit", "payment_done",
            {"invoices": [CARE, BOTH], **told("promised", "receipt"), "excess": 500, "chain": None,
             "payment": payment("settled", means="online_debit", email="", authorisation="", receipt_number="")},
            PARENT,
        ),
        Sample("reversed", "payment_done", {**done, **told("reversed", "choose"), "payment": payment("reversed")}, PARENT),
        Sample("payment-link", "payment_link", {"to_pay": [CANTEEN], "closed": [], "done": [], "used": False}, VISITOR),
        Sample("payment-link-several", "payment_link", {"to_pay": [CANTEEN, CARE], "closed": [BOTH], "done": [], "used": False}, VISITOR),
        Sample("payment-link-half", "payment_link", {"to_pay": [CANTEEN], "closed": [], "done": [CARE], "used": False}, VISITOR),
        Sample("payment-link-paid", "payment_link", {"to_pay": [], "closed": [], "done": [CANTEEN], "used": True}, VISITOR),
        Sample("bill", "bill", {"invoice": CARE, "lines": LINES}, VISITOR),
        Sample("bill-paid", "bill", {"invoice": invoice(1, "CANTINE", "EXTRA", 5687, balance=0, payable=False), "lines": []}, VISITOR),
        Sample("bill-waits", "bill", {"invoice": HELD, "lines": LINES}, VISITOR),
        Sample("payment-link-late", "payment_link", {"to_pay": [], "closed": [], "done": [], "used": False}, VISITOR),
        *(
            Sample(
                state, "payment_failed",
                {**told(state, "retry", "choose"), "payment": payment(state), "invoices": [CARE, BOTH]}, PARENT,
            )
            for state in ("refused", "cancelled")
        ),
        Sample(
            "expired", "payment_failed",
            {**told("expired", "retry", "choose"), "payment": payment("expired"), "invoices": []}, PARENT,
        ),
        *(
            Sample(
                f"refused-{situation}", "payment_failed",
                {**told(situation, *acts), "payment": payment("refused", start_refusal=kind), "invoices": [CARE]},
                PARENT,
            )
            for situation, kind, acts in (
                ("not_opened_payer", "payer", ("correct", "choose")),
                ("not_opened_invoice", "invoice", ("choose",)),
                ("not_opened_settings", "settings", ("choose",)),
                ("not_opened", "unknown", ("choose",)),
            )
        ),
        Sample("paid", "paid", paid_all, TWO_HOMES, "paid"),
        Sample("paid-filtered", "paid", {**paid_all, "paid_years": [], "year": 2018, "regie": "PERI"}, PARENT, "paid"),
        Sample(
            "paid-none", "paid",
            {**paid_all, "paid_years": [], "anything": False, "regies": [], "credit_notes": [], "credits": []},
            PARENT, "paid",
        ),
        Sample(
            "paid-credit-notes", "paid",
            {**paid_all, "paid_years": [], "anything": False, "regies": [], "credits": []}, PARENT, "paid",
        ),
        Sample(
            "certificates", "certificates",
            {"years": [
                SimpleNamespace(year=2018, total=45000, final=False),
                SimpleNamespace(year=2017, total=81250, final=True),
            ]}, PARENT, "certificates",
        ),
        Sample("certificates-none", "certificates", {"years": []}, PARENT, "certificates"),
        *(
            Sample(
                f"debit-{state or 'new'}", "debit",
                {
                    "offers": {"CANTINE": SimpleNamespace(address=["Mairie", "1 place du Marché"],
                                                          next_steps="Avant le 15 du mois.")},
                    "regies": ["CANTINE"],
                    "last": {"CANTINE": SimpleNamespace(state=state, asked_at=NOW, ended_at=NOW,
                                                        note="Le mandat n’est pas signé.")}
                    if state else {},
                }, PARENT,
            )
            for state in ("", "asked", "accepted", "refused")
        ),
        Sample("debit-none", "debit", {"offers": {}, "regies": [], "last": {}}, PARENT),
        Sample(
            "alerts", "alerts",
            {"addresses": ADDRESSES, "form": AddressForm(), "limit": 3, "other_ways": OTHER_WAYS, "choices": CHOICES,
             "languages": [("fr", "Français"), ("en", "English")]},
            PARENT, "alerts",
        ),
        Sample(
            "alerts-wrong", "alerts",
            {"addresses": [], "form": wrong(AddressForm()), "limit": 3, "other_ways": [], "choices": [], "languages": []},
            PARENT, "alerts", errors=2,
        ),
        *(
            Sample(f"{page}-{state}", page, {"state": state, "address": "jamie@exemple.example"}, VISITOR)
            for page in ("alert_confirm", "alert_unsubscribed")
            for state in ("ask", "done", "invalid")
        ),
        Sample(
            "account-new", "account",
            {"accounts": [SimpleNamespace(id=7, email="jo@exemple.example")], "account": None, "form": EmailForm(), "email_form": None, "link_form": None, "password_form": None, "close_form": None},
            PARENT, "account",
        ),
        Sample(
            "account", "account",
            {"accounts": [SimpleNamespace(id=7, email="jo@exemple.example")], "account": account, "form": None, "email_form": ChangeEmailForm(), "link_form": CodesForm(), "password_form": PasswordForm(), "close_form": CloseForm()},
            TWO_HOMES, "account",
        ),
        Sample("account-mailed", "account_mailed", {"email": "jo@exemple.example"}, PARENT),
        Sample(
            "account-confirm", "account_confirm",
            {"email": "jo@exemple.example", "form": NewPasswordForm(), "join_form": None}, PARENT,
        ),
        Sample(
            "account-confirm-known", "account_confirm",
            {"email": "jo@exemple.example", "form": NewPasswordForm(), "join_form": JoinForm()}, PARENT,
        ),
        Sample(
            "account-confirm-wrong", "account_confirm",
            {"email": "jo@exemple.example", "form": NewPasswordForm(), "join_form": wrong(JoinForm())},
            PARENT, errors=2,
        ),
        Sample("account-confirm-late", "account_confirm", {"email": "", "form": None, "join_form": None}, PARENT),
        Sample("account-email", "account_email", {"email": "jo@exemple.example", "problem": ""}, TWO_HOMES),
        Sample(
            "account-email-taken", "account_email",
            {"email": "jo@exemple.example", "problem": "Cette adresse a déjà un autre compte."}, TWO_HOMES,
        ),
        Sample("account-email-late", "account_email", {"email": None, "problem": ""}, PARENT),
        Sample("help", "help", {}, PARENT, "help"),
        Sample("guide", "guide", {}, VISITOR),
        Sample("legal", "legal", {"providers": ["PayFiP"], "channels": ["Telegram"]}, VISITOR, "legal"),
        Sample("legal-bare", "legal", {}, VISITOR, "legal", BARE_TOWN),
        Sample("accessibility", "accessibility", {}, VISITOR, "accessibility"),
        Sample(
            "towns", "towns",
            {"towns": TOWNS, "trial": None}, VISITOR, town=None,
        ),
        Sample("towns-trial", "towns", {"towns": TOWNS, "trial": TRIAL}, VISITOR, town=None),
        Sample("towns-none", "towns", {"towns": [], "trial": None}, VISITOR, town=None),
        Sample("403", "errors/403", {}, VISITOR),
        Sample("400", "errors/400", {}, VISITOR),
        Sample("404", "errors/404", {}, VISITOR),
        Sample("404-nowhere", "errors/404", {}, VISITOR, town=None),
        Sample("429", "errors/429", {"message": "Trop d’essais. Merci de patienter 30 secondes."}, VISITOR),
        Sample(
            "paper-away", "errors/paper", {"message": "Ce document n’est pas accessible pour le moment. Réessayez dans quelques minutes.", "is_away": True, "office": False}, VISITOR
        ),
        Sample("500", "errors/500", {"incident": "0f3a9c"}, VISITOR),
        Sample("503", "errors/503", {"retry_after": None}, VISITOR),
        Sample("503-soon", "errors/503", {"retry_after": 5}, VISITOR, town=None),
    ]  # fmt: skip


class Pages:
    """Renders samples through the environment that the portal uses."""

    def __init__(self) -> None:
        self._config = Configurator(settings={"jinja2.undefined": "strict"})
        self._config.include("pyramid_jinja2")
        for folder in rooms.TEMPLATES:
            self._config.add_jinja2_search_path(folder)
        self._config.commit()
        for name, pattern in ROUTES.items():
            self._config.add_route(name, pattern)
        self._config.commit()
        self.environment: Environment = self._config.get_jinja2_environment()
        assert self.environment.undefined is StrictUndefined
        templating.configure(self.environment)

    def request(self, sample: Sample, language: str) -> Request:
        """A request as the templates know it."""
        request = Request.blank("/factures/payees?annee=2012&regie=PERI")
        request.registry = self._config.registry
        request.town = sample.town
        request.language = language
        request.family = sample.who["family"]
        request.families = sample.who["families"]
        request.matched_route = SimpleNamespace(name=sample.route) if sample.route else None
        return request

    def render(self, sample: Sample, language: str = "fr", asset_base: str = "/static/") -> str:
        """The page."""
        template = self.environment.get_template(f"{sample.template}.jinja2")
        with i18n.use(language):
            return template.render(
                request=self.request(sample, language),
                asset=lambda path: f"{asset_base}{path}",
                csrf_token="t0ken",
                menu=MENU if sample.who["family"] else [],
                flashes=[("success", "Adresse <ajoutée>.")] if sample.name == "alerts" else [],
                demo=sample.name != "home-in",
                **sample.context,
            )
