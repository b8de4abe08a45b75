"""What a parent means: commands, and words typed without thinking of commands.

French and English, without accents or capitals to mind, slips of the finger forgiven. What is not
understood is `Wish.UNKNOWN`: it gets help, never silence.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Wish(StrEnum):
    """What a parent may want."""

    START = "start"
    UNPAID = "unpaid"
    PAY = "pay"
    INVOICE_FILE = "invoice_file"
    HISTORY = "history"
    RECEIPT = "receipt"
    ALERTS = "alerts"
    LANGUAGE = "language"
    HELP = "help"
    UNLINK = "unlink"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A wish, and what it is about.

    `words` narrow it to some invoices (normalised), `month` (1 to 12) and `year` to a time; 0 means
    not said. `argument` is a start token, a language, or ``on``/``off``.
    """

    wish: Wish
    words: tuple[str, ...] = ()
    month: int = 0
    year: int = 0
    argument: str = ""


COMMANDS = {
    "start": Wish.START,
    "factures": Wish.UNPAID,
    "invoices": Wish.UNPAID,
    "payer": Wish.PAY,
    "payees": Wish.HISTORY,
    "paid": Wish.HISTORY,
    "alertes": Wish.ALERTS,
    "alerts": Wish.ALERTS,
    "langue": Wish.LANGUAGE,
    "language": Wish.LANGUAGE,
    "aide": Wish.HELP,
    "help": Wish.HELP,
    "deconnexion": Wish.UNLINK,
    "stop": Wish.UNLINK,
}

# In the order of decision: "reçu de la facture de mars" is about a receipt, "payer la facture"
# about paying, "mes factures payées" about the past.
_WORDS: tuple[tuple[Wish, tuple[str, ...]], ...] = (
    (Wish.UNLINK, ("deconnexion", "deconnecter", "delier", "logout", "unlink", "disconnect")),
    (Wish.RECEIPT, ("recu", "recus", "facturette", "justificatif", "receipt", "receipts")),
    (Wish.HISTORY, ("payees", "payee", "reglees", "reglee", "historique", "paiements", "paid",
                    "history", "payments")),
    (Wish.ALERTS, ("alerte", "alertes", "notification", "notifications", "avertir", "alert",
                   "alerts")),
    (Wish.LANGUAGE, ("langue", "language", "english", "anglais", "francais", "french")),
    (Wish.PAY, ("payer", "regler", "paye", "paie", "paiement", "pay", "payment")),
    (Wish.INVOICE_FILE, ("pdf", "document", "telecharger", "download")),
    (Wish.UNPAID, ("facture", "factures", "impaye", "impayes", "impayees", "dois", "devoir",
                   "solde", "invoice", "invoices", "bill", "bills", "unpaid", "owe", "due")),
    (Wish.HELP, ("aide", "aider", "bonjour", "salut", "coucou", "bonsoir", "hello", "hi", "help",
                 "menu")),
)  # fmt: skip
_WISHES = {word: wish for wish, words in _WORDS for word in words}
_ORDER = {wish: rank for rank, (wish, _words) in enumerate(_WORDS)}
_FUZZY = tuple(word for word in _WISHES if len(word) >= 5)

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "janvier janv january jan", "fevrier fevr fev february feb", "mars march mar",
            "avril avr april apr", "mai may", "juin june", "juillet juil july", "aout august aug",
            "septembre sept september sep", "octobre oct october", "novembre nov november",
            "decembre dec december",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip

_EMPTY_WORDS = """
    a au aux avec ca ce ces cet cette combien comment d de des du en est et il je j l la le les lui
    ma me mes moi mois mon n ne notre nos nous on ou par pas plait pour puis que qui s se si sil stp
    sur svp te toi un une vos votre vous veux voudrais voir montre montrer donne donner envoie
    envoyer recevoir faire fais quelles quels quel quelle sont reste bonjour merci
    the my me a an for of i we to in on is are please show send give what how much do want can get
    from this that
"""
_EMPTY = frozenset(_EMPTY_WORDS.split())
_ON = frozenset(("oui", "on", "active", "activer", "actives", "yes", "marche", "enable"))
_OFF = frozenset(("non", "off", "stop", "desactive", "desactiver", "no", "arret", "arreter",
                  "arrete", "couper", "coupe", "disable"))  # fmt: skip
_LANGUAGES = {"english": "en", "anglais": "en", "en": "en", "francais": "fr", "french": "fr",
              "fr": "fr"}  # fmt: skip
_COMMAND = re.compile(r"/(?P<name>[A-Za-z0-9_]{1,32})(?:@\w+)?(?:\s+(?P<rest>.*))?\Z", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_YEAR = re.compile(r"20\d\d\Z")


def normalise(text: str) -> str:
    """Small letters without accents, and anything else than letters and digits as a space."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe"))
    return "".join(
        " " if not (char.isalnum() or unicodedata.combining(char)) else char
        for char in decomposed
        if not unicodedata.combining(char)
    )


def understand(text: str) -> Meaning:
    """Read what a parent typed. Never fails."""
    command = _COMMAND.match(text.strip())
    if command:
        wish = COMMANDS.get(command["name"].lower(), Wish.UNKNOWN)
        rest = (command["rest"] or "").strip()
        if wish is Wish.START:
            return Meaning(wish, argument=rest if _TOKEN.match(rest) else "")
        return _about(wish, normalise(rest).split())
    words = normalise(text).split()
    known = [(word, found) for word in words if (found := _wish_of(word))]
    if not known:
        return _alone(words)
    first = min((wish for _word, wish in known), key=_ORDER.__getitem__)
    # A word that only says what is wanted ("payer", "factures") narrows nothing.
    said = {word for word, _wish in known if word not in _LANGUAGES}
    return _about(first, [word for word in words if word not in said])


def _wish_of(word: str) -> Wish | None:
    exact = _WISHES.get(word)
    if exact or len(word) < 5 or word in _MONTHS or word in _EMPTY:
        return exact
    from rapidfuzz import fuzz, process  # noqa: PLC0415 - where chats are answered

    near = process.extractOne(word, _FUZZY, scorer=fuzz.ratio, score_cutoff=84)
    return _WISHES[near[0]] if near else None


def _alone(words: list[str]) -> Meaning:
    # "cantine", "novembre": most likely the invoices of it. "oui" alone is an answer to nothing.
    meaning = _about(Wish.UNPAID, words)
    if meaning.month or (meaning.words and len(words) <= 3 and not set(words) & (_ON | _OFF)):
        return meaning
    return Meaning(Wish.UNKNOWN)


def _about(wish: Wish, words: list[str]) -> Meaning:
    month = next((_MONTHS[word] for word in words if word in _MONTHS), 0)
    year = next((int(word) for word in words if _YEAR.match(word)), 0)
    argument = ""
    if wish is Wish.ALERTS:
        argument = _first(words, _ON, "on") or _first(words, _OFF, "off")
    elif wish is Wish.LANGUAGE:
        argument = next((_LANGUAGES[word] for word in words if word in _LANGUAGES), "")
    left = tuple(
        word
        for word in words
        if word not in _EMPTY and word not in _MONTHS and not _YEAR.match(word)
    )
    return Meaning(wish, left, month, year, argument)


def _first(words: list[str], known: frozenset[str], answer: str) -> str:
    return answer if known.intersection(words) else ""
