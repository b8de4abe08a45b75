"""Freezing what the matcher needs to know, from core's services and the plugin's own tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta

from sqlalchemy import select

from core.plugin import InvoiceInfo, TenantContext
from core.plugin import gettext as _
from plugins.cheque_import.matcher import (
    AccountLink,
    Family,
    Index,
    OpenInvoice,
    Snapshot,
    owing_all,
)
from plugins.cheque_import.matcher.normalise import bare, checked
from plugins.cheque_import.matcher.snapshot import Elsewhere
from plugins.cheque_import.models import PENDING, Cheque, ChequeAccount

_CHUNK = 1000
_MONTH = timedelta(days=31)


def take(
    ctx: TenantContext, regie: str, *, accounts: Iterable[str], references: Iterable[str],
    today: date, forget_after_months: int,
) -> Index:  # fmt: skip
    """Freeze the régie's open invoices, the families, and what is known of these cheques.

    `accounts` and `references` are those that the cheques to match carry: nothing else is looked
    up.
    """
    opened = ctx.invoices.open_in(regie)
    known = {bare(info.number) for info in opened} | {bare(i.payment_reference) for i in opened}
    links = _links(ctx, set(accounts), today - forget_after_months * _MONTH)
    return Index(
        Snapshot(
            regie=regie,
            invoices=_open(opened),
            families=tuple(
                Family(number, code, tuple(names)) for number, code, names in ctx.families.names()
            ),
            accounts=links,
            elsewhere=_elsewhere(ctx, regie, set(references), known),
            account_holders=_holders(ctx, today - forget_after_months * _MONTH),
            beside=_beside(ctx, regie, set(accounts) - links.keys()),
        )
    )


def _open(infos: Iterable[InvoiceInfo]) -> tuple[OpenInvoice, ...]:
    return tuple(
        OpenInvoice(
            info.id, info.family_id, info.number, info.payment_reference, info.label,
            info.balance, info.issued_on, info.due_on, info.under_way is not None,
        )
        for info in infos
    )  # fmt: skip


def _beside(ctx: TenantContext, regie: str, accounts: set[str]) -> dict[str, frozenset[int]]:
    """By account that is not known: who owes all that its waiting cheques ask of other régies."""
    asked: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    wanted = sorted(accounts - {""})
    for start in range(0, len(wanted), _CHUNK):
        rows = ctx.session.execute(
            select(Cheque.regie, Cheque.account, Cheque.amount)
            .where(
                Cheque.tenant_id == ctx.town.slug,
                Cheque.regie != regie,
                Cheque.state.in_(PENDING),
                Cheque.account.in_(wanted[start : start + _CHUNK]),
            )
            .order_by(Cheque.id)
        )
        for other, account, amount in rows:
            asked[other][account].append(amount)
    found: dict[str, frozenset[int]] = {}
    for other in sorted(asked):
        opened = _open(ctx.invoices.open_in(other))
        for account, families in owing_all(opened, asked[other]).items():
            found[account] = found.get(account, families) & families
    return found


def _links(
    ctx: TenantContext, accounts: set[str], since: date
) -> dict[str, tuple[AccountLink, ...]]:
    links: dict[str, list[AccountLink]] = defaultdict(list)
    wanted = sorted(accounts - {""})
    for start in range(0, len(wanted), _CHUNK):
        rows = ctx.session.scalars(
            select(ChequeAccount)
            .where(
                ChequeAccount.tenant_id == ctx.town.slug,
                ChequeAccount.account.in_(wanted[start : start + _CHUNK]),
                ChequeAccount.confirmed > 0,
                ChequeAccount.last_seen_on >= since,
            )
            .order_by(ChequeAccount.account, ChequeAccount.family_id)
        )
        for row in rows:
            links[row.account].append(AccountLink(row.family_id, tuple(row.payers), row.flagged))
    return {account: tuple(found) for account, found in links.items()}


def _holders(ctx: TenantContext, since: date) -> frozenset[int]:
    return frozenset(
        ctx.session.scalars(
            select(ChequeAccount.family_id)
            .where(
                ChequeAccount.tenant_id == ctx.town.slug,
                ChequeAccount.confirmed > 0,
                ChequeAccount.last_seen_on >= since,
            )
            .distinct()
        )
    )


def _elsewhere(
    ctx: TenantContext, regie: str, references: set[str], known: set[str]
) -> dict[str, Elsewhere]:
    found: dict[str, Elsewhere] = {}
    for raw in sorted(references):
        for number in dict.fromkeys((_without_check(raw), raw)):
            if not number or bare(number) in known:
                continue
            infos = ctx.invoices.by_number(number)
            if infos:
                # The same number in several régies: this one's says most.
                info = min(infos, key=lambda one: (one.regie != regie, one.id))
                found[bare(number)] = _why(info, regie)
    return found


def _without_check(raw: str) -> str:
    return raw[:-1].rstrip(" -/") if checked(raw) else ""


def _why(info: InvoiceInfo, regie: str) -> Elsewhere:
    if info.regie != regie:
        return Elsewhere(_("facture d’une autre régie (%s).") % info.regie, info.family_id)
    if info.credited >= info.amount:
        return Elsewhere(_("facture couverte par un avoir."), info.family_id)
    if info.balance <= 0:
        return Elsewhere(_("facture déjà payée."), info.family_id, info.amount)
    return Elsewhere(_("facture transmise à la trésorerie."), info.family_id)
