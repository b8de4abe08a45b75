"""Each document: its template, its words, its file name."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import core
from core.api.invoices import InvoiceKind
from core.api.messages import Document
from core.domain.figures import Report, share
from core.domain.tax import UNDER_AGE, ceiling
from core.platform import i18n
from core.platform.clock import PARIS
from core.platform.documents.codes import checked, coupon_code, qr_image
from core.platform.documents.pdf import render_pdf
from core.platform.documents.sheets import (
    CertificateSheet,
    CodesSheet,
    InvoiceSheet,
    Letterhead,
    Logo,
    MandateSheet,
    ReceiptSheet,
)
from core.platform.documents.window import address_size, is_long
from core.platform.i18n import gettext as _
from core.platform.means_words import means_label
from core.platform.templating import configure

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Paper:
    """A document before it is set: the HTML of its body, and what its metadata say."""

    name: str
    html: str
    title: str
    language: str
    author: str
    created: date

    def document(self) -> Document:
        """Set it."""
        content = render_pdf(
            self.html,
            title=self.title,
            language=self.language,
            author=self.author,
            created=self.created,
        )
        return Document(f"{self.name}.pdf", "application/pdf", content)


def render_invoice(data: InvoiceSheet) -> Document:
    """Print an invoice, with its coupon, or a credit note."""
    return invoice(data).document()


def render_receipt(data: ReceiptSheet) -> Document:
    """Print a receipt (*reçu*)."""
    return receipt(data).document()


def render_certificate(data: CertificateSheet) -> Document:
    """Print a yearly tax certificate, a letter per payer."""
    return certificate(data).document()


def render_codes(data: CodesSheet) -> Document:
    """Print letters with access codes, for window envelopes."""
    return codes(data).document()


def render_mandate(data: MandateSheet) -> Document:
    """Print a SEPA mandate with empty places for the account and the signature."""
    with i18n.use(data.language):
        return _paper(
            "mandate",
            data.town,
            data.language,
            _("Mandat de prélèvement SEPA"),
            name=_file_name("mandat", data.family_code or "vierge"),
            created=data.printed_on,
            context={"sheet": data},
        ).document()


def invoice(data: InvoiceSheet) -> Paper:
    """Compose an invoice."""
    is_credit = data.kind is InvoiceKind.CREDIT_NOTE
    with i18n.use(data.language):
        heading = (
            _("Avoir n° %(number)s") if is_credit else _("Facture n° %(number)s")
        ) % {"number": data.number}
        coupon = ""
        if data.coupon and data.balance and data.debited_on is None:
            coupon = coupon_code(
                data.coupon.town, data.coupon.regie, data.number, data.balance
            )
        return _paper(
            "invoice",
            data.town,
            data.language,
            heading,
            name=_file_name("avoir" if is_credit else "facture", data.number),
            created=data.issued_on,
            context={
                "sheet": data,
                "is_credit": is_credit,
                "coupon": coupon,
                "checked": checked(data.number),
            },
        )


def together(papers: Sequence[Paper], name: str, title: str) -> Paper:
    """Several papers as one file, each from a page of its own with its own page numbers."""
    parts = (
        Markup('<section class="letter" lang="{}">{}</section>').format(
            paper.language, Markup(paper.html)  # noqa: S704 - composed by our templates
        )
        for paper in papers
    )
    first = papers[0]
    return replace(first, name=name, title=f"{title} – {first.author}", html="".join(parts))


def fingerprint(data: InvoiceSheet) -> str:
    """Identify all that an invoice says and how it looks: equal means the same paper."""
    return hashlib.sha256(_look() + repr(data).encode()).hexdigest()


@cache
def _look() -> bytes:
    """Identify what makes a sheet a paper: templates, fonts, words, and the typesetter."""
    here = Path(__file__).parent
    found = hashlib.sha256(version("weasyprint").encode())
    for folder in (here / "templates", here / "fonts", Path(core.__file__).parent / "locale"):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                found.update(path.read_bytes())
    return found.digest()


def receipt(data: ReceiptSheet) -> Paper:
    """Compose a receipt."""
    with i18n.use(data.language):
        return _paper(
            "receipt",
            data.town,
            data.language,
            _("Reçu de paiement n° %(number)s") % {"number": data.number},
            name=_file_name("recu", data.number),
            created=data.paid_at.astimezone(PARIS).date(),
            context={"sheet": data, "means": means_label(data.means)},
        )


def certificate(data: CertificateSheet) -> Paper:
    """Compose a tax certificate."""
    with i18n.use(data.language):
        return _paper(
            "certificate",
            data.town,
            data.language,
            _("Attestation fiscale %(year)s") % {"year": data.year},
            name=_file_name("attestation-fiscale", str(data.year)),
            created=data.issued_on,
            context={
                "sheet": data,
                "born_since": data.year - UNDER_AGE,
                "ceiling": ceiling(data.year),
                "shared_ceiling": ceiling(data.year, shared_custody=True),
            },
        )


def codes(data: CodesSheet) -> Paper:
    """Compose letters with access codes, each in its family's language."""
    template = _environment().get_template("codes.jinja2")
    pages = []
    for letter in data.letters:
        with i18n.use(letter.language):
            pages.append(template.render(sheet=data, letter=letter))
    return Paper(
        name=_file_name("codes-d-acces", data.written_on.isoformat()),
        html="".join(pages),
        title=" – ".join((_("Codes d’accès"), data.town.name)),
        language=data.letters[0].language,
        author=data.town.name,
        created=data.written_on,
    )


def render_report(town: Letterhead, report: Report, month: date, language: str) -> Document:
    """Print the dashboard of a month; `month` is its first day."""
    with i18n.use(language):
        return _paper(
            "report",
            town,
            language,
            _("Tableau de bord, %(month)s") % {"month": f"{month:%m/%Y}"},
            name=_file_name("tableau-de-bord", f"{month:%Y-%m}"),
            created=report.day,
            context={
                "town": town,
                "report": report,
                "labels": [f"{one.first:%m/%y}" for one in report.months],
                "share": share,
                "told": list(zip(*(one.told for one in report.months), strict=True)),
            },
        ).document()


def payment_slip(
    activities: Sequence[tuple[str, str, str, int]],
    cheques: Sequence[tuple[str, str, str, int]],
    cash: int,
    titles: Sequence[tuple[str, str, str, str, int]] = (),
    returned: Sequence[tuple[str, str, str, str, int]] = (),
) -> str:
    """Part of a *bordereau de versement* that is on paper only, as trusted HTML.

    Args:
        activities: *exercice*, account, name and net cents of each.
        cheques: receipt, payer, number and cents of each.
        cash: cents that should be counted.
        titles: receipt, means, payer, numbers and cents of each payment by titles (CESU…).
        returned: likewise, of each payment that came back after another one had taken it.
    """
    template = _environment().get_template("payment_slip.jinja2")
    return template.render(
        activities=activities, cheques=cheques, cash=cash, titles=titles, returned=returned
    )


def signatures(names: Sequence[str] = ()) -> str:
    """Space for the signatures of these people, else of the régisseur and the accountant.

    As trusted HTML.
    """
    return _environment().get_template("signatures.jinja2").render(names=names)


def _paper(
    template: str,
    town: Letterhead,
    language: str,
    heading: str,
    *,
    name: str,
    created: date,
    context: Mapping[str, object],
) -> Paper:
    return Paper(
        name=name,
        html=_environment().get_template(f"{template}.jinja2").render(heading=heading, **context),
        title=f"{heading} – {town.name}",
        language=language,
        author=town.name,
        created=created,
    )


@cache
def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    configure(env)
    env.filters.update(qr_image=qr_image, data_url=_data_url, address_size=address_size)
    env.tests["long_head"] = is_long
    env.globals["in_french"] = _in_french
    return env


def _in_french() -> Markup:
    """Mark the town's own words, by an attribute, on a paper in another language."""
    is_french = i18n.current_locale() == i18n.SOURCE_LOCALE
    return Markup() if is_french else Markup(' lang="fr"')


def _data_url(logo: Logo) -> str:
    return f"data:{logo.media_type};base64,{b64encode(logo.content).decode()}"


def _file_name(kind: str, number: str) -> str:
    """A name that every mail program and disk takes."""
    return f"{kind}-{_UNSAFE.sub('-', number).strip('-')}"
