"""A régie's list of means: what it takes, where it goes, and what is wrong in it."""

from __future__ import annotations

import pytest
from test_town_reasons import GOOD, problems

from core.api.payments import Means, kind_of, name_of
from core.platform.means_words import means_label
from core.platform.plugins.discovery import discovered
from core.platform.tenancy.config import load
from core.platform.tenancy.law import missing

HEAD = "[[regies.CANTINE.means]]\n"


def town(folder, text):
    (folder / "valmont").mkdir()
    (folder / "valmont" / "tenant.toml").write_text(text, "utf-8")
    return load(folder / "valmont", discovered().settings_models(), text.encode())


def test_a_regie_that_names_none_takes_the_usual_ones(tmp_path):
    means = town(tmp_path, GOOD).means("CANTINE")
    assert [one.means for one in means] == ["cash", "cheque", "terminal", "transfer"]
    assert [one.slip_name for one in means] == ["versement", "chèques", "", ""]


def test_each_regie_has_its_own_in_its_own_order(tmp_path):
    config = town(
        tmp_path,
        GOOD
        + HEAD + 'kind = "cesu_paper"\naccount = "5118"\nactivities = ["GARDERIE"]\n'
        + HEAD + 'kind = "other"\nname = "Bons CAF"\naccount = "5118"\n'
        + HEAD + 'kind = "terminal"\nname = "piscine"\nslip = "télécollecte"\n'
        + HEAD + 'kind = "cash"\nlimit = 150\n'
        + HEAD + 'kind = "card"\naccount = "5115"\n'
        + '[regies.PISCINE]\nlabel = "PISCINE"\n',
    )  # fmt: skip
    means = config.means("CANTINE")
    assert [one.means for one in means] == [
        "cesu_paper", "other:Bons CAF", "terminal:piscine", "cash", "card",
    ]  # fmt: skip
    assert [one.slip_name for one in means] == ["CESU", "Bons CAF", "télécollecte", "versement", ""]
    assert [one.at_counter for one in means] == [True, True, True, True, False]
    assert config.one_means("CANTINE", "other:Bons CAF").account == "5118"
    assert config.one_means("CANTINE", "other:Gone").slip_name == "Gone"
    assert len(config.means("PISCINE")) == 4
    assert config.means("NONE") == ()


@pytest.mark.parametrize(
    ("listed", "key", "words"),
    [
        ('kind = "cheques"', "means.0.kind", "has to be one of"),
        ('name = "Bons"', "means.0.kind", "is missing"),
        ('kind = "other"', "means.0", "needs a name"),
        ('kind = "cash"\nname = "tiroir"', "means.0", "has no name of its own"),
        ('kind = "cash"\nlimit = 400', "means.0.limit", "has to be 300 or less"),
        ('kind = "cash"\nlimit = 0', "means.0.limit", "has to be 1 or more"),
        ('kind = "cheque"\nlimit = 30', "means.0", "limit is for cash"),
        ('kind = "cash"\nactivities = ["REPAS"]', "means.0", "for titles"),
        ('kind = "cash"\nslip = "x"', "means.0", "slip of its own"),
        ('kind = "cash"\nkonto = "5"', "means.0.konto", "is not a known key"),
        ('kind = "cash"\naccount = 5118', "means.0.account", "in quotation marks"),
        ('kind = "other"\nname = "a|b"', "means.0.name", "on one line"),
        (f'kind = "other"\nname = "{"x" * 61}"', "means.0.name", "too long"),
        (f'kind = "cash"\n{HEAD}kind = "cash"', "means", "cash stands twice"),
        (f'kind = "other"\nname = "Bons"\n{HEAD}kind = "other"\nname = "bons "', "means", "twice"),
        ('kind = "other"\nname = "Bons"\nslip = "Chèques"', "means", "slip of cash or cheques"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, listed, key, words):
    found = problems(tmp_path, GOOD + HEAD + listed + "\n")
    assert words in found[f"regies.CANTINE.{key}"], found


def test_the_tresorerie_s_regie_takes_nothing(tmp_path):
    text = GOOD + "collects = false\n" + HEAD + 'kind = "cash"\n'
    assert "the trésorerie collects" in problems(tmp_path, text)["regies.CANTINE"]


def test_titles_that_may_pay_too_much_are_told(tmp_path):
    config = town(
        tmp_path,
        GOOD + 'imputation = { "REPAS" = "7067" }\n'
        + HEAD + 'kind = "cesu_paper"\nactivities = ["GARDRIE"]\n'
        + HEAD + 'kind = "cesu_electronic"\n',
    )  # fmt: skip
    told = {lack.key: lack.reason for lack in missing(config)}
    assert "activities" in told["regies.CANTINE.imputation.GARDRIE"]
    assert "canteen" in told["regies.CANTINE.means.1.activities"]


def test_every_means_has_words(tmp_path):
    names = [means_label(kind) for kind in Means]
    assert len(set(names)) == len(names)
    assert means_label("other:Bons CAF") == "Bons CAF"
    assert means_label("terminal:piscine") == "Carte bancaire au guichet – piscine"
    assert (kind_of("terminal:piscine"), name_of("terminal:piscine")) == (Means.TERMINAL, "piscine")
    assert kind_of("of a later version") is Means.OTHER
