"""Requests of families in a chat: the week, an absence, a day more, a week until the holidays.

Words change nothing: the answer says what would happen, and a button does it. A button carries
numbers, decided anew when it is pressed: children, services by their place in the settings, days.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from core.plugin import (
    ChatAnswer,
    ChatButton,
    ChatPress,
    ChatQuestion,
    ChatRule,
    ChildInfo,
    Link,
    TenantContext,
    ngettext,
)
from core.plugin import gettext as _
from plugins.planning import asking, labels, telling
from plugins.planning.asking import Meaning, Sense
from plugins.planning.book import Answer, Asked, Book
from plugins.planning.patterns import Patterns
from plugins.planning.rules import (
    ONE_DAY,
    Cell,
    Pattern,
    State,
    Verdict,
    Weeks,
    Wish,
    decide,
)
from plugins.planning.settings import PlanningSettings
from plugins.planning.when import MONTHS, WEEKDAYS

MAX_LINES = 16
"""Of an answer; a chat is read on a telephone."""
MAX_BUTTONS = 6
MAX_CHARACTERS = 34
"""Of a button's data, beside the skill's name (docs/plugins.md, *Chats*)."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A request as a button carries it."""

    wish: Wish
    children: tuple[int, ...]
    """Empty: all children of the chat's families."""
    services: tuple[str, ...]
    days: tuple[date, ...] = ()
    weekdays: frozenset[int] = frozenset()
    since: date | None = None
    until: date | None = None
    """The last day of a range of weekdays; None: `days` are asked for."""
    weeks: Weeks = Weeks.ALL


_MONEY = ("facture*", "invoice*", "paiement*", "payer", "paye*", "pay", "paid", "prelevement*",
          "rembours*", "impaye*", "regler", "regle*", "cheque*")  # fmt: skip
"""Words of somebody who speaks of an invoice, whatever day is named."""


class PlanningSkill:
    """The planning in a chat."""

    key = "days"
    rules: Sequence[ChatRule] = (
        ChatRule(
            ("absen*", "abs", "pas la", "malade*", "mange* pas", "vien* pas", "ira pas",
             "sera pas", "annul*", "decommand*", "retir*", "cancel*", "sick"),
            unless=_MONEY,
        ),
        ChatRule(
            ("reserv*", "resa*", "inscri*", "ajout*", "rajout*", "mange*", "vient", "viendra",
             "jusqu*", "tous les", "chaque"),
            unless=_MONEY,
            rank=9,
        ),
        ChatRule(
            ("planning", "la semaine", "cette semaine", "semaine prochaine", "quels jours",
             "quel jour", "reservations"),
            unless=_MONEY,
            rank=9,
        ),
        # A day or a service that is named, whatever the verb: `answer` tells what is meant.
        ChatRule(
            (*WEEKDAYS, *(f"{day}s" for day in WEEKDAYS), "lun", "mar", "jeu", "ven", *MONTHS,
             "demain", "aujourd hui", "hier", "ce matin", "ce midi", "ce soir", "semaine*",
             "vacances", "rentree", "cantine", "canteen", "lunch", "garderie", "periscolaire",
             "centre", "tomorrow", "today", "week", "monday", "tuesday", "wednesday", "thursday",
             "friday"),
            unless=_MONEY,
            rank=12,
        ),
    )  # fmt: skip

    def __init__(self, ctx: TenantContext, settings: PlanningSettings) -> None:
        self._ctx = ctx
        self._settings = settings

    @property
    def label(self) -> str:
        """An example for the chat's help."""
        return _("Léa absente demain")

    def answer(self, question: ChatQuestion) -> ChatAnswer | None:
        """Say what would happen, and offer to do it."""
        books = self._books(question.family_ids)
        children = _children(books)
        if not children:
            return None
        patterns = Patterns(next(iter(books.values())), self._ctx)
        meaning = asking.understand(
            question.text,
            today=question.today,
            children={child.id: child.name for child in children.values()},
            services={key: one.label for key, one in self._settings.services.items()},
            breaks=patterns.breaks(question.today),
            days=question.days,
        )
        if meaning is None:
            return None
        if meaning.sense is Sense.SHOW:
            return self._show(books, children, meaning, question.today)
        if meaning.sense is Sense.PAGE:
            return self._page()
        told = _Told(
            meaning.wish, meaning.children, meaning.services, meaning.days, meaning.weekdays,
            meaning.since, meaning.until, meaning.weeks,
        )  # fmt: skip
        if len(children) > 1 and not meaning.children and not meaning.every_child:
            return self._which(children, told)
        return self._offer(books, children, told, question.today)

    def press(self, press: ChatPress) -> ChatAnswer:
        """Do what the button says, as the rules let it now."""
        books = self._books(press.family_ids)
        children = _children(books)
        told = self._read(press.data)
        if told is None:
            return ChatAnswer(_("Ce bouton n’est plus valable : redites-moi ce que vous voulez."))
        if press.data.startswith("?"):
            return self._offer(books, children, told, press.today)
        mine = {child for child in told.children or children if child in children}
        if not mine:
            return ChatAnswer(_("Cet enfant n’est pas de votre famille."))
        lines: list[str] = []
        for family_id, book in books.items():
            wishes = self._wishes(book, told, [c for c in mine if c in _of(book)], press.today)
            wishes = [one for one in wishes if one.child_id in mine]
            mine -= {one.child_id for one in wishes}
            if not wishes:
                continue
            outcome = book.ask(
                wishes, key=f"chat:{family_id}:{press.key}", by_pattern=told.until is not None
            )
            if outcome.repeated:
                lines.append(_("C’est déjà fait."))
                continue
            telling.tell(self._ctx, outcome, family_id=family_id)
            lines += self._lines(children, outcome.answers)
        if not lines:
            return ChatAnswer(_("Rien ne change."), self._portal())
        return ChatAnswer("\n".join([_("C’est noté :"), *_short(lines)]), self._portal())

    # --- inside --------------------------------------------------------------------------------

    def _books(self, family_ids: Sequence[int]) -> dict[int, Book]:
        return {
            family_id: Book(
                self._ctx, self._settings, actor=f"family:{family_id}", family_id=family_id
            )
            for family_id in family_ids
        }

    def _show(
        self,
        books: Mapping[int, Book],
        children: Mapping[int, ChildInfo],
        meaning: Meaning,
        today: date,
    ) -> ChatAnswer:
        monday = today - timedelta(days=today.weekday())
        if today.weekday() > 4:
            monday += timedelta(days=7)
        days = list(meaning.days) or [monday + timedelta(days=number) for number in range(7)]
        lines = []
        now = self._ctx.clock.now()
        for book in books.values():
            named = meaning.children or tuple(children)
            mine = [child for child in _of(book) if child in named]
            cells = book.look(mine, days, meaning.services)
            for child_id in mine:
                found = [
                    f"– {labels.day(day)}{labels.colon()}"
                    f"{_cell(book, cell, now, alone=len(days) == 1)}"
                    for (who, _key, day), cell in sorted(cells.items(), key=lambda one: one[0][2])
                    if who == child_id
                    and (len(days) == 1 or cell.state not in {None, State.CANCELLED})
                ]
                lines.append(f"{children[child_id].name}{labels.colon()}".strip())
                lines += found or [_("– rien n’est réservé")]
        if len(days) == 1:
            told = _short(list(dict.fromkeys(lines)), 2 * MAX_LINES)
            return ChatAnswer("\n".join(told), self._portal())
        title = _("Du %(first)s au %(last)s :") % {
            "first": labels.day(days[0]), "last": labels.day(days[-1]),
        }  # fmt: skip
        told = _short(list(dict.fromkeys(lines)), 2 * MAX_LINES)
        return ChatAnswer("\n".join([title, *told]), self._portal())

    def _which(self, children: Mapping[int, ChildInfo], told: _Told) -> ChatAnswer:
        """Ask back which child is meant."""
        choices = [(child.name, replace(told, children=(child.id,))) for child in children.values()]
        choices.append((_("Tous les enfants"), replace(told, children=())))
        rows = tuple((ChatButton(name, f"?{self._written(one)}"),) for name, one in choices)
        return ChatAnswer(_("Pour quel enfant ?"), rows[-MAX_BUTTONS - 1 :])

    def _page(self) -> ChatAnswer:
        """Lead to the page: the days are not clear, or more than one button can say."""
        words = _(
            "Je n’ai pas bien compris les jours. Dites-moi un changement à la fois, avec la date "
            "(« Léa absente jeudi 3 »), ou faites-le sur la page."
        )
        link = f"{self._ctx.town.base_url}/+planning/semaine-type"
        return ChatAnswer(
            words, (*self._portal(), (ChatButton(_("Semaine habituelle"), url=link),))
        )

    def _offer(
        self, books: Mapping[int, Book], children: Mapping[int, ChildInfo], told: _Told, today: date
    ) -> ChatAnswer:
        if len(self._written(told)) > MAX_CHARACTERS:
            return self._which(children, told)
        left = set(told.children or children)
        answers: list[Answer] = []
        for book in books.values():
            mine = [child for child in _of(book) if child in left]
            wishes = self._wishes(book, told, mine, today)
            answers += book.weigh(wishes, by_pattern=told.until is not None)
            left -= {one.child_id for one in wishes}
        changed = [answer for answer in answers if answer.changed]
        refused = [a for a in answers if a.decision.verdict is Verdict.REFUSE]
        if told.until is not None and len(changed) > MAX_LINES:
            words = [
                ngettext("%s jour change.", "%s jours changent.", len(changed)) % len(changed),
            ]
            if refused:
                words.append(
                    ngettext("%s jour est laissé de côté :", "%s jours sont laissés de côté :",
                             len(refused)) % len(refused)
                )  # fmt: skip
                words += _short(self._lines(children, refused), 5)
        else:
            words = _short(self._lines(children, [*changed, *refused]))
        if not changed:
            if not words:
                words = [_("Il n’y a rien à changer.")]
            return ChatAnswer("\n".join(words), self._portal())
        title = _("Si vous confirmez :")
        button = ChatButton(_("Confirmer"), self._written(told))
        return ChatAnswer("\n".join([title, *words]), ((button,), *self._portal()))

    def _wishes(
        self, book: Book, told: _Told, children: Sequence[int], today: date
    ) -> list[Asked]:
        if not children:
            return []
        if told.until is not None:
            services = told.services or self._first_service(book, children, today, told.until)
            days = {
                (key, number)
                for key in services
                for number in told.weekdays
                if told.wish is Wish.ADD
            }
            pattern = Pattern(frozenset(days), told.weeks)
            begin = max(told.since, today) if told.since else today + ONE_DAY
            wishes = Patterns(book, self._ctx).expand(
                children, services, pattern, begin, told.until
            )
            # The weekdays that were named, and no other.
            return [one for one in wishes if one.day.weekday() in told.weekdays]
        cells = book.look(children, told.days)
        found = []
        for (child_id, key, day), cell in cells.items():
            if day not in told.days or (told.services and key not in told.services):
                continue
            if told.wish is Wish.REMOVE and cell.state not in {State.BOOKED, State.WAITING}:
                continue
            if cell.service.opens(day, book.calendar):
                found.append(Asked(child_id, key, day, told.wish))
        if told.wish is Wish.ADD and not told.services:
            # Nobody said what for: the first service of the town that the child is enrolled in.
            first: dict[tuple[int, date], Asked] = {}
            for one in found:
                first.setdefault((one.child_id, one.day), one)
            found = list(first.values())
        return sorted(found, key=lambda one: (one.day, one.child_id, one.service))

    def _first_service(
        self, book: Book, children: Sequence[int], first: date, last: date
    ) -> tuple[str, ...]:
        held = {enrolment.service for enrolment in book.enrolled(children, first, last)}
        return tuple([key for key in book.services if key in held][:1])

    def _lines(self, children: Mapping[int, ChildInfo], answers: Sequence[Answer]) -> list[str]:
        return [
            _("– %(child)s, %(service)s, %(day)s : %(answer)s")
            % {
                "child": children[one.asked.child_id].name,
                "service": self._settings.services[one.asked.service].label,
                "day": labels.day(one.asked.day),
                "answer": labels.verdict(
                    one.decision.verdict, one.decision.why, one.decision.deadline
                ),
            }
            for one in answers
            if one.asked.service in self._settings.services and one.asked.child_id in children
        ]

    def _portal(self) -> tuple[tuple[ChatButton, ...], ...]:
        link = Link(_("Voir le planning"), f"{self._ctx.town.base_url}/+planning/")
        return ((ChatButton(link.label, url=link.url),),)

    def _written(self, told: _Told) -> str:
        """Write a request into a button: small numbers, as the data of a button are short."""
        keys = list(self._settings.services)
        mask = sum(1 << keys.index(key) for key in told.services if key in keys)
        who = "-".join(map(_digits, told.children))
        head = f"{'a' if told.wish is Wish.ADD else 'r'}{who}.{mask:x}"
        if told.until is not None:
            week = sum(1 << number for number in told.weekdays)
            ends = f"{_day_digits(told.since)}.{_day_digits(told.until)}"
            tail = f"{_SHAPES[told.weeks]}{week:x}.{ends}"
        else:
            first = min(told.days)
            days = sum(
                1 << number for day in told.days if (number := (day - first).days) < _MAX_DAYS
            )
            tail = f"d{days:x}.{_day_digits(first)}"
        return f"{head}.{tail}.{self._seal()}"

    def _read(self, data: str) -> _Told | None:
        try:
            head, mask, shape, *days, seal = data.removeprefix("?").split(".")
            who = tuple(int(part, 36) for part in head[1:].split("-") if part)
            bits, services = int(shape[1:], 16), int(mask, 16)
            first, *rest = [_day_of(part) for part in days]
        except (ValueError, OverflowError):
            return None
        kind = next((weeks for weeks, letter in _SHAPES.items() if letter == shape[0]), None)
        if seal != self._seal() or head[0] not in "ar" or bits <= 0:
            return None
        keys = list(self._settings.services)
        told = _Told(
            Wish.ADD if head[0] == "a" else Wish.REMOVE,
            who,
            tuple(key for place, key in enumerate(keys) if services >> place & 1),
        )
        if kind is not None and len(rest) == 1 and rest[0] is not None:
            week = frozenset(number for number in range(7) if bits >> number & 1)
            return replace(told, weekdays=week, since=first, until=rest[0], weeks=kind)
        if shape[0] != "d" or rest or first is None:
            return None
        chosen = tuple(
            first + timedelta(days=number) for number in range(_MAX_DAYS) if bits >> number & 1
        )
        return replace(told, days=chosen) if chosen else None

    def _seal(self) -> str:
        # Another order of services is another meaning of a button's numbers.
        return f"{zlib.crc32('/'.join(self._settings.services).encode()) & 0xFFFF:04x}"


_MAX_DAYS = 31
_SHAPES = {Weeks.ALL: "w", Weeks.EVEN: "e", Weeks.ODD: "o"}
_FIRST_DAY = date(2020, 1, 1)


def _digits(number: int) -> str:
    """A number in 36 digits, as `int(text, 36)` reads it."""
    signs = "0123456789abcdefghijklmnopqrstuvwxyz"
    return (_digits(number // 36) if number > 35 else "") + signs[number % 36]


def _day_digits(day: date | None) -> str:
    """A day of a button; "0" for none."""
    return _digits((day - _FIRST_DAY).days) if day is not None else "0"


def _day_of(text: str) -> date | None:
    number = int(text, 36)
    return _FIRST_DAY + timedelta(days=number) if number else None


def _cell(book: Book, cell: Cell, now: datetime, *, alone: bool) -> str:
    """A day of a service in words; of a single day, also until when it may be changed."""
    words = f"{cell.service.label}, {labels.state(cell.state)}"
    if not alone:
        return words
    wish = Wish.REMOVE if cell.state in {State.BOOKED, State.WAITING} else Wish.ADD
    decision = decide(wish, cell, book.calendar, now)
    left = [labels.until(cell, decision)]
    if decision.verdict is Verdict.REFUSE:
        left.append(labels.refusal(decision.why, decision.deadline))
    elif wish is Wish.ADD and cell.free is not None:
        left.append(_("places restantes : %s") % max(cell.free, 0))
    return ", ".join(part for part in [words, *left] if part)


def _of(book: Book) -> list[int]:
    return [child.id for child in book.children()]


def _children(books: Mapping[int, Book]) -> dict[int, ChildInfo]:
    return {child.id: child for book in books.values() for child in book.children()}


def _short(lines: list[str], most: int = MAX_LINES) -> list[str]:
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], _("– et %s autres, sur le portail") % more]
