#!/bin/bash
# Two kept libraries of French public holidays, the same for metropolitan France, differ by twelve days of 2026
# overseas: jours-feries-france lacks the Citizenship Day of Nouvelle-Calédonie, two days of Polynésie française
# and all three of Wallis-et-Futuna; holidays counts days by custom, such as Mi-Carême, among public holidays.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check holidays==0.109 jours-feries-france==0.7.0
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

import holidays
from jours_feries_france import JoursFeries

PLACES = {"Métropole": None, "Alsace-Moselle": "57", "Guadeloupe": "971", "Martinique": "972", "Guyane": "973",
          "La Réunion": "974", "Mayotte": "976", "Nouvelle-Calédonie": "NC", "Polynésie Française": "PF",
          "Saint-Barthélémy": "BL", "Saint-Martin": "MF", "Saint-Pierre-et-Miquelon": "PM",
          "Wallis-et-Futuna": "WF"}
for name in ("holidays", "jours-feries-france"):
    print(name, importlib.metadata.version(name))
seen = {}
for place, subdivision in PLACES.items():
    one = holidays.France(subdiv=subdivision, years=2026)
    other = set(JoursFeries.for_year(2026, place).values())
    for day in sorted(set(one) ^ other):
        seen.setdefault(place, []).append(f"{day:%d/%m} {one.get(day, '(the other)')}")
print("expected: no difference")
for place, days in seen.items():
    print("seen:    ", place, days)
sys.exit({place: len(days) for place, days in seen.items()} != {
    "Guadeloupe": 3, "Martinique": 1, "Nouvelle-Calédonie": 1, "Polynésie Française": 3, "Saint-Martin": 1,
    "Wallis-et-Futuna": 3,
})
PYTHON
