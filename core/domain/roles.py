"""Roles of those who work for a régie."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Rights of an agent in a town."""

    REGISSEUR = "regisseur"
    """Everything: agents, the audit trail, taking back payments and imports, closing."""
    AGENT = "agent"
    """The daily work."""
    ADMINISTRATOR = "administrator"
    """Look at everything, and say who else comes in; no money, no régisseur."""
    READER = "reader"
    """Look at everything that agents see, change nothing."""
