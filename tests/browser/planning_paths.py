"""The planning in the demonstration town: parents on a telephone, with keys or thumbs, and agents.

Collected by `test_demo.py`, so that one worker serves one demonstration. Its pictures are those of
docs/screenshots: ``PREAU_TEST_PICTURES=docs/screenshots``.
"""

from __future__ import annotations

import pytest
from office_paths import TOWN, enter
from visitor import DESK, PHONE

__all__ = [
    "test_a_week_is_planned_with_keys_alone",
    "test_planning_pages_are_sound",
    "test_planning_without_a_script",
    "test_taps_without_a_network_are_kept_and_sent",
]
FAMILY = "F00007"
WEEKS_OF_HOLIDAYS = 12
"""More than a summer has."""


CHANGEABLE = "input[name=is]:not(:disabled)"


def weeks_ahead(visitor, demo, number):
    """Open the week that lies so far ahead, or the first one after it on which the services are open."""
    visitor.page.goto(f"{demo.url}/{TOWN}/+planning/")
    for week in range(number + WEEKS_OF_HOLIDAYS):
        if week >= number and visitor.page.locator(CHANGEABLE).count():
            return
        with visitor.page.expect_navigation():
            visitor.link("Semaine suivante")
    raise AssertionError("nothing can be changed in weeks")


def test_a_week_is_planned_with_keys_alone(demo, visit):
    visitor = visit(PHONE)
    page = visitor.page
    visitor.sign_in(demo, TOWN, FAMILY)
    page.goto(f"{demo.url}/{TOWN}/")
    visitor.link("Menu")
    visitor.link("Planning")
    visitor.sees("Semaine suivante")
    weeks_ahead(visitor, demo, 5)
    visitor.sees("Cochez les jours")
    visitor.picture("planning-1-week")
    boxes = page.locator(CHANGEABLE)
    before = boxes.first.is_checked()
    visitor.reach("Cantine")
    page.keyboard.press("Space")
    assert boxes.first.is_checked() is not before
    visitor.press("Voir ce qui change")
    visitor.sees("Ce qui change")
    visitor.picture("planning-2-changes")
    visitor.press("Confirmer")
    visitor.sees("Voici la preuve")
    visitor.picture("planning-3-proof")


def test_planning_without_a_script(demo, visit):
    """All of it is forms: the same week, asked for and taken back."""
    visitor = visit(PHONE, java_script_enabled=False)
    visitor.sign_in(demo, TOWN, FAMILY)
    page = visitor.page
    weeks_ahead(visitor, demo, 6)
    box = page.locator(CHANGEABLE).first
    before = box.is_checked()
    box.set_checked(not before)
    visitor.button("Voir ce qui change")
    page.get_by_text("Vérifier les changements").first.wait_for()
    visitor.button("Confirmer")
    page.get_by_text("Voici la preuve").first.wait_for()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_planning_pages_are_sound(demo, visit, size):
    visitor = visit(size)
    page = visitor.page
    visitor.sign_in(demo, TOWN, FAMILY)
    for number, (path, words) in enumerate([
        ("semaine-type", "Semaine habituelle"), ("mois", "Mois suivant"), ("demandes", "Mes demandes"),
        ("agenda", "Une adresse secrète"),
    ], 4):  # fmt: skip
        page.goto(f"{demo.url}/{TOWN}/+planning/{path}")
        visitor.sees(words)
        visitor.picture(f"planning-{number}-{path}")
    if size == PHONE:
        return
    # Another language: the same week.
    page.goto(f"{demo.url}/{TOWN}/+planning/")
    page.get_by_role("button", name="English").first.click()
    page.goto(f"{demo.url}/{TOWN}/+planning/")
    visitor.sees("Next week")
    visitor.picture("planning-8-english")


def test_taps_without_a_network_are_kept_and_sent(demo, visit):
    """A tap in a room without a network stays in the telephone, also when the page is closed."""
    visitor = visit(DESK)
    enter(visitor, demo)
    page = visitor.page
    page.goto(f"{demo.url}/{TOWN}/+planning/regie")
    for _day in range(7 * WEEKS_OF_HOLIDAYS):
        # The demonstration books from tomorrow on; holidays have nobody.
        if page.get_by_text("enfants attendus").count():
            break
        page.get_by_role("link", name="Jour suivant").click()
    visitor.sees("Export pour la facturation")
    visitor.picture("planning-office-1-day")
    page.locator("p", has_text="enfants attendus").get_by_role("link").first.click()
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    visitor.sees("enfants attendus")
    visitor.name = "phone"
    visitor.picture("planning-office-2-list")
    row = page.locator("#main li[id^=child-], main li[id^=child-]").first
    name = row.get_attribute("id")
    page.context.set_offline(True)
    row.get_by_role("button", name="Présent").click()
    page.get_by_text("attend le réseau").wait_for()
    visitor.complaints.clear()  # The browser's own word about the network.
    address = page.url
    page.close()
    page.context.set_offline(False)
    again = page.context.new_page()
    visitor.page = again
    with again.expect_response("**/regie/pointage"):
        again.goto(address)
    again.reload()
    pressed = again.locator(f"#{name}").get_by_role("button", name="Présent")
    assert pressed.get_attribute("aria-pressed") == "true"
    again.goto(f"{demo.url}/{TOWN}/+planning/regie/attente")
    visitor.sees("Listes d’attente")
    visitor.picture("planning-office-3-waiting")
