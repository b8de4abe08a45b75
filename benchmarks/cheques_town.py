"""A made-up town with its families, invoices and cheques, and the truth about each cheque.

Apart from the matcher on purpose: nothing is imported from it, and the benchmark only sees the
files that `cheques_files` writes of a town. Amounts come from a price grid and names from a list
with a heavy head, because collisions are the difficulty.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta

from benchmarks.cheques_draw import Draw
from benchmarks.cheques_made import CARE, MEALS, REGIES, Bill, Household, Kind, Paper, UnitOfWork
from benchmarks.cheques_names import FIRST, SURNAMES
from benchmarks.cheques_noise import BASE, Noise


def town(seed: int, noise: Noise = BASE, *, families: int = 600, months: int = 4) -> UnitOfWork:
    """Make a town; the same seed makes the same town."""
    rng = random.Random(seed)
    made = UnitOfWork([_household(rng, i + 1) for i in range(families)])
    homonyms = rng.sample(made.households, max(2, families // 50))
    for one, other in zip(homonyms[::2], homonyms[1::2], strict=False):
        surname, first = one.names[0].split(" ", 1)
        other.names = (f"{surname} {first[0]}{rng.choice('AEIO')}LINE", *other.names[1:])
    for house in rng.sample(made.households, int(families * noise.shared_account)):
        house.account = rng.choice(made.households).account
    cousins = rng.sample(made.households, int(families * noise.grandparent) // 2 * 2)
    for one, other in zip(cousins[::2], cousins[1::2], strict=True):
        one.patron = other.patron = f"MME {rng.choice(SURNAMES)}-VIEILLEFOSSE {rng.choice(FIRST)}"
        one.account = other.account
    # Drawn apart, so that the town is the same whatever is known of it.
    made.known = [
        h for h in made.households if random.Random(f"{seed}/{h.id}").random() < noise.known
    ]
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


def _bill(rng: random.Random, made: UnitOfWork, month: int) -> None:
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
            )  # fmt: skip


def _pay(rng: random.Random, made: UnitOfWork, month: int, noise: Noise) -> None:
    owed: dict[int, dict[str, list[Bill]]] = {}
    for bill in made.bills:
        if bill.left:
            owed.setdefault(bill.family, {}).setdefault(bill.regie, []).append(bill)
    sent: list[Paper] = []
    for family, by_regie in owed.items():
        house = made.households[family - 1]
        draw = Draw(rng, made, noise, house, month)
        if family % 2:
            # Half of the town pays online, with a few who forget.
            for bills in by_regie.values():
                sent += _online(rng, made, month, noise, draw, bills)
        elif len(by_regie) > 1 and rng.random() < noise.two_regies:
            sent.append(
                draw.for_two_regies([bill for bills in by_regie.values() for bill in bills])
            )
        else:
            for bills in by_regie.values():
                if rng.random() > 0.25:
                    for group in _groups(rng, house, bills):
                        sent += draw.papers(group)
    for _stranger in range(sum(rng.random() < noise.not_ours for _paper in sent)):
        sent.append(Draw(rng, made, noise, rng.choice(made.households), month).not_ours())
    rng.shuffle(sent)
    for rank, paper in enumerate(sent, 1):
        paper.slip = f"R{month}-{paper.regie}"
        paper.rank = rank
    _exchange(rng, sent, noise)
    again = [
        replace(
            paper, kind=Kind.DUPLICATE, exact=False, classes=(*paper.classes, "twice"),
            # Without a magnetic line a cheque is its place, and it lies in two places.
            key=paper.key if paper.account else f"{paper.key}/again",
        )
        for paper in sent
        if rng.random() < noise.twice
    ]  # fmt: skip
    made.papers += sent + again


def _online(
    rng: random.Random, made: UnitOfWork, month: int, noise: Noise, draw: Draw, bills: list[Bill]
) -> list[Paper]:
    paid = [bill for bill in bills if rng.random() < 0.9]
    made.online.append((month, tuple(bill.id for bill in paid)))
    for bill in paid:
        bill.left, bill.paid_in = 0, month
    return [draw.paid_online(bill) for bill in paid if rng.random() < noise.paid_online]


def _groups(rng: random.Random, house: Household, bills: list[Bill]) -> list[list[Bill]]:
    """The invoices that each of the household's cheques of the month pays."""
    if house.habit == "month":
        return [[bill for bill in bills if bill.issued_on == bills[-1].issued_on]]
    if house.habit == "arrears":
        return [bills]
    each = [[bill] for bill in bills]
    return each[:1] if rng.random() < 0.5 else each


def _exchange(rng: random.Random, papers: list[Paper], noise: Noise) -> None:
    """Two lines of a slip exchange their amounts: the sum stays right."""
    for place in range(len(papers) - 1):
        one, other = papers[place : place + 2]
        if one.amount != other.amount and rng.random() < noise.exchanged:
            one.amount, other.amount = other.amount, one.amount
            for paper in (one, other):
                paper.exact = False
                paper.classes = (*paper.classes, "exchanged")
