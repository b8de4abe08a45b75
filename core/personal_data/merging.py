"""Duplicates: two files of one family become one, and nothing of either is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Exists, and_, delete, exists, func, or_, select, text, update
from sqlalchemy.orm import Session, aliased

from core.api.errors import UserError
from core.debits.models import DebitRequest, RequestState
from core.domain.names import same_person
from core.families.models import Child, ContactEmail, Family, FamilyChild
from core.families.name_search import nearly_named
from core.families.names import folded_name
from core.families.service import Families
from core.imports.fanout import FANOUT
from core.invoices.locks import hold_invoices
from core.invoices.models import Invoice, InvoiceLine
from core.links.models import OneTimeToken
from core.messages.alerts import MAX_ALERT_ADDRESSES
from core.messages.models import MessageRow
from core.payments.models import Allocation, Credit, Payment
from core.personal_data.rights import need_whole_town
from core.personal_data.service import AskPlugins
from core.platform.audit.service import Audit
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.outbox.models import OutboxRow, OutboxState
from core.sign_in.models import AccountFamily, WebSession


class Merging:
    """Merging the families of one town."""

    def __init__(
        self,
        session: Session,
        tenant: str,
        *,
        families: Families,
        audit: Audit,
        ask_plugins: AskPlugins,
    ) -> None:
        self._session = session
        self._tenant = tenant
        self._families = families
        self._audit = audit
        self._ask_plugins = ask_plugins

    def alike(self, family_id: int) -> Sequence[Family]:
        """Other files that may be this family's: the same name, or the same address of mail.

        A name is the same in any order of its words, without its accents, or but for one slip.
        """
        family = self._get(family_id)
        mine, theirs = aliased(ContactEmail), aliased(ContactEmail)
        same_mail = exists().where(
            mine.tenant_id == self._tenant,
            mine.family_id == family_id,
            theirs.tenant_id == self._tenant,
            theirs.address == mine.address,
            theirs.family_id == Family.id,
        )
        other = and_(
            Family.tenant_id == self._tenant,
            Family.id != family_id,
            Family.merged_into.is_(None),
        )
        named = select(Family.id, Family.name).where(
            other, Family.id.in_(nearly_named(self._tenant, family.name))
        )
        same_name = [
            row.id for row in self._session.execute(named) if same_person(family.name, row.name)
        ]
        return self._session.scalars(
            select(Family)
            .where(other, or_(Family.id.in_(same_name), same_mail))
            .order_by(Family.code)
            .limit(10)
        ).all()

    def find(self, family_id: int, code: str) -> Family:
        """The file that is to be merged into this one, by its code.

        Raises:
            UserError: there is none, or it is this one.
        """
        found = self._families.by_code(code)
        if found is None:
            raise UserError(_("Aucune famille n’a ce code."))
        if found.id == family_id:
            raise UserError(_("C’est déjà cette famille."))
        return self._get(found.id)

    def merge(self, kept_id: int, gone_id: int) -> None:
        """Make `gone` a part of `kept`: all that was its own, and its codes open `kept`.

        What the billing software still sends under the old code comes to `kept` too.

        Raises:
            NotFoundError: one of them does not exist, or is a duplicate itself.
            UserError: they are one, or together they have more addresses than a family may have,
                or a publication is being told, or the agent sees some régies only.
        """
        need_whole_town(self._session)
        if kept_id == gone_id:
            raise UserError(_("C’est déjà cette famille."))
        # An import that runs would miss that one of its families is another's.
        self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, 1))"),
            {"tenant": self._tenant},
        )
        self._get(kept_id), self._get(gone_id)
        if self._session.scalar(select(self._is_telling())):
            raise UserError(
                _("Une publication est en cours d’annonce aux familles. Réessayez dans une minute.")
            )
        # A plugin locks rows of its own before invoices (docs/locks.md): it comes first here, too.
        self._ask_plugins("families_merged", {"kept": kept_id, "gone": gone_id})
        # Invoices before families and payments, as everywhere: two who wait for one another never
        # end. Those that it paid of others too: what they give back is its own.
        invoices = self._session.scalars(
            select(Invoice.id).where(
                Invoice.tenant_id == self._tenant, Invoice.family_id == gone_id
            )
        ).all()
        hold_invoices(self._session, self._tenant, [*invoices, *self._paid_by(gone_id)])
        kept, gone = self._locked(kept_id, gone_id)
        self._move_addresses(kept_id, gone_id)
        self._join_debit_requests(kept_id, gone_id)
        for model in (Invoice, Payment, Credit, MessageRow, OneTimeToken, DebitRequest):
            self._session.execute(
                update(model)
                .where(model.tenant_id == self._tenant, model.family_id == gone_id)
                .values(family_id=kept_id)
            )
        self._move_links(AccountFamily, AccountFamily.account_id, kept_id, gone_id)
        self._move_links(FamilyChild, FamilyChild.child_id, kept_id, gone_id)
        self._join_children(kept_id)
        self._session.execute(
            delete(WebSession).where(
                WebSession.tenant_id == self._tenant, WebSession.family_id == gone_id
            )
        )
        self._session.execute(
            update(Family)
            .where(Family.tenant_id == self._tenant, Family.merged_into == gone_id)
            .values(merged_into=kept_id)
        )
        kept.name, kept.address = kept.name or gone.name, kept.address or gone.address
        gone.merged_into, gone.name, gone.address = kept_id, "", []
        # They no longer are what one import made alone: its undoing must leave them.
        kept.batch_id = gone.batch_id = None
        self._session.flush()
        self._audit.write(
            "family.merged", f"family:{kept_id}", code=gone.code, invoices=len(invoices)
        )

    # --- Pieces ------------------------------------------------------------------------------

    def _is_telling(self) -> Exists:
        """Some families of a publication were told, and others are yet to be, in their order.

        Invoices that moved between the two would be told twice, or never.
        """
        return exists().where(
            OutboxRow.tenant_id == self._tenant,
            OutboxRow.topic == FANOUT,
            or_(
                OutboxRow.state == OutboxState.RUNNING,
                and_(OutboxRow.state == OutboxState.READY, OutboxRow.payload.has_key("after")),
            ),
        )

    def _get(self, family_id: int) -> Family:
        family = self._session.get(Family, (self._tenant, family_id))
        if family is None:
            raise NotFoundError
        return family

    def _join_debit_requests(self, kept_id: int, gone_id: int) -> None:
        """End what both files ask of one régie for the file that goes: one request is enough."""
        twin = aliased(DebitRequest)
        self._session.execute(
            update(DebitRequest)
            .where(
                DebitRequest.tenant_id == self._tenant,
                DebitRequest.family_id == gone_id,
                DebitRequest.state == RequestState.ASKED,
                exists().where(
                    twin.tenant_id == self._tenant,
                    twin.family_id == kept_id,
                    twin.regie == DebitRequest.regie,
                    twin.state == RequestState.ASKED,
                ),
            )
            .values(state=RequestState.WITHDRAWN, ended_at=func.now())
        )

    def _locked(self, kept_id: int, gone_id: int) -> tuple[Family, Family]:
        rows = {
            family.id: family
            for family in self._session.scalars(
                select(Family)
                .where(
                    Family.tenant_id == self._tenant,
                    Family.id.in_((kept_id, gone_id)),
                    Family.merged_into.is_(None),
                )
                .order_by(Family.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            )
        }
        if len(rows) != 2:
            raise NotFoundError
        return rows[kept_id], rows[gone_id]

    def _paid_by(self, family_id: int) -> Sequence[int]:
        return self._session.scalars(
            select(Allocation.invoice_id)
            .join(
                Payment,
                and_(
                    Payment.tenant_id == Allocation.tenant_id, Payment.id == Allocation.payment_id
                ),
            )
            .where(Allocation.tenant_id == self._tenant, Payment.family_id == family_id)
            .distinct()
        ).all()

    def _move_addresses(self, kept_id: int, gone_id: int) -> None:
        known = self._session.scalars(
            select(ContactEmail.address).where(
                ContactEmail.tenant_id == self._tenant, ContactEmail.family_id == kept_id
            )
        ).all()
        theirs = self._session.scalars(
            select(ContactEmail).where(
                ContactEmail.tenant_id == self._tenant, ContactEmail.family_id == gone_id
            )
        ).all()
        if len({*known, *(row.address for row in theirs)}) > MAX_ALERT_ADDRESSES:
            raise UserError(
                _("Ensemble, ces dossiers ont plus de trois adresses : retirez-en d’abord.")
            )
        for row in theirs:
            if row.address in known:
                self._session.delete(row)
            else:
                row.family_id = kept_id
        self._session.flush()

    def _move_links(self, model: Any, other: Any, kept_id: int, gone_id: int) -> None:
        """Move a family's links to something else, but for those that are there already."""
        there = aliased(model)
        self._session.execute(
            delete(model).where(
                model.tenant_id == self._tenant,
                model.family_id == gone_id,
                exists().where(
                    there.tenant_id == self._tenant,
                    there.family_id == kept_id,
                    getattr(there, other.key) == other,
                ),
            )
        )
        self._session.execute(
            update(model)
            .where(model.tenant_id == self._tenant, model.family_id == gone_id)
            .values(family_id=kept_id)
        )

    def _join_children(self, family_id: int) -> None:
        """Children of one first name in the family are one child, unless they live elsewhere too.

        Tax certificates add up by child: the same one must not stand there twice.
        """
        rows = self._session.scalars(
            select(Child)
            .join(
                FamilyChild,
                and_(FamilyChild.tenant_id == Child.tenant_id, FamilyChild.child_id == Child.id),
            )
            .where(FamilyChild.tenant_id == self._tenant, FamilyChild.family_id == family_id)
            .order_by(Child.id)
        ).all()
        first: dict[str, Child] = {}
        for child in rows:
            twin = first.setdefault(folded_name(child.label), child)
            # A number of the billing software tells two children of one name apart.
            if twin is child or "/" not in child.code or "/" not in twin.code:
                continue
            if self._lives_twice(child.id):
                continue
            self._session.execute(
                update(InvoiceLine)
                .where(InvoiceLine.tenant_id == self._tenant, InvoiceLine.child_id == child.id)
                .values(child_id=twin.id)
            )
            self._session.delete(child)
        self._session.flush()

    def _lives_twice(self, child_id: int) -> bool:
        homes = self._session.scalars(
            select(func.count()).where(
                FamilyChild.tenant_id == self._tenant, FamilyChild.child_id == child_id
            )
        ).one()
        return homes > 1
