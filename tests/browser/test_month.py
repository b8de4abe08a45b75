"""A régie's month in a real browser: from the import of invoices to the month's arrêté.

The figures that the pages, the files and the books are held against are added up here, from what the
families were billed and gave; nothing of the portal adds them up. Its pictures are those of
docs/regisseurs.md: ``PREAU_TEST_PICTURES=docs/screenshots``.
"""

from __future__ import annotations

import csv
import io
import re
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from debit_messages import pain002, status
from paying import pay_by_card
from pypdf import PdfReader
from sqlalchemy import text
from trail_clock import trail_day
from visitor import DESK, PHONE
from waitress.server import create_server

from core.books.period import Period
from core.dev.embedded import free_port
from core.dev.mail_server import MailServer
from core.dev.mailbox import Receiver, Store
from core.domain.roles import Role
from core.processes.app import make_app
from core.testing.portal import cheap_hashes, make_portal
from plugins.cheque_import import plugin as cheques
from plugins.cheque_import.matcher.normalise import bare, check_character
from plugins.payfip import plugin as payfip
from plugins.payfip.simulator.app import make_simulator, running

pytestmark = pytest.mark.browser

PICTURE_HEIGHT = 1100
"""Pixels of a page that a picture keeps."""
REGIE = "PERISCOLAIRE"
TOML = """
[regies.PERISCOLAIRE]
label = "Régie périscolaire"
cash_float = 50
imputation = {{ "CANTINE" = "7067", "GARDERIE" = "7066" }}

[plugins.payfip]
simulator = "{simulator}"

[plugins.payfip.regies.PERISCOLAIRE]
numcli = "090002"

[plugins.cheque_import]
account_key = "0123456789abcdef0123"
"""

# What is billed, in cents: number, family, name, canteen, day-care, due on, by direct debit.
BILLED = (
    ("2026-1001", "F101", "MARTIN Céline", 4200, 2040, "25/11/2026", "N"),
    ("2026-1002", "F102", "DURAND Paul", 4875, 0, "25/11/2026", "N"),
    ("2026-1003", "F103", "LEROY Anne", 5600, 3520, "25/11/2026", "N"),
    ("2026-1004", "F104", "BENALI Karim", 3750, 0, "25/11/2026", "N"),
    ("2026-1005", "F105", "NGUYEN Lise", 5250, 3210, "25/11/2026", "N"),
    ("2026-1006", "F106", "PETIT Hugo", 6300, 4230, "20/11/2026", "O"),
    ("2026-1007", "F107", "ROUX Inès", 4875, 2440, "20/11/2026", "O"),
    ("2026-1008", "F108", "GARCIA Eva", 5890, 0, "25/11/2026", "N"),
    ("2026-1009", "F109", "LEFÈVRE Luc", 1235, 0, "25/11/2026", "N"),
)  # fmt: skip
DUE = {number: meals + care for number, _family, _name, meals, care, _due, _debit in BILLED}
ONLINE = DUE["2026-1001"]
CHEQUES = DUE["2026-1002"] + DUE["2026-1003"]
CASH, TENDERED = DUE["2026-1004"], 4000
MIXED_CHEQUE = 5000
MIXED_CASH, MIXED_TENDERED = DUE["2026-1005"] - MIXED_CHEQUE, 4000
DEBITS = DUE["2026-1006"] + DUE["2026-1007"]
REJECTED = DUE["2026-1007"]
CAME = ONLINE + CHEQUES + CASH + MIXED_CHEQUE + MIXED_CASH + DEBITS
NET = CAME - REJECTED
TO_TREASURY = DUE["2026-1007"] + DUE["2026-1008"]
SMALL = DUE["2026-1009"]
assert sum(DUE.values()) == NET + TO_TREASURY + SMALL

HEADER = (
    "regie;numero;code_famille;debiteur;libelle;date_facture;date_echeance;montant;prelevement;rang;"
    "enfant;activite;nature_fiscale;quantite;prix_unitaire;montant_ligne"
)
PARENT, DEBTOR = "celine@famille.example", "ines@famille.example"


def euros(cents: int) -> str:
    """As a file writes it."""
    return f"{cents // 100},{cents % 100:02}"


def shown(cents: int) -> str:
    """As a page writes it."""
    whole = f"{cents // 100:,}".replace(",", "\u202f")
    return f"{whole},{cents % 100:02}\u00a0€"


def plain(text: str) -> str:
    """With common spaces, whatever keeps words together."""
    return text.replace("\u202f", " ").replace("\u00a0", " ")


def billing_file() -> bytes:
    """The billing software's file: a row for each line of an invoice."""
    rows = [HEADER]
    for number, family, name, meals, care, due, debit in BILLED:
        lines = [(meals, "CANTINE", "repas"), (care, "GARDERIE", "garde")]
        for rank, (cents, activity, tax) in enumerate((line for line in lines if line[0]), 1):
            rows.append(
                f"{REGIE};{number};{family};{name};PÉRISCOLAIRE octobre;02/11/2026;{due};"
                f"{euros(meals + care)};{debit};{rank};E{family[1:]};{activity};{tax};;;{euros(cents)}"
            )
    return "\n".join(rows).encode("cp1252")


def reference(number: str) -> str:
    """The reference of a coupon, with its check character."""
    return f"{number}-{check_character(bare(number))}"


def cheque_file() -> bytes:
    """The file of the cheque reader: two cheques, each with its coupon."""
    first, second = ((euros(DUE[number]), reference(number)) for number in ("2026-1002", "2026-1003"))
    return "\n".join((
        "remise;rang;cheque;z3;z2;montant;emetteur;banque;ref;code_famille;date_cheque",
        f"R1;1;0000001;099999000011;012345678901;{first[0]};M OU MME DURAND;LA POSTE;{first[1]};;",
        f"R1;2;0000002;099999000012;012345678902;{second[0]};LEROY ANNE;BNP;{second[1]};;",
    )).encode()  # fmt: skip


@dataclass
class Month:
    """The town, its mailbox, and the browsers of its régisseur and of a parent."""

    portal: object
    store: Store
    url: str
    simulator: str
    agent: object = None
    serial: int = 0

    def on(self, day: int, hour: int, month: int = 11) -> None:
        """Let the time come, and let the régisseur come in again: an office session does not last."""
        moment = datetime(2026, month, day, hour, 0, tzinfo=UTC)
        self.portal.clock.pass_time(
            seconds=(moment - self.portal.clock.now()).total_seconds()
        )
        with self.portal.town() as town:
            if not self.serial:
                self.serial = town.agents.create("regie@valmont.fr", "Claude Martin", Role.REGISSEUR)
                town.agents.get(self.serial).password_hash = "x"
            token = town.agent_sessions.open(self.serial)
        self.agent.page.context.add_cookies(
            [{"name": "preau_agent", "value": token, "url": self.url}]
        )

    @property
    def page(self):
        """The régisseur's screen."""
        return self.agent.page

    def goto(self, path: str = "") -> None:
        """Open a page of the back office."""
        self.page.goto(f"{self.url}/regie{path}")

    def says(self, *words: str) -> None:
        """The screen holds all of these, in its words."""
        found = plain(self.page.inner_text("main"))
        for word in words:
            assert plain(word) in found, f"{word!r} is not on {self.page.url}:\n{found}"

    def press(self, name: str) -> None:
        """Press a button, and have the page that answers."""
        with self.page.expect_navigation():
            self.agent.button(name)

    def confirm(self, name: str) -> None:
        """Press a button that waits for its box to be ticked."""
        box = self.page.locator("details.final[open] input[name=sure]")
        unticked = self.page.url
        self.agent.button(name)
        assert self.page.url == unticked, "the browser lets it pass unticked"
        assert box.evaluate("box => !box.validity.valid")
        box.check()
        self.press(name)

    def look(self, name: str, heading: str = "") -> None:
        """The screen fits at both widths, without a complaint; keep its part from `heading` if asked to.

        Other tests have axe judge these pages; here it judges those amid an act (`Visitor.sees`).
        """
        self.agent.fits()
        assert not self.agent.complaints, self.agent.complaints
        if self.agent.pictures:
            self.agent.pictures.mkdir(parents=True, exist_ok=True)
            path = self.agent.pictures / f"month-{name}.png"
            width = self.page.viewport_size["width"]
            end = self.page.evaluate("document.querySelector('footer').offsetTop")
            top = 0
            if heading:
                found = self.page.get_by_role("heading", name=heading, exact=True).bounding_box()
                top = max(found["y"] + self.page.evaluate("window.scrollY") - 24, 0)
            clip = {"x": 0, "y": top, "width": width, "height": min(end - top, PICTURE_HEIGHT)}
            self.page.screenshot(path=path, full_page=True, clip=clip)

    def row(self, label: str) -> str:
        """What the screen's row of this label says."""
        return self.page.locator("tr", has_text=label).first.inner_text()

    def fetch(self, path: str) -> bytes:
        """A file of the back office."""
        answer = self.page.request.get(f"{self.url}/regie{path}")
        assert answer.ok, answer.url
        return answer.body()

    def table(self, path: str) -> list[dict[str, str]]:
        """The rows of a statement's CSV, by column."""
        content = self.fetch(path).decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(content), delimiter=";"))
        start = next(at for at, row in enumerate(rows) if len(row) > 3)
        return [dict(zip(rows[start], row, strict=False)) for row in rows[start + 1 :] if any(row)]

    def mails(self, to: str) -> list[str]:
        """Subjects of what came to an address, the newest first."""
        return [mail.header("Subject") for mail in self.store.mails(to=to)]


def cents(text: str) -> int:
    """Read an amount as files and pages write it."""
    plain = re.sub(r"[^\d,-]", "", text.replace("\u2212", "-"))
    return int(plain.replace(",", "")) if plain else 0


@pytest.fixture
def month(database, redis, tmp_path, visit):
    """The town on the second of November, 2026, before anything was billed."""
    redis.flushall()
    made = []
    with ExitStack() as stack:
        stack.enter_context(cheap_hashes())
        simulator = stack.enter_context(
            # Its couriers look at the clock before the portal is there to have one.
            running(make_simulator(clock=lambda: made[0].clock.now().timestamp() if made else 0.0))
        )
        store = Store(tmp_path / "mailbox")
        mail = MailServer(Receiver(store), hostname="127.0.0.1", port=free_port())
        mail.start()
        stack.callback(mail.stop)
        port = free_port()
        portal = make_portal(
            database, tmp_path / "portal", plugins={"cheque_import": cheques, "payfip": payfip},
            toml=TOML.format(simulator=simulator), public_base_url=f"http://localhost:{port}",
            smtp_port=mail.port,
        )  # fmt: skip
        made.append(portal)
        stack.callback(portal.runtime.close)
        server = create_server(make_app(portal.runtime), host="127.0.0.1", port=port)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        stack.callback(thread.join, 5)
        stack.callback(server.close)
        url = f"http://localhost:{port}/valmont"
        yield Month(portal, store, url, simulator, visit(DESK))


def test_a_month_from_import_to_arrete(month, visit):
    invoices_come_in(month)
    a_parent_pays_online(month, visit(PHONE))
    cheques_are_reconciled(month)
    families_pay_at_the_counter(month)
    the_bank_debits(month)
    the_money_is_remitted(month)
    the_treasury_takes_over(month)
    the_billing_software_is_told(month)
    the_month_is_closed(month)


def invoices_come_in(month):
    month.on(2, 9)
    month.goto("/imports")
    month.page.get_by_label("Fichier").set_input_files(
        {"name": "octobre.csv", "mimeType": "text/csv", "buffer": billing_file()}
    )
    month.press("Vérifier le fichier")
    month.portal.work()
    month.page.reload()
    month.says("octobre.csv", shown(sum(DUE.values())))
    assert "9" in month.row("nouvelles")
    month.look("1-check")
    month.press("Importer ces factures")
    # Two families wrote their address down; they are told when it is published, and not before.
    with month.portal.town() as town:
        for code, address in (("F101", PARENT), ("F107", DEBTOR)):
            town.alerts.add(town.families.by_code(code).id, address)
        town.session.execute(text("UPDATE contact_email SET confirmed_at = now()"))
        town.session.execute(text("DELETE FROM outbox"))
    month.portal.work()
    assert month.mails(PARENT) == []
    month.press("Publier maintenant")
    month.says("publié le")
    month.look("2-published")
    month.portal.work()
    assert len(month.mails(PARENT)) == len(month.mails(DEBTOR)) == 1
    assert shown(ONLINE) in month.store.mails(to=PARENT)[0].text
    month.goto("/factures")
    month.says(shown(sum(DUE.values())))


def a_parent_pays_online(month, parent):
    month.on(5, 20)
    page = parent.page
    page.goto(f"{month.url}/connexion")
    page.get_by_label("Code famille").fill("F101")
    page.get_by_label("Code enfant").fill(month.portal.codes("F101"))
    page.get_by_role("main").get_by_role("button", name="Connexion").click()
    page.goto(f"{month.url}/factures")
    page.get_by_text("Mes factures à régler").first.wait_for()
    assert shown(ONLINE) in page.inner_text("main")
    page.get_by_role("button", name="Payer").click()
    page.get_by_label("Adresse e-mail").fill(PARENT)
    page.get_by_role("button", name="Procéder au paiement").click()
    page.wait_for_url(f"{month.simulator}/**")
    pay_by_card(parent)
    parent.link("Continuer")
    page.get_by_text("Paiement confirmé, merci").first.wait_for()
    assert shown(ONLINE) in page.inner_text("main")
    assert not parent.complaints, parent.complaints
    month.portal.work()
    assert "Votre paiement est enregistré" in month.mails(PARENT)[0]


def cheques_are_reconciled(month):
    month.on(16, 9)
    root = f"{month.url}/+cheque_import"
    page = month.page
    page.goto(f"{root}/import?regie={REGIE}")
    page.get_by_label("Fichier").set_input_files(
        {"name": "lecteur.csv", "mimeType": "text/csv", "buffer": cheque_file()}
    )
    page.get_by_label("Total (contrôle)").fill(euros(CHEQUES))
    month.press("Importer")
    page.get_by_role("status").get_by_text("Enregistrés").wait_for()
    page.goto(f"{root}/?regie={REGIE}")
    month.says("total juste", "Accepter les 2 chèques certains", shown(CHEQUES))
    month.look("3-cheques")
    month.press("Accepter les 2 chèques certains")
    month.says("Rien n’attend")
    page.goto(f"{root}/remises?regie={REGIE}")
    month.says(f"2 chèques, {shown(CHEQUES)}")
    page.get_by_label("Nombre de chèques (contrôle)").fill("2")
    month.press("Arrêter le bordereau")
    month.says(f"2026-{REGIE}-0001", shown(CHEQUES))


def to_the_counter(month, family):
    """Type what the family says into the counter's field, and have its page."""
    month.goto(f"/guichet?q={family}")
    month.page.get_by_role("heading", name="Encaisser au guichet").wait_for()


def families_pay_at_the_counter(month):
    month.on(18, 9)
    page = month.page
    to_the_counter(month, "F104")
    page.get_by_label("Montant reçu").fill(euros(TENDERED))
    page.get_by_label("Moyen de paiement").select_option("cash")
    month.press("Enregistrer le règlement")
    month.says(f"Monnaie à rendre : {shown(TENDERED - CASH)}")

    to_the_counter(month, "F105")
    page.get_by_label("Montant reçu").fill(euros(MIXED_CHEQUE))
    page.get_by_label("Moyen de paiement").select_option("cheque")
    page.get_by_label("Référence", exact=True).fill("n° 7000001, La Poste")
    month.press("Ajouter un moyen de paiement")
    assert page.get_by_label("Montant reçu").nth(1).input_value() == euros(MIXED_CASH)
    page.get_by_label("Montant reçu").nth(1).fill(euros(MIXED_TENDERED))
    page.get_by_label("Moyen de paiement").nth(1).select_option("cash")
    month.says(shown(DUE["2026-1005"]))
    month.agent.sees()
    month.look("4-counter", "Factures réglées")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    month.look("4-counter-phone", "Factures réglées")
    page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
    month.press("Enregistrer le règlement")
    month.says(shown(MIXED_TENDERED - MIXED_CASH), shown(MIXED_CHEQUE))
    month.look("5-payment")
    receipt = page.locator("a", has_text=re.compile("[Rr]eçu")).first.get_attribute("href")
    told = PdfReader(io.BytesIO(page.request.get(f"{month.url}{receipt[len('/valmont'):]}").body()))
    assert euros(MIXED_CHEQUE) in told.pages[0].extract_text()


def the_bank_debits(month):
    month.on(21, 9)
    month.goto()
    month.says("À faire", "2 prélèvements")
    month.look("6-todo")
    month.goto(f"/prelevements?regie={REGIE}&jour=2026-11-20")
    month.says(shown(DEBITS), "PETIT Hugo", "ROUX Inès")
    month.press("Constater les prélèvements")
    month.says("2 prélèvements", shown(DEBITS))
    month.on(24, 9)
    month.goto(f"/prelevements/fichier?regie={REGIE}")
    report = pain002(status("2026-1007", "AM04", cents=REJECTED, day="2026-11-20"))
    month.page.locator("#file").set_input_files(
        {"name": "rejets.xml", "mimeType": "text/xml", "buffer": report}
    )
    month.press("Lire le fichier")
    month.says("ROUX Inès", shown(REJECTED), "AM04")
    month.look("7-reject", "Fichier de prélèvements")
    month.press("Constater ce qui est coché")
    month.says("1 rejet")
    month.portal.work()
    assert len(month.mails(DEBTOR)) > 1
    assert "provision" in month.store.mails(to=DEBTOR)[0].text


def the_money_is_remitted(month):
    month.on(27, 9)
    # The slip of the cheques was a versement of its own; all the rest is still in hand.
    month.goto(f"/comptes/versements?regie={REGIE}")
    month.says(shown(CASH + MIXED_CASH), shown(MIXED_CHEQUE), shown(CHEQUES))
    month.press("Vérifier le versement")
    in_hand = ONLINE + CASH + MIXED_CASH + MIXED_CHEQUE + DEBITS - REJECTED
    month.says(f"Établir le versement de {shown(in_hand)}")
    month.agent.sees()
    month.look("8-remittance")
    month.press("Établir le versement")
    month.says(f"V-2026-{REGIE}-0002", shown(in_hand), "Le journal dit la même chose")
    month.page.get_by_label("Emporté par").fill("Claude Martin")
    month.confirm("Noter le départ")
    month.says("emporté par Claude Martin")
    slip = month.page.locator("a", has_text="Bordereau de versement").get_attribute("href")
    pdf = PdfReader(io.BytesIO(month.fetch(slip.partition("/regie")[2])))
    words = " ".join(page.extract_text() for page in pdf.pages)
    assert euros(CASH + MIXED_CASH) in words
    assert euros(MIXED_CHEQUE) in words
    assert euros(in_hand) in words


def the_treasury_takes_over(month):
    month.on(30, 9)
    month.goto(f"/comptes/transmissions?regie={REGIE}")
    month.says(shown(DUE["2026-1007"]), shown(DUE["2026-1008"]), "moins de 15 €")
    ticked = month.page.locator("label.choice", has=month.page.locator("input:checked"))
    assert ticked.count() == 2
    month.press("Vérifier la liste")
    month.says(f"La trésorerie réclamera {shown(TO_TREASURY)}")
    month.agent.sees()
    month.look("9-handover")
    month.press("Transmettre 2 factures")
    month.says(f"T-2026-{REGIE}-0001", shown(TO_TREASURY))
    month.confirm("Noter le départ")
    month.says("Claude Martin")


def the_billing_software_is_told(month):
    month.goto(f"/comptes/exports?regie={REGIE}")
    # Nine movements: the counter's two means are two, and so are a debit and its reject.
    month.says("9 lignes attendent", shown(NET))
    month.press("Préparer l’export")
    month.page.get_by_role("heading", level=1).get_by_text("Export n°").wait_for()
    month.says(shown(NET))
    month.look("10-export")
    address = month.page.locator("a", has_text="Télécharger le fichier").get_attribute("href")
    content = month.fetch(address.partition("/regie")[2]).decode("utf-8-sig")
    assert len(content.strip().splitlines()) == 1 + 9
    paid: dict[str, int] = {}
    for row in csv.DictReader(io.StringIO(content), delimiter=";"):
        paid[row["facture"]] = paid.get(row["facture"], 0) + cents(row["montant"])
    left = {"2026-1007": 0}
    assert paid == left | {
        number: DUE[number] for number in DUE if number not in ("2026-1007", "2026-1008", "2026-1009")
    }


def the_month_is_closed(month):
    month.on(1, 9, month=12)
    where = f"regie={REGIE}&mois=2026-11"
    month.goto(f"/comptes?{where}")
    month.says(shown(CAME), shown(REJECTED), shown(NET))
    assert cents(month.page.locator(".figures dd").nth(0).inner_text()) == CAME
    assert cents(month.page.locator(".figures dd").nth(1).inner_text()) == -REJECTED
    month.look("11-accounts")

    journal = month.table(f"/comptes/journal.csv?{where}")
    body, foot = journal[:-1], journal[-1]
    amounts = [cents(row["Montant"]) for row in body if row["Montant"]]
    assert sum(amounts) == NET == cents(foot["Montant"])
    assert sorted(amounts) == sorted([
        ONLINE, DUE["2026-1002"], DUE["2026-1003"], CASH, MIXED_CHEQUE, MIXED_CASH,
        DUE["2026-1006"], DUE["2026-1007"], -REJECTED,
    ])  # fmt: skip
    assert sum(cents(row["Versé"]) for row in body) == NET
    assert [int(row["N°"]) for row in body] == list(range(1, len(body) + 1))

    by_means = {row["Moyen"]: cents(row["Net"]) for row in month.table(f"/comptes/moyens.csv?{where}")}
    assert by_means.pop("Total") == NET
    assert sorted(by_means.values()) == sorted(
        [ONLINE, CHEQUES + MIXED_CHEQUE, CASH + MIXED_CASH, DEBITS - REJECTED]
    )
    activities = month.table(f"/comptes/imputation.csv?{where}")
    billed = {"7067": 0, "7066": 0}
    for number, _family, _name, meals, care, _due, _debit in BILLED[:6]:
        billed["7067"] += meals
        billed["7066"] += care
        assert meals + care == DUE[number]
    found = dict.fromkeys(billed, 0)
    for row in activities[:-1]:
        account = next(cell for cell in row.values() if cell in billed)
        found[account] += cents(row["Net"])
    assert found == billed
    with month.portal.town() as town:
        passed = Period(REGIE, trail_day(town).replace(day=1))
    handed = month.table(f"/comptes/transmis.csv?regie={REGIE}&mois={passed.month:%Y-%m}")
    assert cents(handed[-1]["Reste dû"]) == TO_TREASURY
    unpaid = month.table(f"/comptes/impayes.csv?{where}")
    assert euros(SMALL) in str(unpaid[-1])

    month.confirm("Arrêter le mois")
    month.says("Arrêté le 1er décembre 2026", shown(CAME), shown(REJECTED), "Le journal n’a pas changé")
    month.agent.sees()
    month.look("12-closed", "Arrêté du mois")
    closing = month.table(f"/comptes/arrete.csv?{where}")
    assert euros(NET) in str(closing)
    month.goto()
    month.says("À faire")
    month.look("13-dashboard")
    month.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    month.look("14-dashboard-phone", "Facturé et encaissé, mois par mois")
