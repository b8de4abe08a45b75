"""What every test may ask for. Fixtures start nothing until they are asked for."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from unittest import mock

import page
import pytest
from hypothesis import settings

from core.platform.documents.pdf import _Typesetter

pytest_plugins = ["core.testing.database", "core.testing.portal"]

# A test leaves little garbage beside all that is loaded, which need not be gone through each time.
gc.set_threshold(100_000, 50, 50)
# A busy machine is no failure.
settings.register_profile("preau", deadline=None)
settings.load_profile("preau")


@pytest.fixture(autouse=True)
def environment_as_found() -> Iterator[None]:
    """Undo what a test, or a command that it runs in this process, says to the environment.

    A command told the simulators' usual addresses once; a demonstration that a later test of the
    same process started on other ports then sent its parents there.
    """
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(autouse=True)
def papers_are_accessible(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Check each paper that this process prints, whichever test and plugin asks for it: PDF/UA-1.

    What a test adds to the set are rules that its own paper cannot keep.
    """
    excused: set[str] = set()
    set_as_pdf = _Typesetter.set

    def set_and_check(typesetter: _Typesetter, html: str) -> bytes:
        content = set_as_pdf(typesetter, html)
        report = page.validate_pdf_bytes(content, profile=page.ValidationProfile.PDF_UA_1)
        found = [f"{fault.rule_id}: {fault.message}" for fault in report.failures if fault.rule_id not in excused]
        assert found == []
        return content

    monkeypatch.setattr(_Typesetter, "set", set_and_check)
    return excused


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: else one worker has one of them left at the end."""

    def is_short(item: pytest.Item) -> bool:
        return not any(item.iter_markers("browser")) and not any(item.iter_markers("faults"))

    items.sort(key=is_short)
