"""Typed words are understood as a parent means them, or helpfully declined."""

import re
import time
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugin import InvoiceInfo
from plugins.telegram_bot.replies import ANSWERS
from plugins.telegram_bot.understanding import (
    Intent,
    Meaning,
    Wish,
    names_own,
    narrow,
    own,
    understand,
)
from plugins.telegram_bot.understanding.figures import read_amounts
from plugins.telegram_bot.understanding.times import read_time

CORPUS = Path(__file__).parent / "corpus"
USED = ("used_for_rules.txt", "looked_at_once.txt", "second_look.txt")
"""What the rules were made from; `kept_aside.txt` measures them."""
TODAY = date(2026, 3, 10)
NAMES_INVOICES = {Wish.UNPAID, Wish.PAY, Wish.INVOICE_FILE, Wish.MISSING_INVOICE}


def invoice(number, label, cents, issued_on, due_on, regie="scolaire"):
    return InvoiceInfo(
        number, 1, regie, f"F120{number}", "", label, cents, cents, issued_on, due_on, payable=True
    )


INVOICES = {
    "C": invoice(1, "Cantine février", 5687, date(2026, 3, 1), date(2026, 3, 31)),
    "G": invoice(2, "Garderie février", 2340, date(2026, 3, 1), date(2026, 3, 31)),
    "L": invoice(3, "CENTRE DE LOISIRS vacances d'hiver - Léa", 8400, date(2026, 2, 15),
                 date(2026, 2, 28)),
    "T": invoice(4, "Crèche Tom mars", 31050, date(2026, 3, 5), date(2026, 4, 5), "enfance"),
}  # fmt: skip
LETTERS = {invoice.id: letter for letter, invoice in INVOICES.items()}
REGIES = {"scolaire": "Régie scolaire", "enfance": "Petite enfance"}


def meant(text):
    """The wish that the bot acts on, with its argument, and the letters of its invoices."""
    invoices = list(INVOICES.values())
    meaning = understand(text, TODAY)
    wish = meaning.wish
    if wish == Wish.UNKNOWN and names_own(invoices, meaning, None, REGIES):
        wish = Wish.UNPAID
    about = ""
    if wish in NAMES_INVOICES:
        narrowed = narrow(invoices, meaning, None, REGIES)
        if narrowed.is_narrowed and len(narrowed.invoices) < len(invoices):
            about = "".join(sorted(LETTERS[one.id] for one in narrowed.invoices))
    said = f"{wish}_{meaning.argument}" if meaning.argument else str(wish)
    return said, about


def corpus(name):
    for line in (CORPUS / name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            right, text = line.split(" | ", 1)
            wishes, _, about = right.partition("/")
            yield wishes.split("|"), "".join(sorted(about)), text


def misread(name):
    wrong = []
    for wishes, about, text in corpus(name):
        wish, seen = meant(text)
        if wish not in wishes or (wish in NAMES_INVOICES and seen != about):
            wrong.append(f"{text}: {wish}/{seen}, not {wishes}/{about}")
    return wrong


def test_the_corpus_is_large_and_its_parts_have_nothing_in_common():
    used = {text.lower() for name in USED for _, _, text in corpus(name)}
    kept = {text.lower() for _, _, text in corpus("kept_aside.txt")}
    assert len(used) + len(kept) >= 1000
    assert len(used & kept) <= len(kept) // 10


@pytest.mark.parametrize("name", USED)
def test_the_messages_that_rules_were_made_from_are_read_rightly(name):
    assert misread(name) == []


def test_nine_of_ten_messages_that_were_kept_aside_are_read_rightly():
    wrong = misread("kept_aside.txt")
    assert len(wrong) <= len(list(corpus("kept_aside.txt"))) // 10, wrong


def test_no_message_asks_for_a_change_against_its_words():
    """What would change something is asked back; and it is asked only of who speaks of it."""
    changing = {"alerts_on", "alerts_off", "language_en", "language_fr", "unlink"}
    wrong = [
        (text, wish)
        for name in (*USED, "kept_aside.txt")
        for wishes, _, text in corpus(name)
        if (wish := meant(text)[0]) in changing and wish not in wishes
    ]
    assert wrong == []


def test_the_table_in_the_documentation_is_what_is_measured():
    """A table of confusion: what was meant, how often it was read so, and as what else."""
    rows = Counter()
    total = Counter()
    for wishes, _, text in corpus("kept_aside.txt"):
        wish = meant(text)[0]
        total[wishes[0]] += 1
        if wish not in wishes:
            rows[wishes[0], wish] += 1
    lines = []
    for wish in sorted(total):
        others = ", ".join(
            f"{other} {count}" for (one, other), count in sorted(rows.items()) if one == wish
        )
        right = total[wish] - sum(count for (one, _), count in rows.items() if one == wish)
        lines.append(f"| {wish} | {total[wish]} | {right} | {others} |")
    written = (Path(__file__).parents[2] / "docs" / "telegram.md").read_text("utf-8")
    missing = [line for line in lines if line not in written]
    assert missing == [], "\n".join(lines)


@pytest.mark.parametrize(
    ("typed", "meaning"),
    [
        ("/factures", Meaning(Wish.UNPAID, is_command=True)),
        ("/factures@ville_test_bot", Meaning(Wish.UNPAID, is_command=True)),
        ("/start abc-DEF_1", Meaning(Wish.START, argument="abc-DEF_1", is_command=True)),
        ("/start", Meaning(Wish.START, is_command=True)),
        ("/start a b", Meaning(Wish.START, is_command=True)),
        ("/langue en", Meaning(Wish.LANGUAGE, argument="en", is_command=True)),
        ("/alertes off", Meaning(Wish.ALERTS, ("off",), argument="off", is_command=True)),
        ("/inconnue", Meaning(Wish.UNKNOWN, is_command=True)),
        ("https://t.me/ville_bot?start=abc-DEF_1", Meaning(Wish.START, argument="abc-DEF_1")),
        ("tg://resolve?domain=ville_bot&start=abc_1", Meaning(Wish.START, argument="abc_1")),
        ("kJ3nq0-xYzA_19bVt4RmPw", Meaning(Wish.START, argument="kJ3nq0-xYzA_19bVt4RmPw")),
        ("anticonstitutionnelles", Meaning(Wish.UNKNOWN, ("anticonstitutionnelles",))),
        ("", Meaning(Wish.UNKNOWN)),
    ],
)
def test_commands_and_links(typed, meaning):
    assert understand(typed, TODAY) == meaning


@pytest.mark.parametrize(
    ("said", "month", "year", "days"),
    [
        ("le mois dernier", 2, 2026, None),
        ("du mois dernier", 2, 2026, None),
        ("ce mois ci", 3, 2026, None),
        ("l annee derniere", 0, 2025, None),
        ("2025", 0, 2025, None),
        ("novembre 2025", 11, 2025, None),
        ("hier", 0, 0, (date(2026, 3, 9), date(2026, 3, 9))),
        ("la semaine derniere", 0, 0, (date(2026, 3, 2), date(2026, 3, 8))),
        ("12/01", 0, 0, (date(2026, 1, 12), date(2026, 1, 12))),
        ("12/12", 0, 0, (date(2025, 12, 12), date(2025, 12, 12))),
        ("12/12/24", 0, 0, (date(2024, 12, 12), date(2024, 12, 12))),
        ("3 mars", 0, 0, (date(2026, 3, 3), date(2026, 3, 3))),
        ("1er mars 2025", 0, 0, (date(2025, 3, 1), date(2025, 3, 1))),
        ("31/02", 0, 0, None),
        ("cantine", 0, 0, None),
    ],
)
def test_times(said, month, year, days):
    plain = re.sub(r"[^0-9a-z]+", " ", said)
    time_ = read_time(said, plain, TODAY)
    assert (time_.month, time_.year, time_.days) == (month, year, days)


@pytest.mark.parametrize(
    ("said", "cents"),
    [
        ("56,87", (5687,)), ("56.87 €", (5687,)), ("56€87", (5687,)), ("84 euros", (8400,)),
        ("1 310,50 €", (131050,)), ("12,5", (1250,)), ("entre 10 et 20 €", (2000,)),
        ("12", ()), ("28/02", ()), ("F1201", ()), ("2026", ()),
    ],
)  # fmt: skip
def test_amounts(said, cents):
    assert read_amounts(said)[0] == cents


def test_december_named_in_january_is_last_year():
    old = invoice(9, "Cantine décembre", 100, date(2026, 1, 5), date(2026, 2, 1))
    new = invoice(8, "Cantine décembre", 100, date(2025, 1, 5), date(2025, 2, 1))
    narrowed = narrow([old, new], understand("facture de décembre 2025", TODAY))
    assert narrowed.invoices == (old,)


def test_a_childs_name_on_the_lines_narrows():
    invoices = list(INVOICES.values())
    meaning = understand("la facture d’Anaïs", TODAY)
    assert not narrow(invoices, meaning).is_narrowed
    narrowed = narrow(invoices, meaning, {1: ["DURAND Anaïs"]})
    assert narrowed.invoices == (INVOICES["C"],)


@pytest.mark.parametrize(
    "typed",
    ["payer avec mon téléphone", "je peux payer en carte bleue ?", "payer tout", "payer svp merci",
     "payer maintenant pour mes enfants", "facture truc machin"],
)  # fmt: skip
def test_words_that_are_not_the_familys_narrow_nothing(typed):
    assert not narrow(list(INVOICES.values()), understand(typed, TODAY)).is_narrowed


def test_another_plugins_intent_enters_by_the_same_door():
    planning = Intent("planning.day", 1, (r"(?:planning|emploi du temps)(?: \w+)*",))
    intents = own().joined_by(planning)
    assert understand("le planning de mardi", TODAY, intents).wish == "planning.day"
    assert understand("mes factures", TODAY, intents).wish == Wish.UNPAID


def test_ranks_are_decided_and_every_wish_has_an_answer():
    names = {intent.name for intent in own()}
    assert names <= set(Wish)
    assert set(ANSWERS) <= names
    ranks = [intent.rank for intent in own()]
    assert len(ranks) == len(set(ranks)), "two intents of one rank depend on the file's order"


@given(st.text(max_size=300))
def test_anything_may_be_typed(typed):
    assert understand(typed, TODAY).wish in set(Wish)


@given(st.sampled_from(["/start ", "/factures ", "payer ", "reçu "]), st.text(max_size=60))
def test_anything_may_follow(begin, typed):
    meaning = understand(begin + typed, TODAY)
    assert 0 <= meaning.month <= 12
    narrow(list(INVOICES.values()), meaning)


@given(st.lists(st.sampled_from(["je", "ai", "pas", "payer", "facture", "rappels", "deja", "ne", "veux", "12", ",", "?", "a", "le"])))
def test_no_text_takes_long(words):
    typed = " ".join(words * 20)[:1000]
    start = time.thread_time()
    understand(typed, TODAY)
    assert time.thread_time() - start < 1
