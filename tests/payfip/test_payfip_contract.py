"""The interface, byte for byte: names, order, qualification; and nothing but data comes in."""

from __future__ import annotations

import pytest
import zeep
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from plugins.payfip import contract
from plugins.payfip.contract import ENVELOPE, SERVICE, SIGNATURES, MalformedAnswerError, Operation
from plugins.payfip.faults import FaultKind, PayFiPFaultError

CREATION = {
    "urlredirect": "https://ville.fr/r?a=1&b=2",
    "urlnotif": "https://ville.fr/n",
    "saisie": "T",
    "refdet": "2012TS003000314",
    "objet": "CANTINE",
    "numcli": "006382",
    "montant": "5687",
    "mel": "parent@exemple.fr",
    "exer": "2026",
}

SENT = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n"
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<ns:creerPaiementSecurise xmlns:ns="' + SERVICE.encode() + b'"><arg0>'
    b"<exer>2026</exer><mel>parent@exemple.fr</mel><montant>5687</montant><numcli>006382</numcli>"
    b"<objet>CANTINE</objet><refdet>2012TS003000314</refdet><saisie>T</saisie>"
    b"<urlnotif>https://ville.fr/n</urlnotif>"
    b"<urlredirect>https://ville.fr/r?a=1&amp;b=2</urlredirect>"
    b"</arg0></ns:creerPaiementSecurise></soapenv:Body></soapenv:Envelope>"
)


@pytest.fixture(scope="module")
def wsdl() -> zeep.Client:
    return zeep.Client(str(contract.WSDL))


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """The WSDL's own types, for a validator that is neither ours nor zeep's."""
    tree = etree.parse(str(contract.WSDL))
    xs = "{http://www.w3.org/2001/XMLSchema}"
    parts = {one.get("targetNamespace"): one for one in tree.iter(f"{xs}schema")}
    main = parts[SERVICE]
    resolver_parts = {ns: etree.tostring(part) for ns, part in parts.items() if ns != SERVICE}

    class Resolver(etree.Resolver):
        def resolve(self, url, _id, context):
            return self.resolve_string(resolver_parts[url], context)

    for one in main.iter(f"{xs}import"):
        one.set("schemaLocation", one.get("namespace"))
    parser = etree.XMLParser()
    parser.resolvers.add(Resolver())
    return etree.XMLSchema(etree.fromstring(etree.tostring(main), parser))


def body(message: bytes) -> etree._Element:
    return etree.fromstring(message).find(f"{{{ENVELOPE}}}Body")[0]


def test_the_bytes_of_a_creation() -> None:
    assert contract.request(Operation.CREATE, CREATION) == SENT


@pytest.mark.parametrize(
    ("operation", "values"),
    [
        (Operation.CREATE, CREATION),
        (Operation.PAYMENT, {"idOp": "e19a1e58-4f3a-4038-a2e8-f4a43c22ae99"}),
        (Operation.CLIENT, {"numCli": "006382"}),
    ],
)
def test_requests_are_valid_and_what_zeep_would_send(
    operation: Operation, values: dict[str, str], wsdl: zeep.Client, schema: etree.XMLSchema
) -> None:
    ours = body(contract.request(operation, values))
    schema.assertValid(etree.ElementTree(ours))
    theirs = body(etree.tostring(wsdl.create_message(wsdl.service, operation, arg0=values)))
    assert [(one.tag, one.text) for one in ours.iter()] == [
        (one.tag, one.text) for one in theirs.iter()
    ]


def test_the_wsdl_and_the_signatures_say_the_same(wsdl: zeep.Client) -> None:
    def names(type_: object, child: str) -> tuple[str, ...]:
        inner = dict(type_.elements)[child].type
        return tuple(name for name, _element in inner.elements)

    for operation, signature in SIGNATURES.items():
        element = wsdl.get_element(f"{{{SERVICE}}}{operation}")
        answer = wsdl.get_element(f"{{{SERVICE}}}{operation}Response")
        assert names(element.type, "arg0") == signature.request
        assert names(answer.type, "return") == signature.answer
    service = wsdl.wsdl.services["PaiementSecuriseService"]
    assert list(service.ports) == ["PaiementSecuriseServicePort"]
    for kind in FaultKind:
        fault = wsdl.get_element(f"{{{SERVICE}}}{kind}").type
        assert tuple(name for name, _element in fault.elements) == contract.FAULT_FIELDS


def test_qualified_operation_unqualified_rest() -> None:
    element = body(contract.request(Operation.PAYMENT, {"idOp": "x"}))
    assert [one.tag for one in element.iter()] == [f"{{{SERVICE}}}{Operation.PAYMENT}", "arg0", "idOp"]


FAULT = f"""<S:Envelope xmlns:S="{ENVELOPE}"><S:Body><S:Fault>
<faultcode>S:Server</faultcode>
<faultstring>fr.gouv.finances.cp.tpa.webservice.exceptions.FonctionnelleErreur</faultstring>
<detail><ns2:FonctionnelleErreur xmlns:ns2="{SERVICE}"><code>P5</code><descriptif>Inconnu</descriptif>
<libelle>L</libelle><message/><severite>2</severite></ns2:FonctionnelleErreur></detail>
</S:Fault></S:Body></S:Envelope>""".encode()


def test_a_fault_is_read_word_for_word() -> None:
    with pytest.raises(PayFiPFaultError) as caught:
        contract.answer(Operation.PAYMENT, FAULT)
    assert caught.value.functional
    assert caught.value.detail.raw() == {
        "fault": "FonctionnelleErreur",
        "code": "P5",
        "descriptif": "Inconnu",
        "libelle": "L",
        "message": "",
        "severite": "2",
    }


@pytest.mark.parametrize("kind", list(FaultKind)[1:])
def test_technical_faults_are_the_services_own(kind: FaultKind) -> None:
    with pytest.raises(PayFiPFaultError) as caught:
        contract.answer(Operation.PAYMENT, FAULT.replace(b"FonctionnelleErreur", kind.encode()))
    assert not caught.value.functional


def test_a_fault_of_the_soap_stack_is_not_taken_for_a_result() -> None:
    message = FAULT[: FAULT.index(b"<detail>")] + b"</S:Fault></S:Body></S:Envelope>"
    with pytest.raises(PayFiPFaultError) as caught:
        contract.answer(Operation.PAYMENT, message)
    assert not caught.value.functional


def answer_of(operation: str, inner: str) -> bytes:
    return (
        f'<S:Envelope xmlns:S="{ENVELOPE}"><S:Body><ns2:{operation}Response xmlns:ns2="{SERVICE}">'
        f"<return>{inner}</return></ns2:{operation}Response></S:Body></S:Envelope>"
    ).encode()


def test_missing_fields_are_empty_and_unknown_ones_ignored() -> None:
    read = contract.answer(
        Operation.PAYMENT,
        answer_of(Operation.PAYMENT, "<resultrans> P </resultrans><new>1</new><montant/>"),
    )
    assert read["resultrans"] == "P"
    assert read["montant"] == ""
    assert tuple(read) == SIGNATURES[Operation.PAYMENT].answer


@pytest.mark.parametrize(
    "namespace",
    [
        contract.ANSWERS,
        contract.SERVICE,
        contract.REQUESTS,
    ],
)
def test_names_in_the_services_own_namespaces_are_the_same_names(namespace: str) -> None:
    inner = f'<x:resultrans xmlns:x="{namespace}">P</x:resultrans><montant>5687</montant>'
    read = contract.answer(Operation.PAYMENT, answer_of(Operation.PAYMENT, inner))
    assert (read["resultrans"], read["montant"]) == ("P", "5687")
    whole = answer_of(Operation.PAYMENT, "<resultrans>P</resultrans>").replace(
        b"<return>", f'<return xmlns="{namespace}">'.encode()
    )
    assert contract.answer(Operation.PAYMENT, whole)["resultrans"] == "P"


def test_a_comment_hides_no_part_of_a_field() -> None:
    inner = "<montant>56<!-- x -->87<?y z?>00</montant>"
    read = contract.answer(Operation.PAYMENT, answer_of(Operation.PAYMENT, inner))
    assert read["montant"] == "568700"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        # Nothing is said of the payment, which is to be asked again and is no anomaly.
        answer_of(Operation.PAYMENT, ""),
        answer_of(Operation.PAYMENT, "<resultrans/><montant> </montant>"),
        answer_of(Operation.PAYMENT, '<resultrans xmlns="urn:x">P</resultrans>'),
        answer_of(Operation.PAYMENT, "<Resultrans>P</Resultrans>"),
        b"<html><body>502</body></html>",
        b"<S:Envelope",
        b'{"error": 1}',
        answer_of("recupererDetailClient", "<numcli>006382</numcli>"),
        f'<S:Envelope xmlns:S="{ENVELOPE}"><S:Body/></S:Envelope>'.encode(),
        # Neither entities nor document types: SOAP forbids them and they are only ever attacks.
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + answer_of(Operation.PAYMENT, "&x;"),
        b'<!DOCTYPE a [<!ENTITY x "y">]>' + answer_of(Operation.PAYMENT, "<refdet>&x;</refdet>"),
    ],
)
def test_anything_else_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        contract.answer(Operation.PAYMENT, content)


@given(st.binary(max_size=200))
def test_noise_is_malformed_and_never_worse(content: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        contract.answer(Operation.CLIENT, content)
