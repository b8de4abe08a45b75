"""The example of the proxy's map, run by the real nginx: each town's pages come from its cell."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from deploy_tools import DEPLOY, program, until_it_listens

from core.dev.embedded import die_with_parent, free_port


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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def proxy():
    """nginx with the map of deploy/; gives a question and its folder."""
    cells, port = [cell("one"), cell("two")], free_port()
    with tempfile.TemporaryDirectory(prefix="preau-cells-") as name:
        folder = Path(name)
        site = (DEPLOY / "nginx" / "cells.conf").read_text("utf-8")
        for pattern, value in {
            r"/etc/nginx/preau/": f"{folder}/",
            r"server 10\.0\.1\.1:8080": f"server 127.0.0.1:{cells[0].server_port}",
            r"server 10\.0\.2\.1:8080": f"server 127.0.0.1:{cells[1].server_port}",
        }.items():
            site, count = re.subn(pattern, value, site)
            assert count >= 1, pattern
        (folder / "cells.conf").write_text(site)
        (folder / "towns.map").write_text("valmont preau_two;\n")
        (folder / "hosts.map").write_text("regie.brumes.example preau_two;\n")
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
            f" http {{ {temporary} access_log off; include {folder}/cells.conf;"
            f" server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://$preau_cell; }} }} }}"
        )
        folder.chmod(0o711)
        log = folder / "output"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program("nginx"), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"],
                stdout=output, stderr=output, preexec_fn=die_with_parent(15),  # noqa: PLW1509 - not from a thread
            )  # fmt: skip
        until_it_listens(port, process, log)

        def ask(path, host="portail.example.fr"):
            return httpx.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host}, trust_env=False).text

        yield ask, folder, process
        process.terminate()
        process.wait(10)
        for server in cells:
            server.shutdown()
            server.server_close()


def test_each_town_is_asked_where_it_lives(proxy):
    ask, folder, process = proxy
    assert ask("/valmont/factures") == ask("/valmont") == ask("/Valmont/") == "two"
    assert ask("/valmont/+telegram_bot/webhook") == "two"
    assert ask("/brumes/") == ask("/") == ask("/valmontagne/") == ask("/+static/x") == "one"
    assert ask("/", host="regie.brumes.example") == "two"
    (folder / "towns.map").write_text("brumes preau_two;\n")
    process.send_signal(1)  # As `nginx -s reload`.
    # Workers of before answer beside the new ones until they leave.
    deadline = time.monotonic() + 30
    wanted, said = ["two"] * 20 + ["one"] * 20, []
    while said != wanted and time.monotonic() < deadline:
        said = [ask(path) for path in ["/brumes/"] * 20 + ["/valmont/"] * 20]
    assert said == wanted
