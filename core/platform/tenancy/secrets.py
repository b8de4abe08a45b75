"""Secrets in tenant.toml are references, ``{ env = "X" }`` or ``{ file = "/run/x" }``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class SecretError(Exception):
    """A referenced secret is not there. The reason never holds the secret."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


def resolve(value: Any, key: str = "") -> Any:
    """Replace every reference inside `value` by what it refers to."""
    if isinstance(value, list):
        return [resolve(item, f"{key}.{index}") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"env"} and isinstance(value["env"], str):
        try:
            return os.environ[value["env"]]
        except KeyError:
            raise SecretError(key, f"environment variable {value['env']} is not set") from None
    if value.keys() == {"file"} and isinstance(value["file"], str):
        try:
            return Path(value["file"]).read_text("utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SecretError(key, f"cannot read {value['file']}: {error}") from None
    return {
        name: resolve(item, f"{key}.{name}" if key else name) for name, item in value.items()
    }
