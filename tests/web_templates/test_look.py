"""The pages as a browser shows them: axe, no sideways scroll, targets, the content policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from page_viewer import Viewer, browser
from template_samples import samples

pytestmark = pytest.mark.browser
SHOWN = [sample for sample in samples() if sample.template != "guide"]
RULES = {
    "type": "tag",
    "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
COLOURS = {"type": "rule", "values": ["color-contrast"]}
SMALL_TARGETS = """
() => [...document.querySelectorAll("a, button, select, input:not([type=hidden])")]
  .filter((e) => e.checkVisibility() && !e.closest(".prose, .empty, .lead, .skip, .summary, .cover, label"))
  .filter((e) => e.getBoundingClientRect().height < 43.5 && !e.matches(".cover, .skip"))
  .map((e) => `${e.outerHTML.slice(0, 90)}: ${e.getBoundingClientRect().height}`)
"""


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    with browser() as chromium:
        yield Viewer(chromium.new_page())


@pytest.mark.parametrize("sample", SHOWN, ids=lambda sample: sample.name)
def test_a_page_is_accessible(viewer: Viewer, sample) -> None:
    viewer.show(sample)
    # What is said is the same at every size and scheme: there the colours alone are asked again.
    for size, scheme, rules in (("phone", "light", RULES), ("desk", "dark", COLOURS)):
        viewer.view(size, scheme)
        assert viewer.violations(rules) == ""
        assert viewer.overflow() <= 0
    viewer.view("phone", "light")
    assert viewer.page.evaluate(SMALL_TARGETS) == []
    assert viewer.complaints == []


@pytest.mark.parametrize("accent", ["#ffe14d", "#10203f", "#d40058", "#8fd0ff"])
def test_contrast_holds_with_a_towns_own_accent(viewer: Viewer, accent: str) -> None:
    from core.platform.tenancy.colours import ink_on

    viewer.theme = f":root {{ --accent: {accent}; --accent-ink: {ink_on(accent)}; }}"
    try:
        for name in ("home", "invoices", "menu"):
            viewer.show(next(sample for sample in SHOWN if sample.name == name))
            for scheme in ("light", "dark"):
                viewer.view("desk", scheme)
                assert viewer.violations(COLOURS) == ""
    finally:
        viewer.theme = ""


def test_english_fits_too(viewer: Viewer) -> None:
    for sample in SHOWN:
        viewer.show(sample, "en")
        viewer.view("phone", "light")
        assert viewer.overflow() <= 0, sample.name


def test_text_may_be_twice_as_large(viewer: Viewer) -> None:
    for name in ("home", "sign-in", "invoices", "checkout-two", "paid", "alerts", "account"):
        viewer.show(next(sample for sample in SHOWN if sample.name == name))
        # 200 % zoom of a small laptop, and of a phone held upright (WCAG 1.4.10: 320 pixels).
        viewer.page.set_viewport_size({"width": 320, "height": 640})
        assert viewer.overflow() <= 0, name


def test_the_button_tells_the_total(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "invoices"))
    form = viewer.page.locator("form.pick").nth(1)
    button = form.get_by_role("button")
    assert button.inner_text() == "Procéder au paiement"
    form.get_by_label("GARDERIE B").check()
    form.get_by_label("CANTINE ET TRANSPORT").check()
    assert " ".join(button.inner_text().split()) == "Procéder au paiement : 315,80 €"


def test_the_waiting_page_watches_and_then_shows(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "waiting"))
    viewer.final = True
    viewer.loads = 0
    viewer.page.wait_for_event("load", timeout=5000)
    viewer.final = False
    assert viewer.loads == 1


def test_errors_are_what_one_reads_first(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "sign-in-wrong"))
    assert viewer.page.evaluate("document.activeElement.id") == "errors"
    viewer.page.get_by_role("link", name="Saisissez le code enfant.").click()
    assert viewer.page.evaluate("document.activeElement.id") == "child_code"
