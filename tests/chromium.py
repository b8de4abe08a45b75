"""A Chromium without a window. ``make test`` installs the small one, which takes a third less work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from core.testing.waiting import PATIENCE_SECONDS

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update",
    # One process less, which nothing of a test draws enough for.
    "--in-process-gpu",
)  # fmt: skip


@contextmanager
def browser() -> Iterator[Browser]:
    """Start one, to be closed with a file's tests: until then Playwright's loop runs, and others want to."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, "Chromium is missing: make test installs it"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS), timeout=1000 * PATIENCE_SECONDS)
        yield chromium
        chromium.close()
