"""A plugin that raises, hangs or answers nonsense, at any hook: the page renders, it is counted."""

from __future__ import annotations

import importlib
import itertools
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial

import click
import pytest
from click.testing import CliRunner
from pyramid.response import Response
from sqlalchemy import text
from structlog.testing import capture_logs
from webtest import TestApp

from core.api.errors import PermanentError, RetryableError, UserError
from core.api.messages import Address, Delivered
from core.api.payments import Capabilities, Failed, FailureKind, Means, Pending, Redirect
from core.api.plugin import HealthCheck, Plugin, PluginSettings, hookimpl
from core.api.web import Audience, MenuEntry
from core.api.work import Consumer, Effect
from core.cli.main import PreauGroup
from core.cli.plugins import health
from core.platform import i18n, metrics
from core.platform.plugins import cache as answers
from core.platform.plugins import calls as containment
from core.platform.plugins import companions
from core.platform.plugins.rests import FaultError, forget_rests
from core.processes.app import make_app
from core.testing.portal import installed_plugins, make_portal, record, write_towns
from core.testing.waiting import PATIENCE_SECONDS

HOOKS = (
    "configure_web", "commands", "consumers", "schedule", "migrations", "invoice_sources",
    "payment_providers", "notification_channels", "menu_entries", "health_checks",
    "invoices_published", "invoice_due", "payment_settled", "payment_reversed", "remittance_changed",
    "family_data", "family_erased", "families_merged", "means_corrected",
    "chat_skills", "message_kinds", "demonstrate", "tile_lines", "record_imports", "todo_entries",
    "family_groups",
)  # fmt: skip
LISTS = ("invoice_sources", "payment_providers", "notification_channels", "menu_entries", "health_checks")
released = threading.Event()


class BadSettings(PluginSettings):
    """None."""


class Bad(Plugin[BadSettings]):
    """Does at each hook what a test says; nothing, unless told."""

    name = "bad"
    label = "Bad"
    Settings = BadSettings

    def __init__(self) -> None:
        self.does = {}

    def _do(self, hook, *arguments):
        return self.does.get(hook, lambda *_arguments: None)(*arguments)

    @hookimpl
    def configure_web(self, config):
        config.add_route("page", "")
        config.add_view(lambda _request: Response("bad"), route="page")
        return self._do("configure_web", config)

    @hookimpl
    def commands(self, cli):
        return self._do("commands", cli)

    @hookimpl
    def consumers(self):
        return self._do("consumers") or []

    @hookimpl
    def schedule(self):
        return self._do("schedule") or []

    @hookimpl
    def migrations(self):
        return self._do("migrations")

    @hookimpl
    def invoice_sources(self):
        return self._do("invoice_sources")

    @hookimpl
    def payment_providers(self):
        return self._do("payment_providers")

    @hookimpl
    def notification_channels(self):
        return self._do("notification_channels")

    @hookimpl
    def menu_entries(self, audience):
        return self._do("menu_entries", audience)

    @hookimpl
    def health_checks(self):
        return self._do("health_checks")

    @hookimpl
    def invoices_published(self, event):
        return self._do("invoices_published", event)

    @hookimpl
    def invoice_due(self, event):
        return self._do("invoice_due", event)

    @hookimpl
    def payment_settled(self, event):
        return self._do("payment_settled", event)

    @hookimpl
    def payment_reversed(self, event):
        return self._do("payment_reversed", event)

    @hookimpl
    def remittance_changed(self, event):
        return self._do("remittance_changed", event)

    @hookimpl
    def family_data(self, ctx):
        return self._do("family_data", ctx)

    @hookimpl
    def family_erased(self, ctx):
        return self._do("family_erased", ctx)

    @hookimpl
    def means_corrected(self, ctx):
        return self._do("means_corrected", ctx)

    @hookimpl
    def families_merged(self, ctx):
        return self._do("families_merged", ctx)


def raises(*_arguments):
    raise ValueError("a bug")


def leaves(*_arguments):
    sys.exit(3)


def hangs(*_arguments):
    released.wait(PATIENCE_SECONDS)
    return []


def lazily(*_arguments):
    yield MenuEntry("Une entrée", "bad.page")
    raise KeyError("later")


class Nothing:
    key = label = "nothing"


class Explosive:
    label = "Explosive"

    @property
    def key(self):
        raise ZeroDivisionError


MISBEHAVIOURS = {
    "raises": raises,
    "leaves": leaves,
    "hangs": hangs,
    "raises late": lazily,
    "a number": lambda *_a: 42,
    "a text": lambda *_a: "abc",
    "a list of nothing": lambda *_a: [None],
    "a list of objects": lambda *_a: [object(), Nothing()],
    "without end": lambda *_a: itertools.repeat(MenuEntry("x", "bad.page")),
    "an explosive": lambda *_a: [Explosive()],
    "a class": lambda *_a: [MenuEntry],
    "no texts": lambda *_a: [MenuEntry(None, 7, "first")],
}


@pytest.fixture(scope="module")
def house(module_database, tmp_path_factory):
    """A portal where Valmont enables the bad plugin and Brumes does not, and two parents."""
    folder, bad = tmp_path_factory.mktemp("portal"), Bad()
    towns = write_towns(folder / "both")
    with (towns / "valmont" / "tenant.toml").open("a") as file:
        file.write("[plugins.bad]\n")
    portal = make_portal(module_database, folder, plugins={"bad": bad}, tenants_dir=towns)
    portal.runtime.redis.flushall()
    application = make_app(portal.runtime)
    browsers = {}
    for town in ("valmont", "brumes"):
        portal.publish(record("1"), slug=town)
        browser = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
        form = browser.get(f"/{town}/connexion").forms
        form = next(form for form in form.values() if "family_code" in form.fields)
        form["family_code"], form["child_code"] = "F001", portal.codes("F001", town)
        form.submit().follow()
        browsers[town] = browser
    yield portal, bad, browsers
    released.set()
    portal.runtime.close()


@pytest.fixture
def portal(house):
    return house[0]


@pytest.fixture
def bad(house, monkeypatch):
    """The bad plugin, which misbehaves in this test only."""
    monkeypatch.setattr(containment, "CALL_TIMEOUT_SECONDS", 0.4)
    released.clear()
    house[1].does.clear()
    house[0].runtime.answers.forget()
    with capture_logs():  # Tracebacks for a terminal take longer to write than all else.
        yield house[1]
    released.set()
    house[1].does.clear()
    house[0].runtime.answers.forget()
    forget_rests()


@pytest.fixture
def page(house, bad):
    """Gets the page of unpaid invoices and the menu, which have to be whole."""

    def get(town="valmont"):
        answer = house[2][town].get(f"/{town}/factures", status=200)
        assert "56,87" in answer
        answer = house[2][town].get(f"/{town}/menu", status=200)
        assert "Aide" in answer
        return answer

    return get


def counted(hook, plugin="bad"):
    return metrics.plugin_faults.labels(plugin, hook)._value.get()


# --- Hooks that give lists -----------------------------------------------------------------------


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
@pytest.mark.parametrize("hook", LISTS)
def test_what_a_hook_gives_wrongly_is_left_out(portal, bad, page, hook, misbehaviour):
    bad.does[hook] = MISBEHAVIOURS[misbehaviour]
    if hook == "menu_entries" and misbehaviour == "a list of objects":
        bad.does[hook] = lambda *_a: [Nothing()]
    before = counted(hook)
    page()
    with portal.town() as town:
        for brought in (town.providers, town.channels, town.sources):
            assert set(brought) >= ({"email"} if brought is town.channels else set())
        found = dict(portal.runtime.extensions.contained(town.config.enabled, "health_checks", ctx=town))
        assert "bad" not in found or hook != "health_checks"
    assert counted(hook) > before
    problems = health(portal.runtime, "valmont", "bad")
    assert any(hook in problem for problem in problems)


@pytest.mark.parametrize("hook", LISTS)
def test_another_town_knows_nothing_of_it(bad, page, hook):
    bad.does[hook] = raises
    before = counted(hook)
    page("brumes")
    assert counted(hook) == before


def test_what_hung_is_spared_for_a_while(bad, page):
    calls = []
    bad.does["menu_entries"] = lambda *_a: (calls.append(1), hangs())
    for _time in range(3):
        page()
    assert len(calls) == 1
    forget_rests()
    bad.does["menu_entries"] = lambda _audience: [MenuEntry("De retour", "bad.page")]
    assert "De retour" in page()


@pytest.mark.parametrize("route", ["bad.nowhere", "invoice_pdf", "", "office family"])
def test_an_entry_that_leads_nowhere_is_left_out(bad, page, route):
    bad.does["menu_entries"] = lambda _audience: [
        MenuEntry("Nulle part", route),
        MenuEntry("Quelque part", "bad.page"),
    ]
    answer = page()
    assert "Nulle part" not in answer
    assert "Quelque part" in answer


def test_an_entrys_words_are_words(bad, page):
    bad.does["menu_entries"] = lambda _audience: [MenuEntry("<script>alert(1)</script>", "bad.page")]
    assert "<script>alert" not in page()


def test_a_key_that_is_taken_cannot_be_taken_over(portal, bad):
    bad.does["payment_providers"] = lambda: [Provider(key="fakepay")]
    with portal.town() as town:
        assert town.providers["fakepay"].plugin == "fakepay"
    assert counted("payment_providers") > 0


def counting(answer):
    """A hook's answer, and how often it was asked."""
    asked = []
    return asked, lambda *_arguments: (asked.append(1), answer)[1]


@pytest.fixture
def asked(bad):
    """How often the plugin was asked for its menu, and for what can be paid."""
    menu, bad.does["menu_entries"] = counting([MenuEntry("Une entrée", "bad.page")])
    taken, capabilities = counting(Capabilities())
    bad.does["payment_providers"] = lambda: [Provider(capabilities=capabilities)]
    return lambda: (len(menu), len(taken))


@pytest.fixture(scope="module")
def garderie(house):
    """An invoice of a régie whose payments only the bad provider takes."""
    house[0].publish(record("kept", regie="GARDERIE"))


@pytest.mark.usefixtures("garderie")
def test_pages_ask_a_plugin_once_what_its_settings_tell(page, asked):
    for _time in range(3):
        assert "Une entrée" in page()
    assert asked() == (1, 1)


@pytest.mark.usefixtures("garderie")
def test_answers_are_kept_for_a_minute(page, asked, monkeypatch):
    later = time.monotonic() + 59
    page()
    expired = time.monotonic() + 61
    monkeypatch.setattr(answers.time, "monotonic", lambda: later)
    page()
    assert asked() == (1, 1)
    later = expired
    page()
    assert asked() == (2, 2)


def test_answers_are_kept_in_the_readers_language(bad, portal):
    labels = {"fr": "Une entrée", "en": "An entry"}
    bad.does["menu_entries"] = lambda _audience: [MenuEntry(labels[i18n.current_locale()], "bad.page")]
    for locale in ("fr", "en", "fr"):
        with portal.town() as town, i18n.use(locale):
            assert [entry.label for entry in town.menu(Audience.PARENTS)] == [labels[locale]]


@pytest.mark.usefixtures("garderie")
def test_what_failed_is_asked_again_by_the_next_page(bad, page, portal):
    bad.does["menu_entries"] = bad.does["payment_providers"] = raises
    page()
    bad.does["menu_entries"] = lambda _audience: [MenuEntry("De retour", "bad.page")]
    bad.does["payment_providers"] = lambda: [Provider(capabilities=raises)]
    assert "De retour" in page()
    bad.does["payment_providers"] = lambda: [Provider()]
    with portal.town() as town:
        assert town.selection.of(["GARDERIE"])["GARDERIE"].provider == "bad"


def test_a_provider_that_cannot_say_now_is_asked_again(bad, portal):
    def busy(_regie):
        raise RetryableError("not now")

    for capabilities, taken in ((busy, None), (lambda _regie: Capabilities(), "bad")):
        bad.does["payment_providers"] = lambda does=capabilities: [Provider(capabilities=does)]
        with portal.town() as town:
            choice = town.selection.of(["GARDERIE"])["GARDERIE"]
        assert (choice and choice.provider) == taken


def test_one_towns_answers_are_not_anothers(page, asked):
    page()
    assert "Une entrée" not in page("brumes")


# --- What the objects do -------------------------------------------------------------------------


def redirect(intent):
    return Redirect(f"r{intent.payment_id}", "https://bank.invalid/r")


class Provider:
    """A provider that does what it is told."""

    label = "Bad"

    def __init__(self, key="bad", **does):
        self.key = key
        self._does = does

    def capabilities(self, regie):
        return self._does.get("capabilities", lambda _regie: Capabilities())(regie)

    def start(self, intent):
        return self._does.get("start", redirect)(intent)

    def outcome(self, attempt):
        return self._does.get("outcome", lambda _a: Pending(resumable=False))(attempt)


FAULTS = {
    "raises": raises,
    "leaves": leaves,
    "hangs": hangs,
    "None": lambda _a: None,
    "a number": lambda _a: 42,
    "True": lambda _a: True,
    "a wrong field": lambda _a: Redirect("r", "javascript:alert(1)"),
}


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "None"])
def test_capabilities_that_fail_cost_its_payments_only(portal, bad, page, fault):
    """GARDERIE is taken by nobody else."""
    bad.does["payment_providers"] = lambda: [Provider(capabilities=FAULTS[fault])]
    page()
    with portal.town() as town:
        assert town.selection.of(["GARDERIE"])["GARDERIE"] is None
        assert town.selection.of(["CANTINE"])["CANTINE"].provider == "fakepay"
    assert counted("capabilities") > 0


@pytest.fixture
def patient(monkeypatch):
    """Core's patience with providers and channels, shortened."""
    from core.messages import service as notifications
    from core.payments import attempts

    monkeypatch.setattr(attempts, "PROVIDER_TIMEOUT_SECONDS", 0.4)
    monkeypatch.setattr(notifications, "SEND_TIMEOUT_SECONDS", 0.4)


@pytest.fixture
def invoice(portal):
    """A fresh invoice of GARDERIE, which only the bad provider takes."""
    number = f"g{next(_numbers)}"
    portal.publish(record(number, regie="GARDERIE"))
    portal.runtime.answers.forget()  # The import asked who takes its payments.
    with portal.town() as town:
        return town.invoices.by_number(number)[0]


_numbers = itertools.count(100)


def begun(portal, invoice):
    with portal.town() as town:
        return town.attempts.create(
            invoice.family_id, [invoice.id], email="", language="fr", key=str(invoice.id)
        )


@pytest.mark.parametrize("fault", FAULTS)
def test_a_start_that_fails_charges_nothing_and_says_so(house, portal, bad, patient, invoice, fault):
    bad.does["payment_providers"] = lambda: [Provider(start=FAULTS[fault])]
    payment = begun(portal, invoice)
    answer = house[2]["valmont"].get(f"/valmont/paiements/{payment}/aller", status=303)
    assert answer.location.endswith("/valmont/factures")
    assert "Rien n’a été débité" in answer.follow()
    assert counted("start") > 0
    bad.does["payment_providers"] = lambda: [Provider()]
    forget_rests()
    again = house[2]["valmont"].get(f"/valmont/paiements/{payment}/aller", status=303)
    assert again.location == "https://bank.invalid/r"


@pytest.mark.parametrize("fault", FAULTS)
def test_an_outcome_that_fails_settles_nothing_and_is_asked_again(portal, bad, patient, invoice, fault):
    bad.does["payment_providers"] = lambda: [Provider(outcome=FAULTS[fault])]
    payment = begun(portal, invoice)
    with portal.town() as town:
        town.attempts.start(payment)
    with portal.town() as town, pytest.raises(RetryableError):
        town.attempts.poll(payment)
    with portal.town() as town:
        assert town.payments.row(payment).state == "pending"
    bad.does["payment_providers"] = lambda: [Provider(outcome=lambda _a: Failed(FailureKind.REFUSED))]
    forget_rests()
    with portal.town() as town:
        assert town.attempts.poll(payment) == "refused"


class Channel:
    key, label = "bad", "Bad"

    def __init__(self, addresses=lambda *_a: (Address("here"),), deliver=lambda *_a: Delivered()):
        self.addresses, self.deliver = addresses, deliver


def messages(portal, channel):
    with portal.town() as town:
        return town.session.execute(
            text("SELECT state FROM message WHERE channel = :channel ORDER BY id"), {"channel": channel}
        ).scalars().all()  # fmt: skip


@pytest.fixture
def mailed(portal):
    """The family has an address, and no message."""
    portal.runtime.redis.flushall()  # An address is written to a few times a day only.
    with portal.town() as town:
        family = town.families.by_code("F001")
        town.session.execute(text("DELETE FROM contact_email"))
        town.alerts.add(family.id, "camille@exemple.fr")
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
        town.session.execute(text("DELETE FROM message"))
        town.session.execute(text("DELETE FROM outbox"))
        return family.id


def told(portal, family_id):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number("1")
        town.notifications.fan_out(
            "invoices_published",
            {"id": f"e{next(_numbers)}", "family_id": family_id, "invoice_ids": [invoice.id]},
        )


@pytest.mark.parametrize(
    "fault", [raises, leaves, hangs, lambda *_a: 42, lambda *_a: ["here"], lambda *_a: [Address(None)]]
)
def test_a_channel_without_answer_holds_no_other_back(portal, bad, mailed, fault):
    bad.does["notification_channels"] = lambda: [Channel(addresses=fault)]
    with pytest.raises(RetryableError):
        told(portal, mailed)
    assert messages(portal, "email") == ["queued"]
    assert messages(portal, "bad") == []
    assert counted("addresses") > 0


@pytest.mark.parametrize("fault", [raises, hangs, lambda *_a: None, lambda *_a: True])
def test_a_message_is_not_sent_because_nothing_was_said(portal, bad, patient, mailed, fault):
    bad.does["notification_channels"] = lambda: [Channel(deliver=fault)]
    told(portal, mailed)
    with portal.town() as town, pytest.raises(RetryableError):
        town.notifications.send(
            town.session.execute(text("SELECT id FROM message WHERE channel = 'bad'")).scalar_one()
        )
    assert messages(portal, "bad") == ["queued"]


# --- Events and work -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [raises, leaves, lambda *_a: 42])
def test_an_event_that_one_plugin_fails_at_reaches_the_others(portal, bad, mailed, fault):
    bad.does["payment_settled"] = fault
    before, faults = len(portal.plugin.events), counted("payment_settled")
    with portal.town() as town:
        town.events.emit(
            "payment_settled",
            f"e{next(_numbers)}",
            {"id": "x", "payment_id": 1, "family_id": mailed, "invoice_ids": [], "amount": 1},
        )
    portal.work(rounds=1)
    assert len(portal.plugin.events) == before + 1
    states = {row.dedupe_key.partition("/")[0]: row.state for row in portal.outbox() if row.topic == "event"}
    assert states["fakepay"] == "done"
    assert states["bad"] == ("done" if fault.__name__ == "<lambda>" else "ready")
    assert (counted("payment_settled") > faults) == (fault.__name__ != "<lambda>")


def test_work_that_hangs_is_ended_with_its_lease(portal, bad, mailed):
    bad.does["consumers"] = lambda: [
        Consumer("bad.hang", lambda *_a: hangs(), lease=timedelta(seconds=0.3)),
        Consumer("bad.sql", _sleeps, lease=timedelta(seconds=0.3), attempts=1),
        Consumer("bad.fine", lambda *_a: None, Effect.EXTERNAL),
    ]
    with portal.town() as town:
        for topic in ("bad.hang", "bad.sql", "bad.fine"):
            town.outbox.add(topic, {}, key="1")
    portal.work(rounds=1)
    rows = {row.topic: row for row in portal.outbox()}
    assert rows["bad.fine"].state == "done"
    assert rows["bad.hang"].state == "ready"
    assert "OutOfTimeError" in rows["bad.hang"].last_error
    assert rows["bad.sql"].state == "dead"


def test_the_end_of_a_lease_is_no_fault_that_one_does_without(portal, bad, mailed):
    """A channel that answers slowly does not hang, but its row's time is over all the same."""
    asked = []

    def slowly(_ctx, _payload):
        for number in range(5):
            with suppress(FaultError):
                containment.contain("bad", "slowly", partial(_waits, asked, number), here=True)

    bad.does["consumers"] = lambda: [Consumer("bad.slow", slowly, lease=timedelta(seconds=0.5))]
    with portal.town() as town:
        town.outbox.add("bad.slow", {}, key="1")
    portal.work(rounds=1)
    (row,) = [row for row in portal.outbox() if row.topic == "bad.slow"]
    assert "OutOfTimeError" in row.last_error
    assert len(asked) < 3


def _waits(asked, number):
    asked.append(number)
    released.wait(0.4)


def _sleeps(ctx, _payload):
    ctx.session.execute(text("SELECT pg_sleep(20)"))


# --- What an agent does to a family: whole or not at all -----------------------------------------


def _breaks(ctx):
    ctx.session.execute(text("SELECT 1 / 0"))


@pytest.mark.parametrize("fault", [raises, leaves, _breaks])
def test_a_family_is_not_half_merged_erased_or_exported(portal, bad, fault):
    for hook in ("family_data", "family_erased", "families_merged"):
        bad.does[hook] = fault
    with portal.town() as town:
        first = town.files.create(f"A{next(_numbers)}", "PETIT Jo", [], "fr")
        second = town.files.create(f"B{next(_numbers)}", "PETIT Joe", [], "fr")
        for act in (
            lambda: town.personal_data.export(first),
            lambda: town.personal_data.erase(first),
            lambda: town.merging.merge(first, second),
        ):
            with pytest.raises(UserError, match="bad"):
                act()
        assert [town.families.get(one).name for one in (first, second)] == ["PETIT Jo", "PETIT Joe"]


@pytest.mark.parametrize("fault", [raises, leaves, _breaks, lambda _ctx: "Non merci."])
def test_a_means_is_not_corrected_against_a_plugin(portal, bad, fault):
    bad.does["means_corrected"] = fault
    with portal.town() as town:
        family = town.files.create(f"A{next(_numbers)}", "PETIT Jo", [], "fr")
        payment = town.payments.record(
            regie="CANTINE", family_id=family, means=Means.CASH, amount=100,
            paid_at=town.clock.now(), payer="Jo", shares=[], key=f"k{family}",
        ).payment_id  # fmt: skip
        with pytest.raises(UserError, match=r"bad|Non merci"):
            town.accounts.corrections.correct(payment, "cheque", reason="x")
        assert town.payments.row(payment).means == "cash"


def test_what_a_plugin_holds_of_a_family_is_exported(portal, bad):
    bad.does["family_data"] = lambda _ctx: {"jouets": ["bille"]}
    with portal.town() as town:
        family = town.files.create(f"A{next(_numbers)}", "PETIT Jo", [], "fr")
        assert town.personal_data.export(family)["bad"] == {"jouets": ["bille"]}


# --- Hooks at start: strict, by name -------------------------------------------------------------


@pytest.mark.parametrize("fault", [raises, lambda config: config.add_route("page", "twice")])
def test_pages_that_do_not_load_stop_the_start_by_name(portal, bad, fault):
    bad.does["configure_web"] = fault
    with pytest.raises(RuntimeError, match="'bad'"):
        make_app(portal.runtime)


@pytest.mark.parametrize("fault", [raises, lambda: 42, lambda: [object()]])
@pytest.mark.parametrize("hook", ["consumers", "schedule"])
def test_work_that_is_none_stops_the_start_by_name(portal, bad, hook, fault):
    from core.processes.consumers import all_consumers, all_periodics

    bad.does[hook] = fault
    read = all_consumers if hook == "consumers" else all_periodics
    with pytest.raises(RuntimeError, match="'bad'"):
        read(portal.runtime.extensions)


@pytest.mark.parametrize("fault", [raises, lambda cli: cli.add_command(42)])
def test_commands_that_fail_leave_cores(portal, bad, fault):
    bad.does["commands"] = fault
    with installed_plugins(portal.runtime.extensions):
        listed = CliRunner().invoke(PreauGroup("preau", context_settings={}), ["--help"])
    assert listed.exit_code == 0
    assert "doctor" in listed.output
    assert "The commands of plugin 'bad' are missing" in listed.output


@pytest.mark.parametrize("taken", ["web", "outbox"])
def test_a_command_that_is_taken_stays_whose_it_is(portal, bad, taken):
    bad.does["commands"] = lambda cli: [cli.add_command(click.Command(name)) for name in (taken, "bad")]
    group = PreauGroup("preau", context_settings={})
    with installed_plugins(portal.runtime.extensions):
        listed = CliRunner().invoke(group, ["--help"])
    assert listed.exit_code == 0
    assert f"Plugin 'bad': the command '{taken}' is taken" in listed.output
    assert "bad" in group.commands
    assert group.get_command(None, taken).help


def test_a_command_that_is_first_used_among_other_plugins_forgets_them(portal, bad, monkeypatch):
    monkeypatch.delitem(sys.modules, "core.cli.tenants", raising=False)
    monkeypatch.setenv("PREAU_TENANTS_DIR", str(portal.runtime.settings.tenants_dir))
    with installed_plugins(portal.runtime.extensions):
        tenants = importlib.import_module("core.cli.tenants")
        assert "bad" in tenants.discovered().plugins
    assert "payfip" in tenants.discovered().plugins
    assert "bad" not in tenants.discovered().plugins


# --- Health --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [raises, leaves, hangs, lambda: None, lambda: 42])
def test_a_question_that_fails_is_an_answer(portal, bad, monkeypatch, fault):
    from core.cli import plugins

    monkeypatch.setattr(plugins, "CALL_TIMEOUT_SECONDS", 0.2)
    bad.does["health_checks"] = lambda: [HealthCheck("one", fault), HealthCheck("two", lambda: "ill")]
    first, second = health(portal.runtime, "valmont", "bad")
    assert first.startswith("one: plugin 'bad' failed")
    assert second == "two: ill"


def test_another_town_does_not_wait_for_a_plugin_that_hangs(page, bad, monkeypatch):
    monkeypatch.setattr(containment, "CALL_TIMEOUT_SECONDS", 2 * PATIENCE_SECONDS)
    hung = threading.Event()
    bad.does["payment_providers"] = lambda: hung.set() or hangs()
    waiting = threading.Thread(target=page)
    waiting.start()
    assert hung.wait(PATIENCE_SECONDS)
    page("brumes")
    assert waiting.is_alive(), "it waited for the other town"
    released.set()
    waiting.join(PATIENCE_SECONDS)
    assert not waiting.is_alive()


# --- The tool itself -----------------------------------------------------------------------------


def test_every_hook_is_misbehaved_at():
    from core.cli.plugin_reference import hooks

    assert {hook.__name__ for hook in hooks()} == set(HOOKS)


def test_what_a_companion_raises_is_raised():
    with pytest.raises(PermanentError):
        companions.bounded(1, partial(_raise, PermanentError("no")))
    assert companions.bounded(1, lambda: 7) == 7


def test_companions_are_used_again():
    for _time in range(50):
        companions.bounded(1, lambda: None)
    alive = [thread for thread in threading.enumerate() if thread.name == "plugin-call"]
    assert len(alive) < 20


def _raise(error):
    raise error


@pytest.fixture
def patience(monkeypatch):
    monkeypatch.setattr(containment, "CALL_TIMEOUT_SECONDS", 1.0)
    released.clear()
    yield 1.0
    released.set()
    forget_rests()


def ask(*calls):
    """Ask each of several plugins; what failed is None."""

    def one(name, call):
        try:
            return containment.contain(name, "something", call)
        except FaultError:
            return None

    return [one(f"p{number}", call) for number, call in enumerate(calls)]


@pytest.mark.usefixtures("patience")
def test_one_of_several_that_hangs_is_left_out_and_rests():
    asked = []
    calls = (partial(_raise, ValueError), hangs, lambda: 1, lambda: asked.append(4) or 4)
    before = [counted("something", f"p{number}") for number in range(4)]
    assert containment.batch_calls(partial(ask, *calls)) == [None, None, 1, 4]
    let_go()
    assert asked == [4], "what hung ends one day, and then asks nobody any more"
    after = [counted("something", f"p{number}") for number in range(4)]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 0, 0]
    assert containment.batch_calls(partial(ask, *calls))[1] is None, "it rests"


@pytest.mark.usefixtures("patience")
def test_a_machine_that_stands_still_costs_no_answer():
    """Between two questions it is no plugin's fault, and a page is not to fail for it."""
    stalls = []

    def slowly():
        first = ask(lambda: 1)
        if threading.current_thread().name == "plugin-call":
            stalls.append(1)
            time.sleep(1.4)
        return first + ask(lambda: 2)

    assert containment.batch_calls(slowly) == [1, 2]
    assert len(stalls) == 2


def let_go():
    """Let what hangs end."""
    released.set()
    for thread in threading.enumerate():
        if thread.name == "plugin-call" and thread not in companions._idle:
            thread.join(PATIENCE_SECONDS)


class Alarm(BaseException):
    """Raised in a thread that waits, as by a signal."""


def test_who_is_called_away_leaves_nobody_asking(patience, monkeypatch):
    """A worker's time is over while it waits: the session is closed, and must not be used."""
    asked = []

    class Waiting:
        def put(self, _answer):
            """Nobody is there."""

        def get(self, timeout):
            assert timeout <= patience
            while not asked:
                time.sleep(0.01)
            raise Alarm

    companion = companions.Companion()
    companion._answers = Waiting()
    companion.start()
    monkeypatch.setattr(containment, "take", lambda: companion)
    with pytest.raises(Alarm):
        containment.batch_calls(
            partial(ask, lambda: asked.append(1) or hangs(), lambda: asked.append(2))
        )
    released.set()
    companion.join(PATIENCE_SECONDS)
    assert not companion.is_alive()
    assert asked == [1]
    assert companion not in companions._idle


def test_a_plugin_speaks_for_itself_only(patience):
    from core.platform import i18n

    def speaks_english():
        i18n._current.set("en")

    assert containment.batch_calls(partial(ask, speaks_english, i18n.current_locale)) == [None, "fr"]


def test_each_of_several_has_its_time(patience):
    slow = partial(threading.Event().wait, patience * 0.4)  # Three take longer than one may.
    assert containment.batch_calls(partial(ask, slow, slow, slow)) == [False] * 3


@pytest.mark.usefixtures("patience")
def test_a_plugin_that_calls_another_answers_for_its_time():
    """What a plugin's code asks of others is a part of its own call."""

    def asks_another():
        return ask(hangs)

    assert containment.batch_calls(partial(ask, asks_another, lambda: 2))[1] == 2


def test_what_is_asked_together_wakes_one_thread(portal, bad, monkeypatch):
    woken = []
    take = containment.take
    monkeypatch.setattr(containment, "take", lambda: woken.append(1) or take())
    bad.does["menu_entries"] = lambda _audience: [MenuEntry("Une entrée", "bad.page")]
    with portal.town() as town:
        containment.batch_calls(lambda: (town.menu(Audience.PARENTS), town.selection.of(["CANTINE"])))
        assert len(woken) == 1
        assert [entry.label for entry in town.menu(Audience.PARENTS)] == ["Une entrée"]


def test_a_page_like_the_last_one_wakes_no_thread(page, monkeypatch):
    page()
    monkeypatch.setattr(containment, "take", None)
    page()


def test_a_hook_that_asks_itself_is_told_of_nothing(portal, bad):
    from core.api.web import Audience

    threads = threading.active_count()
    with portal.town() as town:
        bad.does["menu_entries"] = lambda audience: [
            MenuEntry("Une entrée", "bad.page"), *town.menu(audience),
        ]  # fmt: skip
        assert [entry.label for entry in town.menu(Audience.PARENTS)] == ["Une entrée"]
    assert threading.active_count() <= threads + 2


def test_what_asks_together_raises_is_raised():
    with pytest.raises(PermanentError):
        containment.batch_calls(partial(_raise, PermanentError("no")))


def test_words_are_those_of_the_reader():
    from core.platform import i18n

    with i18n.use("en"):
        assert companions.bounded(1, i18n.current_locale) == "en"


