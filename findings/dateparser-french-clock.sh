#!/bin/bash
# dateparser reads the hour as it is printed in French, "8 h 05", as a span: eight hours ago, so that a reminder
# of this morning is one of last night. "15h30" without spaces is an hour.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check dateparser==1.5.0
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import datetime
import importlib.metadata
import sys

import dateparser

NOON = datetime.datetime(2026, 11, 30, 12, 0)


def read(text):
    return str(dateparser.parse(text, languages=["fr"], settings={"RELATIVE_BASE": NOON}))


print("dateparser", importlib.metadata.version("dateparser"))
seen = [read("15h30"), read("8 h 05")]
print("expected: 2026-11-30 15:30:00, 2026-11-30 08:05:00")
print("seen:    ", ", ".join(seen))
sys.exit(seen[0] != "2026-11-30 15:30:00" or seen[1] == "2026-11-30 08:05:00")
PYTHON
