"""The doors for programs do what docs/openapi.yaml says, whatever is sent to them."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from route_table import NOBODYS
from schemathesis.generation import GenerationMode
from test_routes import WITHOUT_CSRF
from webtest import TestApp

from core.processes.app import make_app

FILE = Path(__file__).parents[2] / "docs" / "openapi.yaml"
SCHEMA = yaml.safe_load(FILE.read_text("utf-8"))
EXAMPLES = int(os.environ.get("PREAU_FUZZ", "8"))
OPERATIONS = [
    (path, method)
    for path, item in SCHEMA["paths"].items()
    for method in item
    if method != "parameters"
]


@pytest.fixture(scope="module")
def application(full):
    return make_app(full.runtime)


@pytest.fixture(scope="module")
def schema(application):
    made = schemathesis.openapi.from_dict(SCHEMA)
    made.app = application
    return made


@pytest.mark.parametrize("secret", ["with", "without"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
def test_a_door_answers_as_described(full, schema, path, method, mode, secret):
    operation = schema[path][method.upper()]
    me = full.families["valmont", "F001"]
    given_secrets = {
        "cookies": {"preau_family": me.session, "preau_agent": me.agent_session},
        "headers": {"X-Telegram-Bot-Api-Secret-Token": "made_up_secret_of_town_0"},
    } if secret == "with" else {}  # fmt: skip
    asked = 0
    takes_something = "{" in path or "requestBody" in SCHEMA["paths"][path][method]
    if mode is GenerationMode.NEGATIVE and not takes_something:
        return  # Nothing that could be sent is forbidden.

    with warnings.catch_warnings(action="ignore"):
        strategy = operation.as_strategy(generation_mode=mode)

        @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES == 8,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(strategy)
        def ask(case):
            nonlocal asked
            asked += 1
            answer = case.call(base_url="http://localhost", **given_secrets)
            assert answer.status_code < 500, (case, answer.text[:2000])
            described = operation.definition.raw["responses"]
            if mode is GenerationMode.POSITIVE and secret == "with":
                assert str(answer.status_code) in described
                content = described[str(answer.status_code)].get("content", {})
                if "application/json" in content:
                    properties = content["application/json"]["schema"]["properties"]
                    assert set(properties) <= set(answer.json())
                    for name, kind in properties.items():
                        assert answer.json()[name] in kind.get("enum", [answer.json()[name]])

        ask()
    assert asked


@pytest.mark.parametrize(("path", "thing", "cookie"), [
    ("/{town}/paiements/{id}/etat", "payment", "preau_family"),
    ("/{town}/paiements/{id}/etat", "settled", "preau_family"),
    ("/{town}/regie/imports/fichiers/{id}/etat", "upload", "preau_agent"),
])  # fmt: skip
def test_states_of_one_s_own_are_as_described(full, application, path, thing, cookie):
    me = full.families["valmont", "F001"]
    token = me.session if cookie == "preau_family" else me.agent_session
    address = path.format(town="valmont", id=me.ids[thing])
    answer = TestApp(application).get(address, headers={"Cookie": f"{cookie}={token}", "Host": "localhost"})
    properties = SCHEMA["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert isinstance(answer.json["state"], str)
    assert answer.json["state"] in properties["state"].get("enum", [answer.json["state"]])


def test_every_door_for_programs_is_described():
    """What answers JSON, what is no town's page, and what posts without a browser."""
    described = {
        operation["operationId"]
        for path in SCHEMA["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }
    # Pyramid's introspection knows templates only; a plugin's view has no other renderer.
    sources = [path.read_text("utf-8") for path in (FILE.parents[1] / "core").rglob("*.py")]
    json_views = {
        name
        for source in sources
        for name in re.findall(r'view_config\(\s*route_name="(\w+)"[^)]*renderer="json"', source)
    }
    assert "payment_state" in json_views
    pages = {"towns", "unavailable", "__static/"}
    assert described == (NOBODYS - pages) | WITHOUT_CSRF | json_views


def test_the_addresses_are_the_routes_own(application):
    patterns = {
        r["introspectable"]["name"]: r["introspectable"]["pattern"]
        for r in application.registry.introspector.get_category("routes")
    }
    for path, item in SCHEMA["paths"].items():
        for operation in item.values():
            if isinstance(operation, dict):
                pattern = re.sub(r"\{(\w+):[^{}]+(\{[\d,]+\})?\}", r"{\1}", patterns[operation["operationId"]])
                assert path.removeprefix("/{town}") == pattern
