"""The simulator, asked by code that is not ours and clicked through as a parent would."""

from __future__ import annotations

import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import zeep
from lxml import html
from zeep.transports import Transport

from core.testing.waiting import PATIENCE_SECONDS
from plugins.payfip.simulator import ticket
from plugins.payfip.simulator.app import make_simulator
from plugins.payfip.simulator.scenarios import CARDS, Scenario
from plugins.payfip.simulator.store import Store

ASKED = {
    "exer": "2026",
    "mel": "parent@exemple.fr",
    "montant": "8600",
    "numcli": "006382",
    "objet": "CANTINE NOVEMBRE",
    "refdet": "20198701010000000069",
    "saisie": "T",
}


@pytest.fixture
def soap(payfip) -> Iterator[object]:
    """A client that only knows the WSDL the simulator serves."""
    transport = Transport(timeout=PATIENCE_SECONDS, operation_timeout=PATIENCE_SECONDS)
    made = zeep.Client(f"{payfip.service}?wsdl", transport=transport)
    yield made.service
    transport.session.close()


@pytest.fixture
def id_op(soap, portal) -> str:
    return create(soap, portal)


def create(soap, portal, **changes: str) -> str:
    urls = {"urlnotif": f"{portal.base}/n", "urlredirect": f"{portal.base}/retour?x=1"}
    return soap.creerPaiementSecurise(arg0={**ASKED, **urls, **changes})


def detail(soap, id_op: str):
    return soap.recupererDetailPaiementSecurise(arg0={"idOp": id_op})


def code(error: zeep.exceptions.Fault) -> str:
    return next(one.text for one in error.detail.iter("code"))


class Parent:
    """Fills in the pages' own forms, without JavaScript."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.page: httpx.Response | None = None

    def open(self, id_op: str) -> httpx.Response:
        self.page = self.http.get("/tpa/paiementws.web", params={"idop": id_op})
        return self.page

    def press(self, button: str, **values: str) -> httpx.Response:
        document = html.fromstring(self.page.text)
        form = document.forms[0]
        found = next(one for one in form.iter("button") if one.text_content().strip() == button)
        data = {**dict(form.form_values()), **values, found.get("name"): found.get("value")}
        self.page = self.http.post(form.action, data=data)
        return self.page

    def pay(self, id_op: str, number: str, secret: str = "123456") -> httpx.Response:
        self.open(id_op)
        self.press("Payer par carte bancaire")
        self.press("Valider", numero=number, expiration="12/39", cryptogramme="123")
        return self.press("Valider", code=secret)

    @property
    def title(self) -> str:
        return html.fromstring(self.page.text).findtext(".//h1")


@pytest.fixture
def parent(payfip) -> Parent:
    return Parent(payfip.http)


def number(scenario: Scenario) -> str:
    return next(card.number for card in CARDS.values() if card.scenario is scenario)


def test_the_wsdl_names_the_address_it_was_asked_at(payfip) -> None:
    text = payfip.http.get("/tpa/services/securite?wsdl").text
    assert f'location="{payfip.service}"' in text


def test_a_stranger_pays_by_card(soap, id_op: str, parent: Parent, portal, payfip) -> None:
    with pytest.raises(zeep.exceptions.Fault) as caught:
        detail(soap, id_op)
    assert code(caught.value) == "P5"
    assert "FonctionnelleErreur" in caught.value.message

    page = parent.pay(id_op, number(Scenario.ACCEPT))
    assert parent.title == "Paiement accepté"
    for shown in (ASKED["refdet"], "86,00", "#### #### #### 0055", "PAYFIP0", "parent@exemple.fr"):
        assert shown in page.text
    assert f'href="{portal.base}/retour?x=1"' in page.text
    said = detail(soap, id_op)
    # The recorded service answers two digits of the year.
    assert {name: said[name] for name in ASKED} == {**ASKED, "exer": "20"}
    assert (said.resultrans, said.idOp) == ("P", id_op)
    assert (said.dattrans, said.heurtrans) == ("24112026", "1500")
    assert re.fullmatch("[0-9a-f]{6}", said.numauto)
    assert portal.wait(1) == [id_op]
    assert payfip.http.get("/tpa/ticket.pdf", params={"idop": id_op}).content[:5] == b"%PDF-"


def test_a_stranger_is_refused_then_pays_on_the_same_page(soap, id_op: str, parent: Parent) -> None:
    parent.pay(id_op, number(Scenario.REFUSE))
    assert parent.title == "Paiement refusé"
    assert detail(soap, id_op).resultrans == "R"
    parent.pay(id_op, number(Scenario.ACCEPT))
    assert detail(soap, id_op).resultrans == "P"


def test_one_card_does_both(soap, id_op: str, parent: Parent) -> None:
    for expected in "RP":
        parent.pay(id_op, number(Scenario.REFUSE_THEN_ACCEPT))
        assert detail(soap, id_op).resultrans == expected


def test_a_stranger_cancels_at_every_step(soap, portal, parent: Parent) -> None:
    for steps in (
        [("Annuler", {})],
        [("Payer par carte bancaire", {}), ("Annuler", {})],
        [("Payer par prélèvement", {}), ("Annuler", {})],
        [
            ("Payer par carte bancaire", {}),
            (
                "Valider",
                {"numero": number(Scenario.ACCEPT), "expiration": "12/39", "cryptogramme": "123"},
            ),
            ("Annuler", {}),
        ],
    ):
        id_op = create(soap, portal)
        parent.open(id_op)
        for button, values in steps:
            parent.press(button, **values)
        assert parent.title == "Paiement annulé"
        assert detail(soap, id_op).resultrans == "A"


def test_direct_debit(soap, id_op: str, parent: Parent) -> None:
    parent.open(id_op)
    parent.press("Payer par prélèvement")
    parent.press("Valider", numero_fiscal="12", mot_de_passe="x")
    assert "13 chiffres" in parent.page.text
    parent.press("Valider", numero_fiscal="1234567890123", mot_de_passe="x", accord="1")
    assert parent.title == "Prélèvement enregistré"
    said = detail(soap, id_op)
    assert said.resultrans == "V"
    assert re.fullmatch("[0-9]{12}-tip", said.numauto)  # As recorded.


def test_refused_direct_debit(soap, id_op: str, parent: Parent) -> None:
    parent.open(id_op)
    parent.press("Payer par prélèvement")
    parent.press("Valider", numero_fiscal="0" * 13, mot_de_passe="x", accord="1")
    assert detail(soap, id_op).resultrans == "Z"


def test_direct_debit_only_where_subscribed(payfip, id_op: str, parent: Parent) -> None:
    payfip.http.put(
        "/_simulator/api/clients/006382", json={"label1": "VILLE", "direct_debit": False}
    )
    assert "prélèvement</button>" not in parent.open(id_op).text


def test_failed_3d_secure_is_a_refusal(soap, id_op: str, parent: Parent) -> None:
    parent.pay(id_op, number(Scenario.ACCEPT), secret="000000")
    assert detail(soap, id_op).resultrans == "R"


def test_no_real_card_is_taken_nor_shown_again(id_op: str, parent: Parent) -> None:
    parent.open(id_op)
    parent.press("Payer par carte bancaire")
    page = parent.press(
        "Valider", numero="4111111111111111", expiration="12/39", cryptogramme="987"
    )
    assert parent.title == "Paiement par carte bancaire"
    assert "4111111111111111" not in page.text
    assert [one.get("value") for one in html.fromstring(page.text).iter("input")] == [
        id_op, None, None, None
    ]


def test_nothing_of_a_card_is_kept_but_four_digits(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    store = Store(path)
    operation = store.create({**ASKED, "urlnotif": "http://x", "urlredirect": "http://y"})
    store.choose_card(operation.id_op, brand="VISA", last4="0055", scenario="accept")
    store.close()
    with closing(sqlite3.connect(path)) as db:
        columns = {row[1] for row in db.execute("PRAGMA table_info(operation)")}
    assert not columns & {"number_of_card", "pan", "cvv", "expiry", "cryptogramme"}
    assert b"4970100000000055" not in path.read_bytes()


def test_a_notification_may_be_lost_doubled_or_out_of_order(
    soap, portal, parent: Parent
) -> None:
    lost, doubled, held, last = (create(soap, portal) for _ in range(4))
    parent.pay(lost, number(Scenario.DROP))
    parent.pay(doubled, number(Scenario.DOUBLE))
    assert portal.wait(2) == [doubled, doubled]
    parent.pay(held, number(Scenario.HOLD))
    parent.pay(last, number(Scenario.ACCEPT))
    assert portal.wait(4)[2:] == [last, held]
    assert detail(soap, lost).resultrans == "P"


def test_a_notification_may_come_late(id_op: str, portal, parent: Parent, clock, payfip) -> None:
    parent.pay(id_op, number(Scenario.LATE))
    time.sleep(0.2)
    assert portal.heard == []
    clock.pass_(seconds=61)
    payfip.simulator.courier.wake()
    assert portal.wait(1) == [id_op]


def test_a_result_may_come_late(soap, id_op: str, parent: Parent, clock) -> None:
    parent.pay(id_op, number(Scenario.SLOW_RESULT))
    with pytest.raises(zeep.exceptions.Fault) as caught:
        detail(soap, id_op)
    assert code(caught.value) == "P5"
    clock.pass_(seconds=61)
    assert detail(soap, id_op).resultrans == "P"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"numcli": "12"}, "T1"),
        ({"numcli": "999999"}, "T2"),
        ({"numcli": "999998"}, "T4"),
        ({"saisie": "A"}, "S1"),
        ({"saisie": "W"}, "S1"),
        ({"montant": "86.00"}, "M1"),
        ({"montant": "99"}, "M3"),
        ({"montant": "10000001"}, "M5"),
        ({"refdet": "2012-TS-00"}, "R3"),
        ({"refdet": "x" * 31}, "R3"),
        ({"mel": ""}, "A1"),
        ({"mel": "a@b"}, "A2"),
        ({"mel": "a@b.fr,c@d.fr"}, "A2"),
        ({"urlnotif": "nowhere"}, "N1"),
        ({"urlredirect": ""}, "D1"),
        ({"objet": "L’école"}, "O1"),
        ({"exer": "MMXXVI"}, "E1"),
    ],
)
def test_fields_are_validated(soap, portal, change: dict[str, str], expected: str) -> None:
    with pytest.raises(zeep.exceptions.Fault) as caught:
        create(soap, portal, **change)
    assert code(caught.value) == expected


def test_the_client_is_described(soap) -> None:
    said = soap.recupererDetailClient(arg0={"numCli": "006382"})
    assert said.numcli == "006382"
    assert said.libelleN1
    with pytest.raises(zeep.exceptions.Fault) as caught:
        soap.recupererDetailClient(arg0={"numCli": "000000"})
    assert code(caught.value) == "T2"


def test_idop_in_lower_case_is_unknown(payfip, id_op: str) -> None:
    """The trap that real implementers fell into."""
    from plugins.payfip.contract import Operation, envelope, wrapped

    message = envelope(wrapped(Operation.PAYMENT, "arg0", [("idop", id_op)]), prefix="S")
    answer = payfip.http.post("/tpa/services/securite", content=message)
    assert answer.status_code == 500
    assert b"<code>P1</code>" in answer.content


def test_the_page_closes_after_a_quarter_of_an_hour(id_op: str, parent: Parent, clock) -> None:
    clock.pass_(minutes=16)
    assert parent.open(id_op).status_code == 409
    assert "P4" in parent.page.text


def test_the_banks_page_outlives_it(soap, id_op: str, parent: Parent, clock) -> None:
    parent.open(id_op)
    parent.press("Payer par carte bancaire")
    clock.pass_(minutes=30)
    parent.press(
        "Valider", numero=number(Scenario.ACCEPT), expiration="12/39", cryptogramme="123"
    )
    parent.press("Valider", code="123456")
    assert detail(soap, id_op).resultrans == "P"


def test_a_page_that_takes_one_try_only(soap, id_op: str, parent: Parent) -> None:
    parent.pay(id_op, number(Scenario.SINGLE_USE))
    assert detail(soap, id_op).resultrans == "R"
    assert "Essayer de nouveau" not in parent.page.text
    assert parent.open(id_op).status_code == 409
    assert "P3" in parent.page.text
    assert "Rien n’a été payé" in parent.page.text


def test_a_result_that_nobody_knows(soap, id_op: str, parent: Parent, payfip, portal) -> None:
    payfip.act(id_op, "unknown")
    assert detail(soap, id_op).resultrans not in set("PVRZA")
    assert portal.wait(1) == [id_op]
    assert "Rien n’a été payé" not in parent.open(id_op).text
    page = payfip.http.get("/tpa/resultat.web", params={"idop": id_op}).text
    assert "Rien n’a été payé" not in page
    assert "code inconnu" in payfip.http.get("/_simulator").text


def test_paid_once_is_paid(id_op: str, parent: Parent, payfip, soap) -> None:
    parent.pay(id_op, number(Scenario.ACCEPT))
    assert parent.open(id_op).status_code == 409
    assert "P3" in parent.page.text
    # A parent who comes back to the page after paying must not pay again.
    assert "Rien n’a été payé" not in parent.page.text
    assert "Un paiement a été enregistré" in parent.page.text
    payfip.act(id_op, "cancel")
    assert detail(soap, id_op).resultrans == "P"


def test_what_was_abandoned_is_cleaned_at_night(soap, portal, parent: Parent, clock) -> None:
    abandoned, at_bank = create(soap, portal), create(soap, portal)
    parent.open(at_bank)
    parent.press("Payer par carte bancaire")
    clock.pass_(days=1)
    for id_op, expected in ((abandoned, "P1"), (at_bank, "P5")):
        with pytest.raises(zeep.exceptions.Fault) as caught:
            detail(soap, id_op)
        assert code(caught.value) == expected
    assert parent.open(abandoned).status_code == 404


@pytest.mark.parametrize("kind", ["http_500", "http_502", "malformed", "empty", "timeout"])
def test_ordered_faults(payfip, soap, kind: str) -> None:
    payfip.fault(kind, operation="recupererDetailClient", count=1)
    with pytest.raises(Exception, match=r".*"):
        soap.recupererDetailClient(arg0={"numCli": "006382"})
    assert soap.recupererDetailClient(arg0={"numCli": "006382"}).numcli == "006382"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("technical", "TechDysfonctionnementErreur"),
        ("unavailable", "TechIndisponibiliteErreur"),
        ("protocol", "TechProtocolaireErreur"),
    ],
)
def test_technical_faults(payfip, soap, kind: str, name: str) -> None:
    payfip.fault(kind)
    with pytest.raises(zeep.exceptions.Fault) as caught:
        soap.recupererDetailClient(arg0={"numCli": "006382"})
    assert name in caught.value.message
    assert payfip.http.get("/_simulator/api/faults").json() == []


def test_amounts_steer_creation(soap, portal) -> None:
    with pytest.raises(zeep.exceptions.Fault) as caught:
        create(soap, portal, montant="50013")
    assert "TechDysfonctionnementErreur" in caught.value.message


def test_the_control_page_steers(payfip, id_op: str, soap) -> None:
    assert ASKED["refdet"] in payfip.http.get("/_simulator").text
    payfip.http.post("/_simulator/action", data={"idop": id_op, "action": "accept"})
    assert detail(soap, id_op).resultrans == "P"
    payfip.http.post("/_simulator/fault", data={"kind": "technical", "count": "2"})
    assert payfip.http.get("/_simulator/api/faults").json()[0]["remaining"] == 2
    payfip.http.post("/_simulator/fault", data={"kind": "clear"})
    assert payfip.http.get("/_simulator/api/faults").json() == []


def test_nonsense_orders_are_refused(payfip, id_op: str) -> None:
    post = payfip.http.post
    assert post("/_simulator/api/faults/order", json={"kind": "?"}).status_code == 400
    assert post(f"/_simulator/api/operations/{id_op}/act", json={"action": "?"}).status_code == 400
    assert post("/_simulator/api/operations/x/act", json={"action": "accept"}).status_code == 404


def test_memory_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    urls = {"urlnotif": "http://x", "urlredirect": "http://y"}
    first = make_simulator(state=path)
    paid = first.store.create({**ASKED, **urls})
    first.bank.pay_by_card(paid)
    waiting = first.store.create({**ASKED, **urls})
    first.close()
    second = make_simulator(state=path)
    assert second.store.operation(paid.id_op).resultrans == "P"
    assert second.store.operation(waiting.id_op).resultrans == ""
    # What was not sent before the stop is sent after it.
    assert [one.done for one in second.store.effects(paid.id_op)] == [0, 0]
    second.close()


def test_every_page_is_strict_marked_and_labelled(id_op: str, parent: Parent, payfip) -> None:
    pages = [
        parent.open(id_op),
        parent.press("Payer par carte bancaire"),
        parent.press("Valider", numero="", expiration="", cryptogramme=""),
        parent.press(
            "Valider", numero=number(Scenario.ACCEPT), expiration="12/39", cryptogramme="123"
        ),
        parent.press("Valider", code="123456"),
        payfip.http.get("/tpa/prelevement.web", params={"idop": id_op}),
        payfip.http.get("/tpa/paiementws.web?idop=unknown"),
        payfip.http.get("/_simulator"),
    ]
    for page in pages:
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        document = html.fromstring(page.text)
        assert document.get("lang") == "fr"
        assert "Simulation" in document.find(".//header").text_content()
        assert len(document.findall(".//h1")) == 1
        assert not document.findall(".//script")
        assert not document.xpath("//@style | //@onclick | //@onsubmit")
        for field in document.xpath("//input[@type!='hidden'] | //select"):
            labelled = document.xpath(f"//label[@for='{field.get('id')}']") if field.get("id") else []
            assert labelled or field.xpath("ancestor::label"), html.tostring(field)
        for id_ in " ".join(document.xpath("//@aria-describedby")).split():
            assert document.xpath(f"//*[@id='{id_}']")
        assert len(set(document.xpath("//@id"))) == len(document.xpath("//@id"))


def test_the_stylesheet_is_served(payfip) -> None:
    answer = payfip.http.get("/_simulator/static/simulator.css")
    assert answer.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(("cents", "text"), [(100, "1,00\u00a0€"), (123456, "1\u202f234,56\u00a0€")])
def test_amounts_are_written_in_french(cents: int, text: str) -> None:
    assert ticket.euros(cents) == text


@pytest.mark.parametrize("digits", list(CARDS))
def test_test_cards_have_a_right_check_digit(digits: str) -> None:
    doubled = [int(char) * (2 if i % 2 else 1) for i, char in enumerate(reversed(digits))]
    assert sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def test_the_ticket_is_mailed(tmp_path: Path, clock) -> None:
    from aiosmtpd.handlers import Message

    from core.dev.mail_server import MailServer

    received = []

    class Keep(Message):
        def handle_message(self, message) -> None:
            received.append(message)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = MailServer(Keep(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        simulator = make_simulator(smtp=("127.0.0.1", port), clock=clock.seconds)
        operation = simulator.store.create(
            {**ASKED, "urlnotif": "http://127.0.0.1:9/n", "urlredirect": "http://y"}
        )
        simulator.store.choose_card(operation.id_op, brand="VISA", last4="0055", scenario="accept")
        simulator.bank.pay_by_card(simulator.store.operation(operation.id_op))
        assert simulator.courier.run_due() == 2
        simulator.close()
    finally:
        controller.stop()
    (message,) = received
    assert message["To"] == ASKED["mel"]
    assert "[Simulation]" in message["Subject"]
    body, attached = message.get_payload()
    text = body.get_payload(decode=True).decode()
    assert ASKED["refdet"] in text
    assert "aucun argent" in text
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_payload(decode=True)[:5] == b"%PDF-"
