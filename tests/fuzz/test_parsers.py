"""A small hunt in each run: damaged examples and noise. The long one is `tests/fuzz/hunt.py`."""

from __future__ import annotations

import os

import pytest
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.testing.fuzzing import damaged

EXAMPLES = int(os.environ.get("PREAU_FUZZ", "40"))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_parser_keeps_its_promise(name):
    target = TARGETS[name]
    for seed in target.seeds:
        target.feed(seed)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES == 40,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.one_of(damaged(target.seeds), st.binary(max_size=400)))
    def hunt(content):
        target.feed(content)

    hunt()
