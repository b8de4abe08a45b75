"""The demonstration towns' invoices: made-up families, written in the portal's own import format.

The same town and day give the same files. The first family is the parents' manual's (MANUAL.md):
its numbers, labels, amounts, régies and the two payments of 2012 are facts of the manual; the dates
of its unpaid invoices are near `today`, so that they look like invoices one pays. No other person
or address exists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random

from markupsafe import Markup

from core.api.invoices import Attachment, InvoiceKind, InvoiceRecord, LineRecord, TaxKind
from core.api.payments import Means
from core.domain.money import decimal_text
from core.imports.format.writing import write_zip
from core.platform.clock import PARIS
from core.platform.documents.pdf import render_pdf

MONTHS = (
    "JANVIER", "FÉVRIER", "MARS", "AVRIL", "MAI", "JUIN", "JUILLET", "AOÛT", "SEPTEMBRE",
    "OCTOBRE", "NOVEMBRE", "DÉCEMBRE",
)  # fmt: skip
SURNAMES = (
    "AUBRY", "BAILLY", "BENALI", "BERTIN", "BESSON", "BLANC", "BOUCHER", "BRUNET", "CARON",
    "CHEVALIER", "COLIN", "COSTA", "DA SILVA", "DELMAS", "DIALLO", "DUBOIS", "DUMAS", "FABRE",
    "FERNANDEZ", "FOURNIER", "GARNIER", "GAUTHIER", "GIRARD", "GUÉRIN", "HAMEL", "HENRY", "HUET",
    "JOLY", "KAYA", "LACROIX", "LAMBERT", "LE GOFF", "LEBLANC", "LEFÈVRE", "LEROUX", "MARCHAND",
    "MARTINEZ", "MEUNIER", "MOREL", "NGUYEN", "NOËL", "OLIVIER", "PERRIN", "PICARD", "POIRIER",
    "RENARD", "RIVIÈRE", "ROUSSEL", "SCHMITT", "SIMON", "TESSIER", "THOMAS", "TRAORÉ", "VASSEUR",
    "VIDAL", "WEBER",
)  # fmt: skip
PARENTS = (
    "Alice", "Amandine", "Antoine", "Aurélie", "Bruno", "Carole", "Cédric", "Claire", "Damien",
    "Élodie", "Fatou", "Florian", "Gaëlle", "Hélène", "Ibrahim", "Julie", "Karim", "Laure",
    "Mathieu", "Nadia", "Olivier", "Paul", "Rachel", "Samir", "Sophie", "Thuy", "Vincent",
)  # fmt: skip
CHILDREN = (
    "Adèle", "Adam", "Aïcha", "Anaïs", "Arthur", "Axel", "Célestine", "Chloé", "Clément", "Élise",
    "Éliott", "Emma", "Eva", "Gabin", "Hugo", "Inès", "Jade", "Jules", "Léa", "Léon", "Lina",
    "Louise", "Lucas", "Maël", "Manon", "Mila", "Nathan", "Noah", "Rose", "Sacha", "Tom", "Zoé",
)  # fmt: skip
STREETS = (
    "rue du Lavoir", "rue des Écoles", "place de la Fontaine", "chemin des Vignes",
    "impasse du Moulin", "allée des Tilleuls", "rue de l’Ancienne-Gare", "avenue du Parc",
)  # fmt: skip
AT_THE_COUNTER = (Means.CHEQUE, Means.CHEQUE, Means.CHEQUE, Means.CASH, Means.TERMINAL)


@dataclass(frozen=True, slots=True)
class DemoPayment:
    """A payment to record, of one invoice. `amount` is in cents, `paid_at` aware."""

    key: str
    family_code: str
    regie: str
    number: str
    amount: int
    means: Means
    paid_at: datetime
    payer: str
    authorisation: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class SharedChild:
    """A child whose invoices a second household sees too."""

    family_code: str
    child_code: str
    sees_all: bool = True


@dataclass(frozen=True, slots=True)
class DemoTown:
    """Data of a demonstration town: files to import, in this order, and the work after that."""

    files: list[Path]
    payments: list[DemoPayment]
    highlight_families: dict[str, str]
    """Codes of the families worth signing in as, and why (in French)."""
    shared_children: list[SharedChild] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Desks:
    """Régies of a town, by the service that each invoices; "" where there is no such service."""

    meals: str
    care: str
    nursery: str = ""
    """Collected by the trésorerie: never paid at the counter here."""


@dataclass(frozen=True, slots=True)
class _Household:
    code: str
    debtor: str
    address: tuple[str, ...]
    children: tuple[str, ...]
    meal_price: int
    care: bool
    nursery: bool
    debit: bool

    @property
    def payer(self) -> str:
        surname, _, first_name = self.debtor.rpartition(" ")
        return f"{first_name} {surname}"


class _Town:
    """One town being made: its chance, its counters, and what came of it."""

    def __init__(self, slug: str, town: str, desks: _Desks, today: date) -> None:
        self.chance = Random(slug)  # noqa: S311 - the same data each time is the aim
        self.slug, self.town, self.desks, self.today = slug, town, desks, today
        self.payments: list[DemoPayment] = []
        self._sequence: dict[str, int] = {}

    def household(self, index: int) -> _Household:
        pick = self.chance
        return _Household(
            code=f"F{index:05d}",
            debtor=f"{pick.choice(SURNAMES)} {pick.choice(PARENTS)}",
            address=self.address(),
            children=tuple(pick.sample(CHILDREN, pick.choice((2, 2, 3)))),
            meal_price=pick.choice((130, 260, 340, 410)),
            care=pick.random() < 0.6,
            nursery=bool(self.desks.nursery) and pick.random() < 0.12,
            debit=pick.random() < 0.06,
        )

    def address(self) -> tuple[str, ...]:
        street = f"{self.chance.randint(1, 80)} {self.chance.choice(STREETS)}"
        return street, f"99120 {self.town}"

    def invoice(
        self,
        home: _Household,
        regie: str,
        label: str,
        month: date,
        lines: Sequence[LineRecord],
        *,
        reference: str = "",
    ) -> InvoiceRecord:
        """An invoice for `month`, as the town's software sends it out in the month after."""
        stem = f"{month.year}-{month.month:03d}"
        number = self._sequence[stem] = self._sequence.get(stem, 0) + 1
        after = _next_month(month)
        return InvoiceRecord(
            regie=regie,
            number=f"{stem}-{number:06d}",
            family_code=home.code,
            label=f"{label} {MONTHS[month.month - 1]} {month.year}",
            amount=sum(line.amount for line in lines),
            issued_on=after.replace(day=3),
            due_on=after.replace(day=25),
            fiscal_year=month.year,
            payment_reference=reference or f"{month.year}8701{month.month:02d}{number:010d}",
            debtor=home.debtor,
            address=home.address,
            period_start=month,
            period_end=after - timedelta(days=1),
            direct_debit=home.debit,
            lines=_ranked(*lines),
        )

    def month(self, homes: Sequence[_Household], month: date) -> Iterator[InvoiceRecord]:
        """The invoices of one month to every household."""
        pick = self.chance
        for home in homes:
            meals = [_meals(child, pick.randint(8, 17), home.meal_price) for child in home.children]
            if self.desks.care == self.desks.meals:
                care = self._care(home) if home.care else []
                label = "CANTINE ET GARDERIE" if care else "CANTINE"
                yield self.invoice(home, self.desks.meals, label, month, meals + care)
                continue
            yield self.invoice(home, self.desks.meals, "CANTINE", month, meals)
            if home.care:
                care = self._care(home)
                yield self.invoice(home, self.desks.care, "GARDERIE", month, care)
            if home.nursery:
                hours = _line(
                    home.children[-1], "MULTI-ACCUEIL", TaxKind.CARE, pick.randint(60, 140), 134
                )
                yield self.titre(home, month, hours)

    def titre(self, home: _Household, month: date, *lines: LineRecord) -> InvoiceRecord:
        """An invoice that the trésorerie collects, under the reference that it knows."""
        record = self.invoice(home, self.desks.nursery, "MULTI-ACCUEIL", month, lines)
        number = int(record.number[-6:])
        return replace(
            record,
            payment_reference=f"{month.year}-RS-00-{month.month}{number:06d}",
            direct_debit=False,
        )

    def _care(self, home: _Household) -> list[LineRecord]:
        pick = self.chance
        lines = [
            _line(child, "GARDERIE SOIR", TaxKind.CARE, pick.randint(4, 16), 210)
            for child in home.children
        ]
        if pick.random() < 0.4:
            child = pick.choice(home.children)
            days = pick.randint(1, 4)
            lines.append(_line(child, "ACCUEIL DU MERCREDI", TaxKind.CARE, days, 1250))
        if pick.random() < 0.2:
            child = pick.choice(home.children)
            lines.append(_line(child, "TRANSPORT SCOLAIRE", TaxKind.OTHER, 1, 2055))
        return lines

    def pay(
        self,
        record: InvoiceRecord,
        means: Means,
        on: date,
        payer: str,
        *,
        authorisation: str = "",
        note: str = "",
    ) -> None:
        """Have an invoice paid whole."""
        self.payments.append(
            DemoPayment(
                key=f"demo:{record.regie}:{record.number}",
                family_code=record.family_code,
                regie=record.regie,
                number=record.number,
                amount=record.amount,
                means=means,
                paid_at=datetime.combine(on, time(10, 30), PARIS),
                payer=payer,
                authorisation=authorisation,
                note=note,
            )
        )

    def pay_some(
        self, records: Sequence[InvoiceRecord], payers: dict[str, str], share: float
    ) -> None:
        """Have about `share` of `records` paid at the counter, before `today`."""
        for record in records:
            on = record.issued_on + timedelta(days=self.chance.randint(3, 24))
            if self.chance.random() >= share or on >= self.today:
                continue
            if record.regie == self.desks.nursery:
                continue
            means = self.chance.choice(AT_THE_COUNTER)
            self.pay(
                record,
                Means.DIRECT_DEBIT if record.direct_debit else means,
                on,
                payers[record.family_code],
            )


def town_files(slug: str, today: date, out: Path, households: int = 120) -> DemoTown:
    """Write the files of the demonstration town `slug` into `out`, which exists.

    `households` are those of the larger town that nobody signs in as.

    Raises:
        KeyError: there is no such demonstration town.
    """
    towns = {"ville-de-demo": _ville_de_demo, "bourg-exemple": _bourg_exemple}
    return towns[slug](today, out, households)


def _ville_de_demo(today: date, out: Path, households: int) -> DemoTown:
    desks = _Desks(meals="EXTRASCOLAIRE", care="PERISCOLAIRE", nursery="CRECHE")
    town = _Town("ville-de-demo", "VILLE DE DÉMO", desks, today)
    months = _last_months(today, 3)

    manual, past = list(_manual_family(town)), list(_martin_last_year(town))
    homes = [town.household(index) for index in range(101, 101 + households)]
    homes[0] = replace(homes[0], debit=True)  # One there is, however small the town.
    mother, father = _separated_parents(town)
    martin = _martin(town)
    homes += [mother, father, martin]
    payers = {home.code: home.payer for home in homes}

    files = [_write(out, "reprise.zip", [*manual, *past])]
    for month, share in zip(months, (0.9, 0.7, 0.15), strict=True):
        records = list(town.month(homes, month))
        if month == months[-1]:
            records.extend(_martin_extras(town, martin, month, records))
        else:
            town.pay_some(records, payers, share)
        files.append(_write(out, f"factures-{month:%Y-%m}.zip", records))
    return DemoTown(
        files,
        town.payments,
        {
            MANUAL_FAMILY: "la famille du mode d’emploi : trois factures à payer, deux déjà payées",
            martin.code: "un avoir, une facture de la trésorerie, une attestation fiscale",
            mother.code: "parents séparés : l’enfant E0451 vit ici une semaine sur deux",
            father.code: "parents séparés : voit aussi celles de E0451 chez l’autre parent",
        },
        [SharedChild(father.code, SHARED_CHILD)],
    )


def _bourg_exemple(today: date, out: Path, _households: int) -> DemoTown:
    town = _Town("bourg-exemple", "BOURG-EXEMPLE", _Desks("CANTINE", "CANTINE"), today)
    homes = [town.household(index) for index in range(1, 25)]
    first = homes[0] = replace(homes[0], care=True, debit=False)
    payers = {home.code: home.payer for home in homes}
    files = []
    for month, share in zip(_last_months(today, 2), (0.8, 0.0), strict=True):
        records = list(town.month(homes, month))
        town.pay_some(records, payers, share)
        files.append(_write(out, f"factures-{month:%Y-%m}.zip", records))
    return DemoTown(files, town.payments, {first.code: "une famille du bourg"})


# --- The manual's family -----------------------------------------------------------------------

MANUAL_FAMILY = "F00007"


def _manual_family(town: _Town) -> Iterator[InvoiceRecord]:
    issued, meals, care = town.today - timedelta(days=12), TaxKind.MEAL, TaxKind.CARE
    bond = InvoiceRecord(
        regie="EXTRASCOLAIRE",
        number="2018-010-000001",
        family_code=MANUAL_FAMILY,
        label="CANTINE",
        amount=5687,
        issued_on=issued,
        due_on=town.today + timedelta(days=10),
        fiscal_year=2018,
        payment_reference="20188701010000000001",
        debtor="BOND Jamie",
        address=("7 place de la Fontaine", "99120 VILLE DE DÉMO"),
        lines=_ranked(
            _line("Emma", "REPAS ÉLÉMENTAIRE", meals, 16, 260),
            LineRecord(0, "SURVEILLANCE DE LA PAUSE MÉRIDIENNE", care, 1527, "Emma"),
        ),
    )
    yield _with_pdf(bond, "REGIE EXTRASCOLAIRE")
    yield replace(
        bond,
        number="2018-010-000002",
        label="GARDERIE B",
        amount=22780,
        due_on=town.today + timedelta(days=15),
        payment_reference="20188701010000000002",
        lines=_ranked(
            _line("Emma", "GARDERIE B", care, 34, 335),
            _line("Lucas", "GARDERIE B", care, 34, 335),
        ),
    )
    yield replace(
        bond,
        regie="PERISCOLAIRE",
        number="2018-011-000003",
        label="CANTINE ET TRANSPORT NOVEMBRE 2018",
        amount=17995,
        due_on=town.today + timedelta(days=20),
        payment_reference="20188701011000000003",
        lines=_ranked(
            _line("Emma", "REPAS ÉLÉMENTAIRE", meals, 17, 410),
            _line("Lucas", "REPAS MATERNELLE", meals, 17, 410),
            LineRecord(0, "TRANSPORT SCOLAIRE", TaxKind.OTHER, 4055, "Emma"),
        ),
    )
    march = replace(
        bond,
        regie="PERISCOLAIRE",
        number="2012-003-000314",
        label="CANTINE ET GARDERIE MARS 2012",
        amount=2100,
        issued_on=date(2012, 4, 2),
        due_on=date(2012, 4, 15),
        fiscal_year=2012,
        payment_reference="2012-TS-00-3000314",
        period_start=date(2012, 3, 1),
        period_end=date(2012, 3, 31),
        lines=_ranked(
            _line("Emma", "REPAS MATERNELLE", meals, 5, 240),
            _line("Emma", "GARDERIE SOIR", care, 6, 150),
        ),
    )
    april = replace(
        march,
        number="2012-004-000313",
        label="CANTINE ET GARDERIE AVRIL 2012",
        amount=1800,
        issued_on=date(2012, 5, 2),
        due_on=date(2012, 5, 15),
        payment_reference="2012-TS-00-4000313",
        period_start=date(2012, 4, 1),
        period_end=date(2012, 4, 30),
        lines=_ranked(
            _line("Emma", "REPAS MATERNELLE", meals, 5, 240),
            _line("Emma", "GARDERIE SOIR", care, 4, 150),
        ),
    )
    town.pay(march, Means.CARD, date(2012, 4, 25), "Jamie BOND", authorisation="123456")
    town.pay(april, Means.CHEQUE, date(2012, 5, 10), "Jamie BOND", note="chèque n° 0001234")
    yield _with_pdf(march, "REGIE PERISCOLAIRE")
    yield _with_pdf(april, "REGIE PERISCOLAIRE")


# --- Families that show something ----------------------------------------------------------------

SHARED_CHILD = "E0451"
"""A number of the billing software: a bare first name would be another child in each family."""


def _martin(town: _Town) -> _Household:
    return _Household(
        code="F01207",
        debtor="MARTIN Céline",
        address=("1 rue du Lavoir", f"99120 {town.town}"),
        children=("Léa", "Jules", "Rose"),
        meal_price=260,
        care=True,
        nursery=True,
        debit=False,
    )


def _martin_last_year(town: _Town) -> Iterator[InvoiceRecord]:
    """Care that was paid last year: what a tax certificate is made of."""
    martin, year = _martin(town), town.today.year - 1
    for month in (date(year, 3, 1), date(year, 6, 1), date(year, 9, 1)):
        record = town.invoice(
            martin,
            "PERISCOLAIRE",
            "CANTINE ET GARDERIE",
            month,
            [
                _meals("Léa", 14, martin.meal_price),
                _line("Léa", "GARDERIE SOIR", TaxKind.CARE, 12, 210),
                _line("Jules", "GARDERIE SOIR", TaxKind.CARE, 12, 210),
                _line("Rose", "ACCUEIL DU MERCREDI", TaxKind.CARE, 3, 1250),
            ],
        )
        if record.issued_on < town.today:
            town.pay(record, Means.CHEQUE, record.due_on, "Céline MARTIN")
        yield record


def _martin_extras(
    town: _Town, martin: _Household, month: date, records: Sequence[InvoiceRecord]
) -> Iterator[InvoiceRecord]:
    meals = next(r for r in records if r.family_code == martin.code and r.regie == "EXTRASCOLAIRE")
    lines = [_line("Jules", "REPAS NON PRIS (MALADIE)", TaxKind.MEAL, -2, martin.meal_price)]
    credit = town.invoice(martin, "EXTRASCOLAIRE", "AVOIR CANTINE", month, lines)
    yield replace(
        credit, kind=InvoiceKind.CREDIT_NOTE, origin_number=meals.number, payment_reference=""
    )
    trip = [_line("Léa", "SORTIE AU ZOO", TaxKind.OTHER, 1, 8600)]
    reference = "20198701010000000069"
    yield town.invoice(martin, "EXTRASCOLAIRE", "SORTIE", month, trip, reference=reference)


def _separated_parents(town: _Town) -> tuple[_Household, _Household]:
    mother = _Household(
        code="F00451",
        debtor="RENAUD Sylvie",
        address=("18 allée des Tilleuls", f"99120 {town.town}"),
        children=(SHARED_CHILD, "Mila"),
        meal_price=340,
        care=True,
        nursery=False,
        debit=False,
    )
    father = replace(
        mother,
        code="F00452",
        debtor="PETIT Marc",
        address=("4 impasse du Moulin", f"99120 {town.town}"),
        children=(SHARED_CHILD,),
    )
    return mother, father


# --- Pieces --------------------------------------------------------------------------------------


def _line(child: str, activity: str, kind: TaxKind, quantity: int, price: int) -> LineRecord:
    return LineRecord(0, activity, kind, quantity * price, child, Decimal(quantity), price)


def _ranked(*lines: LineRecord) -> tuple[LineRecord, ...]:
    return tuple(replace(line, rank=rank) for rank, line in enumerate(lines, 1))


def _meals(child: str, count: int, price: int) -> LineRecord:
    return _line(child, "REPAS", TaxKind.MEAL, count, price)


def _next_month(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def _last_months(today: date, count: int) -> list[date]:
    """The first days of the last `count` months whose invoices (of the 3rd after) are out."""
    month = (today - timedelta(days=2)).replace(day=1)
    months = []
    for _ in range(count):
        month = (month - timedelta(days=1)).replace(day=1)
        months.append(month)
    return months[::-1]


def _write(out: Path, name: str, records: Sequence[InvoiceRecord]) -> Path:
    path = out / name
    write_zip(path, records)
    return path


def _with_pdf(record: InvoiceRecord, regie: str) -> InvoiceRecord:
    """The invoice with a PDF of its own, as the town's software prints it."""
    pdf = _print(record, regie)
    return replace(record, document=Attachment(f"{record.number}.pdf", partial(bytes, pdf)))


def _print(record: InvoiceRecord, regie: str) -> bytes:
    rows = Markup("").join(
        Markup('<tr><td>{}</td><td>{}</td><td class="num">{} €</td></tr>').format(
            line.child, line.activity, decimal_text(line.amount)
        )
        for line in record.lines
    )
    body = Markup(
        "<h1>Facture n° {number}</h1>"
        "<p>VILLE DE DÉMO – {regie}</p><p>{debtor}<br>{street}<br>{town}</p>"
        "<p>{label}<br>Date : {issued} – Échéance : {due}<br>Référence : {reference}</p>"
        "<table><thead><tr><th>Enfant</th><th>Activité</th><th>Montant</th></tr></thead>"
        "<tbody>{rows}</tbody></table><p><strong>Total à payer : {total} €</strong></p>"
        "<p>Document de démonstration, sans valeur.</p>"
    ).format(
        number=record.number,
        regie=regie,
        debtor=record.debtor,
        street=record.address[0],
        town=record.address[-1],
        label=record.label,
        issued=f"{record.issued_on:%d/%m/%Y}",
        due=f"{record.due_on:%d/%m/%Y}",
        reference=record.payment_reference,
        rows=rows,
        total=decimal_text(record.amount),
    )
    title = f"Facture {record.number}"
    return render_pdf(str(body), title=title, language="fr", created=record.issued_on)
