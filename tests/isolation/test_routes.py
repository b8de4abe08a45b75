"""Every view × every identifier that is not one's own: 404, or the way to sign in. Never 200 or 500.

Asked by path (``/valmont/…``) and by host name (``valmont.test``), by visitors, by families, by who
came by a payment link, by agents, and with the cookies of the other town.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import pytest
from isolation_towns import contents
from prometheus_client import REGISTRY
from route_table import (
    AGENT,
    FAMILY,
    FILE,
    KEYS,
    NOBODYS,
    OFFICE,
    PARENT,
    PAYER,
    PUBLIC,
    REGISSEUR,
    TABLE,
    Id,
    Own,
)
from sqlalchemy import text
from webtest import TestApp

from core.platform.db.rls import APP
from core.platform.db.standby import Standby
from core.processes.app import make_app

HERE, THERE = "valmont", "brumes"
MODES = ("path", "host")
WITHOUT_CSRF = {
    # Not browsers: what they send is signed, a secret, or believed in nothing.
    "alert_unsubscribe", "payfip.notification", "payment_return",
    "telegram_bot.webhook",
}  # fmt: skip


def lines(chosen):
    """The lines of the table for which `chosen` holds, as parameters."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param((key, line), id=f"{key[0]}-{key[1]}-{number}")
            for key, found in TABLE.items()
            for number, line in enumerate(found)
            if chosen(key, line)
        ],
    )


every_line = lines(lambda _key, _line: True)
that_names_something = lines(lambda _key, line: line.names)
that_is_closed = lines(lambda _key, line: line.permission != PUBLIC)
that_is_a_form = lines(lambda key, _line: key[1] == "POST" and key[0] not in WITHOUT_CSRF)
both_modes = pytest.mark.parametrize("mode", MODES)
UNKNOWN = {
    "id": ("999999999", "0", "9" * 30, "9" * 5000, "٣"),
    "token": ("x" * 43, "%00", "a.b.c", "é", "x" * 5000),
}
"""What nobody ever gave to anybody."""


@pytest.fixture(scope="module")
def application(full):
    """The application, and the identifiers that only the database knows."""
    for found in full.families.values():
        with full.town(found.slug) as town:
            found.tokens["reference"] = found.reference
            found.ids["access_code"] = town.session.scalars(
                text("SELECT id FROM access_code WHERE family_id = :f AND holder = 'second'"), {"f": found.ids["family"]}
            ).first()
            found.ids["chat"] = town.session.execute(
                text("SELECT id FROM telegram_chat_link")
            ).scalar_one()
    made = make_app(full.runtime)
    for route in made.registry.introspector.get_category("routes"):
        PATTERNS[route["introspectable"]["name"]] = route["introspectable"]["pattern"]
    return made


PATTERNS: dict[str, str] = {}
"""Each route's address, as Pyramid knows it."""


@dataclass
class Visitor:
    """A browser in one town, with the cookies it is told to have."""

    app: TestApp
    mode: str
    town: str = HERE
    web: str = ""
    csrf: str = ""

    def url(self, path: str) -> str:
        return f"/{self.town}{path}" if self.mode == "path" else path

    @property
    def host(self) -> str:
        return "localhost" if self.mode == "path" else f"{self.town}.test"

    def ask(self, method, path, form=None, cookies=()):
        jar = {"preau_web": self.web, **dict(cookies)}
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in jar.items() if value),
            "Host": self.host,
        }
        body = urlencode({**(form or {}), "csrf_token": self.csrf}) if method == "POST" else ""
        return self.app.request(
            self.url(path), method=method, headers=headers, expect_errors=True, body=body.encode(),
            content_type="application/x-www-form-urlencoded",
        )  # fmt: skip


def visitor(application, mode, town=HERE):
    app = TestApp(application)
    app.cookiejar.set_policy(NoCookies())
    made = Visitor(app, mode, town)
    page = made.ask("GET", "/connexion")
    made.csrf = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    made.web = re.search(r"preau_web=([^;]+)", "\n".join(page.headers.getall("Set-Cookie")))[1]
    return made


class NoCookies:
    """Cookies are given by hand: what a browser would withhold, an attacker sends."""

    netscape, rfc2965, hide_cookie2 = True, False, True

    def set_ok(self, *_args):
        return False

    return_ok = domain_return_ok = path_return_ok = set_ok


@pytest.fixture(scope="module")
def visitors(application):
    return {mode: visitor(application, mode) for mode in MODES}


@pytest.fixture(scope="module")
def there(full, application):
    """What the other town holds, which no request to this one changes."""
    return contents(full, THERE)


@pytest.fixture(scope="module")
def others(application):
    return {mode: visitor(application, mode, THERE) for mode in MODES}


def views(application):
    """What Pyramid knows: (route, method) to (permission, whether a CSRF token is asked for)."""
    found = {}
    for item in application.registry.introspector.get_category("views"):
        view = item["introspectable"]
        if view["route_name"] is None:
            continue
        (permission,) = [
            r["value"] for r in item["related"] if r.category_name == "permissions"
        ] or [PUBLIC]
        methods = view["request_methods"] or ("GET",)
        for method in (methods,) if isinstance(methods, str) else methods:
            found[view["route_name"], method] = permission
    return found


def test_every_view_has_a_line_here(application):
    asked = {key for key in views(application) if key[0] not in NOBODYS}
    assert asked - set(TABLE) == set(), "a new view needs a line in route_table.py"
    assert set(TABLE) - asked == set(), "a line for a view that is no more"


def test_every_view_asks_for_the_permission_of_its_line(application):
    for key, permission in views(application).items():
        if key in TABLE:
            assert {line.permission for line in TABLE[key]} == {permission}, key


@pytest.mark.usefixtures("application")
def test_every_part_of_a_path_has_a_value():
    for (route, _method), found in TABLE.items():
        wanted = set(re.findall(r"\{([a-z]\w*)", PATTERNS[route]))
        assert all(set(line.path) == wanted for line in found), route


def filled(key, line, value_of, own=None):
    """The path with its query, and the form, with what `value_of` says for each identifier.

    `own` says it for those that are one's own in any case.
    """
    def fill(values):
        return {k: text_of(v) for k, v in values.items()}

    def text_of(value):
        if isinstance(value, Own) and own is not None:
            return own(value.name)
        return value_of(value.name) if isinstance(value, Id) else str(value)

    path = PATTERNS[key[0]]
    for name, value in fill(line.path).items():
        quoted = quote(value, safe="%")
        path = re.sub(rf"\{{{name}(:[^{{}}]+(\{{[\d,]+\}})?)?\}}", lambda _m, v=quoted: v, path)
    query = urlencode(fill(line.query))
    return f"{path}?{query}" if query else path, fill(line.form)


def cookies(found, line):
    if line.permission in {AGENT, OFFICE, KEYS, REGISSEUR}:
        return {"preau_agent": found.agent_session}
    return {"preau_family": getattr(found, line.session)}


def leads_to_sign_in(answer):
    return answer.status_int == 303 and re.search(r"/connexion(\?|$)", answer.location)


def strangers(full, line):
    """Sets of identifiers that are not those of Valmont's F001."""
    yield full.families[THERE, "F001"].value
    yield full.families[THERE, "F002"].value
    if line.scope == FILE or (line.scope == FAMILY and line.permission in {PARENT, PAYER}):
        yield full.families[HERE, "F002"].value
    for number in range(6):

        def made_up(name, number=number):
            known = full.families[HERE, "F001"]
            values = UNKNOWN["token" if name in known.tokens else "id"]
            return values[number % len(values)]

        yield made_up


@both_modes
@that_names_something
def test_what_is_not_one_s_own_is_not_there(full, there, visitors, case, mode):
    key, line = case
    me = full.families[HERE, "F001"]
    for value_of in strangers(full, line):
        path, form = filled(key, line, value_of, me.value)
        answer = visitors[mode].ask(key[1], path, form, cookies(me, line))
        assert answer.status_int in line.refusals, (path[:200], form)
        assert THERE not in answer.text.lower()
        assert line.permission not in {PARENT, PAYER} or "F002" not in answer.text
    assert contents(full, THERE) == there


@that_is_closed
def test_visitors_are_led_to_sign_in(full, there, visitors, case):
    """Without a cookie, and with one of the other town, whosoever the address is."""
    key, line = case
    for found in full.families.values():
        path, form = filled(key, line, found.value)
        stolen = cookies(full.families[THERE, found.family], line)
        for mode, jar in itertools.product(MODES, ({}, stolen)):
            assert leads_to_sign_in(visitors[mode].ask(key[1], path, form, jar)), (mode, path, jar)
    assert contents(full, THERE) == there


@that_is_closed
def test_cookies_of_another_kind_open_no_door(full, visitors, case):
    """A family is no agent, an agent no family, and a payment link opens one invoice."""
    key, line = case
    me = full.families[HERE, "F001"]
    path, form = filled(key, line, me.value)
    tokens = [me.session, me.agent_session, me.link_session]
    names = {"preau_family", "preau_agent"} - set(cookies(me, line))
    for name, token in itertools.product(names, tokens):
        answer = visitors["path"].ask(key[1], path, form, {name: token})
        assert leads_to_sign_in(answer) or answer.status_int == 403, (name, path)
    if line.permission == PARENT:
        answer = visitors["path"].ask(key[1], path, form, {"preau_family": me.link_session})
        assert answer.status_int == 403
    elif line.permission == PAYER and Id("invoice") not in {**line.query, **line.form}.values():
        answer = visitors["path"].ask(key[1], path, form, {"preau_family": me.link_session})
        assert answer.status_int == 404


@both_modes
@that_is_a_form
def test_a_form_without_its_token_does_nothing(full, others, visitors, case, mode):
    """Nor with the token of another town's pages: CSRF."""
    key, line = case
    me, other = full.families[HERE, "F001"], others[mode]
    mine = visitors[mode]
    before = contents(full, HERE)
    path, form = filled(key, line, me.value)
    for web, csrf in ((mine.web, ""), (mine.web, other.csrf), (other.web, other.csrf), ("", "")):
        forged = Visitor(mine.app, mode, HERE, web, csrf)
        answer = forged.ask("POST", path, form, cookies(me, line))
        assert answer.status_int == 303
        assert answer.location.endswith((mine.url("/"), mine.url("/regie")))
    assert contents(full, HERE) == before


@both_modes
@pytest.mark.parametrize("path", ["/%FF", "/actualites/%FF", "/payer/%FF%FE", "/%00", "/connexion/%2e%2e"])
def test_an_address_that_is_no_text_leads_nowhere(visitors, path, mode):
    assert visitors[mode].ask("GET", path).status_int == 404


@both_modes
def test_a_query_that_is_no_text_is_refused(visitors, mode):
    assert visitors[mode].ask("GET", "/connexion?next=%FF").status_int == 400


def test_only_what_is_no_browser_posts_without_a_token(application):
    """And it is answered, so the CSRF check is not what refused it."""
    bare = Visitor(TestApp(application), "path")
    for key, (line, *_more) in TABLE.items():
        if key[0] in WITHOUT_CSRF and key[1] == "POST":
            path, form = filled(key, line, lambda _name: "x")
            assert bare.ask("POST", path, form).status_int in {line.own, *line.refusals}


@pytest.fixture(scope="module")
def readings(full, application, standby_server):
    """The views that a standby serves, each with its line; the portal reads from one."""
    url = standby_server.url(APP, full.runtime.engine.url.database)
    full.runtime.standby = Standby(url, lag_seconds=300)
    try:
        yield {
            (view["route_name"], "GET"): TABLE[view["route_name"], "GET"]
            for item in application.registry.introspector.get_category("views")
            if (view := item["introspectable"]).get("reads")
        }
    finally:
        full.runtime.standby.engine.dispose()
        full.runtime.standby = None


def served_by_standby():
    return REGISTRY.get_sample_value("preau_readings_total", {"served": "standby"}) or 0


def test_readings_go_to_a_standby_and_stop_at_the_same_walls(
    full, there, visitors, readings, standby_server
):
    """Each view that says that it reads does nothing else: on a standby it would be done again."""
    assert {"paid", "certificate_pdf", "office_invoices", "office_account_file"} <= {r for r, _ in readings}
    me = full.families[HERE, "F001"]
    for key, found in readings.items():
        for line in found:
            path, form = filled(key, line, me.value)
            standby_server.catch_up()
            before = served_by_standby()
            answer = visitors["path"].ask("GET", path, form, cookies(me, line))
            assert answer.status_int == line.own, (path, answer.text[:2000])
            assert served_by_standby() == before + 1, path
            if not line.names:
                continue
            for value_of in strangers(full, line):
                path, form = filled(key, line, value_of, me.value)
                answer = visitors["path"].ask("GET", path, form, cookies(me, line))
                assert answer.status_int in line.refusals, path[:200]
                assert THERE not in answer.text.lower()
    assert contents(full, THERE) == there


@both_modes
@every_line
def test_with_what_is_one_s_own_it_works(full, visitors, case, mode):
    """The other tests would be worth nothing if these addresses led nowhere for anybody."""
    key, line = case
    me = full.families[HERE, "F001" if mode == "path" else "F002"]
    path, form = filled(key, line, me.value)
    answer = visitors[mode].ask(key[1], path, form, cookies(me, line))
    assert answer.status_int == line.own, answer.text[:2000]
