"""The web service's interface as data, and its messages as XML.

SOAP 1.1, document/literal. An operation's element is qualified; ``arg0``, ``return`` and every
field below them are not, and they stand in the order given here. `contract.wsdl` says the same to
SOAP libraries; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lxml import etree

from plugins.payfip.faults import FaultDetail, FaultKind, PayFiPFaultError

SERVICE = (
    "http://securite.service.tpa.cp.finances.gouv.fr/services/mas_securite/"
    "contrat_paiement_securise/PaiementSecuriseService"
)
REQUESTS = "http://securite.service.tpa.cp.finances.gouv.fr/requete"
ANSWERS = "http://securite.service.tpa.cp.finances.gouv.fr/reponse"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
MEDIA_TYPE = "text/xml; charset=utf-8"
WSDL = Path(__file__).with_name("contract.wsdl")


class Operation(StrEnum):
    """The three operations, by their element's name."""

    CREATE = "creerPaiementSecurise"
    PAYMENT = "recupererDetailPaiementSecurise"
    CLIENT = "recupererDetailClient"


@dataclass(frozen=True, slots=True)
class Signature:
    """The fields of an operation's request and answer, in order."""

    request: tuple[str, ...]
    answer: tuple[str, ...]


SIGNATURES = {
    Operation.CREATE: Signature(
        (
            "exer", "mel", "montant", "numcli", "objet", "refdet", "saisie", "urlnotif",
            "urlredirect",
        ),
        ("idOp",),
    ),
    Operation.PAYMENT: Signature(
        ("idOp",),
        (
            "dattrans", "exer", "heurtrans", "idOp", "mel", "montant", "numauto", "numcli",
            "objet", "refdet", "resultrans", "saisie",
        ),
    ),
    Operation.CLIENT: Signature(("numCli",), ("libelleN1", "libelleN2", "libelleN3", "numcli")),
}  # fmt: skip
_QUALIFICATIONS = ("", f"{{{ANSWERS}}}", f"{{{SERVICE}}}", f"{{{REQUESTS}}}")
"""Ways to write a name below an operation's element: bare, as the interface says, or in one of
the service's own namespaces, as its next version may. Nobody else's names are read."""
FAULT_FIELDS = ("code", "descriptif", "libelle", "message", "severite")
"""As the contract has them. In recorded faults `descriptif` is empty and `message` is not there."""


class MalformedAnswerError(ValueError):
    """Answer that does not follow the interface: an HTML page, cut XML, another operation's."""


def envelope(element: etree._Element, *, prefix: str) -> bytes:
    """Put one element into a SOAP envelope, whose namespace is written with `prefix`."""
    root = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap={prefix: ENVELOPE})
    etree.SubElement(root, f"{{{ENVELOPE}}}Body").append(element)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def wrapped(name: str, child: str, values: Iterable[tuple[str, str]]) -> etree._Element:
    """A qualified element `name` with one unqualified `child` that holds unqualified `values`."""
    element = etree.Element(f"{{{SERVICE}}}{name}", nsmap={"ns": SERVICE})
    inner = etree.SubElement(element, child)
    for field, value in values:
        etree.SubElement(inner, field).text = value
    return element


def request(operation: Operation, values: dict[str, str]) -> bytes:
    """Write the request of an operation. Every field is sent, in the interface's order."""
    fields = [(name, values[name]) for name in SIGNATURES[operation].request]
    return envelope(wrapped(operation, "arg0", fields), prefix="soapenv")


def parse(content: bytes) -> etree._Element:
    """Read an envelope and return the one element in its body.

    No entity is expanded and nothing is fetched: what comes over the wire is only data.

    Raises:
        MalformedAnswerError: the content is not a SOAP 1.1 message.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        # A comment inside a field would hide the text that follows it.
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        raise MalformedAnswerError("not XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedAnswerError("a document type declaration, which SOAP forbids")
    body = root.find(f"{{{ENVELOPE}}}Body") if root.tag == f"{{{ENVELOPE}}}Envelope" else None
    elements = [] if body is None else [one for one in body if isinstance(one.tag, str)]
    if len(elements) != 1:
        raise MalformedAnswerError("not a SOAP message")
    return elements[0]


def answer(operation: Operation, content: bytes) -> dict[str, str]:
    """Read the answer of an operation: its fields, each stripped, "" where one is missing.

    Raises:
        PayFiPFaultError: the service answered one of its faults.
        MalformedAnswerError: the answer is none of this interface, or holds none of its fields.
    """
    element = parse(content)
    if element.tag == f"{{{ENVELOPE}}}Fault":
        raise PayFiPFaultError(_fault(element))
    answers = element.tag == f"{{{SERVICE}}}{operation}Response"
    result = _child(element, "return") if answers else None
    if result is None:
        raise MalformedAnswerError(f"no answer of {operation}")
    values = {name: _text(result, name) for name in SIGNATURES[operation].answer}
    if not any(values.values()):
        # Nothing was said of this payment, which is not the same as something wrong.
        raise MalformedAnswerError(f"an empty answer of {operation}")
    return values


def _fault(element: etree._Element) -> FaultDetail:
    detail = element.find("detail")
    for kind in FaultKind:
        found = None if detail is None else _child(detail, kind)
        if found is not None:
            return FaultDetail(kind, *(_text(found, name) for name in FAULT_FIELDS))
    # A fault of the SOAP stack itself, before PayFiP's own code was reached.
    words = (_text(element, "faultcode"), _text(element, "faultstring"))
    return FaultDetail(FaultKind.PROTOCOL, message=" ".join(filter(None, words)))


def _child(parent: etree._Element, name: str) -> etree._Element | None:
    found = (parent.find(f"{where}{name}") for where in _QUALIFICATIONS)
    return next((one for one in found if one is not None), None)


def _text(parent: etree._Element, name: str) -> str:
    element = _child(parent, name)
    return "" if element is None else (element.text or "").strip()
