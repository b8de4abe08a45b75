"""Days that a text names: dates, weekdays, weeks, ranges. Pure, from words to days.

What contradicts itself, such as a weekday that is not the date's, is `unclear`: nobody guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from rapidfuzz import fuzz

from plugins.planning.rules import ONE_DAY, Weeks

ALIKE = 82
"""Out of 100: how alike a word and a name are that mean the same."""
MAX_SPAN_DAYS = 31
"""Days that are asked for one by one; a longer range is weekdays over a range."""
SUMMER_DAYS = 45
"""The long summer holidays last longer than this, all others are shorter."""
WEEKDAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_ENGLISH = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = {"lun": 0, "mar": 1, "mer": 2, "merc": 2, "jeu": 3, "ven": 4, "vend": 4, "sam": 5,
          "dim": 6}  # fmt: skip
MONTHS = (
    "janvier", "fevrier", "mars", "avril", "mai", "juin", "juillet", "aout", "septembre", "octobre",
    "novembre", "decembre",
)  # fmt: skip
_ENGLISH_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_SHORT_MONTHS = {"janv": 1, "fev": 2, "fevr": 2, "avr": 4, "juil": 7, "sept": 9, "oct": 10,
                 "nov": 11, "dec": 12}  # fmt: skip
_TOMORROW = frozenset({"dem", "tomorrow", "2main", "dmain", "2m1"})
_TODAY = frozenset({"aujourdhui", "auj", "ajd", "today", "tonight"})
_HALF_DAYS = frozenset({"matin", "midi", "soir", "aprem", "apres", "apresmidi"})
_UNITS = frozenset(
    {"jour", "jours", "enfant", "enfants", "h", "heure", "heures", "repas", "ans", "an", "fois",
     "semaine", "semaines", "place", "places", "euro", "euros", "eur", "mois", "min", "filles",
     "garcons", "personnes"}
)  # fmt: skip
_BEFORE_NUMBER = frozenset({"le", "les", "du", "au", "the", "on", "date", "et"})
_EVERY = re.compile(r"\b(tous les|toutes les|ts les|chaque|every|each)\b")
_EVERY_DAY = re.compile(r"\b(tous les jours|ts les jours|chaque jour|every day)\b")
_ONE_OF_TWO = re.compile(r"\b(sur (deux|2)|one out of two|every other)\b")
_HOLIDAYS = re.compile(r"\bvacanc\w*|\bvac\b|\bholidays?\b")
_NAMED_BREAKS = {
    "toussaint": (10, 11), "automne": (10, 11), "noel": (12, 1), "hiver": (2, 3), "fevrier": (2, 3),
    "ski": (2, 3), "paques": (4, 5), "printemps": (4, 5), "avril": (4, 5), "christmas": (12, 1),
    "easter": (4, 5), "ete": (6, 7), "summer": (6, 7),
}  # fmt: skip
"""Months in which a break of this name begins."""

Breaks = Sequence[tuple[date, date]]
"""School holidays to come, the first and the last day of each."""


@dataclass(frozen=True, slots=True)
class Weekday:
    """A weekday without a date; `plural`: every one of them."""

    number: int
    plural: bool = False


@dataclass(frozen=True, slots=True)
class Month:
    """A month that no day stands before."""

    number: int


Token = str | date | Weekday | Month


@dataclass(frozen=True, slots=True)
class When:
    """Days of a text: single ones, or weekdays over a range (`until` is then known)."""

    days: tuple[date, ...] = ()
    weekdays: frozenset[int] = frozenset()
    since: date | None = None
    until: date | None = None
    weeks: Weeks = Weeks.ALL
    unclear: bool = False
    """Days are named, and nobody can say which."""


def days_said(words: Sequence[str], today: date, breaks: Breaks) -> When:
    """Find the days that plain words name (see `asking.plain`)."""
    return _Reading(words, today, breaks).when()


@dataclass(slots=True)
class _Reading:
    words: Sequence[str]
    today: date
    breaks: Breaks
    tokens: list[Token] = field(default_factory=list)
    unclear: bool = False

    def when(self) -> When:
        """Find what is named, the more telling forms first."""
        self._tokenise()
        said = " ".join(_shown(token) for token in self.tokens)
        weeks = (
            Weeks.ODD if re.search(r"\bimpaires?\b|\bodd\b", said)
            else Weeks.EVEN if re.search(r"\bpaires?\b|\beven\b", said) else Weeks.ALL
        )  # fmt: skip
        if self.unclear or _ONE_OF_TWO.search(said):
            return When(unclear=True)
        first, last = self._range()
        until = last or self._until(said)
        since = first or self._since(said)
        if since is None and until is None:
            since, until = self._month(said)
        weekdays = self._weekdays()
        every = bool(_EVERY.search(said)) or weeks is not Weeks.ALL or any(
            isinstance(token, Weekday) and token.plural for token in self.tokens
        )  # fmt: skip
        if _EVERY_DAY.search(said) and not weekdays:
            weekdays = list(range(5))
        counted = self._counted(said, since)
        if counted:
            return When(days=counted)
        if weekdays and (until or since or every) and not first:
            end = until or self._summer()
            return When(weekdays=frozenset(weekdays), since=since, until=end, weeks=weeks)
        if until:
            return self._between(since or self._start(), until, weekdays, weeks)
        if since and not self._named():
            return When(unclear=True)
        return When(days=self._single(said, weekdays))

    # --- words to tokens -----------------------------------------------------------------------

    def _tokenise(self) -> None:
        words = [_canonical(word) for word in self.words]
        place = 0
        while place < len(words):
            token, taken = self._token(words, place)
            self.tokens.append(token)
            place += taken

    def _token(self, words: Sequence[str], place: int) -> tuple[Token, int]:
        word, after = words[place], words[place + 1 : place + 4]
        if word == "apres" and after[:1] == ["demain"]:
            return self.today + timedelta(days=2), 2
        if word == "avant" and after[:1] == ["hier"]:
            return self.today - timedelta(days=2), 2
        if word == "aujourd" and after[:1] == ["hui"]:
            return self.today, 2
        if word in {"ce", "cet"} and after and after[0] in _HALF_DAYS:
            return self.today, 1
        fixed = {"demain": 1, "apresdemain": 2, "aujourdhui": 0, "hier": -1}.get(word)
        if fixed is not None:
            return self.today + timedelta(days=fixed), 1
        weekday = _weekday(word)
        if weekday is not None:
            skip = 1 if after[:1] in (["le"], ["the"]) else 0
            number = words[place + 1 + skip] if len(words) > place + 1 + skip else ""
            if _is_number(number):
                dated = self._dated(words, place + 1 + skip, weekday, sure=True)
                if dated is not None:
                    return dated[0], 1 + skip + dated[1]
            return Weekday(weekday, plural=word.endswith("s") and word[:-1] in WEEKDAYS), 1
        if _is_number(word):
            before = words[place - 1] if place else ""
            listed = bool(self.tokens) and isinstance(self.tokens[-1], date)
            sure = before in _BEFORE_NUMBER - {"et"} or listed or (
                before == "et" and len(self.tokens) > 1 and isinstance(self.tokens[-2], date)
            )  # fmt: skip
            if before not in {"semaine", "sem", "pour"}:
                dated = self._dated(words, place, None, sure=sure)
                if dated is not None:
                    return dated
            return word, 1
        if word in MONTHS:
            return Month(MONTHS.index(word) + 1), 1
        return word, 1

    def _dated(
        self, words: Sequence[str], place: int, weekday: int | None, *, sure: bool
    ) -> tuple[date, int] | None:
        """The date that begins with the number at `place`, and how many words it takes."""
        parts = words[place].removesuffix("er").split("/")
        month, year, taken = 0, 0, 1
        if len(parts) > 1:
            month, year = int(parts[1]), int(parts[2]) if len(parts) > 2 else 0
        else:
            month, taken, year = _month_after(words, place)
            if not month and (not sure or (words[place + 1 :] and words[place + 1] in _UNITS)):
                return None
        day = int(parts[0])
        found = self._resolved(day, month, year + 2000 if 0 < year < 100 else year, weekday)
        if found is None:
            if month or weekday is not None:
                self.unclear = True
            return None
        return found, taken

    def _resolved(self, day: int, month: int, year: int, weekday: int | None) -> date | None:
        candidates = []
        if month:
            for one in (year,) if year else (self.today.year, self.today.year + 1):
                found = _date(one, month, day)
                if found and (year or (self.today - found).days <= 60):
                    candidates.append(found)
        else:
            for ahead in range(3 if weekday is not None else 2):
                number = self.today.month - 1 + ahead
                found = _date(self.today.year + number // 12, number % 12 + 1, day)
                if found and found >= self.today:
                    candidates.append(found)
        fitting = [one for one in candidates if weekday is None or one.weekday() == weekday]
        if weekday is not None and month and candidates and candidates[0] not in fitting:
            return None
        return fitting[0] if fitting else None

    # --- tokens to days ------------------------------------------------------------------------

    def _named(self) -> bool:
        return any(isinstance(token, date | Weekday) for token in self.tokens)

    def _range(self) -> tuple[date | None, date | None]:
        """Days ``du 7 au 11``, ``de lundi à jeudi``, ``lundi jusqu'à vendredi``."""
        for place, token in enumerate(self.tokens):
            if token not in {"au", "a", "to", "jusqu", "through"} or not place:
                continue
            after = next(
                (one for one in self.tokens[place + 1 : place + 4] if one not in {"a", "au", "le"}),
                None,
            )
            before = self.tokens[place - 1]
            if not isinstance(before, date | Weekday) or not isinstance(after, date | Weekday):
                continue
            if token in {"a", "au", "to"} and after is not self.tokens[place + 1]:
                continue
            if token == _UNTIL and isinstance(before, Weekday) and isinstance(after, date):
                continue  # Every one of these weekdays, until then.
            said = " ".join(map(_shown, self.tokens))
            first = before if isinstance(before, date) else self._of_weekday(before.number, said)
            last = after if isinstance(after, date) else first + timedelta(
                days=(after.number - first.weekday()) % 7
            )  # fmt: skip
            if first <= last:
                self.tokens[place - 1] = self.tokens[place + 1] = ""
                for number in range(place + 1, min(place + 4, len(self.tokens))):
                    if self.tokens[number] is after:
                        self.tokens[number] = ""
                return first, last
        return None, None

    def _until(self, said: str) -> date | None:
        place = next(
            (n for n, one in enumerate(self.tokens) if isinstance(one, str)
             and (one.startswith("jusqu") or one in {"until", "till"})), None,
        )  # fmt: skip
        if place is None:
            return None
        after = self.tokens[place + 1 :]
        rest = " ".join(map(_shown, after))
        for number, token in enumerate(after[:7]):
            if isinstance(token, str) and (token in _NAMED_BREAKS or _HOLIDAYS.match(token)):
                return self._before_break(rest)
            if isinstance(token, str) and token in {"annee", "year"}:
                return self._summer()
            if isinstance(token, date):
                self.tokens[place + 1 + number] = ""
                return token
            if isinstance(token, Weekday):
                self.tokens[place + 1 + number] = ""
                return self._of_weekday(token.number, rest)
            if isinstance(token, Month):
                if _HOLIDAYS.search(rest):
                    return self._before_break(rest)
                self.tokens[place + 1 + number] = ""
                return self._month_span(token.number)[1]
        if re.match(r"(a )?(la )?fin (du|de) mois", rest):
            return self._month_span(self.today.month)[1]
        del said
        return None

    def _since(self, said: str) -> date | None:
        match = re.search(r"\b(a partir|a compter|des|starting|from|apres les vac\w*)\b", said)
        back = "rentree" in said.split() or "apres les vac" in said
        if back:
            return self._after_break()
        if match is None:
            return None
        place = next(
            n for n in range(len(self.tokens))
            if " ".join(map(_shown, self.tokens[:n + 1])).endswith(match[0])
            or match[0] in " ".join(map(_shown, self.tokens[:n + 1]))
        )  # fmt: skip
        for number, token in enumerate(self.tokens[place + 1 : place + 5], place + 1):
            if isinstance(token, date):
                return token
            if isinstance(token, Weekday):
                self.tokens[number] = self._of_weekday(token.number, said)
                return self._of_weekday(token.number, said)
            if isinstance(token, Month):
                self.tokens[number] = ""
                return self._month_span(token.number)[0]
        if _NEXT_WEEK.search(said):
            return self._monday() + timedelta(days=7)
        return None

    def _month(self, said: str) -> tuple[date | None, date | None]:
        for token in self.tokens:
            if isinstance(token, Month) and not _HOLIDAYS.search(said):
                return self._month_span(token.number)
        return None, None

    def _month_span(self, number: int) -> tuple[date, date]:
        year = self.today.year + (number < self.today.month)
        first = date(year, number, 1)
        return first, date(year + number // 12, number % 12 + 1, 1) - ONE_DAY

    def _weekdays(self) -> list[int]:
        found = [token.number for token in self.tokens if isinstance(token, Weekday)]
        return list(dict.fromkeys(found))

    def _counted(self, said: str, since: date | None) -> tuple[date, ...]:
        """Days such as ``3 jours à partir de demain``."""
        match = re.search(r"\b(\d{1,2}|deux|trois|quatre|cinq|two|three) (jours|days)\b", said)
        if match is None or since is None:
            return ()
        spelt = {"deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "two": 2, "three": 3}
        count = spelt.get(match[1]) or int(match[1])
        return span(since, since + timedelta(days=min(count, MAX_SPAN_DAYS) - 1))

    def _between(
        self, first: date, last: date, weekdays: Sequence[int], weeks: Weeks
    ) -> When:
        if last < first:
            return When(unclear=True)
        if weekdays or (last - first).days >= MAX_SPAN_DAYS:
            chosen = frozenset(weekdays or range(5))
            return When(weekdays=chosen, since=first, until=last, weeks=weeks)
        return When(days=span(first, last))

    def _start(self) -> date:
        return next((token for token in self.tokens if isinstance(token, date)), self.today)

    def _single(self, said: str, weekdays: Sequence[int]) -> tuple[date, ...]:
        week = self._week(said)
        if week is not None and not weekdays:
            return week
        found = {token for token in self.tokens if isinstance(token, date)}
        found |= {self._of_weekday(number, said) for number in weekdays}
        return tuple(sorted(found))

    def _week(self, said: str) -> tuple[date, ...] | None:
        for place, token in enumerate(self.tokens[:-1]):
            if token in {"semaine", "sem", "week"}:
                near = self.tokens[place + 1 : place + 4]
                dated = next((one for one in near if isinstance(one, date)), None)
                if dated is not None and near[0] in {"du", "de", "le", "of"}:
                    monday = dated - timedelta(days=dated.weekday())
                    return span(monday, monday + timedelta(days=6))
                if isinstance(near[0], str) and near[0].isdecimal() and 0 < int(near[0]) < 54:
                    return self._iso_week(int(near[0]))
        if any(isinstance(token, date) for token in self.tokens):
            return None
        if _NEXT_WEEK.search(said):
            monday = self._monday() + timedelta(days=7)
            return span(monday, monday + timedelta(days=6))
        if re.search(r"\b(cette|la|this|toute la) (semaine|sem|week)\b", said):
            last = self._monday() + timedelta(days=6)
            return span(self.today, last)
        return None

    def _iso_week(self, number: int) -> tuple[date, ...] | None:
        for year in (self.today.year, self.today.year + 1):
            try:
                monday = date.fromisocalendar(year, number, 1)
            except ValueError:
                continue
            if monday + timedelta(days=6) >= self.today:
                return span(monday, monday + timedelta(days=6))
        return None

    def _monday(self) -> date:
        return self.today - timedelta(days=self.today.weekday())

    def _of_weekday(self, number: int, said: str) -> date:
        if _NEXT_WEEK.search(said):
            return self._monday() + timedelta(days=7 + number)
        ahead = (number - self.today.weekday()) % 7
        day = self.today + timedelta(days=ahead)
        if re.search(r"\ben huit\b|\ben 8\b", said):
            return day + timedelta(days=7)
        if ahead == 0 and re.search(r"\b(prochain|pro|next)\b", said):
            return day + timedelta(days=7)
        return day

    def _coming(self, wanted: Callable[[date, date], bool]) -> tuple[date, date] | None:
        return next(
            (span for span in self.breaks if span[1] >= self.today and wanted(*span)), None
        )

    def _before_break(self, rest: str) -> date | None:
        names = [name for name in _NAMED_BREAKS if re.search(rf"\b{name}\b", rest)]
        months = {month for name in names for month in _NAMED_BREAKS[name]}
        found = self._coming(
            lambda first, _last: first > self.today and (not months or first.month in months)
        )
        return found[0] - ONE_DAY if found else None

    def _after_break(self) -> date | None:
        found = self._coming(lambda _first, _last: True)
        return found[1] + ONE_DAY if found else None

    def _summer(self) -> date | None:
        found = self._coming(
            lambda first, last: first > self.today and (last - first).days > SUMMER_DAYS
        )
        return found[0] - ONE_DAY if found else None


_UNTIL = "jusqu"
_NEXT_WEEK = re.compile(r"\bsem(aine)? (pro|prochaine?|suivante|d apres)\b|\bnext week\b")


def span(first: date, last: date) -> tuple[date, ...]:
    """All days from `first` to `last`, both included."""
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _is_number(word: str) -> bool:
    return re.fullmatch(r"(\d{1,2}|1er|\d{1,2}/\d{1,2}(/\d{2,4})?)", word) is not None


def _month_after(words: Sequence[str], place: int) -> tuple[int, int, int]:
    """The month that a number belongs to, words taken and the year: ``7, 8 et 10 décembre``."""
    for number in range(place + 1, min(place + 12, len(words))):
        word = words[number]
        if word in MONTHS:
            year = words[number + 1] if len(words) > number + 1 else ""
            full = int(year) if re.fullmatch(r"20\d\d", year) else 0
            beside = number == place + 1
            return MONTHS.index(word) + 1, (2 + bool(full)) if beside else 1, full
        if not (_is_number(word) and "/" not in word) and word not in {
            "et", "le", "les", "au", "ou", "a", "and", *WEEKDAYS
        }:
            break
    return 0, 1, 0


def _canonical(word: str) -> str:
    if word in _TOMORROW or (len(word) > 4 and fuzz.ratio(word, "demain") >= ALIKE):
        return "demain"
    if word in _TODAY:
        return "aujourdhui"
    if word == "yesterday":
        return "hier"
    if word in _ENGLISH_MONTHS and word not in {"may", "march"}:
        return MONTHS[_ENGLISH_MONTHS.index(word)]
    if word in _SHORT_MONTHS:
        return MONTHS[_SHORT_MONTHS[word] - 1]
    for name in MONTHS:
        if len(name) > 5 and len(word) > 5 and fuzz.ratio(word, name) >= 88:
            return name
    number = _weekday(word)
    if number is not None:
        return WEEKDAYS[number] + ("s" if word.endswith("s") and len(word) > 4 else "")
    return word


def _weekday(word: str) -> int | None:
    for names in (WEEKDAYS, _ENGLISH):
        for number, name in enumerate(names):
            if len(word) > 3 and fuzz.ratio(word.removesuffix("s"), name) >= ALIKE:
                return number
    return _SHORT.get(word)


def _shown(token: Token) -> str:
    if isinstance(token, Weekday):
        return WEEKDAYS[token.number]
    if isinstance(token, Month):
        return MONTHS[token.number - 1]
    return token if isinstance(token, str) else "@"
