"""Families by their names and those of their children, however somebody types them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
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


def _beginning(column: Word, word: str) -> ColumnElement[bool]:
    # Not LIKE, for which no index is used below row-level security.
    begins = and_(column >= word, column < word + _LAST)
    other = names.ALSO_WRITTEN.get(word)
    return or_(begins, column == other) if other else begins


def _nearly(column: Word, word: str) -> ColumnElement[bool]:
    return or_(_beginning(column, word), _slipped(column, word))


def _slipped(column: Word, word: str) -> ColumnElement[bool]:
    # One array: hundreds of values each on its own take longer to say than to find.
    return column == any_(literal(sorted(names.slips(word)), ARRAY(Text(collation="C"))))


def search_names(session: Session, tenant: str, typed: str) -> Sequence[int]:
    """The ids of the families that have all words of `typed`; none if it has no word.

    A word is one of the family's name or of a child's, or begins one. Where no family has them
    all, words within one slip of the finger, or that others write together, count too.

    Ids, not a part of another query: PostgreSQL knows how many they are, and so never reads all
    families to find one.
    """
    words = names.words(typed)
    if not words:
        return []
    found = session.scalars(_all_of(tenant, words, _beginning)).all()
    if found:
        return found
    ways = [_all_of(tenant, parts, _nearly) for parts in (words, *names.glued(words))]
    return session.scalars(select(union(*ways).subquery().c.family_id)).all()


def one_of(ids: Sequence[int]) -> ColumnElement[bool]:
    """SQL: the family is one of these."""
    return Family.id == any_(literal(list(ids), ARRAY(BigInteger)))


def exactly_named(tenant: str, typed: str) -> Select[int]:
    """The ids of the families whose own names have all words of `typed`, whole."""
    return _with_words(tenant, [FamilyWord.word == word for word in names.words(typed)])


def nearly_named(tenant: str, name: str) -> Select[int]:
    """The ids of the families whose own names have all words of `name`, but for slips."""
    return _with_words(tenant, [_slipped(FamilyWord.word, word) for word in names.words(name)])


def _with_words(tenant: str, ways: Sequence[ColumnElement[bool]]) -> Select[int]:
    if not ways:
        return select(Family.id).where(false())
    each = [select(FamilyWord.family_id).where(FamilyWord.tenant_id == tenant, way) for way in ways]
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
