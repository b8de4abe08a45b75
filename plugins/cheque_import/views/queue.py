"""The queue: what waits, what is certain, and each batch against its paper slip."""

from __future__ import annotations

from typing import Any

from plugins.cheque_import import forms, labels
from plugins.cheque_import.models import PENDING
from plugins.cheque_import.views.office import Office, or_again, see

_PAGE = 50


def queue(request: Any) -> dict[str, Any]:
    """The cheques of a régie by state, with the batches' totals against their controls."""
    office = Office(request)
    regie, state = office.regie(request), str(request.params.get("etat", ""))
    states = labels.states()
    if state not in states:
        state = ""
    after = str(request.params.get("apres", "0"))
    rows, following = office.overview.page(
        regie,
        (state,) if state else PENDING,
        after=int(after) if after.isdecimal() and len(after) < 19 else 0,
        limit=_PAGE,
    )
    ready = office.slips.ready(regie)
    return {
        "regies": office.regies, "regie": regie, "states": states, "state": state,
        "rows": rows, "next_after": following, "counts": office.overview.counts(regie),
        "piles": office.overview.piles(regie), "ready": len(ready),
        "ready_cents": sum(row.amount for row in ready), "labels": labels,
        "error": "",
    }  # fmt: skip


@or_again(queue)
def post_queue(request: Any) -> Any:
    """Accept all the certain ones, or match the queue anew."""
    office = Office(request)
    regie = office.regie(request)
    if forms.text(request.POST, "action") == "accepter":
        office.desk.accept_certain(regie)
    else:
        office.matching.rematch(regie)
        office.matching.tell_others(regie)
    return see(request, "queue", _query={"regie": regie})
