"""Lifetimes of a signed-in browser, a parent's or an agent's."""

from __future__ import annotations

from datetime import timedelta

IDLE_END = timedelta(minutes=30)
ABSOLUTE_END = timedelta(hours=12)
TOUCH = timedelta(minutes=1)
"""Time by which `seen_at` may be late: most page views then write nothing."""

LINK_END = timedelta(hours=1)
"""The last end of who came by a payment link: time to pay, and to keep the receipt."""
