"""What reaches a log, and what never does."""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import pytest
import structlog
from click.testing import CliRunner

from core.cli.main import FOR_PEOPLE, preau
from core.platform.logging import configure
from core.platform.settings import get_settings, load

EMAIL = "parent@example.org"


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _fail(email):
    raise RuntimeError("broken")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_personal_data_in_keys_nor_in_tracebacks(capsys, form):
    configure(load(log_format=form))
    log = structlog.get_logger("core.test")
    log.info("mail.refused", email=EMAIL, family=12)
    try:
        _fail(EMAIL)
    except RuntimeError:
        log.exception("task.failed")
    output = capsys.readouterr().err
    assert EMAIL not in output
    assert "mail.refused" in output
    assert "broken" in output
    assert "12" in output


def test_json_is_one_object_a_line_with_request_town_and_process(capsys):
    configure(load(log_format="json"), process="web")
    structlog.contextvars.bind_contextvars(request_id="r1", town="bourg-exemple")
    logging.getLogger("gunicorn.error").warning("slow %s", "worker")
    record = json.loads(capsys.readouterr().err)
    assert record["event"] == "slow worker"
    assert record["request_id"] == "r1"
    assert record["town"] == "bourg-exemple"
    assert record["process"] == "web"
    assert record["level"] == "warning"


def test_a_line_that_cannot_be_written_or_rendered_breaks_nothing(capsys):
    log = structlog.get_logger("core.test")
    with open("/dev/full", "w", buffering=1) as full:  # noqa: PTH123
        configure(load(log_format="json"), out=full)
        log.error("lost")
        with suppress(OSError):
            full.close()
        log.error("after the end")
    configure(load(log_format="json"))
    log.error("odd", keys={(1, 2): 3}, email=EMAIL)
    output = capsys.readouterr().err
    assert "odd" in output
    assert EMAIL not in output


def test_a_logger_s_level_is_its_own(capsys):
    configure(load(log_format="json", log_level="info"))
    logging.getLogger("plugins.chatty").setLevel("ERROR")
    for name in ("plugins.chatty", "plugins.other"):
        structlog.get_logger(name).warning(f"from {name}")
    output = capsys.readouterr().err
    assert "from plugins.other" in output
    assert "from plugins.chatty" not in output


def test_between_the_lines_for_a_person_stand_none_for_a_machine(capsys, monkeypatch):
    """What goes wrong is told in words; who runs a process still gets an object a line."""
    monkeypatch.setenv("PREAU_LOG_FORMAT", "json")
    get_settings.cache_clear()
    try:
        for command, is_json in ((name, name not in FOR_PEOPLE) for name in ("doctor", "tenants", "plugin", "worker")):
            assert CliRunner().invoke(preau, [command, "--help"]).exit_code == 0
            log = structlog.get_logger("core.test")
            log.info("town.served", town="valmont")
            log.warning("standby.away", rest_seconds=30)
            lines = capsys.readouterr().err.splitlines()
            assert [line.startswith("{") for line in lines] == ([True, True] if is_json else [False]), command
    finally:
        get_settings.cache_clear()
