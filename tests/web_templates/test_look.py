"""The pages as a browser shows them: axe, no sideways scroll, targets, the content policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from page_viewer import Viewer
from template_samples import BARE_TOWN, TOWN, TWO_HOMES, samples

from tests import axe_rules, sniffer
from tests.chromium import browser

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
EDGES = """
() => [...document.querySelectorAll("main > :is(.card, .tiles, .note, .basket, .lead), main > .cards > li, main > form.card")]
  .map((e) => e.getBoundingClientRect())
  .map((b) => [Math.round(b.left), Math.round(innerWidth - b.right)])
"""


@pytest.fixture(scope="module")
def viewer() -> Iterator[Viewer]:
    with browser() as chromium, closing(Viewer(chromium.new_page())) as viewer:
        yield viewer


@pytest.fixture(scope="module")
def column(viewer: Viewer) -> set[tuple[int, int]]:
    """Where titles and cards of the first page begin and end, and so those of all pages."""
    viewer.view("desk", "light")
    viewer.show(next(sample for sample in SHOWN if sample.name == "invoices"))
    found = edges(viewer)
    assert len(found) == 1, found
    return found


def edges(viewer: Viewer) -> set[tuple[int, int]]:
    return {(left, right) for left, right in viewer.page.evaluate(EDGES)}


@pytest.mark.parametrize("sample", SHOWN, ids=lambda sample: sample.name)
def test_a_page_is_accessible_and_one_column(viewer: Viewer, column: set[tuple[int, int]], sample) -> None:
    viewer.view("phone", "light")
    viewer.show(sample)
    assert viewer.violations(RULES) == ""
    assert viewer.overflow() <= 0
    assert sniffer.errors(viewer.page) == []
    assert viewer.page.evaluate(SMALL_TARGETS) == []
    # What is said is the same at every size and scheme: there the colours alone are asked again.
    viewer.view("desk", "dark")
    assert viewer.violations(COLOURS) == ""
    assert viewer.overflow() <= 0
    assert viewer.complaints == []
    if viewer.page.locator("main.column").count():
        assert edges(viewer) <= column


def test_a_pale_row_of_a_long_list_is_found(viewer: Viewer) -> None:
    """Rows that look like the first three are not asked for their contrast: this one looks otherwise."""
    viewer.view("desk", "light")
    viewer.show(next(sample for sample in SHOWN if sample.name == "home"))
    viewer.page.evaluate("""() => {
      const list = document.createElement("ul");
      for (let number = 0; number < 40; number += 1)
        list.append(Object.assign(document.createElement("li"), {textContent: `Facture ${number}`}));
      document.querySelector("main").append(list);
    }""")
    assert axe_rules.violations(viewer.page) == ""
    viewer.page.evaluate("document.querySelector('main > ul > :nth-child(20)').style.color = '#ddd'")
    assert "contrast" in axe_rules.violations(viewer.page)


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
    viewer.view("phone", "light")
    for sample in SHOWN:
        viewer.show(sample, "en")
        assert viewer.overflow() <= 0, sample.name


def test_text_may_be_twice_as_large(viewer: Viewer) -> None:
    for name in ("home", "sign-in", "invoices", "checkout-two", "paid", "alerts", "account"):
        viewer.show(next(sample for sample in SHOWN if sample.name == name))
        # 200 % zoom of a small laptop, and of a phone held upright (WCAG 1.4.10: 320 pixels).
        viewer.page.set_viewport_size({"width": 320, "height": 640})
        assert viewer.overflow() <= 0, name


def test_the_bar_tells_the_total(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "invoices"))
    bar = viewer.page.get_by_role("status")
    all_of_them = viewer.page.get_by_label("Tout régler")

    def told() -> str:
        return " ".join(bar.inner_text().split())

    assert told() == "Aucune facture"
    viewer.page.get_by_label("GARDERIE B").check()
    assert told() == "1 facture · 215,80 €"
    viewer.page.get_by_label("CANTINE ET TRANSPORT").check()
    assert told() == "2 factures · 315,80 €"
    assert not all_of_them.is_checked()
    viewer.page.locator('[name=invoice][value="1"]').check()
    assert told() == "3 factures · 372,67 €"
    assert all_of_them.is_checked()
    all_of_them.uncheck()
    assert told() == "Aucune facture"


def test_twenty_invoices_are_one_tick_and_one_short_page(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "invoices-twenty"))
    viewer.page.set_viewport_size({"width": 400, "height": 800})
    assert viewer.page.evaluate("document.documentElement.scrollHeight") < 2500
    viewer.page.get_by_label("Tout régler").check()
    assert viewer.page.locator("[name=invoice]:checked").count() == 20
    # The bar stays in sight, wherever one reads.
    assert viewer.page.get_by_role("button", name="Payer").is_visible()
    assert viewer.page.locator(".basket-bar").bounding_box()["y"] < 800


def test_the_lines_of_an_invoice_open_where_it_stands(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "invoices"))
    lines = viewer.page.locator("details").first
    assert not lines.get_by_text("Restauration scolaire").first.is_visible()
    lines.locator("summary").click()
    told = " ".join(lines.inner_text().split())
    assert "Restauration scolaire Jamie 12 × 3,61 € 43,32 €" in told
    assert "N° 2018-010-000001" in told


ROWS = """
() => [...document.querySelectorAll(".site-header .bar, .site-header .bar .main-nav ul, .site-header .bar-end")]
  .map((row) => [...row.children].filter((e) => e.checkVisibility()).map((e) => e.getBoundingClientRect()))
  .filter((boxes) => Math.max(...boxes.map((b) => b.top)) >= Math.min(...boxes.map((b) => b.bottom)))
  .length
"""


def test_the_header_is_one_row(viewer: Viewer) -> None:
    shown = [next(sample for sample in SHOWN if sample.name == name) for name in ("invoices", "menu", "home")]
    # The longest names that we know of, with a choice of families.
    longest = replace(BARE_TOWN, file=BARE_TOWN.file.model_copy(update={"tenant": TOWN.file.tenant.model_copy(
        update={"name": BARE_TOWN.file.tenant.name}
    )}))
    shown.append(replace(shown[0], town=longest, who=TWO_HOMES))
    for sample in shown:
        for language in ("fr", "en"):
            viewer.show(sample, language)
            for width in (320, 360, 414, 540, 768, 1020, 1090, 1150, 1280, 1600):
                viewer.page.set_viewport_size({"width": width, "height": 740})
                told = (sample.name, sample.town.slug, language, width)
                assert viewer.page.locator(".site-header .bar").bounding_box()["height"] <= 90, told
                assert viewer.page.evaluate(ROWS) == 0, told
                assert viewer.overflow() <= 0, told


def test_tiles_are_of_one_height(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "menu"))
    for size in ("phone", "desk"):
        viewer.view(size, "light")
        heights = viewer.page.evaluate(
            "() => [...document.querySelectorAll('.tiles a')].map((e) => Math.round(e.getBoundingClientRect().height))"
        )
        assert len(set(heights)) == 1, heights


def test_the_waiting_page_watches_and_then_shows(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "waiting"))
    viewer.final = True
    viewer.loads = 0
    viewer.page.wait_for_event("load")
    viewer.final = False
    assert viewer.loads == 1


def test_errors_are_what_one_reads_first(viewer: Viewer) -> None:
    viewer.show(next(sample for sample in SHOWN if sample.name == "sign-in-wrong"))
    assert viewer.page.evaluate("document.activeElement.id") == "errors"
    viewer.page.get_by_role("link", name="Saisissez le code enfant.").click()
    assert viewer.page.evaluate("document.activeElement.id") == "child_code"


def test_paper_is_white_whatever_the_screen(viewer: Viewer) -> None:
    """A reader of dark screens prints dark on light, without buttons and bars."""
    for name in ("invoices", "paid", "done"):
        viewer.show(next(sample for sample in SHOWN if sample.name == name))
        viewer.page.emulate_media(media="print", color_scheme="dark")
        try:
            assert viewer.violations(COLOURS) == ""
            for bar in (".main-nav", ".basket-bar", ".receipt"):
                assert viewer.page.locator(bar).locator("visible=true").count() == 0, (name, bar)
        finally:
            viewer.page.emulate_media(media="screen", color_scheme="light")
