"""Families: reading their files, and giving them codes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from argon2.low_level import Type, hash_secret_raw
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    any_,
    bindparam,
    exists,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.orm import Session, aliased

from core.api.context import ChildInfo, FamilyInfo
from core.api.errors import UserError
from core.domain import access_codes
from core.families.models import AccessCode, Child, ContactEmail, Family, FamilyChild
from core.families.names import child_code
from core.platform.db.session import read
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.passwords import COST
from core.platform.signing import keyed_hash


def slow_hash(secret_key: str, tenant: str, family_code: str, secret: str) -> str:
    """Argon2id of a second code, salted by the family's name.

    The salt is keyed and derived, so that an attempt costs exactly one hash whatever the number of
    codes a family has, and the same for a family that does not exist: time tells nothing.
    """
    salt = keyed_hash(secret_key, "access-code-salt", f"{tenant}/{family_code}")[:16]
    raw = hash_secret_raw(secret.encode(), salt, hash_len=32, type=Type.ID, **COST)
    return raw.hex()


@cache
def _emails() -> Select[int, str]:
    # Put together once: a publication asks for every family's.
    return (
        select(ContactEmail.family_id, ContactEmail.address)
        .where(
            ContactEmail.tenant_id == bindparam("tenant"),
            ContactEmail.family_id == any_(bindparam("families", type_=ARRAY(BigInteger))),
            ContactEmail.confirmed_at.is_not(None),
            ContactEmail.refused_at.is_(None),
        )
        .order_by(ContactEmail.id)
    )


def _children_where(condition: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    homes = func.array_agg(aggregate_order_by(FamilyChild.family_id, FamilyChild.family_id))
    return (
        select(Child.id, Child.code, Child.label, func.array_remove(homes, None))
        .outerjoin(
            FamilyChild,
            (FamilyChild.tenant_id == Child.tenant_id) & (FamilyChild.child_id == Child.id),
        )
        .where(Child.tenant_id == bindparam("tenant"), condition)
        .group_by(Child.tenant_id, Child.id)
        .order_by(Child.label_folded, Child.id)
    )


@cache
def _of_home() -> Select[*tuple[Any, ...]]:
    link = aliased(FamilyChild)
    here = exists().where(
        link.tenant_id == Child.tenant_id,
        link.child_id == Child.id,
        link.family_id == bindparam("family"),
    )
    return _children_where(here)


@cache
def _of_ids() -> Select[*tuple[Any, ...]]:
    return _children_where(Child.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))


@cache
def _of_codes() -> Select[*tuple[Any, ...]]:
    return _children_where(Child.code == any_(bindparam("codes", type_=ARRAY(Text))))


class Families:
    """The families of one town."""

    def __init__(self, session: Session, tenant: str, secret_key: str) -> None:
        self._session = session
        self._tenant = tenant
        self._secret_key = secret_key
        self._emails_at_hand: dict[int, list[str]] = {}

    def get(self, family_id: int) -> FamilyInfo | None:
        """The family of this number, or None. A duplicate is what it became."""
        return self._info(self._session.get(Family, (self._tenant, family_id)))

    def several(self, family_ids: Collection[int]) -> Mapping[int, FamilyInfo]:
        """The families of these numbers, as `get` finds each; unknown ones are left out."""
        rows = self._session.scalars(
            select(Family).where(Family.tenant_id == self._tenant, Family.id.in_(family_ids))
        ).all()
        return {row.id: info for row in rows if (info := self._info(row)) is not None}

    @contextmanager
    def prefetch(self, family_ids: Iterable[int]) -> Iterator[None]:
        """Read families together: in the block, `get` and `emails` of them ask no more."""
        ids = list(family_ids)
        rows = self._session.scalars(
            select(Family).where(Family.tenant_id == self._tenant, Family.id.in_(ids))
        ).all()
        self._emails_at_hand = self._emails_of(ids)
        try:
            yield
        finally:
            self._emails_at_hand = {}
            del rows  # The session remembers what somebody holds.

    def by_code(self, code: str) -> FamilyInfo | None:
        """The family of this printed code, however it was typed, or None. See `get`."""
        return self._info(
            self._session.scalar(
                select(Family).where(
                    Family.tenant_id == self._tenant,
                    Family.code == access_codes.normalise(code),
                )
            )
        )

    def emails(self, family_id: int) -> Sequence[str]:
        """The confirmed addresses that this family registered and that still accept mail."""
        if family_id in self._emails_at_hand:
            return self._emails_at_hand[family_id]
        return self._emails_of([family_id])[family_id]

    def _emails_of(self, family_ids: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {family_id: [] for family_id in family_ids}
        values = {"tenant": self._tenant, "families": list(family_ids)}
        for family_id, address in self._session.execute(_emails(), values):
            found[family_id].append(address)
        return found

    def names(self) -> Sequence[tuple[int, str, Sequence[str]]]:
        """For every family: id, code, and the names it may sign with (its own, its children's)."""
        rows = self._session.execute(
            select(
                Family.id,
                Family.code,
                Family.name,
                func.array_remove(func.array_agg(Child.label), None).label("children"),
            )
            .outerjoin(
                FamilyChild,
                (FamilyChild.tenant_id == Family.tenant_id) & (FamilyChild.family_id == Family.id),
            )
            .outerjoin(
                Child, (Child.tenant_id == Family.tenant_id) & (Child.id == FamilyChild.child_id)
            )
            .where(Family.tenant_id == self._tenant, Family.merged_into.is_(None))
            .group_by(Family.tenant_id, Family.id)
            .order_by(Family.id)
        )
        return [(row.id, row.code, [row.name, *row.children]) for row in rows]

    def without_code(self) -> Sequence[str]:
        """Printed codes of the families that nobody can open yet."""
        has_code = exists().where(
            AccessCode.tenant_id == Family.tenant_id,
            AccessCode.family_id == Family.id,
            AccessCode.revoked_at.is_(None),
        )
        return self._session.scalars(
            select(Family.code)
            .where(Family.tenant_id == self._tenant, Family.merged_into.is_(None), ~has_code)
            .order_by(Family.code)
        ).all()

    def children(self, family_id: int) -> Sequence[ChildInfo]:
        """The children who live in this home, sorted by name."""
        return self._children(_of_home(), family=family_id)

    def child(self, child_id: int) -> ChildInfo | None:
        """The child of this number, or None."""
        return self.children_by_id([child_id]).get(child_id)

    def children_by_code(self, codes: Collection[str]) -> Mapping[str, ChildInfo]:
        """The children whom the billing software's files call so."""
        return {child.code: child for child in self._children(_of_codes(), codes=list(codes))}

    def children_by_id(self, child_ids: Collection[int]) -> Mapping[int, ChildInfo]:
        """The children of these numbers."""
        return {child.id: child for child in self._children(_of_ids(), ids=list(child_ids))}

    def child_named(self, family_id: int, child: str) -> ChildInfo | None:
        """The child whom a file calls so, by its number or by its first name within the family."""
        family = self.get(family_id)
        code = child_code(family.code, child.strip()) if family and child.strip() else ""
        found = self.children_by_code([code]).get(code)
        return found if found is not None and family_id in found.family_ids else None

    def add_child(self, family_id: int, child: str, name: str = "") -> ChildInfo:
        """Note that a child lives in a home, as an import of invoices does.

        Raises:
            UserError: there is no such family, or no name.
        """
        family = self.get(family_id)
        if family is None or not child.strip():
            raise UserError(_("Un enfant a un nom, ou un numéro, et une famille connue."))
        code = child_code(family.code, child.strip())
        self._session.execute(
            insert(Child)
            .values(tenant_id=self._tenant, code=code, label=name.strip() or child.strip())
            .on_conflict_do_nothing()
        )
        child_id = self._session.scalars(
            select(Child.id).where(Child.tenant_id == self._tenant, Child.code == code)
        ).one()
        self._session.execute(
            insert(FamilyChild)
            .values(tenant_id=self._tenant, family_id=family.id, child_id=child_id)
            .on_conflict_do_nothing()
        )
        return self.children_by_code([code])[code]

    def open(self, code: str, name: str) -> FamilyInfo:
        """Open a family's file under its printed code, unless it is open already.

        Raises:
            UserError: the code is not made of letters and digits, or another family's code differs
                from it in writing alone (``1-23`` and ``12-3``).
        """
        bare = access_codes.normalise(code)
        if not bare.isalnum():
            raise UserError(_("Un code famille est fait de lettres et de chiffres."))
        spelling = self._session.scalar(
            insert(Family)
            .values(tenant_id=self._tenant, code=bare, spelling=code.strip(), name=name.strip())
            .on_conflict_do_update(
                index_elements=["tenant_id", "code"],
                set_={"spelling": func.coalesce(Family.spelling, code.strip())},
            )
            .returning(Family.spelling)
        )
        if spelling != code.strip():
            raise UserError(
                _(
                    "Ce code famille et « %(other)s », déjà connu, ne diffèrent que par "
                    "leur écriture : sont-ils d’un même foyer ? Si oui, écrivez-le "
                    "partout pareil, ou corrigez-le au dossier de la famille."
                )
                % {"other": spelling}
            )
        family = self.by_code(bare)
        assert family is not None  # noqa: S101 - it was written above, or stood there
        return family

    def _children(self, statement: Select[*tuple[Any, ...]], **values: Any) -> list[ChildInfo]:
        return [
            ChildInfo(child_id, code, name, tuple(homes))
            for child_id, code, name, homes in read(
                self._session, statement, {"tenant": self._tenant, **values}
            )
        ]

    def share_child(self, family_id: int, child_code: str, *, sees_all: bool) -> None:
        """Link a child to a (second) family; `sees_all` shows it the other's lines for it."""
        child_id = self._session.scalar(
            select(Child.id).where(Child.tenant_id == self._tenant, Child.code == child_code)
        )
        if child_id is None:
            raise NotFoundError
        link = self._session.scalar(
            select(FamilyChild).where(
                FamilyChild.tenant_id == self._tenant,
                FamilyChild.family_id == family_id,
                FamilyChild.child_id == child_id,
            )
        )
        if link is None:
            link = FamilyChild(tenant_id=self._tenant, family_id=family_id, child_id=child_id)
            self._session.add(link)
        link.sees_all = sees_all
        self._session.flush()

    def issue_code(self, family_id: int, *, holder: str = "") -> str:
        """Give a holder of the family a new second code; returned once, kept only hashed.

        Codes of other holders stay; an earlier one of the same holder stops working.
        """
        family = self._session.get_one(Family, (self._tenant, family_id))
        for old in self._session.scalars(
            select(AccessCode).where(
                AccessCode.tenant_id == self._tenant,
                AccessCode.family_id == family_id,
                AccessCode.holder == holder,
                AccessCode.revoked_at.is_(None),
            )
        ):
            old.revoked_at = func.now()
        secret = access_codes.new_secret()
        self._session.add(
            AccessCode(
                tenant_id=self._tenant,
                family_id=family_id,
                holder=holder,
                secret_hash=slow_hash(self._secret_key, self._tenant, family.code, secret),
            )
        )
        self._session.flush()
        return secret

    def set_language(self, family_id: int, language: str) -> None:
        """Write to the family in `language` from now on."""
        self._session.get_one(Family, (self._tenant, family_id)).language = language

    def _info(self, family: Family | None) -> FamilyInfo | None:
        if family is not None and family.merged_into is not None:
            family = self._session.get_one(Family, (self._tenant, family.merged_into))
        if family is None:
            return None
        return FamilyInfo(family.id, family.code, family.name, family.language)
