"""Towns' files: what is wrong in one is named, and harms no other town."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    SecretStr,
)

from core.api.plugin import PluginSettings
from core.platform.tenancy.config import Contact
from core.platform.tenancy.lent import is_lasting
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


class Desk(BaseModel):
    """A section that is not frozen, as authors write them."""

    codes: list[str] = []


class Changeable(PluginSettings):
    names: list[str] = Field(["a"])
    accounts: dict[str, dict[str, str]] = Field({"meals": {"account": "7067"}})
    kinds: set[str] = Field({"x"})
    desks: tuple[Desk, ...] = (Desk(codes=["1"]),)


class Loose(BaseModel):
    """Settings of an author who did not take `PluginSettings`."""

    model_config = ConfigDict(extra="allow")
    name: str = "a"


class Lasting(PluginSettings):
    key: SecretStr = SecretStr("k")
    desks: tuple[str, ...] = ("1",)
    accounts: Annotated[Mapping[str, tuple[str, ...]], AfterValidator(MappingProxyType), PlainSerializer(dict)] = Field(
        {"meals": ("7067",)}, validate_default=True
    )


class ChangeableInside(Lasting):
    """A table that nobody can change, of lists that anybody can."""

    accounts: Annotated[Mapping[str, list[str]], AfterValidator(MappingProxyType), PlainSerializer(dict)] = Field(
        {"meals": ["7067"]}, validate_default=True
    )


class Keeper(PluginSettings):
    """Keeps what cannot be copied."""

    _lock: object = PrivateAttr(default_factory=threading.Lock)


CHANGES = {
    "a list": lambda given: given["changeable"].names.append("b"),
    "a table": lambda given: given["changeable"].accounts.clear(),
    "a table in a table": lambda given: given["changeable"].accounts["meals"].update(account="0"),
    "a set": lambda given: given["changeable"].kinds.add("y"),
    "a section": lambda given: setattr(given["changeable"].desks[0], "codes", []),
    "a list in a section": lambda given: given["changeable"].desks[0].codes.append("2"),
    "past the model": lambda given: given["changeable"].__dict__.update(names=[]),
    "a field": lambda given: setattr(given["loose"], "name", "b"),
    "a field that it brings": lambda given: setattr(given["loose"], "more", "b"),
}


@pytest.fixture
def given(tmp_path):
    models = {"changeable": Changeable, "loose": Loose, "lasting": Lasting, "keeper": Keeper}
    write(tmp_path, "valmont", GOOD + "".join(f"[plugins.{name}]\n" for name in models))
    return load_registry(tmp_path, models, {}).towns["valmont"].settings


@pytest.mark.parametrize("change", CHANGES)
def test_who_changes_settings_changes_them_for_nobody_else(given, change):
    before = {name: given[name].model_dump() for name in given}
    CHANGES[change](given)
    assert {name: given[name].model_dump() for name in given} == before


def test_a_table_lasts_as_long_as_what_stands_in_it():
    assert is_lasting(Lasting())
    assert not is_lasting(ChangeableInside())


def test_settings_that_nobody_can_change_are_not_copied(given):
    assert given["lasting"] is given["lasting"]
    assert given["keeper"] is given["keeper"], "it cannot be copied: it still serves"
    assert given["changeable"] is not given["changeable"]
    assert "absent" not in given
    assert given.get("absent") is None
    assert set(given) == {"changeable", "loose", "lasting", "keeper"}
