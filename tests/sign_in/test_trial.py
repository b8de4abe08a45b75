"""The start page of a demonstration: codes in sight, and never in production."""

from __future__ import annotations

import json

import pytest

from core.platform.settings import Settings
from core.platform.web.trial import CODES_FILE, trial

CODES = {"ville-de-demo": [{"family": "F00007", "secret": "AAAA-BBBB-CCCC", "why": "deux payées"}]}


@pytest.fixture
def settings(tmp_path):
    (tmp_path / CODES_FILE).write_text(json.dumps(CODES), "utf-8")
    return Settings(data_dir=tmp_path)


def test_the_start_page_shows_the_codes(settings, monkeypatch):
    monkeypatch.setenv("MAILBOX_URL", "http://127.0.0.1:8025")
    shown = trial(settings)
    [family] = shown.towns["ville-de-demo"]
    assert (family.family, family.secret) == ("F00007", "AAAA-BBBB-CCCC")
    assert shown.mailbox == "http://127.0.0.1:8025"


def test_nothing_is_shown_where_no_demonstration_was_filled(tmp_path):
    assert trial(Settings(data_dir=tmp_path)) is None


def test_production_shows_no_code_even_where_a_file_was_left(settings):
    assert trial(settings.model_copy(update={"environment": "production"})) is None
