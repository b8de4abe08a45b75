"""Addresses of the processes of a `preau run`, in environment variables and one file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.platform.settings import Settings, get_settings

STATE_FILE = "run.json"
"""In the data folder while `preau run` runs: its process id and its processes' environment."""

PORTS = {"web": 8080, "payfip": 8081, "telegram": 8082, "mailbox": 8025, "smtp": 1025}
"""The ports we like; one that is taken is replaced."""

ENVIRONMENT = {
    "PREAU_PUBLIC_BASE_URL": "http://localhost:{web}",
    "PREAU_SMTP_HOST": "127.0.0.1",
    "PREAU_SMTP_PORT": "{smtp}",
    "PREAU_MAIL_RETURNS": "retours@portail.example",
    # Another host name than the portal's, as in life: cookies and SameSite then behave alike.
    "PAYFIP_SIMULATOR_URL": "http://127.0.0.1:{payfip}",
    "TELEGRAM_SIMULATOR_URL": "http://127.0.0.1:{telegram}",
    "MAILBOX_URL": "http://127.0.0.1:{mailbox}",
}
"""Values for processes and towns' files that neither the environment nor .env gives."""

SERVERS = tuple(
    f"PREAU_{name}_URL" for name in ("DATABASE", "OWNER", "RELAY", "MAINTENANCE", "REDIS")
)


def tell(ports: Mapping[str, int], settings: Settings) -> None:
    """Put the ports into the environment of this process and its children."""
    said = {f"PREAU_{name.upper()}" for name in settings.model_fields_set}
    for name, value in ENVIRONMENT.items():
        if name not in said:
            os.environ.setdefault(name, value.format(**ports))


@contextmanager
def announced(data_dir: Path) -> Iterator[None]:
    """Tell other ``preau`` commands, and tests, where the servers are, inside the block."""
    names = (*ENVIRONMENT, *SERVERS)
    environment = {name: os.environ[name] for name in names if name in os.environ}
    path = data_dir / STATE_FILE
    path.touch(mode=0o600)
    path.write_text(json.dumps({"pid": os.getpid(), "environment": environment}, indent=1), "utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def join() -> None:
    """Use the servers of a `preau run` in another terminal, unless the settings name others.

    When none runs, the simulators' usual addresses are assumed, so that a town's file that refers
    to them can be checked all the same. Never in production.
    """
    settings = get_settings()
    if settings.is_production:
        return
    path = settings.data_dir / STATE_FILE
    if not settings.database_url and path.exists():
        for name, value in json.loads(path.read_text("utf-8"))["environment"].items():
            os.environ.setdefault(name, value)
    tell(PORTS, settings)
    get_settings.cache_clear()
