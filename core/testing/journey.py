"""A month of one family in one town: all that core asks of plugins, and what core must not lose."""

from __future__ import annotations

import decimal
import logging
import socket
import sys
import warnings
from contextlib import suppress
from typing import Any

from sqlalchemy import text

from core.api.chat import ChatQuestion
from core.api.errors import PreauError, UserError
from core.api.payments import Means
from core.api.web import Audience
from core.messages.models import MessageRow
from core.platform.clock import today
from core.platform.i18n import use
from core.testing.portal import Portal, record

STATE = text(
    "SELECT current_setting('search_path'), current_setting('timezone'),"
    " current_setting('default_transaction_read_only'), current_user,"
    " current_setting('statement_timeout'), current_setting('lock_timeout'),"
    " current_setting('row_security'), current_setting('datestyle'),"
    " (SELECT count(*) FROM pg_listening_channels()),"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
)
"""State that a plugin may leave on a connection that others use after it."""


def journey(portal: Portal, slug: str, family: str) -> dict[str, Any]:
    """Live through a family's month, and tell what core holds of it at the end.

    The same facts come out whatever the town's plugins do, as long as they bring nothing of their
    own: only `exported` says "refused" where a plugin that must not fail there does.
    """
    with portal.town(slug) as town:
        opened = town.families.open(family, "Camille")
        town.alerts.add(opened.id, f"{family.lower()}@exemple.fr")
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
    portal.publish(record(f"{family}-1", family), record(f"{family}-2", family), slug=slug)
    portal.work()
    with portal.town(slug) as town:
        found = town.families.by_code(family)
        assert found is not None
        code = town.families.issue_code(found.id)
        for language in ("fr", "en"):
            with use(language):
                _ask(town, found.id)
        paid, other = town.invoices.unpaid(found.id)
        payment = town.payments.record(
            regie=paid.regie,
            family_id=found.id,
            means=Means.CASH,
            amount=paid.balance,
            paid_at=portal.clock.now(),
            payer="Camille",
            shares=[(paid.id, paid.balance)],
            key=f"{family}-paid",
        )
    portal.work()
    with portal.town(slug) as town:
        town.payments.reverse(payment.payment_id, reason="essai")
    portal.work()
    with portal.town(slug) as town:
        try:
            exported = sorted(town.personal_data.export(found.id))
        except UserError:
            exported = ["refused"]
        unpaid = town.invoices.unpaid(found.id)
        state = town.session.execute(STATE).one()
        kinds = town.session.query(MessageRow.kind).filter(
            MessageRow.family_id == found.id, MessageRow.channel == "email"
        )
        return {
            "code": len(code),
            "balances": sorted((one.number, one.balance) for one in unpaid),
            "other": other.number,
            "messages": sorted(row.kind for row in kinds),
            "exported": exported,
            "connection": tuple(state),
            "process": (
                tuple(warnings.filters),
                socket.getdefaulttimeout(),
                decimal.getcontext().prec,
                sys.getrecursionlimit(),
                logging.root.manager.disable,
            ),
        }


def _ask(town: Any, family_id: int) -> None:
    for audience in Audience:
        town.menu(audience)
    town.tile_lines(family_id)
    town.todo_entries()
    town.messages.choices(family_id)
    town.record_imports.kinds()
    for key, group in town.broadcasts.groups.all().items():
        if "." in key and not group.fields:
            with suppress(PreauError):  # The agent is told, and writes to another group.
                group.families({})
                group.describe({})
    town.notifications.reached([family_id], "invoices_published")
    town.selection.of([regie.key for regie in town.town.regies])
    town.health.plugins()
    for brought in (town.providers, town.channels, town.sources):
        assert isinstance(brought, dict)
    day = today(town.clock.now())
    for skill in town.chat.skills():
        question = ChatQuestion("bonjour", ("bonjour",), "", (family_id,), "fr", day)
        with suppress(PreauError):  # A chat says then that the service does not answer.
            town.chat.answer(skill.name, question)


__all__ = ["STATE", "journey"]
