"""Names are found and sorted however somebody types them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from core.api.invoices import LineRecord, TaxKind
from core.domain import names
from core.families.models import Family, FamilyWord
from core.testing.portal import make_portal, record


@given(st.text())
def test_folding_twice_is_folding_once(name):
    once = names.folded(name)
    assert names.folded(once) == once
    assert not once.startswith(" ")
    assert not once.endswith(" ")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Guérin", "GUERIN"),
        ("Guérin", "Gue\u0301rin"),
        ("Lœuille", "LOEUILLE"),
        ("Jean-Pierre", "jean pierre"),
        ("L’Haridon", "l'haridon"),
        ("N\u02bcGuyen", "N'Guyen"),
        ("Øster\u00adgård", "ostergard"),
        ("Łukasz Weiß", "lukasz WEISS"),
        ("Le\u202fGoff,  Anne", "le goff anne"),
        ("ﬁlleul", "filleul"),
        ("Şahin Yıldız", "sahin yildiz"),
    ],
)
def test_spellings_of_one_name_fold_to_one(one, other):
    assert names.folded(one) == names.folded(other)


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12), st.data())
def test_a_slip_is_undone(word, data):
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
    swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    for typed in (word[:at] + word[at + 1 :], word[:at] + letter + word[at:],
                  word[:at] + letter + word[at + 1 :], swapped):  # fmt: skip
        assert len(typed) < names.SLIP_LETTERS or word in names.slips(typed)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("RIVIERE Aurelie", "Aurélie Rivière", True),
        ("Mme GUÉRIN", "guerin", True),
        ("M. et Mme Guérin Paul", "Paul GUERRIN", True),
        ("Martin", "Martini", False),
        ("Martin Paul", "Martin Luc", False),
        ("Martin Paul", "Martin", False),
        ("Roy Anne", "Ray Anne", False),
        ("St-Pierre Anne", "SAINT PIERRE Anne", True),
        ("", "", False),
        ("Mme", "M.", False),
    ],
)
def test_who_may_be_one_person(one, other, same):
    assert names.same_person(one, other) is same
    assert names.same_person(other, one) is same


# --- In a town -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portal(module_database, tmp_path_factory):
    made = make_portal(module_database, tmp_path_factory.mktemp("portal"))
    made.publish(record("1", family="F0"))
    yield made
    made.runtime.close()


LETTERS = "".join(
    letter
    for letter in map(chr, [*range(0x20, 0x250), *range(0x370, 0x530), *range(0x1E00, 0x2070),
                            *range(0xFB00, 0xFB07)])
    if unicodedata.category(letter) != "Cn"
)  # fmt: skip


def folded_by_postgresql(town, given):
    return town.session.scalars(
        text("SELECT folded(name) FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS n(name, at)"
             " ORDER BY at"), {"names": given},
    ).all()  # fmt: skip


def test_the_database_folds_each_letter_as_the_application_does(portal):
    given = [f"a{letter}b" for letter in LETTERS]
    with portal.town() as town:
        found = folded_by_postgresql(town, given)
    assert list(found) == [names.folded(name) for name in given]


@given(st.lists(st.text(st.sampled_from(LETTERS + "\u0301\u200b"), max_size=30), max_size=50))
@settings(suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture])
def test_the_database_folds_each_text_as_the_application_does(portal, given):
    with portal.town() as town:
        assert list(folded_by_postgresql(town, given)) == [names.folded(name) for name in given]


PART = st.text(st.sampled_from("abelmnorstuvéèëçœïô"), min_size=2, max_size=9)


def bare(name):
    """A name as somebody types it who has no accents: another way than the application's."""
    return name.translate(str.maketrans("éèëçïô", "eeecio")).replace("œ", "oe").upper()


@given(st.lists(PART, min_size=1, max_size=4), st.sampled_from([" ", "-", "’", ", "]), st.data())
@settings(max_examples=60)
def test_a_family_is_found_by_its_words_in_any_order_without_accents(portal, parts, between, data):
    typed = " ".join(bare(part) for part in data.draw(st.permutations(parts)))
    with portal.town() as town:
        family = town.families.by_code("F0").id
        town.files.change(family, name=between.join(parts), address=[], language="fr")
        assert [f.id for f in town.search.find(typed).families] == [family]
        assert [row.Family.id for row in town.family_list.page(name=typed).rows] == [family]
        town.session.rollback()


@pytest.fixture
def families(portal):
    """Some families in a town, for one test."""
    with portal.town() as town:
        for at, name in enumerate(
            ["Zoé Martin", "Éloi Durand", "Eloi Petit", "Guérin Paul", "Le Goff Anne", "LEGALL Yann",
             "Aurélie Rivière", "Dupont-Moretti", "de la Tour", "Œillet", "O’Brien",
             "Saint-Yrieix Luc", "Ste Croix Ève", "Nguyễn Thị Hương", "Yıldız Şahin", "Weiß Jørgen", "D’Àlès"], 1
        ):  # fmt: skip
            town.files.create(f"N{at}", name, [], "fr")
        yield town
        town.session.rollback()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("guerin", "Guérin Paul"),
        ("GURIN", "Guérin Paul"),
        ("guerni paul", "Guérin Paul"),
        ("guertin", "Guérin Paul"),
        ("Mme riviere aurelie", "Aurélie Rivière"),
        ("legoff", "Le Goff Anne"),
        ("le gall", "LEGALL Yann"),
        ("delatour", "de la Tour"),
        ("moretti dupont", "Dupont-Moretti"),
        ("dupontmoretti", "Dupont-Moretti"),
        ("oeil", "Œillet"),
        ("obrien", "O’Brien"),
        ("o'brien", "O’Brien"),
        ("éloi dur", "Éloi Durand"),
        ("st yrieix", "Saint-Yrieix Luc"),
        ("Luc ST-YRIEX", "Saint-Yrieix Luc"),
        ("sainte-croix", "Ste Croix Ève"),
        ("nguyen huong", "Nguyễn Thị Hương"),
        ("NGUYEN HOUNG", "Nguyễn Thị Hương"),
        ("sahin yildiz", "Yıldız Şahin"),
        ("ŞAHİN YILDIZ", "Yıldız Şahin"),
        ("weiss jorgen", "Weiß Jørgen"),
        ("WEIẞ", "Weiß Jørgen"),
        ("joergen weis", "Weiß Jørgen"),
        ("d'ales", "D’Àlès"),
        ("dales", "D’Àlès"),
        ("d ` Alès", "D’Àlès"),
        ("ales", "D’Àlès"),
    ],
)
def test_a_family_is_found(families, typed, found):
    assert [family.name for family in families.search.find(typed).families] == [found]


@pytest.mark.parametrize("typed", ["%", "_", "''", "-", "\\", "xyzzyx", "mme"])
def test_what_names_nobody_finds_nobody(families, typed):
    assert not families.search.find(typed).families
    assert not families.family_list.page(name=typed).rows


def test_accents_do_not_change_the_order(families):
    families.files.change(families.families.by_code("F0").id, name="", address=[], language="fr")
    rows = [row.Family.name for row in families.family_list.page().rows]
    assert rows == ["", "Aurélie Rivière", "D’Àlès", "de la Tour", "Dupont-Moretti", "Éloi Durand",
                    "Eloi Petit", "Guérin Paul", "Le Goff Anne", "LEGALL Yann", "Nguyễn Thị Hương", "O’Brien",
                    "Œillet", "Saint-Yrieix Luc", "Ste Croix Ève", "Weiß Jørgen", "Yıldız Şahin", "Zoé Martin"]  # fmt: skip
    number = {row.Family.name: row.Family.id for row in families.family_list.page().rows}
    following = families.family_list.page(before=number["Éloi Durand"]).rows
    assert [row.Family.name for row in following] == rows[6:]


def test_duplicates_are_proposed_whatever_the_spelling(families):
    first = families.files.create("D1", "RIVIERE Aurelie", [], "fr")
    slipped = families.files.create("D2", "Guerrin, paul", [], "fr")
    assert [f.name for f in families.merging.alike(first)] == ["Aurélie Rivière"]
    assert [f.name for f in families.merging.alike(slipped)] == ["Guérin Paul"]


def test_an_erased_name_is_no_longer_looked_for(families):
    family = families.session.scalars(select(Family).where(Family.name == "Guérin Paul")).one()
    kept = select(FamilyWord.word).where(FamilyWord.family_id == family.id)
    assert set(families.session.scalars(kept)) == {"guerin", "paul", "guerinpaul"}
    families.files.change(family.id, name="Famille effacée", address=[], language="fr")
    assert "guerin" not in set(families.session.scalars(kept))
    families.session.delete(family)
    families.session.flush()
    assert not families.session.scalars(kept).all()


def test_a_child_is_found_with_the_name_of_the_family(portal):
    lines = (LineRecord(1, "Repas", TaxKind.MEAL, 1000, child="Léa-Rose"),)
    # In the other town: it stays, and lists of this one are asked for whole.
    portal.publish(record("c1", family="C1", debtor="Quénéhervé", lines=lines, amount=1000), slug="brumes")
    with portal.town("brumes") as town:
        for typed in ("quenehervé LEA", "lea rose quenehervé", "learose"):
            assert [f.code for f in town.search.find(typed).families] == ["C1"]
        assert not town.search.find("lea durand").families
