"""Pictures of the town's own pages: its templates, its name and colours, and made-up invoices."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from types import SimpleNamespace
from typing import Any

from markupsafe import Markup
from pyramid.renderers import render
from pyramid.request import Request

from core.api.context import InvoiceInfo
from core.domain.attempt_looks import look_of
from core.domain.attempt_status import Situation
from core.payments.paid import PaidInvoice, by_year
from core.payments.standings import for_parent
from core.platform.clock import today
from core.platform.documents.pdf import picture
from core.platform.i18n import gettext as _
from core.platform.tenancy.colours import ink_on
from core.platform.web.forms import EmailForm
from core.sign_in.parents import CodesForm

_MAIN = re.compile(r"<main.*?</main>", re.DOTALL)
EMAIL = "sophie.marchand@famille.example"


@dataclass(frozen=True, slots=True)
class Screen:
    """A picture for the manual, as a ``data:`` URL, and its words for those who do not see it."""

    url: str
    told: str


def screens(request: Request) -> Mapping[str, Screen]:
    """The pictures by the section of the help that they stand in."""
    now = datetime.now(UTC)
    regie, *others = request.town.file.regies or {"": None}
    other = others[0] if others else regie
    shown = [
        _invoice(1, "CANTINE", regie, 5687, now),
        _invoice(2, "GARDERIE", other, 4250, now),
    ]
    total = sum(invoice.balance for invoice in shown[:1])
    pages = {
        "codes": (
            "sign_in",
            {"form": CodesForm()},
            _("La page « Connexion », avec un champ pour chacun des deux codes."),
        ),
        "choose": (
            "invoices",
            _unpaid(request, shown, now),
            _(
                "La page des factures à régler : une case devant chaque facture,"
                " et en bas le bouton « Payer »."
            ),
        ),
        "check": (
            "checkout",
            {
                "form": EmailForm(email=EMAIL),
                "invoices": shown[:1],
                "total": total,
                "provider": "PayFiP",
                "direct_debit": False,
                "earlier": [],
                "chain": None,
            },
            _(
                "Le récapitulatif : la facture, son montant, l’adresse e-mail"
                " et le bouton qui mène au paiement."
            ),
        ),
        "done": (
            "payment_done",
            _paid(shown[:1], now),
            _("La confirmation : le montant réglé, la date, et le bouton qui télécharge le reçu."),
        ),
        "documents": (
            "paid",
            {
                "paid_years": by_year([_paid_row(shown[0], now)]),
                "anything": True,
                "regies": [],
                "year": None,
                "regie": None,
                "credit_notes": [],
                "credits": [],
            },
            _("Les factures déjà payées, année par année, avec leur reçu."),
        ),
    }
    sheet = _sheet(request.town.file.look.accent)
    return {
        name: Screen(_draw(request, template, context, sheet), told)
        for name, (template, context, told) in pages.items()
    }


def _sheet(accent: str) -> str:
    sheet = (resources.files(__package__) / "screen.css").read_text("utf-8")
    return sheet.replace("ACCENT", accent).replace("INK", ink_on(accent))


def _draw(request: Request, template: str, context: Mapping[str, Any], sheet: str) -> str:
    page = render(f"{template}.jinja2", dict(context), request)
    found = _MAIN.search(page)
    html = Markup('<html lang="{}"><body><div class="bar">{}</div>{}</body></html>').format(
        request.language,
        request.town.name,
        Markup(found[0] if found else ""),  # noqa: S704 - a page of ours
    )
    return f"data:image/png;base64,{b64encode(picture(html, sheet)).decode()}"


def _invoice(number: int, label: str, regie: str, amount: int, now: datetime) -> InvoiceInfo:
    issued = today(now)
    return InvoiceInfo(
        id=number,
        family_id=0,
        regie=regie,
        number=f"{issued.year}-010-{number:06d}",
        payment_reference="",
        label=label,
        amount=amount,
        balance=amount,
        issued_on=issued,
        due_on=issued + timedelta(days=20),
        payable=True,
    )


def _unpaid(request: Request, shown: list[InvoiceInfo], now: datetime) -> dict[str, Any]:
    total = sum(invoice.balance for invoice in shown)
    groups: dict[str, list[InvoiceInfo]] = {}
    for invoice in shown:
        groups.setdefault(invoice.regie, []).append(invoice)
    return {
        "groups": [
            {
                "key": regie,
                "label": request.town.regie_label(regie),
                "tresorerie": "",
                "online": True,
                "invoices": invoices,
            }
            for regie, invoices in groups.items()
        ],
        "offered": {invoice.id for invoice in shown},
        "lines": {invoice.id: [] for invoice in shown},
        "due_total": total,
        "offered_total": total,
        "payment_count": len(groups),
        "shared": [],
        "attempts": {},
        "look_of": look_of,
        "today": today(now),
        "error": None,
    }


def _paid(invoices: list[InvoiceInfo], now: datetime) -> dict[str, Any]:
    payment = SimpleNamespace(
        id=1,
        state="settled",
        amount=sum(invoice.balance for invoice in invoices),
        email=EMAIL,
        paid_at=now,
        means="card",
        authorisation="",
        receipt_number="",
        payer_reference="",
    )
    situation = Situation.PAID
    return {
        "payment": payment,
        "invoices": invoices,
        "standing": SimpleNamespace(situation=situation, acts=(), holds=False),
        "meaning": for_parent(situation),
        "look": look_of(situation),
        "excess": 0,
        "chain": None,
    }


def _paid_row(invoice: InvoiceInfo, now: datetime) -> PaidInvoice:
    return PaidInvoice(
        invoice_id=invoice.id,
        payment_id=1,
        number=invoice.number,
        payment_reference="",
        label=invoice.label,
        regie=invoice.regie,
        due_on=invoice.due_on,
        paid=invoice.amount,
        payer="Sophie MARCHAND",
        means="card",
        paid_at=now,
        authorisation="",
        receipt_number="1",
    )
