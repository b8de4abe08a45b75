"""Templates that are compiled once for all processes of a machine."""

from __future__ import annotations

import pytest
from webtest import TestApp

from core.processes.app import make_app
from core.testing.portal import make_portal


@pytest.fixture
def home(database, tmp_path):
    """Gives the home page of a process that keeps compiled templates in a folder."""
    made = []

    def ask(folder):
        portal = make_portal(database, tmp_path / str(len(made)), cache_dir=folder)
        made.append(portal)
        return TestApp(make_app(portal.runtime), extra_environ={"HTTP_HOST": "localhost"}).get("/valmont/")

    yield ask
    for portal in made:
        portal.runtime.close()


def test_compiled_templates_are_kept_and_used_again(home, tmp_path):
    folder = tmp_path / "made" / "on demand"
    first = home(folder)
    kept = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert any(name.endswith(".cache") for name in kept)
    assert folder.stat().st_mode & 0o077 == 0
    assert home(folder).html.title == first.html.title
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == kept


def test_a_template_that_changed_is_compiled_anew(home, tmp_path):
    folder = tmp_path / "cache"
    home(folder)
    for file in folder.iterdir():
        file.write_bytes(b"of another version")
    assert home(folder).status_int == 200


def test_a_folder_that_cannot_be_made_costs_no_page(home, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert home(tmp_path / "file" / "cache").status_int == 200
