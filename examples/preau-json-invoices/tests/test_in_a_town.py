"""From the file to what a family owes, in a town that enables the plugin."""

from __future__ import annotations

import json

from preau_json_invoices import plugin
from test_contract import INVOICE

from core.plugin import SourceFile
from core.testing.portal import make_portal

TOWN = '[plugins.json_invoices]\nregie = "CANTINE"\n'


def test_a_family_is_asked_for_what_its_line_says(database, redis, tmp_path):
    redis.flushall()
    portal = make_portal(database, tmp_path, plugins={"json_invoices": plugin}, toml=TOWN)
    path = tmp_path / "f.jsonl"
    path.write_text(json.dumps(INVOICE), "utf-8")
    with portal.town() as town:
        source = town.sources["json_invoices"]
        report = town.imports.run(source, SourceFile(path, path.name, path.stat().st_size))
        town.imports.publish(report.batch_id)
        family = town.families.by_code("F01207")
        assert [one.balance for one in town.invoices.unpaid(family.id)] == [5687]
    portal.runtime.close()
