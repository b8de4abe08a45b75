"""The embedded servers: kept data, unclean ends, deep folders, no orphans."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from core.dev import embedded as module
from core.dev.embedded import Embedded, EmbeddedError
from core.testing.waiting import is_alive, wait_until

STARTER = """
import sys, time
from pathlib import Path
from core.dev.embedded import Embedded
servers = Embedded(Path(sys.argv[1]), durable=False)
servers.start()
print(*(process.pid for process in servers.processes.values()), flush=True)
time.sleep(600)
"""


def _query(url, statement):
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        rows = result.all() if result.returns_rows else []
    engine.dispose()
    return rows


def test_unclean_kill_leaves_no_process_and_loses_no_row(tmp_path):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    assert len(pids) == 2
    address = Embedded(tmp_path).url("preau_owner")
    _query(address, "CREATE TABLE kept (id int)")
    _query(address, "INSERT INTO kept VALUES (7)")
    starter.kill()
    starter.communicate()

    # At once, while the orphans are still on their way out.
    with Embedded(tmp_path, durable=False) as servers:
        assert _query(servers.addresses().owner_url, "SELECT id FROM kept") == [(7,)]
    wait_until(lambda: not any(map(is_alive, pids)))


def test_killed_postmaster_recovers(tmp_path):
    servers = Embedded(tmp_path, durable=False)
    servers.start()
    _query(servers.url("preau_owner"), "CREATE TABLE kept AS SELECT 7 AS id")
    servers.processes["postgresql"].kill()
    servers.stop()
    with servers:
        assert _query(servers.url("preau_owner"), "SELECT id FROM kept") == [(7,)]


def test_a_deep_folder_gets_short_sockets(tmp_path):
    deep = tmp_path.joinpath(*["une-commune-au-nom-fort-long"] * 5)
    servers = Embedded(deep, durable=False)
    with servers:
        assert _query(servers.url("preau_app"), "SELECT 1") == [(1,)]
    assert len(str(servers.sockets)) < 80
    servers.sockets.rmdir()


def test_sockets_in_a_folder_of_somebody_else_are_refused(tmp_path):
    (tmp_path / "sockets").mkdir(mode=0o755)
    with pytest.raises(EmbeddedError, match="not a folder of ours"):
        Embedded(tmp_path)


def test_an_interrupted_first_start_is_begun_anew(tmp_path):
    (tmp_path / "postgresql.new").mkdir()
    (tmp_path / "postgresql.new" / "half").touch()
    with Embedded(tmp_path, durable=False) as servers:
        assert _query(servers.url("preau_app"), "SELECT 1") == [(1,)]


def test_a_broken_cluster_says_so(tmp_path):
    (tmp_path / "postgresql").mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="PostgreSQL does not start"):
        Embedded(tmp_path).start()


def test_redis_wants_its_password(tmp_path):
    with Embedded(tmp_path, durable=False) as servers:
        url = servers.addresses().redis_url
        with Redis.from_url(url) as client:
            assert client.ping()
        command_lines = Path(f"/proc/{servers.processes['valkey'].pid}/cmdline").read_text()
    password = url.partition(":@")[0].split(":")[2].partition("@")[0]
    assert len(password) > 20
    assert password not in command_lines


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_where_user_namespaces_are_forbidden_nobody_runs_it(servers, monkeypatch, tmp_path_factory):
    def refuse():
        raise OSError

    monkeypatch.setattr(module, "_map_root_to_user", refuse)
    # Beside the session's servers, in a folder that "nobody" can enter.
    folder = servers.data_dir / "as-nobody"
    folder.mkdir(mode=0o711)
    with Embedded(folder, durable=False) as other:
        pid = other.processes["postgresql"].pid
        assert _query(other.url("preau_app"), "SELECT 1") == [(1,)]
        assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_dump_and_restore_as_the_manual_says(servers, empty_database, tmp_path):
    _query(
        empty_database.owner_url,
        "CREATE TABLE town_row (tenant_id text); ALTER TABLE town_row FORCE ROW LEVEL SECURITY;"
        "ALTER TABLE town_row ENABLE ROW LEVEL SECURITY",
    )
    name = empty_database.owner_url.partition("?")[0].rpartition("/")[2]
    servers.execute("INSERT INTO town_row VALUES ('ville-de-demo')", database=name)
    tools = module.postgresql_binaries()
    dump = str(tmp_path / "preau.dump")

    def url(role, database):
        return servers.url(role, database).replace("+psycopg", "")

    def call(tool, *arguments):
        return subprocess.run(
            [tools / tool, *arguments], capture_output=True, text=True, check=False
        )

    as_owner = call("pg_dump", "--format=custom", f"--file={dump}", url("preau_owner", name))
    assert "row-level security" in as_owner.stderr
    assert as_owner.returncode != 0
    assert call("pg_dump", "-Fc", f"--file={dump}", url("postgres", name)).returncode == 0
    servers.execute("CREATE DATABASE restored_town OWNER preau_owner TEMPLATE template0")
    restored = call("pg_restore", "--exit-on-error", f"--dbname={url('postgres', 'restored_town')}", dump)
    assert restored.returncode == 0, restored.stderr
    assert _query(servers.url("postgres", "restored_town"), "SELECT * FROM town_row") == [
        ("ville-de-demo",)
    ]
    assert _query(servers.url("preau_app", "restored_town"), "SELECT has_schema_privilege('public', 'USAGE')") == [(True,)]


