"""The examples of deploy/ name only what exists: commands, settings, metrics, files, roles."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import click
import pytest
import yaml
from deploy_tools import DEPLOY, program
from prometheus_client.metrics import MetricWrapperBase
from sqlalchemy import create_engine, text

from core.cli.main import preau
from core.dev.embedded import postgresql_binaries
from core.platform import metrics
from core.platform.db import migrate
from core.platform.db.migrate import OLDEST_POSTGRESQL
from core.platform.settings import Settings

ROOT = DEPLOY.parent
UNITS = sorted((DEPLOY / "systemd").glob("preau-*.service"))
PROCESSES = {"web", "worker", "relay", "beat", "bot"}
COMPOSE = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text("utf-8"))
OURS = {name: s for name, s in COMPOSE["services"].items() if s["image"] == "preau"}


def check_command(words: list[str]) -> None:
    """Let click read a command line, without running it."""
    context = click.Context(preau)
    command: click.Command = preau
    while isinstance(command, click.Group):
        name, words = words[0], words[1:]
        command = command.get_command(context, name)
        assert command is not None, name
    command.make_context(command.name, [str(word) for word in words])


SAID = re.compile(r"(?:(?<=`)|(?<=bin/)|(?<=&& )|(?<=; )|^ *)preau ((?:\\\n|[^\n`|&>;)#])+)", re.MULTILINE)


@cache
def answering(words: tuple[str, ...]) -> tuple[click.Command, tuple[str, ...]]:
    """Follow the words of a command line to its command, and what is left of them."""
    context, command = click.Context(preau), preau
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        found = command.get_command(context, words[0])
        assert found is not None, words[0]
        command, words = found, words[1:]
    return command, words


def test_commands_that_the_documents_say_exist():
    """With the options that they are said with: a document outlives a name."""
    told, wrong = 0, []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for found in SAID.finditer(path.read_text("utf-8")):
            line = " ".join(found[1].replace("\\\n", " ").split())
            try:
                command, rest = answering(tuple(line.split()))
            except AssertionError as error:
                wrong.append(f"{path.name}: preau {line}: no command {error}")
                continue
            known = {"--help", *(name for one in command.params for name in (*one.opts, *one.secondary_opts))}
            told += 1
            wrong += [
                f"{path.name}: preau {line}: no option {word}"
                for word in (part.strip("[],.").partition("=")[0] for part in rest)
                if re.fullmatch(r"--[a-z][a-z-]*", word) and word not in known
            ]
    assert [one for one in wrong if "unix - n n" not in one and "CHANGELOG" not in one] == []
    assert told > 100


def settings_in(text_of_file: str) -> set[str]:
    return set(re.findall(r"\bPREAU_[A-Z_]+\b", text_of_file))


KNOWN = {f"PREAU_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("path", [p for p in DEPLOY.rglob("*") if p.is_file()], ids=lambda p: p.name)
def test_settings_that_are_named_exist(path):
    assert settings_in(path.read_text("utf-8")) <= KNOWN


# --- systemd ---------------------------------------------------------------------------------


def lines_of(path: Path) -> list[tuple[str, str]]:
    text_of_file = path.read_text("utf-8")
    return [(k.strip(), v.strip()) for k, v in re.findall(r"^([A-Za-z]+)=(.*)$", text_of_file, re.MULTILINE)]


def test_there_is_a_unit_for_each_process():
    assert {p.stem.removeprefix("preau-") for p in UNITS} == PROCESSES | {"migrate", "backup", "housekeep"}


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.stem)
def test_a_unit_s_command_exists(path):
    (command,) = [value for key, value in lines_of(path) if key == "ExecStart"]
    program_of_ours, *words = command.split()
    assert program_of_ours == "/srv/preau/.venv/bin/preau"
    check_command(words)


def test_only_who_needs_a_powerful_role_is_told_its_password():
    """By process: the application's role for all, and one more for four."""
    more = {
        path.stem.removeprefix("preau-"): [v for k, v in lines_of(path) if k == "EnvironmentFile"]
        for path in UNITS
    }
    assert {name: files for name, files in more.items() if files} == {
        "relay": ["/etc/preau/relay.env"],
        "migrate": ["/etc/preau/owner.env"],
        "housekeep": ["/etc/preau/owner.env"],
        "backup": ["/etc/preau/maintenance.env"],
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The units where systemd's checker finds them, with their command and their user."""
    folder = tmp_path_factory.mktemp("units")
    for path in (DEPLOY / "systemd").rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(DEPLOY / "systemd")
            target.parent.mkdir(exist_ok=True)
            # It looks whether the program is there: any will do.
            target.write_text(path.read_text("utf-8").replace("/srv/preau/.venv/bin/preau", "/bin/true"))
    return folder


def analyze(folder, *arguments):
    return subprocess.run(
        [program("systemd-analyze"), *arguments], capture_output=True, text=True, check=False,
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": "/usr/bin:/bin", "SYSTEMD_PAGER": ""},
    )  # fmt: skip


def test_systemd_understands_every_line(installed):
    for path in sorted(installed.iterdir()):
        if path.is_file():
            said = analyze(installed, "verify", "--man=no", str(path))
            complaints = [line for line in said.stderr.splitlines() if "preau" in line]
            assert complaints == [], path.name


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_process_may_little(installed, name):
    """systemd's own measure: 0 is locked away, 10 is root without any wall."""
    said = analyze(installed, "security", "--offline=true", "--no-pager", f"{installed}/preau-{name}.service")
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", said.stdout)
    assert exposure, said.stderr
    assert float(exposure[1]) <= 1.5


# --- Containers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_container_s_command_exists(name):
    service = OURS[name]
    check_command(service["command"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_all_processes_have_a_container_that_waits_for_the_schema():
    assert set(OURS) == PROCESSES | {"migrate", "backup"}
    for name in PROCESSES:
        waits = OURS[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"


def test_in_containers_too_only_who_needs_a_powerful_role_is_told_its_password():
    powerful = {"PREAU_OWNER_URL", "PREAU_RELAY_URL", "PREAU_MAINTENANCE_URL"}
    told = {name: powerful & set(s["environment"]) for name, s in OURS.items()}
    assert {name: names for name, names in told.items() if names} == {
        "migrate": {"PREAU_OWNER_URL"},
        "relay": {"PREAU_RELAY_URL"},
        "backup": {"PREAU_MAINTENANCE_URL"},
    }


def test_nobody_but_this_machine_reaches_the_containers():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    for name in ("postgresql", "redis"):
        assert COMPOSE["services"][name]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_every_variable_of_the_containers_is_in_the_example():
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "docker" / "compose.yaml").read_text("utf-8")))
    given = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "docker" / "env.example").read_text("utf-8"), re.MULTILINE))
    assert asked == given


def test_mounted_and_copied_files_exist():
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("../") or source.endswith(".sh"):
                assert (DEPLOY / "docker" / source).exists(), source
    ignored = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored, source


@cache
def dockerfile() -> str:
    return (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")


def test_the_image_runs_as_nobody_in_particular_and_holds_no_secret():
    last = dockerfile().rpartition("FROM ")[2]
    assert re.search(r"^USER \d+$", last, re.MULTILINE)
    assert last.index("USER ") > last.index("RUN ")
    assert not re.search(r"(PASSWORD|SECRET|TOKEN|KEY)=", dockerfile())
    assert "PREAU_ENVIRONMENT=production" in dockerfile()
    for package in re.findall(r"^FROM (\S+)", dockerfile(), re.MULTILINE):
        assert ":" in package, "an image without a version"


def test_every_module_is_in_the_distribution():
    """What has no ``__init__.py`` is in no wheel: an installed portal would miss it."""
    for top in ("core", "plugins"):
        for path in (ROOT / top).rglob("*.py"):
            folder = path.parent
            while folder != ROOT:
                assert (folder / "__init__.py").exists(), path
                folder = folder.parent


# --- PostgreSQL ------------------------------------------------------------------------------


POWERS = (
    """SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
    rolbypassrls FROM pg_roles WHERE rolname LIKE :p AND rolname NOT LIKE '%\\_mover' ORDER BY 1""",
    """SELECT roleid::regrole, member::regrole FROM pg_auth_members
    WHERE member::regrole::text LIKE :p ORDER BY 1, 2""",
    """SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datlocprovider, datlocale,
    array(SELECT unnest(datacl)::text ORDER BY 1) FROM pg_database WHERE datname = current_database()""",
    """SELECT nspowner::regrole, array(SELECT unnest(nspacl)::text ORDER BY 1)
    FROM pg_namespace WHERE nspname = 'public'""",
)


def test_the_sql_makes_the_roles_that_the_tests_run_with(servers, tmp_path):
    """Under other names, beside ours: then roles and rights are compared.

    The role that moves towns is another script's, and may have been made here by another test.
    """
    made = shown(servers, tmp_path, **PASSWORDS)
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""

    def look(prefix):
        url = servers.url("postgres", prefix)
        engine = create_engine(url)
        with engine.connect() as connection:
            found = [
                [tuple(str(v).replace(prefix, "*") for v in row) for row in connection.execute(text(query), {"p": f"{prefix}%"})]
                for query in POWERS
            ]  # fmt: skip
        engine.dispose()
        return found

    assert look("shown") == look("preau")

    # A second database beside it, for a restore: the roles stay, and keep their passwords.
    made = shown(servers, tmp_path, database="shown_restored")
    assert (made.returncode, made.stderr) == (0, "")
    assert cluster(servers) == {"shown", "shown_restored", *SHOWN_ROLES}


PASSWORDS = dict.fromkeys(("owner", "app", "relay", "maintenance"), "x'y")
SHOWN_ROLES = {f"shown_{name}" for name in PASSWORDS}


def shown(servers, folder, **variables):
    """Run the script as a person does, but for roles and databases that are called ``shown``."""
    script = folder / "create.sql"
    source = (DEPLOY / "postgresql" / "create.sql").read_text("utf-8")
    script.write_text(re.sub(r"\bpreau(?=\b|_)", "shown", source))
    return subprocess.run(
        [str(postgresql_binaries() / "psql"), "-X", "-h", str(servers.sockets), "-U", "postgres",
         *(f"--set={name}={value}" for name, value in variables.items()), "-f", str(script)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def cluster(servers):
    """The roles and databases that the script made."""
    engine = create_engine(servers.url("postgres", "postgres"))
    with engine.connect() as connection:
        found = connection.scalars(
            text(
                "SELECT rolname FROM pg_roles WHERE rolname LIKE 'shown%'"
                " UNION SELECT datname FROM pg_database WHERE datname LIKE 'shown%'"
            )
        ).all()
    engine.dispose()
    return set(found)


@pytest.fixture(autouse=True)
def _nothing_shown(request):
    yield
    if "servers" in request.fixturenames:
        servers = request.getfixturevalue("servers")
        for name in cluster(servers) - SHOWN_ROLES:
            servers.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        servers.execute(f"DROP ROLE IF EXISTS {', '.join(SHOWN_ROLES)}")


@pytest.mark.parametrize(
    ("variables", "before", "words"),
    [
        ({}, (), "password is missing"),
        (PASSWORDS | {"relay": ""}, (), "password is missing"),
        (PASSWORDS | {"database": "Préau"}, (), "small letters"),
        (PASSWORDS | {"database": ""}, (), "small letters"),
        (PASSWORDS, ("CREATE DATABASE shown",), "exists already"),
        (PASSWORDS, ("CREATE ROLE shown_app",), "Some of the four roles"),
    ],
)
def test_the_sql_makes_nothing_where_something_is_wrong(servers, tmp_path, variables, before, words):
    servers.execute(*before)
    here = cluster(servers)
    made = shown(servers, tmp_path, **variables)
    assert made.returncode != 0
    assert words in made.stderr
    assert "othing was made" in made.stderr
    assert cluster(servers) == here


def test_what_fails_half_way_is_undone(servers, tmp_path):
    """The roles can be made, and the database cannot."""
    servers.execute("ALTER DATABASE template0 RENAME TO template0_away")
    try:
        made = shown(servers, tmp_path, **PASSWORDS)
    finally:
        servers.execute("ALTER DATABASE template0_away RENAME TO template0")
    assert made.returncode != 0
    assert "nothing was kept" in made.stderr
    assert cluster(servers) == set()


def test_one_number_for_postgresql_everywhere():
    operating = (ROOT / "docs" / "operating.md").read_text("utf-8")
    script = (DEPLOY / "postgresql" / "create.sql").read_text("utf-8")
    said = re.findall(r"PostgreSQL (\d+)(?: or newer)", operating + script)
    assert len(said) >= 3
    assert set(map(int, said)) == {OLDEST_POSTGRESQL}
    assert f"< {OLDEST_POSTGRESQL}0000 AS is_too_old" in script


def test_a_server_that_is_too_old_is_left_as_it_is(servers, monkeypatch):
    monkeypatch.setattr(migrate, "OLDEST_POSTGRESQL", 99)
    servers.create_database("old")
    url = servers.addresses("old").owner_url
    try:
        with pytest.raises(migrate.OldServerError, match="99 or newer"):
            migrate.upgrade(url)
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT to_regclass('public.alembic_version')")) is None
        engine.dispose()
    finally:
        servers.execute('DROP DATABASE "old" WITH (FORCE)')


# --- Watching --------------------------------------------------------------------------------

ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana" / "preau.json").read_text("utf-8"))
EXPRESSIONS = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]] + [
    target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]
]


def exposed() -> dict[str, set[str]]:
    """The names that Prometheus sees, each with its labels."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            names = {"counter": [metric._name + "_total"], "gauge": [metric._name]}
            histogram = [f"{metric._name}_{end}" for end in ("bucket", "sum", "count")]
            for name in names.get(metric._type, histogram):
                found[name] = set(metric._labelnames) | ({"le"} if name.endswith("_bucket") else set())
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_watched_is_measured(expression):
    known = exposed()
    names = set(re.findall(r"\bpreau_[a-z_]+", expression))
    assert names <= set(known)
    labels = {label for name in names for label in known[name]} | {"job", "instance"}
    asked = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"", expression))
    asked |= {w for group in re.findall(r"by \(([^)]*)\)", expression) for w in re.split(r",\s*", group)}
    assert asked <= labels
    assert names or expression.startswith("up{")


def test_every_measure_is_shown_or_watched():
    """What nobody looks at need not be measured."""
    shown = " ".join(EXPRESSIONS)
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed()}
    assert {name for name in families if name not in shown} == set()


def test_values_of_labels_that_are_watched_exist():
    from core.platform.outbox.models import OutboxState

    for state in re.findall(r'state="([a-z]+)"', " ".join(EXPRESSIONS)):
        assert state in list(OutboxState)


def test_alerts_say_what_to_do():
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "look"}
            assert len(rule["annotations"]["summary"]) > 20


def test_pgbouncer_s_file_can_be_read():
    ini = configparser.ConfigParser(comment_prefixes=(";", "#"))
    ini.read(DEPLOY / "pgbouncer" / "pgbouncer.ini", "utf-8")
    assert ini["pgbouncer"]["pool_mode"] == "transaction"
