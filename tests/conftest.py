"""What every test may ask for. Fixtures start nothing until they are asked for."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any
from unittest import mock

import page
import parsed_pages  # noqa: F401 - WebTest makes such pages from here on
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.platform.documents.pdf import _Typesetter
from core.platform.plugins import calls
from core.testing.prepared import FOLDER, shared_folder
from core.testing.waiting import let_midnight_pass

HERE = Path(__file__).parent
pytest_plugins = [
    "core.testing.database", "core.testing.portal", "core.testing.seaweed",
    "office_browser", "parents_browser",
]  # fmt: skip

# Collecting the tests leaves a million objects and no garbage, which would be gone through again and again.
gc.disable()
# A test leaves little garbage beside all that is loaded, which need not be gone through each time.
gc.set_threshold(100_000, 50, 50)
# A busy machine is no failure. A check of one commit draws the same examples each time, so that
# it judges the commit and not the draw; `make test-long` draws new ones.
BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("preau", derandomize=True, **BUSY)
settings.register_profile("long", max_examples=1000, **BUSY)
settings.load_profile("preau")
# By itself structlog draws the local variables of every frame of a fault, which takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


KEPT = {
    # What a process keeps, by module: how to forget it. Nothing is imported for it.
    "core.messages.email.smtp": ("forget",),
    "core.platform.plugins.rests": ("forget_rests",),
    "core.platform.sharing": ("lift_limits",),
    "core.platform.settings": ("get_settings.cache_clear",),
    "core.processes.consumers": ("_failing.clear", "_answering.clear"),
    "core.processes.queue": ("_broker.cache_clear",),
    "core.processes.worker": ("_consumers.cache_clear",),
    "core.runtime": ("get_runtime.cache_clear",),
}


@pytest.fixture(autouse=True)
def within_one_day() -> None:
    """Begin no test a minute before midnight: the day, month or year would change beneath it."""
    let_midnight_pass()


@pytest.fixture(autouse=True)
def process_as_found(within_one_day: None) -> Iterator[None]:
    """Undo what a test, or a command that it runs in this process, leaves in the process.

    A command told the simulators' usual addresses to the environment once; a demonstration that a
    later test of the same process started on other ports then sent its parents there. A plugin that
    one test let hang rested in the next.
    """
    with mock.patch.dict(os.environ):
        yield
    for module, acts in KEPT.items():
        if module in sys.modules:
            for act in acts:
                attrgetter(act)(sys.modules[module])()


@pytest.fixture(scope="session", autouse=True)
def hashes_are_cheap() -> Iterator[None]:
    """Hash cheaply in this process, also where a module's fixtures sign families in by the dozen."""
    from core.testing.portal import cheap_hashes  # Late: pytest imports it, as a plugin.

    with cheap_hashes():
        yield


@pytest.fixture(scope="session", autouse=True)
def plugins_have_time() -> Iterator[None]:
    """Give up no plugin's call because the machine is busy; tests of those that hang have a bound of their own."""
    with mock.patch.object(calls, "CALL_TIMEOUT_SECONDS", 60.0):
        yield


@pytest.fixture(scope="session", autouse=True)
def made_once_for_all_workers(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Keep what templates were compiled to, and a migrated cluster, for every process of this run."""
    folder = shared_folder(pytestconfig, tmp_path_factory)
    with mock.patch.dict(os.environ, {"PREAU_CACHE_DIR": str(folder / "templates"), FOLDER: str(folder)}):
        yield


@pytest.fixture(autouse=True)
def papers_are_accessible(process_as_found: None, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Check each paper that this process prints, whichever test and plugin asks for it: PDF/UA-1.

    What a test adds to the set are rules that its own paper cannot keep. `process_as_found` is asked
    for so that what is patched is itself again before the process is tidied up.
    """
    excused: set[str] = set()
    set_as_pdf = _Typesetter.set

    def set_and_check(typesetter: _Typesetter, html: str) -> bytes:
        content = set_as_pdf(typesetter, html)
        report = page.validate_pdf_bytes(content, profile=page.ValidationProfile.PDF_UA_1)
        found = [f"{fault.rule_id}: {fault.message}" for fault in report.failures if fault.rule_id not in excused]
        assert found == []
        return content

    monkeypatch.setattr(_Typesetter, "set", set_and_check)
    return excused


LONGEST_FIRST = (
    # Each line is what four workers begin with: a file of one or two tests takes a second at once.
    "browser/test_demo.py", "browser/test_month.py", "web_templates/test_look.py", "faults/test_disasters.py", "isolation/test_routes.py",
    "faults/test_processes.py", "faults/test_planning_kills.py", "isolation/test_fuzz_forms.py", "properties/test_journeys.py",
    "faults/test_failover.py", "kit/test_new_plugin.py", "isolation/test_cells.py", "environment/test_run.py",
    "deploy/test_generations.py", "faults/test_races.py", "architecture/test_sign_in_safety.py",
    "cheques/test_one_slip.py", "payments/test_payments.py", "properties/test_attempts.py", "browser/test_cheque_review.py",
    "cheques/test_cheque_books.py", "cheques/test_cheque_ledger.py", "faults/test_relay.py", "payfip/test_payfip_ledger.py",
    "pes/test_pes_contract.py", "processes/test_both_towns.py", "cheques/test_cheque_races.py",
    "payfip/test_payfip_schedules.py", "invoices/test_credit_notes.py", "kit/test_bad_neighbours.py", "telegram/test_bot_answers.py",
    "cheques/test_cheque_desk.py", "isolation/test_backup.py", "isolation/test_walls.py", "isolation/test_households.py",
    "isolation/test_openapi.py", "cheques/test_cheque_journey.py", "planning/test_planning_office.py", "planning/test_planning_year.py",
    "telegram/test_another_telegram.py", "payfip/test_payfip_process.py",
)  # fmt: skip
"""Files by what they cost, so that no worker begins with one of them when the others end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", metavar="SEED",
        help="run the files, and the tests of each file, in a random order: a number, or 'new' for any",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.option.shuffle = config.workerinput["shuffle"]
    elif config.option.shuffle == "new":
        config.option.shuffle = str(random.randrange(1_000_000))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist, which would draw a number of its own."""
    gc.enable()  # Who hands the tests out collects none.
    node.workerinput["shuffle"] = node.config.option.shuffle


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; in a random order where it is asked for."""
    if config.option.shuffle:
        dice = random.Random(config.option.shuffle)
        files: dict[Path, list[pytest.Item]] = {}
        for item in items:
            files.setdefault(item.path, []).append(item)
        shuffled = list(files.values())
        dice.shuffle(shuffled)
        for tests in shuffled:  # By dice of its own, so that a file by itself has the same order.
            random.Random(f"{config.option.shuffle} {tests[0].path.name}").shuffle(tests)
        items[:] = [test for tests in shuffled for test in tests]
        return
    places = {HERE / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@given(st.none())
def _draw(_nothing: None) -> None:
    """Let hypothesis make what it keeps for this process."""


def pytest_collection_finish() -> None:
    """Put what collecting made beside: a million objects that no later search for garbage need look at."""
    # What is put beside holds nothing, for who asks the collector: hypothesis warns that its own random
    # numbers may go any moment, if it makes them later.
    _draw()  # Which collects garbage itself, once: half a second a worker.
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.option.shuffle:
        terminalreporter.write_line(f"In this order again: --shuffle={config.option.shuffle}")
