"""The labelled sets as files: what a town made up, or what somebody wrote by hand.

``families.csv``, ``invoices.csv`` and ``cheques.csv`` are what the matcher may see, and
``accounts.csv`` what confirmed cheques taught before; ``truth.csv`` is what a person with the paper
in hand does.
The sets that nobody may tune on are frozen: `FROZEN` holds the digest of each.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.cheques_made import Bill, Household, Kind, Paper, UnitOfWork

HERE = Path(__file__).parent / "cheque_sets"
ADVERSARIAL = HERE / "adversarial"
FROZEN = HERE / "frozen.json"

FAMILIES = ("family", "code", "names")
INVOICES = ("invoice", "family", "regie", "number", "amount", "issued_on", "due_on", "online_in")
CHEQUES = (
    "cheque", "regie", "month", "slip", "rank", "number", "account", "amount", "issuer",
    "references", "code",
)  # fmt: skip
TRUTH = ("cheque", "kind", "family", "shares", "exact", "classes")
ACCOUNTS = ("account", "family", "payers", "flagged")


@dataclass(frozen=True, slots=True)
class Learned:
    """An account that was confirmed for a family before the set begins."""

    account: str
    family: int
    payers: tuple[str, ...]
    flagged: bool


@dataclass(slots=True)
class Labelled:
    """A set that was read: what the matcher sees, and beside each cheque its truth."""

    families: list[tuple[int, str, tuple[str, ...]]]
    bills: list[Bill]
    papers: list[Paper]
    accounts: list[Learned] = field(default_factory=list)

    @property
    def months(self) -> list[int]:
        """The months in which cheques come, in their order."""
        return sorted({paper.month for paper in self.papers})


def files(town: UnitOfWork) -> dict[str, str]:
    """A town as its four files, by name."""
    keyed = any(paper.rlmc for paper in town.papers)
    known = [(h.account, h.id, h.patron or h.names[0], 0) for h in town.known]
    accounts = {"accounts.csv": _text(ACCOUNTS, known)} if known else {}
    online = {bill: month for month, bills in town.online for bill in bills}
    return accounts | {
        "families.csv": _text(FAMILIES, (_family(house) for house in town.households)),
        "invoices.csv": _text(
            INVOICES,
            (
                (b.id, b.family, b.regie, b.number, b.amount, b.issued_on, b.due_on,
                 online.get(b.id, ""))
                for b in town.bills
            ),
        ),
        "cheques.csv": _text(
            (*CHEQUES, "rlmc") if keyed else CHEQUES,
            (
                (p.key, p.regie, p.month, p.slip, p.rank, p.number, p.account, p.amount, p.issuer,
                 "+".join(p.references), p.code, *([p.rlmc] if keyed else []))
                for p in town.papers
            ),
        ),
        "truth.csv": _text(
            TRUTH,
            (
                (p.key, p.kind, p.family, "+".join(f"{i}:{c}" for i, c in p.truth), int(p.exact),
                 " ".join(p.classes))
                for p in town.papers
            ),
        ),
    }  # fmt: skip


def digest(made: dict[str, str]) -> str:
    """What a set is known by."""
    whole = hashlib.sha256()
    for name in sorted(made):
        whole.update(f"{name}\n{made[name]}".encode())
    return whole.hexdigest()


def frozen() -> dict[str, str]:
    """The digests of the sets that nobody tuned on, by ``<noise>-<seed>``."""
    held: dict[str, str] = json.loads(FROZEN.read_text())
    return held


def write(made: dict[str, str], folder: Path) -> None:
    """Write the files of a set into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (folder / name).write_text(content, "utf-8")


def read_folder(folder: Path) -> Labelled:
    """Read a set that stands in a folder."""
    return read({path.name: path.read_text("utf-8") for path in folder.glob("*.csv")})


def read(made: dict[str, str]) -> Labelled:
    """Read a set. Nothing but these files reaches the matcher."""
    rows = {name: list(_rows(content)) for name, content in made.items()}
    return Labelled(
        families=[
            (int(row["family"]), row["code"], _parts(row["names"], "|"))
            for row in rows["families.csv"]
        ],
        bills=[_bill(row) for row in rows["invoices.csv"]],
        papers=[
            _paper(cheque, truth)
            for cheque, truth in zip(rows["cheques.csv"], rows["truth.csv"], strict=True)
        ],
        accounts=[
            Learned(row["account"], int(row["family"]), _parts(row["payers"], "|"),
                    bool(int(row["flagged"])))
            for row in rows.get("accounts.csv", ())
        ],
    )  # fmt: skip


def _family(house: Household) -> Sequence[Any]:
    return house.id, house.code, "|".join(house.names)


def _bill(row: dict[str, str]) -> Bill:
    return Bill(
        id=int(row["invoice"]), family=int(row["family"]), regie=row["regie"],
        number=row["number"], amount=int(row["amount"]), left=int(row["amount"]),
        issued_on=date.fromisoformat(row["issued_on"]), due_on=date.fromisoformat(row["due_on"]),
        paid_in=int(row["online_in"] or 99),
    )  # fmt: skip


def _paper(cheque: dict[str, str], truth: dict[str, str]) -> Paper:
    if cheque["cheque"] != truth["cheque"]:
        raise ValueError(f"the truth of {cheque['cheque']} is that of {truth['cheque']}")
    shares = [part.split(":") for part in _parts(truth["shares"], "+")]
    return Paper(
        key=cheque["cheque"], regie=cheque["regie"], month=int(cheque["month"]),
        slip=cheque["slip"], rank=int(cheque["rank"]), number=cheque["number"],
        account=cheque["account"], amount=int(cheque["amount"]), issuer=cheque["issuer"],
        references=_parts(cheque["references"], "+"), code=cheque["code"],
        family=int(truth["family"]), kind=Kind(truth["kind"]),
        truth=tuple((int(invoice), int(cents)) for invoice, cents in shares),
        exact=bool(int(truth["exact"])), classes=_parts(truth["classes"], " "),
        rlmc=cheque.get("rlmc", ""),
    )  # fmt: skip


def _parts(text: str, between: str) -> tuple[str, ...]:
    return tuple(text.split(between)) if text else ()


def _rows(content: str) -> Iterator[dict[str, str]]:
    # A line that begins with # says why the next ones are there.
    lines = (line for line in content.splitlines() if not line.startswith("#"))
    yield from csv.DictReader(lines, delimiter=";")


def _text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";", lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
