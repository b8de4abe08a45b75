"""Towns' files: what is wrong in one is named, and harms no other town."""

from __future__ import annotations

import pytest

from core.platform.tenancy.config import Contact
from core.platform.tenancy.registry import load_registry

GOOD = '[tenant]\nname = "Valmont"\nhosts = ["valmont.example"]\n\n[regies.CANTINE]\nlabel = "CANTINE"\n'

MISTAKES = {
    "a slip in a key": ('label = "CANTINE"', 'labell = "CANTINE"', "regies.CANTINE.label"),
    "a missing section": ("[tenant]", "[town]", "tenant"),
    "a wrong type": ('name = "Valmont"', "name = 3", "tenant.name"),
    "an unreadable colour": ("[tenant]", '[look]\naccent = "vert"\n[tenant]', "look.accent"),
    "no TOML at all": ("[tenant]", "[tenant", ""),
    "a plugin nobody installed": ("[tenant]", "[plugins.absent]\n[tenant]", "plugins.absent"),
    "a host that another town has": ("valmont.example", "brumes.example", "tenant.hosts"),
}


def write(folder, slug, text):
    (folder / slug).mkdir()
    (folder / slug / "tenant.toml").write_text(text, "utf-8")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_the_other_town_serves(tmp_path, mistake):
    old, new, key = MISTAKES[mistake]
    write(tmp_path, "brumes", GOOD.replace("valmont.", "brumes."))
    write(tmp_path, "valmont", GOOD.replace(old, new))
    registry = load_registry(tmp_path, {}, {})
    assert list(registry.towns) == ["brumes"]
    lines = [str(problem) for problem in registry.broken["valmont"]]
    assert all(line.startswith(str(tmp_path / "valmont" / "tenant.toml")) for line in lines)
    assert any(f" {key}" in line for line in lines), lines


def test_opening_hours_are_not_broken_in_the_middle():
    hours = Contact(hours="lundi, de 8 h 30 à 12 h et le 3 au soir").hours
    assert hours == "lundi, de 8\u00a0h\u00a030 à 12\u00a0h et le 3 au soir"
