"""The planning's pages. All of them work without JavaScript; what is asked is a form that is sent.

A view reads the form, calls one use case, and redirects. A refusal shows the page again with the
reason and status 422, which also rolls the transaction back.
"""

from __future__ import annotations

from core.plugin import WebConfig
from plugins.planning.views import office, parents

_PARENTS = (
    ("week", "", parents.week, parents.post_week, "planning_week.jinja2"),
    ("month", "mois", parents.month, None, "planning_month.jinja2"),
    ("pattern", "semaine-type", parents.pattern, parents.post_pattern, "planning_pattern.jinja2"),
    ("confirm", "confirmer", None, parents.post_confirm, "planning_confirm.jinja2"),
    ("requests", "demandes", parents.requests, None, "planning_requests.jinja2"),
    ("request", r"demande/{id:[0-9]{1,18}}", parents.proof, None, "planning_request.jinja2"),
    ("feed", "agenda", parents.feed, parents.post_feed, "planning_feed.jinja2"),
)

_OFFICE = (
    ("office", "regie", office.day, None, "planning_office.jinja2"),
    ("people", "regie/liste", office.people, None, "planning_people.jinja2"),
    ("mark", "regie/pointage", None, office.post_mark, ""),
    ("close", "regie/fermeture", None, office.post_close, ""),
    ("child", r"regie/enfant/{id:[0-9]{1,18}}", office.child, office.post_child,
     "planning_child.jinja2"),
    ("waiting", "regie/attente", office.waiting, None, "planning_waiting.jinja2"),
    ("export", "regie/facturation.csv", office.export, office.post_export, ""),
)  # fmt: skip
_SHOWN_FIRST = ("week", "pattern")


def configure(config: WebConfig) -> None:
    """Add the routes and views."""
    for name, pattern, get, post, renderer in _PARENTS:
        config.add_route(name, pattern)
        if get is not None:
            config.add_view(get, route=name, renderer=renderer, permission="parent")
        if post is not None:
            # What is sent is shown in words first, whichever page it came from.
            shown = "planning_confirm.jinja2" if name in _SHOWN_FIRST else renderer
            config.add_view(post, route=name, method="POST", renderer=shown, permission="parent")
    for name, pattern, get, post, renderer in _OFFICE:
        config.add_route(name, pattern)
        for method, view in (("GET", get), ("POST", post)):
            if view is not None:
                config.add_view(
                    view, route=name, method=method, renderer=renderer or None, permission="office"
                )
    config.add_route("script", "attendance.js")
    config.add_view(office.script, route="script")
    config.add_route("sheet", "planning.css")
    config.add_view(parents.sheet, route="sheet")
    config.add_route("ics", r"agenda/{token:[A-Za-z0-9._-]{20,90}}.ics")
    config.add_view(parents.ics_file, route="ics")
