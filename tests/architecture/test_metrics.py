"""What Prometheus is told: by routes and topics, never by people; and not to who comes by the proxy."""

from __future__ import annotations

import re

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from webtest import TestApp

from core.payments.watching import POLL
from core.platform import metrics
from core.platform.outbox.deliver import deliver
from core.platform.outbox.relay import Relay
from core.processes.consumers import all_consumers
from core.testing.portal import pages_of


@pytest.fixture
def app(portal):
    # Without its check of methods: inventing some is what strangers do.
    return TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"}, lint=False)


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


def test_requests_are_counted_by_route(app):
    before = value("preau_requests_total", route="news", method="GET", status="404")
    for number in (1, 2, 3):
        app.get(f"/valmont/actualites/99{number}", status=404)
    assert value("preau_requests_total", route="news", method="GET", status="404") == before + 3
    assert value("preau_request_seconds_count", route="news") >= 3


def test_strangers_make_no_series(app):
    def series():
        return {
            tuple(s.labels.items())
            for m in REGISTRY.collect()
            for s in m.samples
            if s.name == "preau_requests_total"
        }

    app.get("/nowhere", status=404)
    app.request("/valmont/", method="INVENTED0", expect_errors=True)
    before = series()
    for number in range(5):
        app.get(f"/nowhere-{number}", status=404)
        app.request("/valmont/", method=f"INVENTED{number}", expect_errors=True)
    assert series() == before


def test_attempts_to_sign_in_are_counted(app):
    before = value("preau_sign_ins_total", door="sign_in", outcome="refused")
    page = app.get("/valmont/connexion")
    form = next(f for f in page.forms.values() if "family_code" in f.fields)
    form["family_code"], form["child_code"] = "F001", "2222-2222-2222"
    form.submit(status=422)
    assert value("preau_sign_ins_total", door="sign_in", outcome="refused") == before + 1


def test_the_proxy_s_visitors_see_no_metrics(app):
    assert "preau_requests_total" in app.get("/metrics", status=200).text
    app.get("/metrics", headers={"X-Forwarded-For": "10.0.0.1"}, status=404)


def test_effects_and_the_outbox_are_measured(portal):
    consumers = all_consumers(portal.runtime.extensions)
    done = value("preau_effects_total", topic="housekeeping", end="done")
    with portal.town() as town:
        town.outbox.add("housekeeping", {}, key="measured")
        row = town.session.scalar(text("SELECT id FROM outbox WHERE dedupe_key = 'measured'"))
    relay = Relay(portal.runtime.settings.relay_url, portal.clock, lambda *_args: None, watched=POLL)
    portal.clock.pass_time(seconds=90)
    relay.measure()
    assert value("preau_outbox_rows", state="ready") >= 1
    assert value("preau_outbox_late_seconds") >= 90
    relay.once()
    assert value("preau_relay_last_look_timestamp_seconds") == portal.clock.now().timestamp()
    deliver(portal.runtime, consumers, "valmont", row)
    assert value("preau_effects_total", topic="housekeeping", end="done") == done + 1
    relay._engine.dispose()


def test_no_label_names_a_town_or_a_person():
    allowed = {
        "route",
        "method",
        "status",
        "door",
        "outcome",
        "plugin",
        "hook",
        "topic",
        "end",
        "state",
        "served",
    }
    for name in vars(metrics).values():
        assert set(getattr(name, "_labelnames", ())) <= allowed


def test_processes_that_fork_count_together(tmp_path):
    """As gunicorn's and Celery's do: a worker says so before anything that counts is loaded."""
    import os
    import subprocess
    import sys

    script = """if True:
        import os, runpy
        def celery(*_arguments, **_options):
            from core.platform import metrics
            for _child in range(3):
                if os.fork() == 0:
                    metrics.effects.labels('t', 'done').inc(2); os._exit(0)
            for _child in range(3): os.wait()
            print(metrics.text().decode())
        runpy.run_module = celery
        from core.cli.main import main
        main()"""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PREAU_")}
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, "worker"], capture_output=True, text=True, check=True,
        env={**bare, "TMPDIR": str(tmp_path), "PREAU_DATA_DIR": str(tmp_path), "PREAU_TENANTS_DIR": str(tmp_path)},
    ).stdout  # fmt: skip
    assert re.search(r'preau_effects_total\{end="done",topic="t"\} 6\.0', said)
