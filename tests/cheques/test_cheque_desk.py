"""From a file to the ledger and back, as an agent does it."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from io import BytesIO

import pytest
from cheque_fakes import HEADER, fake_town, hasher, line
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from sqlalchemy import select

from core.plugin import PaymentReversed, UserError
from plugins.cheque_import import plugin
from plugins.cheque_import.cmc7 import rlmc
from plugins.cheque_import.matcher.normalise import bare, check_character
from plugins.cheque_import.models import (
    Cheque,
    ChequeAccount,
    ChequeEvent,
    ChequeProposal,
    ChequeState,
)
from plugins.cheque_import.readers import tlmc
from plugins.cheque_import.records import ChequeRecord
from plugins.cheque_import.validity import expires_on


@pytest.fixture
def town():
    with fake_town() as made:
        yield made


def ref(number, month=10):
    text = f"2025-{month:03d}-{number:06d}"
    return f"{text}-{check_character(bare(text))}"


def cheques(town):
    return town.session.scalars(select(Cheque).order_by(Cheque.id)).all()


def proposals(town, cheque):
    return town.session.scalars(
        select(ChequeProposal)
        .where(ChequeProposal.cheque_id == cheque.id)
        .order_by(ChequeProposal.rank)
    ).all()


def events(town, cheque):
    rows = town.session.scalars(select(ChequeEvent).where(ChequeEvent.cheque_id == cheque.id))
    return [row.action for row in rows]


def accepted(town, *lines):
    town.load(*lines)
    town.desk().accept_certain("CANTINE")
    return cheques(town)


def test_a_certain_cheque_pays_its_invoice(town):
    done = town.load(line(issuer="MARTIN PAUL", ref=ref(10)))
    assert (done.new, done.known) == (1, 0)
    (cheque,) = cheques(town)
    assert cheque.state == ChequeState.CERTAIN
    assert town.desk().accept_certain("CANTINE") == 1
    (payment,) = town.in_force()
    assert (payment.means, payment.payer, payment.allocations) == ("cheque", "MARTIN PAUL", {10: 5687})
    assert "0001234" in payment.note
    assert town.balance(10) == 0
    (event,) = [e for e in town.session.scalars(select(ChequeEvent)) if e.action == "accepted"]
    assert event.detail["rule"] == "reference"
    assert event.detail["reasons"]
    assert event.detail["algorithm"]


def test_the_magnetic_line_is_not_kept(town):
    town.load(line(issuer="MARTIN PAUL", ref=ref(10)))
    (cheque,) = cheques(town)
    kept = " ".join(str(v) for v in vars(cheque).values())
    assert "099999000015" not in kept
    assert "012345678906" not in kept


def test_the_same_file_the_same_cheque_and_an_overlapping_file_count_once(town):
    first, second = line(ref=ref(10)), line(2, "7654321", ref=ref(30), amount="239,82")
    town.load(first, first)
    assert town.load(first, first).already
    done = town.load(first, second, name="autre.csv")
    assert (done.new, done.known) == (1, 1)
    assert len(cheques(town)) == 2


def test_a_corrected_slip_corrects_what_is_undecided_and_nothing_else(town):
    town.load(line(ref=ref(10), amount="58,67"))
    done = town.load(line(ref=ref(10)), name="corrige.csv")
    assert done.corrected == 1
    (cheque,) = cheques(town)
    assert (cheque.amount, cheque.state) == (5687, ChequeState.CERTAIN)
    town.desk().accept_certain("CANTINE")
    refused = town.load(line(ref=ref(10), amount="99,00"), name="encore.csv")
    assert "déjà traité" in refused.problems[0].message
    assert cheques(town)[0].amount == 5687


def test_one_cheque_with_two_amounts_in_a_file_is_refused(town):
    done = town.load(line(), line(2, amount="1,00"))
    assert "ligne 2" in done.problems[0].message
    assert cheques(town) == []


def test_a_bad_line_stores_nothing(town):
    assert town.load(line(ref=ref(10)), line(2, amount="")).problems
    assert cheques(town) == []


# --- Cheques whose magnetic line was not read: their place, and what they say -----------------


def plain(rank=1, number="0001234", amount="56,87", issuer="MARTIN PAUL", slip="cheques.xlsx"):
    return line(rank, number, "", amount, issuer=issuer, slip=slip)


def seen(town):
    return sorted((c.regie, c.slip, c.rank, c.number, c.issuer, c.amount) for c in cheques(town))


def test_next_month_s_file_of_the_same_name_loses_and_rewrites_nothing(town):
    town.load(plain(), plain(2, "0001235", "30,00"))
    before = seen(town)
    done = town.load(plain(1, "7654321", "239,82", "LEROY CELINE"), plain(2, "0001235", "30,00"),
                     name="decembre.csv")  # fmt: skip
    (problem,) = done.problems
    for told in ("cheques.xlsx", "0001234", "56,87", "MARTIN PAUL", "nouvelle remise"):
        assert told in problem.message
    assert (problem.line, problem.column) == (2, "rang")
    assert seen(town) == before
    renamed = (plain(1, "7654321", "239,82", "LEROY CELINE", slip="décembre"),)
    assert town.load(*renamed, name="decembre.csv").new == 1
    assert len(seen(town)) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"number": "7654321"},
        {"amount": "65,87"},
        {"issuer": "LEROY CELINE"},
        {"number": "7654321", "slip": " CHEQUES.xlsx"},
    ],
)
def test_a_known_place_with_another_content_is_named_and_never_corrected(town, other):
    town.load(plain())
    before = seen(town)
    assert town.load(plain(**other), name="b.csv").problems
    assert seen(town) == before


def test_a_second_regie_has_a_pile_of_the_same_name(town):
    town.load(plain())
    done = town.load(plain(), regie="GARDERIE", name="b.csv")
    assert (done.new, done.problems) == (1, ())
    for regie in ("CANTINE", "GARDERIE"):
        intake = town.intake()
        batch = intake.sitting(regie, actor="a", name="24/11")
        record = ChequeRecord(slip="", rank=0, amount=100, number="0000001")
        assert intake.enter(batch, record, actor="a").regie == regie
    assert len(seen(town)) == 4


def test_a_cheque_s_line_belongs_to_one_regie_and_the_other_is_told(town):
    town.load(line())
    for amount in ("56,87", "1,00"):
        done = town.load(line(amount=amount), regie="GARDERIE", name=f"{amount}.csv")
        assert "Régie cantine" in done.problems[0].message
    assert [(c.regie, c.amount) for c in cheques(town)] == [("CANTINE", 5687)]


def test_the_same_pile_again_is_known_whatever_else_a_machine_then_reads(town):
    town.load(plain(slip="R1"), plain(2, "0001235", "30,00", "", slip="R1"))
    again = town.load(plain(slip="r1"), plain(2, "0001235", "30,00", "MARTIN", slip="R1"), name="b.csv")
    assert (again.new, again.known) == (0, 2)
    scanned = town.load(line(slip="R1"), line(2, "0001235", amount="30,00", slip="R1"), name="c.csv")
    assert (scanned.new, scanned.known) == (0, 2)
    assert len(cheques(town)) == 2
    found = town.intake().cheques(again.lines)
    assert [(number, cheque.number) for number, cheque in found] == [(2, "0001234"), (3, "0001235")]


def test_an_amount_that_a_person_corrected_stays_when_the_file_comes_again(town):
    town.load(plain(amount="65,87"), line(2, "0000002", amount="58,67"))
    one, two = cheques(town)
    town.desk().correct(one.id, 5687)
    town.desk().correct(two.id, 5687)
    old = town.load(plain(amount="65,87"), line(2, "0000002", amount="58,67"), plain(3), name="b.csv")
    assert (old.new, old.known, old.corrected, old.problems) == (1, 2, 0, ())
    right = town.load(plain(), line(2, "0000002"), name="c.csv")
    assert (right.new, right.known, right.problems) == (0, 2, ())
    assert {cheque.amount for cheque in cheques(town)} == {5687}


CELLS = st.builds(
    plain, st.integers(1, 3), st.sampled_from(["0000001", "0000002"]),
    st.sampled_from(["1,00", "2,00"]), st.sampled_from(["", "LEROY", "MARTIN"]),
    st.sampled_from(["R1", "R2"]),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["CANTINE", "GARDERIE"]), st.lists(CELLS, min_size=1, max_size=3)), max_size=5))
@settings(max_examples=40, deadline=None)
def test_no_file_rewrites_a_cheque_and_none_is_lost(files):
    with fake_town() as town:
        kept = []
        for number, (regie, rows) in enumerate(files):
            done = town.load(*rows, regie=regie, name=f"{number}.csv")
            now = seen(town)
            assert all(row in now for row in kept)
            assert done.problems or done.already or done.new + done.known == len(rows)
            kept = now


@pytest.mark.parametrize("regie", ["CRECHE", "NOWHERE"])
def test_the_tresorerie_s_regies_take_no_cheque(town, regie):
    with pytest.raises(UserError):
        town.load(line(), regie=regie)
    with pytest.raises(UserError):
        town.intake().sitting(regie, actor="a", name="x")


def test_an_account_is_learned_and_tells_the_family_next_time(town):
    accepted(town, line(issuer="MARTIN PAUL", ref=ref(10)))
    town.load(line(1, "0001235", amount="30,00", slip="R2"), name="b.csv")
    assert cheques(town)[1].state == ChequeState.CERTAIN
    assert proposals(town, cheques(town)[1])[0].family_id == 1


def test_what_a_person_decides_is_known_of_the_next_cheque_of_the_account(town):
    town.load(
        line(1, "0001234", amount="56,87"),
        line(2, "0001235", amount="30,00"),
        line(3, "0001236", "099999000015012345678999", "239,82"),
    )
    first, second, other = cheques(town)
    assert {one.state for one in (first, second, other)} == {ChequeState.REVIEW}
    town.desk().split(first.id, 1, [(10, 5687)])
    assert (second.state, other.state) == (ChequeState.CERTAIN, ChequeState.REVIEW)
    assert proposals(town, second)[0].family_id == 1


def test_a_misread_cheque_of_the_same_pile_is_known_after_the_first_is_decided(town):
    town.load(
        line(1, "0001234", amount="56,87"),
        line(2, "0001235", "099999000015012345678901", "30,00", issuer="MARTIN PAUL"),
    )
    first, second = cheques(town)
    town.desk().split(first.id, 1, [(10, 5687)])
    assert second.state == ChequeState.CERTAIN
    assert proposals(town, second)[0].rule == "near-account+name"


def test_a_cheque_that_came_back_makes_no_other_of_its_account_certain(town):
    (first,) = accepted(town, line(issuer="MARTIN PAUL", ref=ref(10)))
    town.slips().make("CANTINE")
    town.load(line(1, "0001235", amount="30,00", slip="R2"), name="b.csv")
    second = cheques(town)[1]
    assert second.state == ChequeState.CERTAIN
    town.desk().bounce(first.id, "sans provision")
    assert second.state == ChequeState.REVIEW


def test_of_two_cheques_for_one_invoice_the_other_is_certain_once_one_is_given_back(town):
    town.load(
        line(1, "0001234", issuer="MARTIN PAUL", ref=ref(10)),
        line(2, "0009999", "099999000015012345678999", issuer="MARTIN PAUL", ref=ref(10)),
    )
    first, second = cheques(town)
    assert {first.state, second.state} == {ChequeState.REVIEW}
    town.desk().give_back(second.id, "payé deux fois")
    assert first.state == ChequeState.CERTAIN


def test_undoing_reverses_unlearns_and_leaves_a_person_to_decide(town):
    (cheque,) = accepted(town, line(issuer="MARTIN PAUL", ref=ref(10)))
    town.desk().undo(cheque.id, "mauvaise famille")
    assert town.balance(10) == 5687
    assert town.session.scalars(select(ChequeAccount)).one().confirmed == 0
    town.matching().rematch("CANTINE")
    assert cheque.state == ChequeState.REVIEW
    assert any("annulée" in warning for warning in cheque.warnings)
    town.desk().accept(cheque.id)
    assert len(town.in_force()) == 1
    assert len(town.recorded) == 2
    assert events(town, cheque) == ["received", "accepted", "undone", "accepted"]


def test_a_certain_cheque_that_was_left_says_why(town):
    town.load(line(issuer="MARTIN PAUL", ref=ref(10)))
    refused = town.record_many

    def refuse(*_args, **_options):
        raise UserError("Le mois est arrêté.")

    town.record_many = refuse
    assert town.desk().accept_certain("CANTINE") == 0
    (cheque,) = cheques(town)
    assert cheque.state == ChequeState.CERTAIN
    assert "Laissé de côté en acceptant les certains : Le mois est arrêté." in cheque.warnings
    town.record_many = refused
    assert town.desk().accept_certain("CANTINE") == 1


def test_what_one_pile_tells_of_an_account_is_known_in_the_other_regie(town):
    town.load(line(number="0000007", amount="40,00"), regie="GARDERIE", name="g.csv")
    town.load(line(issuer="MARTIN PAUL", ref=ref(10)))
    other, _cheque = cheques(town)
    assert other.state == ChequeState.REVIEW
    assert town.desk().accept_certain("CANTINE") == 1
    assert other.state == ChequeState.CERTAIN
    assert town.desk().accept_certain("GARDERIE") == 1
    assert town.balance(50) == 0


def test_a_cheque_filed_by_hand_is_known_in_the_other_regie(town):
    town.load(line(number="0000007", amount="40,00"), regie="GARDERIE", name="g.csv")
    town.load(line(issuer="MARTIN"))
    other, cheque = cheques(town)
    assert other.state == cheque.state == ChequeState.REVIEW
    town.desk().split(cheque.id, 1, [(10, 5687)])
    assert other.state == ChequeState.CERTAIN


def test_two_piles_of_one_account_tell_together_whose_it_is(town):
    for n in range(1000, 1100):
        town.family(n, f"VOISIN{n}")
        town.invoice(n, n, 777)
        town.invoice(n + 1000, n, 888, "GARDERIE")
    town.load(line(), name="c.csv")
    town.load(line(number="0000007", amount="40,00"), regie="GARDERIE", name="g.csv")
    town.matching().tell_others("GARDERIE")
    one, other = cheques(town)
    assert one.state == other.state == ChequeState.CERTAIN
    assert proposals(town, one)[0].rule == "beside"
    assert town.desk().give_back(other.id, "erreur").state == ChequeState.RETURNED
    assert one.state == ChequeState.REVIEW


def test_an_invoice_paid_online_meanwhile_is_never_paid_twice(town):
    town.load(line(issuer="MARTIN PAUL", ref=ref(10)))
    town.pay_online(10)
    assert town.desk().accept_certain("CANTINE") == 0
    (cheque,) = cheques(town)
    assert cheque.state == ChequeState.REVIEW
    assert any("déjà payée" in warning for warning in cheque.warnings)
    with pytest.raises(UserError, match="déjà payée"):
        town.desk().split(cheque.id, 1, [(10, 5687)])
    with pytest.raises(UserError, match="avoir"):
        town.desk().split(cheque.id, 1, [])
    town.desk().split(cheque.id, 1, [], keep_excess=True)
    assert town.in_force()[-1].credit == 5687


def test_a_split_by_hand_over_two_invoices_with_the_rest_as_credit(town):
    town.load(line(amount="90,00"))
    (cheque,) = cheques(town)
    town.desk().split(cheque.id, 1, [(10, 5687), (11, 3000)], keep_excess=True)
    (payment,) = town.in_force()
    assert payment.allocations == {10: 5687, 11: 3000}
    assert payment.credit == 313


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        ([(50, 4000)], "autre régie"),
        ([(10, 5687), (50, 313)], "autre régie"),
        ([(10, 9001)], "dépasse"),
        ([(999, 1)], "existe pas"),
        ([(10, -5)], "positif"),
        ([(11, 1500), (11, 1600)], "ne doit plus"),
    ],
)
def test_a_split_that_cannot_be_is_refused(town, shares, word):
    town.load(line(amount="90,00"))
    (cheque,) = cheques(town)
    with pytest.raises(UserError, match=word):
        town.desk().split(cheque.id, 1, shares, keep_excess=True)
    assert town.recorded == {}


def test_two_regies_on_one_cheque_go_to_review(town):
    town.load(line(issuer="MARTIN PAUL", ref=f"{ref(10)}+{ref(50)}", amount="96,87"))
    (cheque,) = cheques(town)
    assert cheque.state == ChequeState.REVIEW
    assert any("autre régie" in warning for warning in cheque.warnings)


def test_an_invoice_handed_over_is_not_paid(town):
    town.handed_over.add(10)
    town.load(line(issuer="MARTIN PAUL", ref=ref(10)))
    (cheque,) = cheques(town)
    assert cheque.state == ChequeState.REVIEW
    assert any("trésorerie" in warning for warning in cheque.warnings)


def test_out_of_date_and_post_dated(town):
    today = town.now_.date()
    drawn = [today - timedelta(days=374), today + timedelta(days=3), today - timedelta(days=300)]
    town.load(*(
        line(i + 1, f"000123{i}", ref=ref(n), amount=a, drawn=d.isoformat())
        for i, (n, a, d) in enumerate(zip((10, 30, 11), ("56,87", "239,82", "30,00"), drawn, strict=True))
    ))
    old, future, good = cheques(town)
    assert [c.state for c in (old, future, good)] == ["review", "review", "certain"]
    with pytest.raises(UserError, match="périmé"):
        town.desk().accept(old.id)
    with pytest.raises(UserError, match="postdaté"):
        town.desk().accept(future.id)
    town.desk().give_back(old.id, "périmé")
    town.now_ += timedelta(days=3)
    town.matching().rematch("CANTINE")
    assert future.state == "certain"


def test_the_last_day_of_a_cheque():
    from datetime import date

    assert expires_on(date(2024, 11, 16)) == date(2025, 11, 24)
    assert expires_on(date(2024, 2, 29)) == date(2025, 3, 9)


def test_instalments_add_up_on_one_invoice(town):
    town.load(line(1, "0000001", amount="100,00", ref=ref(30)), line(2, "0000002", amount="139,82", ref=ref(30)))
    one, two = cheques(town)
    assert one.state == two.state == "review"
    town.desk().accept(one.id)
    assert town.balance(30) == 13982
    town.matching().rematch("CANTINE")
    assert two.state == "certain"


def test_the_same_number_and_amount_under_another_line_is_suspected(town):
    accepted(town, line(ref=ref(10)))
    town.load(line(2, account="099999000015012345678907", ref=ref(20)), name="b.csv")
    assert cheques(town)[1].state == "review"
    assert any("deux fois" in warning for warning in cheques(town)[1].warnings)


def test_a_misread_line_proposes_the_known_account_one_digit_away(town):
    accepted(town, line(issuer="LEROY CELINE", ref=ref(30), amount="239,82"))
    digits = "0000777" + "099999000015012345678906"
    town.load(line(1, "0000777", "099999000015012345678901", "12,00", slip="R2", key=rlmc(digits)), name="b.csv")
    cheque = cheques(town)[1]
    assert cheque.state == "review"
    assert cheque.account == ""
    assert proposals(town, cheque)[0].family_id == 3


def test_a_cheque_scanned_anew_with_one_misread_digit_is_one_to_confirm(town):
    town.load(line(number="0001234", issuer="MARTIN PAUL", ref=ref(10)))
    town.load(line(number="0001734", issuer="Martin Paul", ref=ref(10), slip="R2"), name="b.csv")
    first, second = cheques(town)
    for cheque in (first, second):
        assert cheque.state == ChequeState.REVIEW
        assert any("mal lu" in warning for warning in cheque.warnings)


def test_two_cheques_of_one_chequebook_that_pay_different_invoices_are_two(town):
    town.load(
        line(1, "0001234", issuer="MARTIN PAUL", ref=ref(11), amount="30,00"),
        line(2, "0001235", issuer="MARTIN PAUL", ref=ref(10)),
    )
    assert {cheque.state for cheque in cheques(town)} == {ChequeState.CERTAIN}


def test_a_pile_whose_name_is_used_again_takes_the_new_control(town):
    town.intake().sitting("CANTINE", actor="a", name="24/11", control_count=2, control_total=100)
    batch = town.intake().sitting("CANTINE", actor="a", name="24/11", control_count=5)
    assert (batch.control_count, batch.control_total) == (5, 100)


def test_typed_cheques_follow_one_another_in_their_sitting(town):
    intake = town.intake()
    batch = intake.sitting("CANTINE", actor="a", name="24/11", control_count=2)
    assert intake.sitting("CANTINE", actor="a", name=" 24/11 ").id == batch.id
    for number in ("0000001", "0000002"):
        intake.enter(batch, ChequeRecord(slip="", rank=0, amount=100, number=number), actor="a")
    assert [c.rank for c in cheques(town)] == [1, 2]


# --- Deposit and bounce ---------------------------------------------------------------------


def test_a_slip_takes_what_is_decided_and_is_frozen(town):
    accepted(
        town,
        line(1, "0000001", ref=ref(10)),
        line(2, "0000002", amount="7,77", account="1" * 24),
        line(3, "0000003", amount="8,88", account="2" * 24),
    )
    one, two, three = cheques(town)
    town.desk().classify(two.id, "payeur inconnu")
    with pytest.raises(UserError, match="contrôle"):
        town.slips().make("CANTINE", control_total=1)
    slip = town.slips().make("CANTINE", control_count=2, control_total=5687 + 777)
    assert (slip.number, slip.count, slip.total) == (1, 2, 6464)
    assert three.deposit_id is None
    with pytest.raises(UserError, match="Aucun chèque"):
        town.slips().make("CANTINE")
    for refused in (town.desk().give_back, ):
        with pytest.raises(UserError):
            refused(two.id, "x")
    with pytest.raises(UserError):
        town.desk().correct(two.id, 100)
    # A wrong match is still corrected by a reversal and a new match; the slip does not move.
    town.desk().undo(one.id, "autre famille")
    town.desk().split(one.id, 4, [(40, 5687)])
    assert [row.amount for row in town.slips().lines(slip)] == [5687, 777]
    town.desk().split(two.id, 1, [(11, 777)])
    assert town.balance(11) == 2223
    town.desk().split(three.id, 1, [(11, 888)])
    assert town.slips().make("CANTINE").number == 2


def test_a_slip_as_csv_pdf_and_tlmc(town):
    first = line(1, "0000001", ref=ref(10), issuer="=MARTIN PAUL")
    accepted(town, first)
    slip = town.slips().make("CANTINE")
    text = town.slips().csv(slip).content.decode("utf-8-sig")
    assert "'=MARTIN PAUL" in text
    assert "56,87" in text
    assert town.slips().pdf(slip).content.startswith(b"%PDF")
    sheet = load_workbook(BytesIO(town.slips().xlsx(slip).content)).active
    _head, row, foot = sheet.iter_rows()
    assert (row[3].value, row[3].data_type, row[6].value) == ("0000001", "s", 56.87)
    assert foot[6].value == 56.87
    source = f"{HEADER}\n{first}".encode()
    content = town.slips().tlmc(slip, [source], hasher()).content
    assert tlmc.looks_like(content)
    (record,) = tlmc.read(content, "x")
    assert (record.amount, record.number) == (5687, "0000001")
    with pytest.raises(UserError, match="0000001"):
        town.slips().tlmc(slip, [], hasher())


def test_a_bounced_cheque_reverses_flags_and_may_be_presented_again(town):
    (cheque,) = accepted(town, line(issuer="MARTIN PAUL", ref=ref(10)))
    with pytest.raises(UserError, match="remis en banque"):
        town.desk().bounce(cheque.id, "sans provision")
    town.slips().make("CANTINE")
    with pytest.raises(UserError, match="motif"):
        town.desk().bounce(cheque.id, "parce que")
    town.desk().bounce(cheque.id, "sans provision", "avis du 3/12")
    assert town.balance(10) == 5687
    assert "sans provision" in town.recorded[f"cheque/{cheque.id}/0"].reversed
    with pytest.raises(UserError):
        town.desk().bounce(cheque.id, "sans provision")
    town.load(line(1, "0000999", amount="30,00", slip="R2"), name="b.csv")
    assert cheques(town)[1].state == "review"
    town.desk().represent(cheque.id, "accord du payeur")
    town.matching().rematch("CANTINE")
    town.desk().accept(cheque.id)
    assert town.balance(10) == 0
    assert town.slips().make("CANTINE").number == 2


def test_a_bounce_noted_by_mistake_is_undone(town):
    (cheque,) = accepted(town, line(issuer="MARTIN PAUL", ref=ref(10)))
    slip = town.slips().make("CANTINE")
    town.desk().bounce(cheque.id, "sans provision")
    assert town.session.scalars(select(ChequeAccount)).one().flagged
    town.desk().undo(cheque.id, "c’était un autre chèque")
    assert not town.session.scalars(select(ChequeAccount)).one().flagged
    assert (cheque.state, cheque.deposit_id) == ("review", slip.id)
    town.matching().rematch("CANTINE")
    town.desk().accept(cheque.id)
    assert town.balance(10) == 0
    with pytest.raises(UserError, match="Aucun chèque"):
        town.slips().make("CANTINE")


def test_an_account_stays_flagged_while_another_of_its_cheques_is_unpaid(town):
    one, two = accepted(
        town, line(1, "0000001", ref=ref(10)), line(2, "0000002", amount="30,00", ref=ref(11))
    )
    town.slips().make("CANTINE")
    for cheque in (one, two):
        town.desk().bounce(cheque.id, "sans provision")
    town.desk().undo(one.id, "mauvais chèque")
    assert town.session.scalars(select(ChequeAccount)).one().flagged


def test_a_payment_taken_back_on_core_s_page_brings_its_cheque_to_review(town):
    (cheque,) = accepted(town, line(issuer="MARTIN PAUL", ref=ref(10)))
    event = PaymentReversed("e", cheque.payment_id, 1, (10,), 5687, "erreur de famille")
    town.reverse(cheque.payment_id, reason=event.reason)
    for _twice in range(2):
        plugin.payment_reversed(ctx=town, event=event)
    assert (cheque.state, cheque.why, cheque.payment_id) == ("review", "erreur de famille", None)
    assert events(town, cheque) == ["received", "accepted", "undone"]
    town.matching().rematch("CANTINE")
    town.desk().accept(cheque.id)
    assert len(town.in_force()) == 1


def test_what_is_left_to_classify_keeps_its_proposals_and_its_place(town):
    town.load(line(amount="51,87", issuer="MARTIN PAUL", ref=ref(10)))
    (cheque,) = cheques(town)
    town.desk().classify(cheque.id, "doute")
    town.matching().rematch("CANTINE")
    assert cheque.state == "to_classify"
    town.desk().accept(cheque.id)
    assert town.balance(10) == 500


def test_every_decision_taken_by_hand_says_why(town):
    town.load(line())
    (cheque,) = cheques(town)
    for decide in (town.desk().classify, town.desk().give_back):
        with pytest.raises(UserError, match="pourquoi"):
            decide(cheque.id, "  ")


# --- Properties -----------------------------------------------------------------------------

PILE = (
    line(1, "0000001", "1" * 24, issuer="MARTIN PAUL", ref=ref(10)),
    line(2, "0000002", "1" * 24, "30,00", issuer="MARTIN PAUL"),
    line(3, "0000003", "2" * 24, "239,82", issuer="LEROY CELINE", code="F00003"),
    line(4, "0000004", "3" * 24, "56,87", issuer="BENALI", ref=ref(40)),
    line(5, "0000005", "4" * 24, "56,87", ref=ref(40)),
    line(6, "0000006", "5" * 24, "10,00"),
)


def ledger(town):
    return sorted(
        (p.family_id, p.amount, tuple(sorted(p.allocations.items()))) for p in town.in_force()
    )


def settle(*files):
    with fake_town() as town:
        for number, lines in enumerate(files):
            if lines:
                town.load(*lines, name=f"{number}.csv")
        while town.desk().accept_certain("CANTINE"):
            pass
        return ledger(town), sorted((c.number, c.state) for c in cheques(town))


@cache
def expected():
    return settle(PILE)


@given(st.permutations(PILE), st.integers(0, len(PILE)), st.integers(0, len(PILE)))
@settings(max_examples=12, deadline=None)
def test_any_order_split_or_overlap_of_a_file_gives_the_same_ledger(lines, cut, overlap):
    assert settle(lines[:cut], lines[min(cut, overlap):], lines) == expected()


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["certain", "accept", "undo", "classify", "deposit", "bounce",
                         "represent", "return", "online", "match", "load"]),
        st.integers(0, 5),
    ),
    max_size=25,
)  # fmt: skip


@given(ACTIONS)
@settings(max_examples=30, deadline=None)
def test_cents_are_conserved_whatever_is_done(actions):
    with fake_town() as town:
        town.load(*PILE)
        for action, which in actions:
            cheque = cheques(town)[which]
            desk = town.desk()
            try:
                match action:
                    case "certain":
                        desk.accept_certain("CANTINE")
                    case "accept":
                        desk.accept(cheque.id, keep_excess=True)
                    case "undo":
                        desk.undo(cheque.id, "x")
                    case "classify":
                        desk.classify(cheque.id, "x")
                    case "deposit":
                        town.slips().make("CANTINE")
                    case "bounce":
                        desk.bounce(cheque.id, "autre")
                    case "represent":
                        desk.represent(cheque.id, "x")
                    case "return":
                        desk.give_back(cheque.id, "x")
                    case "online":
                        if town.balance(10):
                            town.pay_online(10)
                    case "match":
                        town.matching().rematch("CANTINE")
                    case "load":
                        town.load(*PILE[which:], name=f"{which}.csv")
            except UserError:
                pass
            assert all(town.balance(i) >= 0 for i in town.invoice_rows)
            # Posted, or in the bank's hands: money that is there, whoever's it is.
            posted = [
                c for c in cheques(town)
                if c.state == "accepted" or (c.deposit_id and c.state != "bounced")
            ]
            by_cheque = [p for p in town.in_force() if p.means == "cheque"]
            assert sum(c.amount for c in posted) == sum(p.amount for p in by_cheque)
            assert len(posted) == len(by_cheque)
            assert all(p.amount == sum(p.allocations.values()) + p.credit for p in by_cheque)
        assert len(cheques(town)) == len(PILE)


def test_a_date_that_nobody_writes_is_asked_about_and_a_person_may_go_on(town):
    town.load(line(issuer="MARTIN PAUL", ref=ref(10), drawn="2062-11-20"))
    (cheque,) = cheques(town)
    assert cheque.state == "review"
    assert any("20/11/2062" in warning and "bien lu" in warning for warning in cheque.warnings)
    town.desk().accept(cheque.id)
    assert town.slips().make("CANTINE").count == 1
