"""Cheques of a family that asks for its data, is erased, or is merged with another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update

from core.plugin import TenantContext
from plugins.cheque_import.history import hold
from plugins.cheque_import.models import Cheque, ChequeAccount, ChequeProposal


def data(ctx: TenantContext, family_id: int) -> dict[str, Any] | None:
    """The cheques that paid for the family, for the person who asks."""
    cheques = ctx.session.scalars(
        select(Cheque)
        .where(Cheque.tenant_id == ctx.town.slug, Cheque.family_id == family_id)
        .order_by(Cheque.id)
    ).all()
    if not cheques:
        return None
    return {
        "cheques": [
            {
                "numero": cheque.number,
                "emetteur": cheque.issuer,
                "banque": cheque.bank,
                "centimes": cheque.amount,
                "date": cheque.drawn_on.isoformat() if cheque.drawn_on else None,
            }
            for cheque in cheques
        ]
    }


def erase(ctx: TenantContext, family_id: int) -> None:
    """Forget whose accounts paid, and the names on the cheques; amounts and numbers stay."""
    tenant = ctx.town.slug
    ctx.session.execute(
        delete(ChequeAccount).where(
            ChequeAccount.tenant_id == tenant, ChequeAccount.family_id == family_id
        )
    )
    ctx.session.execute(
        update(Cheque)
        .where(Cheque.tenant_id == tenant, Cheque.family_id == family_id)
        .values(issuer="", note="", account="", near_accounts=[])
    )


def merge(ctx: TenantContext, kept: int, gone: int) -> None:
    """Give `kept` the cheques of `gone`, and what is known of the accounts that paid for it."""
    tenant = ctx.town.slug
    for regie in sorted(regie.key for regie in ctx.town.regies):
        hold(ctx, regie)  # Nobody matches or decides these cheques meanwhile.
    there = select(ChequeAccount.account).where(
        ChequeAccount.tenant_id == tenant, ChequeAccount.family_id == kept
    )
    ctx.session.execute(
        delete(ChequeAccount).where(
            ChequeAccount.tenant_id == tenant,
            ChequeAccount.family_id == gone,
            ChequeAccount.account.in_(there),
        )
    )
    for model in (Cheque, ChequeAccount, ChequeProposal):
        ctx.session.execute(
            update(model)
            .where(model.tenant_id == tenant, model.family_id == gone)
            .values(family_id=kept)
        )
