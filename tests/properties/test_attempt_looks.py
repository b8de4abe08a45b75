"""Every situation of an attempt to pay has a look, and the six outcomes are told apart by both halves."""

from __future__ import annotations

import re

from core.domain.attempt_looks import look_of
from core.domain.attempt_status import Situation
from core.platform.web.rendering import STATIC

OUTCOMES = (
    Situation.PAID, Situation.PROMISED, Situation.AWAITED, Situation.REFUSED, Situation.CANCELLED,
    Situation.CHECKED,
)  # fmt: skip


def test_every_situation_has_a_look():
    icons = set(re.findall(r'id="(\w+)"', (STATIC / "img" / "icons.svg").read_text("utf-8")))
    sheet = (STATIC / "css" / "preau.css").read_text("utf-8")
    for situation in Situation:
        look = look_of(situation)
        assert look.icon in icons
        assert f".{look.tone} {{ --tone:" in sheet


def test_the_six_outcomes_differ_in_colour_and_in_sign():
    looks = [look_of(situation) for situation in OUTCOMES]
    assert len({look.tone for look in looks}) == len(OUTCOMES)
    assert len({look.icon for look in looks}) == len(OUTCOMES)


def test_nothing_that_may_be_paid_looks_like_a_refusal():
    for situation in (Situation.CHECKED, Situation.UNREADABLE, Situation.PROMISED):
        assert look_of(situation).tone != look_of(Situation.REFUSED).tone
