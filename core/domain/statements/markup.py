"""Statements that banks write for programs: OFX, and camt.053 of ISO 20022."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from core.domain.dates import DateError, parse_day
from core.domain.money import AmountError, parse_amount, parse_decimal
from core.domain.statements.movement import Credit, StatementError, StatementFault

MAX_TAGS: Final = 100_000
"""A month of a large town has some twenty thousand; ofxtools takes the square of nested ones."""

_OFX = re.compile(r"<OFX\b", re.IGNORECASE)
_CAMT = re.compile(rb"BkToCstmr(?:Stmt|AcctRpt|DbtCdtNtfctn)\b")
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)


def is_ofx(text: str) -> bool:
    """True if a file is OFX, of either of its two syntaxes."""
    return bool(_OFX.search(text[:4000]))


def is_camt(content: bytes) -> bool:
    """True if a file is a statement of ISO 20022."""
    return content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and bool(
        _CAMT.search(content[:4000])
    )


def read_ofx(text: str) -> list[Credit]:
    """The movements of all accounts in the file.

    Raises:
        StatementError: it is no OFX, or a movement cannot be read.
    """
    from ofxtools.Parser import TreeBuilder  # noqa: PLC0415 - few files are OFX

    found = _OFX.search(text)
    body = text[found.start() :] if found else ""
    if body.count("<") > MAX_TAGS:
        raise StatementError(0, StatementFault.CELL)
    builder = TreeBuilder()
    try:
        builder.feed(body.replace("/>", ">"))
        root = builder.close()
    except (SyntaxError, AssertionError, IndexError) as error:
        # Its own error of parsing and that of the tree below it are both of this kind.
        raise StatementError(0) from error
    if root is None or not body.rstrip().upper().endswith("</OFX>"):
        raise StatementError(0)
    currencies = {_text(root, path) for path in (".//CURDEF", ".//STMTTRN/CURRENCY/CURSYM")}
    if currencies - {"", "EUR"}:
        raise StatementError(0, StatementFault.CURRENCY)
    # After an empty element the builder leaves one of the same name that holds nothing.
    rows = [row for row in root.iter("STMTTRN") if len(row)]
    return [_ofx_movement(row, number) for number, row in enumerate(rows, start=1)]


def _ofx_movement(row: Any, number: int) -> Credit:
    amount = _amount(_text(row, "TRNAMT"), number)
    kind = _text(row, "TRNTYPE")
    if (kind == "DEBIT" and amount > 0) or (kind == "CREDIT" and amount < 0):
        raise StatementError(number, StatementFault.SIDE)
    label = " ".join(filter(None, dict.fromkeys((_text(row, "NAME"), _text(row, "MEMO")))))
    return Credit(_day(_text(row, "DTPOSTED"), number), label, amount)


def read_camt(content: bytes) -> list[Credit]:
    """The movements that are booked, of all accounts in the file.

    Raises:
        StatementError: it is no sound XML, or an entry cannot be read.
    """
    from lxml import etree  # noqa: PLC0415 - few files are XML

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise StatementError(error.lineno or 0) from None
    if b"<!DOCTYPE" in content:
        raise StatementError(0)
    return list(_entries(root))


def _entries(root: Any) -> Iterator[Credit]:
    for entry in root.iter("{*}Ntry"):
        line = entry.sourceline or 0
        status = entry.findtext("{*}Sts/{*}Cd") or entry.findtext("{*}Sts") or "BOOK"
        if status.strip() != "BOOK":
            continue
        amount = entry.find("{*}Amt")
        if amount is None or amount.get("Ccy") != "EUR":
            raise StatementError(line, StatementFault.CURRENCY)
        sign = {"CRDT": 1, "DBIT": -1}.get((entry.findtext("{*}CdtDbtInd") or "").strip())
        cents = _amount(amount.text or "", line)
        if sign is None or cents < 0:
            raise StatementError(line, StatementFault.SIDE)
        dates = (
            entry.findtext(f"{{*}}{which}/{{*}}{form}")
            for which in ("BookgDt", "ValDt") for form in ("Dt", "DtTm")
        )  # fmt: skip
        on = _day(next(filter(None, dates), ""), line)
        words = [entry.findtext("{*}AddtlNtryInf")]
        words += [found.text for found in entry.iterfind(".//{*}RmtInf/{*}Ustrd")]
        label = " ".join(word.strip() for word in dict.fromkeys(words) if word)[:500]
        yield Credit(on, " ".join(label.split()), sign * cents)


def _text(element: Any, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _amount(text: str, line: int) -> int:
    try:
        return parse_decimal(text)
    except AmountError:
        pass
    try:  # Some French banks write a comma where the standard wants a point.
        return parse_amount(text)
    except AmountError:
        raise StatementError(line, StatementFault.AMOUNT) from None


def _day(text: str, line: int) -> Any:
    found = _DAY.match(text.strip())
    try:
        return parse_day("-".join(found.groups()) if found else "")
    except DateError:
        raise StatementError(line, StatementFault.DATE) from None
