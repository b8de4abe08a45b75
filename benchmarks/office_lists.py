"""The back office's lists in a town of a million invoices, against the bare query of the same rows.

The bare way is psycopg with one statement, as a role that no row-level security concerns, and rows
that nobody makes objects of. What is compared is what the agents' pages call: the query under the
town's wall, and its fifty rows as objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from benchmarks.measure import Aim, Result, compared, each, in_turns, main
from benchmarks.portal import running
from core.books.entries import ALL
from core.books.period import Period

TOWN = "valmont"
MARCH = Period("CANTINE", date(2026, 3, 1))
NEEDLE = 123
"""The number of the invoice that is looked for."""

FILL = """
SET session_replication_role = replica;  -- What the trigger would add up is written at once.
INSERT INTO family (tenant_id, id, code, name)
SELECT 'valmont', n, 'F' || lpad(n::text, 6, '0'),
       (ARRAY['MARTIN', 'BERNARD', 'DURAND', 'PETIT', 'LEROY', 'MOREAU', 'ROUX'])[1 + n % 7]
       || ' ' || md5(n::text)
FROM generate_series(1, {families}) n;
INSERT INTO import_batch (tenant_id, id, source, file_name, sha256, actor, counts, published_at)
SELECT 'valmont', n, 'csv', 'factures-' || n || '.csv', md5(n::text), 'system', '{{}}', now()
FROM generate_series(1, {batches}) n;
INSERT INTO invoice (tenant_id, id, family_id, batch_id, regie, number, payment_reference,
                     fiscal_year, label, amount, paid, issued_on, due_on, state, content_hash)
SELECT 'valmont', n, 1 + n % {families}, 1 + n * ({batches} - 1) / {invoices},
       CASE n % 3 WHEN 0 THEN 'GARDERIE' ELSE 'CANTINE' END, '2026-' || n, 'R' || n, 2026,
       'CANTINE ET GARDERIE', amount, CASE WHEN unpaid THEN 0 ELSE amount END,
       day, day + 25,
       CASE WHEN n > {invoices} * 0.99 THEN 'draft' ELSE 'published' END, ''
FROM (SELECT n, 500 + n * 7919 % 20000 AS amount, n % 97 = 0 AS unpaid,
             date '2025-03-01' + (n * 370 / {invoices})::int AS day
      FROM generate_series(1::bigint, {invoices}) n) made;
INSERT INTO payment (tenant_id, id, key, family_id, regie, state, amount, means, payer, created_at,
                     paid_at, settled_at, receipt_number, provider_reference)
SELECT 'valmont', id, 'k' || id, family_id, regie, 'settled', amount,
       (ARRAY['card', 'cheque', 'cash'])[1 + id % 3], 'MARTIN', at, at, at, 'RECU-' || id, 'P' || id
FROM (SELECT *, issued_on::timestamptz + interval '8 days' * random() AS at
      FROM invoice WHERE paid > 0 AND state = 'published') paid;
INSERT INTO allocation (tenant_id, payment_id, invoice_id, amount, created_at)
SELECT 'valmont', id, id, amount, settled_at FROM payment;
INSERT INTO journal_entry (tenant_id, regie, year, number, at, kind, payment_id, receipt, means,
                           amount, family_code, actor, hash)
SELECT 'valmont', regie, year, row_number() OVER (PARTITION BY regie, year ORDER BY settled_at, id),
       settled_at, 'settled', id, receipt_number, means, amount, 'F', 'system', md5(id::text)
FROM (SELECT *, extract(year FROM settled_at AT TIME ZONE 'Europe/Paris') AS year
      FROM payment) paid;
INSERT INTO message (tenant_id, key, kind, channel, address, language, family_id, state, created_at)
SELECT 'valmont', 'm' || n, 'invoices_published', (ARRAY['email', 'email', 'telegram'])[1 + n % 3],
       'x', 'fr', 1 + n % {families}, 'sent',
       timestamptz '2025-03-02' + n * 370.0 / {messages} * interval '1 day'
FROM generate_series(1, {messages}) n;
INSERT INTO audit_entry (tenant_id, actor, action, subject, details)
SELECT 'valmont', 'agent:1', 'payment.recorded', 'payment:' || n, '{{}}'
FROM generate_series(1, {messages}) n;
INSERT INTO credit (tenant_id, payment_id, family_id, regie, amount, created_at)
SELECT 'valmont', id, family_id, regie, 100, settled_at FROM payment WHERE id % 500 = 0;
"""

ROWS = """SELECT i.*, f.* FROM invoice i
    JOIN family f ON f.tenant_id = i.tenant_id AND f.id = i.family_id
    WHERE i.tenant_id = 'valmont' AND {where} ORDER BY i.id DESC LIMIT 51"""
PAID = """SELECT p.*, f.* FROM payment p
    JOIN family f ON f.tenant_id = p.tenant_id AND f.id = p.family_id
    WHERE p.tenant_id = 'valmont' AND {where} ORDER BY p.id DESC LIMIT 51"""
UNPAID = "i.state = 'published' AND i.kind = 'facture' AND i.amount - i.credited - i.paid > 0"
ENTRIES = """SELECT e.*, p.payer, p.authorisation, p.note FROM journal_entry e
    JOIN payment p ON p.tenant_id = e.tenant_id AND p.id = e.payment_id
    WHERE e.tenant_id = 'valmont' AND e.regie = 'CANTINE' AND e.at >= '2026-02-28T23:00Z'
      AND e.at < '2026-03-31T22:00Z' AND e.number > {after} ORDER BY e.number LIMIT 101"""


@dataclass(frozen=True, slots=True)
class Case:
    """A list: how the pages ask for it, and the bare query of the same rows."""

    name: str
    ours: Callable[[Any], object]
    bare: str


def cases() -> list[Case]:
    """All lists, on their first and on their last page, and finding things."""
    end = 60
    return [
        Case("invoices", lambda t: t.invoice_list.page(), ROWS.format(where="true")),
        Case(
            "invoices, last page",
            lambda t: t.invoice_list.page(before=end),
            ROWS.format(where=f"i.id < {end}"),
        ),
        Case(
            "invoices to pay",
            lambda t: t.invoice_list.page(unpaid=True),
            ROWS.format(where=UNPAID),
        ),
        Case(
            "invoices to pay, last page",
            lambda t: t.invoice_list.page(unpaid=True, before=end * 50),
            ROWS.format(where=f"{UNPAID} AND i.id < {end * 50}"),
        ),
        Case(
            "invoices cancelled (none)",
            lambda t: t.invoice_list.page(state="cancelled"),
            ROWS.format(where="i.state = 'cancelled'"),
        ),
        Case(
            "invoices of a régie, last page",
            lambda t: t.invoice_list.page(regie="GARDERIE", before=end * 3),
            ROWS.format(where=f"i.regie = 'GARDERIE' AND i.id < {end * 3}"),
        ),
        Case(
            "invoices of a family",
            lambda t: t.invoice_list.page(family_id=NEEDLE),
            ROWS.format(where=f"i.family_id = {NEEDLE}"),
        ),
        Case(
            "invoices of an import",
            lambda t: t.invoice_list.page(batch_id=2),
            ROWS.format(where="i.batch_id = 2"),
        ),
        Case("payments", lambda t: t.payment_list.page(), PAID.format(where="true")),
        Case(
            "payments, last page",
            lambda t: t.payment_list.page(before=end),
            PAID.format(where=f"p.id < {end}"),
        ),
        Case(
            "payments to look at (none)",
            lambda t: t.payment_list.page(anomalies=True),
            PAID.format(where="p.anomaly <> ''"),
        ),
        Case(
            "payments refused (none)",
            lambda t: t.payment_list.page(state="refused"),
            PAID.format(where="p.state = 'refused'"),
        ),
        Case(
            "payments of one old day",
            lambda t: t.payment_list.page(since=date(2025, 3, 9), until=date(2025, 3, 9)),
            PAID.format(
                where="p.settled_at >= '2025-03-08T23:00Z' AND p.settled_at < '2025-03-09T23:00Z'"
            ).replace("ORDER BY p.id", "ORDER BY p.settled_at DESC, p.id"),
        ),
        Case(
            "families",
            lambda t: t.family_list.page(after="F000900"),
            "SELECT * FROM family WHERE tenant_id = 'valmont' AND (name_folded, code) >"
            " ((SELECT name_folded FROM family WHERE tenant_id = 'valmont' AND code = 'F000900'),"
            " 'F000900') ORDER BY name_folded, code LIMIT 51",
        ),
        Case(
            "credits that wait",
            lambda t: t.credits.waiting(),
            "SELECT c.*, f.*, p.* FROM credit c JOIN family f USING (tenant_id)"
            " JOIN payment p USING (tenant_id) WHERE tenant_id = 'valmont' AND f.id = c.family_id"
            " AND p.id = c.payment_id AND c.amount > (SELECT coalesce(sum(amount), 0)"
            " FROM credit_use u WHERE u.tenant_id = c.tenant_id AND u.credit_id = c.id)"
            " ORDER BY c.id DESC LIMIT 50",
        ),
        Case(
            "journal of a month",
            lambda t: t.accounts.entries.read(MARCH, ALL, limit=101),
            ENTRIES.format(after=0),
        ),
        Case(
            "audit trail",
            lambda t: t.trail.page(),
            "SELECT * FROM audit_entry WHERE tenant_id = 'valmont' ORDER BY id DESC LIMIT 51",
        ),
        Case(
            "search: a number",
            lambda t: t.search.find(f"2026-{NEEDLE}"),
            ROWS.format(where=f"i.number = '2026-{NEEDLE}'"),
        ),
        Case(
            "search: an amount",
            lambda t: t.search.find("56,87"),
            ROWS.format(where="i.amount = 5687"),
        ),
        Case(
            "search: a name",
            lambda t: t.search.find("moreau"),
            "SELECT * FROM family WHERE tenant_id = 'valmont' AND name ILIKE '%moreau%'"
            " ORDER BY name, id LIMIT 20",
        ),
        Case(
            "search: a name with a slip",
            lambda t: t.search.find("moraeu 202cb962ac59"),
            "SELECT * FROM family WHERE tenant_id = 'valmont' AND name ILIKE"
            " '%moreau 202cb962ac59%' ORDER BY name, id LIMIT 20",
        ),
        Case(
            "dashboard: what waits",
            lambda t: t.figures.waiting(),
            "SELECT sum(amount - credited - paid) FROM invoice i"
            f" WHERE tenant_id = 'valmont' AND {UNPAID}",
        ),
        Case(
            "dashboard: charts",
            lambda t: t.figures.report(),
            "SELECT (SELECT count(*) FROM (SELECT date_trunc('month', issued_on), sum(amount),"
            " count(DISTINCT family_id) FROM invoice WHERE tenant_id = 'valmont' GROUP BY 1) a),"
            " (SELECT count(*) FROM (SELECT date_trunc('month', at), sum(amount)"
            " FROM journal_entry WHERE tenant_id = 'valmont' GROUP BY 1) b)",
        ),
    ]


def run(quick: bool) -> Iterator[Result]:
    """Fill a town, and ask for each list in turns with its bare query."""
    invoices, count, rounds = (5000, 1, 1) if quick else (1_000_000, 3, 5)
    with running() as portal:
        url = portal.runtime.settings.owner_url.replace("preau_owner", "postgres")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as bare:
            fill(bare, invoices)
            for case in cases():
                with portal.town(TOWN) as town:
                    took = in_turns(
                        {
                            "ours": lambda case=case, town=town: best(
                                lambda: (town.session.expunge_all(), case.ours(town)), count
                            ),
                            "bare": lambda case=case: best(
                                lambda: bare.execute(case.bare).fetchall(), count
                            ),
                        },
                        rounds,
                    )
                yield compared(
                    case.name,
                    took["ours"],
                    took["bare"],
                    "ms",
                    Aim("at most", 25, of="difference"),
                    invoices=invoices,
                    baseline="psycopg, the same rows in one statement, no row-level security",
                )


def fill(connection: Any, invoices: int) -> None:
    """Make the town: a family has fifty invoices in a year, 1 of 97 is not paid."""
    sizes = {
        "invoices": invoices, "families": max(invoices // 50, 1000), "batches": 40,
        "messages": max(invoices // 3, 100),
    }  # fmt: skip
    connection.execute(FILL.format(**sizes))
    connection.execute("SET session_replication_role = origin")
    connection.execute(
        "INSERT INTO family_word (tenant_id, word, family_id)"
        " SELECT tenant_id, word, id FROM family, unnest(name_words(name_folded)) word"
        " ON CONFLICT DO NOTHING"
    )
    connection.execute("VACUUM ANALYZE")


def best(work: Callable[[], object], count: int) -> float:
    """Milliseconds of the best of `count` times: what others do on the machine is not ours."""
    return 1000 * min(each(work, count))


if __name__ == "__main__":
    main(run, __doc__)
