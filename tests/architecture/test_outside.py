"""What leaves the house and what comes back: who is called, what is followed, what is believed."""

from __future__ import annotations

import ast
import threading
from datetime import timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webtest import TestApp

from core.platform import signing
from core.platform.signing import LinkError, Links
from core.testing.portal import pages_of
from plugins.payfip.client import Client

ROOT = Path(__file__).parents[2]


@cache
def sources():
    """The syntax trees of what serves, by path: made by the worker that asks, not by each that collects."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for top in ("core", "plugins")
        for path in (ROOT / top).rglob("*.py")
        if not {"simulator", "testing", "dev"} & set(path.parts)
    }


CALLERS = {
    # Everything that opens a connection, and to whom. A new one is a decision: docs/security.md.
    "core/exchanges/places.py": {"httpx"},  # the addresses of a town's file, for invoices and payments
    "core/messages/email/channel.py": {"smtplib"},
    "core/messages/email/smtp.py": {"smtplib"},
    "core/cli/doctor.py": {"smtplib", "socket"},  # the same mail server: whether it speaks TLS
    "core/cli/run.py": {"httpx", "socket"},
    "core/platform/db/session.py": {"socket"},  # to shut one to PostgreSQL down, from another thread
    "core/platform/plugins/process_state.py": {"socket"},  # its time-out for all: it calls nobody
    "core/processes/generations.py": {"socket"},  # to listen: it calls nobody
    "plugins/payfip/places.py": {"urllib.request"},  # which proxy is set
    "plugins/payfip/wire.py": {"httpcore", "httpx"},  # the latter: which authorities are trusted
    "plugins/telegram_bot/transport.py": {"httpx"},
}
NETWORK = {"httpx", "httpcore", "requests", "urllib.request", "urllib3", "aiohttp", "socket", "smtplib", "http.client", "ftplib", "zeep"}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_only_these_modules_open_connections():
    found = {name: {m for m in imported(tree) if m in NETWORK} for name, tree in sources().items()}
    assert {name: modules for name, modules in found.items() if modules} == CALLERS


FORBIDDEN = {
    "eval", "exec", "compile", "os.system", "os.popen", "pickle.loads", "pickle.load", "marshal.loads",
    "yaml.load", "shelve.open", "ssl._create_unverified_context", "tempfile.mktemp", "random.choices", "hashlib.md5",
}  # fmt: skip


def test_nothing_dangerous_is_called():
    for name, tree in sources().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            assert ast.unparse(node.func) not in FORBIDDEN, (name, node.lineno)
            words = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert words.get("shell") != "True", (name, node.lineno)
            assert words.get("verify") != "False", (name, node.lineno)
            assert words.get("follow_redirects") != "True", (name, node.lineno)
            if ast.unparse(node.func).endswith(".starttls"):
                assert "context" in words, f"{name}: certificates are not verified"


class Elsewhere(BaseHTTPRequestHandler):
    """Answers with a redirection, and remembers who asked."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(self.path)
        self.send_response(307)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/inside")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - the library's names

    def log_message(self, *_args):
        """Say nothing."""


def test_payfip_s_redirections_lead_to_no_other_host():
    """A service that moved is followed where it stays with the same owner, and nowhere else."""
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = Client(f"http://127.0.0.1:{server.server_port}/service", connect_timeout=20, read_timeout=20)
    try:
        with pytest.raises(Exception):  # noqa: B017 - whatever it calls it, it goes no further
            client.payment("x")
        assert server.asked
        assert set(server.asked) == {"/service"}
    finally:
        server.shutdown()
        server.server_close()


# --- Signed links ----------------------------------------------------------------------------

KEY = "k" * 32
payloads = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3), max_leaves=5,
)  # fmt: skip


@given(payloads)
def test_a_link_is_for_one_purpose_one_town_and_one_key(payload):
    token = Links(KEY, "valmont").sign("confirm", payload)
    assert Links(KEY, "valmont").read("confirm", token) == payload
    for links, purpose in (
        (Links(KEY, "brumes"), "confirm"), (Links(KEY, "valmont"), "unsubscribe"),
        (Links("j" * 32, "valmont"), "confirm"), (Links(KEY, ""), "confirm"), (Links(KEY, "valmont"), ""),
    ):  # fmt: skip
        with pytest.raises(LinkError):
            links.read(purpose, token)


@given(st.data())
def test_a_link_that_was_altered_is_none(data):
    token = Links(KEY, "valmont").sign("confirm", [1, "a@b.fr"])
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_."))
    altered = token[:place] + letter + token[place + 1 :]
    if altered == token:
        return
    try:
        # The last letter of base64 has bits that mean nothing: the same link, spelt otherwise.
        assert Links(KEY, "valmont").read("confirm", altered) == [1, "a@b.fr"]
        assert place in {len(token) - 1, token.index("."), token.rindex(".") - 1, token.rindex(".")}
    except LinkError:
        pass


def test_a_link_ends(monkeypatch):
    links = Links(KEY, "valmont")
    token = links.sign("confirm", 1)
    assert links.read("confirm", token, timedelta(hours=1)) == 1
    real = signing.URLSafeTimedSerializer.default_signer.get_timestamp
    monkeypatch.setattr(
        signing.URLSafeTimedSerializer.default_signer, "get_timestamp", lambda self: real(self) + 3602
    )
    with pytest.raises(LinkError):
        links.read("confirm", token, timedelta(hours=1))


def test_hashes_of_one_purpose_are_worth_nothing_for_another():
    made = {signing.keyed_hash(key, purpose, "value") for key in ("a" * 32, "b" * 32) for purpose in ("x", "y")}
    assert len(made) == 4
    assert len({signing.new_token() for _time in range(100)}) == 100
    assert min(len(signing.new_token()) for _time in range(100)) >= 43


# --- Answers ---------------------------------------------------------------------------------


@pytest.fixture
def app(portal):
    return TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/valmont/", "text/html; charset=UTF-8"), ("/valmont/nowhere", "text/html; charset=UTF-8"),
        ("/valmont/theme.css", "text/css; charset=UTF-8"), ("/health/live", "text/plain; charset=UTF-8"),
        ("/static/css/preau.css", "text/css; charset=UTF-8"), ("/static/img/favicon.svg", "image/svg+xml; charset=UTF-8"),
        ("/valmont/connexion?next=%FF", "text/plain; charset=UTF-8"),
    ],
)  # fmt: skip
def test_answers_say_what_they_are(app, path, kind):
    assert app.get(path, expect_errors=True).headers["Content-Type"].lower() == kind.lower()


@pytest.mark.parametrize("path", ["/", "/valmont/", "/valmont/connexion", "/metrics", "/static/css/preau.css"])
def test_no_other_site_s_script_is_answered(app, path):
    answer = app.get(path, headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("path", ["/", "/valmont/connexion", "/health/live", "/static/css/preau.css"])
def test_methods_that_no_view_has_are_refused(app, path):
    for method in ("TRACE", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = app.request(path, method=method, headers={"X-Secret": "told-back"}, expect_errors=True)
        assert answer.status_int == 405, method
        assert "told-back" not in answer.text


@pytest.mark.parametrize("path", ["/static/", "/static/css/", "/static/..%2f..%2fsetup.cfg", "/static/%2e%2e/app.py"])
def test_folders_are_not_listed_and_not_left(app, path):
    assert app.get(path, expect_errors=True).status_int == 404
