"""Steering the simulator: a page for people, and the same as JSON for programs.

Bound to the loopback address by default; there is nothing real to protect behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pyramid.httpexceptions import HTTPBadRequest, HTTPNotFound, HTTPSeeOther
from pyramid.request import Request

from plugins.payfip.contract import Operation as Call
from plugins.payfip.simulator import rules, ticket
from plugins.payfip.simulator.bank import OTHER_RESULT, Bank
from plugins.payfip.simulator.scenarios import AMOUNT_FAULTS, FaultKind, Scenario
from plugins.payfip.simulator.store import ClientRow, Operation, Store

ACTIONS = {
    "accept": "Accepter (carte)",
    "debit": "Accepter (prélèvement)",
    "refuse": "Refuser (carte)",
    "debit_refuse": "Refuser (prélèvement)",
    "cancel": "Annuler",
    "unknown": "Autre moyen (code inconnu)",
    "notify": "Notifier encore",
    "age": "Vieillir",
    "forget": "Oublier (P1)",
}

RESULTS = {
    "": "attendu",
    "P": "P, payé par carte",
    "V": "V, prélèvement promis",
    "R": "R, carte refusée",
    "Z": "Z, prélèvement refusé",
    "A": "A, annulé",
    OTHER_RESULT: f"{OTHER_RESULT}, code inconnu",
}
FAULTS = {
    FaultKind.DELAY: "réponse en retard",
    FaultKind.TIMEOUT: "pas de réponse",
    FaultKind.HTTP_500: "HTTP 500",
    FaultKind.HTTP_502: "HTTP 502",
    FaultKind.MALFORMED: "XML abîmé",
    FaultKind.EMPTY: "réponse vide",
    FaultKind.TECHNICAL: "dysfonctionnement",
    FaultKind.UNAVAILABLE: "indisponibilité",
    FaultKind.PROTOCOL: "erreur de protocole",
    FaultKind.LOST_ANSWER: "réponse perdue",
}


def page(request: Request) -> dict[str, Any]:
    """The newest operations, what was sent for them, and the faults to come."""
    store = _store(request)
    operations = store.operations()
    return {
        "operations": operations,
        "amounts": {one.id_op: ticket.euros(one.cents) for one in operations},
        "effects": {one.id_op: store.effects(one.id_op) for one in operations},
        "results": RESULTS,
        "faults": store.faults(),
        "kinds": FAULTS,
        "calls": ["*", *Call],
        "actions": ACTIONS,
        "failing": [(ticket.euros(cents), kind) for cents, kind in AMOUNT_FAULTS.items()],
    }


def page_action(request: Request) -> HTTPSeeOther:
    """Act on an operation from the page."""
    _act(request, request.POST.get("idop", ""), request.POST)
    return HTTPSeeOther(request.route_path("control"))


def page_fault(request: Request) -> HTTPSeeOther:
    """Order a fault from the page, or clear them all."""
    _order_fault(request, request.POST)
    return HTTPSeeOther(request.route_path("control"))


def operations(request: Request) -> list[dict[str, Any]]:
    """The newest operations."""
    return [asdict(one) for one in _store(request).operations()]


def operation(request: Request) -> dict[str, Any]:
    """One operation, and what was sent for it."""
    id_op = request.matchdict["id_op"]
    found = _find(request, id_op)
    return asdict(found) | {"effects": [asdict(one) for one in _store(request).effects(id_op)]}


def act(request: Request) -> dict[str, Any]:
    """``{"action": "accept", "scenario": "double"}``, ``{"action": "age", "minutes": 121}``..."""
    _act(request, request.matchdict["id_op"], _json(request))
    return {"ok": True}


def faults(request: Request) -> list[dict[str, Any]]:
    """The faults to come."""
    return [asdict(one) for one in _store(request).faults()]


def order_fault(request: Request) -> dict[str, Any]:
    """``{"operation": "*", "kind": "timeout", "count": 3, "seconds": 20}``."""
    _order_fault(request, _json(request))
    return {"ok": True}


def clear_faults(request: Request) -> dict[str, Any]:
    """Work well again."""
    _store(request).clear_faults()
    return {"ok": True}


def reset(request: Request) -> dict[str, Any]:
    """Forget everything."""
    _store(request).reset()
    return {"ok": True}


def release(request: Request) -> dict[str, Any]:
    """Let held notifications go."""
    released = _store(request).release()
    request.registry.courier.wake()
    return {"released": released}


def set_client(request: Request) -> dict[str, Any]:
    """Set up a client: ``{"label1": "...", "direct_debit": false, "secure": true}``."""
    values = _json(request)
    numcli = request.matchdict["numcli"]
    _store(request).set_client(
        ClientRow(
            numcli=numcli,
            label1=str(values.get("label1", "COLLECTIVITE DE SIMULATION")),
            label2=str(values.get("label2", "")),
            label3=str(values.get("label3", "")),
            direct_debit=int(bool(values.get("direct_debit", True))),
            secure=int(bool(values.get("secure", True))),
            known=int(bool(values.get("known", True))),
        )
    )
    return {"ok": not isinstance(rules.client(_store(request), numcli), rules.Refusal)}


def _act(request: Request, id_op: str, values: Mapping[str, Any]) -> None:
    store, bank = _store(request), _bank(request)
    found = _find(request, id_op)
    try:
        action = str(values.get("action", ""))
        scenario = Scenario(values.get("scenario") or Scenario.ACCEPT)
        if scenario is not Scenario.ACCEPT or action == "accept":
            store.choose_card(id_op, brand="VISA", last4="0055", scenario=scenario)
        if action == "accept":
            store.reach_bank(id_op)
            bank.pay_by_card(_find(request, id_op))
        elif action == "debit":
            store.reach_bank(id_op)
            bank.promise_debit(found)
        elif action in {"refuse", "debit_refuse"}:
            store.reach_bank(id_op)
            bank.refuse(found, "R" if action == "refuse" else "Z")
        elif action == "cancel":
            bank.cancel(found)
        elif action == "unknown":
            bank.other(found)
        elif action == "notify":
            bank.notify(found)
        elif action == "age":
            store.age(id_op, float(values.get("minutes") or 0) * 60)
        elif action == "forget":
            store.forget(id_op)
        else:
            raise HTTPBadRequest(f"unknown action {action!r}")
    except ValueError as error:
        raise HTTPBadRequest(str(error)) from error


def _order_fault(request: Request, values: Mapping[str, Any]) -> None:
    if values.get("kind") == "clear":
        _store(request).clear_faults()
        return
    try:
        kind = FaultKind(str(values.get("kind")))
        target = str(values.get("operation") or "*")
        _store(request).add_fault(
            "*" if target == "*" else Call(target),
            kind,
            seconds=float(values.get("seconds") or 0),
            count=int(values.get("count") or 1),
        )
    except ValueError as error:
        raise HTTPBadRequest(str(error)) from error


def _json(request: Request) -> Mapping[str, Any]:
    try:
        values = request.json_body
    except ValueError as error:
        raise HTTPBadRequest("JSON expected") from error
    if not isinstance(values, dict):
        raise HTTPBadRequest("a JSON object expected")
    return values


def _find(request: Request, id_op: str) -> Operation:
    found = _store(request).operation(id_op)
    if found is None:
        raise HTTPNotFound(id_op)
    return found


def _store(request: Request) -> Store:
    store: Store = request.registry.store
    return store


def _bank(request: Request) -> Bank:
    bank: Bank = request.registry.bank
    return bank
