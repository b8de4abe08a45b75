"""Messages of ISO 20022 about direct debits: pain.002, and the camt messages of an account.

Elements are found by their names, whatever the version of the message: banks write several of them
side by side, and add schemas of their own.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Final

from core.domain.bank_accounts import may_be_account, without_accounts
from core.domain.dates import DateError, parse_day
from core.domain.debit_files.report import (
    DebitFileError,
    DebitFileFault,
    DebitLine,
    DebitReport,
    RemittanceSum,
    Told,
)
from core.domain.money import AmountError, parse_amount, parse_decimal

_REPORTS: Final = {
    "CstmrPmtStsRpt": "pain.002",
    "BkToCstmrDbtCdtNtfctn": "camt.054",
    "BkToCstmrStmt": "camt.053",
    "BkToCstmrAcctRpt": "camt.052",
}
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)
_CODE = re.compile(r"[A-Z0-9]{4}")

_DONE: Final = frozenset({"ACSC", "ACCC"})
_REFUSED: Final = "RJCT"
_DEBIT_FAMILIES: Final = frozenset({"IDDT", "RDDT"})
"""Families of bank transactions: direct debits, as who issues and who receives them says it."""
_RETURNS: Final = frozenset({"UPDD", "PRDD", "RPCR", "RRTN", "RJCT"})
"""Their subfamilies: unpaid, reversed, returned."""
_DEBIT_WORDS = re.compile(
    r"\b(?:prlvt?|prelv|pr[eé]l[eè]vements?|sdd|direct debits?)\b", re.IGNORECASE
)
_NO_REFERENCE: Final = frozenset({"", "NOTPROVIDED", "NOT PROVIDED", "NONREF", "NA", "N/A"})


def is_xml(content: bytes) -> bool:
    """True if a file is XML."""
    return content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")


def read_iso20022(content: bytes) -> DebitReport:
    """The debits of a message.

    Raises:
        DebitFileError: it is no sound XML, another message, or an entry of it cannot be read.
    """
    from lxml import etree  # noqa: PLC0415 - few files are XML

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise DebitFileError from None
    if b"<!DOCTYPE" in content:
        raise DebitFileError
    for name, kind in _REPORTS.items():
        report = root if etree.QName(root).localname == name else root.find(f".//{{*}}{name}")
        if report is not None:
            return _statuses(report) if kind == "pain.002" else _entries(report, kind)
    raise DebitFileError


# --- pain.002 ------------------------------------------------------------------------------------


def _statuses(report: Any) -> DebitReport:
    group = report.find("{*}OrgnlGrpInfAndSts")
    named = _text(group, "{*}OrgnlMsgNmId").lower().replace(".", "")
    if named.startswith("pain001"):
        raise DebitFileError(DebitFileFault.TRANSFERS)
    created = _day_or_none(_text(report, "{*}GrpHdr/{*}CreDtTm"))
    lines: list[DebitLine] = []
    pending = 0
    # Each debit inherits the state of what holds it: its remittance, then the whole message.
    holders = [
        (holder, _text(holder, "{*}PmtInfSts") or _text(group, "{*}GrpSts"))
        for holder in report.findall("{*}OrgnlPmtInfAndSts")
    ]
    holders.append((report, _text(group, "{*}GrpSts")))
    for holder, inherited in holders:
        found = holder.findall("{*}TxInfAndSts")
        if not found and inherited == _REFUSED and not report.findall(".//{*}TxInfAndSts"):
            raise DebitFileError(DebitFileFault.WHOLE)
        for entry in found:
            state = _text(entry, "{*}TxSts") or inherited
            if state == _REFUSED:
                told = Told.REJECTED
            elif state in _DONE:
                told = Told.SETTLED
            else:
                pending += 1
                continue
            reasons = (entry, holder) if holder is report else (entry, holder, group)
            lines.append(_status(entry, len(lines) + 1, told, created, reasons))
    return DebitReport("pain.002", tuple(lines), pending=pending)


def _status(
    entry: Any, rank: int, told: Told, created: date | None, reasons: tuple[Any, ...]
) -> DebitLine:
    original = entry.find("{*}OrgnlTxRef")
    collected = _day_or_none(
        _text(original, "{*}ReqdColltnDt") or _text(original, "{*}IntrBkSttlmDt")
    )
    days = [day for day in (collected, created) if day is not None]
    if told is Told.SETTLED:
        # The day of the debit, not that of the message about it.
        days = [collected] if collected is not None else days
    return DebitLine(
        rank,
        told,
        _references(entry, "{*}OrgnlEndToEndId", "{*}OrgnlInstrId", "{*}OrgnlTxId")
        + _references(original, "{*}RmtInf/{*}Strd/{*}CdtrRefInf/{*}Ref"),
        _words(original),
        _cents(original, "{*}Amt/{*}InstdAmt", "{*}IntrBkSttlmAmt", "{*}InstdAmt"),
        max(days, default=None),
        _reason(*(found for holder in reasons for found in _all(holder, "{*}StsRsnInf"))),
    )


# --- camt ----------------------------------------------------------------------------------------


def _entries(report: Any, kind: str) -> DebitReport:
    lines: list[DebitLine] = []
    sums: list[RemittanceSum] = []
    pending = others = 0
    for entry in report.iter("{*}Ntry"):
        status = _text(entry, "{*}Sts/{*}Cd") or _text(entry, "{*}Sts") or "BOOK"
        if status != "BOOK":
            pending += 1
            continue
        on = _entry_day(entry)
        details = entry.findall("{*}NtryDtls/{*}TxDtls")
        batch = entry.find("{*}NtryDtls/{*}Btch")
        if not details and _is_debit(entry, None) and _side(entry, None) > 0:
            count = _text(batch, "{*}NbOfTxs")
            sums.append(
                RemittanceSum(
                    on, _amount_of(entry), int(count) if _is_number(count) else None
                )
            )
            continue
        for detail in details or [entry]:
            line = _transaction(entry, detail, len(lines) + 1, on, alone=len(details) < 2)
            if line is None:
                others += 1
            else:
                lines.append(line)
    return DebitReport(kind, tuple(lines), tuple(sums), pending, others)


def _transaction(
    entry: Any, detail: Any, rank: int, on: date, *, alone: bool
) -> DebitLine | None:
    """A debit, or one that came back; None for any other movement."""
    side = _side(entry, detail)
    returned = _all(detail, "{*}RtrInf")
    codes = _codes(entry, detail)
    of_transfer = bool(codes) and not codes & _DEBIT_FAMILIES
    if side < 0 and not of_transfer and (returned or _is_return(entry, detail)):
        told = Told.REJECTED
    elif side > 0 and not returned and not _is_return(entry, detail) and _is_debit(entry, detail):
        told = Told.SETTLED
    else:
        return None
    cents = _cents(
        detail, "{*}AmtDtls/{*}InstdAmt/{*}Amt", "{*}AmtDtls/{*}TxAmt/{*}Amt", "{*}Amt"
    )
    if cents is None and alone:
        cents = _amount_of(entry)
    return DebitLine(
        rank,
        told,
        _references(
            detail, "{*}Refs/{*}EndToEndId", "{*}Refs/{*}InstrId", "{*}Refs/{*}TxId",
            "{*}RmtInf/{*}Strd/{*}CdtrRefInf/{*}Ref", "{*}RmtInf/{*}Strd/{*}RfrdDocInf/{*}Nb",
        ),
        _words(detail),
        cents,
        on,
        _reason(*returned),
    )  # fmt: skip


def _side(entry: Any, detail: Any) -> int:
    """The direction of the money: 1 in, -1 out. A detail may differ from its entry."""
    said = _text(detail, "{*}CdtDbtInd") or _text(entry, "{*}CdtDbtInd")
    side = {"CRDT": 1, "DBIT": -1}.get(said)
    if side is None:
        raise DebitFileError(DebitFileFault.SIDE, entry.sourceline or 0)
    return side


def _codes(entry: Any, detail: Any) -> set[str]:
    """Families and subfamilies of a movement, and the bank's own codes."""
    paths = ("{*}BkTxCd/{*}Domn/{*}Fmly/{*}Cd", "{*}BkTxCd/{*}Domn/{*}Fmly/{*}SubFmlyCd")
    found = {_text(detail, path) or _text(entry, path) for path in paths}
    return found - {""}


def _is_debit(entry: Any, detail: Any) -> bool:
    codes = _codes(entry, detail)
    if codes:
        return bool(codes & _DEBIT_FAMILIES)
    # Without the standard's codes: a mandate, or the bank's words.
    said = " ".join(
        (_text(entry, "{*}AddtlNtryInf"), _text(detail, "{*}AddtlTxInf"))
    )
    return bool(_text(detail, "{*}Refs/{*}MndtId") or _DEBIT_WORDS.search(said))


def _is_return(entry: Any, detail: Any) -> bool:
    codes = _codes(entry, detail)
    is_reversal = _text(entry, "{*}RvslInd").lower() in {"true", "1"}
    return bool(codes & _DEBIT_FAMILIES and (codes & _RETURNS or is_reversal)) or (
        is_reversal and _is_debit(entry, detail)
    )


def _entry_day(entry: Any) -> date:
    for path in ("{*}BookgDt/{*}Dt", "{*}BookgDt/{*}DtTm", "{*}ValDt/{*}Dt", "{*}ValDt/{*}DtTm"):
        found = _text(entry, path)
        if found:
            day = _day_or_none(found)
            if day is not None:
                return day
    raise DebitFileError(DebitFileFault.DATE, entry.sourceline or 0)


def _amount_of(entry: Any) -> int:
    cents = _cents(entry, "{*}Amt")
    if cents is None:
        raise DebitFileError(DebitFileFault.AMOUNT, entry.sourceline or 0)
    return cents


# --- Pieces --------------------------------------------------------------------------------------


def _all(element: Any, path: str) -> list[Any]:
    return [] if element is None else list(element.findall(path))


def _text(element: Any, path: str) -> str:
    return "" if element is None else (element.findtext(path) or "").strip()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _references(element: Any, *paths: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for path in paths:
        for one in _all(element, path):
            text = " ".join((one.text or "").split())
            if text.upper() not in _NO_REFERENCE and not may_be_account(text):
                found[text[:70]] = None
    return tuple(found)


def _words(element: Any) -> str:
    found = (one.text or "" for one in _all(element, "{*}RmtInf/{*}Ustrd"))
    # A query may be logged with what it looks for.
    return without_accounts(" ".join(" ".join(found).split()))[:500]


def _cents(element: Any, *paths: str) -> int | None:
    """The first amount that is there.

    Raises:
        DebitFileError: it is none, or not in euros.
    """
    for path in paths:
        for amount in _all(element, path):
            if amount.get("Ccy", "EUR") != "EUR":
                raise DebitFileError(DebitFileFault.CURRENCY, amount.sourceline or 0)
            return _amount(amount)
    return None


def _amount(element: Any) -> int:
    text = (element.text or "").strip()
    for parse in (parse_decimal, parse_amount):
        try:
            cents = parse(text)
        except AmountError:
            continue
        if cents > 0:
            return cents
        break
    raise DebitFileError(DebitFileFault.AMOUNT, element.sourceline or 0)


def _day_or_none(text: str) -> date | None:
    found = _DAY.match(text)
    try:
        return parse_day("-".join(found.groups())) if found else None
    except DateError:
        return None


def _reason(*holders: Any) -> str:
    for holder in holders:
        for path in ("{*}Rsn/{*}Cd", "{*}Rsn/{*}Prtry"):
            code = _text(holder, path).upper()
            if _CODE.fullmatch(code):
                return code
    return ""
