"""The address that PayFiP notifies hears every spelling, and believes none."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyramid.request import Request

from plugins.payfip.views import notification


@dataclass
class Asks:
    """`ctx.payments`, which only remembers what it was asked."""

    asked: list[str] = field(default_factory=list)

    def ask_again(self, provider: str, reference: str) -> bool:
        assert provider == "payfip"
        self.asked.append(reference)
        return reference == ID_OP


ID_OP = "e19a1e58-4f3a-4038-a2e8-f4a43c22ae99"
FORM = "application/x-www-form-urlencoded"
PART = f'--b\r\nContent-Disposition: form-data; name="idOp"\r\n%s\r\n{ID_OP}\r\n--b--\r\n'
SPELLINGS = {
    "as documented": ("", FORM, f"idOp={ID_OP}"),
    "small": ("", FORM, f"idop={ID_OP}"),
    "capital": ("", FORM, f"IDOP={ID_OP}"),
    "capital id": ("", FORM, f"idOp={ID_OP.upper()}"),
    "without dashes": ("", FORM, f"idOp={ID_OP.replace('-', '')}"),
    "padded": ("", FORM, f"idOp=+%20{ID_OP}%0D%0A"),
    "padded raw": ("", FORM, f" idOp = {ID_OP} \r\n"),
    "among others": ("", FORM, f"resultrans=P&montant=5687&idOp={ID_OP}&x=1"),
    "twice": ("", FORM, f"idOp={ID_OP}&idop={ID_OP}"),
    "in the query": (f"idop={ID_OP}", FORM, ""),
    "in the query alone": (f"idOp={ID_OP}", "", ""),
    "other in the query": ("idop=none", FORM, f"idOp={ID_OP}"),
    "latin-1": ("", f"{FORM}; charset=ISO-8859-1", f"idOp={ID_OP}&objet=cantine+f%E9vrier"),
    "nonsense": ("", f"{FORM}; charset=x-nonsense", f"idOp={ID_OP}"),
    "no type": ("", "", f"idOp={ID_OP}"),
    "text": ("", "text/plain", f"idOp={ID_OP}"),
    "text alone": ("", "text/plain", f"{ID_OP}\n"),
    "json": ("", "application/json", f'{{"idOp": "{ID_OP}", "resultrans": "P"}}'),
    "xml": ("", "text/xml", f"<n:notification><n:idOp>{ID_OP}</n:idOp></n:notification>"),
    "multipart": ("", "multipart/form-data; boundary=b", PART % ""),
    "multipart with headers": (
        "",
        "multipart/form-data; boundary=b",
        PART % "Content-Type: text/plain; charset=US-ASCII\r\nContent-Transfer-Encoding: 8bit\r\n",
    ),
    "multipart without a boundary": ("", "multipart/form-data", PART % ""),
    "escaped twice": ("", FORM, f"idOp%3D{ID_OP.replace('-', '%252D')}"),
}


def knock(payments: Asks, query: str, kind: str, body: bytes, method: str = "POST") -> int:
    request = Request.blank(f"/?{query}", method=method, body=body)
    request.environ["CONTENT_TYPE"] = kind
    request.ctx = SimpleNamespace(payments=payments)
    return notification(request).status_code


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_notification_is_heard_however_it_is_spelt(spelling: str, encoding: str) -> None:
    """Naive: read one field of one kind of form. Receivers met several, twice within nine days."""
    query, kind, body = SPELLINGS[spelling]
    payments = Asks()
    assert knock(payments, query, kind, body.encode(encoding)) == 200
    assert ID_OP in payments.asked
    assert len(payments.asked) <= 3


@given(st.binary(max_size=300), st.text(max_size=80))
def test_no_notification_is_an_error(body: bytes, kind: str) -> None:
    payments = Asks()
    assert knock(payments, "", kind.encode("utf-8").decode("latin-1"), body) == 200


def test_a_notification_full_of_ids_costs_no_more_than_a_few_questions() -> None:
    payments = Asks()
    ids = "&".join(f"idOp={number:08x}-4f3a-4038-a2e8-f4a43c22ae99" for number in range(5000))
    assert knock(payments, "", FORM, ids.encode()) == 200
    assert len(payments.asked) <= 8
