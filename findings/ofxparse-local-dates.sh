#!/bin/bash
# ofxparse books a movement on the day before: a time with its offset to UTC is moved to UTC, and the offset
# is thrown away. What was booked just after midnight in Paris stands under the day before.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check ofxparse==0.21
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import io
import sys

from ofxparse import OfxParser

FILE = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
SECURITY:NONE
ENCODING:USASCII
CHARSET:1252
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><DTSERVER>20260131<LANGUAGE>FRA
</SONRS></SIGNONMSGSRSV1><BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS>
<STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<BRANCHID>1<ACCTID>1<ACCTTYPE>CHECKING</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20260101<DTEND>20260131
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>{moment}<TRNAMT>12.10<FITID>1<NAME>CANTINE</STMTTRN>
</BANKTRANLIST><LEDGERBAL><BALAMT>0<DTASOF>20260131</LEDGERBAL></STMTRS></STMTTRNRS>
</BANKMSGSRSV1></OFX>"""


def read(moment):
    parsed = OfxParser.parse(io.BytesIO(FILE.format(moment=moment).encode("cp1252")))
    return str(parsed.account.statement.transactions[0].date)


print("ofxparse", importlib.metadata.version("ofxparse"))
seen = [read("20260105003000[+1:CET]"), read("20260105003000")]
print("expected: the 5th of January for both, or a time with its offset")
print("seen:    ", seen)
sys.exit(seen != ["2026-01-04 23:30:00", "2026-01-05 00:30:00"])
PYTHON
