"""The demonstration's start page: codes that open, and where to see what they did."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from core.platform.settings import Settings

CODES_FILE = "demo-codes.json"
"""In the data folder: the codes that were drawn for the demonstration, with a word on each."""

AGENT = "regie@demo.example"
AGENT_PASSWORD = "demonstration-regie"  # noqa: S105 - printed for everybody, in development only


@dataclass(frozen=True, slots=True)
class TrialFamily:
    """A made-up family that is worth signing in as; `why` is French."""

    family: str
    secret: str
    why: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that the start page shows of a demonstration."""

    towns: dict[str, list[TrialFamily]]
    """By slug."""
    mailbox: str
    chat: str
    """Addresses of the mailbox and of the simulated chat; "" where none runs."""
    agent: str = AGENT
    password: str = AGENT_PASSWORD


def trial(settings: Settings) -> Trial | None:
    """The demonstration that was filled here; None in production, or where there is none."""
    path = settings.data_dir / CODES_FILE
    if settings.is_production or not path.exists():
        return None
    towns = json.loads(path.read_text("utf-8"))
    return Trial(
        {slug: [TrialFamily(**item) for item in families] for slug, families in towns.items()},
        mailbox=os.environ.get("MAILBOX_URL", ""),
        chat=os.environ.get("TELEGRAM_SIMULATOR_URL", ""),
    )
