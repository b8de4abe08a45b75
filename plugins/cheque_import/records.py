"""One cheque as any source states it, and the two keyed hashes under which it is known here."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date

from core.plugin import gettext as _
from plugins.cheque_import.cmc7 import KeyState, Zones

KEY_VERSION = 2
"""Of the natural key. A change of it never re-imports old files: a cheque is found at its place."""

_SECRET_VERSION = 1
"""Of the secret of all hashes: a change of it would forget every known account."""

_SEPARATORS = re.compile(r"[+,;\s]+")
_PRINTED_CHECK = re.compile(r"\s*/\s*(\S)(?=$|[+,;\s])")


@dataclass(frozen=True, slots=True)
class ChequeRecord:
    """One cheque. `amount` is in cents and positive; dates are those of the paper.

    `number` is Z4, shown to agents; `zones` is the whole magnetic line when a machine read it, and
    never reaches the database. `slip` and `rank` place the cheque in its pile.
    """

    slip: str
    rank: int
    amount: int
    number: str = ""
    zones: Zones | None = None
    key: KeyState = KeyState.ABSENT
    issuer: str = ""
    bank: str = ""
    references: tuple[str, ...] = ()
    family_code: str = ""
    note: str = ""
    drawn_on: date | None = None
    slip_date: date | None = None
    line: int = 0
    """Line of the cheque in its file, 1-based."""


@dataclass(frozen=True, slots=True)
class ChequeProblem:
    """Reason why a line of a file was refused: its file, line, column, value, and what to do."""

    message: str
    file: str = ""
    line: int = 0
    column: str = ""
    value: str = ""
    left_out: bool = False
    """Only this line is left out, for the others are right: it is told, and stops nothing."""

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.line:
            place.append(_("ligne %s") % self.line)
        if self.column:
            place.append(_("colonne « %s »") % self.column)
        where = ", ".join(place)
        value = f" [{self.value}]" if self.value else ""
        return f"{where} : {self.message}{value}" if where else f"{self.message}{value}"


DOUBTED = "misread/"
"""Before the fingerprint of an account that was read with a false key."""


class Hasher:
    """Hashes a cheque and its account under one town's secret key.

    A magnetic line is personal data with few digits: without a key it could be found by trying.
    """

    def __init__(self, secret: str, town: str) -> None:
        self._key = hashlib.blake2b(
            f"cheque/{_SECRET_VERSION}/{town}".encode(), key=secret.encode()[:64], digest_size=32
        ).digest()

    def natural_key(self, record: ChequeRecord, regie: str) -> str:
        """The same for one cheque in any file: its three zones, else its place and what it says.

        A place alone says too little: the next month's file has the same name, and another régie
        a pile of the same day.
        """
        if record.zones is not None:
            return self._hash("cheque", record.zones.digits)
        place = (regie, place_of(record.slip), record.rank)
        says = (record.number, plain(record.issuer), record.amount)
        return self._hash("place", "\x1f".join(map(str, (*place, *says))))

    def of_payment(self, payment_id: int) -> str:
        """The natural key of a cheque that was taken at the counter: that payment's."""
        return self._hash("payment", str(payment_id))

    def account(self, record: ChequeRecord) -> str:
        """The account's fingerprint; "" when no line was read, or when its key is wrong."""
        if record.zones is None or record.key is KeyState.BAD:
            return ""
        return self._hash("account", record.zones.account)

    def near_accounts(self, record: ChequeRecord) -> frozenset[str]:
        """Fingerprints of the accounts one misread digit away.

        A known account among them is a good *proposal*, and an identity only with the name or
        another sign. Where the key is false, it may be the number that was misread, or the key.
        Where it proves the line, only what a false key was said of before may be this account.
        """
        if record.zones is None:
            return frozenset()
        account = record.zones.account
        near = {
            account[:i] + digit + account[i + 1 :]
            for i in range(len(account))
            for digit in "0123456789"
        }
        own = self._hash("account", account)
        alike = {self._hash("account", one) for one in near - {account}}
        if record.key is KeyState.BAD:
            return frozenset({own, DOUBTED + own, *alike})
        doubted = {DOUBTED + one for one in alike}
        return frozenset(doubted | alike if record.key is KeyState.ABSENT else doubted)

    def doubted(self, record: ChequeRecord) -> str:
        """Fingerprint of an account whose line has a false key; "" of any other line.

        It is nobody's account, but what a right line of the same account is one digit from.
        """
        if record.zones is None or record.key is not KeyState.BAD:
            return ""
        return DOUBTED + self._hash("account", record.zones.account)

    def _hash(self, purpose: str, value: str) -> str:
        return hmac.digest(self._key, f"{purpose}\x1f{value}".encode(), "sha256").hex()


def place_of(slip: str) -> str:
    """A pile's name as it is compared: however it was typed."""
    return slip.strip().upper()


def plain(name: str) -> str:
    """An issuer's name as it is compared: however it was spaced and capitalised."""
    return " ".join(name.split()).upper()


def split_references(text: str) -> tuple[str, ...]:
    """The references of one cell: ``A+B``, ``A, B`` or ``A B``; repeated ones once.

    Our papers print a check character after a bar, ``2025-010-000314 / K``: it stays with its
    reference.
    """
    joined = _PRINTED_CHECK.sub(r"-\1", text.strip())
    return tuple(dict.fromkeys(part for part in _SEPARATORS.split(joined) if part))
