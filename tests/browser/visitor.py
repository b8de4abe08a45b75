"""A person at a screen in front of the demonstration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from judges import Judges
from playwright.sync_api import Page

from core.testing.waiting import PATIENCE_SECONDS, wait_until

READY = 300
PATIENCE = PATIENCE_SECONDS
"""Seconds: a busy machine is no failure. Who does not answer at all is found out all the same."""
PHONE, DESK = (360, 740), (1280, 900)


@dataclass
class Demo:
    """A running demonstration."""

    url: str
    mailbox: str
    simulator: str
    telegram: str
    codes: dict[str, dict[str, str]]
    agents: dict[str, dict[str, Any]]
    """By town: the secret of the agent's second factor, and recovery codes not used yet."""

    def mails(self, to: str) -> list[dict]:
        """The mails to an address, newest first."""
        url = f"{self.mailbox}/api/mails"
        return httpx.get(url, params={"to": to}, trust_env=False, timeout=PATIENCE).json()

    def wait_for_mail(self, to: str, subject: str) -> dict:
        """The newest mail to `to` whose subject holds `subject`."""
        found = []

        def has_come():
            found.extend(mail for mail in self.mails(to) if subject in mail["subject"])
            return found

        wait_until(has_come, PATIENCE, said=lambda: f"{subject!r} among {self.mails(to)}")
        return found[0]


@dataclass
class Visitor:
    """A person at a screen: acts, looks, and complains about what the browser complains about."""

    page: Page
    name: str
    pictures: Path | None
    complaints: list[str]
    judges: Judges

    def sees(self, *words: str) -> None:
        """The page holds these words, no sideways scroll, no complaint, and passes axe."""
        for word in words:
            self.page.get_by_text(word).first.wait_for()
        # Words may stand there before the style sheets do, wider than they will be.
        self.page.wait_for_load_state()
        self.fits()
        self.judges.judge(self.page)
        assert not self.complaints, self.complaints

    def fits(self) -> None:
        """The page does not scroll sideways, here and on a telephone."""
        own, phone = self.page.viewport_size, {"width": PHONE[0], "height": PHONE[1]}
        self._fits_now()
        if own != phone:
            self.page.set_viewport_size(phone)
            self._fits_now()
            self.page.set_viewport_size(own)

    def _fits_now(self) -> None:
        excess, width = self.page.evaluate(
            "[document.documentElement.scrollWidth - window.innerWidth, window.innerWidth]"
        )
        assert excess <= 0, f"{self.page.url} scrolls by {excess} px at {width}"

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

    # --- With the keyboard alone ---------------------------------------------------------------

    def reach(self, text: str, *, backwards: bool = False) -> None:
        """Press Tab until what has the focus says `text`, and see that the focus shows."""
        for _press in range(120):
            self.page.keyboard.press("Shift+Tab" if backwards else "Tab")
            if text in self.page.evaluate(FOCUSED):
                assert self.page.evaluate(SHOWS_FOCUS), f"{text!r} does not show its focus"
                return
        raise AssertionError(f"{text!r} cannot be reached with Tab on {self.page.url}")

    def press(self, text: str) -> None:
        """Reach a link or a button and press Enter, and wait for the page it leads to."""
        self.reach(text)
        self.submit()

    def choose(self, group: str, entry: str) -> None:
        """Open a group of the office's menu and follow an entry of it."""
        self.reach(group)
        self.page.keyboard.press("Enter")
        self.press(entry)

    def submit(self) -> None:
        """Press Enter, and wait for the page that answers."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def type(self, label: str, text: str) -> None:
        """Reach a field and type into it, in the place of what is there."""
        self.reach(label)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)


FOCUSED = """() => {
  const it = document.activeElement;
  if (it === document.body) return "";
  return it.getAttribute("aria-label") ?? (it.labels?.[0] ?? it).textContent;
}"""
SHOWS_FOCUS = """() => {
  const its = [document.activeElement, ...(document.activeElement.labels ?? [])];
  // A link that covers a card draws its outline behind or around itself.
  const styles = its.flatMap(it => [null, "::after"].map(part => getComputedStyle(it, part)));
  return styles.some(style =>
    (style.outlineStyle !== "none" && style.outlineWidth !== "0px") || style.boxShadow !== "none"
  );
}"""
