"""A made-up town with its families, invoices and cheques, and the truth about each cheque.

Apart from the matcher on purpose: nothing is imported from it. The parameters are those of the
prototype in CHEQUES_AND_FORMATS 1.7, so that figures can be compared. Amounts come from a price
grid, names from a list with a heavy head, because collisions are the difficulty.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

_SURNAMES = """MARTIN BERNARD THOMAS PETIT ROBERT RICHARD DURAND DUBOIS MOREAU LAURENT SIMON MICHEL
LEFEVRE LEROY ROUX DAVID BERTRAND MOREL FOURNIER GIRARD BONNET DUPONT LAMBERT FONTAINE ROUSSEAU
VINCENT MULLER LEFEBVRE FAURE ANDRE MERCIER BLANC GUERIN BOYER GARNIER CHEVALIER FRANCOIS LEGRAND
GAUTHIER GARCIA PERRIN ROBIN CLEMENT MORIN NICOLAS HENRY ROUSSEL MATHIEU GAUTIER MASSON MARCHAND
DUVAL DENIS DUMONT MARIE LEMAIRE NOEL MEYER DUFOUR MEUNIER BRUN BLANCHARD GIRAUD JOLY RIVIERE LUCAS
BRUNET GAILLARD BARBIER ARNAUD MARTINEZ GERARD ROCHE RENARD SCHMITT ROY LEROUX COLIN VIDAL CARON
PICARD ROGER FABRE AUBERT LEMOINE RENAUD DUMAS LACROIX OLIVIER PHILIPPE BOURGEOIS PIERRE BENOIT REY
LECLERC PAYET ROLLAND LECLERCQ GUILLAUME LECOMTE LOPEZ JEAN DUPUY GUILLOT HUBERT BERGER CARPENTIER
SANCHEZ DUPUIS MOULIN LOUIS DESCHAMPS HUET VASSEUR PEREZ BOUCHER FLEURY ROYER KLEIN JACQUET ADAM
PARIS POIRIER MARTY AUBRY GUYOT CARRE CHARLES RENAULT CHARPENTIER MENARD MAILLARD BARON BERTIN
BAILLY HERVE SCHNEIDER FERNANDEZ COLLET LEGER BOUVIER JULIEN PREVOST MILLET PERROT DANIEL COUSIN
GERMAIN BRETON BESSON LANGLOIS REMY PELLETIER LEVEQUE PERRIER LEBLANC BARRE LEBRUN MARCHAL WEBER
MALLET HAMON BOULANGER JACOB MONNIER MICHAUD RODRIGUEZ GUICHARD GILLET ETIENNE GRONDIN POULAIN
TESSIER CHEVALLIER COLLIN CHAUVIN BENALI NGUYEN DIALLO TRAORE KACZMAREK DASILVA BENSAID TRAN YILMAZ
DELATOUR LEGOFF LEGALL KERVELLA ETCHEVERRY PAGNOL ZIMMERMANN OUEDRAOGO HADDAD MANSOURI FERREIRA
"""
_FIRST = """MARIE JEAN PIERRE MICHEL ANNE NATHALIE ISABELLE SYLVIE PHILIPPE ALAIN CELINE JULIE
THOMAS NICOLAS JULIEN AURELIE EMILIE
CAMILLE SARAH LAURA DAVID KARIM FATIMA MOHAMED SOPHIE CLAIRE PAUL
ANTOINE HUGO LUCAS EMMA LEA CHLOE MANON INES YASMINE AHMED RACHID OLIVIER SANDRINE VIRGINIE STEPHANE
CHRISTOPHE LAURENT FREDERIC SEBASTIEN GUILLAUME ROMAIN BENOIT ELODIE AUDREY CAROLINE DELPHINE
"""
SURNAMES, FIRST = _SURNAMES.split(), _FIRST.split()
MEALS = (98, 145, 210, 287, 345, 402, 465, 530)
CARE = (62, 90, 135, 180, 224, 260, 301, 348)
REGIES = ("CANTINE", "GARDERIE")
CONFUSED = {"0": "8", "8": "03", "1": "7", "7": "1", "3": "8", "5": "6", "6": "5"}
_CHECK = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"


@dataclass(frozen=True, slots=True)
class Noise:
    """How often each thing goes wrong."""

    referenced: float = 0.55
    first_only: float = 0.30
    misread_reference: float = 0.05
    old_coupon: float = 0.03
    neighbours_coupon: float = 0.002
    misread_account: float = 0.03
    foreign_account: float = 0.03
    foreign_name: float = 0.03
    no_name: float = 0.20
    coded: float = 0.25
    wrong_code: float = 0.02
    short: float = 0.02
    over: float = 0.015
    swapped_digits: float = 0.01
    keyed_wrong: float = 0.004
    twice: float = 0.01
    shared_account: float = 0.02
    exchanged: float = 0.002
    check_character: float = 1.0


BASE = Noise()
HARD = replace(
    BASE, misread_reference=0.20, misread_account=0.12, wrong_code=0.10, keyed_wrong=0.02
)


@dataclass(slots=True)
class Household:
    """A family as it is: what it is called, how it pays."""

    id: int
    code: str
    names: tuple[str, ...]
    account: str
    habit: str
    meals: int
    care: int
    children: int
    double: str = ""


@dataclass(slots=True)
class Bill:
    """An invoice, and who owes it. `left` is what is still due."""

    id: int
    family: int
    regie: str
    number: str
    amount: int
    issued_on: date
    due_on: date
    left: int = 0
    paid_in: int = 99
    """The month that settled it."""


@dataclass(slots=True)
class Paper:
    """A cheque as it reaches the portal, its truth, and what went wrong with it."""

    key: str
    regie: str
    month: int
    slip: str
    rank: int
    number: str
    account: str
    amount: int
    issuer: str
    references: tuple[str, ...]
    code: str
    family: int
    truth: tuple[tuple[int, int], ...]
    """(invoice, cents) as a person with the paper in hand files it, a wrong amount corrected."""
    exact: bool
    """Whether the amount as it was imported is that of the invoices meant."""
    classes: tuple[str, ...] = ()


@dataclass(slots=True)
class Town:
    """All of it. `papers` are in the order they arrive."""

    households: list[Household]
    bills: list[Bill] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)
    online: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    """(month, invoices) that were paid through the portal."""


def printed(number: str, *, check: bool = True) -> str:
    """The reference as a coupon prints it."""
    bare = "".join(c for c in number.upper() if c.isalnum())
    return f"{number}-{_CHECK[int(bare, 36) % 37]}" if check else number


def town(seed: int, noise: Noise = BASE, *, families: int = 600, months: int = 4) -> Town:
    """Make a town; the same seed makes the same town."""
    rng = random.Random(seed)
    made = Town([_household(rng, i + 1) for i in range(families)])
    homonyms = rng.sample(made.households, max(2, families // 50))
    for one, other in zip(homonyms[::2], homonyms[1::2], strict=False):
        surname, first = one.names[0].split(" ", 1)
        other.names = (f"{surname} {first[0]}{rng.choice('AEIO')}LINE", *other.names[1:])
    for house in rng.sample(made.households, int(families * noise.shared_account)):
        house.account = rng.choice(made.households).account
    for month in range(months):
        _bill(rng, made, month)
        _pay(rng, made, month, noise)
    return made


def _household(rng: random.Random, number: int) -> Household:
    surname = SURNAMES[min(int(rng.paretovariate(0.55)) - 1, 10**6) % len(SURNAMES)]
    if rng.random() < 0.6:
        surname = rng.choice(SURNAMES)
    first, second = rng.sample(FIRST, 2)
    maiden = rng.choice(SURNAMES)
    names = [f"{surname} {first}"]
    if rng.random() < 0.7:
        names.append(f"{surname} {second}")
    tranche = rng.randrange(8)
    habit = rng.choices(("each", "month", "arrears"), (0.45, 0.35, 0.20))[0]
    return Household(
        number, f"F{number:05d}", tuple(names), f"{rng.randrange(10**24):024d}", habit,
        MEALS[tranche], CARE[tranche], rng.choices((1, 2, 3), (0.5, 0.4, 0.1))[0], maiden,
    )  # fmt: skip


def _bill(rng: random.Random, made: Town, month: int) -> None:
    issued = date(2025, 9 + month, 5) if month < 4 else date(2026, month - 3, 5)
    for house in made.households:
        for regie, price in zip(REGIES, (house.meals, house.care), strict=True):
            if rng.random() > 0.89:
                continue
            number = f"{issued.year}-{issued.month:03d}-{len(made.bills) + 1:06d}"
            amount = price * rng.choice((8, 10, 12, 12, 14, 16, 16)) * house.children
            due_on = issued + timedelta(days=25)
            made.bills.append(
                Bill(
                    id=len(made.bills) + 1, family=house.id, regie=regie, number=number,
                    amount=amount, issued_on=issued, due_on=due_on, left=amount,
                )
            )


def _pay(rng: random.Random, made: Town, month: int, noise: Noise) -> None:
    owed: dict[tuple[int, str], list[Bill]] = {}
    for bill in made.bills:
        if bill.left:
            owed.setdefault((bill.family, bill.regie), []).append(bill)
    sent: list[Paper] = []
    for (family, regie), bills in owed.items():
        house = made.households[family - 1]
        if family % 2:
            # Half of the town pays online, with a few who forget.
            paid = [bill for bill in bills if rng.random() < 0.9]
            made.online.append((month, tuple(bill.id for bill in paid)))
            for bill in paid:
                bill.left, bill.paid_in = 0, month
        elif rng.random() > 0.25:
            sent += [
                _Draw(rng, made, noise).paper(house, regie, month, group)
                for group in _groups(rng, house, bills)
            ]
    rng.shuffle(sent)
    for rank, paper in enumerate(sent, 1):
        paper.slip = f"R{month}-{paper.regie}"
        paper.rank = rank
    _exchange(rng, sent, noise)
    again = [
        replace(paper, classes=(*paper.classes, "twice"))
        for paper in sent
        if rng.random() < noise.twice
    ]
    made.papers += sent + again


def _groups(rng: random.Random, house: Household, bills: list[Bill]) -> list[list[Bill]]:
    """The invoices that each of the household's cheques of the month pays."""
    if house.habit == "month":
        return [[bill for bill in bills if bill.issued_on == bills[-1].issued_on]]
    if house.habit == "arrears":
        return [bills]
    each = [[bill] for bill in bills]
    return each[:1] if rng.random() < 0.5 else each


class _Draw:
    """Draws one cheque, and notes what went wrong with it."""

    def __init__(self, rng: random.Random, made: Town, noise: Noise) -> None:
        self.rng, self.made, self.noise = rng, made, noise
        self.classes: list[str] = []

    def happens(self, name: str) -> bool:
        happened = self.rng.random() < getattr(self.noise, name)
        if happened:
            self.classes.append(name)
        return happened

    def paper(self, house: Household, regie: str, month: int, bills: list[Bill]) -> Paper:
        rng = self.rng
        due = sum(bill.left for bill in bills)
        references = self._references(house, month, bills)
        paid = keyed = due
        if self.happens("short"):
            paid = keyed = max(due - rng.choice((100, 200, 500, 1000, 37)), 1)
        elif self.happens("over"):
            paid = keyed = due + rng.choice((100, 200, 500, 13))
        elif self.happens("swapped_digits"):
            keyed = _swapped(rng, due)
        elif self.happens("keyed_wrong"):
            keyed = max(due + rng.choice((-1, 1)) * rng.choice((1, 10, 100, 1000)), 1)
        account = house.account
        if self.happens("foreign_account"):
            account = f"{rng.randrange(10**24):024d}"
        elif self.happens("misread_account"):
            account = _misread(rng, account)
        number = f"{rng.randrange(10**7):07d}"
        return Paper(
            key=number + account, regie=regie, month=month, slip="", rank=0, number=number,
            account=account, amount=keyed, issuer=self._issuer(house), references=references,
            code=self._code(house), family=house.id, truth=_filed(bills, paid, month),
            exact=keyed == due, classes=tuple(self.classes) or ("clean",),
        )  # fmt: skip

    def _issuer(self, house: Household) -> str:
        rng = self.rng
        if self.happens("no_name"):
            return ""
        if self.happens("foreign_name"):
            title = rng.choice(("M", "MME", "M OU MME"))
            return f"{title} {rng.choice(SURNAMES)} {rng.choice(FIRST)}"
        surname, first = rng.choice(house.names).split(" ", 1)
        if rng.random() < 0.04:
            at = rng.randrange(1, len(surname))
            surname = surname[:at] + rng.choice("AEIORSTLN") + surname[at + 1 :]
        forms = (
            f"{surname} {first}", f"{first} {surname}", f"M OU MME {surname} {first[0]}",
            f"MME {surname} {first}", f"M {surname}", f"MME {house.double}-{surname} {first}",
            f"M ET MME {surname}",
        )  # fmt: skip
        return rng.choice(forms)

    def _references(self, house: Household, month: int, bills: list[Bill]) -> tuple[str, ...]:
        rng = self.rng
        if not self.happens("referenced"):
            return ()
        check = rng.random() < self.noise.check_character
        numbers = [bill.number for bill in bills]
        if len(numbers) > 1 and self.happens("first_only"):
            numbers = numbers[:1]
        if self.happens("old_coupon"):
            old = [
                b.number
                for b in self.made.bills
                if b.family == house.id and b.regie == bills[0].regie and b.paid_in < month
            ]
            numbers = [rng.choice(old)] if old else numbers
        elif self.happens("neighbours_coupon"):
            numbers = [rng.choice(self.made.bills).number]
        texts = [printed(number, check=check) for number in numbers]
        return tuple(_misread(rng, t) if self.happens("misread_reference") else t for t in texts)

    def _code(self, house: Household) -> str:
        if not self.happens("coded"):
            return ""
        if self.happens("wrong_code"):
            other = self.rng.choice(self.made.households).code
            return _misread(self.rng, house.code) if self.rng.random() < 0.5 else other
        return house.code


def _filed(bills: list[Bill], paid: int, month: int) -> tuple[tuple[int, int], ...]:
    """Take `paid` cents off the bills, oldest first."""
    shares = []
    for bill in bills:
        taken = min(paid, bill.left)
        bill.left -= taken
        paid -= taken
        if not bill.left:
            bill.paid_in = month
        if taken:
            shares.append((bill.id, taken))
    return tuple(shares)


def _misread(rng: random.Random, text: str) -> str:
    places = [i for i, c in enumerate(text) if c.isdigit()]
    at = rng.choice(places)
    wrong = CONFUSED.get(text[at]) if rng.random() < 0.7 else None
    new = rng.choice(wrong or [d for d in "0123456789" if d != text[at]])
    return text[:at] + new + text[at + 1 :]


def _swapped(rng: random.Random, amount: int) -> int:
    text = str(amount)
    at = rng.randrange(len(text) - 1)
    return int(text[:at] + text[at + 1] + text[at] + text[at + 2 :])


def _exchange(rng: random.Random, papers: list[Paper], noise: Noise) -> None:
    """Two lines of a slip exchange their amounts: the sum stays right."""
    for place in range(len(papers) - 1):
        one, other = papers[place : place + 2]
        if one.amount != other.amount and rng.random() < noise.exchanged:
            one.amount, other.amount = other.amount, one.amount
            for paper in (one, other):
                paper.exact = False
                paper.classes = (*paper.classes, "exchanged")
