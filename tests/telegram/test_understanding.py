"""Typed words are understood as a parent means them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.telegram_bot.understanding import Meaning, Wish, understand


@pytest.mark.parametrize(
    ("typed", "meaning"),
    [
        ("mes factures", Meaning(Wish.UNPAID)),
        ("MES FACTURES !!", Meaning(Wish.UNPAID)),
        ("facures", Meaning(Wish.UNPAID)),
        ("combien je dois ?", Meaning(Wish.UNPAID)),
        ("How much do I owe?", Meaning(Wish.UNPAID)),
        ("cantine", Meaning(Wish.UNPAID, ("cantine",))),
        ("payer cantine", Meaning(Wish.PAY, ("cantine",))),
        ("je voudrais payer la garderie s’il vous plaît", Meaning(Wish.PAY, ("garderie",))),
        ("payer la facture de mars", Meaning(Wish.PAY, month=3)),
        ("reçu de novembre", Meaning(Wish.RECEIPT, month=11)),
        ("Reçu de nov. 2025", Meaning(Wish.RECEIPT, month=11, year=2025)),
        ("receipt for February", Meaning(Wish.RECEIPT, month=2)),
        ("mes factures payées", Meaning(Wish.HISTORY)),
        ("pdf de la facture F1234", Meaning(Wish.INVOICE_FILE, ("f1234",))),
        ("/factures", Meaning(Wish.UNPAID)),
        ("/factures@ville_test_bot", Meaning(Wish.UNPAID)),
        ("/start abc-DEF_1", Meaning(Wish.START, argument="abc-DEF_1")),
        ("/start", Meaning(Wish.START)),
        ("/start a b", Meaning(Wish.START)),
        ("/langue en", Meaning(Wish.LANGUAGE, argument="en")),
        ("/inconnue", Meaning(Wish.UNKNOWN)),
        ("salut", Meaning(Wish.HELP)),
        ("merci", Meaning(Wish.UNKNOWN)),
        ("oui", Meaning(Wish.UNKNOWN)),
        ("", Meaning(Wish.UNKNOWN)),
    ],
)
def test_what_is_meant(typed, meaning):
    assert understand(typed) == meaning


@pytest.mark.parametrize(
    ("typed", "argument"),
    [("alertes", ""), ("coupe les alertes", "off"), ("alertes oui", "on"), ("stop alerts", "off")],
)
def test_alerts_are_turned_on_and_off(typed, argument):
    meaning = understand(typed)
    assert (meaning.wish, meaning.argument) == (Wish.ALERTS, argument)


@given(st.text(max_size=200))
def test_anything_may_be_typed(typed):
    assert understand(typed).wish in Wish


@given(st.sampled_from(["/start ", "/factures ", "payer ", "reçu "]), st.text(max_size=60))
def test_anything_may_follow(begin, typed):
    meaning = understand(begin + typed)
    assert 0 <= meaning.month <= 12
    assert all(word.isalnum() for word in meaning.words)
