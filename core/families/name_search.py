"""Families by their names and those of their children, however somebody types them."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    exists,
    false,
    intersect,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.domain import names
from core.families.models import ChildWord, Family, FamilyChild, FamilyWord

_LAST = "\U0010ffff"
"""After any letter: words that begin with a text stand before the text and this."""

Word = InstrumentedAttribute[str]
_Way = Callable[[Word, str], ColumnElement[bool]]


def _exactly(column: Word, word: str) -> ColumnElement[bool]:
    return column == word


def _beginning(column: Word, word: str) -> ColumnElement[bool]:
    # Not LIKE, for which no index is used below row-level security.
    return and_(column >= word, column < word + _LAST)


def _nearly(column: Word, word: str) -> ColumnElement[bool]:
    return or_(_beginning(column, word), _slipped(column, word))


def _slipped(column: Word, word: str) -> ColumnElement[bool]:
    # One array: hundreds of values each on its own take longer to say than to find.
    return column == any_(literal(sorted(names.slips(word)), ARRAY(Text(collation="C"))))


def search_names(session: Session, tenant: str, typed: str) -> Select[int] | None:
    """The ids of the families that have all words of `typed`; None if it has no word.

    A word is one of the family's name or of a child's, or begins one. Where no family has them
    all, words within one slip of the finger, or that others write together, count too.
    """
    words = names.words(typed)
    if not words:
        return None
    found = _all_of(tenant, words, _beginning)
    if session.scalar(select(exists(found))):
        return found
    ways = [_all_of(tenant, parts, _nearly) for parts in (words, *names.glued(words))]
    return select(union(*ways).subquery().c.family_id)


def exactly_named(tenant: str, typed: str) -> Select[int]:
    """The ids of the families that have all words of `typed`, whole."""
    return _all_of(tenant, names.words(typed), _exactly)


def nearly_named(tenant: str, name: str) -> Select[int]:
    """The ids of the families whose own names have all words of `name`, but for slips."""
    each = [
        select(FamilyWord.family_id).where(
            FamilyWord.tenant_id == tenant, _slipped(FamilyWord.word, word)
        )
        for word in names.words(name)
    ]
    if not each:
        return select(Family.id).where(false())
    return select(intersect(*each).subquery().c.family_id)


def _all_of(tenant: str, words: tuple[str, ...], way: _Way) -> Select[int]:
    each = [_one_of(tenant, word, way) for word in words]
    return select(intersect(*each).subquery().c.family_id)


def _one_of(tenant: str, word: str, way: _Way) -> Select[int]:
    of_child = (
        select(FamilyChild.family_id)
        .join(
            ChildWord,
            and_(
                ChildWord.tenant_id == FamilyChild.tenant_id,
                ChildWord.child_id == FamilyChild.child_id,
            ),
        )
        .where(ChildWord.tenant_id == tenant, way(ChildWord.word, word))
    )
    of_family = select(FamilyWord.family_id).where(
        FamilyWord.tenant_id == tenant, way(FamilyWord.word, word)
    )
    return select(union(of_family, of_child).subquery().c.family_id)
