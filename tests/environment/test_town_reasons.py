"""What is wrong in a town's file is said in our words, for core's keys and every plugin's."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from pydantic import BaseModel, ValidationError

from core.platform.plugins.discovery import discovered
from core.platform.settings import load as load_settings
from core.platform.tenancy.config import TenantConfigError, TenantFile, load
from core.platform.tenancy.reasons import reason
from core.platform.tenancy.registry import load_registry
from core.runtime import read_towns

GOOD = '[tenant]\nname = "Valmont"\n[regies.CANTINE]\nlabel = "CANTINE"\n'
NOT_OURS = re.compile(
    r"\b(Input|String|Field|Value|List|Tuple|Dictionary|Extra|Unable|Object)\b|should|pydantic|Assertion"
)
ODD = [
    True, 3, -1, 10**30, 1.5, float("inf"), "", "x", "x" * 10_000, "ÉTÉ 3", [], [1], ["x", 2], [[]], {}, {"a": 1},
    {"x y": {"z": 1}}, date(2026, 9, 1), datetime(2026, 9, 1, 12, tzinfo=UTC),
]  # fmt: skip


def problems(folder, text):
    town = folder / "valmont"
    town.mkdir(exist_ok=True)
    (town / "tenant.toml").write_text(text, "utf-8")
    with pytest.raises(TenantConfigError) as caught:
        load(town, discovered().settings_models(), text.encode())
    return {problem.key: problem.reason for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ('name = "Valmont"', "", "tenant.name", "is missing"),
        ('name = "Valmont"', "name = 3", "tenant.name", "has to be a text, in quotation marks"),
        ('name = "Valmont"', 'name = ""', "tenant.name", "is too short: 1 character(s) at least"),
        ('label = "CANTINE"', 'label = "C"\ncolects = false', "regies.CANTINE.colects", "is collects meant?"),
        ('label = "CANTINE"', 'label = "C"\nzzz = 1', "regies.CANTINE.zzz", "known: cash_ceiling, cash_float, ceiling, collects, imputation, label"),
        ('label = "CANTINE"', 'label = "C"\ncollects = "yes please"', "regies.CANTINE.collects", "true or false"),
        ('name = "Valmont"', 'name = "V"\nhosts = "v.fr"', "tenant.hosts", "has to be a list"),
        ('name = "Valmont"', 'name = "V"\nhosts = ["V.fr"]', "tenant.hosts.0", "a host name in small letters"),
        ("[tenant]", '[look]\naccent = "vert"\n[tenant]', "look.accent", "a colour such as #1d5c57"),
        ("[tenant]", "[retention]\nmessages = -1\n[tenant]", "retention.messages", "has to be 0 or more"),
        ("[tenant]", "[retention]\nfamilies = 3\n[tenant]", "retention.families", "at least 24 months"),
    ],
)  # fmt: skip
def test_the_reason_says_what_to_write(tmp_path, old, new, key, words):
    found = problems(tmp_path, GOOD.replace(old, new))
    assert words in found[key], found


def keys(model: type[BaseModel]):
    """Each key of a settings model, and a key that it does not know."""
    return [*model.model_fields, "unknown"]


MODELS = {"tenant.toml": TenantFile} | dict(discovered().settings_models())


@pytest.mark.parametrize("name", MODELS)
def test_every_wrong_value_is_told_in_our_words(name):
    model = MODELS[name]
    told = []
    for key in keys(model):
        values = [*ODD, *({"X": {other: odd}} for other in ("numcli", "regie", "label", "zz") for odd in ODD)]
        # A section of core's own, key by key.
        section = model.model_fields[key].annotation if key in model.model_fields else None
        if isinstance(section, type) and issubclass(section, BaseModel):
            values += [{other: odd} for other in keys(section) for odd in ODD]
        for value in values:
            try:
                model.model_validate({key: value})
            except ValidationError as error:
                told += [reason(item, model) for item in error.errors(include_input=False)]
    assert told
    assert {words for words in told if NOT_OURS.search(words)} == set()


def test_production_leaves_demonstrations_out(tmp_path):
    """They are in each clone; their simulators are not."""
    for slug, more in {"valmont": "", "demo": "demonstration = true\n"}.items():
        (tmp_path / slug).mkdir()
        text = GOOD.replace("[tenant]\n", f"[tenant]\n{more}")
        if more:
            text += '[plugins.payfip]\nsimulator = { env = "NOT_SET_IN_PRODUCTION" }\n'
        (tmp_path / slug / "tenant.toml").write_text(text, "utf-8")
    models = discovered().settings_models()
    there = load_registry(tmp_path, models, {}, demonstrations=False)
    assert (list(there.towns), there.broken, there.left_out) == (["valmont"], {}, ("demo",))
    here = load_registry(tmp_path, models, {})
    assert (list(here.towns), list(here.broken), here.left_out) == (["valmont"], ["demo"], ())


def test_a_fresh_clone_s_towns_are_no_production_s():
    settings = load_settings(
        environment="production", secret_key="k" * 32, public_base_url="https://portail.example.fr",
        database_url="postgresql+psycopg://preau_app@localhost/preau", redis_url="redis://localhost",
    )  # fmt: skip
    registry = read_towns(settings, discovered())
    assert (dict(registry.towns), registry.broken) == ({}, {})
    assert registry.left_out == ("bourg-exemple", "ville-de-demo")
