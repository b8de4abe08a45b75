"""``preau doctor``: what is wrong with this installation, in words an operator can act on."""

from __future__ import annotations

import ctypes
import smtplib
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click
from redis import Redis
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.pool import NullPool

from core.cli import pythons
from core.cli.plugins import health
from core.cli.towns import mail_trouble
from core.messages.email.smtp import dial
from core.platform.db.migrate import OLDEST_POSTGRESQL
from core.platform.documents.objects import StoreAwayError
from core.platform.outbox.models import OutboxRow, OutboxState
from core.platform.plugins.discovery import discovered
from core.platform.settings import Settings, get_settings, unknown_variables
from core.platform.tenancy.law import missing
from core.platform.tenancy.models import Tenant, TownState
from core.processes.consumers import TwoConsumersError, check_work
from core.runtime import get_runtime, read_towns

CHECK_TIMEOUT_SECONDS = 5
"""Time that a server may take to answer a question."""

OVERDUE_AFTER = timedelta(minutes=10)
"""An effect that waits longer than this means that no relay or no worker runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of a question. `fatal` ones make the command fail."""

    text: str
    good: bool = True
    fatal: bool = False


def good(text: str) -> Finding:
    """All is well."""
    return Finding(text)


def doubtful(text: str) -> Finding:
    """It runs, but an operator wants to know."""
    return Finding(text, good=False)


def bad(text: str) -> Finding:
    """It cannot serve like this."""
    return Finding(text, good=False, fatal=True)


def check_settings(settings: Settings) -> Iterator[Finding]:
    """The environment: complete, and without a variable that means nothing."""
    yield good(f"Settings of {settings.environment}, at {settings.public_base_url}")
    for name in unknown_variables():
        yield doubtful(f"{name} is set and means nothing; is it misspelt? (docs/operating.md)")


def check_python(_settings: Settings) -> Iterator[Finding]:
    """The interpreter and the libraries that pip does not bring."""
    warning = pythons.warning_for((sys.version_info[0], sys.version_info[1]))
    yield doubtful(warning) if warning else good(f"Python {sys.version.split()[0]}")
    for name in ("libpango-1.0.so.0", "libpangoft2-1.0.so.0", "libharfbuzz.so.0"):
        try:
            ctypes.CDLL(name)
        except OSError:
            yield bad(f"{name} is missing: no PDF can be made (docs/operating.md)")


_ROLE_SETTINGS = text(
    "SELECT rolname, array_to_string(setconfig, ', ') FROM pg_db_role_setting"
    " JOIN pg_roles ON pg_roles.oid = setrole WHERE rolname LIKE 'preau%'"
    " AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
"""Each role may set this of itself, so a plugin's statement can: nothing in a session undoes it."""


def check_database(settings: Settings) -> Iterator[Finding]:
    """PostgreSQL answers, and the application's role can neither own nor bypass."""
    if not settings.database_url:
        yield bad("No database: PREAU_DATABASE_URL is not set and no `preau run` runs")
        return
    with _engine(settings.database_url) as engine, engine.connect() as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one()
        if int(connection.execute(text("SHOW server_version_num")).scalar_one()) < (
            OLDEST_POSTGRESQL * 10_000
        ):
            yield bad(f"PostgreSQL {version}: {OLDEST_POSTGRESQL} or newer is needed")
        else:
            yield good(f"PostgreSQL {version}")
        row = connection.execute(
            text("SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = USER")
        ).one()
        if row[1]:
            yield bad(f"{row[0]} can see every town's rows: PREAU_DATABASE_URL has to be preau_app")
        for role, told in connection.execute(_ROLE_SETTINGS):
            yield doubtful(
                f"{role} begins each connection with {told}: unless you set it yourself,"
                f" ALTER ROLE {role} RESET ALL"
            )
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
        if encoding != "UTF8":
            yield bad(f"The database's encoding is {encoding}, not UTF8")
        if connection.execute(text("SELECT to_regclass('public.tenant')")).scalar() is None:
            yield bad("The database is empty: preau database migrate")


def check_closed_towns(settings: Settings) -> Iterator[Finding]:
    """No town was left closed by a move that ended half way, or by somebody who forgot it."""
    if not settings.database_url:
        return
    with _engine(settings.database_url) as engine, engine.connect() as connection:
        closed = connection.execute(
            select(Tenant.id, Tenant.state)
            .where(Tenant.state.not_in((TownState.OPEN, TownState.MOVED)))
            .order_by(Tenant.id)
        ).all()
    for slug, state in closed:
        if state == TownState.ARRIVING:
            yield doubtful(f"{slug} is arriving: ask for its move again where it comes from")
        else:
            yield doubtful(
                f"{slug} is {state}: move it, or open it again by: preau tenant open {slug}"
            )


def check_outbox(settings: Settings) -> Iterator[Finding]:
    """Effects leave in time, and none was given up."""
    if not settings.relay_url:
        yield doubtful("PREAU_RELAY_URL is not set: the outbox of all towns cannot be looked at")
        return
    with _engine(settings.relay_url) as engine, engine.connect() as connection:
        dead = connection.execute(
            select(func.count()).where(OutboxRow.state == OutboxState.DEAD)
        ).scalar_one()
        late = connection.execute(
            select(func.count()).where(
                OutboxRow.state == OutboxState.READY,
                OutboxRow.available_at < datetime.now(UTC) - OVERDUE_AFTER,
            )
        ).scalar_one()
    if dead:
        yield doubtful(f"{dead} effects were given up after all attempts")
    if late:
        yield bad(f"{late} effects are late: do relay and worker run?")
    if not dead and not late:
        yield good("Outbox: nothing late, nothing given up")


def check_redis(settings: Settings) -> Iterator[Finding]:
    """The broker answers."""
    if not settings.redis_url:
        yield bad("No broker: PREAU_REDIS_URL is not set and no `preau run` runs")
        return
    with Redis.from_url(settings.redis_url, socket_timeout=CHECK_TIMEOUT_SECONDS) as client:
        version = client.info("server").get("redis_version", "?")
    yield good(f"Redis (or Valkey) answers, protocol of {version}")


def check_smtp(settings: Settings) -> Iterator[Finding]:
    """The mail server takes us, encrypted if so set."""
    where = f"Mail server {settings.smtp_host}:{settings.smtp_port}"
    try:
        with dial(settings, CHECK_TIMEOUT_SECONDS) as server:
            server.noop()
    except (smtplib.SMTPException, OSError) as error:
        yield bad(f"{where}: {_of_the_mail_server(settings, error)}")
        return
    if settings.smtp_user and not (settings.smtp_tls or settings.smtp_starttls):
        yield doubtful(f"{where}: the password travels in clear: PREAU_SMTP_STARTTLS or _TLS")
    yield good(f"{where} answers")


def _of_the_mail_server(settings: Settings, error: Exception) -> str:
    """Say what is wrong, and with which setting."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not for this name, or not to be trusted: {error}"
        case ssl.SSLError() if settings.smtp_tls:
            return (
                f"it does not speak TLS from the first byte: PREAU_SMTP_STARTTLS=true (port 587)"
                f" instead of PREAU_SMTP_TLS, or port 465 ({error})"
            )
        case ssl.SSLError():
            return f"TLS fails: {error}"
        case smtplib.SMTPAuthenticationError():
            return f"it refuses PREAU_SMTP_USER or PREAU_SMTP_PASSWORD: {_said(error)}"
        case smtplib.SMTPNotSupportedError() if "STARTTLS" in str(error):
            return "it does not offer STARTTLS: PREAU_SMTP_TLS=true (port 465), or no encryption"
        case smtplib.SMTPNotSupportedError():
            return f"it knows no sign-in here, perhaps only encrypted: {error}"
        case smtplib.SMTPResponseException():
            return f"it refuses: {_said(error)}"
        case socket.gaierror():
            return "its name is not known (PREAU_SMTP_HOST)"
        case ConnectionRefusedError():
            return "nothing answers there (PREAU_SMTP_HOST, PREAU_SMTP_PORT)"
        case TimeoutError() | smtplib.SMTPServerDisconnected() if not settings.smtp_tls:
            if _speaks_tls(settings):
                return (
                    "it speaks TLS from the first byte: PREAU_SMTP_TLS=true,"
                    " and PREAU_SMTP_STARTTLS=false"
                )
            return f"it does not greet ({error}): another port, or a firewall in between?"
    return f"{type(error).__name__}: {error}"


def _said(error: smtplib.SMTPResponseException) -> str:
    said = error.smtp_error
    return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"


def _speaks_tls(settings: Settings) -> bool:
    context = ssl.create_default_context()
    # Only whether it speaks TLS is asked, nothing is said to it.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        where = (settings.smtp_host, settings.smtp_port)
        with (
            socket.create_connection(where, CHECK_TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=settings.smtp_host),
        ):
            return True
    except OSError:
        return False


def check_towns(settings: Settings) -> Iterator[Finding]:
    """Every tenant.toml is right."""
    registry = read_towns(settings, discovered())
    yield good(f"Towns: {', '.join(registry.towns) or 'none'}")
    for config in registry:
        if lacks := [lack.key for lack in missing(config)]:
            yield doubtful(f"{config.slug} does not say what the law wants: {', '.join(lacks)}")
    for problems in registry.broken.values():
        yield from (bad(str(problem)) for problem in problems)


def check_mails(_settings: Settings) -> Iterator[Finding]:
    """Report the answers of mail servers for which the recipients are not to blame."""
    runtime = get_runtime()
    try:
        for config in runtime.serving():
            with runtime.unit_of_work(config.slug, actor="doctor") as town:
                for trouble in town.health.mail_troubles():
                    yield doubtful(f"{config.slug}, mail: {mail_trouble(trouble)}")
    finally:
        runtime.close()


def check_documents(settings: Settings) -> Iterator[Finding]:
    """The object store takes and gives papers, where one is set; else none is missing it."""
    runtime = get_runtime()
    try:
        found = []
        for config in runtime.serving():
            with runtime.unit_of_work(config.slug, actor="doctor") as town:
                found.append((config.slug, town.document_files.places()))
    finally:
        runtime.close()
    if runtime.objects is None:
        lacking = [slug for slug, places in found if places.in_store]
        if lacking:
            yield bad(f"PREAU_DOCUMENTS_URL is not set, and papers are there: {', '.join(lacking)}")
        else:
            yield good("Papers are in PostgreSQL")
        return
    where = f"Object store {settings.documents_url}"
    if settings.documents_endpoint.startswith("http://"):
        yield doubtful(f"{where}: papers travel in clear (PREAU_DOCUMENTS_ENDPOINT)")
    try:
        runtime.objects.check()
    except StoreAwayError as error:
        yield bad(f"{where}: {error}")
        return
    yield good(f"{where} takes and gives papers")
    for slug, places in found:
        if places.in_database:
            yield doubtful(
                f"{slug}: {places.in_database} papers are in the database still:"
                f" preau documents move --tenant {slug}"
            )


def check_plugins(_settings: Settings) -> Iterator[Finding]:
    """Report what the plugins say about each town."""
    try:
        check_work(discovered())
    except (TwoConsumersError, RuntimeError) as error:
        yield bad(str(error))
    runtime = get_runtime()
    for config in runtime.serving():
        problems = [
            doubtful(f"{config.slug}, {plugin}: {problem}")
            for plugin in sorted(config.enabled)
            for problem in health(runtime, config.slug, plugin)
        ]
        yield from problems or [good(f"{config.slug}: plugins are well")]
    runtime.close()


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_settings,
    check_python,
    check_database,
    check_closed_towns,
    check_outbox,
    check_redis,
    check_smtp,
    check_towns,
    check_mails,
    check_documents,
    check_plugins,
)


def examine(settings: Settings) -> Iterator[Finding]:
    """Ask everything; a question that fails is a finding, and the next is asked all the same."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except Exception as error:  # noqa: BLE001  (a doctor who faints helps nobody)
            words = str(error).strip().splitlines() or [type(error).__name__]
            yield bad(f"{check.__name__.removeprefix('check_')}: {words[0]}")


@click.command()
def doctor() -> None:
    """Look for what is wrong with this installation; fails if it cannot serve."""
    fatal = 0
    for finding in examine(get_settings()):
        mark, colour = ("✗", "red") if finding.fatal else ("!", "yellow")
        if finding.good:
            mark, colour = "✓", "green"
        click.echo(f"{click.style(mark, fg=colour)} {finding.text}")
        fatal += finding.fatal
    if fatal:
        raise click.exceptions.Exit(1)


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    patience = {"connect_timeout": CHECK_TIMEOUT_SECONDS}
    engine = create_engine(url, poolclass=NullPool, connect_args=patience)
    try:
        yield engine
    finally:
        engine.dispose()
