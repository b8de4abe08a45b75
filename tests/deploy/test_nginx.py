"""The example of nginx, run: what reaches the portal, what does not, and how much at once."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest
from deploy_tools import checked, example, program, running_nginx, upstream

from core.dev.embedded import free_port
from core.testing.waiting import PATIENCE_SECONDS, wait_until

NAME = "portail.example.fr"


class Echo(BaseHTTPRequestHandler):
    """In the portal's place: answers with what arrived."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({"path": self.path, "headers": list(self.headers.items())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the library's names

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture(scope="module")
def nginx():
    """nginx with the file of deploy/, its ports and folders moved; gives its folder and ports."""
    plain, tls = free_port(), free_port()
    with upstream(Echo) as portal, tempfile.TemporaryDirectory(prefix="preau-nginx-") as name:
        folder = Path(name)
        subprocess.run(
            [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
             "-keyout", f"{folder}/privkey.pem", "-out", f"{folder}/fullchain.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        site = example("preau.conf", {
            r" *listen \[::\]:.*\n": "",
            r"listen 80\b": f"listen 127.0.0.1:{plain}",
            r"listen 443\b": f"listen 127.0.0.1:{tls}",
            r"/etc/ssl/preau": str(folder),
            r"/var/log/nginx/preau.log": f"{folder}/access.log",
            r"server 127\.0\.0\.1:8080": f"server 127.0.0.1:{portal}",
        })  # fmt: skip
        (folder / "site.conf").write_text(site)
        with running_nginx(folder, f"include {folder}/site.conf;", tls):
            yield folder, plain, tls


@pytest.fixture
def client(nginx):
    """A browser that knows the certificate, and finds the name here."""
    folder, _plain, tls = nginx
    context = ssl.create_default_context(cafile=f"{folder}/fullchain.pem")
    with httpx.Client(
        base_url=f"https://127.0.0.1:{tls}", headers={"Host": NAME}, verify=context,
        trust_env=False, timeout=PATIENCE_SECONDS,
    ) as made:
        send = made.request

        def request(method, path, **more):
            return send(method, path, extensions={"sni_hostname": NAME}, **more)

        yield request


def test_the_file_is_right(nginx, tmp_path):
    folder, _plain, _tls = nginx
    assert "warn" not in checked(tmp_path, f"include {folder}/site.conf;")


def test_what_a_stranger_says_of_himself_does_not_arrive(client):
    answer = client("GET", "/valmont/", headers={
        "X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=1.2.3.4;host=evil.example", "X-Request-ID": "mine-mine-mine",
    })  # fmt: skip
    arrived = {}
    for name, value in answer.json()["headers"]:
        arrived.setdefault(name.lower(), []).append(value)
    assert arrived["x-forwarded-for"] == ["127.0.0.1"]
    assert arrived["x-forwarded-proto"] == ["https"]
    assert arrived["host"] == [NAME]
    assert arrived["x-request-id"] != ["mine-mine-mine"]
    assert "x-forwarded-host" not in arrived
    assert "forwarded" not in arrived


@pytest.mark.parametrize("path", ["/metrics", "/health/live", "/health/ready"])
def test_the_watchers_pages_are_not_for_the_public(client, path):
    assert client("GET", path).status_code == 404


def test_a_name_that_is_nobody_s_gets_no_answer(nginx):
    _folder, plain, tls = nginx
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{plain}/", headers={"Host": "evil.example"}, trust_env=False, timeout=PATIENCE_SECONDS)
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", tls)) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="evil.example")


def test_plain_http_leads_to_https_and_old_protocols_to_nothing(nginx):
    _folder, plain, tls = nginx
    answer = httpx.get(f"http://127.0.0.1:{plain}/valmont/?x=1", headers={"Host": NAME}, trust_env=False, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{NAME}/valmont/?x=1"
    assert "/" not in answer.headers["Server"]
    old = ssl._create_unverified_context()
    with warnings.catch_warnings(action="ignore"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", tls)) as raw, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(raw, server_hostname=NAME)


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/valmont/connexion", 2_000_000, 413),
        ("/valmont/regie/imports/fichiers", 2_000_000, 200),
        ("/regie/imports/fichiers", 2_000_000, 200),
        ("/valmont/+cheque_import/upload", 2_000_000, 200),
    ],
)
def test_only_the_office_may_send_files(client, path, size, status):
    assert client("POST", path, content=b"x" * size).status_code == status


def test_doors_stop_floods_and_not_the_parents_of_one_carrier(client):
    """Forms, that is: looking at the page is not limited so."""
    paths = ["/valmont/connexion", "/regie/connexion", "/valmont/codes-perdus"]

    def knock(number):
        return client("POST", paths[number % 3]).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(knock, range(500))) == {200}
        wait_until(lambda: 429 in set(threads.map(knock, range(200))))
    assert client("GET", "/valmont/connexion").status_code == 200
    assert client("POST", "/valmont/paiements").status_code == 200


def test_pages_are_limited_too_but_not_soon(client):
    answers = [client("GET", "/valmont/aide").status_code for _time in range(40)]
    assert set(answers) == {200}


def test_the_log_holds_no_token_and_no_query(client, nginx):
    folder, _plain, _tls = nginx
    before = len((folder / "access.log").read_text().splitlines())
    client("GET", "/valmont/payer/SECRET-TOKEN?email=parent@exemple.fr")
    client("GET", "/payer/SECRET-TOKEN")
    log = folder / "access.log"
    # A line is written after its answer.
    wait_until(lambda: len(log.read_text().splitlines()) >= before + 2)
    assert NAME in log.read_text()
    assert "SECRET-TOKEN" not in log.read_text()
    assert "parent@" not in log.read_text()


DEBIAN = {
    "12": "sendfile on; tcp_nopush on; types_hash_max_size 2048; default_type application/octet-stream;"
    " ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; gzip on;",
    "13": "sendfile on; tcp_nopush on; types_hash_max_size 2048; server_tokens off; default_type"
    " application/octet-stream; ssl_protocols TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers off; gzip on;",
}
"""What Debian's nginx.conf says in its block `http` before it reads conf.d."""


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("version", DEBIAN)
def test_it_stands_in_debian_s_configuration_beside_its_default_site(nginx, order, version, tmp_path):
    """Both on one port: Debian's site claims to be the default one there."""
    folder, plain, _tls = nginx
    default = tmp_path / "default"
    default.write_text(f"server {{ listen 127.0.0.1:{plain} default_server; server_name _; root /var/www/html; }}")
    sites = [default, folder / "site.conf"][:: 1 if order == "before" else -1]
    checked(tmp_path, f"{DEBIAN[version]} {' '.join(f'include {site};' for site in sites)}")
