"""A stranger's client on our simulator: eopayment lives its whole life there, over real HTTP.

eopayment carries the service's real contract and was written against the real service. What its own
tests know of recorded exchanges (codes, words, the layout of faults, the forms of fields) is asked
here of the simulator, so that ours is held to a service that nobody of ours wrote.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import eopayment
import eopayment.payfip_ws as stranger
import httpx
import pytest
import zeep
from eopayment.payfip_ws import PayFiP, PayFiPError
from lxml import etree

from core.testing.waiting import PATIENCE_SECONDS
from plugins.payfip import contract
from plugins.payfip.simulator.app import make_simulator, running
from plugins.payfip.weighing import paid_at

ASKED = {
    "numcli": "090909",
    "saisie": "T",
    "exer": "2019",
    "refdet": "ABCDEFGH",
    "montant": "1000",
    "mel": "payeur@exemple.fr",
    "objet": "coucou",
    "url_notification": "https://portail.exemple.fr/n",
    "url_redirect": "https://portail.exemple.fr/r",
}
BUNDLED = Path(stranger.__file__).parent / "resource" / "PaiementSecuriseService.wsdl"


@dataclass
class PaymentService:
    """A simulator of its own whose clock may be set back, and the strangers that talk with it."""

    base: str
    late: timedelta
    service: PayFiP
    bundled: PayFiP
    http: httpx.Client

    def now(self) -> float:
        return time.time() - self.late.total_seconds()

    def act(self, id_op: str, action: str, **values: object) -> None:
        url = f"{self.base}/_simulator/api/operations/{id_op}/act"
        self.http.post(url, json={"action": action, **values}).raise_for_status()

    def fault(self, kind: str, **values: object) -> None:
        url = f"{self.base}/_simulator/api/faults/order"
        self.http.post(url, json={"kind": kind, **values}).raise_for_status()

    def create(self, **changes: str | None) -> str:
        return str(self.service.get_idop(**{**ASKED, **changes}))


@pytest.fixture(scope="module")
def simulator() -> Iterator[PaymentService]:
    made: list[PaymentService] = []
    app = make_simulator(clock=lambda: made[0].now() if made else time.time())
    with running(app) as base, httpx.Client(timeout=PATIENCE_SECONDS) as http:
        address = f"{base}/tpa/services/securite"
        service, bundled = PayFiP(wsdl_url=f"{address}?wsdl"), PayFiP()
        # The contract that eopayment brings, spoken to our address.
        port = next(iter(next(iter(bundled.client.wsdl.services.values())).ports.values()))
        bundled.client._default_service = bundled.client.create_service(
            str(port.binding.name), address
        )
        made.append(PaymentService(base, timedelta(0), service, bundled, http))
        yield made[0]
        for one in (service, bundled):
            one.client.transport.session.close()


@pytest.fixture(params=["our contract", "the bundled contract"])
def service(request: pytest.FixtureRequest, simulator: PaymentService) -> PayFiP:
    return simulator.service if request.param == "our contract" else simulator.bundled


@pytest.fixture
def backend(simulator: PaymentService) -> Iterator[eopayment.Payment]:
    made = eopayment.Payment(
        "payfip_ws",
        {
            "numcli": ASKED["numcli"],
            "automatic_return_url": ASKED["url_notification"],
            "normal_return_url": ASKED["url_redirect"],
        },
    )
    made.backend.payfip = simulator.service
    simulator.late = timedelta(0)
    yield made
    simulator.late = timedelta(0)


# --- The contract ---------------------------------------------------------------------------------


def described(wsdl: zeep.Client) -> dict[str, object]:
    """Everything that a client takes from a contract: names, namespaces, order, types, bounds."""

    def shape(element: object) -> object:
        type_ = element.type  # type: ignore[attr-defined]
        inner = [
            (name, one.qname, one.min_occurs, one.max_occurs, shape(one))
            for name, one in getattr(type_, "elements", ())
        ]
        return (str(type_.qname), inner)

    found: dict[str, object] = {}
    for service in wsdl.wsdl.services.values():
        for port in service.ports.values():
            found["names"] = (service.name, port.name, str(port.binding.name))
            found["port type"] = str(port.binding.port_type.name)
            for name, operation in port.binding.all().items():
                abstract = operation.abstract
                found[name] = {
                    "action": operation.soapaction,
                    "style": operation.style,
                    "messages": {
                        side: [
                            (str(message.name), part, str(piece.element.qname))
                            for part, piece in message.parts.items()
                        ]
                        for side, message in (
                            ("in", abstract.input_message),
                            ("out", abstract.output_message),
                            *abstract.fault_messages.items(),
                        )
                    },
                    "faults": sorted(operation.faults),
                }
    for name in (
        *contract.Operation,
        *(f"{operation}Response" for operation in contract.Operation),
        *contract.FaultKind,
    ):
        found[f"element {name}"] = shape(wsdl.get_element(f"{{{contract.SERVICE}}}{name}"))
    return found


def test_both_contracts_describe_the_same_messages() -> None:
    theirs = described(zeep.Client(BUNDLED.as_uri()))
    ours = described(zeep.Client(contract.WSDL.as_uri()))
    assert ours == theirs
    assert set(ours) > set(contract.Operation)  # It is not two empty ones that agree.


def test_what_we_send_is_valid_in_the_strangers_contract() -> None:
    main = etree.parse(str(BUNDLED.with_name("PaiementSecuriseService_schema1.xsd")))
    schema = etree.XMLSchema(main)
    for operation, signature in contract.SIGNATURES.items():
        message = contract.request(operation, dict.fromkeys(signature.request, "x"))
        body = etree.fromstring(message).find(f"{{{contract.ENVELOPE}}}Body")
        schema.assertValid(etree.ElementTree(body[0]))


# --- The service, call by call ---------------------------------------------------------------------


def test_client_info(service: PayFiP) -> None:
    said = service.get_info_client(ASKED["numcli"])
    assert said.numcli == ASKED["numcli"]
    assert said.libelleN1


@pytest.mark.parametrize("exer", ["2019", "20", None])
@pytest.mark.parametrize("objet", ["coucou", None])
def test_a_creation(service: PayFiP, exer: str | None, objet: str | None) -> None:
    # zeep gives the text itself where an answer has one field.
    id_op = service.get_idop(**{**ASKED, "exer": exer, "objet": objet})
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id_op)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"refdet": "ABCD"}, "R3.*Le format.*REFDET.*conforme"),
        ({"refdet": "ABCDE"}, "R3"),
        ({"refdet": "x" * 31}, "R3"),
        # Six characters pass; of two mistakes the e-mail address is told before the amount.
        ({"refdet": "ABCDEF", "mel": "payeurexemple.fr", "montant": "9990000001"},
         "A2.*Adresse.*incorrecte"),
        ({"refdet": "ABCDEF", "montant": "9990000001"}, "M5"),
        ({"refdet": "ABCD", "mel": "payeurexemple.fr"}, "R3"),
        ({"mel": None}, "A1"),
        ({"montant": "99"}, "M3"),
        ({"montant": "10.00"}, "M1"),
        ({"numcli": "12"}, "T1"),
        ({"numcli": "999999", "mel": "x"}, "T2"),
        ({"numcli": "999998"}, "T4"),
        ({"saisie": "A"}, "S1"),
        ({"url_notification": None}, "N1"),
        ({"url_notification": "https://portail.exemple.fr/a b"}, "N1"),
        ({"url_redirect": "https://portail.exemple.fr/" + "x" * 250}, "D1"),
        ({"url_redirect": "https://[::1/"}, "D1"),
    ],
)  # fmt: skip
def test_wrong_fields(service: PayFiP, changes: dict[str, str | None], words: str) -> None:
    with pytest.raises(PayFiPError, match=f".*{words}"):
        service.get_idop(**{**ASKED, **changes})


def test_a_url_of_250_characters_passes(simulator: PaymentService) -> None:
    start = "https://portail.exemple.fr/"
    assert simulator.create(url_redirect=start + "x" * (250 - len(start)))


def test_no_result_yet_and_unknown(service: PayFiP, simulator: PaymentService) -> None:
    id_op = simulator.create()
    with pytest.raises(PayFiPError, match=r".*P5.*sultat de la transaction non connu.*"):
        service.get_info_paiement(id_op)
    for unknown in ("cc0cb210-1cd4-11ea-8cca-0213ad91a103", id_op + "0", ""):
        with pytest.raises(PayFiPError, match=r".*P1.*IdOp incorrect.*"):
            service.get_info_paiement(unknown)


def test_a_fault_has_the_recorded_layout(simulator: PaymentService) -> None:
    message = contract.request(contract.Operation.PAYMENT, {"idOp": "unknown"})
    answer = simulator.http.post(f"{simulator.base}/tpa/services/securite", content=message)
    assert answer.status_code == 500
    fault = etree.fromstring(answer.content).find(f".//{{{contract.ENVELOPE}}}Fault")
    assert [(one.tag, one.text) for one in fault][:2] == [
        ("faultcode", "S:Server"),
        ("faultstring", "fr.gouv.finances.cp.tpa.webservice.exceptions.FonctionnelleErreur"),
    ]
    (functional,) = fault.find("detail")
    assert functional.tag == f"{{{contract.SERVICE}}}FonctionnelleErreur"
    assert [(one.tag, one.text) for one in functional] == [
        ("code", "P1"), ("descriptif", None), ("libelle", "IdOp incorrect."), ("severite", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["technical", "unavailable", "protocol"])
def test_technical_faults_are_no_functional_ones(
    service: PayFiP, simulator: PaymentService, kind: str
) -> None:
    simulator.fault(kind)
    with pytest.raises(PayFiPError) as caught:
        service.get_info_client(ASKED["numcli"])
    assert caught.value.code == "unknown"
    assert "Tech" in caught.value.message


@pytest.mark.parametrize("kind", ["http_500", "http_502", "malformed", "empty"])
def test_a_broken_answer_is_an_error_to_the_stranger(
    service: PayFiP, simulator: PaymentService, kind: str
) -> None:
    simulator.fault(kind)
    with pytest.raises(PayFiPError):
        service.get_info_client(ASKED["numcli"])


@pytest.mark.parametrize(
    ("action", "letter", "numauto"),
    [
        ("accept", "P", r"[0-9a-f]{6}"),
        ("debit", "V", r"[0-9]{12}-tip"),
        ("refuse", "R", None),
        ("debit_refuse", "Z", None),
        ("cancel", "A", None),
    ],
)
@pytest.mark.parametrize("exer", ["2019", None])
def test_the_detail_of_each_result(
    service: PayFiP,
    simulator: PaymentService,
    action: str,
    letter: str,
    numauto: str | None,
    exer: str | None,
) -> None:
    id_op = simulator.create(exer=exer)
    simulator.act(id_op, action)
    said = service.get_info_paiement(id_op)
    found = {name: said[name] for name in said}
    at = paid_at(found.pop("dattrans"), found.pop("heurtrans"))
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=2)
    authorisation = found.pop("numauto")
    assert re.fullmatch(numauto, authorisation) if numauto else authorisation is None
    assert found == {
        # As in every recorded answer.
        "exer": "20" if exer else None,
        "idOp": id_op,
        "mel": ASKED["mel"],
        "montant": "1000",
        "numcli": ASKED["numcli"],
        "objet": "coucou",
        "refdet": "ABCDEFGH",
        "resultrans": letter,
        "saisie": "T",
    }


# --- The whole life, by eopayment's own backend ----------------------------------------------------


def begun(backend: eopayment.Payment) -> str:
    id_op, kind, url = backend.request(amount="10.00", email=ASKED["mel"], subject="Goûter n° 3")
    assert kind == eopayment.URL
    assert url.endswith(f"/tpa/paiementws.web?idop={id_op}")
    return str(id_op)


def paid_on_the_page(simulator: PaymentService, id_op: str, card: str) -> None:
    with httpx.Client(base_url=simulator.base, follow_redirects=True, timeout=PATIENCE_SECONDS) as parent:
        page = parent.get("/tpa/paiementws.web", params={"idop": id_op})
        assert "10,00" in page.text
        parent.post("/tpa/paiementws.web", data={"idop": id_op, "moyen": "carte"})
        typed = {"idop": id_op, "numero": card, "expiration": "12/39", "cryptogramme": "123"}
        parent.post("/tpa/carte.web", data=typed)
        parent.post("/tpa/3ds.web", data={"idop": id_op, "code": "123456"})


def test_paid_by_card(backend: eopayment.Payment, simulator: PaymentService) -> None:
    id_op = begun(backend)
    assert backend.payment_status(id_op).result == eopayment.WAITING
    paid_on_the_page(simulator, id_op, "4970100000000055")
    # The parent's return, the notification and the poller end in the same question.
    for response in (
        backend.response(f"idop={id_op}"),
        backend.payment_status(id_op, transaction_date=datetime.now(UTC)),
    ):
        assert response.result == eopayment.PAID
        assert response.bank_status == "paid CB"
        assert response.order_id == id_op
        assert response.test
        assert response.transaction_id.split()[1] == id_op
        assert len(response.transaction_id.split()) == 3  # The authorisation stands at its end.


def test_paid_by_direct_debit(backend: eopayment.Payment, simulator: PaymentService) -> None:
    id_op = begun(backend)
    simulator.act(id_op, "debit")
    response = backend.response(f"idop={id_op}")
    assert (response.result, response.bank_status) == (eopayment.PAID, "paid direct debit")
    assert response.transaction_id.endswith("-tip")


def test_refused(backend: eopayment.Payment, simulator: PaymentService) -> None:
    id_op = begun(backend)
    paid_on_the_page(simulator, id_op, "4970100000000147")
    response = backend.payment_status(id_op)
    assert (response.result, response.bank_status) == (eopayment.DENIED, "refused CB")
    assert len(response.transaction_id.split()) == 2


def test_cancelled(backend: eopayment.Payment, simulator: PaymentService) -> None:
    id_op = begun(backend)
    simulator.act(id_op, "cancel")
    response = backend.payment_status(id_op)
    assert response.result == eopayment.WAITING  # For the first two minutes.
    simulator.late = timedelta(minutes=4)
    id_op = begun(backend)
    simulator.act(id_op, "cancel")
    simulator.late = timedelta(0)
    response = backend.payment_status(id_op)
    assert (response.result, response.bank_status) == (eopayment.CANCELLED, "cancelled CB")


def test_expired(backend: eopayment.Payment, simulator: PaymentService) -> None:
    id_op = begun(backend)
    now = datetime.now(UTC)
    waiting = backend.payment_status(id_op, transaction_date=now - timedelta(minutes=119))
    expired = backend.payment_status(id_op, transaction_date=now - timedelta(minutes=125))
    assert (waiting.result, expired.result) == (eopayment.WAITING, eopayment.EXPIRED)
    simulator.act(id_op, "forget")
    assert backend.payment_status(id_op, transaction_date=now).result == eopayment.EXPIRED


def test_a_result_that_nobody_knows(backend: eopayment.Payment, simulator: PaymentService) -> None:
    id_op = begun(backend)
    simulator.act(id_op, "unknown")
    assert backend.payment_status(id_op).result == eopayment.ERROR


def test_the_notification_is_known_as_payfips(simulator: PaymentService, portal) -> None:
    """What the simulator posts, eopayment takes for a notification of this service."""
    id_op = simulator.create(url_notification=f"{portal.base}/n")
    simulator.act(id_op, "accept")
    assert portal.wait(1) == [id_op]
    assert stranger.Payment.guess(body=portal.bodies[0]) == id_op
