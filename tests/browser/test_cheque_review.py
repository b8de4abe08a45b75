"""The cheque desk in a real browser, with the keyboard alone: telephone and desk."""

from __future__ import annotations

import re
import threading

import pytest
from sqlalchemy import select
from visitor import DESK, PHONE
from waitress.server import create_server

from core.dev.embedded import free_port
from core.domain.roles import Role
from core.processes.app import make_app
from core.testing.portal import make_portal, record
from plugins.cheque_import import plugin
from plugins.cheque_import.matcher.normalise import bare, check_character
from plugins.cheque_import.models import Cheque, ChequeState

pytestmark = pytest.mark.browser

TOML = """
[plugins.cheque_import]
account_key = "0123456789abcdef0123"
"""
HEADER = "remise;rang;cheque;z3;z2;montant;emetteur;banque;ref;code_famille;date_cheque"


def ref(number: str) -> str:
    return f"{number}-{check_character(bare(number))}"


FILE = "\n".join((
    HEADER,
    f"R7;1;0000001;099999000011;012345678901;56,87;M OU MME DURAND;LA POSTE;{ref('2026-0001')};;",
    f"R7;2;0000002;099999000012;012345678902;80,00;MARTIN LEA;BNP;{ref('2026-0002')};;",
    "R7;3;0000003;099999000013;012345678903;45,00;LEROY;LA POSTE;;;",
    "R7;4;0000004;099999000014;012345678904;33,33;ASSOCIATION;;;;",
)).encode()  # fmt: skip


@pytest.fixture
def office(database, redis, tmp_path):
    """A portal behind a real HTTP server, and the token of its régisseur."""
    port = free_port()
    portal = make_portal(
        database, tmp_path, plugins={"cheque_import": plugin}, toml=TOML,
        public_base_url=f"http://localhost:{port}",
    )  # fmt: skip
    portal.publish(
        record("2026-0001"),
        record("2026-0002", family="F002", amount=8500, debtor="MARTIN Léa"),
        record("2026-0003", family="F003", amount=4500, debtor="LEROY Céline"),
        record("2026-0004", family="F004", amount=4500, debtor="LEROY Paul"),
        record("2026-0005", family="F005", amount=4500, debtor="BENALI Karim"),
    )
    with portal.town() as town:
        agent = town.agents.create("regie@valmont.fr", "Claude Martin", Role.REGISSEUR)
        town.agents.get(agent).password_hash = "x"
        token = town.agent_sessions.open(agent)
    server = create_server(make_app(portal.runtime), host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield portal, f"http://localhost:{port}/valmont/+cheque_import", token
    server.close()
    thread.join(5)
    portal.runtime.close()


def state_of(portal) -> list[str]:
    with portal.town() as town:
        return [row.state for row in town.session.scalars(select(Cheque).order_by(Cheque.rank))]


FOCUSED = """() => {
  const it = document.activeElement;
  return it === document.body ? "" : (it.labels?.[0] ?? it).textContent;
}"""


def is_refused(visitor, words: str) -> None:
    """The page comes back with the reason; the browser's own word about the 422 is expected."""
    visitor.page.get_by_text(words).first.wait_for()
    visitor.complaints[:] = [text for text in visitor.complaints if "422" not in text]
    visitor.sees()


def until_focused(visitor, text: str, *, backwards: bool = False) -> None:
    """Press Tab until what has the focus says `text`."""
    for _press in range(80):
        if text in visitor.page.evaluate(FOCUSED):
            return
        visitor.page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"{text!r} cannot be reached with Tab on {visitor.page.url}")


def test_a_slip_from_file_to_bank_with_the_keyboard_alone(office, visit, tmp_path):
    portal, root, token = office
    visitor = visit(DESK)
    visitor.page.context.add_cookies([{"name": "preau_agent", "value": token, "url": root}])
    import_a_file(visitor, root, tmp_path)
    accept_the_certain_one(visitor)
    assert state_of(portal) == ["accepted", "review", "review", "review"]
    review_the_others(visitor)
    assert state_of(portal) == ["accepted", "accepted", "accepted", "to_classify"]
    close_the_slip(visitor, root)
    with portal.town() as town:
        third = town.session.scalars(select(Cheque.id).where(Cheque.rank == 3)).one()
    bounce(visitor, f"{root}/cheque/{third}")
    assert state_of(portal)[2] == ChequeState.BOUNCED


def import_a_file(visitor, root, tmp_path):
    page = visitor.page
    page.goto(f"{root}/import?regie=CANTINE")
    visitor.sees("Importer des chèques")
    source = tmp_path / "remise.csv"
    source.write_bytes(FILE)
    page.get_by_label("Fichier").set_input_files(source)  # The system's dialog is not the page.
    page.get_by_label("Total (contrôle)").focus()
    page.keyboard.type("215,20")
    visitor.picture("cheques-1-import")
    page.keyboard.press("Enter")
    visitor.sees("Enregistrés")
    page.keyboard.press("Enter")  # The link to the queue has the focus.


def accept_the_certain_one(visitor):
    page = visitor.page
    visitor.sees("Chèques à rapprocher", "total juste", "Accepter le chèque certain")
    visitor.picture("cheques-2-queue")
    page.keyboard.press("Enter")  # So has the button that accepts the certain one.
    page.wait_for_function("!document.body.innerText.includes('Accepter le chèque certain')")
    visitor.picture("cheques-3-queue")


def review_the_others(visitor):
    page, press = visitor.page, visitor.page.keyboard.press
    press("Enter")  # And the first cheque to examine.
    visitor.sees("Propositions", "MARTIN Léa", "il manque 5,00")
    visitor.picture("cheques-4-cheque")
    press("Enter")  # The first proposal; the next cheque opens.
    visitor.sees("0000003", "LEROY Céline", "LEROY Paul", "BENALI Karim")
    assert page.locator(".proposal").count() >= 3
    visitor.picture("cheques-5-candidates")
    until_focused(visitor, "Nom ou code famille")
    page.keyboard.type("leroy paul")
    press("Enter")
    visitor.sees("Garder le reste comme avoir")
    visitor.picture("cheques-6-split")
    until_focused(visitor, "Enregistrer cette répartition")
    press("Enter")
    visitor.sees("0000004")
    until_focused(visitor, "Pourquoi")
    page.keyboard.type("payeur inconnu")
    until_focused(visitor, "Laisser en recettes à classer")
    press("Enter")
    visitor.sees("Rien n’attend")
    visitor.picture("cheques-7-empty")


def close_the_slip(visitor, root):
    page, press = visitor.page, visitor.page.keyboard.press
    page.goto(f"{root}/remises?regie=CANTINE")
    visitor.sees("Prochaine remise")
    page.keyboard.type("5")  # The control count has the focus; it is wrong.
    press("Enter")
    is_refused(visitor, "Le contrôle ne tombe pas juste")
    visitor.picture("cheques-8-refused")
    press("Control+a")
    page.keyboard.type("4")
    press("Enter")
    visitor.sees("2026-CANTINE-0001")
    visitor.picture("cheques-9-slips")


def bounce(visitor, address):
    page = visitor.page
    page.goto(address)
    visitor.sees("Historique", "remis en banque")
    visitor.picture("cheques-10-decided")
    until_focused(visitor, "Chèque revenu impayé")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/\?regie=CANTINE"))
    page.goto(address)
    visitor.sees("revenu impayé", "Présenter à nouveau")


def test_cheques_are_typed_and_scanned_one_after_another(office, visit):
    """A scanner is a keyboard that ends each line with Enter."""
    portal, root, token = office
    visitor = visit(PHONE)
    page, press = visitor.page, visitor.page.keyboard.press
    page.context.add_cookies([{"name": "preau_agent", "value": token, "url": root}])
    page.goto(f"{root}/saisie?regie=CANTINE")
    visitor.sees("Saisir des chèques")
    page.keyboard.type("24 novembre")
    press("Tab")
    press("Tab")
    page.keyboard.type("101,87")
    press("Enter")
    visitor.sees("il manque 101,87")
    check = check_character(bare("2026-0001"))
    page.keyboard.type(f"valmont|CANTINE|2026-0001|{check}|5687")
    press("Enter")
    visitor.sees("Scannez le chèque")
    visitor.picture("cheques-entry-1")
    page.keyboard.type("<0001234<099999000015:012345678906:")
    press("Enter")
    visitor.sees("il manque 45,00", "n° 0001234")
    for _field in ("Coupon", "Ligne CMC7"):
        press("Tab")
    page.keyboard.type("123")
    press("Tab")
    page.keyboard.type("45")
    press("Enter")
    is_refused(visitor, "Le numéro compte 3 chiffres au lieu de 7")
    visitor.picture("cheques-entry-2")
    press("Control+a")
    page.keyboard.type("7654321")
    press("Enter")
    visitor.sees("total juste")
    visitor.picture("cheques-entry-3")
    until_focused(visitor, "Terminer et rapprocher")
    press("Enter")
    visitor.sees("Chèques à rapprocher")
    assert state_of(portal) == ["certain", "review"]
