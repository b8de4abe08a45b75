"""A journal against the town's own payments."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from core.plugin import StartedAttemptInfo
from plugins.payfip.journal import DifferenceKind
from plugins.payfip.reconciling import reconcile

JOURNAL = """date;refdet;montant;resultat;autorisation
10/03/2026;REF1;56,87;P;A1
10/03/2026;REF2;10,00;P;A2
11/03/2026;REF9;5,00;P;A9
"""


def asked(number, refdet, amount, state="settled", authorisation="A1", on=datetime(2026, 3, 10, 9, tzinfo=UTC)):
    return StartedAttemptInfo(
        payment_id=number, family_id=1, regie="CANTINE", reference=f"idop{number}",
        asked={"refdet": refdet}, amount=amount, state=state, authorisation=authorisation,
        created_at=on, paid_at=on if state == "settled" else None,
    )  # fmt: skip


def town(*payments):
    calls = []

    def find(provider, since, until):
        calls.append((provider, since, until))
        return [one for one in payments if since <= (one.paid_at or one.created_at) <= until]

    return SimpleNamespace(payments=SimpleNamespace(asked=find), calls=calls)


def test_what_agrees_and_what_does_not():
    ctx = town(asked(1, "REF1", 5687), asked(2, "REF2", 1000, "pending", ""), asked(3, "REF3", 700))
    found = reconcile(ctx, JOURNAL.encode(), "journal.csv")
    assert found.lines == 3
    assert found.comparison.agreed == 1
    assert [one.kind for one in found.comparison.differences] == [
        DifferenceKind.PAID_NOT_HERE,
        DifferenceKind.UNKNOWN_HERE,
        DifferenceKind.SETTLED_NOT_THERE,
    ]


def test_payments_of_other_days_are_not_missed_in_the_journal():
    late = datetime(2026, 3, 9, 22, 0, tzinfo=UTC)  # 23:00 in France, the day before.
    ctx = town(asked(1, "REF1", 5687), asked(2, "REF2", 1000, authorisation="A2"), asked(3, "REF3", 700, on=late))
    found = reconcile(ctx, JOURNAL.encode(), "journal.csv")
    assert [one.kind for one in found.comparison.differences] == [DifferenceKind.UNKNOWN_HERE]


def test_what_is_no_journal_is_told():
    for content in (b"", b"\x00\x01", b"a;b;c\n1;2;3\n", "é".encode("utf-16")):
        found = reconcile(town(), content, "x")
        assert found.lines == 0
