"""Papers a second, against bare WeasyPrint on the same HTML; and papers kept, against a file.

"Bare" is what one would write without `core.platform.documents`: `HTML(string).write_pdf()` with
the same style sheet and the same font files, in the same PDF variant. Ours adds composing the HTML
from the sheet, and spares reading fonts and style sheet again for each paper.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from itertools import count

import weasyprint

from benchmarks.measure import Aim, Result, compared, in_turns, main, rate, seconds
from core.api.payments import Means
from core.platform.documents.pdf import page
from core.platform.documents.presses import print_all
from core.platform.documents.render import (
    Paper,
    invoice,
    receipt,
    render_invoice,
    render_receipt,
    together,
)
from core.platform.documents.sheets import (
    Addressee,
    Coupon,
    InvoiceSheet,
    InvoiceSheetLine,
    Letterhead,
    ReceiptShare,
    ReceiptSheet,
)

EACH = 40
"""Invoices of one file, as `preau invoices print` writes them."""
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


def measured(case: Case, papers: int, rounds: int) -> Result:
    folder = resources.files("core.platform.documents")
    css = (folder / "templates" / "paper.css").read_text("utf-8")
    css = css.replace("preau-font:", (folder / "fonts").joinpath("").as_uri() + "/")
    composed = [case.compose(number) for number in range(papers)]
    htmls = [
        page(p.html, title=p.title, language=p.language, author=p.author, created=p.created)
        for p in composed
    ]
    ours, theirs = count(), count()
    took = in_turns(
        {
            "ours": lambda: rate(lambda: case.ours(next(ours) % papers), papers),
            "bare": lambda: rate(lambda: bare(htmls[next(theirs) % papers], css), papers),
        },
        rounds,
    )
    return compared(
        f"{case.name} as PDF", took["ours"], took["bare"], "papers/s", Aim("at least", 0.9),
        papers=papers, baseline="WeasyPrint on the same HTML, style sheet and fonts",
    )  # fmt: skip


def printed(papers: int, each: int, processes: int) -> float:
    """Invoices a second, printed in files of `each` by so many processes, their start included."""
    files = (
        together(
            [
                invoice(replace(INVOICE, number=f"F-{n}", payment_url=f"{INVOICE.payment_url}/{n}"))
                for n in range(start, start + each)
            ],
            f"factures-{start}", "Factures",
        )
        for start in range(0, papers, each)
    )  # fmt: skip
    took = seconds(lambda: list(print_all(files, processes=processes)))
    return papers / took


def run(quick: bool) -> Iterator[Result]:
    for case in CASES:
        yield measured(case, *((1, 1) if quick else (20, 6)))
    papers, each, rounds = (4, 2, 1) if quick else (8 * EACH, EACH, 3)
    cores = os.cpu_count() or 1
    took = in_turns(
        {
            "cores": lambda: printed(papers, each, cores),
            "one": lambda: rate(lambda: render_invoice(INVOICE), papers // 4),
        },
        rounds,
    )
    yield compared(
        "invoices printed in files", took["cores"], took["one"], "papers/s",
        papers=papers, each=each, processes=cores,
        baseline="one after the other, each a file, in one process",
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
