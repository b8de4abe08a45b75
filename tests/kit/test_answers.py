"""What plugins answer is looked at field by field, and what does not fit is theirs to mend."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime

import click
import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import text

from core.api.invoices import Attachment
from core.api.messages import Address, Delivered, Retry
from core.api.payments import (
    Anomaly,
    Capabilities,
    Failed,
    FailureKind,
    Means,
    Pending,
    Redirect,
    Settled,
)
from core.api.plugin import Plugin, PluginSettings, hookimpl
from core.api.work import Consumer, Effect
from core.cli import doctor, plugins, processes, run
from core.cli.main import preau
from core.platform import metrics
from core.platform.plugins import discovery as extensions
from core.platform.plugins.discovery import Extensions, PluginLoadError
from core.platform.settings import load
from core.testing.portal import Records, installed_plugins, make_portal, record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Settled("5687", Means.CARD, NOW),
        lambda: Settled(56.87, Means.CARD, NOW),
        lambda: Settled(True, Means.CARD, NOW),
        lambda: Settled(5687, "card", NOW),
        lambda: Settled(5687, Means.CARD, NOW.replace(tzinfo=None)),
        lambda: Settled(5687, Means.CARD, NOW.replace(year=1)),
        lambda: Settled(5687, Means.CARD, NOW.replace(year=2101)),
        lambda: Settled(5687, Means.CARD, NOW, raw={"a": 1}),
        lambda: Failed("boum"),
        lambda: Redirect("r", None),
        lambda: Redirect("r", "https://bank.invalid/", {"a": object()}),
        lambda: Pending("yes"),
        lambda: Anomaly(None),
        lambda: Capabilities(minimum=1.0),
        lambda: Delivered(7),
        lambda: Retry("later", 60),
        lambda: Address("a@exemple.fr", "7"),
        lambda: Redirect("r\0", "https://bank.invalid/"),
        lambda: Anomaly("\ud83d"),
        lambda: Settled(5687, Means.CARD, NOW, raw={"a": "\0"}),
        lambda: Failed(FailureKind.REFUSED, raw={"\udfff": "a"}),
    ],
)
def test_a_value_with_a_wrong_field_is_not_made(make):
    with pytest.raises(TypeError, match="not "):
        make()


@pytest.mark.parametrize("url", ["javascript:alert(1)", "", "/factures", "ftp://bank.invalid/"])
def test_a_browser_is_sent_to_web_pages_only(url):
    with pytest.raises(ValueError, match="no address of a web page"):
        Redirect("r", url)
    if url:
        with pytest.raises(ValueError, match="no address of a web page"):
            Pending(resumable=True, resume_url=url)


@pytest.mark.parametrize("reference", ["", "  "])
def test_a_payment_that_was_announced_has_a_name(reference):
    with pytest.raises(ValueError, match="without a reference"):
        Redirect(reference, "https://bank.invalid/")


def test_what_fits_is_made():
    assert Settled(5687, Means.CARD, NOW, raw={"a": "b"}).amount == 5687
    assert Failed(FailureKind.REFUSED).kind == "refused"
    assert Retry("later").after is None
    assert Address("a@exemple.fr").family_id is None


# --- Sources -------------------------------------------------------------------------------------


class Source(Records):
    """Reads what a test says."""

    key, label = "noethys", "Noethys"

    def __init__(self, read):
        self.read = read


def raises(_file):
    yield record("1")
    raise KeyError("DURAND Camille")


def leaves(_file):
    sys.exit(3)
    yield


def gone():
    raise OSError("gone")


FAULTS = {
    "raises": raises,
    "raises at once": lambda _file: 1 / 0,
    "leaves": leaves,
    "no generator": lambda _file: 42,
    "a number": lambda _file: iter([42]),
    "a float amount": lambda _file: iter([replace(record("1", lines=()), amount=12.5)]),
    "no régie": lambda _file: iter([record("1", regie=None)]),
    "a kind that is none": lambda _file: iter([record("1", kind="facture ")]),
    "a PDF that cannot be read": lambda _file: iter([record("1", document=Attachment("1.pdf", gone))]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_that_fails_refuses_its_file_by_name(portal, fault):
    what = "document" if "PDF" in fault else "read"
    counter = metrics.plugin_faults.labels("noethys", what)
    before = counter._value.get()
    with portal.town() as town:
        report = town.imports.run(Source(FAULTS[fault]), portal.file())
    assert report.refused
    words = report.problems[-1].message
    assert "Noethys" in words
    assert "rien n’a été importé" in words
    assert counter._value.get() == before + 1
    portal.publish(record("1"))


def test_who_reads_keeps_nobody_waiting(portal):
    """A file that hangs would hold the town's imports up, and its publications."""

    def slow(_file):
        with portal.town() as other:
            assert other.imports.run(Records(record("2")), portal.file()).batch_id
        yield record("1")

    with portal.town() as town:
        town.session.execute(text("SET LOCAL lock_timeout = '5s'"))
        assert town.imports.run(Source(slow), portal.file()).batch_id


# --- Starting ------------------------------------------------------------------------------------


class NoSettings(PluginSettings):
    """None."""


class Twice(Plugin[NoSettings]):
    """Claims core's work."""

    name, label, Settings = "twice", "Twice", NoSettings

    @hookimpl
    def consumers(self):
        return [Consumer("payment.poll", lambda _ctx, _payload: None, Effect.DATABASE)]


class Point:
    """An entry point of an installed distribution."""

    value = "somewhere:plugin"

    def __init__(self, name, plugin, home="one"):
        self.name, self._plugin = name, plugin
        self.dist = type("Home", (), {"name": home})

    def load(self):
        if isinstance(self._plugin, BaseException):
            raise self._plugin
        return self._plugin


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([Point("twice", Twice()), Point("twice", Twice(), "two")], "installed twice, by one and two"),
        ([Point("twice", SystemExit(3))], "does not load: SystemExit: 3"),
        ([Point("twice", Twice)], "is no instance of Plugin"),
        ([Point("payfip", Twice())], "it calls itself 'twice'"),
        ([Point("bare", Plugin())], "no `label`, or no model `Settings`"),
    ],
)
def test_a_plugin_that_is_none_is_named(monkeypatch, points, words):
    monkeypatch.setattr(extensions, "entry_points", lambda group: points)
    with pytest.raises(PluginLoadError, match=words):
        Extensions.discover()


@pytest.mark.parametrize("process", ["worker", "beat"])
def test_work_that_two_claim_stops_the_start_and_names_both(monkeypatch, process):
    started = []
    monkeypatch.setattr(processes, "go_on_as_celery", lambda *command: started.append(command))
    with installed_plugins(Extensions({"twice": Twice()})):
        answer = CliRunner().invoke(getattr(processes, process))
    assert answer.exit_code == 1
    assert "topic 'payment.poll' has two consumers: of core and of twice" in answer.output
    assert started == []


def test_a_command_that_meets_a_fault_shows_nothing_that_was_at_hand(monkeypatch):
    @click.command()
    def fails():
        password = "s3cr3t"
        try:
            1 / len(password[:0])
        except ZeroDivisionError as error:
            structlog.get_logger("fails").error("plugin.fault", exc_info=error)

    monkeypatch.setattr(preau, "_plugins_asked", True)
    monkeypatch.setitem(preau.commands, "fails", fails)
    answer = CliRunner().invoke(preau, ["fails"])
    assert answer.exit_code == 0
    assert "ZeroDivisionError" in answer.output
    assert "s3cr3t" not in answer.output.replace('password = "s3cr3t"', "")


# --- Being told ----------------------------------------------------------------------------------


@pytest.fixture
def town_with_a_typo(tmp_path):
    folder = tmp_path / "tenants" / "valmont"
    folder.mkdir(parents=True)
    (folder / "tenant.toml").write_text(
        '[tenant]\nname = "Valmont"\n[contact]\nemail = "a@b.fr"\n[regies.R]\nlabel = "R"\n[plugins.payfipp]\n'
    )
    return load(tenants_dir=tmp_path / "tenants", data_dir=tmp_path / "data")


def test_a_town_in_maintenance_is_told_where_its_operator_looks(town_with_a_typo, monkeypatch):
    monkeypatch.setattr(plugins, "get_settings", lambda: town_with_a_typo)
    answer = CliRunner().invoke(plugins.plugins, ["--quick"])
    assert answer.exit_code == 1
    assert "In maintenance" in answer.output
    assert "payfipp" in answer.output
    (problem,) = run._problems(town_with_a_typo)
    assert "payfipp" in problem


class Ill(Plugin[NoSettings]):
    """Fails where it is asked how it is."""

    name, label, Settings = "ill", "Ill", NoSettings

    @hookimpl
    def health_checks(self):
        raise KeyError("DURAND")


def test_the_doctor_sees_what_fails_at_its_own_question(database, redis, tmp_path, monkeypatch):
    portal = make_portal(database, tmp_path, plugins={"ill": Ill()}, toml="[plugins.ill]\n")
    monkeypatch.setattr(doctor, "get_runtime", lambda: portal.runtime)
    with installed_plugins(portal.runtime.extensions):
        found = [finding for finding in doctor.check_plugins(portal.runtime.settings) if "valmont" in finding.text]
    assert any("ill: health_checks fails" in finding.text for finding in found)
