#!/bin/bash
# quiffen decides for each movement by itself whether the month or the day comes first: in one French file
# 03/04 is the 4th of March and 25/04 the 25th of April, without a word. A file's own 25/04 would tell.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check quiffen==4.0.1
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

from quiffen import Qif

FILE = "!Type:Bank\nD03/04/2026\nT12.10\nPCANTINE\n^\nD25/04/2026\nT14.20\nPGARDERIE\n^\n"

print("quiffen", importlib.metadata.version("quiffen"))
(account,) = Qif.parse_string(FILE).accounts.values()
(movements,) = account.transactions.values()
seen = [f"{one.date:%Y-%m-%d}" for one in movements]
print("expected: both in April, or a refusal: no month is the 25th")
print("seen:    ", seen)
sys.exit(seen != ["2026-03-04", "2026-04-25"])
PYTHON
