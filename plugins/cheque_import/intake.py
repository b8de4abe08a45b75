"""Cheques come in: a file at once, or one after another by hand. The same cheque comes in once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select

from core.plugin import TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import import history
from plugins.cheque_import.cmc7 import KeyState
from plugins.cheque_import.matcher.explain import euros
from plugins.cheque_import.models import (
    PENDING,
    Cheque,
    ChequeAccount,
    ChequeBatch,
    ChequeLayout,
    ChequeState,
)
from plugins.cheque_import.readers import PARSER_VERSION, read_file
from plugins.cheque_import.records import KEY_VERSION, ChequeProblem, ChequeRecord, Hasher

_CHUNK = 500
_LAYOUT = "xlsx"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. With `problems`, nothing was stored."""

    batch_id: int | None = None
    new: int = 0
    known: int = 0
    corrected: int = 0
    already: bool = False
    """The very same file was imported before: nothing was done."""
    problems: tuple[ChequeProblem, ...] = ()
    lines: tuple[tuple[int, str], ...] = ()
    """Each cheque of the file: its line, and the natural key that finds it."""


class Intake:
    """Stores cheques of one town. Matching them is `reconcile`'s work."""

    def __init__(self, ctx: TenantContext, hasher: Hasher) -> None:
        self._ctx = ctx
        self._hasher = hasher

    def import_file(
        self, name: str, content: bytes, *, regie: str, actor: str, slip: str = "",
        control_count: int | None = None, control_total: int | None = None,
    ) -> Imported:  # fmt: skip
        """Store a file's cheques, all or none. The same file, or the same cheques, once.

        `slip` names the pile when the file does not. Control totals are those written on the
        paper slip, in cents.

        Raises:
            UserError: the régie is unknown, or the trésorerie collects it.
        """
        history.collecting(self._ctx, regie)
        digest = hashlib.sha256(content).hexdigest()
        before = self._batch(regie, digest)
        read = read_file(name, content, mapping=self.layout(), slip=slip)
        lines = tuple((one.line, self._hasher.natural_key(one)) for one in read.records)
        if before is not None:
            return Imported(before.id, already=True, known=len(lines), lines=lines)
        if read.problems:
            return Imported(problems=read.problems)
        wanted, known, problems = self._once(read.records, name)
        existing = self._existing(wanted)
        corrections, refused = _corrections(wanted, existing, name)
        if problems or refused:
            return Imported(problems=(*problems, *refused))
        batch = ChequeBatch(
            tenant_id=self._ctx.town.slug, regie=regie, source=read.source, file_name=name[:200],
            sha256=digest, parser_version=PARSER_VERSION, actor=actor,
            created_at=self._ctx.clock.now(), control_count=control_count,
            control_total=control_total,
        )  # fmt: skip
        self._ctx.session.add(batch)
        self._ctx.session.flush()
        for cheque, record in corrections:
            self._correct(cheque, record, actor)
        fresh = {key: record for key, record in wanted.items() if key not in existing}
        self._store(batch, fresh, actor)
        known += len(wanted) - len(fresh) - len(corrections)
        return Imported(
            batch.id, new=len(fresh), known=known, corrected=len(corrections), lines=lines
        )

    def cheques(self, lines: Sequence[tuple[int, str]]) -> list[tuple[int, Cheque]]:
        """The cheques of a file that was imported, each with its line."""
        found = self._existing(key for _line, key in lines)
        return [(line, found[key]) for line, key in lines if key in found]

    def sitting(
        self, regie: str, *, actor: str, name: str, control_count: int | None = None,
        control_total: int | None = None,
    ) -> ChequeBatch:  # fmt: skip
        """The batch of cheques typed under one name (a slip's); made when it is new."""
        history.collecting(self._ctx, regie)
        if not name.strip():
            raise UserError(_("Donnez un nom à la remise, par exemple la date du jour."))
        digest = _sitting_digest(name)
        batch = self._batch(regie, digest)
        if batch is None:
            batch = ChequeBatch(
                tenant_id=self._ctx.town.slug, regie=regie, source="manual",
                file_name=name.strip()[:200], sha256=digest, parser_version=PARSER_VERSION,
                actor=actor, created_at=self._ctx.clock.now(), control_count=control_count,
                control_total=control_total,
            )  # fmt: skip
            self._ctx.session.add(batch)
            self._ctx.session.flush()
        return batch

    def find_sitting(self, regie: str, name: str) -> ChequeBatch | None:
        """The batch of this name, when something was typed under it."""
        return self._batch(regie, _sitting_digest(name))

    def enter(self, batch: ChequeBatch, record: ChequeRecord, *, actor: str) -> Cheque:
        """Store one typed cheque at the end of its sitting.

        Raises:
            UserError: it is already there.
        """
        last = self._ctx.session.scalar(
            select(func.max(Cheque.rank)).where(
                Cheque.tenant_id == self._ctx.town.slug, Cheque.batch_id == batch.id
            )
        )
        record = replace(record, slip=batch.file_name, rank=(last or 0) + 1)
        key = self._hasher.natural_key(record)
        known = self._existing({key: record}).get(key)
        if known is not None:
            raise UserError(
                _("Ce chèque est déjà enregistré : n° %(number)s, %(amount)s.")
                % {"number": known.number, "amount": euros(known.amount)}
            )
        (cheque,) = self._store(batch, {key: record}, actor)
        return cheque

    def layout(self) -> dict[str, str]:
        """The town's saved headings, by field."""
        row = self._layout_row()
        return dict(row.columns) if row else {}

    def save_layout(self, columns: dict[str, str]) -> None:
        """Remember which heading is which field; an empty heading forgets the field."""
        row = self._layout_row()
        if row is None:
            row = ChequeLayout(tenant_id=self._ctx.town.slug, name=_LAYOUT, columns={})
            self._ctx.session.add(row)
        row.columns = {field: name.strip() for field, name in columns.items() if name.strip()}

    def _layout_row(self) -> ChequeLayout | None:
        return self._ctx.session.scalars(
            select(ChequeLayout).where(
                ChequeLayout.tenant_id == self._ctx.town.slug, ChequeLayout.name == _LAYOUT
            )
        ).one_or_none()

    def _batch(self, regie: str, digest: str) -> ChequeBatch | None:
        return self._ctx.session.scalars(
            select(ChequeBatch).where(
                ChequeBatch.tenant_id == self._ctx.town.slug,
                ChequeBatch.regie == regie,
                ChequeBatch.sha256 == digest,
            )
        ).one_or_none()

    def _once(
        self, records: Sequence[ChequeRecord], name: str
    ) -> tuple[dict[str, ChequeRecord], int, list[ChequeProblem]]:
        wanted: dict[str, ChequeRecord] = {}
        known, problems = 0, []
        for record in records:
            key = self._hasher.natural_key(record)
            first = wanted.setdefault(key, record)
            if first is record:
                continue
            known += 1
            if first.amount != record.amount:
                problems.append(
                    ChequeProblem(
                        _("Le chèque %(number)s figure aussi ligne %(line)s, avec %(amount)s.")
                        % {
                            "number": record.number,
                            "line": first.line,
                            "amount": euros(first.amount),
                        },
                        name, record.line, "montant", euros(record.amount),
                    )
                )  # fmt: skip
        return wanted, known, problems

    def _existing(self, keys: Iterable[str]) -> dict[str, Cheque]:
        ordered = sorted(keys)
        found: dict[str, Cheque] = {}
        for start in range(0, len(ordered), _CHUNK):
            rows = self._ctx.session.scalars(
                select(Cheque).where(
                    Cheque.tenant_id == self._ctx.town.slug,
                    Cheque.natural_key.in_(ordered[start : start + _CHUNK]),
                )
            )
            found |= {cheque.natural_key: cheque for cheque in rows}
        return found

    def _correct(self, cheque: Cheque, record: ChequeRecord, actor: str) -> None:
        history.note(
            self._ctx, cheque, actor, "corrected", before=cheque.amount, after=record.amount
        )
        cheque.amount = record.amount

    def _store(
        self, batch: ChequeBatch, records: dict[str, ChequeRecord], actor: str
    ) -> list[Cheque]:
        near = self._near(records.values())
        cheques = [
            Cheque(
                tenant_id=self._ctx.town.slug, batch_id=batch.id, regie=batch.regie,
                natural_key=key, key_version=KEY_VERSION, slip=record.slip, rank=record.rank,
                line=record.line, number=record.number, account=self._hasher.account(record),
                near_accounts=near.get(key, []), rlmc=record.key, amount=record.amount,
                issuer=record.issuer, bank=record.bank, references=list(record.references),
                family_code=record.family_code, note=record.note, drawn_on=record.drawn_on,
                state=ChequeState.REVIEW, why="", warnings=[], attempt=0,
                created_at=self._ctx.clock.now(),
            )
            for key, record in records.items()
        ]  # fmt: skip
        self._ctx.session.add_all(cheques)
        self._ctx.session.flush()
        for cheque in cheques:
            history.note(self._ctx, cheque, actor, "received", batch=batch.id, line=cheque.line)
        self._ctx.session.flush()
        return cheques

    def _near(self, records: Iterable[ChequeRecord]) -> dict[str, list[str]]:
        """For lines that may be misread, the known accounts one digit away: only these are kept."""
        doubtful = [record for record in records if record.key in {KeyState.BAD, KeyState.ABSENT}]
        if not doubtful:
            return {}
        known = set(
            self._ctx.session.scalars(
                select(ChequeAccount.account)
                .where(ChequeAccount.tenant_id == self._ctx.town.slug)
                .distinct()
            )
        )
        return {
            self._hasher.natural_key(record): sorted(known & self._hasher.near_accounts(record))
            for record in doubtful
            if known and self._hasher.account(record) not in known
        }


def _sitting_digest(name: str) -> str:
    return hashlib.sha256(f"sitting\x1f{name.strip().upper()}".encode()).hexdigest()


def _corrections(
    wanted: dict[str, ChequeRecord], existing: dict[str, Cheque], name: str
) -> tuple[list[tuple[Cheque, ChequeRecord]], list[ChequeProblem]]:
    """Known cheques that come back with another amount: corrected while nothing was decided."""
    corrections, refused = [], []
    for key, cheque in existing.items():
        record = wanted[key]
        if record.amount == cheque.amount:
            continue
        if cheque.state in PENDING and cheque.deposit_id is None:
            corrections.append((cheque, record))
        else:
            refused.append(
                ChequeProblem(
                    _("Le chèque %(number)s est déjà traité pour %(amount)s.")
                    % {"number": cheque.number, "amount": euros(cheque.amount)},
                    name, record.line, "montant", euros(record.amount),
                )
            )  # fmt: skip
    return corrections, refused
