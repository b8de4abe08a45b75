"""Real servers for exchanges: SFTP by asyncssh, HTTPS with an authority of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import asyncssh
import pytest

from core.testing.waiting import PATIENCE_SECONDS


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A folder with ca.pem, and cert.pem and key.pem of ``localhost`` that it signed."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for command in (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Autorite -keyout ca.key -out ca.pem",
        "openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out asked.pem",
        "openssl x509 -req -in asked.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return folder


class Web:
    """An HTTPS server of a billing software: it has one file, and takes those that are sent."""

    def __init__(self, authority):
        self.url = ""
        self.file = None
        self.headers = {}
        self.status = 200
        self.cut = 0
        self.token = "jeton-du-logiciel"
        self.received = []
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                if self.headers["Authorization"] != f"Bearer {outer.token}":
                    return self.answer(401)
                if outer.status != 200 or outer.file is None:
                    return self.answer(outer.status if outer.status != 200 else 204)
                return self.answer(200, outer.file, outer.headers)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Authorization"] != f"Bearer {outer.token}":
                    return self.answer(403)
                if outer.status == 200:
                    outer.received.append((self.headers["Idempotency-Key"], self.headers["Content-Type"], body))
                return self.answer(outer.status)

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - outer.cut])
                self.close_connection = True

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("localhost", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "cert.pem", authority / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.handle_error = lambda *_arguments: None
        self.url = f"https://localhost:{self.server.server_port}/factures.csv"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join(PATIENCE_SECONDS)
        self.server.server_close()


@pytest.fixture
def web(authority):
    made = Web(authority)
    yield made
    made.stop()


class Ssh:
    """An SFTP server: each user sees the folder of its name, and signs in with ``secret``."""

    def __init__(self, root):
        self.root = root
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self.key.export_public_key().decode().strip()
        self.private_key = self.user_key.export_private_key().decode()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server = self.wait(self.start())
        self.port = self.server.get_port()

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)

    async def start(self):
        outer = self

        class Door(asyncssh.SSHServer):
            def begin_auth(self, username):
                return True

            def password_auth_supported(self):
                return True

            def validate_password(self, username, password):
                return password == "secret"

            def public_key_auth_supported(self):
                return True

            def validate_public_key(self, username, key):
                return key == outer.user_key.convert_to_public()

        def files(channel):
            home = outer.root / channel.get_connection().get_extra_info("username")
            return asyncssh.SFTPServer(channel, chroot=str(home).encode())

        return await asyncssh.create_server(
            Door, "127.0.0.1", 0, server_host_keys=[self.key], sftp_factory=files
        )

    def stop(self):
        async def ended():
            self.server.close()
            await self.server.wait_closed()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await asyncio.gather(*others, return_exceptions=True)

        self.wait(ended())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE_SECONDS)
        self.loop.close()


@pytest.fixture
def ssh(tmp_path):
    for user in ("valmont", "brumes"):
        (tmp_path / "sftp" / user / "depot").mkdir(parents=True)
    made = Ssh(tmp_path / "sftp")
    yield made
    made.stop()


@pytest.fixture
def town_with(portal):
    """Gives Valmont these lines more in its file, and Brumes those; the portal."""

    def make(valmont, brumes=""):
        portal.configure("valmont", valmont)
        portal.configure("brumes", brumes)
        return portal

    return make


@pytest.fixture
def box(tmp_path):
    folder = tmp_path / "depot"
    folder.mkdir()
    return folder
