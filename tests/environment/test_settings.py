"""Settings of the installation: what production refuses, and what never shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cli.main import main
from core.platform.settings import (
    DEVELOPMENT_KEY,
    Settings,
    SettingsError,
    get_settings,
    load,
    unknown_variables,
)
from core.runtime import get_runtime

ROOT = Path(__file__).parents[2]
GOOD = {
    "environment": "production",
    "secret_key": "k" * 48,
    "public_base_url": "https://portail.example.fr/",
    "database_url": "postgresql+psycopg://preau_app:hunter2@db/preau",
    "redis_url": "redis://:hunter2@redis/0",
    "smtp_password": "hunter2",
}


@pytest.fixture(autouse=True)
def _bare(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PREAU_{name.upper()}", raising=False)


def test_nothing_has_to_be_set_in_development():
    settings = load()
    assert not settings.is_production
    assert settings.database_url == ""


def test_production_takes_a_complete_set():
    settings = load(**GOOD)
    assert settings.is_production
    assert settings.public_base_url == "https://portail.example.fr"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"secret_key": DEVELOPMENT_KEY}, "PREAU_SECRET_KEY is not set"),
        ({"secret_key": "short"}, "PREAU_SECRET_KEY is shorter"),
        ({"public_base_url": "http://portail.example.fr"}, "PREAU_PUBLIC_BASE_URL"),
        ({"public_base_url": "portail.example.fr"}, "PREAU_PUBLIC_BASE_URL"),
        ({"database_url": ""}, "PREAU_DATABASE_URL is not set"),
        ({"redis_url": ""}, "PREAU_REDIS_URL is not set"),
        ({"smtp_port": 0}, "PREAU_SMTP_PORT"),
        ({"environment": "prod"}, "PREAU_ENVIRONMENT"),
    ],
)
def test_production_refuses_and_names_the_variable(change, word):
    with pytest.raises(SettingsError) as refusal:
        load(**{**GOOD, **change})
    assert word in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_secrets_do_not_show():
    assert "hunter2" not in repr(load(**GOOD))
    assert "kkk" not in repr(load(**GOOD))


def test_environment_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PREAU_SMTP_HOST=file\nPREAU_SMTP_USER=file\nPAYFIP_X=1\n")
    monkeypatch.setenv("PREAU_SMTP_HOST", "environment")
    settings = load()
    assert (settings.smtp_host, settings.smtp_user) == ("environment", "file")


def test_a_slip_of_the_pen_is_found():
    names = {"PREAU_DATABSE_URL": "", "PREAU_REDIS_URL": "", "HOME": ""}
    assert unknown_variables(names) == ["PREAU_DATABSE_URL"]


def test_every_setting_is_documented_in_the_operators_manual():
    manual = (ROOT / "docs" / "operating.md").read_text("utf-8")
    missing = [n for n in Settings.model_fields if f"`PREAU_{n.upper()}`" not in manual]
    assert missing == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "PREAU_DATABASE_URL is not set"),
        ("postgresql+psycopg://preau_app:hunter2@127.0.0.1:1/preau", "the database does not answer as it should"),
    ],
)
def test_a_command_without_a_database_says_so_in_one_line(monkeypatch, capsys, url, words):
    monkeypatch.setenv("PREAU_DATABASE_URL", url)
    monkeypatch.setenv("PREAU_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("PREAU_TENANTS_DIR", str(ROOT / "tenants"))
    monkeypatch.setattr("sys.argv", ["preau", "agents", "list", "ville-de-demo"])
    get_settings.cache_clear()
    get_runtime.cache_clear()
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        get_settings.cache_clear()
        get_runtime.cache_clear()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert words in said.err
    assert len(said.err.splitlines()) == 1
    assert "hunter2" not in said.err + said.out
