"""Papers a second, as a ratio to bare WeasyPrint on the same HTML.

    python benchmarks/documents.py [--count 30] [--rounds 3] [--json]

"Bare" is what one would write without `core.documents`: `HTML(string).write_pdf()` with the same
style sheet and the same font files, in the same PDF variant. Ours adds composing the HTML from the
sheet, and spares reading fonts and style sheet again for each paper. Both run in turns in one
process, each round twice the other way round, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources

import weasyprint

from core.api.payments import Means
from core.documents import (
    Addressee,
    Coupon,
    InvoiceSheet,
    InvoiceSheetLine,
    Letterhead,
    ReceiptShare,
    ReceiptSheet,
    render_invoice,
    render_receipt,
)
from core.documents.pdf import page
from core.documents.render import Paper, invoice, receipt

AIM = 0.9

TOWN = Letterhead("Ville de Démo", ("1 place de la Mairie", "99000 Démoville"), ("01 99 00 00 00",))
FAMILY = Addressee("MARTIN Céline", ("1 rue du Lavoir", "99000 Démoville"))
RECEIPT = ReceiptSheet(
    town=TOWN,
    language="fr",
    regie="Régie périscolaire",
    number="PERISCOLAIRE-2025-000042",
    payer=FAMILY,
    amount=9287,
    means=Means.CARD,
    paid_at=datetime(2025, 11, 20, 12, tzinfo=UTC),
    shares=(ReceiptShare("2025-010-000314", "CANTINE OCTOBRE 2025", 9287, 9287),),
    authorisation="123456",
)
INVOICE = InvoiceSheet(
    town=TOWN,
    language="fr",
    regie="Régie périscolaire",
    number="2025-010-000314",
    label="CANTINE ET GARDERIE OCTOBRE 2025",
    issued_on=date(2025, 11, 3),
    due_on=date(2025, 11, 25),
    amount=5687,
    debtor=FAMILY,
    lines=tuple(
        InvoiceSheetLine(f"ACTIVITÉ {rank}", 520, "Léa", Decimal(2), 260) for rank in range(8)
    ),
    payment_url="https://demo.example/ville-de-demo/payer/314",
    pay_otherwise=("Par chèque à l’ordre de la régie.",),
    coupon=Coupon("ville-de-demo", "PERISCOLAIRE"),
)


@dataclass(frozen=True)
class Case:
    name: str
    ours: Callable[[int], object]
    compose: Callable[[int], Paper]


CASES = (
    Case(
        "receipt",
        lambda n: render_receipt(replace(RECEIPT, number=f"R-{n}")),
        lambda n: receipt(replace(RECEIPT, number=f"R-{n}")),
    ),
    Case(
        "invoice",
        lambda n: render_invoice(replace(INVOICE, number=f"F-{n}")),
        lambda n: invoice(replace(INVOICE, number=f"F-{n}")),
    ),
)


def bare(html: str, css: str) -> bytes:
    return weasyprint.HTML(string=html).write_pdf(
        stylesheets=[weasyprint.CSS(string=css)], pdf_variant="pdf/ua-1"
    )


def seconds(work: Callable[[int], object], count: int) -> float:
    start = time.perf_counter()
    for number in range(count):
        work(number)
    return time.perf_counter() - start


def measure(case: Case, count: int, rounds: int) -> dict[str, object]:
    folder = resources.files("core.documents")
    css = (folder / "templates" / "paper.css").read_text("utf-8")
    css = css.replace("preau-font:", (folder / "fonts").joinpath("").as_uri() + "/")
    papers = [case.compose(number) for number in range(count)]
    htmls = [
        page(p.html, title=p.title, language=p.language, author=p.author, created=p.created)
        for p in papers
    ]
    ways = {"ours": case.ours, "bare": lambda n: bare(htmls[n], css)}
    for work in ways.values():
        work(0)
    ratios, rates = [], []
    for turn in range(rounds * 2):
        order = ["ours", "bare"] if turn % 2 else ["bare", "ours"]
        took = {way: seconds(ways[way], count) for way in order}
        ratios.append(took["bare"] / took["ours"])
        rates.append(count / took["ours"])
    return {
        "paper": case.name,
        "papers_per_second": round(statistics.median(rates), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "aim": AIM,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [measure(case, options.count, options.rounds) for case in CASES]
    if options.json:
        print(json.dumps(results))
    else:
        for result in results:
            low, high = result["ratio_spread"]
            print(
                f"{result['paper']}: {result['papers_per_second']}/s, "
                f"{result['ratio']} x bare WeasyPrint ({low} to {high}; aim {AIM})"
            )
    return 0 if all(result["ratio"] >= AIM for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
