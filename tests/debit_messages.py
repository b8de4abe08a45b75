"""Messages of ISO 20022 about direct debits, as banks write them."""

from __future__ import annotations

IBAN = "FR7630006000011234567890189"
PAIN = "urn:iso:std:iso:20022:tech:xsd:pain.002.001."
CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.05"


def pain002(*entries: str, version: str = "03", original: str = "pain.008.001.02",
            group: str = "PART", payment: str = "") -> bytes:  # fmt: skip
    """A status report about a remittance."""
    state = f"<PmtInfSts>{payment}</PmtInfSts>" if payment else ""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{PAIN}{version}"><CstmrPmtStsRpt>
<GrpHdr><MsgId>R1</MsgId><CreDtTm>2026-03-09T06:00:00+01:00</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts><OrgnlMsgId>VILLE-2026-03</OrgnlMsgId><OrgnlMsgNmId>{original}</OrgnlMsgNmId>
<GrpSts>{group}</GrpSts></OrgnlGrpInfAndSts>
<OrgnlPmtInfAndSts><OrgnlPmtInfId>LOT-1</OrgnlPmtInfId>{state}{"".join(entries)}</OrgnlPmtInfAndSts>
</CstmrPmtStsRpt></Document>""".encode()


def status(reference: str, code: str = "AM04", *, cents: int = 2000, state: str = "RJCT",
           day: str = "2026-03-10", words: str = "", instruction: str = "I1") -> str:  # fmt: skip
    """A debit in such a report."""
    reason = f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>" if code else ""
    state = f"<TxSts>{state}</TxSts>" if state else ""
    return f"""<TxInfAndSts><StsId>S1</StsId><OrgnlInstrId>{instruction}</OrgnlInstrId>
<OrgnlEndToEndId>{reference}</OrgnlEndToEndId>{state}{reason}
<OrgnlTxRef><Amt><InstdAmt Ccy="EUR">{cents / 100:.2f}</InstdAmt></Amt>
<ReqdColltnDt>{day}</ReqdColltnDt><MndtRltdInf><MndtId>RUM1</MndtId></MndtRltdInf>
<RmtInf><Ustrd>{words}</Ustrd></RmtInf><Dbtr><Nm>DURAND</Nm></Dbtr>
<DbtrAcct><Id><IBAN>{IBAN}</IBAN></Id></DbtrAcct></OrgnlTxRef></TxInfAndSts>"""


def camt(*entries: str, kind: str = "4", version: str = "02") -> bytes:
    """A notification (4), a statement (3) or an intraday report (2) of the account."""
    outer, inner = {
        "4": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"), "3": ("BkToCstmrStmt", "Stmt"),
        "2": ("BkToCstmrAcctRpt", "Rpt"),
    }[kind]  # fmt: skip
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{CAMT}{kind}.001.{version}"><{outer}>
<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-03-10T06:00:00</CreDtTm></GrpHdr>
<{inner}><Id>N1</Id><Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>{"".join(entries)}
</{inner}></{outer}></Document>""".encode()


def entry(*details: str, cents: int = 2000, side: str = "CRDT", family: str = "IDDT",
          sub: str = "ESDD", day: str = "2026-03-10", more: str = "", batch: str = "",
          status: str = "<Sts>BOOK</Sts>") -> str:  # fmt: skip
    """A booked movement."""
    codes = (
        f"<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{family}</Cd><SubFmlyCd>{sub}</SubFmlyCd></Fmly>"
        "</Domn></BkTxCd>" if family else ""
    )  # fmt: skip
    return f"""<Ntry><Amt Ccy="EUR">{cents / 100:.2f}</Amt><CdtDbtInd>{side}</CdtDbtInd>{more}
{status}<BookgDt><Dt>{day}</Dt></BookgDt>{codes}
<NtryDtls>{batch}{"".join(details)}</NtryDtls></Ntry>"""


def detail(reference: str, *, cents: int | None = None, code: str = "", words: str = "",
           side: str = "") -> str:  # fmt: skip
    """A debit of a movement."""
    amount = ""
    if cents is not None:
        amount = (
            f'<AmtDtls><TxAmt><Amt Ccy="EUR">{cents / 100:.2f}</Amt></TxAmt></AmtDtls>'
        )
    side = f"<CdtDbtInd>{side}</CdtDbtInd>" if side else ""
    reason = f"<RtrInf><Rsn><Cd>{code}</Cd></Rsn></RtrInf>" if code else ""
    return f"""<TxDtls><Refs><EndToEndId>{reference}</EndToEndId><MndtId>RUM1</MndtId></Refs>{side}
{amount}<RltdPties><Dbtr><Nm>DURAND</Nm></Dbtr><DbtrAcct><Id><IBAN>{IBAN}</IBAN></Id></DbtrAcct>
</RltdPties><RmtInf><Ustrd>{words}</Ustrd></RmtInf>{reason}</TxDtls>"""


def returned(reference: str, code: str = "AM04", *, cents: int = 2000, day: str = "2026-03-12",
             sub: str = "UPDD") -> str:  # fmt: skip
    """A debit that came back, as a movement of its own."""
    return entry(
        detail(reference, code=code), cents=cents, side="DBIT", sub=sub, day=day,
        more="<RvslInd>true</RvslInd>",
    )  # fmt: skip
