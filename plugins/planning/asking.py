"""Understanding what a parent types about days: pure, from words to a meaning.

Names, services and weekdays may be written without accents and with slips. Whatever is not clear
is left open: the answer asks back, or leads to the page, rather than guess.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from rapidfuzz import fuzz

from plugins.planning.rules import Weeks, Wish
from plugins.planning.when import ALIKE, MONTHS, WEEKDAYS, Breaks, When, days_said, span

MAX_WORDS = 80
_OTHER = re.compile(
    r"\b(prix|tarifs?|coute\w*|quelle heure|horaires?|menus?|facture\w*|pay(er|e|ez)|paiement\w*"
    r"|rembours\w*|attestation|prelevement\w*|mot de passe|code)\b"
)
_NO_REFUSAL = re.compile(
    r"\b(pas de (soucis?|probleme)|(ne )?sai[st] pas|pourquoi pas|n est ce pas|pas mal"
    r"|(n |j )?(ai|avons|ete) pas( pu)?|(ne )?(marche|fonctionne)\w* (pas|plus)"
    r"|(n est|si ce n est) pas( trop tard)?|pas (encore|recu|trop tard))\b"
)
"""Negations that take nothing away."""
_NEGATED = re.compile(
    r"\b(ne |n )?(mange\w*|prend\w*|dejeune\w*|vien\w*|va|ira|iront|sera|seront|est|sont|reste\w*"
    r"|aura|pourra|participe\w*) (donc |aussi |finalement )?(pas|plus|point)( (la|le|les|l))?\b"
    r"|\b(won t|wont|will not|isn t|not|doesn t)( be| eat| come| have)?\b"
)
_REMOVE = re.compile(
    r"\b(annul\w*|absen\w*|abs|malade\w*|fievre|gastro|retir\w*|supprim\w*|enlev\w*|decommand\w*|"
    r"desinscri\w*|deprogramm\w*|pas|plus d[eu]?|aucun\w*|(on|je) (le |la |les )?garde\w*"
    r"|a la maison|cancel\w*|remove|sick|ill|away|absence|no)\b"
)
_ADD_VERBS = re.compile(
    r"\b(reserve[rzs]?|reservez|reservons|inscri(s|re|vez|r|t|te)?|r?ajoute[rz]?|mange\w*|dejeune\w*|prend\w*"
    r"|vient|viens|viendra|viendront|mets|met|mettre|mettez|book|add)\b"
)
_ADD = re.compile(
    r"\b(reserv\w*|resa\w*|inscri\w*|r?ajout\w*|besoin|present\w*|sera (la|presente?)|stay\w*"
    r"|book\w*|sign up|attend\w*|come|eat\w*|have)\b"
)
_ACT = re.compile(
    r"\b(reserver|inscrire|inscrir|r?ajouter|mettre|annuler|supprimer|enlever|retirer|decommander|"
    r"annulez?|reservez|ajoutez|mettez|inscrivez|supprimez|enlevez|book|cancel|add|remove)\b"
)
_ASKS = re.compile(
    r"\b(est (ce que|il|elle)|sont (ils|elles)|a t (il|elle)|reste t il|il reste|y a t il|quoi"
    r"|quel(le)?s?|combien|me dire|savoir si|verifier|confirmer (si|que)|what|which|when"
    r"|is (it|he|she))\b"
)
_ASKS_HOW = re.compile(r"\b(quand|comment|jusqu a quand|how|until when)\b")
_SHOW = re.compile(r"\b(planning|reservations|emploi du temps|recap\w*|schedule)\b")
_SHOW_WEEK = re.compile(r"^(la |cette |ma |the |this )?(semaine|week)\b")
_COMPOUND = re.compile(
    r"\b(au lieu d\w?|plutot que|a la place d\w?|instead of|mais pas|sauf|except|et pas)\b"
)
_EXCEPT = re.compile(r"\b(sauf|except)\b")
_DONE = re.compile(
    r"\b(j ?ai|ai|avons|a ete|est|sont|etait) (bien |deja )?(annul|reserv|inscri|ajout|enleve)\w*"
)
"""Acts that are told as done: whoever asks about them asks for nothing else."""
_SINCE_WHEN = re.compile(r"\bdepuis (ce matin|hier( soir)?|cette nuit|ce midi|quelques jours)\b")
_EVERY_CHILD = re.compile(
    r"\b(les (deux|trois)|(les|mes|nos)( ([2-5]|deux|trois|quatre))? enfants|pour les [23]"
    r"|tous les (deux|trois)|toute la (famille|fratrie)|both|everyone|all (of them|children|kids)"
    r"|(my|the) (kids|children))\b"
)
_GONE = ("absent", "absente", "annule", "annuler", "malade", "supprimer")
_THERE = ("reserve", "reserver", "inscrire", "ajoute", "ajouter")
_ALSO = (
    frozenset({"cantine", "restaurant", "restauration", "repas", "dejeuner", "dejeune", "midi",
               "canteen", "lunch", "self", "manger", "meridienne"}),
    frozenset({"garderie", "periscolaire", "perisco", "accueil", "peri", "daycare"}),
    frozenset({"loisirs", "centre", "alsh", "clsh"}),
)  # fmt: skip
"""Words for one kind of service; a town writes one of them, and parents any."""
_HALF_DAYS = frozenset({"matin", "soir", "midi"})
_MEAL = re.compile(r"\b(mange\w*|dejeun\w*|repas|lunch|eat\w*)\b")


class Sense(StrEnum):
    """Kind of request that a text makes."""

    SHOW = "show"
    DAYS = "days"
    PATTERN = "pattern"
    PAGE = "page"
    """More than one button can say, or days that nobody named: the answer leads to the page."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Content of an understood text; an empty tuple stands for a part that was not said."""

    sense: Sense
    wish: Wish
    children: tuple[int, ...]
    services: tuple[str, ...]
    days: tuple[date, ...] = ()
    weekdays: frozenset[int] = frozenset()
    since: date | None = None
    until: date | None = None
    weeks: Weeks = Weeks.ALL
    every_child: bool = False


def plain(text: str) -> str:
    """Small letters without accents, single spaces; a slash stands within dates only."""
    folded = unicodedata.normalize("NFKD", text.replace("œ", "oe").casefold())
    bare = "".join(char for char in folded if not unicodedata.combining(char))
    months = "|".join(MONTHS)
    bare = re.sub(
        rf"(?<![\d/])(\d{{1,2}})[./-](0?[1-9]|1[0-2])(?:[./-](\d{{4}}|\d{{2}}))?(?![\d/])(?!\s*(?:{months}))",
        lambda match: "/".join(part for part in match.groups() if part),
        bare,
    )
    bare = re.sub(r"[^a-z0-9/]+", " ", bare)
    return " ".join(re.sub(r"(?<!\d)/|/(?!\d)", " ", bare).split())


def understand(
    text: str,
    *,
    today: date,
    children: Mapping[int, str],
    services: Mapping[str, str],
    breaks: Breaks,
    days: tuple[date, date] | None = None,
) -> Meaning | None:
    """Meaning of a text; None when the text says nothing about days.

    `days` is what the chat understood itself, for dates that nothing here reads.
    """
    words = _SINCE_WHEN.sub(" ", plain(_telling(text))).split()[:MAX_WORDS]
    who = _children(words, children)
    words = _without_names(words, who, children)
    said = " ".join(words)
    if _OTHER.search(said):
        return None
    which = _services(words, services)
    when = days_said(words, today, breaks)
    if not (when.days or when.weekdays or when.unclear) and days is not None:
        when = When(days=span(days[0], min(days[1], days[0] + timedelta(days=13))))
    every = bool(_EVERY_CHILD.search(said)) and not who
    if not which and _MEAL.search(said):
        which = _services(["cantine"], services)
    bare = _NO_REFUSAL.sub(" ", said)
    kept = _NEGATED.sub(" ", bare)
    remove = bool(kept != bare or _REMOVE.search(kept)) or _said_like(words, _GONE)
    verb = bool(_ADD_VERBS.search(kept))
    add = verb or bool(_ADD.search(kept)) or _said_like(words, _THERE)
    wish = Wish.REMOVE if remove else Wish.ADD

    def meant(sense: Sense) -> Meaning:
        if sense is Sense.PAGE:
            return Meaning(sense, wish, who, which, every_child=every)
        return Meaning(
            sense, wish, who, which, when.days, when.weekdays, when.since, when.until, when.weeks,
            every,
        )  # fmt: skip

    dated = bool(when.days or when.weekdays)
    concerns = bool(who or which or every)
    if _is_question(text, said, dated=dated, concerns=concerns, acts=remove or add):
        return meant(Sense.SHOW)
    several = len(when.days) > 1 or len(when.weekdays) > 1
    compound = _COMPOUND.search(said) and (several or _EXCEPT.search(said))
    if dated and compound and (remove or add or concerns):
        return meant(Sense.PAGE)
    if remove and verb and several and not _TOLD.search(kept):
        return meant(Sense.PAGE)
    if when.unclear:
        return meant(Sense.PAGE) if remove or add or (who and which) else None
    if when.until is not None and (remove or add or which or when.weekdays):
        return meant(Sense.PATTERN)
    if when.days and (remove or add or which):
        return meant(Sense.DAYS)
    if _SHOW.search(said) or _SHOW_WEEK.match(said) or (dated and who):
        return meant(Sense.SHOW)
    if concerns and (remove or add):
        return meant(Sense.PAGE)
    return None


_TOLD = re.compile(r"\b(inscrit|inscrite|prend\w*|mange\w*)\b")
"""Words that tell, and ask for nothing: ``Léa est inscrite jeudi, annulez``."""


def _telling(text: str) -> str:
    """Leave out clauses that name a day and ask for nothing: ``on part jeudi, Léa absente lundi``.

    Where no clause names a day and asks for something, all of them stay.
    """
    clauses = [plain(clause) for clause in re.split(r"[,.;:!\n](?!\d)", text)]
    days = [any(_DAY_WORD.fullmatch(word) for word in clause.split()) for clause in clauses]
    asks = [
        bool(_REMOVE.search(clause) or _NEGATED.search(clause) or _ADD.search(clause)
             or _ADD_VERBS.search(clause) or _UNTIL.search(clause))
        for clause in clauses
    ]  # fmt: skip
    if not any(map(bool.__and__, days, asks)):
        return text
    return " ".join(
        clause
        for clause, day, ask in zip(clauses, days, asks, strict=True)
        if ask or not day or len(clause.split()) < STORY_WORDS
    )


STORY_WORDS = 5
"""A clause of so many words tells something; a shorter one, such as ``et vendredi``, goes on."""
_DAY_WORD = re.compile(rf"({'|'.join(WEEKDAYS)}|demain|aujourdhui|hui|\d+/\d+(/\d+)?)")
_UNTIL = re.compile(r"\b(jusqu\w*|a partir|until|cantine|garderie|centre|pour)\b")


def _is_question(text: str, said: str, *, dated: bool, concerns: bool, acts: bool) -> bool:
    about = dated or concerns
    if _ASKS_HOW.search(said):
        return about
    asked = _ASKS.search(said) or (text.rstrip().endswith("?") and not _POLITE.search(said))
    if not asked or not about or _ACT.search(_DONE.sub(" ", said)):
        return False
    return dated or acts or _SHOW.search(said) is not None


_POLITE = re.compile(r"\b(svp|stp|merci|possible|peut|peux|pouvez|pourriez|please)\b")


def _children(words: Sequence[str], children: Mapping[int, str]) -> tuple[int, ...]:
    found = []
    for child_id, name in children.items():
        own = [part for part in plain(name).split() if len(part) > 1]
        if any(_alike(word, part) for word in words for part in own if len(word) > 1):
            found.append(child_id)
    return tuple(found)


def _without_names(
    words: Sequence[str], who: Sequence[int], children: Mapping[int, str]
) -> list[str]:
    """Take first names out: Avril is a child here, and no month."""
    names = {part for child_id in who for part in plain(children[child_id]).split()}
    return [word for word in words if word not in names]


def _services(words: Sequence[str], services: Mapping[str, str]) -> tuple[str, ...]:
    """The services that are named: of two with a common word, the one that more words name."""
    matched: dict[str, set[str]] = {}
    for key, label in services.items():
        own = {
            part
            for part in plain(f"{label} {key}").split()
            if len(part) > 3 and part not in WEEKDAYS
        }
        own |= {word for group in _ALSO if group & own for word in group}
        long = [word for word in words if len(word) > 3]
        found = {word for word in long if any(_alike(word, part) for part in own)}
        if found:
            matched[key] = found
    if any(found - _HALF_DAYS for found in matched.values()):
        # "midi" or "soir" alone names no service beside one that is named.
        matched = {key: found for key, found in matched.items() if found - _HALF_DAYS}
    return tuple(
        key for key, found in matched.items()
        if not any(found < other for other in matched.values())
    )


def _said_like(words: Sequence[str], meant: Sequence[str]) -> bool:
    return any(
        len(word) > 4 and word not in {"presente", "present"} and fuzz.ratio(word, one) >= ALIKE
        for word in words
        for one in meant
    )


def _alike(word: str, name: str) -> bool:
    if min(len(word), len(name)) < 4:
        return word == name
    return fuzz.ratio(word, name) >= ALIKE
