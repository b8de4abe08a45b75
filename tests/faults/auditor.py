"""What is looked at when everything works again: nothing lost, nothing twice, nothing crossed."""

from __future__ import annotations

import time
from collections import Counter

from city import TOWNS, City, payer


def rest(city: City) -> int:
    """Let everything come to its end: two nights pass, in steps that the rows have to follow.

    Tells how many deliveries the passing hours may have interrupted.
    """
    interrupted = 0

    def pass_hours(seconds: float) -> None:
        # Who works is waited for: the hours would end its lease, and a mail be repeated. The rows of
        # those who are dead are freed by the hours alone.
        nonlocal interrupted
        working = time.monotonic() + 5
        while _rows(city, "state = 'running'") and time.monotonic() < working:
            time.sleep(0.1)
        city.clock.jump(seconds)
        interrupted += _rows(city, "state = 'running'")

    def at_rest() -> bool:
        if not any(city.left(slug) for slug in TOWNS):
            return True
        pass_hours(300)
        time.sleep(0.4)
        return False

    def all_asked() -> bool:
        return not _rows(city, "state <> 'done' AND available_at <= :now")

    city.until(lambda: all(map(city.answers, City.WEBS)))
    # Within the two hours in which an outcome may still come, beyond them, and until nobody asks
    # any more: a refusal that is a day old stays one.
    for hours in (1, 2, 31):
        city.until(at_rest)
        pass_hours(hours * 3600)
        city.until(all_asked)
    city.until(at_rest)
    assert not _rows(city, "state <> 'done'"), city.last_words()
    return interrupted


def _rows(city: City, which: str) -> int:
    """How many rows of the outbox there are of a kind, in all towns."""
    statement = (
        f"SELECT count(*) FROM outbox WHERE {which} AND CAST(:now AS timestamptz) IS NOT NULL"
    )
    return sum(city.rows(statement, slug, now=city.clock.now())[0][0] for slug in TOWNS)


def audit(
    city: City, numbers: dict[str, dict[str, int]], mails: Counter, *, repeats: int
) -> Counter:
    """Compare the parties' records of one schedule; how its payments ended.

    `numbers` are each town's invoices and their cents, `mails` those that were taken before, and
    `repeats` how many mails may have come twice, under the same Message-ID.
    """
    store = city.payfip.simulator.store
    operations = {one.id_op: one for one in store.operations(limit=1_000_000)}
    ends: Counter[str] = Counter()
    told = Counter(dict((city.smtp.mails - mails).items()))
    known = set()
    payers = {payer(slug, number) for slug, amounts in numbers.items() for number in amounts}
    for slug, amounts in numbers.items():
        rows = city.rows(
            "SELECT i.number, i.amount, i.paid, p.id, p.state, p.amount, p.provider_reference,"
            " p.anomaly FROM invoice i LEFT JOIN payment_item x ON x.invoice_id = i.id"
            " LEFT JOIN payment p ON p.id = x.payment_id WHERE i.number = ANY(:numbers)",
            slug, numbers=list(amounts),
        )  # fmt: skip
        assert {row[0] for row in rows} == set(amounts)
        for number, amount, paid, payment, state, asked, reference, anomaly in rows:
            story = f"{slug}, {number}, payment {payment}: {state}"
            assert amount == amounts[number], story
            operation = operations.get(reference)
            paid_there = operation is not None and operation.paid
            assert (state == "settled") == paid_there, story
            assert not anomaly, story
            assert paid == (amount if state == "settled" else 0), story
            if state == "settled":
                assert operation.cents == asked == amount, story
                assert operation.numcli == TOWNS[slug], story
                known.add(reference)
            else:
                # Nothing can change any more, and nobody is kept from paying anew.
                assert state in {None, "created", "refused", "cancelled", "expired"}, story
            mine = {key: n for key, n in told.items() if key[0] == payer(slug, number)}
            assert len(mine) == (state == "settled"), f"{story}: {mine}"
            assert all(slug in sender for _to, sender, _id in mine), mine
            ends[str(state)] += 1
        receipts: dict[str, list[int]] = {}  # of each year: the clocks may jump into the next
        for (number,) in city.rows(
            "SELECT receipt_number FROM payment WHERE receipt_number <> '' ORDER BY 1", slug
        ):
            year, _dash, rank = number.rpartition("-")
            receipts.setdefault(year, []).append(int(rank))
        for year, ranks in receipts.items():
            assert ranks == [*range(1, len(ranks) + 1)], f"{slug}, {year}"
        ((answered,),) = city.rows(
            # One row each, or with others in a row of those that are answered together.
            "SELECT count(DISTINCT one->>'key') FROM outbox CROSS JOIN LATERAL jsonb_array_elements("
            " coalesce(payload->'updates', jsonb_build_array(payload))) AS one"
            " WHERE topic LIKE 'telegram_bot.update%'",
            slug,
        )
        assert answered == city.typed[slug], "an update is lost, or there twice"
    # Whoever is paid at PayFiP is paid here: no operation is left over.
    paid = {id_op for id_op, one in operations.items() if one.paid and one.mel in payers}
    assert paid == known
    again = {key: count - 1 for key, count in told.items() if count > 1}
    assert sum(again.values()) <= repeats, (again, repeats)
    ends["mails repeated"] = sum(again.values())
    return ends
