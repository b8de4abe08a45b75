"""The simulator's web service: WSDL, the three operations, and the faults it is told to show."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from xml.sax.saxutils import escape

from lxml import etree
from pyramid.request import Request
from pyramid.response import Response

from plugins.payfip import contract
from plugins.payfip.contract import ENVELOPE, MEDIA_TYPE, SERVICE, SIGNATURES
from plugins.payfip.simulator import rules
from plugins.payfip.simulator.rules import Refusal
from plugins.payfip.simulator.scenarios import AMOUNT_FAULTS, FaultKind
from plugins.payfip.simulator.store import PARIS, Operation, Store

_JAVA = "fr.gouv.finances.cp.tpa.webservice.exceptions"
_TECHNICAL = {
    FaultKind.TECHNICAL: "TechDysfonctionnementErreur",
    FaultKind.UNAVAILABLE: "TechIndisponibiliteErreur",
    FaultKind.PROTOCOL: "TechProtocolaireErreur",
}
_OPERATIONS = {f"{{{SERVICE}}}{one}": one for one in contract.Operation}
SEVERITY = "2"
"""Of every fault that was recorded."""
MAX_DELAY_SECONDS = 60.0
"""Seconds that an answer which never comes takes at most, so that a thread is not lost."""


def wsdl(request: Request) -> Response:
    """The contract, with the address it was asked at."""
    text = contract.WSDL.read_text("utf-8").replace(
        "https://www.payfip.gouv.fr/tpa/services/securite", escape(request.path_url)
    )
    return Response(text, content_type="text/xml", charset="utf-8")


def service(request: Request) -> Response:
    """Answer one call."""
    store: Store = request.registry.store
    try:
        element = contract.parse(request.body)
        operation = _OPERATIONS[str(element.tag)]
    except (contract.MalformedAnswerError, KeyError):
        return _fault("TechProtocolaireErreur", "", "La requête n’est pas lisible.")
    arg0 = element.find("arg0")
    values = {
        name: (arg0.findtext(name) or "") if arg0 is not None else ""
        for name in SIGNATURES[operation].request
    }
    wrong = _fault_to_show(store, operation, values)
    if wrong is None:
        return _answer(store, operation, values)
    kind, seconds = wrong
    if kind is FaultKind.LOST_ANSWER:
        _answer(store, operation, values)
        return Response(status=502, body=b"", content_type="text/html")
    if kind is FaultKind.DELAY:
        time.sleep(min(seconds, MAX_DELAY_SECONDS))
        return _answer(store, operation, values)
    return _broken(kind, seconds)


def _fault_to_show(
    store: Store, operation: contract.Operation, values: dict[str, str]
) -> tuple[FaultKind, float] | None:
    row = store.take_fault(operation)
    if row is not None:
        return FaultKind(row.kind), row.seconds
    amount = values.get("montant", "")
    if amount.isdigit() and int(amount) in AMOUNT_FAULTS:
        return AMOUNT_FAULTS[int(amount)], MAX_DELAY_SECONDS
    return None


def _broken(kind: FaultKind, seconds: float) -> Response:
    if kind in _TECHNICAL:
        return _fault(_TECHNICAL[kind], "9999", "Incident simulé.")
    if kind is FaultKind.TIMEOUT:
        time.sleep(min(seconds, MAX_DELAY_SECONDS))
        return Response(status=504, body=b"", content_type="text/html")
    if kind is FaultKind.HTTP_502:
        return Response("<html><body>Bad Gateway</body></html>", status=502)
    if kind is FaultKind.HTTP_500:
        return Response("<html><body>Internal Server Error</body></html>", status=500)
    if kind is FaultKind.MALFORMED:
        return Response(b'<?xml version="1.0"?><S:Envelope', content_type="text/xml")
    return Response(b"", content_type="text/xml")


def _answer(store: Store, operation: contract.Operation, values: dict[str, str]) -> Response:
    result: dict[str, str] | Refusal
    if operation is contract.Operation.CREATE:
        refusal = rules.creation(store, values)
        result = refusal or {"idOp": store.create(values).id_op}
    elif operation is contract.Operation.PAYMENT:
        result = _payment(store, values["idOp"])
    else:
        who = rules.client(store, values["numCli"])
        result = (
            who
            if isinstance(who, Refusal)
            else {
                "libelleN1": who.label1,
                "libelleN2": who.label2,
                "libelleN3": who.label3,
                "numcli": who.numcli,
            }
        )
    if isinstance(result, Refusal):
        return _fault("FonctionnelleErreur", result.code, result.words)
    # A field without a value is left out, as the interface allows (minOccurs 0).
    fields = ((name, result[name]) for name in SIGNATURES[operation].answer if result[name])
    return _envelope(contract.wrapped(f"{operation}Response", "return", fields), 200)


def _payment(store: Store, id_op: str) -> dict[str, str] | Refusal:
    found = store.operation(id_op)
    if found is None:
        return rules.P1
    if not found.resultrans or store.now() < found.visible:
        return rules.P5
    at = datetime.fromtimestamp(found.finished, PARIS)
    answer = {
        name: getattr(found, name)
        for name in ("exer", "mel", "montant", "numauto", "numcli", "objet", "refdet",
                     "resultrans", "saisie")
    }  # fmt: skip
    answer |= {"idOp": id_op, "dattrans": at.strftime("%d%m%Y"), "heurtrans": at.strftime("%H%M")}
    # As recorded: two digits of the year that was asked.
    answer["exer"] = found.exer[:2]
    return _told_wrongly(answer, found)


def _told_wrongly(answer: dict[str, str], operation: Operation) -> dict[str, str]:
    if operation.told == "montant":
        answer["montant"] = str(operation.cents + 100)
    elif operation.told == "refdet":
        answer["refdet"] = ("X" + operation.refdet)[:30]
    return answer


def _fault(kind: str, code: str, words: str) -> Response:
    # As recorded: the description is empty, the words stand in the label, no message at all.
    values = (("code", code), ("descriptif", ""), ("libelle", words), ("severite", SEVERITY))
    detail = etree.Element("detail")
    inner = etree.SubElement(detail, f"{{{SERVICE}}}{kind}", nsmap={"ns2": SERVICE})
    _fill(inner, values)
    fault = etree.Element(f"{{{ENVELOPE}}}Fault", nsmap={"S": ENVELOPE})
    # The prefix in the text of faultcode is the one that the envelope is written with.
    etree.SubElement(fault, "faultcode").text = "S:Server"
    etree.SubElement(fault, "faultstring").text = f"{_JAVA}.{kind}"
    fault.append(detail)
    return _envelope(fault, 500)


def _fill(element: etree._Element, values: Iterable[tuple[str, str]]) -> None:
    for name, value in values:
        etree.SubElement(element, name).text = value


def _envelope(element: etree._Element, status: int) -> Response:
    return Response(
        contract.envelope(element, prefix="S"),
        status=status,
        headers={"Content-Type": MEDIA_TYPE},
    )
