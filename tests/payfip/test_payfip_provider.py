"""What PayFiP says, against what was asked: only an exact match settles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugin import (
    Anomaly,
    Attempt,
    Failed,
    FailureKind,
    InvoiceToPay,
    Means,
    PayerField,
    PaymentIntent,
    Pending,
    PermanentError,
    RefusalKind,
    RetryableError,
    Settled,
    StartRefusedError,
)
from plugins.payfip.client import PaymentDetail
from plugins.payfip.faults import FaultDetail, FaultKind, PayFiPFaultError, UnavailableError
from plugins.payfip.fields import FieldError
from plugins.payfip.provider import PayFiPProvider, creation_for
from plugins.payfip.settings import PayFiPSettings, Regie
from plugins.payfip.weighing import CLOCK_TOLERANCE, believable, paid_at

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
ID_OP = "e19a1e58-4f3a-4038-a2e8-f4a43c22ae99"
ASKED = {
    "numcli": "006382",
    "exer": "2026",
    "refdet": "2018TS001000001",
    "montant": "5687",
    "saisie": "T",
    "objet": "CANTINE",
    "created_at": NOW.isoformat(),
}
ANSWER = PaymentDetail(
    dattrans="24112026",
    exer="2026",
    heurtrans="1505",
    idOp=ID_OP,
    mel="parent@exemple.fr",
    montant="5687",
    numauto="123456",
    numcli="006382",
    objet="CANTINE",
    refdet="2018TS001000001",
    resultrans="P",
    saisie="T",
)
ATTEMPT = Attempt(
    payment_id=42, regie="PERI", reference=ID_OP, amount=5687, created_at=NOW, asked=ASKED
)


class Says:
    """A client that answers what it is given."""

    def __init__(self, answer: PaymentDetail | Exception) -> None:
        self.answer = answer

    def payment(self, _id_op: str) -> PaymentDetail:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class At:
    def __init__(self, after: timedelta) -> None:
        self.after = after

    def now(self) -> datetime:
        return NOW + self.after


def ask(answer, after: timedelta = timedelta(minutes=5), attempt: Attempt = ATTEMPT, mode: str = "T"):
    settings = PayFiPSettings(regies={"PERI": Regie(numcli="006382", mode=mode)})
    return PayFiPProvider(settings, Says(answer), At(after)).outcome(attempt)


def fault(code: str, kind: FaultKind = FaultKind.FUNCTIONAL) -> PayFiPFaultError:
    return PayFiPFaultError(FaultDetail(kind, code, "descriptif"))


FRESH, PAGE_CLOSED, DEAD = timedelta(minutes=5), timedelta(minutes=20), timedelta(hours=2)


@pytest.mark.parametrize(("letter", "means"), [("P", Means.CARD), ("V", Means.ONLINE_DEBIT)])
@pytest.mark.parametrize("after", [FRESH, PAGE_CLOSED, DEAD, timedelta(days=200)])
def test_money_settles_however_late(letter: str, means: Means, after: timedelta) -> None:
    assert ask(replace(ANSWER, resultrans=letter), after) == Settled(
        amount=5687,
        means=means,
        paid_at=datetime(2026, 11, 24, 14, 5, tzinfo=UTC),
        authorisation="123456",
        raw=replace(ANSWER, resultrans=letter).raw(),
    )


@pytest.mark.parametrize(
    ("letter", "kind"),
    [("R", FailureKind.REFUSED), ("Z", FailureKind.REFUSED), ("A", FailureKind.CANCELLED)],
)
def test_a_refusal_ends_nothing_until_the_id_op_is_dead(letter: str, kind: FailureKind) -> None:
    answer = replace(ANSWER, resultrans=letter)
    for after in (timedelta(0), FRESH, PAGE_CLOSED, DEAD - timedelta(seconds=1)):
        pending = ask(answer, after)
        assert isinstance(pending, Pending)
        assert pending.detail == kind.value
        # The page of a used idOp may take nobody any more: a fresh attempt is the way on.
        assert not pending.resumable
        assert pending.resume_url == ""
    dead = ask(answer, DEAD)
    assert dead == Failed(kind, answer.raw())


def test_not_known_yet() -> None:
    assert ask(fault("P5"), FRESH).resumable
    assert not ask(fault("P5"), PAGE_CLOSED).resumable
    assert ask(fault("P5"), DEAD - timedelta(seconds=1)).raw["code"] == "P5"
    assert ask(fault("P5"), DEAD).kind is FailureKind.EXPIRED


@pytest.mark.parametrize("code", ["P3", "P4"])
def test_a_page_that_says_no_is_not_offered_again(code: str) -> None:
    outcome = ask(fault(code), FRESH)
    assert isinstance(outcome, Pending)
    assert not outcome.resumable
    assert ask(fault(code), DEAD).kind is FailureKind.EXPIRED


@pytest.mark.parametrize("after", [timedelta(0), FRESH, timedelta(minutes=14, seconds=59)])
@pytest.mark.parametrize("code", ["P1", "p1"])
def test_unknown_at_first_is_not_yet_received(code: str, after: timedelta) -> None:
    outcome = ask(fault(code), after)
    assert isinstance(outcome, Pending)
    assert outcome.raw["code"] == code


@pytest.mark.parametrize("after", [timedelta(minutes=15), DEAD, timedelta(days=1)])
def test_unknown_later_is_dead_for_ever(after: timedelta) -> None:
    outcome = ask(fault("P1"), after)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.EXPIRED
    assert outcome.raw["descriptif"] == "descriptif"


@pytest.mark.parametrize(
    "wrong",
    [
        fault("T2"),
        fault("Q9"),
        fault("", FaultKind.DYSFUNCTION),
        fault("", FaultKind.UNAVAILABLE),
        fault("P1", FaultKind.PROTOCOL),
        UnavailableError("HTTP 502", answered=True),
    ],
)
@pytest.mark.parametrize("after", [FRESH, DEAD])
def test_trouble_never_closes_a_payment(wrong: Exception, after: timedelta) -> None:
    with pytest.raises(RetryableError) as caught:
        ask(wrong, after)
    assert caught.value.after == timedelta(minutes=30)


def test_a_line_that_is_down_is_tried_again_at_cores_own_pace() -> None:
    with pytest.raises(RetryableError) as caught:
        ask(UnavailableError("ConnectTimeout"))
    assert caught.value.after is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("montant", "5688"),
        ("montant", "56.87"),
        ("montant", ""),
        ("montant", "5_687"),
        ("montant", "+5687"),
        ("montant", "٥٦٨٧"),
        ("numcli", "006383"),
        ("refdet", "2018TS001000002"),
        ("refdet", ""),
        ("montant", "56 87"),
        ("montant", "5687,00"),
        ("montant", "1 005 687"),
        ("numcli", ""),
        ("numcli", "6383"),
        ("refdet", "2018TS00100000１"),
        ("saisie", "W"),
        ("saisie", ""),
        ("idOp", ""),
        ("idOp", "11111111-4f3a-4038-a2e8-f4a43c22ae99"),
    ],
)
def test_any_difference_is_an_anomaly(field: str, value: str) -> None:
    outcome = ask(replace(ANSWER, **{field: value}))
    assert isinstance(outcome, Anomaly)
    assert outcome.reason
    assert outcome.raw[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        # As every recorded answer has it for 2019, as one public client sends it, and a slip.
        ("exer", "20"),
        ("exer", ""),
        ("exer", "2025"),
        ("exer", "n'importe quoi"),
        ("montant", "5 687"),
        ("montant", "5\u202f687"),
        ("montant", "5\u00a0687"),
        ("numcli", "6382"),
        ("refdet", "2018ts001000001"),
        ("refdet", "2018-TS-00-1000001"),
        ("saisie", "t"),
        ("idOp", ID_OP.upper()),
        ("resultrans", "p"),
        ("objet", ""),
        ("mel", ""),
        ("numauto", ""),
        ("numauto", "112233445566-tip"),
        ("numauto", "A55A"),
    ],
)
def test_a_difference_of_writing_never_stops_money(field: str, value: str) -> None:
    outcome = ask(replace(ANSWER, **{field: value}))
    assert isinstance(outcome, Settled)
    assert (outcome.amount, outcome.means) == (5687, Means.CARD)
    assert outcome.raw[field] == value


def test_another_fiscal_year_is_kept_with_the_payment() -> None:
    assert ask(replace(ANSWER, exer="20")).raw["noted"] == "exer 2026 > 20"
    assert "noted" not in ask(ANSWER).raw


@pytest.mark.parametrize("letter", ["R", "Z", "A"])
@pytest.mark.parametrize("field", ["numcli", "refdet", "montant", "saisie", "idOp", "exer"])
def test_a_refusal_that_leaves_a_field_out_is_a_refusal(letter: str, field: str) -> None:
    answer = replace(ANSWER, resultrans=letter, **{field: ""})
    assert isinstance(ask(answer, FRESH), Pending)
    assert isinstance(ask(answer, DEAD), Failed)


def test_the_amount_that_core_stores_is_the_one_compared() -> None:
    assert isinstance(ask(ANSWER, attempt=replace(ATTEMPT, amount=5600)), Anomaly)


def test_leading_zeros_are_the_same_amount() -> None:
    assert isinstance(ask(replace(ANSWER, montant="005687")), Settled)


def test_an_attempt_without_what_was_asked_never_settles() -> None:
    assert isinstance(ask(ANSWER, attempt=replace(ATTEMPT, asked={})), Anomaly)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.text(alphabet="0123456789PVWTX", max_size=8)
            for name in ("numcli", "exer", "refdet", "montant", "saisie", "idOp", "resultrans")
        },
    ),
    st.integers(0, 300),
)
def test_settled_means_everything_matched(changes: dict[str, str], minutes: int) -> None:
    answer = replace(ANSWER, **changes)
    outcome = ask(answer, timedelta(minutes=minutes))
    if isinstance(outcome, Settled):
        assert outcome.amount == 5687
        for name in ("numcli", "refdet", "saisie"):
            assert getattr(answer, name).lstrip("0") == ASKED[name].lstrip("0")
        assert answer.idOp == ID_OP
        assert answer.resultrans in {"P", "V"}


def test_test_money_does_not_settle_in_production() -> None:
    outcome = ask(ANSWER, mode="W")
    assert isinstance(outcome, Anomaly)
    assert not outcome.may_be_paid  # Play money holds no invoice.
    # A failed test payment is nothing to look at.
    assert isinstance(ask(replace(ANSWER, resultrans="A"), DEAD, mode="W"), Failed)


@pytest.mark.parametrize("result", ["Q", "W", "I", "VS", "PAYE", "?", "É"])
@pytest.mark.parametrize("after", [FRESH, PAGE_CLOSED, DEAD, timedelta(days=3)])
def test_an_unknown_result_is_watched_and_never_an_end(result: str, after: timedelta) -> None:
    """Another means of payment was announced: its letter may mean money."""
    outcome = ask(replace(ANSWER, resultrans=result), after)
    assert isinstance(outcome, Pending)
    assert outcome.watched
    assert not outcome.resumable
    assert result in outcome.detail
    assert outcome.raw["resultrans"] == result


def test_an_unknown_result_of_another_payment_is_an_anomaly() -> None:
    assert isinstance(ask(replace(ANSWER, resultrans="Q", montant="1")), Anomaly)


def test_no_result_is_not_known_yet_unless_something_happened() -> None:
    nothing = replace(ANSWER, resultrans="", dattrans="", heurtrans="", numauto="")
    assert isinstance(ask(nothing), Pending)
    assert not ask(nothing).watched
    assert isinstance(ask(nothing, DEAD), Failed)
    # A transaction with a date and no result is one that nobody here understands.
    for after in (FRESH, DEAD):
        assert ask(replace(ANSWER, resultrans=""), after).watched
        assert ask(replace(nothing, numauto="A55A"), after).watched


def test_age_counts_from_when_payfip_was_asked() -> None:
    late = dict(ASKED, created_at=(NOW + timedelta(hours=1)).isoformat())
    attempt = replace(ATTEMPT, asked=late)
    assert isinstance(ask(fault("P5"), DEAD, attempt), Pending)
    without = {key: value for key, value in ASKED.items() if key != "created_at"}
    assert isinstance(ask(fault("P5"), DEAD, replace(ATTEMPT, asked=without)), Failed)


@pytest.mark.parametrize(
    ("dattrans", "heurtrans", "expected"),
    [
        ("24112026", "1505", datetime(2026, 11, 24, 14, 5, tzinfo=UTC)),
        ("01072026", "0000", datetime(2026, 6, 30, 22, 0, tzinfo=UTC)),
        ("01072026", "", datetime(2026, 6, 30, 22, 0, tzinfo=UTC)),
        ("31022026", "1505", None),
        ("", "", None),
        ("24112026", "2505", None),
        ("24112026", "150542", datetime(2026, 11, 24, 14, 5, 42, tzinfo=UTC)),
        ("24112026", "15:05", datetime(2026, 11, 24, 14, 5, tzinfo=UTC)),
        ("24/11/2026", "15h05", datetime(2026, 11, 24, 14, 5, tzinfo=UTC)),
        ("2026-11-24", "15:05:42", datetime(2026, 11, 24, 14, 5, 42, tzinfo=UTC)),
        ("1072026", "905", datetime(2026, 7, 1, 7, 5, tzinfo=UTC)),
        ("1072026", "90542", datetime(2026, 7, 1, 7, 5, 42, tzinfo=UTC)),
        ("２４１１２０２６", "1505", None),
        ("241126", "1505", None),
    ],
)
def test_moments_are_legal_time(dattrans: str, heurtrans: str, expected: datetime | None) -> None:
    assert paid_at(dattrans, heurtrans) == expected


def test_a_payment_with_a_broken_date_is_still_paid() -> None:
    outcome = ask(replace(ANSWER, dattrans="?"))
    assert isinstance(outcome, Settled)
    assert outcome.paid_at == NOW + FRESH


@pytest.mark.parametrize(
    ("dattrans", "heurtrans", "expected"),
    [
        # A time alone that cannot be read leaves the day.
        ("24112026", "", timedelta(0)),
        ("24112026", "2505", timedelta(0)),
        ("24112026", "?", timedelta(0)),
        ("24112026", "150459", timedelta(minutes=4, seconds=59)),
        # Our clock is a little late: not later than now. PayFiP's has no seconds.
        ("24112026", "1507", FRESH),
        ("24112026", "1458", timedelta(minutes=-2)),
        # Not before it was asked for, and not in the future.
        ("24112026", "1400", FRESH),
        ("23112026", "1505", FRESH),
        ("23112026", "", FRESH),
        ("25112026", "1505", FRESH),
        ("25112026", "", FRESH),
        ("24112062", "1505", FRESH),
        ("01011900", "0000", FRESH),
        ("24111926", "1505", FRESH),
    ],
)
def test_only_a_moment_that_can_be_is_believed(
    dattrans: str, heurtrans: str, expected: timedelta
) -> None:
    outcome = ask(replace(ANSWER, dattrans=dattrans, heurtrans=heurtrans))
    assert isinstance(outcome, Settled)
    assert outcome.paid_at == NOW + expected


def test_the_hour_that_autumn_has_twice_is_the_one_after_the_question() -> None:
    asked = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    found = believable(
        "25102026", "0215", earliest=asked, latest=asked + timedelta(minutes=30)
    )
    assert found == asked + timedelta(minutes=5)


@given(st.text(max_size=10), st.text(max_size=8), st.integers(0, 10_000))
def test_any_date_gives_a_moment_between_question_and_now(
    dattrans: str, heurtrans: str, minutes: int
) -> None:
    latest = NOW + timedelta(minutes=minutes)
    found = believable(dattrans, heurtrans, earliest=NOW, latest=latest)
    assert found is None or NOW - CLOCK_TOLERANCE <= found <= latest


class TestCreation:
    def make(self, intent: PaymentIntent, **regie: object):
        return creation_for(intent, Regie.model_validate({"numcli": "006382", **regie}), NOW)

    def test_everything_is_normalised(self, intent: PaymentIntent) -> None:
        made = self.make(intent)
        assert made.refdet == "2018TS001000001"
        assert made.objet == "CANTINE GARDERIE L ecole d Evry"
        assert (made.exer, made.montant, made.saisie) == ("2026", "5687", "T")
        assert made.urlnotif == intent.notify_url
        assert made.urlredirect == intent.return_url

    def test_a_titre_is_paid_with_its_own_year_and_reference(self, intent: PaymentIntent) -> None:
        assert self.make(intent, reference="titre").exer == "2018"
        bare = replace(intent, invoices=(replace(intent.invoices[0], payment_reference=""),))
        with pytest.raises(FieldError):
            self.make(bare, reference="titre")
        with pytest.raises(FieldError):
            self.make(replace(intent, invoices=intent.invoices * 2), reference="titre")

    def test_references_of_its_own_are_unique_and_fit(self, intent: PaymentIntent) -> None:
        made = self.make(intent, reference="unique", prefix="DEMO1234")
        assert made.refdet == "DEMO12342026112400000042"
        several = replace(intent, invoices=intent.invoices * 3)
        assert self.make(several).refdet == "PREAU2026112400000042"

    @pytest.mark.parametrize("known", ["1", "ABCD", "A-B-C", "N°2026/12", "É2026001", "x" * 31, " "])
    @pytest.mark.parametrize("prefix", ["PREAU", "", "DEMO1234"])
    def test_a_regies_reference_that_payfip_refuses_is_replaced(
        self, known: str, prefix: str, intent: PaymentIntent
    ) -> None:
        invoice = replace(intent.invoices[0], payment_reference=known)
        made = self.make(replace(intent, invoices=(invoice,)), prefix=prefix)
        assert made.refdet == f"{prefix}2026112400000042"
        assert 6 <= len(made.refdet) <= 30

    @pytest.mark.parametrize("known", ["1", "ABCD", "A-B-C", "N°2026/12", "x" * 31])
    def test_the_tresoreries_reference_is_never_replaced(
        self, known: str, intent: PaymentIntent
    ) -> None:
        invoice = replace(intent.invoices[0], payment_reference=known)
        with pytest.raises(FieldError) as caught:
            self.make(replace(intent, invoices=(invoice,)), reference="titre")
        assert caught.value.field == "refdet"

    def test_the_year_is_that_of_france(self, intent: PaymentIntent) -> None:
        eve = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
        assert creation_for(intent, Regie(numcli="006382"), eve).exer == "2027"

    @pytest.mark.parametrize(
        "change",
        [
            {"amount": 99},
            {"email": "x" * 80 + "@exemple.fr"},
            {"notify_url": "/relative"},
            {"return_url": ""},
        ],
    )
    def test_what_payfip_would_refuse_is_not_sent(
        self, change: dict, intent: PaymentIntent
    ) -> None:
        settings = PayFiPSettings(regies={"PERI": Regie(numcli="006382")})
        provider = PayFiPProvider(settings, None, At(FRESH))
        with pytest.raises(PermanentError):
            provider.start(replace(intent, **change))


def test_capabilities_say_what_the_regie_can_do() -> None:
    settings = PayFiPSettings(
        regies={
            "PERI": Regie(numcli="006382", direct_debit=True),
            "TITRE": Regie(numcli="006383", reference="titre"),
        }
    )
    provider = PayFiPProvider(settings, None, At(FRESH))
    peri = provider.capabilities("PERI")
    assert (peri.minimum, peri.maximum) == (100, 10_000_000)
    assert peri.several_invoices
    assert peri.direct_debit
    assert not provider.capabilities("TITRE").several_invoices
    # Only what the trésorerie knows is bound to a form; a régie's references are made anew.
    assert all(peri.takes_reference(text) for text in ("", "1", "N°2026/12", "2018-TS-00-1000001"))
    titre = provider.capabilities("TITRE")
    assert titre.takes_reference("2018-TS-00-1000001")
    assert not any(titre.takes_reference(text) for text in ("", "1", "ABCD", "N°2026/12", "x" * 31))
    assert provider.capabilities("AUTRE") is None
    with pytest.raises(PermanentError):
        provider.start(replace(INTENT, regie="AUTRE"))


INTENT = PaymentIntent(
    payment_id=1,
    regie="PERI",
    amount=500,
    email="a@b.fr",
    language="fr",
    invoices=(InvoiceToPay("1", "", "X", 2026, 500),),
    return_url="http://x/r",
    notify_url="http://x/n",
    created_at=NOW,
)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, RefusalKind.SETTINGS) for code in ("S1", "T1", "T2", "T4", "T9", "N1", "D1")),
        *((code, RefusalKind.INVOICE) for code in ("M1", "M3", "M5", "R3", "R9")),
        *((code, RefusalKind.PAYER) for code in ("A1", "A2")),
        *((code, RefusalKind.UNKNOWN) for code in ("Z99", "P1", "P5", "", "TRUC", "T")),
    ],
)
def test_a_refused_creation_says_whose_doing_it_is(code: str, kind: RefusalKind) -> None:
    class Refuses:
        def create(self, _creation: object) -> str:
            raise fault(code)

    settings = PayFiPSettings(regies={"PERI": Regie(numcli="006382")})
    with pytest.raises(StartRefusedError) as caught:
        PayFiPProvider(settings, Refuses(), At(FRESH)).start(INTENT)
    assert all(word in caught.value.reason for word in (code, "descriptif", "PERI"))
    assert caught.value.kind is kind
    assert (caught.value.payer_field is PayerField.EMAIL) is (kind is RefusalKind.PAYER)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"email": "élodie@exemple.fr"}, RefusalKind.PAYER),
        ({"email": "x" * 80 + "@exemple.fr"}, RefusalKind.PAYER),
        ({"email": ""}, RefusalKind.PAYER),
        ({"amount": 99}, RefusalKind.INVOICE),
        ({"amount": 10_000_001}, RefusalKind.INVOICE),
        (
            {"regie": "TITRE", "invoices": (InvoiceToPay("1", "N°2026/12", "X", 2026, 500),)},
            RefusalKind.INVOICE,
        ),
        ({"notify_url": "https://é.exemple.fr/n"}, RefusalKind.SETTINGS),
        ({"return_url": ""}, RefusalKind.SETTINGS),
        ({"regie": "AUTRE"}, RefusalKind.SETTINGS),
    ],
)
def test_what_is_not_even_sent_says_whose_doing_it_is(change: dict, kind: RefusalKind) -> None:
    regies = {"PERI": Regie(numcli="006382"), "TITRE": Regie(numcli="006383", reference="titre")}
    settings = PayFiPSettings(regies=regies)
    provider = PayFiPProvider(settings, None, At(FRESH))
    with pytest.raises(StartRefusedError) as caught:
        provider.start(replace(INTENT, **change))
    assert caught.value.kind is kind
    assert bool(caught.value.message) is (kind is RefusalKind.PAYER)


@pytest.mark.parametrize(
    ("change", "may_be_paid"),
    [
        ({"resultrans": "P"}, True),
        ({"resultrans": "V"}, True),
        ({"resultrans": "W"}, True),
        ({"resultrans": ""}, True),
        ({"resultrans": "R"}, False),
        ({"resultrans": "Z"}, False),
        ({"resultrans": "A"}, False),
        ({"resultrans": "R", "idOp": "another"}, True),
    ],
)
def test_a_misfit_may_be_paid_unless_it_says_that_it_is_not(change: dict, may_be_paid: bool) -> None:
    found = ask(replace(ANSWER, montant="1", **change))
    assert isinstance(found, Anomaly)
    assert found.may_be_paid is may_be_paid


def test_play_money_is_told_from_money() -> None:
    def label(mode: str) -> str:
        settings = PayFiPSettings(regies={"PERI": Regie(numcli="006382", mode=mode)})
        return PayFiPProvider(settings, None, At(FRESH)).label

    assert "essai" in label("T")
    assert "essai" not in label("W")
