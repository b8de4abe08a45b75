"""Towns with the planning, children in them, and short ways to ask."""

from __future__ import annotations

from datetime import UTC, date, datetime
from urllib.parse import unquote

from webtest import TestApp

from core.api.invoices import LineRecord, TaxKind
from core.testing.portal import record
from plugins.planning import plugin
from plugins.planning.book import Asked, Book
from plugins.planning.models import PlanningEnrolment
from plugins.planning.rules import Wish

TOML = """
[plugins.planning]
feed_key = "made-up-key-for-feeds"
zone = "B"

[plugins.planning.services.CANTINE]
label = "Cantine"
add = { weekday = "thursday", at = "10:00" }
cancel = { weekday = "thursday", at = "10:00" }
places = 2
waiting_list = true
caterer = "cuisine@traiteur.example"

[plugins.planning.services.MATIN]
label = "Garderie du matin"
add = { days = 1, counting = "working", at = "18:00" }
cancel = "never"
late = "keep"
"""
MONDAY = date(2026, 3, 30)
"""Far enough from the clock of tests: Tuesday, 10 March 2026."""


class Browser:
    """A parent's browser without JavaScript."""

    def __init__(self, application, portal, town="valmont"):
        self.app = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
        self.portal = portal
        self.town = town

    def get(self, path, **options):
        """A page of the planning."""
        return self.app.get(f"/{self.town}/+planning/{path}", **options)

    def sign_in(self, family):
        form = self.app.get(f"/{self.town}/connexion").forms
        form = next(one for one in form.values() if "family_code" in one.fields)
        form["family_code"], form["child_code"] = family, self.portal.codes(family, self.town)
        assert form.submit().status_int == 303

    def send(self, page, action, *, tick=(), untick=(), submit=None, **values):
        """Send the form of `page` that goes to `action`; boxes are named by their values."""
        form = next(one for one in page.forms.values() if unquote(one.action).endswith(action))
        for fields in form.fields.values():
            for field in fields:
                value = getattr(field, "_value", None)
                if value in tick:
                    field.checked = True
                if value in untick:
                    field.checked = False
        for name, value in values.items():
            form[name] = value
        name, value = submit or (None, None)
        return form.submit(name, value=value, expect_errors=True)


def family(portal, code="F001", children=("E001",), slug="valmont"):
    """Make a family with children; its number, and theirs by code."""
    lines = tuple(LineRecord(n, "Repas", TaxKind.MEAL, 100, child=child) for n, child in enumerate(children, 1))
    portal.publish(
        record(f"N-{slug}-{code}-{'-'.join(children)}", family=code, amount=100 * len(children), lines=lines), slug=slug
    )
    with portal.town(slug) as town:
        family_id = town.families.by_code(code).id
        return family_id, {child.code: child.id for child in town.families.children(family_id)}


def enrol(portal, *children, service="CANTINE", slug="valmont", **changes):
    fields = {"place": "Jules-Ferry", "meal": "", "kind": "occasional", "weekdays": "", "first": date(2025, 9, 1),
              "last": date(2026, 7, 31), "batch": "test"}
    with portal.town(slug) as town:
        town.session.add_all(
            PlanningEnrolment(tenant_id=slug, child_id=child, service=service, **{**fields, **changes}) for child in children
        )


def book_of(town, family_id=None, actor="family"):
    return Book(town, town.settings(plugin), actor=actor if family_id is None else f"family:{family_id}", family_id=family_id)


def ask(portal, family_id, *wishes, key, slug="valmont", **more):
    """Ask in a transaction of its own: wishes are (child, service, day, "add" or "remove")."""
    with portal.town(slug) as town:
        return book_of(town, family_id).ask([Asked(c, s, d, Wish(w)) for c, s, d, w in wishes], key=key, **more)


def at(year, month, day, hour=12, minute=0):
    return datetime(year, month, day, hour, minute, tzinfo=UTC)
