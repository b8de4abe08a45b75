"""The bare Pyramid application that pages are compared with.

One view, one SELECT, the portal's own template: no town to find, no session to recognise, no
transaction, no plugin, no log, no header. What is left is what no portal could spare.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from types import SimpleNamespace
from typing import Any

from pyramid.config import Configurator
from sqlalchemy import create_engine, text

from core import rooms
from core.processes.routes import TOWN

ROWS = text(
    """
    SELECT id, regie, number, payment_reference, label, amount, due_on,
           amount - credited - paid AS balance, credited,
           (SELECT json_agg(json_build_array(activity, quantity, unit_price, amount) ORDER BY rank)
            FROM invoice_line l WHERE l.tenant_id = :tenant AND l.invoice_id = invoice.id)
    FROM invoice
    WHERE tenant_id = :tenant AND family_id = :family AND amount - credited - paid > 0
    ORDER BY due_on, id
    """
)


@dataclass(frozen=True, slots=True)
class Bill:
    """What the template reads of an invoice."""

    id: int
    regie: str
    number: str
    payment_reference: str
    label: str
    amount: int
    due_on: date
    balance: int
    credited: int
    payable: bool = True
    closes_on: date | None = None
    under_way: int | None = None
    debited_on: date | None = None
    debit_rejected_on: date | None = None


@dataclass(frozen=True, slots=True)
class BillLine:
    """What the template reads of a line."""

    activity: str
    quantity: float | None
    unit_price: int | None
    amount: int
    child: str = ""


def make_bare(owner_url: str, tenant: Any, family_id: int, menu: list[Any], day: date) -> Any:
    """The application; everything but the invoices is the same object at every request."""
    engine = create_engine(owner_url)
    family = SimpleNamespace(id=family_id, name="DURAND", code="F020")

    def view(request: Any) -> dict[str, Any]:
        request.town, request.language = tenant, "fr"
        request.family, request.families = family, [family]
        with engine.connect() as connection:
            found = connection.execute(ROWS, {"tenant": tenant.slug, "family": family_id})
            rows = list(found)
        bills = [Bill(*row[:-1]) for row in rows]
        total = sum(bill.balance for bill in bills)
        group = {
            "key": "CANTINE", "label": "Restauration scolaire", "tresorerie": "", "online": True,
            "invoices": bills,
        }  # fmt: skip
        return {
            "groups": [group], "due_total": total, "offered": {bill.id for bill in bills},
            "offered_total": total, "payment_count": 1, "shared": (), "attempts": {},
            "lines": {row.id: [BillLine(*line) for line in row[-1] or ()] for row in rows},
            "today": day, "error": None, "csrf_token": "a" * 40, "menu": menu, "flashes": [],
            "demo": True,
        }  # fmt: skip

    config = Configurator()
    config.include("core.platform.web.rendering")
    for folder in rooms.TEMPLATES:
        config.add_jinja2_search_path(folder)
    for name, pattern in TOWN.items():
        config.add_route(name, pattern)
    config.add_view(view, route_name="invoices", renderer="invoices.jinja2")
    return config.make_wsgi_app()
