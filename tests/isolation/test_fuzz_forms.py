"""Every form, upload and webhook, with what nobody means to send: never an error of ours.

The forms are those that the pages show, found by walking through the table of routes: a new page's
form is in it by itself. ``PREAU_FUZZ=20000`` hunts for longer than each run of the tests does.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from isolation_towns import contents
from route_table import AGENT, KEYS, OFFICE, PARENT, PAYER, REGISSEUR, TABLE
from sqlalchemy import text
from test_routes import HERE, THERE, application, cookies, filled, leads_to_sign_in, visitor  # noqa: F401
from webtest import TestApp

from core.testing.fuzzing import damaged, strange_texts

BUDGET = 50
EXAMPLES = int(os.environ.get("PREAU_FUZZ", BUDGET))
OF_AGENTS = {AGENT, OFFICE, KEYS, REGISSEUR}
EVERYWHERE = ("action", "id", "next", "email", "key", "csrf_token", "page", "avant", "q")
"""Fields that some form of ours has, and any could be sent."""

FILES = (
    b"remise;rang;montant\nR;1;56,87\n", b"PK\x05\x06" + b"\0" * 18, b"%PDF-1.4\n%%EOF\n", b"", b"\xff\xfe",
    b"date;refdet;montant;resultat\n24/11/2026;R1;56,87;P\n", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 30,
)  # fmt: skip
UPDATE = {
    "update_id": 1,
    "message": {"message_id": 2, "date": 0, "text": "/start x", "chat": {"id": 3, "type": "private"},
                "from": {"id": 3, "is_bot": False, "first_name": "C", "language_code": "fr"}},
}  # fmt: skip

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | strange_texts(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strange_texts(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def me(full, application):  # noqa: F811
    return full.families[HERE, "F001"]


@pytest.fixture(scope="module")
def browser(application):  # noqa: F811
    return visitor(application, "path")


@pytest.fixture(scope="module")
def forms(me, browser):
    """Names of the fields of the forms that our pages show, by the address they go to."""
    found = defaultdict(set)
    for key, lines in TABLE.items():
        for line in lines if key[1] == "GET" else ():
            path, _form = filled(key, line, me.value)
            page = browser.ask("GET", path, cookies=cookies(me, line))
            if page.content_type != "text/html" or page.status_int != 200:
                continue
            for form in page.forms.values():
                target = urlsplit(form.action or browser.url(path)).path
                found[target.removeprefix(f"/{HERE}") or "/"] |= set(filter(None, form.fields))
    assert len(found) > 25
    return found


def sessions(full, me):
    """Fresh ones, whatever the last request did to those it had."""
    with full.town(HERE) as town:
        town.session.execute(
            text("UPDATE agent SET disabled_at = NULL, role = 'regisseur' WHERE id = :id"), {"id": me.ids["agent"]}
        )
        me.session = town.web_sessions.open(me.ids["family"])
        me.account_session = town.web_sessions.open(me.ids["family"])
        me.agent_session = town.agent_sessions.open(me.ids["agent"])


def multipart(fields, files):
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{quote(name)}"\r\n\r\n{value}\r\n'.encode("utf-8", "replace")
        for name, value in fields
    ] + [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{quote(name)}"; filename="{quote(file)}"\r\n'
        f"Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n"
        for name, file, content in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_no_form_and_no_query_is_an_error_of_ours(full, me, browser, forms):
    """And whatever one town sends, the other's rows stay as they are."""
    before = contents(full, THERE)
    lines = [(key, line) for key, found in TABLE.items() for line in found if key[1] == "POST" or line.query or key[1] == "GET"]
    weighed = [item for item in lines for _time in range(4 if item[0][1] == "POST" else 1)]
    asked = defaultdict(int)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES == BUDGET,
              suppress_health_check=list(HealthCheck), phases=[Phase.generate])  # fmt: skip
    @given(st.sampled_from(weighed), st.data())
    def send(case, data):
        key, line = case
        path, form = filled(key, line, me.value)
        jar = cookies(me, line) if line.permission in OF_AGENTS | {PARENT, PAYER} else {
            "preau_family": me.session, "preau_agent": me.agent_session,
        }  # fmt: skip
        names = sorted({*form, *forms.get(urlsplit(path).path, ()), *EVERYWHERE})
        values = st.one_of(strange_texts(), st.sampled_from(sorted({*form.values(), *map(str, me.ids.values())})))
        fields = [
            (name, form[name] if name in form and data.draw(st.booleans(), label="own") else data.draw(values))
            for name in data.draw(st.lists(st.sampled_from(names), max_size=8), label="names")
        ]
        full.runtime.redis.flushall()
        if key[1] == "GET":
            query = urlencode(fields, errors="surrogatepass")
            answer = browser.ask("GET", f"{path}{'&' if '?' in path else '?'}{query}", cookies=jar)
        else:
            fields = [*((n, v) for n, v in fields if n != "csrf_token"), ("csrf_token", browser.csrf)]
            files = data.draw(st.lists(st.tuples(
                st.sampled_from(names), st.sampled_from(("a.csv", "a.zip", "../../a.pdf", "", "a" * 300, "é\0.csv")), damaged(FILES),
            ), max_size=2), label="files") if line.permission in OF_AGENTS else []  # fmt: skip
            if files:
                body, kind = multipart(fields, files)
            else:
                body, kind = urlencode(fields, errors="replace").encode(), "application/x-www-form-urlencoded"
            jar["preau_web"] = browser.web
            answer = browser.app.request(
                browser.url(path), method="POST", body=body, content_type=kind, expect_errors=True,
                headers={"Host": browser.host, "Cookie": "; ".join(f"{n}={v}" for n, v in jar.items())},
            )  # fmt: skip
        assert answer.status_int < 500, (key, fields, re.sub(r"<[^>]+>", " ", answer.text)[:1500])
        asked[answer.status_int // 100] += 1
        if leads_to_sign_in(answer) or key[0].endswith(("sign_out", "account", "agent")):
            sessions(full, me)

    send()
    assert contents(full, THERE) == before
    # Not only refusals: some of it was good enough to be done.
    assert asked[2]
    assert asked[3]


def test_no_update_of_telegram_is_an_error_of_ours(full, application):  # noqa: F811
    app = TestApp(application)

    @settings(max_examples=EXAMPLES // 4, deadline=None, database=None, derandomize=EXAMPLES == BUDGET,
              suppress_health_check=list(HealthCheck), phases=[Phase.generate])  # fmt: skip
    @given(st.data())
    def post(data):
        update = json.loads(json.dumps(UPDATE))
        places = [(update, "message"), *((update["message"], k) for k in update["message"]),
                  *((update["message"]["from"], k) for k in update["message"]["from"]),
                  *((update["message"]["chat"], k) for k in update["message"]["chat"])]  # fmt: skip
        for place, key in data.draw(st.lists(st.sampled_from(places), max_size=3)):
            place[key] = data.draw(anything)
        body = data.draw(st.one_of(st.just(json.dumps(update).encode()), damaged((json.dumps(UPDATE).encode(),))))
        answer = app.post(
            f"/{HERE}/+telegram_bot/webhook", body, content_type="application/json", expect_errors=True,
            headers={"Host": "localhost", "X-Telegram-Bot-Api-Secret-Token": "made_up_secret_of_town_0"},
        )  # fmt: skip
        assert answer.status_int in {200, 400}

    post()
    # What was written down is understood, or left aside, and never kills a worker.
    full.work(rounds=3)
    with full.town(HERE) as town:
        faults = town.session.scalars(
            text("SELECT last_error FROM outbox WHERE topic LIKE 'telegram%' AND last_error <> ''")
        ).all()
    kinds = {error.partition(":")[0] for error in faults}
    assert not kinds & {"TypeError", "ValueError", "KeyError", "DataError", "AttributeError", "AssertionError"}, faults[:5]
