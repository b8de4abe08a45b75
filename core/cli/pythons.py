"""The Python versions that Préau is tested on, and the warning about any other."""

from __future__ import annotations

OLDEST = (3, 11)
NEWEST = (3, 14)


def warning_for(version: tuple[int, int]) -> str:
    """The warning for a Python of this version; empty for a tested one."""
    if OLDEST <= version <= NEWEST:
        return ""
    tested = f"{OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    return (
        f"Python {version[0]}.{version[1]} is untested: Préau is tested on Python {tested}."
        " If something fails, first try one of those."
    )
