"""A town's settings: what is refused before a parent can meet it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from plugins.payfip import faults
from plugins.payfip.settings import (
    REAL_ENDPOINT,
    REAL_PAGE,
    Exercise,
    Mode,
    PayFiPSettings,
    ReferenceRule,
    Regie,
)
from plugins.payfip.simulator import rules
from plugins.payfip.simulator.scenarios import CARDS, FaultKind


def town(mode: str = "T", **values: object) -> PayFiPSettings:
    return PayFiPSettings.model_validate({"regies": {"PERI": {"numcli": "006382", "mode": mode}}, **values})


def test_the_defaults_are_the_real_service_in_test_mode() -> None:
    settings = PayFiPSettings.model_validate({"regies": {"PERI": {"numcli": "006382"}}})
    assert settings.regies["PERI"].mode is Mode.TEST
    assert (settings.service_url, settings.page_url) == (REAL_ENDPOINT, REAL_PAGE)


def test_a_simulator_stands_in_for_both_addresses() -> None:
    settings = town(simulator="http://127.0.0.1:8091/")
    assert settings.service_url == "http://127.0.0.1:8091/tpa/services/securite"
    assert settings.page_url == "http://127.0.0.1:8091/tpa/paiementws.web"


@pytest.mark.parametrize(
    "values",
    [
        {"simulator": "http://127.0.0.1:8091"},
        {"endpoint": "http://127.0.0.1:8091/tpa/services/securite"},
        {"endpoint": REAL_ENDPOINT.replace("https", "http")},
        {"endpoint": REAL_ENDPOINT.replace(".gouv.fr", ".gouv.fr.example")},
        {"endpoint": REAL_ENDPOINT.replace("https://", "https://x@")},
        {"endpoint": REAL_ENDPOINT.replace("https://", "https://x:y@")},
        {"endpoint": REAL_ENDPOINT.replace(".gouv.fr", ".gouv.fr:8443")},
        {"endpoint": "https://gouv.fr/tpa"},
        {"endpoint": "https://.gouv.fr/tpa"},
        {"endpoint": "https://payfipgouv.fr/tpa"},
        {"endpoint": "https://payfip.example\\.gouv.fr/tpa"},
        {"endpoint": "https://payfip.gоuv.fr/tpa"},
        {"page": "https://payfip.example/tpa/paiementws.web"},
        {"page": "http://www.payfip.gouv.fr/tpa/paiementws.web"},
    ],
)
def test_production_pays_in_the_states_zone_only(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"PERI.*mode W"):
        town("W", **values)


def test_production_follows_a_service_that_moves() -> None:
    new = "https://paiement.dgfip.finances.gouv.fr/payfip"
    settings = town("W", endpoint=f"{new}/securite", page=f"{new}/page.web")
    assert (settings.service_url, settings.page_url) == (f"{new}/securite", f"{new}/page.web")


def test_production_is_possible() -> None:
    assert town("W").regies["PERI"].mode is Mode.PRODUCTION


@pytest.mark.parametrize("mode", ["A", "M", "", "w"])
def test_other_modes_are_refused(mode: str) -> None:
    with pytest.raises(ValidationError):
        town(mode)


@pytest.mark.parametrize("numcli", ["6382", "0063820", "00638a"])
def test_client_numbers_are_checked(numcli: str) -> None:
    with pytest.raises(ValidationError):
        Regie(numcli=numcli)


def test_two_regies_do_not_share_a_client_number() -> None:
    regies = {"A": {"numcli": "006382"}, "B": {"numcli": "006382"}}
    with pytest.raises(ValidationError, match="A and B share"):
        PayFiPSettings.model_validate({"regies": regies})


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError):
        town(time_out=3)


def test_the_exercise_follows_who_keeps_the_debt() -> None:
    assert Regie(numcli="006382").exercise_rule is Exercise.CURRENT
    titre = Regie(numcli="006382", reference=ReferenceRule.TITRE)
    assert titre.exercise_rule is Exercise.INVOICE
    assert not titre.several_invoices


def test_every_setting_and_card_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "payfip.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for name in [*PayFiPSettings.model_fields, *Regie.model_fields]:
        assert any(row.startswith(f"| `{name}` |") for row in rows), name
    for card in CARDS.values():
        assert any(card.spaced in row for row in rows), card.spaced
    for kind in FaultKind:
        assert f"`{kind}`" in text
    # Every code that the simulator answers, but for its own two.
    codes = set(re.findall(r'Refusal\("([A-Z][0-9])"', inspect.getsource(rules)))
    assert codes >= faults.UNDECIDED | {faults.UNKNOWN}
    for code in codes - {"E1", "O1"}:
        assert re.search(rf"\b{code}\b", text), code
