"""Consumers of the topics: core's own, then the plugins'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any, TypeVar, cast

import structlog

from core.api.context import TenantContext
from core.api.errors import PreauError, RetryableError
from core.api.payments import (
    InvoiceDue,
    InvoicesPublished,
    PaymentReversed,
    PaymentSettled,
    RemittanceChanged,
)
from core.api.work import Consumer, Effect, Periodic
from core.broadcasts import service as broadcasts
from core.debits import files as debits
from core.domain.polling import poll_interval, retry_interval, spread, still_watched
from core.domain.reminders import is_hour_to_write
from core.exchanges import intake
from core.exchanges.sending import SEND
from core.imports import fanout, uploads
from core.imports import service as imports
from core.invoices import papers, sweeping
from core.messages import service as notifications
from core.overview import charts
from core.payments import watching
from core.personal_data import service as personal_data
from core.platform.clock import PARIS, today
from core.platform.outbox.service import NotOverError
from core.platform.plugins import events, process_state
from core.platform.plugins.calls import contain
from core.platform.plugins.discovery import Extensions
from core.platform.plugins.rests import CoolingDownError, resting
from core.platform.sharing import share
from core.platform.tenancy.config import TenantConfig
from core.platform.tenancy.exchanges import SHORTEST_MINUTES
from core.reminders import service as reminders
from core.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

HOUSEKEEPING = "housekeeping"
EXCHANGES = "exchange.due"
EVENT_SECONDS = 10
"""Time that a plugin may take for an event; longer work is for its own outbox rows."""
_EVENTS: dict[str, Callable[..., Any]] = {
    "invoices_published": InvoicesPublished,
    "invoice_due": InvoiceDue,
    "payment_settled": PaymentSettled,
    "payment_reversed": PaymentReversed,
    "remittance_changed": RemittanceChanged,
}

Handler = Callable[[UnitOfWork, dict[str, Any]], None]
T = TypeVar("T")


def _publish_fanout(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.fanout.tell(payload["batch_id"], payload.get("after", 0))


def _papers_ahead(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    if uow.papers_ahead:
        uow.papers_ahead.make(payload)


def _publish(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    """A batch's moment came."""
    uow.audit.actor = payload["actor"]
    uow.imports.publish_due(int(payload["batch_id"]), payload["at"])


def _check_upload(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    upload_id = int(payload["upload_id"])
    uow.limit(uow.uploads.get(upload_id).regies)
    uow.uploads.check(upload_id)


def _import_upload(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.audit.actor = payload["actor"]
    upload_id = int(payload["upload_id"])
    uow.limit(uow.uploads.get(upload_id).regies)
    uow.uploads.import_(upload_id)


def _apply_debits(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    """Do a part of a large file of debits, as the agent who accepted it."""
    uow.audit.actor = payload["actor"]
    uow.limit([payload["regie"]])
    uow.debit_files.go_on(int(payload["job_id"]), int(payload["start"]))


def _event(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    """Hand an event to one plugin."""
    fields = payload["event"]
    if "invoice_ids" in fields:
        fields = {**fields, "invoice_ids": tuple(fields["invoice_ids"])}
    event = _EVENTS[payload["hook"]](**fields)
    plugin, hook = payload["plugin"], payload["hook"]
    with share(uow.config.slug, plugin):
        contain(
            plugin,
            hook,
            partial(uow.call_plugin, plugin, hook, event=event),
            town=uow.config.slug,
            passing=(PreauError,),
            here=True,  # The worker ends it with its lease.
        )


def _notify(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    # Rows of earlier versions have one event.
    uow.notifications.fan_out(payload["kind"], *payload.get("events", [payload.get("event")]))


def _send(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    # Rows of earlier versions have one message.
    ids = payload.get("message_ids") or [payload["message_id"]]
    uow.notifications.send(*map(int, ids))


def _daily(uow: UnitOfWork, _payload: dict[str, Any]) -> None:
    """Ask for the day's reminders, at an hour to write, and for its closing: once a day each."""
    now = uow.clock.now()
    day = today(now).isoformat()
    uow.outbox.add(reminders.CLOSE, {"day": day}, key=day)
    if is_hour_to_write(now.astimezone(PARIS)):
        uow.outbox.add(reminders.REMIND, {"day": day}, key=day)


def _remind(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.reminders.remind(date.fromisoformat(payload["day"]))


def _close(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.reminders.close(date.fromisoformat(payload["day"]))


def _count_broadcast(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.broadcasts.count_more(int(payload["broadcast_id"]), payload["revision"])


def _depart(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.broadcasts.depart(int(payload["broadcast_id"]), payload["at"])


def _tell(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.broadcasts.tell(
        int(payload["broadcast_id"]), payload["first"], payload["last"], bulk=payload["bulk"]
    )


def _end_broadcast(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.broadcasts.end(int(payload["broadcast_id"]))


def _retain(uow: UnitOfWork, _payload: dict[str, Any]) -> None:
    uow.personal_data.retain()


def _ask(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.attempts.poll(int(payload["payment_id"]))


def _poll(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    """Ask how an attempt stands, and come back later until nothing can change any more."""
    payment_id = int(payload["payment_id"])
    payment = uow.watch.attempt(payment_id)
    age = uow.clock.now() - payment.created_at
    try:
        state = uow.attempts.poll(payment_id)
    except RetryableError as error:
        _failing.add((uow.config.slug, payment.provider))
        # The provider is away. A longer rest of its own is heard; a shorter one (a circuit
        # breaker's, say) would bring all polls back at once, and again and again. A rest that this
        # process gives the plugin is not: another process may get an answer.
        rest = timedelta() if isinstance(error, CoolingDownError) else error.after or timedelta()
        after = max(spread(retry_interval(age)), spread(rest))
        raise RetryableError(error.reason, after) from error
    except Exception as error:
        log.exception("payment.not_asked")
        reason = f"{type(error).__name__}: {error}"
        raise RetryableError(reason, spread(retry_interval(age))) from error
    uow.session.commit()
    _ask_those_that_failed(uow, payment.provider)
    if still_watched(state, age, may_be_paid=payment.may_be_paid):
        raise NotOverError(state, spread(poll_interval(age)))


_failing: set[tuple[str, str]] = set()
"""Towns and providers of which a question failed since the last that was answered."""
_answering: set[tuple[str, str]] = set()
"""Those of which this process got an answer before."""


def _ask_those_that_failed(uow: UnitOfWork, provider: str) -> None:
    """Ask soon after every attempt whose last question failed: the provider is back.

    Without this, one whose question met the end of an outage would wait for the whole pause that
    the provider asks for, while others are answered.
    """
    key = uow.config.slug, provider
    if key in _answering and key not in _failing:
        return
    uow.watch.ask_those_that_failed(provider)
    uow.session.commit()
    _answering.add(key)
    _failing.discard(key)


def _housekeeping(uow: UnitOfWork, _payload: dict[str, Any]) -> None:
    uow.tidy_up()


def _sweep(uow: UnitOfWork, _payload: dict[str, Any]) -> None:
    uow.sweep_documents()


def _ask_exchanges(uow: UnitOfWork, _payload: dict[str, Any]) -> None:
    """Ask for a look at each place whose time has come: once a period."""
    exchanges, now = uow.config.file.exchanges, uow.clock.now().timestamp()
    for topic, places in ((intake.LOOK, exchanges.invoices), (SEND, exchanges.payments)):
        for name, place in places.items():
            period = int(now // (place.every_minutes * 60))
            uow.outbox.add(topic, {"name": name}, key=f"{name}/{period}")


def _look(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.intake.look(payload["name"])


def _send_payments(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.sending.send(payload["name"])


def _redraw(uow: UnitOfWork, payload: dict[str, Any]) -> None:
    uow.limit(payload.get("regies", ()))
    uow.charts.redraw(payload["language"])


def _watch_again(uow: UnitOfWork, _payload: dict[str, Any]) -> None:
    uow.watch.begin_where_missing()


def _own(
    topic: str, handler: Handler, effect: Effect = Effect.DATABASE, **options: Any
) -> Consumer:
    handle = cast("Callable[[TenantContext, dict[str, Any]], None]", handler)
    return Consumer(topic, handle, effect, **options)


OWN = (
    _own(fanout.FANOUT, _publish_fanout, lease=timedelta(minutes=10)),
    _own(imports.PUBLISH, _publish, lease=timedelta(minutes=10)),
    _own(uploads.CHECK, _check_upload, lease=timedelta(minutes=30), attempts=3),
    _own(uploads.IMPORT, _import_upload, lease=timedelta(minutes=30), attempts=3),
    _own(debits.APPLY, _apply_debits, lease=timedelta(minutes=10)),
    _own(events.TOPIC, _event, lease=timedelta(seconds=EVENT_SECONDS)),
    _own(events.NOTIFY, _notify),
    # As long as each of a mailing's mails may take.
    _own(notifications.SEND, _send, Effect.EXTERNAL, attempts=20, lease=timedelta(minutes=20)),
    _own(reminders.DAILY, _daily),
    _own(reminders.REMIND, _remind, lease=timedelta(minutes=30)),
    _own(reminders.CLOSE, _close, lease=timedelta(minutes=30)),
    _own(broadcasts.COUNT, _count_broadcast, lease=timedelta(minutes=10)),
    _own(broadcasts.DEPART, _depart, lease=timedelta(minutes=10)),
    _own(broadcasts.TELL, _tell),
    _own(broadcasts.END, _end_broadcast),
    # Like the poll, until the provider answers: an outage needs no person to end it.
    _own(personal_data.RETENTION, _retain, lease=timedelta(minutes=10)),
    _own(watching.ASK, _ask, Effect.EXTERNAL, attempts=10_000),
    _own(watching.POLL, _poll, Effect.EXTERNAL, attempts=10_000),
    _own(HOUSEKEEPING, _housekeeping),
    _own(papers.AHEAD, _papers_ahead, lease=timedelta(minutes=10), attempts=3),
    _own(sweeping.SWEEP, _sweep, lease=timedelta(minutes=30)),
    _own(charts.REDRAW, _redraw, lease=timedelta(minutes=10), attempts=3),
    _own("payment.watch", _watch_again),
    _own(EXCHANGES, _ask_exchanges),
    # A place that is away is no failure of the row: it is told on the page, and asked again later.
    _own(intake.LOOK, _look, Effect.EXTERNAL, lease=intake.LEASE, attempts=5),
    _own(SEND, _send_payments, Effect.EXTERNAL, lease=timedelta(minutes=30), attempts=5),
)

OWN_SCHEDULE = (
    Periodic("housekeeping", timedelta(days=1), HOUSEKEEPING),
    Periodic("retention", timedelta(days=1), personal_data.RETENTION),
    # Every hour, for a day's work: beat may have been down in the morning.
    Periodic("reminders", timedelta(hours=1), reminders.DAILY),
    Periodic("documents-sweep", timedelta(days=7), sweeping.SWEEP),
    Periodic("payment-watch", timedelta(hours=1), "payment.watch"),
    Periodic("exchanges", timedelta(minutes=SHORTEST_MINUTES), EXCHANGES),
)

OWN_WHERE: Mapping[str, Callable[[TenantConfig], bool]] = {
    "exchanges": lambda town: any(town.file.exchanges.places()),
}
"""Towns that core's periodic work is for, by its name; all of them where it has none here."""


class TwoConsumersError(Exception):
    """Two consumers claim one topic."""


def all_consumers(extensions: Extensions) -> Mapping[str, tuple[str, Consumer]]:
    """For each topic, the plugin that handles it ("" is core) and how.

    Raises:
        TwoConsumersError: the process must not start.
    """
    found: dict[str, tuple[str, Consumer]] = {}
    for name, consumers in [("", OWN), *_collect(extensions, "consumers", Consumer)]:
        for consumer in consumers:
            if consumer.topic in found:
                other = found[consumer.topic][0] or "core"
                raise TwoConsumersError(
                    f"topic {consumer.topic!r} has two consumers: of {other} and of {name}"
                )
            if name:
                handler = partial(_in_its_share, name, consumer)
                found[consumer.topic] = (name, replace(consumer, handler=handler))
            else:
                found[consumer.topic] = (name, consumer)
    return found


def _in_its_share(
    plugin: str, consumer: Consumer, ctx: TenantContext, payload: dict[str, Any]
) -> None:
    """Do a plugin's work, unless it takes all its share already, or rests from a time limit."""
    with resting(ctx.town.slug, plugin, consumer.topic), process_state.kept():
        consumer.handler(ctx, payload)


def all_periodics(extensions: Extensions) -> list[tuple[str, Periodic]]:
    """All periodic work: the plugin it belongs to ("" is core), and what it is."""
    found = [("", periodic) for periodic in OWN_SCHEDULE]
    for name, periodics in _collect(extensions, "schedule", Periodic):
        found += [(name, periodic) for periodic in periodics]
    return found


def check_work(extensions: Extensions) -> None:
    """Look whether the plugins' work fits together.

    Raises:
        TwoConsumersError: two plugins claim one topic.
        RuntimeError: one of them fails, by name.
    """
    all_consumers(extensions)
    all_periodics(extensions)


def _collect(extensions: Extensions, hook: str, kind: type[T]) -> Iterator[tuple[str, list[T]]]:
    """Answers of each installed plugin to a process-wide hook.

    Raises:
        RuntimeError: one of them fails, by name: the process must not start.
    """
    everything = frozenset(extensions.plugins)
    for name in extensions.implementers(everything, hook):
        try:
            items = list(extensions.call_one(everything, name, hook) or ())
        except Exception as error:
            raise RuntimeError(f"plugin {name!r} fails in {hook}: {error}") from error
        for item in items:
            if not isinstance(item, kind):
                raise RuntimeError(f"plugin {name!r} fails in {hook}: it gives {item!r:.80}")  # noqa: TRY004
        yield name, items
