"""Plugins' answers that need a town's settings only, kept so that not every page asks again.

A town's settings do not change while a process lives. What a plugin says may all the same be wrong
for once, so nothing is kept for long; and a plugin that failed is asked again by the next page.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from core.platform.i18n import current_locale

CACHE_SECONDS = 60.0
"""Seconds for which a town's answers are kept."""


class TenantCache:
    """The answers of one town's plugins, in each language."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Any] = {}

    def known(self, question: str, subjects: Collection[str]) -> tuple[dict[str, Any], list[str]]:
        """Answers kept for these subjects, and the subjects that must be asked about."""
        locale, kept = current_locale(), self._kept
        known, unknown = {}, []
        for subject in subjects:
            try:
                known[subject] = kept[question, subject, locale]
            except KeyError:
                unknown.append(subject)
        return known, unknown

    def keep(self, question: str, subject: str, answer: Any) -> None:
        """Know this from now on, in the language of now."""
        self._kept[question, subject, current_locale()] = answer


class PluginCache:
    """All towns' answers in one process."""

    def __init__(self) -> None:
        self._towns: dict[str, tuple[float, TenantCache]] = {}

    def of(self, town: str) -> TenantCache:
        """The town's; a new one once they are old."""
        until, answers = self._towns.get(town, (0.0, None))
        if answers is None or until <= time.monotonic():
            answers = TenantCache()
            self._towns[town] = time.monotonic() + CACHE_SECONDS, answers
        return answers

    def forget(self) -> None:
        """Ask everything anew (tests)."""
        self._towns.clear()
