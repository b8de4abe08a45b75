"""Fixtures: the demonstration as `preau run` serves it, and a Chromium to walk through it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from judges import Judges
from playwright.sync_api import Browser
from visitor import PATIENCE, PHONE, READY, Demo, Visitor

from core.testing.preloaded import popen
from core.testing.prepared import put_cluster
from tests.chromium import browser
from tests.running import Running, all_gone

HOUSEHOLDS = 16
"""More invoices than a page of their list has, of every kind."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    """The demonstration; killed outright at the end, it leaves nothing behind."""
    # Papers that nobody reads would be made whenever the machine has a moment.
    data_dir = tmp_path_factory.mktemp("demo") / "data"
    # The schema is what `tests/environment/test_run.py` makes of nothing.
    put_cluster(data_dir)
    # A small past: that of a hundred families takes a minute of work, and shows nothing else.
    run = Running(
        data_dir, start=popen, PREAU_PAPERS_AHEAD="false", PREAU_DEMO_HOUSEHOLDS=str(HOUSEHOLDS),
        PREAU_CACHE_DIR=os.environ["PREAU_CACHE_DIR"],
    )  # fmt: skip
    try:
        run.said("is ready", READY)
        environment = run.state()["environment"]
        codes = json.loads((run.data_dir / "demo-codes.json").read_text("utf-8"))
        agents = json.loads((run.data_dir / "demo-agents.json").read_text("utf-8"))
        yield Demo(
            url=environment["PREAU_PUBLIC_BASE_URL"],
            mailbox=environment["MAILBOX_URL"],
            simulator=environment["PAYFIP_SIMULATOR_URL"],
            telegram=environment["TELEGRAM_SIMULATOR_URL"],
            codes={
                town: {item["family"]: item["secret"] for item in families}
                for town, families in codes.items()
            },
            agents=agents,
        )
    finally:
        started = run.family()
        run.end(signal.SIGKILL)
    assert len(started) > 8
    all_gone(started)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def judges(chromium) -> Iterator[Judges]:
    """The judges of pages, whichever visitor sees them."""
    judges = Judges(chromium)
    yield judges
    judges.close()


@pytest.fixture
def visit(chromium, judges):
    """Make visitors: ``visit(PHONE)``. ``--pictures`` keeps what they see."""
    contexts = []
    folder = os.environ.get("PREAU_TEST_PICTURES")

    def make(size=PHONE, **options) -> Visitor:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, locale="fr-FR", **options
        )
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        name = "phone" if size == PHONE else "desk"
        visitor = Visitor(page, name, Path(folder) if folder else None, [], judges)
        page.on("console", lambda m: visitor.complaints.append(m.text) if m.type == "error" else 0)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        return visitor

    yield make
    for context in contexts:
        context.close()
