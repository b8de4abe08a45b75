"""The page of unpaid invoices in a town alone, and among a thousand with two million invoices.

The same family with twenty invoices asks in both databases; what is compared is the page's p99.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from sqlalchemy import create_engine, text

from benchmarks.browser import asking, quiet_logs, signed_in
from benchmarks.measure import Aim, Result, compared, each, in_turns, main, p99
from benchmarks.portal import analysed, running
from core.processes.app import make_app
from core.testing.portal import Portal, record

FILLING = """
INSERT INTO tenant (id, name)
SELECT 'ville-' || n, 'Ville ' || n FROM generate_series(1, :towns) n ON CONFLICT DO NOTHING;
INSERT INTO family (tenant_id, code, name, language)
SELECT t.id, 'F' || f, 'DURAND', 'fr' FROM tenant t, generate_series(1000, 1000 + :families) f;
INSERT INTO import_batch (tenant_id, source, file_name, sha256, actor, counts)
SELECT id, 'csv', 'f.csv', '', 'bench', '{}' FROM tenant;
INSERT INTO invoice (tenant_id, family_id, batch_id, regie, number, fiscal_year, label, amount,
                     paid, issued_on, due_on, content_hash, state)
SELECT f.tenant_id, f.id, b.id, 'CANTINE', f.code || '-' || n, 2026, 'CANTINE', 5687,
       5687 * (n % 2), date '2026-01-01' + n, date '2026-02-01' + n, '', 'published'
FROM family f
JOIN (SELECT tenant_id, max(id) AS id FROM import_batch GROUP BY 1) b USING (tenant_id),
     generate_series(1, 20) n
WHERE f.code ~ '^F[0-9]{4,}$'
"""


def fill(portal: Portal, towns: int, invoices: int) -> None:
    """Other towns and families: `invoices` in all, twenty a family, half of them paid."""
    engine = create_engine(portal.owner_url.replace("preau_owner", "postgres"))
    each_town = invoices // towns
    values = {"towns": towns, "families": max(each_town // 20 - 1, 0)}
    with engine.begin() as connection:
        # Rows as an import leaves them; what hangs on a single write is not what is measured.
        connection.execute(text("SET session_replication_role = replica"))
        for statement in FILLING.split(";"):
            named = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), named)
    analysed(portal)
    with engine.connect() as connection:
        total = connection.scalar(text("SELECT count(*) FROM invoice")) or 0
    engine.dispose()
    assert total >= invoices, total


def opened(stack: ExitStack, towns: int, invoices: int) -> Callable[[], bytes]:
    portal = stack.enter_context(running())
    quiet_logs(portal.runtime)
    portal.publish(*(record(f"2026-{number}", family="F020") for number in range(20)))
    fill(portal, towns, invoices)
    application = make_app(portal.runtime)
    return asking(application, "/factures", signed_in(application, portal, "F020"))


def run(quick: bool) -> Iterator[Result]:
    count, rounds = (20, 1) if quick else (400, 9)
    small, large = ((1, 100), (20, 2000)) if quick else ((1, 1_000), (1_000, 2_000_000))
    with ExitStack() as stack:
        alone, among = opened(stack, *small), opened(stack, *large)
        took = in_turns(
            {
                "among": lambda: 1000 * p99(each(among, count)),
                "alone": lambda: 1000 * p99(each(alone, count)),
            },
            rounds,
        )
    yield compared(
        "page p99 among 1 000 towns", took["among"], took["alone"], "ms", Aim("at most", 1.2),
        towns=[small[0], large[0]], invoices=[small[1], large[1]], requests=count,
        baseline="the same page in a database of one town", cores=os.cpu_count(),
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
