"""The rows that every use case writes: a cheque's history, and numbers without gaps."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core.plugin import TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import.models import Cheque, ChequeCounter, ChequeEvent

_PARIS = ZoneInfo("Europe/Paris")


def today(ctx: TenantContext) -> date:
    """The date in France, which is what a cheque's date means."""
    return ctx.clock.now().astimezone(_PARIS).date()


def note(ctx: TenantContext, cheque: Cheque, actor: str, action: str, **detail: Any) -> None:
    """Write down what happened to a cheque."""
    ctx.session.add(
        ChequeEvent(
            tenant_id=ctx.town.slug, cheque_id=cheque.id, at=ctx.clock.now(), actor=actor,
            action=action, detail=detail,
        )
    )  # fmt: skip


def locked(ctx: TenantContext, cheque_id: int) -> Cheque:
    """The cheque, locked to the end of the transaction: two agents decide one after the other.

    Raises:
        UserError: there is none.
    """
    cheque = ctx.session.scalars(
        select(Cheque)
        .where(Cheque.tenant_id == ctx.town.slug, Cheque.id == cheque_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if cheque is None:
        raise UserError(_("Ce chèque n’existe pas, ou plus."))
    return cheque


def hold(ctx: TenantContext, regie: str) -> None:
    """Wait until nobody else imports, matches or decides cheques of the régie; hold it to the end.

    Everyone takes it first: before cheques, invoices and the journal, in this order.
    """
    _counter(ctx, f"hold/{regie}")


def hold_if_free(ctx: TenantContext, regie: str) -> bool:
    """Hold the régie's cheques as `hold` does, but wait for nobody: False when they are held.

    For a second régie, where who waits with the first one's invoices in hand might wait for ever.
    """
    free = (
        select(ChequeCounter)
        .where(ChequeCounter.tenant_id == ctx.town.slug, ChequeCounter.name == f"hold/{regie}")
        .with_for_update(skip_locked=True)
    )
    return ctx.session.scalars(free).one_or_none() is not None


def next_number(ctx: TenantContext, name: str) -> int:
    """The next number of a series; taken back if the transaction is."""
    counter = _counter(ctx, name)
    counter.value += 1
    ctx.session.flush()
    return counter.value


def _counter(ctx: TenantContext, name: str) -> ChequeCounter:
    """The row of a series, locked; made when it is new."""
    query = (
        select(ChequeCounter)
        .where(ChequeCounter.tenant_id == ctx.town.slug, ChequeCounter.name == name)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    counter = ctx.session.scalars(query).one_or_none()
    if counter is None:
        # Two first ones at once: one waits for the other's row, and takes it.
        with suppress(IntegrityError), ctx.session.begin_nested():
            ctx.session.add(ChequeCounter(tenant_id=ctx.town.slug, name=name, value=0))
            ctx.session.flush()
        counter = ctx.session.scalars(query).one()
    return counter


def collecting(ctx: TenantContext, regie: str) -> None:
    """Refuse a régie that this town does not have, or whose money the trésorerie collects.

    Raises:
        UserError: in words.
    """
    info = next((one for one in ctx.town.regies if one.key == regie), None)
    if info is None:
        raise UserError(_("Cette régie n’existe pas : %s.") % regie)
    if not info.collects:
        raise UserError(
            _(
                "Les factures de %s sont recouvrées par la trésorerie : un chèque ne s’y "
                "enregistre pas. Transmettez-le au comptable."
            )
            % info.label
        )
