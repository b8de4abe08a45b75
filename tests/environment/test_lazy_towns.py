"""Towns are read when they are first asked for, as their files were when the process started."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import model_validator

from core.api.plugin import PluginSettings
from core.platform.tenancy.registry import Registry, hosts_named, load_registry

TOWN = '[tenant]\nname = "{slug}"\nhosts = ["{slug}.example"]\n[regies.R]\nlabel = "R"\n[plugins.seen]\nby = "{slug}"\n'

READ: list[str] = []


class Seen(PluginSettings):
    """Settings that tell whose file is read."""

    by: str

    @model_validator(mode="after")
    def _noted(self) -> Seen:
        READ.append(self.by)
        return self


@pytest.fixture
def towns(tmp_path):
    READ.clear()
    for number in range(20):
        slug = f"ville-{number}"
        (tmp_path / slug).mkdir()
        (tmp_path / slug / "tenant.toml").write_text(TOWN.format(slug=slug), "utf-8")
    return tmp_path


def test_only_the_town_that_is_asked_for_is_read(towns):
    registry = load_registry(towns, {"seen": Seen}, {})
    assert registry.get("nowhere") is None
    assert registry.by_host("nowhere.example") is None
    assert READ == []
    assert registry.by_host("ville-7.example:443") == "ville-7"
    assert registry.get("ville-3").name == "ville-3"
    assert registry.problems("ville-3") == []
    assert READ == ["ville-7", "ville-3"]
    assert len(registry.towns) == 20
    assert sorted(READ) == sorted({*READ})  # None was read twice.


def test_a_change_waits_for_a_reload(towns):
    """Processes that read a town on different days show one portal."""
    registry = load_registry(towns, {"seen": Seen}, {})
    file = towns / "ville-5" / "tenant.toml"
    file.write_text("half a sent", "utf-8")
    assert registry.get("ville-5").name == "ville-5"
    assert load_registry(towns, {"seen": Seen}, {}).problems("ville-5")


def test_the_first_of_two_towns_keeps_a_host_whichever_is_asked_first(towns):
    def asked(*slugs: str) -> dict[str, bool]:
        registry = load_registry(towns, {"seen": Seen}, {})
        return {slug: bool(registry.problems(slug)) for slug in slugs}

    for slug in ("ville-2", "ville-1"):
        file = towns / slug / "tenant.toml"
        file.write_text(file.read_text("utf-8").replace(f"{slug}.example", "both.example"), "utf-8")
    assert asked("ville-1", "ville-2") == {"ville-1": False, "ville-2": True}
    assert asked("ville-2", "ville-1") == {"ville-1": False, "ville-2": True}
    assert load_registry(towns, {"seen": Seen}, {}).by_host("both.example") == "ville-1"


HOSTS = st.lists(st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,12}[a-z0-9])?", fullmatch=True), max_size=4)
SPELLINGS = (
    '"{}"', "'{}'", '"""{}"""', "'''{}'''", '"""\n{}"""', '"\\u{:04x}{}"',
)  # fmt: skip
PLACES = (
    "[tenant]\nhosts = [{}]\n",
    "[tenant]\nhosts=[\n  {},\n]\n",
    "[tenant]\nhosts = [ # these hosts [all of them]\n{}\n]\n",
    "tenant.hosts = [{}]\n",
    'tenant = {{ name = "hosts", hosts = [{}] }}\n',
    '[tenant]\n"hosts" = [{}]\n',
    '[tenant]\n"h\\u006fsts" = [{}]\n[plugins.x]\nhosts = ["other"]\n',
    '[plugins.x]\nhosts = ["other"]\n[tenant]\nhosts = [{}]\n',
    '# hosts = ["old.example"]\n[tenant]\nhosts = [{}]\n',
)


@given(HOSTS, st.lists(st.sampled_from(SPELLINGS), min_size=4, max_size=4), st.sampled_from(PLACES))
def test_hosts_are_found_however_a_file_spells_them(hosts, spellings, place):
    def written(host: str, spelling: str) -> str:
        return spelling.format(ord(host[0]), host[1:]) if "\\u" in spelling else spelling.format(host)

    words = ", ".join(map(written, hosts, spellings))
    text = place.format(words) if hosts else place.format("").replace("\n  ,", "")
    assert tomllib.loads(text)["tenant"].get("hosts") == hosts
    assert set(hosts) <= set(hosts_named(text.encode()))


def test_a_file_that_is_no_text_names_no_host():
    assert hosts_named(b"\xff hosts hosts") == []
    assert Registry({"ville": b"\xff hosts hosts"}, {}, {}).problems("ville")
