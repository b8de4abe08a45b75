"""Who may do what, from the route table itself: a new route without a rule fails here."""

from __future__ import annotations

import re

import pytest
from office_browser import Office

from core.domain.roles import Role
from core.processes.app import make_app
from core.testing.portal import record

OPEN = {"office_sign_in", "office_sign_out", "office_invitation"}
KEYS = {"office_agents", "office_agent", "office_audit", "office_audit_file"}


def views(application):
    """Each office view: route, pattern, method, permission."""
    introspector = application.registry.introspector
    patterns = {
        item["introspectable"]["name"]: item["introspectable"]["pattern"]
        for item in introspector.get_category("routes")
    }
    return [
        (name, patterns[name], view["request_methods"] or "GET", rule(item))
        for item in introspector.get_category("views")
        for view in (item["introspectable"],)
        for name in (view["route_name"] or "",)
        if name.startswith("office")
    ]


def rule(item):
    """The permission of an introspected view."""
    return next((r["value"] for r in item["related"] if r.category_name == "permissions"), None)


@pytest.fixture
def filled(portal):
    portal.publish(record("1"))
    return portal


def path_of(pattern):
    values = {"id": "1", "name": "journal", "format": "csv", "token": "x", "year": "2026", "month": "03"}
    return re.sub(r"{(\w+)(?:[^{}]|{[^}]*})*}", lambda found: values[found[1]], pattern)


def ask(browser, pattern, method):
    page = browser.app.get("/valmont/regie/connexion")
    token = browser.form(page, "csrf_token")["csrf_token"].value
    path = f"/valmont{path_of(pattern)}"
    if method == "GET":
        return browser.app.get(path, expect_errors=True)
    return browser.app.post(path, {"csrf_token": token}, expect_errors=True)


def test_every_office_view_has_a_rule(application):
    for name, _pattern, _method, permission in views(application):
        assert permission in {"agent", "office", "keys", "regisseur"} or name in OPEN, name
        assert (permission == "keys") is (name in KEYS), name


def test_strangers_are_led_to_the_door(application, filled, make_office):
    secret = filled.codes("F001")
    parent = Office(application, filled)
    page = parent.app.get("/valmont/connexion")
    parent.fill(page, family_code="F001", child_code=secret)
    foreigner = make_office("brumes").enter()
    foreign_token = foreigner.app.cookies["preau_agent"]
    for name, pattern, method, _permission in views(application):
        if name in OPEN:
            continue
        smuggler = make_office()
        smuggler.app.set_cookie("preau_agent", foreign_token)
        for browser in (make_office(), parent, smuggler):
            answer = ask(browser, pattern, method)
            assert answer.status_int == 303, (name, method)
            assert "/regie/connexion" in answer.location, (name, method)


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_what_it_may(application, filled, make_office, role):
    browser = make_office().enter(role)
    for name, pattern, method, permission in views(application):
        if name in OPEN:
            continue
        answer = ask(browser, pattern, method)
        allowed = (
            permission == "agent"
            or role is Role.REGISSEUR
            or (permission == "keys" and role is Role.ADMINISTRATOR)
            or (permission == "office" and (role is Role.AGENT or method == "GET"))
        )
        assert (answer.status_int == 403) is not allowed, (name, method, answer.status_int)
        assert answer.status_int < 500, (name, method)


def test_an_administrator_says_who_comes_in_and_makes_no_regisseur(filled, make_office):
    chief, admin = make_office().enter(), make_office().enter(Role.ADMINISTRATOR)
    with filled.town() as town:
        ids = {agent.role: agent.id for agent in town.agents.all()}
    page = admin.get("/regie/agents")

    def invite(role):
        form = admin.form(page, "role")
        form["email"], form["name"], form["role"] = f"neuf-{role}@valmont.fr", "Dominique", role
        return form.submit(expect_errors=True)

    assert invite(Role.AGENT).status_int == 303
    assert "Seul un régisseur" in invite(Role.REGISSEUR)
    for agent_id, action in (
        (ids[Role.REGISSEUR], "disable"),
        (ids[Role.REGISSEUR], "reset"),
        (ids[Role.ADMINISTRATOR], "change"),
    ):
        path = f"/regie/agents/{agent_id}"
        form = admin.form(admin.get(path), "role")
        form["role"] = Role.REGISSEUR
        values = [*form.submit_fields(), ("action", action)]
        answer = admin.app.post(f"/valmont{path}", values, expect_errors=True)
        assert answer.status_int == 422
        assert "Seul un régisseur" in answer
    assert chief.get("/regie/agents").status_int == 200
    with filled.town() as town:
        assert {a.role for a in town.agents.all() if a.disabled_at is None} >= set(ids)


def test_plugins_pages_keep_to_the_roles(filled, make_office):
    reader = make_office().enter(Role.READER)
    page = reader.get()
    assert "Agents" not in [a.text for a in page.html.select(".main-nav a")]


def test_a_parents_page_is_no_agents(make_office):
    agent = make_office().enter()
    assert "/connexion" in agent.app.get("/valmont/factures").location


def test_the_application_starts_without_plugins(filled):
    make_app(filled.runtime)
