"""Fixtures: the demonstration as `preau run` serves it, and a Chromium to walk through it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from visitor import PATIENCE, PHONE, READY, Demo, Visitor

from core.cli.addresses import ENVIRONMENT
from core.dev.embedded import free_port


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    data, log = folder / "data", folder / "log"
    ours = ("PREAU_", "PYTEST_", *ENVIRONMENT)
    bare = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    port = free_port()
    command = [sys.executable, "-P", "-m", "core.cli.main", "run"]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--data-dir", str(data), "--port", str(port)],
            env=bare, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + READY
        while "is ready" not in log.read_text("utf-8", errors="replace"):
            assert process.poll() is None, log.read_text("utf-8", errors="replace")[-4000:]
            assert time.monotonic() < deadline, log.read_text("utf-8", errors="replace")[-4000:]
            time.sleep(0.3)
        environment = json.loads((data / "run.json").read_text("utf-8"))["environment"]
        codes = json.loads((data / "demo-codes.json").read_text("utf-8"))
        agents = json.loads((data / "demo-agents.json").read_text("utf-8"))
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
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.fixture(scope="module")
def chromium() -> Browser:
    """Closed with the file: Playwright's loop runs until then, and others want to run theirs."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "chromium is missing: make test installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                  "--disable-background-networking", "--disable-component-update"],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, request):
    """Make visitors: ``visit(PHONE)``. ``--pictures`` keeps what they see."""
    contexts = []
    folder = os.environ.get("PREAU_TEST_PICTURES")

    def make(size=PHONE, **options) -> Visitor:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, locale="fr-FR", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        name = "phone" if size == PHONE else "desk"
        visitor = Visitor(page, name, Path(folder) if folder else None, [])
        page.on("console", lambda m: visitor.complaints.append(m.text) if m.type == "error" else 0)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        return visitor

    yield make
    for context in contexts:
        context.close()
