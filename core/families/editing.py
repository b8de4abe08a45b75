"""A family's file in the hands of agents: names, codes and their letters, households."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.api.context import Clock
from core.api.errors import UserError
from core.api.messages import Document
from core.domain import access_codes
from core.families.addressees import addressee
from core.families.models import AccessCode, Child, Family, FamilyChild
from core.families.service import Families, slow_hash
from core.platform.audit.service import Audit
from core.platform.clock import today
from core.platform.documents.letterhead import letterhead
from core.platform.documents.render import render_codes
from core.platform.documents.sheets import CodesLetter, CodesSheet
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.tenancy.config import TenantConfig

BATCH = 50
"""Letters drawn at once: some ten seconds of hashing and typesetting."""


@dataclass(frozen=True, slots=True)
class Household:
    """A child of the family, and the other families it lives in."""

    id: int
    code: str
    label: str
    sees_all: bool
    others: Sequence[Family]


class Files:
    """The files of one town's families."""

    def __init__(
        self,
        session: Session,
        town: TenantConfig,
        clock: Clock,
        *,
        secret_key: str,
        base_url: str,
        families: Families,
        audit: Audit,
        cut: Callable[[int], None],
        is_billed: Callable[[int, int], bool],
    ) -> None:
        """Open the files.

        `cut` ends whatever leads to a family; `is_billed` tells if invoices of a family name a
        child.
        """
        self._session = session
        self._town = town
        self._tenant = town.slug
        self._clock = clock
        self._secret_key = secret_key
        self._base_url = base_url
        self._families = families
        self._audit = audit
        self._cut = cut
        self._is_billed = is_billed

    def get(self, family_id: int) -> Family:
        """One family.

        Raises:
            NotFoundError: there is none.
        """
        family = self._session.get(Family, (self._tenant, family_id))
        if family is None:
            raise NotFoundError
        return family

    def create(self, code: str, name: str, address: Sequence[str], language: str) -> int:
        """Open a file.

        Raises:
            UserError: the code is taken, or is none.
        """
        bare = access_codes.normalise(code)
        if not bare.isalnum():
            raise UserError(_("Un code famille est fait de lettres et de chiffres."))
        family_id = self._session.scalar(
            insert(Family)
            .values(
                tenant_id=self._tenant,
                code=bare,
                spelling=code.strip(),
                name=name,
                address=list(address),
                language=language,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "code"])
            .returning(Family.id)
        )
        if family_id is None:
            raise UserError(_("Ce code est déjà celui d’une famille."))
        self._audit.write("family.created", f"family:{family_id}")
        return family_id

    def change(
        self,
        family_id: int,
        *,
        name: str,
        address: Sequence[str],
        language: str,
        spelling: str | None = None,
    ) -> None:
        """Correct a family's name, postal address, language, and how its code is written.

        Raises:
            UserError: `spelling` is another code.
        """
        family = self.get(family_id)
        if spelling is not None:
            if access_codes.normalise(spelling) != family.code:
                raise UserError(
                    _("Seule l’écriture du code se corrige : lettres et chiffres restent.")
                )
            family.spelling = spelling.strip()
        family.name, family.address, family.language = name, list(address), language
        self._session.flush()
        self._audit.write("family.changed", f"family:{family_id}")

    # --- Codes -------------------------------------------------------------------------------

    def codes(self, family_id: int) -> Sequence[AccessCode]:
        """The second codes that open the file, those of its duplicates too."""
        return self._session.scalars(
            select(AccessCode)
            .where(
                AccessCode.tenant_id == self._tenant,
                AccessCode.family_id.in_(self._homes(family_id)),
                AccessCode.revoked_at.is_(None),
            )
            .order_by(AccessCode.id)
        ).all()

    def _homes(self, family_id: int) -> Select[int]:
        """The family and what was merged into it."""
        return select(Family.id).where(
            Family.tenant_id == self._tenant,
            or_(Family.id == family_id, Family.merged_into == family_id),
        )

    def issue(self, family_id: int, *, holder: str = "") -> str:
        """Draw a new second code for a holder; it is told once.

        In the place of an earlier one, it ends what that one opened: browsers and own accounts.
        """
        self.get(family_id)
        renewed = any(code.holder == holder for code in self.codes(family_id))
        secret = self._families.issue_code(family_id, holder=holder)
        if renewed:
            self._cut(family_id)
        self._audit.write("codes.issued", f"family:{family_id}", holder=holder)
        return secret

    def revoke(self, family_id: int, code_id: int) -> None:
        """Make a second code stop working, and end what it may have opened: see `Access.cut`.

        Raises:
            NotFoundError: it does not work already.
        """
        revoked = self._session.execute(
            update(AccessCode)
            .where(
                AccessCode.tenant_id == self._tenant,
                AccessCode.family_id.in_(self._homes(family_id)),
                AccessCode.id == code_id,
                AccessCode.revoked_at.is_(None),
            )
            .values(revoked_at=self._clock.now())
            .returning(AccessCode.holder)
        ).one_or_none()
        if revoked is None:
            raise NotFoundError
        self._cut(family_id)
        self._audit.write("codes.revoked", f"family:{family_id}", holder=revoked.holder)

    def letter(self, family_id: int, secret: str) -> Document:
        """The letter that carries the codes.

        Raises:
            NotFoundError: this second code does not open this file.
        """
        family = self.get(family_id)
        given = slow_hash(
            self._secret_key, self._tenant, family.code, access_codes.normalise(secret)
        )
        if not any(hmac.compare_digest(code.secret_hash, given) for code in self.codes(family_id)):
            raise NotFoundError
        return self._print([(family, access_codes.normalise(secret))])

    def letters(self) -> Document | None:
        """Codes for the next families that have none, a letter each; None when all have one."""
        codes = self._families.without_code()[:BATCH]
        drawn = []
        for code in codes:
            info = self._families.by_code(code)
            if info is not None:
                drawn.append((self.get(info.id), self.issue(info.id)))
        return self._print(drawn) if drawn else None

    def _print(self, drawn: Sequence[tuple[Family, str]]) -> Document:
        return render_codes(
            CodesSheet(
                town=letterhead(self._town),
                written_on=today(self._clock.now()),
                url=f"{self._base_url}/",
                letters=tuple(
                    CodesLetter(
                        addressee=addressee(self._session, self._tenant, family.id),
                        language=family.language,
                        family_code=family.code,
                        secret=access_codes.grouped(secret),
                    )
                    for family, secret in drawn
                ),
            )
        )

    # --- Children ----------------------------------------------------------------------------

    def children(self, family_id: int) -> list[Household]:
        """The family's children, and with whom else they live."""
        rows = self._session.execute(
            select(Child, FamilyChild)
            .join(
                FamilyChild,
                and_(FamilyChild.tenant_id == Child.tenant_id, FamilyChild.child_id == Child.id),
            )
            .where(FamilyChild.tenant_id == self._tenant, FamilyChild.family_id == family_id)
            .order_by(Child.label_folded, Child.id)
        ).all()
        return [
            Household(
                child.id, child.code, child.label, link.sees_all, self._others(child.id, family_id)
            )
            for child, link in rows
        ]

    def _others(self, child_id: int, family_id: int) -> Sequence[Family]:
        return self._session.scalars(
            select(Family)
            .join(
                FamilyChild,
                and_(FamilyChild.tenant_id == Family.tenant_id, FamilyChild.family_id == Family.id),
            )
            .where(
                FamilyChild.tenant_id == self._tenant,
                FamilyChild.child_id == child_id,
                FamilyChild.family_id != family_id,
            )
            .order_by(Family.code)
        ).all()

    def share_child(self, family_id: int, child_code: str, *, sees_all: bool) -> None:
        """Link a child of another household, or change what this one sees of it.

        Raises:
            UserError: there is no such child.
        """
        self.get(family_id)
        try:
            self._families.share_child(family_id, child_code, sees_all=sees_all)
        except NotFoundError:
            raise UserError(_("Aucun enfant n’a ce code.")) from None
        self._audit.write("child.shared", f"family:{family_id}", child=child_code, all=sees_all)

    def unshare_child(self, family_id: int, child_id: int) -> None:
        """Take a child out of the family, unless the family was invoiced for it.

        Raises:
            UserError: it was.
        """
        if self._is_billed(family_id, child_id):
            raise UserError(_("Cette famille a des factures pour cet enfant : il y reste."))
        self._session.execute(
            delete(FamilyChild).where(
                FamilyChild.tenant_id == self._tenant,
                FamilyChild.family_id == family_id,
                FamilyChild.child_id == child_id,
            )
        )
        self._audit.write("child.unshared", f"family:{family_id}", child=child_id)
