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

from core.platform.db import standby
from core.platform.db.rls import APP
from core.processes.app import make_app

HERE, THERE = "valmont", "brumes"
MODES = ("path", "host")
WITHOUT_CSRF = {
    # Not browsers: what they send is signed, a secret, or believed in nothing.
    "alert_unsubscribe", "payfip.notification", "payment_return",
    "telegram_bot.webhook",
}  # fmt: skip


def lines(chosen):
    """The lines of the table for which `chosen` holds, each with its view.

    One test asks them all and tells all that is wrong: over a thousand cases of their own would take
    longer to collect than to ask.
    """
    return [(key, line) for key, found in TABLE.items() for line in found if chosen(key, line)]


EVERY_LINE = lines(lambda _key, _line: True)
NAMING_SOMETHING = lines(lambda _key, line: line.names)
CLOSED = lines(lambda _key, line: line.permission != PUBLIC)
FORMS = lines(lambda key, _line: key[1] == "POST" and key[0] not in WITHOUT_CSRF)
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
    for number in range(max(map(len, UNKNOWN.values()))):

        def made_up(name, number=number):
            known = full.families[HERE, "F001"]
            values = UNKNOWN["token" if name in known.tokens else "id"]
            return values[number % len(values)]

        yield made_up


def told(answer):
    """The beginning of an answer, for a list of all that is wrong."""
    return answer.status_int, answer.location or re.sub(r"<[^>]+>|\s+", " ", answer.text)[:300]


def test_what_is_not_one_s_own_is_not_there(full, there, visitors):
    """By path and by host in turn: each line in both ways, each stranger in both ways."""
    me, wrong = full.families[HERE, "F001"], []
    for number, (key, line) in enumerate(NAMING_SOMETHING):
        for mode, value_of in zip(itertools.islice(itertools.cycle(MODES), number % 2, None), strangers(full, line), strict=False):
            path, form = filled(key, line, value_of, me.value)
            answer = visitors[mode].ask(key[1], path, form, cookies(me, line))
            if (
                answer.status_int not in line.refusals
                or THERE in answer.text.lower()
                or (line.permission in {PARENT, PAYER} and "F002" in answer.text)
            ):
                wrong.append((mode, key, path[:200], form, told(answer)))
    assert wrong == []
    assert contents(full, THERE) == there


def test_visitors_are_led_to_sign_in(full, there, visitors):
    """Without a cookie, and with one of the other town, whosoever the address is.

    Each pair of address and way to ask, of address and cookie, of way and cookie is asked.
    """
    wrong = []
    for key, line in CLOSED:
        for number, found in enumerate(full.families.values()):
            path, form = filled(key, line, found.value)
            jars = {}, cookies(full.families[THERE, found.family], line)
            for place, mode in enumerate(MODES):
                jar = jars[(number + place) % 2]
                answer = visitors[mode].ask(key[1], path, form, jar)
                if not leads_to_sign_in(answer):
                    wrong.append((mode, key, path, jar, told(answer)))
    assert wrong == []
    assert contents(full, THERE) == there


def test_cookies_of_another_kind_open_no_door(full, visitors):
    """A family is no agent, an agent no family, and a payment link opens one invoice."""
    me, wrong = full.families[HERE, "F001"], []
    tokens = [me.session, me.agent_session, me.link_session]
    for key, line in CLOSED:
        path, form = filled(key, line, me.value)
        names = {"preau_family", "preau_agent"} - set(cookies(me, line))
        asked = list(itertools.product(names, tokens))
        refused = 403
        if line.permission == PARENT:
            asked.append(("preau_family", me.link_session))
        elif line.permission == PAYER and Id("invoice") not in {**line.query, **line.form}.values():
            asked.append(("preau_family", me.link_session))
            refused = 404
        for name, token in asked:
            answer = visitors["path"].ask(key[1], path, form, {name: token})
            by_link = name not in names
            if answer.status_int != (refused if by_link else 403) and (by_link or not leads_to_sign_in(answer)):
                wrong.append((key, path, name, told(answer)))
    assert wrong == []


def test_a_form_without_its_token_does_nothing(full, others, visitors):
    """Nor with the token of another town's pages: CSRF."""
    me, wrong = full.families[HERE, "F001"], []
    before = contents(full, HERE)
    for (key, line), mode in itertools.product(FORMS, MODES):
        mine, other = visitors[mode], others[mode]
        path, form = filled(key, line, me.value)
        for web, csrf in ((mine.web, ""), (mine.web, other.csrf), (other.web, other.csrf), ("", "")):
            forged = Visitor(mine.app, mode, HERE, web, csrf)
            answer = forged.ask("POST", path, form, cookies(me, line))
            if answer.status_int != 303 or not answer.location.endswith((mine.url("/"), mine.url("/regie"))):
                wrong.append((mode, key, path, web, csrf, told(answer)))
    assert wrong == []
    assert contents(full, HERE) == before


@both_modes
@pytest.mark.parametrize("path", ["/%FF", "/actualites/%FF", "/payer/%FF%FE", "/%00", "/connexion/%2e%2e"])
def test_an_address_that_is_no_text_leads_nowhere(visitors, path, mode):
    assert visitors[mode].ask("GET", path).status_int == 404


@both_modes
def test_a_query_that_is_no_text_is_refused(visitors, mode):
    assert visitors[mode].ask("GET", "/connexion?next=%FF").status_int == 400


def test_only_what_is_no_browser_posts_without_a_token(application, as_before):
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
    with pytest.MonkeyPatch.context() as patience:
        # On a busy machine it takes more than a second to answer, and would be left alone.
        patience.setattr(standby, "CONNECT_SECONDS", 60)
        patience.setattr(standby, "ANSWER_SECONDS", 60.0)
        full.runtime.standby = standby.Standby(url, lag_seconds=300)
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


def test_with_what_is_one_s_own_it_works(full, visitors, as_before):
    """The other tests would be worth nothing if these addresses led nowhere for anybody.

    Each way has a family of its own: what a form did for one is not done for the other.
    """
    wrong = []
    for (key, line), (mode, family) in itertools.product(EVERY_LINE, zip(MODES, ("F001", "F002"), strict=True)):
        me = full.families[HERE, family]
        path, form = filled(key, line, me.value)
        answer = visitors[mode].ask(key[1], path, form, cookies(me, line))
        if answer.status_int != line.own:
            wrong.append((mode, key, path, line.own, told(answer)))
    assert wrong == []
