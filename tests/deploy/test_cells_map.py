"""The example of the proxy's map, run by the real nginx: each town's pages come from its cell."""

from __future__ import annotations

import tempfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from deploy_tools import example, running_nginx, upstream

from core.dev.embedded import free_port
from core.testing.waiting import PATIENCE_SECONDS, wait_until


def cell(name):
    """A cell that says its name."""

    class Says(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_args):
            """Say nothing."""

    return upstream(Says)


@pytest.fixture
def proxy():
    """nginx with the map of deploy/; gives a question and its folder."""
    port = free_port()
    with (
        cell("one") as one,
        cell("two") as two,
        tempfile.TemporaryDirectory(prefix="preau-cells-") as name,
    ):
        folder = Path(name)
        site = example("cells.conf", {
            r"/etc/nginx/preau/": f"{folder}/",
            r"server 10\.0\.1\.1:8080": f"server 127.0.0.1:{one}",
            r"server 10\.0\.2\.1:8080": f"server 127.0.0.1:{two}",
        })  # fmt: skip
        (folder / "towns.map").write_text("valmont preau_two;\n")
        (folder / "hosts.map").write_text("regie.brumes.example preau_two;\n")
        server = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://$preau_cell; }} }}"

        def ask(path, host="portail.example.fr"):
            return httpx.get(
                f"http://127.0.0.1:{port}{path}", headers={"Host": host}, trust_env=False, timeout=PATIENCE_SECONDS
            ).text

        with running_nginx(folder, f"access_log off; {site} {server}", port) as process:
            yield ask, folder, process


def test_each_town_is_asked_where_it_lives(proxy):
    ask, folder, process = proxy
    assert ask("/valmont/factures") == ask("/valmont") == ask("/Valmont/") == "two"
    assert ask("/valmont/+telegram_bot/webhook") == "two"
    assert ask("/brumes/") == ask("/") == ask("/valmontagne/") == ask("/+static/x") == "one"
    assert ask("/", host="regie.brumes.example") == "two"
    (folder / "towns.map").write_text("brumes preau_two;\n")
    process.send_signal(1)  # As `nginx -s reload`.
    # Workers of before answer beside the new ones until they leave.
    wanted = ["two"] * 20 + ["one"] * 20
    wait_until(lambda: [ask(path) for path in ["/brumes/"] * 20 + ["/valmont/"] * 20] == wanted)
