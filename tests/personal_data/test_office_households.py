"""Duplicates that become one, what a family may ask for, and what time erases."""

from __future__ import annotations

import json
from datetime import date

import pytest
from sqlalchemy import text

from core.api.errors import UserError
from core.api.invoices import LineRecord, TaxKind
from core.api.payments import Means
from core.domain.roles import Role
from core.platform.errors import NotFoundError
from core.testing.portal import Records, make_portal, record


def line(child):
    return (LineRecord(1, "Repas", TaxKind.MEAL, 5687, child=child),)


@pytest.fixture
def two(portal):
    """One family under two codes, F001 and F777, each with Lina, a mail address and a code."""
    portal.publish(
        record("1", lines=line("Lina")),
        record("2", family="F777", debtor="Durand Camille", lines=line("Lina")),
        record("9", family="F002", debtor="MARTIN Léa"),
    )
    with portal.town() as town:
        for code in ("F001", "F777"):
            town.alerts.add(town.families.by_code(code).id, f"{code}@exemple.fr".lower())
    return portal


def ids(town, *codes):
    return [town.session.scalar(text("SELECT id FROM family WHERE code = :c"), {"c": c}) for c in codes]


def merge(portal, kept="F001", gone="F777"):
    with portal.town() as town:
        town.merging.merge(*ids(town, kept, gone))


def numbers(portal, code="F001"):
    with portal.town() as town:
        family = town.families.by_code(code)
        return sorted(invoice.number for invoice in town.invoices.unpaid(family.id))


# --- Merging -------------------------------------------------------------------------------------


def test_two_files_become_one(two):
    secret = two.codes("F777")
    merge(two)
    assert numbers(two) == numbers(two, "F777") == ["1", "2"]
    with two.town() as town:
        kept, gone = ids(town, "F001", "F777")
        assert town.sign_in.by_codes("F777", secret, "127.0.0.9") == kept
        assert town.families.get(gone).id == kept
        assert {row.address for row in town.alerts.addresses(kept)} == {
            "f001@exemple.fr", "f777@exemple.fr",
        }  # fmt: skip
        assert [child.label for child in town.files.children(kept)] == ["Lina"]
        assert [row.Family.code for row in town.family_list.page().rows] == ["F001", "F002"]
        (entry,) = town.trail.page(subject=f"family:{kept}", action="family.merged").rows
        assert entry.details == {"code": "F777", "invoices": 1}


def test_what_still_comes_under_the_old_code_arrives(two):
    merge(two)
    two.publish(record("3", family="F777"))
    assert numbers(two) == ["1", "2", "3"]
    with two.town() as town:
        again = town.imports.run(
            Records(record("2", family="F777", debtor="Durand Camille", lines=line("Lina"))),
            two.file(),
        )
        assert not again.problems


def test_payments_go_on_over_a_merge(two):
    """An attempt that was under way settles for the family that its own became."""
    with two.town() as town:
        (invoice,) = town.invoices.by_number("2")
        payment = town.attempts.create(
            invoice.family_id, [invoice.id], email="a@b.fr", language="fr", key="k"
        )
    with two.town() as town:
        town.attempts.start(payment)
    merge(two)
    two.bank.pay(two.bank.last, two.clock)
    with two.town() as town:
        town.attempts.poll(payment)
        (kept,) = ids(town, "F001")
        assert [info.id for info in town.payments.history(kept)] == [payment]
    assert numbers(two) == ["1"]


def test_undoing_an_import_leaves_what_was_merged(two):
    merge(two)
    with two.town() as town:
        (batch,) = town.imports.batches()
        town.imports.undo(batch.id)
    assert numbers(two) == []
    two.publish(record("7", family="F777"))
    assert numbers(two) == ["7"]


def test_merged_twice_all_codes_lead_to_the_last(two):
    merge(two)
    merge(two, "F002", "F001")
    assert numbers(two, "F777") == ["1", "2", "9"]


def test_a_merge_that_would_lose_an_address_is_refused_whole(two):
    with two.town() as town:
        kept, _gone = ids(town, "F001", "F777")
        for number in range(2):
            town.alerts.add(kept, f"m{number}@exemple.fr")
    with pytest.raises(UserError, match="trois adresses"):
        merge(two)
    assert numbers(two) == ["1"]


@pytest.mark.parametrize("gone", ["F001", "F777"])
def test_nothing_is_merged_with_itself_or_twice(two, gone):
    merge(two)
    with pytest.raises(UserError):
        merge(two, "F001", gone)
    with two.town() as town, pytest.raises((UserError, NotFoundError)):
        town.merging.merge(ids(town, "F001")[0], 999_999)


def test_the_regisseur_compares_and_merges(two, make_office):
    work = make_office().enter()
    page = work.follow(work.get("/regie/recherche", params={"q": "F001"}))
    page = page.click("Fusionner un doublon")
    assert "Durand Camille (F777)" in page
    assert "Aucune famille n’a ce code" in work.fill(page, code="Z9")
    page = work.fill(page, code="F777")
    assert "rejoint l’autre" in page
    form = next(f for f in page.forms.values() if f.method.lower() == "post" and "code" in f.fields)
    page = work.follow(form.submit())
    assert "n’en font plus qu’un" in page
    assert work.path_of(work.follow(work.get("/regie/recherche", params={"q": "F777"}))) == (
        work.path_of(page)
    )


# --- The person's rights -------------------------------------------------------------------------


def settle(portal, number):
    with portal.town() as town:
        (invoice,) = town.invoices.by_number(number)
        town.payments.record(
            regie=invoice.regie, family_id=invoice.family_id, means=Means.CASH, amount=5687,
            paid_at=town.clock.now(), payer="DURAND", shares=[(invoice.id, 5687)], key=number,
        )  # fmt: skip


def words(portal):
    """All that the town's tables hold, as one text; the trail says what was done, not to whom."""
    with portal.town() as town:
        tables = town.session.scalars(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
                 " AND table_name NOT IN ('alembic_version', 'outbox', 'tenant', 'audit_entry')")
        ).all()  # fmt: skip
        rows = (town.session.execute(text(f'SELECT to_jsonb(t) FROM "{t}" t')).all() for t in tables)
        return json.dumps([[row[0] for row in found] for found in rows])


def test_nothing_that_names_an_erased_family_is_left(two):
    merge(two)
    for number in ("1", "2"):
        settle(two, number)
    two.codes("F001")
    with two.town() as town:
        kept = ids(town, "F001")[0]
        town.sign_in.create_account(kept, "camille@exemple.fr", "une phrase de passe")
    for secret in ("Lina", "DURAND", "Durand", "camille@", "f777@"):
        assert secret.casefold() in words(two).casefold()
    # The journal of a month that may still be closed names who paid: nothing is erased before.
    two.clock.pass_time(days=62)
    with two.town() as town:
        assert town.personal_data.erase(kept)
    left = words(two).casefold()
    for secret in ("lina", "durand", "camille@", "f777@", "f001@"):
        assert secret not in left
    assert "martin" in left
    with two.town() as town:
        assert len(town.payments.history(kept)) == 2


def test_a_child_of_another_household_keeps_its_name(two):
    with two.town() as town:
        (other,) = ids(town, "F002")
        town.files.share_child(other, "F001/lina", sees_all=True)
    settle(two, "1")
    with two.town() as town:
        town.personal_data.erase(ids(town, "F001")[0])
        assert "Lina" in [child.label for child in town.files.children(other)]


# --- Retention -----------------------------------------------------------------------------------

RULES = "\n[retention]\nfamilies = 36\nmessages = 12\n"


@pytest.fixture
def ruled(database, redis, tmp_path):
    made = make_portal(database, tmp_path, toml=RULES)
    made.publish(record("1"), record("2", family="F002"), record("3", family="F003"))
    with made.town() as town:
        town.session.execute(text("UPDATE family SET created_at = '2026-03-01'"))
        town.alerts.add(ids(town, "F001")[0], "camille@exemple.fr")
        town.session.execute(text("UPDATE message SET created_at = '2026-03-01', state = 'sent'"))
    for number in ("1", "2"):
        settle(made, number)
    yield made
    made.runtime.close()


def names(portal):
    with portal.town() as town:
        return town.session.scalars(text("SELECT name <> '' FROM family ORDER BY code")).all()


def test_what_is_to_be_erased_is_shown_before(ruled):
    ruled.clock.pass_time(days=36 * 30)
    with ruled.town() as town:
        assert town.personal_data.expired().families == 0
        assert town.personal_data.expired().messages == 1
    ruled.clock.pass_time(days=60)
    with ruled.town() as town:
        expired = town.personal_data.expired()
    assert [family.code for family in expired.first] == ["F001", "F002"]  # F003 owes still.
    assert expired.families_before == date(2026, 4, 23)
    assert names(ruled) == [True, True, True]


def test_time_erases_what_nothing_needs(ruled):
    ruled.clock.pass_time(days=38 * 30)
    with ruled.town() as town:
        assert town.personal_data.retain() == (2, 0)  # The family's own messages went with it.
        assert town.personal_data.retain() == (0, 0)
        (entry, _other) = town.trail.page(action="family.erased").rows
        assert entry.actor == "system"
    assert names(ruled) == [False, False, True]


def test_without_a_rule_no_family_is_erased(portal):
    portal.publish(record("1"))
    settle(portal, "1")
    portal.clock.pass_time(days=20 * 365)
    with portal.town() as town:
        assert town.personal_data.retain()[0] == 0


def test_the_regisseur_sees_the_rules(work, make_office):
    assert "24 mois" in work.get("/regie/familles").click("Durées de conservation", index=-1)
    agent = make_office().enter(Role.AGENT)
    assert agent.get("/regie/conservation", status="*").status_int == 403
