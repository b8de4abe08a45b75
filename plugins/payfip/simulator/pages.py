"""The pages that a parent sees at PayFiP: choice, card, 3-D Secure, debit, result, ticket.

Each POST ends in a redirect; a page asked for at the wrong moment says why and leads back.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response

from plugins.payfip.simulator import rules, ticket
from plugins.payfip.simulator.bank import Bank
from plugins.payfip.simulator.rules import Refusal
from plugins.payfip.simulator.scenarios import CARDS, REFUSED_CODE, REFUSED_TAX_NUMBER
from plugins.payfip.simulator.store import Operation, Store


class NotNowError(Exception):
    """This page cannot be shown for this idOp."""

    def __init__(self, refusal: Refusal, operation: Operation | None = None) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.back = operation.urlredirect if operation else ""
        self.paid = operation is not None and (operation.paid or operation.open_ended)


def not_now(error: NotNowError, request: Request) -> Response:
    """Say why, and lead back to the portal."""
    values = {"refusal": error.refusal, "back": error.back, "paid": error.paid}
    response: Response = render_to_response(_template("stopped"), values, request=request)
    response.status = 404 if error.refusal is rules.P1 else 409
    return response


def choice(request: Request) -> Any:
    """M6a: what is to be paid, and by which means."""
    operation = _payable(request)
    if not _store(request).page_open(operation):
        raise NotNowError(rules.P4, operation)
    who = rules.client(_store(request), operation.numcli)
    return {
        "operation": operation,
        "amount": ticket.euros(operation.cents),
        "rows": _rows(request, operation),
        "direct_debit": not isinstance(who, Refusal) and bool(who.direct_debit),
        "refused": operation.resultrans in {"R", "Z"},
    }


def choose(request: Request) -> Response:
    """Go on by the chosen means, or give up."""
    operation = _payable(request)
    means = request.POST.get("moyen", "")
    if means == "annuler":
        _bank(request).cancel(operation)
        return _to(request, "result", operation)
    if not _store(request).page_open(operation):
        raise NotNowError(rules.P4, operation)
    _store(request).reach_bank(operation.id_op)
    return _to(request, "debit" if means == "prelevement" else "card", operation)


def card(request: Request) -> Any:
    """M6b: the card."""
    operation = _at_bank(request)
    errors: dict[str, str] = {}
    if request.method == "POST":
        if "annuler" in request.POST:
            _bank(request).cancel(operation)
            return _to(request, "result", operation)
        number = re.sub(r"\D", "", request.POST.get("numero", ""))
        errors = _card_errors(request, number)
        if not errors:
            known = CARDS[number]
            _store(request).choose_card(
                operation.id_op,
                brand=known.brand,
                last4=number[-4:],
                scenario=known.scenario,
            )
            return _to(request, "secure", operation)
    return {
        "operation": operation,
        "amount": ticket.euros(operation.cents),
        "rows": _rows(request, operation),
        "cards": CARDS.values(),
        "errors": errors,
    }


def secure(request: Request) -> Any:
    """3-D Secure: the bank's code."""
    operation = _at_bank(request)
    if not operation.last4:
        return _to(request, "card", operation)
    error = ""
    if request.method == "POST":
        if "annuler" in request.POST:
            _bank(request).cancel(operation)
            return _to(request, "result", operation)
        code = request.POST.get("code", "").strip()
        if code == REFUSED_CODE:
            _bank(request).refuse(operation)
            return _to(request, "result", operation)
        if re.fullmatch(r"[0-9]{6}", code):
            _bank(request).pay_by_card(operation)
            return _to(request, "result", operation)
        error = "Le code comporte 6 chiffres."
    return {
        "operation": operation,
        "amount": ticket.euros(operation.cents),
        "last4": operation.last4,
        "error": error,
    }


def debit(request: Request) -> Any:
    """M6b': sign in with a tax number, and agree to one direct debit."""
    operation = _at_bank(request)
    who = rules.client(_store(request), operation.numcli)
    if isinstance(who, Refusal) or not who.direct_debit:
        return _to(request, "choice", operation)
    errors: dict[str, str] = {}
    if request.method == "POST":
        if "annuler" in request.POST:
            _bank(request).cancel(operation)
            return _to(request, "result", operation)
        number = re.sub(r"\s", "", request.POST.get("numero_fiscal", ""))
        if not re.fullmatch(r"[0-9]{13}", number):
            errors["numero_fiscal"] = "Le numéro fiscal comporte 13 chiffres."
        if not request.POST.get("mot_de_passe"):
            errors["mot_de_passe"] = "Saisissez un mot de passe, qui ne soit pas le vôtre."
        if not request.POST.get("accord"):
            errors["accord"] = "Confirmez le prélèvement pour continuer."
        if not errors:
            if number == REFUSED_TAX_NUMBER:
                _bank(request).refuse(operation, "Z")
            else:
                _bank(request).promise_debit(operation)
            return _to(request, "result", operation)
    return {
        "operation": operation,
        "amount": ticket.euros(operation.cents),
        "errors": errors,
    }


def result(request: Request) -> Any:
    """M6c: how it ended."""
    operation = _operation(request)
    if not operation.resultrans:
        return _to(request, "choice", operation)
    return {
        "operation": operation,
        "rows": ticket.rows(_store(request), operation) if operation.paid else (),
        "again": not operation.used_up and _store(request).page_open(operation),
    }


def ticket_pdf(request: Request) -> Response:
    """*Impression PDF*."""
    operation = _operation(request)
    if not operation.paid:
        raise NotNowError(rules.P5, operation)
    return Response(
        ticket.pdf(_store(request), operation),
        content_type="application/pdf",
        content_disposition=f'inline; filename="ticket-{operation.transaction}.pdf"',
    )


def _card_errors(request: Request, number: str) -> dict[str, str]:
    errors = {}
    if number not in CARDS:
        # Nothing of what was typed is kept or shown again: it might be a real card.
        errors["numero"] = "Ce simulateur ne prend que les cartes d’essai listées plus bas."
    match = re.fullmatch(r"(0[1-9]|1[0-2])\s*/?\s*([0-9]{2})", request.POST.get("expiration", ""))
    now = datetime.fromtimestamp(_store(request).now(), UTC)
    if match is None or (int(match[2]) + 2000, int(match[1])) < (now.year, now.month):
        errors["expiration"] = "La date d’expiration s’écrit MM/AA et n’est pas passée."
    if not re.fullmatch(r"[0-9]{3}", request.POST.get("cryptogramme", "").strip()):
        errors["cryptogramme"] = "Le cryptogramme comporte 3 chiffres."
    return errors


def _rows(request: Request, operation: Operation) -> list[tuple[str, str]]:
    """The transaction as the card page shows it, before there is an outcome."""
    wanted = {
        "Collectivité", "Comptable", "Identifiant commerçant", "Référence de la transaction",
        "Référence de la commande", "Adresse électronique",
    }  # fmt: skip
    return [row for row in ticket.rows(_store(request), operation) if row[0] in wanted]


def _operation(request: Request) -> Operation:
    found = _store(request).operation(request.params.get("idop", ""))
    if found is None:
        raise NotNowError(rules.P1)
    return found


def _payable(request: Request) -> Operation:
    operation = _operation(request)
    if operation.used_up:
        raise NotNowError(rules.P3, operation)
    return operation


def _at_bank(request: Request) -> Operation:
    """The operation of a page that is only reached by choosing, and outlives the first page."""
    operation = _payable(request)
    if not operation.at_bank or not _store(request).bank_open(operation):
        raise NotNowError(rules.P4, operation)
    return operation


def _to(request: Request, route: str, operation: Operation) -> Response:
    return HTTPSeeOther(request.route_path(route, _query={"idop": operation.id_op}))


def _template(name: str) -> str:
    return f"plugins.payfip.simulator:templates/{name}.jinja2"


def _store(request: Request) -> Store:
    store: Store = request.registry.store
    return store


def _bank(request: Request) -> Bank:
    bank: Bank = request.registry.bank
    return bank
