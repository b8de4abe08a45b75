"""The back office's pages. All of them work without JavaScript; a keyboard is enough.

A view reads the form, calls one use case, and redirects. A refusal shows the page again with the
reason and status 422, which also rolls the transaction back.
"""

from __future__ import annotations

from core.plugin import WebConfig
from plugins.cheque_import.views.cheque import cheque, post_cheque
from plugins.cheque_import.views.incoming import entry, post_entry, post_upload, upload
from plugins.cheque_import.views.queue import post_queue, queue
from plugins.cheque_import.views.slips import post_slips, slip_file, slip_for_bank, slips

_PAGES = (
    ("queue", "", queue, post_queue),
    ("upload", "import", upload, post_upload),
    ("entry", "saisie", entry, post_entry),
    ("cheque", r"cheque/{id:[0-9]{1,18}}", cheque, post_cheque),
    ("slips", "remises", slips, post_slips),
)


def configure(config: WebConfig) -> None:
    """Add the routes and views."""
    for name, pattern, get, post in _PAGES:
        config.add_route(name, pattern)
        for method, view in (("GET", get), ("POST", post)):
            config.add_view(
                view, route=name, method=method, renderer=f"{name}.jinja2", permission="office"
            )
    config.add_route("slip_file", r"remises/{id:[0-9]{1,18}}/bordereau.{kind:pdf|xlsx|csv}")
    config.add_view(slip_file, route="slip_file", permission="office")
    config.add_route("slip_for_bank", r"remises/{id:[0-9]{1,18}}/bordereau.tlmc")
    config.add_view(
        slip_for_bank, route="slip_for_bank", method="POST", renderer="slips.jinja2",
        permission="office",
    )  # fmt: skip
