"""Waiting in tests: how long a day lasts still, and what tells that it was in vain."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from core.dev.embedded import free_port
from core.testing.waiting import is_alive, seconds_to_midnight, wait_until


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("2026-12-31T22:59:30", 30),  # Paris is an hour ahead in winter,
        ("2026-12-31T23:00:00", 3600),
        ("2026-12-31T23:59:50", 10),
        ("2027-07-14T21:59:59", 1),  # two in summer,
        ("2027-07-14T22:00:01", 7199),
        ("2027-03-27T23:00:00", 3600),
        ("2027-03-28T00:00:00", 22 * 3600),  # and the day on which summer begins has 23 hours.
        ("2028-02-28T22:30:00", 1800),
    ],
)
def test_the_sooner_of_two_midnights(now, left):
    assert seconds_to_midnight(datetime.fromisoformat(now).replace(tzinfo=UTC)) == left


def test_what_does_not_come_is_told():
    with pytest.raises(AssertionError, match="the last words"):
        wait_until(lambda: False, 0.05, said=lambda: "the last words")
    wait_until(iter([False, False, True]).__next__)


def test_a_process_that_ended_is_not_alive_although_nobody_asked_how():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert is_alive(process.pid)
        process.kill()
        wait_until(lambda: not is_alive(process.pid))
    finally:
        process.communicate()
    assert not is_alive(process.pid)
    assert is_alive(os.getpid())


def test_ports_are_told_once_and_are_none_that_the_system_gives():
    told = [free_port() for _time in range(200)]
    assert len(set(told)) == len(told)
    assert max(told) < 32_768
