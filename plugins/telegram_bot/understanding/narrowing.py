"""Choice of the invoices that the words are about. Only the family's own words narrow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from core.plugin import InvoiceInfo
from plugins.telegram_bot.understanding.meaning import Meaning
from plugins.telegram_bot.understanding.text import normalise
from plugins.telegram_bot.understanding.times import MONTHS, read_time

SERVICES: dict[str, str] = {
    word: service
    for service, words in {
        "cantine": "cantine cantines repas restaurant restauration dejeuner self"
        " lunch meals canteen cantina",
        "garderie": "garderie periscolaire perisco accueil matin garderies peri nap etude etudes",
        "loisirs": "centre loisirs alsh clsh mercredi mercredis vacances aere colo sejour",
        "creche": "creche creches halte multiaccueil nounou micro nursery daycare",
        "musique": "musique conservatoire piano guitare solfege chorale",
        "sport": "sport piscine judo danse gym natation foot football",
        "transport": "transport bus car ramassage navette",
        "stage": "stage stages atelier ateliers anglais",
    }.items()
    for word in words.split()
}
"""Words of one service: who writes *garderie* means what the town calls *périscolaire*."""

_OF_NOTHING = frozenset(
    ("de", "du", "des", "la", "le", "les", "et", "a", "au", "aux", "en", "pour", "l", "d",
     "facture", "factures", "mois", "n", "no", "regie", "service", "commune", "ville")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The invoices that are meant, all when nothing is said; what was said and not found."""

    invoices: tuple[InvoiceInfo, ...]
    is_narrowed: bool
    not_found: str = ""
    has_words: bool = False
    """True if words of labels, régies, children or services were typed, found or not."""


def narrow(
    invoices: Sequence[InvoiceInfo],
    meaning: Meaning,
    names: Mapping[int, Sequence[str]] | None = None,
    regies: Mapping[str, str] | None = None,
) -> Narrowed:
    """Choose among `invoices` what a meaning is about.

    Args:
        invoices: those of the family.
        meaning: what was said.
        names: the children's names, by invoice.
        regies: the régies' labels, by key.
    """
    tests: list[tuple[str, Callable[[InvoiceInfo], bool]]] = []
    own = _all_own_words(invoices, meaning, names, regies)
    by_word = {word: _of_word(word, own) for word in meaning.words}
    said = {word: ids for word, ids in by_word.items() if ids}
    not_found = [word for word in meaning.words if not by_word[word] and word in SERVICES]
    if said:
        ids = set.intersection(*said.values()) or set.union(*said.values())
        tests.append(("", lambda invoice: invoice.id in ids))
    elif not_found:
        words = " ".join(not_found)
        return Narrowed(tuple(invoices), is_narrowed=False, not_found=words, has_words=True)
    if meaning.amounts:
        tests.append(
            (_euros(meaning.amounts), lambda i: bool({i.amount, i.balance} & {*meaning.amounts}))
        )
    numbers = {n for n in meaning.numbers if any(_is_number(n, i) for i in invoices)}
    if numbers:
        tests.append(("", lambda i: any(_is_number(n, i) for n in numbers)))
    if meaning.days:
        first, last = meaning.days
        tests.append(
            (f"{first:%d/%m}", lambda i: any(first <= d <= last for d in (i.due_on, i.issued_on)))
        )
    elif meaning.month or meaning.year:
        tests.append(("", lambda i: _is_of(i, meaning.month, meaning.year)))
    chosen = [i for i in invoices if all(holds(i) for _said, holds in tests)]
    if not chosen and said:
        # "Cantine ce mois-ci" is still about the canteen when this month has no invoice yet.
        chosen = [i for i in invoices if tests[0][1](i)]
    if tests and not chosen:
        return Narrowed(tuple(invoices), is_narrowed=False, not_found=tests[0][0] or "…")
    return Narrowed(tuple(chosen), is_narrowed=bool(tests), has_words=bool(said))


def names_own(
    invoices: Sequence[InvoiceInfo],
    meaning: Meaning,
    names: Mapping[int, Sequence[str]] | None = None,
    regies: Mapping[str, str] | None = None,
) -> bool:
    """True if a text of which no wish is understood only names invoices: *cantine*, *56,87*."""
    own = _all_own_words(invoices, meaning, names, regies)
    if not all(word in SERVICES or _of_word(word, own) for word in meaning.words):
        return False
    return bool(meaning.words) or narrow(invoices, meaning, names, regies).is_narrowed


def _all_own_words(
    invoices: Sequence[InvoiceInfo],
    meaning: Meaning,
    names: Mapping[int, Sequence[str]] | None,
    regies: Mapping[str, str] | None,
) -> dict[int, frozenset[str]]:
    """The words of each invoice, which only a word may name."""
    if not meaning.words:
        return {}
    return {i.id: _own_words(i, (names or {}).get(i.id, ()), regies or {}) for i in invoices}


def _own_words(
    invoice: InvoiceInfo, names: Sequence[str], regies: Mapping[str, str]
) -> frozenset[str]:
    text = normalise(" ".join((invoice.label, regies.get(invoice.regie, invoice.regie), *names)))
    return frozenset(
        word
        for word in text.split()
        if word not in _OF_NOTHING and word not in MONTHS and not word.isdigit()
    )


def _of_word(word: str, own: Mapping[int, frozenset[str]]) -> set[int]:
    if len(word) < 2:
        return set()
    exact = {id_ for id_, words in own.items() if word in words}
    if exact:
        return exact
    service = SERVICES.get(word)
    if service:
        alike = {i for i, words in own.items() if any(SERVICES.get(w) == service for w in words)}
        if alike:
            return alike
    if len(word) < 4:
        return set()
    from rapidfuzz import fuzz  # noqa: PLC0415 - where chats are answered

    return {
        id_
        for id_, words in own.items()
        if any(
            len(own_word) >= 4 and own_word[0] == word[0] and fuzz.ratio(word, own_word) >= 82
            for own_word in words
        )
    }


def _is_number(said: str, invoice: InvoiceInfo) -> bool:
    """True if `said` is the invoice's number, or at least three characters of its end."""
    number = normalise(invoice.number).replace(" ", "")
    said = said.lstrip("0")
    if not said:
        return False
    digits = number.lstrip("abcdefghijklmnopqrstuvwxyz").lstrip("0")
    return said in (number, digits) or (len(said) >= 3 and number.endswith(said))


def _is_of(invoice: InvoiceInfo, month: int, year: int) -> bool:
    named = read_time("", normalise(invoice.label), invoice.issued_on)
    of_month = named.month or (named.days[0].month if named.days else 0) or invoice.issued_on.month
    of_year = named.year or _year_of(of_month, invoice.issued_on)
    return month in {0, of_month} and year in {0, of_year}


def _year_of(month: int, issued_on: date) -> int:
    """The year of a month that a label names alone: December's invoice is issued in January."""
    return issued_on.year - (month > issued_on.month + 1)


def _euros(amounts: Sequence[int]) -> str:
    return ", ".join(f"{cents // 100},{cents % 100:02d} €" for cents in amounts)
