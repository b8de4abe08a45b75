"""All that reads what somebody else wrote: for each parser what to feed it, and what it may answer.

`test_parsers.py` feeds them for seconds in each run of the tests; `python tests/fuzz/hunt.py` for as
long as one likes, guided by coverage. A target raises only when the parser breaks its promise.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from core.api.context import RegieInfo
from core.api.invoices import InvoiceRecord, SourceFile, SourceNotice, SourceProblem
from core.domain.bank import read_movements
from core.domain.debit_files.reading import read_debits
from core.domain.debit_files.report import DebitFileError
from core.domain.statements.movement import StatementError
from core.imports.format.csv import CsvSource
from core.imports.format.mapped import InvoiceLayout, MappedSource
from core.imports.format.pdf import pdf_problem
from core.messages.email.bounces import read as read_returned
from core.news.markdown import render as markdown_html
from core.platform.signing import LinkError, Links
from plugins.cheque_import.cmc7 import Cmc7Error, read_line
from plugins.cheque_import.readers import ReadFile, read_file
from plugins.payfip.contract import MalformedAnswerError, Operation, answer
from plugins.payfip.faults import PayFiPFaultError
from plugins.payfip.journal import Journal
from plugins.payfip.journal import read as read_journal
from plugins.pes_recette import PesSettings
from plugins.pes_recette.source import PesSource
from plugins.telegram_bot.events import read_update
from plugins.telegram_bot.understanding import understand

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tenants" / "ville-de-demo" / "samples"
REGIES = (
    RegieInfo("CANTINE", "Cantine", collects=True),
    RegieInfo("CRECHE", "Crèche", collects=False),
)


@dataclass(frozen=True)
class Target:
    """A parser: how it is fed, and examples of what it is made for."""

    feed: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


@cache
def folder() -> Path:
    """Where files that are read lie, one at a time."""
    return Path(tempfile.mkdtemp(prefix="preau-fuzz-"))


def invoices(content: bytes, name: str) -> list[object]:
    path = folder() / name
    path.write_bytes(content)
    found = list(CsvSource(REGIES).read(SourceFile(path, name, len(content))))
    assert all(isinstance(item, InvoiceRecord | SourceProblem) for item in found)
    for item in found:
        if isinstance(item, InvoiceRecord):
            assert isinstance(item.amount, int)
            assert "\0" not in item.label + item.number + item.family_code + item.debtor
            for document in filter(None, [item.document]):
                assert isinstance(document.read(), bytes)
    return found


def csv_table(content: bytes) -> object:
    return invoices(content, "factures.csv")


def archive(content: bytes) -> object:
    return invoices(content, "octobre.zip")


def archive_of(content: bytes) -> object:
    """The same bytes as the members of a zip that is whole."""
    tables, _nul, pdf = content.partition(b"\0\0")
    first, _nul, second = tables.partition(b"\0")
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, member in (("factures.csv", first), ("lignes.csv", second), ("a.pdf", pdf)):
            if member:
                made.writestr(name, member)
    return invoices(out.getvalue(), "octobre.zip")


def listed(content: bytes) -> object:
    """A list of another software's, by the columns that a régie kept."""
    path = folder() / "liste.csv"
    path.write_bytes(content)
    titles = {"numero": "Numéro", "code_famille": "Code client", "debiteur": "Famille", "montant": "Total"}
    constants = {"regie": "CANTINE", "libelle": "Liste", "date_facture": "03/11/2026", "date_echeance": "30/11/2026"}
    source = MappedSource("layout-1", "Liste", InvoiceLayout(titles, constants), REGIES)
    found = list(source.read(SourceFile(path, "liste.csv", len(content))))
    assert all(isinstance(item, InvoiceRecord | SourceProblem | SourceNotice) for item in found)
    return found


def pes(content: bytes) -> object:
    path = folder() / "titres.xml"
    path.write_bytes(content)
    source = PesSource(PesSettings(regie="CANTINE"))
    found = list(source.read(SourceFile(path, "titres.xml", len(content))))
    assert all(isinstance(item, InvoiceRecord | SourceProblem | SourceNotice) for item in found)
    return found


def bank_statement(content: bytes) -> object:
    with suppress(StatementError):
        found = read_movements(content)
        assert all(isinstance(movement.amount, int) for movement in found)
        return found
    return None


def debits(content: bytes) -> object:
    with suppress(DebitFileError):
        found = read_debits(content)
        assert all(line.cents is None or line.cents >= 0 for line in found.lines)
        return found
    return None


def cheques(content: bytes) -> object:
    found = read_file("cheques.csv", content)
    assert isinstance(found, ReadFile)
    assert not (found.records and found.problems), "all or nothing"
    assert all(isinstance(record.amount, int) for record in found.records)
    return found


def cheque_line(content: bytes) -> object:
    with suppress(Cmc7Error):
        found = read_line(content.decode("utf-8", "replace"))
        assert len(found.zones.digits) == 31 if found.zones else True
        return found
    return None


def payfip_answer(content: bytes) -> object:
    for operation in Operation:
        with suppress(MalformedAnswerError, PayFiPFaultError):
            fields = answer(operation, content)
            assert all(isinstance(value, str) for value in fields.values())
    return None


def payfip_journal(content: bytes) -> object:
    found = read_journal(content)
    assert isinstance(found, Journal)
    assert all(isinstance(line.amount, int) for line in found.lines)
    return found


def telegram(content: bytes) -> object:
    with suppress(ValueError, RecursionError):  # What the webhook answers 400 to.
        raw = json.loads(content)
        found = read_update("990011", raw)
        if found is not None:
            assert "\0" not in found.text + found.name
            understand(found.text)
        return found
    return understand(content.decode("utf-8", "replace"))


def returned_mail(content: bytes) -> object:
    return read_returned(content, "retours@exemple.fr", "retours+valmont.1.x@exemple.fr")


def pdf(content: bytes) -> object:
    assert isinstance(pdf_problem(content), str)
    return None


def link(content: bytes) -> object:
    with suppress(LinkError):
        Links("k" * 32, "valmont").read("confirm", content.decode("utf-8", "replace"))
        raise AssertionError("a link that we never signed")
    return None


def agents_text(content: bytes) -> object:
    made = str(
        markdown_html(content.decode("utf-8", "replace"), lambda number: f"/image/{number}")
    ).lower()
    for bad in ("<script", "<iframe", "<style", "<svg", 'href="javascript:', 'href="data:'):
        assert bad not in made
    return made


def _sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


PDF = (SAMPLES / "dossier" / "pdf" / "2026-212-000314.pdf").read_bytes()
SOAP = (
    b'<?xml version="1.0" encoding="UTF-8"?><S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">'
    b'<S:Body><ns2:recupererDetailPaiementSecuriseResponse xmlns:ns2="http://securite.service.tpa.cp.finances.gouv.fr/services/mas_securite/contrat_paiement_securise/PaiementSecuriseService">'
    b"<return><idOp>x</idOp><montant>5687</montant><resultrans>P</resultrans></return>"
    b"</ns2:recupererDetailPaiementSecuriseResponse></S:Body></S:Envelope>"
)
BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c SYSTEM "file:///etc/passwd">]>' + SOAP.replace(b"5687", b"&b;&c;")
)
UPDATE = json.dumps({
    "update_id": 1, "message": {
        "message_id": 2, "date": 0, "text": "mes factures", "chat": {"id": 3, "type": "private"},
        "from": {"id": 3, "is_bot": False, "first_name": "Camille", "language_code": "fr"},
    },
}).encode()  # fmt: skip
REFUSED = b"""From: MAILER-DAEMON@exemple.fr
To: retours+valmont.1.x@exemple.fr
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

No.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.exemple.fr

Final-Recipient: rfc822; parent@exemple.fr
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 unknown
--b--
"""

CHEQUES = (
    b"remise;date_remise;rang;cheque;z3;z2;cle;montant;emetteur;banque;ref;code_famille\n"
    b"R1;24/11/2026;1;0001234;099999000015;012345678906;;56,87;DURAND;;;F001\n"
)

LIST = "Numéro;Code client;Famille;Total\nP-314;F01207;MARTIN Céline;56,87\nTotal;;;56,87\n".encode()
STATEMENT = "Date;Réf;Libellé;Débit;Crédit\n24/11/2026;R1;VIR DRFIP;;56,87\n25/11/2026;R2;FRAIS;-1,00;\n".encode()
CFONB = b"0430003012341234501234567890".ljust(34) + b"05241126".ljust(52) + b"VIR DRFIP".ljust(33) + b"{"
CAMT = (
    b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt>'
    b'<Ntry><Amt Ccy="EUR">56.87</Amt><CdtDbtInd>CRDT</CdtDbtInd><BookgDt><Dt>2026-11-24</Dt></BookgDt></Ntry>'
    b"</Stmt></BkToCstmrStmt></Document>"
)
OFX = b"OFXHEADER:100\n\n<OFX><STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20261124<TRNAMT>56.87<FITID>1<NAME>VIR</STMTTRN></OFX>"
DEBITS = (
    b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"><CstmrPmtStsRpt>'
    b"<GrpHdr><MsgId>R1</MsgId><CreDtTm>2026-03-09T06:00:00+01:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts>"
    b"<OrgnlMsgId>V1</OrgnlMsgId><OrgnlMsgNmId>pain.008.001.02</OrgnlMsgNmId><GrpSts>PART</GrpSts></OrgnlGrpInfAndSts>"
    b"<OrgnlPmtInfAndSts><OrgnlPmtInfId>L1</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>2026-0001</OrgnlEndToEndId>"
    b'<TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>AM04</Cd></Rsn></StsRsnInf><OrgnlTxRef><Amt><InstdAmt Ccy="EUR">20.00'
    b"</InstdAmt></Amt><ReqdColltnDt>2026-03-10</ReqdColltnDt></OrgnlTxRef></TxInfAndSts></OrgnlPmtInfAndSts>"
    b"</CstmrPmtStsRpt></Document>"
)
PES = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>'
    '<n:PES_Aller xmlns:n="http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/aller" Id="x1">'
    '<Enveloppe><Parametres><Version V="2"/><TypFic V="PESORMC"/><NomFic V="CANTINE202610"/>'
    '</Parametres><Emetteur><Sigle V="DEMO"/><Adresse V="DEMO 1.0"/></Emetteur></Enveloppe>'
    '<EnTetePES><DteStr V="2026-11-03"/><IdPost V="099001"/><IdColl V="21990001500012"/>'
    '<CodCol V="123"/><CodBud V="00"/></EnTetePES><PES_RecetteAller><EnTeteRecette><IdVer V="2"/>'
    '<InfoDematerialisee V="0"/></EnTeteRecette><Bordereau><BlocBordereau><Exer V="2026"/>'
    '<IdBord V="42"/><DteBordEm V="2026-11-03"/><TypBord V="06"/><NbrPce V="1"/>'
    '<MtBordHt V="56.87"/><DteAsp V="2026-11-05"/><Objet V="CANTINE OCTOBRE 2026"/></BlocBordereau>'
    '<Piece><BlocPiece><IdPce V="9314"/><TypPce V="15"/><NatPce V="01"/>'
    '<ObjPce V="FACTURE 314 OCTOBRE 2026"/><NumDette V="314"/><Per V="1"/>'
    '<NumeroFacture V="2026-010-000314"/></BlocPiece><LigneDePiece><BlocLignePiece><InfoLignePiece>'
    '<IdLigne V="1"/><ObjLignePce V="LEA - REPAS"/><CodProdLoc V="RS01"/><Nature V="7067"/>'
    '<Majo V="0"/><TvaIntraCom V="0"/><MtHT V="41.60"/></InfoLignePiece></BlocLignePiece><Tiers>'
    '<InfoTiers><RefTiers V="F01207"/><CatTiers V="01"/><NatJur V="01"/><TypTiers V="01"/>'
    '<Civilite V="MME"/><Nom V="MARTIN"/><Prenom V="CELINE"/></InfoTiers><Adresse><TypAdr V="1"/>'
    '<Adr2 V="1 RUE DU LAVOIR"/><CP V="99000"/><Ville V="DEMOVILLE"/><CodRes V="0"/></Adresse>'
    '</Tiers></LigneDePiece></Piece></Bordereau></PES_RecetteAller></n:PES_Aller>'
).encode("iso-8859-1")

TARGETS = {
    "invoices_csv": Target(csv_table, (_sample("factures.csv"), _sample("factures-et-lignes.csv"))),
    "invoices_zip": Target(archive, (b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18)),
    "invoices_zip_members": Target(
        archive_of,
        (_sample("dossier/factures.csv") + b"\0" + _sample("dossier/lignes.csv") + b"\0\0" + PDF,),
    ),
    "invoice_pdf": Target(pdf, (PDF,)),
    "invoices_listed": Target(listed, (LIST,)),
    "pes_recette": Target(pes, (PES, BOMB)),
    "bank_statement": Target(bank_statement, (STATEMENT, CFONB, CAMT, OFX)),
    "debits": Target(debits, (DEBITS, "Facture;Montant;État\nR1;56,87;rejeté\n".encode())),
    "cheques": Target(cheques, (
        CHEQUES,
        b"0001234 099999000015 012345678906 12 5687\n", b"PK\x03\x04",
    )),
    "cheque_line": Target(cheque_line, (b"0001234 099999000015 012345678906", b"000?234099999000015012345678906")),
    "payfip_answer": Target(payfip_answer, (SOAP, BOMB, b"<html>")),
    "payfip_journal": Target(payfip_journal, (b"date;refdet;montant;resultat\n24/11/2026;R1;56,87;P\n",)),
    "telegram": Target(telegram, (UPDATE, b"[" * 3000, "où est ma facture ?".encode())),
    "returned_mail": Target(returned_mail, (REFUSED,)),
    "link": Target(link, (b"WzEsImEiXQ.Z0abcd.c2lnbmF0dXJl",)),
    "agents_text": Target(agents_text, (b"# Titre\n\n[a](javascript:alert(1)) <script>x</script>",)),
}  # fmt: skip
