"""The demonstration as `preau run` serves it, and a Chromium to walk through it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from core.db.embedded import free_port

READY = 180
PHONE, DESK = (360, 740), (1280, 900)


@dataclass
class Demo:
    """A running demonstration."""

    url: str
    mailbox: str
    simulator: str
    telegram: str
    codes: dict[str, dict[str, str]]

    def mails(self, to: str) -> list[dict]:
        """The mails to an address, newest first."""
        url = f"{self.mailbox}/api/mails"
        return httpx.get(url, params={"to": to}, trust_env=False).json()

    def wait_for_mail(self, to: str, subject: str) -> dict:
        """The newest mail to `to` whose subject holds `subject`."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for mail in self.mails(to):
                if subject in mail["subject"]:
                    return mail
            time.sleep(0.2)
        raise AssertionError(f"no mail to {to} about {subject!r}: {self.mails(to)}")


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    data, log = folder / "data", folder / "log"
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("PREAU_", "PYTEST_"))}
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
        yield Demo(
            url=environment["PREAU_PUBLIC_BASE_URL"],
            mailbox=environment["MAILBOX_URL"],
            simulator=environment["PAYFIP_SIMULATOR_URL"],
            telegram=environment["TELEGRAM_SIMULATOR_URL"],
            codes={
                town: {item["family"]: item["secret"] for item in families}
                for town, families in codes.items()
            },
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.fixture(scope="session")
def chromium() -> Browser:
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


@dataclass
class Visitor:
    """A person at a screen: acts, looks, and complains about what the browser complains about."""

    page: Page
    name: str
    pictures: Path | None
    complaints: list[str]

    def sees(self, *words: str) -> None:
        """The page holds these words, no sideways scroll, no complaint, and passes axe."""
        for word in words:
            self.page.get_by_text(word).first.wait_for()
        width = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert width <= 0, f"{self.page.url} scrolls sideways by {width} px"
        found = Axe().run(self.page)
        assert found.violations_count == 0, f"{self.page.url}\n{found.generate_report()}"
        assert self.complaints == []

    def picture(self, name: str) -> None:
        """Keep a picture, where a folder for them was given."""
        if self.pictures:
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.pictures / f"{self.name}-{name}.png", full_page=True)

    def button(self, name: str) -> None:
        """Press a button, or a link that looks like one."""
        self.page.locator("button", has_text=name).locator("visible=true").first.click()

    def link(self, name: str) -> None:
        """Follow a link, whatever it looks like."""
        self.page.locator("a", has_text=name).locator("visible=true").first.click()

    def sign_in(self, demo: Demo, town: str, family: str) -> None:
        """Come in with the printed codes."""
        self.page.goto(f"{demo.url}/{town}/connexion")
        self.page.get_by_label("Code famille").fill(family)
        self.page.get_by_label("Code enfant").fill(demo.codes[town][family])
        self.page.get_by_role("main").get_by_role("button", name="Connexion").click()


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
        page.set_default_timeout(20_000)
        name = "phone" if size == PHONE else "desk"
        visitor = Visitor(page, name, Path(folder) if folder else None, [])
        page.on("console", lambda m: visitor.complaints.append(m.text) if m.type == "error" else 0)
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        return visitor

    yield make
    for context in contexts:
        context.close()
