"""Metrics for Prometheus: one list of all counters, and the place where a process shows them.

Labels are names of ours (routes, topics, plugins), never a town's, a family's or an amount: who may
read metrics may not read files, and 35 000 towns would be 35 000 series each.

A process that forks shares counters by files, which its command asks for before this module is
loaded (`core.platform.shared_counters`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector

from core.platform.shared_counters import SHARED

requests = Counter("preau_requests_total", "Requests answered", ["route", "method", "status"])
request_seconds = Histogram(
    "preau_request_seconds",
    "Time from a request to its answer",
    ["route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
sign_ins = Counter("preau_sign_ins_total", "Attempts to sign in", ["door", "outcome"])
plugin_faults = Counter(
    "preau_plugin_faults_total", "Contained faults of plugins", ["plugin", "hook"]
)
effects = Counter("preau_effects_total", "Rows of the outbox that were worked on", ["topic", "end"])
"""Ends are ``done``, ``later`` (it will be tried again), ``dead`` and ``lost`` (overtaken)."""
effect_seconds = Histogram(
    "preau_effect_seconds",
    "Time that one row of the outbox took",
    ["topic"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800),
)
readings = Counter(
    "preau_readings_total", "Pages that a standby may serve, by what came of it", ["served"]
)
"""``standby``; or the primary, because of ``own_write`` (the reader's own was not there yet),
``late``, ``away``, ``no_standby`` (promoted, or another cluster's), ``failed`` (in the middle)."""
standby_behind = Gauge(
    "preau_standby_behind_bytes",
    "Journal that the standby had still to replay when it was last asked",
    multiprocess_mode="mostrecent",
)
published = Counter("preau_relay_published_total", "Rows that the relay handed to the broker")
last_look = Gauge(
    "preau_relay_last_look_timestamp_seconds",
    "When the relay last looked for due rows",
    multiprocess_mode="max",
)
outbox_rows = Gauge(
    "preau_outbox_rows",
    "Rows of the outbox, those that are done apart",
    ["state"],
    multiprocess_mode="max",
)
outbox_late = Gauge(
    "preau_outbox_late_seconds",
    "How long the oldest due row of the outbox has waited",
    multiprocess_mode="max",
)
payments_watched = Gauge(
    "preau_payments_watched",
    "Online payments whose outcome is still asked for",
    multiprocess_mode="max",
)
payments_watched_seconds = Gauge(
    "preau_payments_watched_seconds",
    "Age of the oldest payment whose outcome is still asked for",
    multiprocess_mode="max",
)


@contextmanager
def timed(histogram: Histogram, *labels: str) -> Iterator[None]:
    """Observe how long the block takes, whether it raises or not."""
    started = perf_counter()
    try:
        yield
    finally:
        histogram.labels(*labels).observe(perf_counter() - started)


def text() -> bytes:
    """All counters of this process and of those it shares them with, as Prometheus reads them."""
    return generate_latest(_registry())


def serve(port: int, host: str = "127.0.0.1") -> None:
    """Show them on a port of their own, for processes that serve no pages."""
    start_http_server(port, addr=host, registry=_registry())


def _registry() -> CollectorRegistry:
    if SHARED not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
