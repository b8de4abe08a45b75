"""Cheques come in: a file at once, or one after another by hand. The same cheque comes in once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, or_, select

from core.plugin import Means, PaymentInfo, TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import import history
from plugins.cheque_import.cmc7 import KeyState
from plugins.cheque_import.matcher.explain import euros
from plugins.cheque_import.models import (
    PENDING,
    Cheque,
    ChequeAccount,
    ChequeBatch,
    ChequeEvent,
    ChequeLayout,
    ChequePart,
    ChequeState,
)
from plugins.cheque_import.readers import PARSER_VERSION, read_file
from plugins.cheque_import.records import (
    DOUBTED,
    KEY_VERSION,
    ChequeProblem,
    ChequeRecord,
    Hasher,
    place_of,
    plain,
)

_CHUNK = 500
_NUMBER = re.compile(r"(?<!\d)\d{7}(?!\d)")
_LAYOUT = "xlsx"


@dataclass(frozen=True, slots=True)
class Imported:
    """Result of an import. With `problems`, nothing was stored."""

    batch_id: int | None = None
    new: int = 0
    known: int = 0
    corrected: int = 0
    already: bool = False
    """The very same file was imported before: nothing was done."""
    problems: tuple[ChequeProblem, ...] = ()
    left_out: tuple[ChequeProblem, ...] = ()
    """Lines of the file that are no cheque to record; the others were stored."""
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
        right_lines: bool = False,
    ) -> Imported:  # fmt: skip
        """Store a file's cheques, all or none. The same file, or the same cheques, once.

        `right_lines` takes the right lines of a list, and leaves the wrong ones out by name.

        `slip` names the pile when the file does not. Control totals are those written on the
        paper slip, in cents.

        Raises:
            UserError: the régie is unknown, or the trésorerie collects it.
        """
        history.collecting(self._ctx, regie)
        digest = hashlib.sha256(content).hexdigest()
        read = read_file(
            name, content, mapping=self.layout(), slip=slip, right_lines=right_lines
        )
        history.hold(self._ctx, regie)
        before = self._batch(regie, digest)
        if read.problems and before is None:
            return Imported(problems=read.problems)
        wanted, repeated, problems = self._once(read.records, regie, name)
        existing, taken = self._known(wanted, regie, name)
        lines = tuple(
            (one.line, existing[key].natural_key if key in existing else key)
            for one in read.records
            for key in [self._hasher.natural_key(one, regie)]
        )
        if before is not None:
            return Imported(before.id, already=True, known=len(lines), lines=lines)
        corrections, refused = self._corrections(wanted, existing, regie, name)
        left_out = read.left_out
        if right_lines and not problems:
            left_out = (*left_out, *(replace(one, left_out=True) for one in (*taken, *refused)))
            there = {one.line for one in taken}
            wanted = {key: one for key, one in wanted.items() if one.line not in there}
        elif problems or taken or refused:
            return Imported(problems=(*problems, *taken, *refused))
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
        known = repeated + len(wanted) - len(fresh) - len(corrections)
        return Imported(
            batch.id, new=len(fresh), known=known, corrected=len(corrections), lines=lines,
            left_out=left_out,
        )  # fmt: skip

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
        history.hold(self._ctx, regie)
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
        # Of a name that is used again, what was typed last is on the paper.
        if control_count is not None:
            batch.control_count = control_count
        if control_total is not None:
            batch.control_total = control_total
        return batch

    def taken_at_counter(self, payment_id: int) -> Cheque | None:
        """Note a cheque that core's counter recorded, so that a slip takes it; None if it is noted.

        None too if the payment came back meanwhile, or is no cheque.
        """
        payment = self._ctx.payments.get(payment_id)
        if payment is None or payment.means != Means.CHEQUE or self._noted(payment_id):
            return None
        return self._from_counter(payment)

    def means_corrected(self, payment_id: int, means: str, *, actor: str) -> str | None:
        """Follow the correction of a payment's means; words where a cheque stands against it.

        A cheque of the counter that was none leaves the pile; what was one after all joins it.
        """
        payment = self._ctx.payments.get(payment_id)
        if payment is None:
            return None
        history.hold(self._ctx, payment.regie)
        known = self._existing([self._hasher.of_payment(payment_id)])
        cheque = next(iter(known.values()), None)
        if means == Means.CHEQUE:
            if cheque is None:
                self._from_counter(payment)
            else:
                cheque.state, cheque.payment_id = ChequeState.ACCEPTED, payment_id
                cheque.family_id = payment.family_id
                history.note(self._ctx, cheque, actor, "undone", why=_("Moyen corrigé"))
            return None
        if payment.means != Means.CHEQUE:
            return None
        if cheque is None:
            if self._noted(payment_id):
                return _("Ce chèque vient du menu Chèques : annulez-y son imputation.")
            return None
        if cheque.deposit_id is not None:
            return _("Ce chèque est déjà sur un bordereau de remise : son moyen ne change plus.")
        cheque.state, cheque.payment_id = ChequeState.RETURNED, None
        cheque.family_id, cheque.why = None, _("Moyen corrigé")
        history.note(self._ctx, cheque, actor, "returned", why=cheque.why)
        return None

    def _from_counter(self, payment: PaymentInfo) -> Cheque:
        payment_id = payment.id
        history.hold(self._ctx, payment.regie)
        day = history.today(self._ctx)
        batch = self.sitting(
            payment.regie, actor="core", name=_("Guichet %s") % f"{day:%m/%Y}"
        )
        last = self._ctx.session.scalar(
            select(func.max(Cheque.rank)).where(
                Cheque.tenant_id == self._ctx.town.slug, Cheque.batch_id == batch.id
            )
        )
        found = _NUMBER.search(payment.note)
        record = ChequeRecord(
            slip=batch.file_name, rank=(last or 0) + 1, amount=payment.amount,
            number=found[0] if found else "", issuer=payment.payer, note=payment.note,
        )  # fmt: skip
        (cheque,) = self._store(batch, {self._hasher.of_payment(payment_id): record}, "core")
        cheque.state = ChequeState.ACCEPTED
        cheque.family_id, cheque.payment_id = payment.family_id, payment_id
        self._ctx.session.flush()
        return cheque

    def _noted(self, payment_id: int) -> bool:
        """True if a payment belongs to one of our own cheques, or was noted before."""
        tenant = self._ctx.town.slug
        known = select(Cheque.id).where(
            Cheque.tenant_id == tenant,
            or_(
                Cheque.payment_id == payment_id,
                Cheque.natural_key == self._hasher.of_payment(payment_id),
            ),
        )
        part = select(ChequePart.id).where(
            ChequePart.tenant_id == tenant, ChequePart.payment_id == payment_id
        )
        scalar = self._ctx.session.scalar
        return scalar(known.limit(1)) is not None or scalar(part) is not None

    def find_sitting(self, regie: str, name: str) -> ChequeBatch | None:
        """The batch of this name, when something was typed under it."""
        return self._batch(regie, _sitting_digest(name))

    def enter(self, batch: ChequeBatch, record: ChequeRecord, *, actor: str) -> Cheque:
        """Store one typed cheque at the end of its sitting.

        Raises:
            UserError: it is already there.
        """
        history.hold(self._ctx, batch.regie)
        last = self._ctx.session.scalar(
            select(func.max(Cheque.rank)).where(
                Cheque.tenant_id == self._ctx.town.slug, Cheque.batch_id == batch.id
            )
        )
        record = replace(record, slip=batch.file_name, rank=(last or 0) + 1)
        key = self._hasher.natural_key(record, batch.regie)
        known = self._existing([key]).get(key)
        if known is not None:
            raise UserError(
                _("Ce chèque est déjà enregistré : n° %(number)s, %(amount)s.")
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
        self, records: Sequence[ChequeRecord], regie: str, name: str
    ) -> tuple[dict[str, ChequeRecord], int, list[ChequeProblem]]:
        wanted: dict[str, ChequeRecord] = {}
        known, problems = 0, []
        for record in records:
            key = self._hasher.natural_key(record, regie)
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

    def _known(
        self, wanted: dict[str, ChequeRecord], regie: str, name: str
    ) -> tuple[dict[str, Cheque], list[ChequeProblem]]:
        """The cheques that are here already, by the key of their record; and places taken.

        A cheque without a magnetic line is also known at its place, when it says the same. A place
        where another cheque stands is never read as a correction of that one.
        """
        known = self._existing(wanted)
        placed = self._placed(
            regie, {place_of(one.slip) for key, one in wanted.items() if key not in known}
        )
        taken = []
        for key, record in wanted.items():
            there = placed.get((place_of(record.slip), record.rank), ())
            if key in known or not there:
                continue
            same = next((cheque for cheque in there if _says_the_same(cheque, record)), None)
            if same is not None:
                known[key] = same
            elif record.zones is None:
                taken.append(_taken(there[0], record, name))
        return known, taken

    def _placed(self, regie: str, slips: set[str]) -> dict[tuple[str, int], list[Cheque]]:
        found: dict[tuple[str, int], list[Cheque]] = {}
        ordered = sorted(slips)
        for start in range(0, len(ordered), _CHUNK):
            rows = self._ctx.session.scalars(
                select(Cheque)
                .where(
                    Cheque.tenant_id == self._ctx.town.slug,
                    Cheque.regie == regie,
                    func.upper(Cheque.slip).in_(ordered[start : start + _CHUNK]),
                )
                .order_by(Cheque.id)
            )
            for cheque in rows:
                found.setdefault((place_of(cheque.slip), cheque.rank), []).append(cheque)
        return found

    def _corrections(
        self, wanted: dict[str, ChequeRecord], existing: dict[str, Cheque], regie: str, name: str
    ) -> tuple[list[tuple[Cheque, ChequeRecord]], list[ChequeProblem]]:
        """Known cheques that come back with another amount: corrected while nothing was decided.

        An amount that was corrected before does not come back with an older file.
        """
        corrections, refused = [], []
        before = self._amounts_before(existing.values())
        for key, cheque in existing.items():
            record = wanted[key]
            if cheque.regie != regie:
                refused.append(self._elsewhere(cheque, record, name))
            elif record.amount == cheque.amount or record.amount in before.get(cheque.id, ()):
                continue
            elif cheque.state in PENDING and cheque.deposit_id is None:
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

    def _elsewhere(self, cheque: Cheque, record: ChequeRecord, name: str) -> ChequeProblem:
        labels = {regie.key: regie.label for regie in self._ctx.town.regies}
        return ChequeProblem(
            _(
                "Le chèque n° %(number)s est déjà enregistré dans une autre régie : %(regie)s, "
                "remise « %(slip)s »."
            )
            % {
                "number": cheque.number, "regie": labels.get(cheque.regie, cheque.regie),
                "slip": cheque.slip,
            },
            name, record.line, "cheque", record.number,
        )  # fmt: skip

    def _amounts_before(self, cheques: Iterable[Cheque]) -> dict[int, set[int]]:
        """The amounts that corrected cheques had, in cents."""
        found: dict[int, set[int]] = {}
        ids = sorted(cheque.id for cheque in cheques)
        for start in range(0, len(ids), _CHUNK):
            rows = self._ctx.session.scalars(
                select(ChequeEvent).where(
                    ChequeEvent.tenant_id == self._ctx.town.slug,
                    ChequeEvent.cheque_id.in_(ids[start : start + _CHUNK]),
                    ChequeEvent.action == "corrected",
                )
            )
            for event in rows:
                found.setdefault(event.cheque_id, set()).add(event.detail["before"])
        return found

    def _correct(self, cheque: Cheque, record: ChequeRecord, actor: str) -> None:
        history.note(
            self._ctx, cheque, actor, "corrected", before=cheque.amount, after=record.amount
        )
        cheque.amount = record.amount

    def _store(
        self, batch: ChequeBatch, records: dict[str, ChequeRecord], actor: str
    ) -> list[Cheque]:
        near = self._near(records)
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

    def _near(self, records: dict[str, ChequeRecord]) -> dict[str, list[str]]:
        """For lines that may be misread, the known accounts one digit away: only these are kept.

        Those of the same pile count: a person's decision may make one known before the other's.
        """
        lines = {key: record for key, record in records.items() if record.zones is not None}
        if not lines:
            return {}
        here = {self._hasher.account(record) for record in records.values()} - {""}
        here |= {self._hasher.doubted(record) for record in records.values()} - {""}
        learned = set(
            self._ctx.session.scalars(
                select(ChequeAccount.account)
                .where(ChequeAccount.tenant_id == self._ctx.town.slug)
                .distinct()
            )
        )
        doubts = any(one.startswith(DOUBTED) for one in learned | here)
        return {
            key: sorted((learned | here) & self._hasher.near_accounts(record))
            for key, record in lines.items()
            if (doubts or record.key in {KeyState.BAD, KeyState.ABSENT})
            and self._hasher.account(record) not in learned
        }


def _sitting_digest(name: str) -> str:
    return hashlib.sha256(f"sitting\x1f{name.strip().upper()}".encode()).hexdigest()


def _says_the_same(cheque: Cheque, record: ChequeRecord) -> bool:
    """True if a record at a cheque's place is that cheque; a detail of only one counts as equal."""
    both_lines = record.zones is not None and bool(cheque.account)
    issuers = {plain(cheque.issuer), plain(record.issuer)} - {""}
    return (
        not both_lines  # Two magnetic lines that differ are two cheques.
        and (cheque.number, cheque.amount) == (record.number, record.amount)
        and len(issuers) < 2
    )


def _taken(cheque: Cheque, record: ChequeRecord, name: str) -> ChequeProblem:
    return ChequeProblem(
        _(
            "Le rang %(rank)s de la remise « %(slip)s » est déjà celui du chèque n° %(number)s "
            "(%(amount)s, %(issuer)s). Si c’est une nouvelle remise, donnez-lui un autre nom ; si "
            "c’est le même chèque, corrigez-le sur sa page."
        )
        % {
            "rank": record.rank, "slip": record.slip, "number": cheque.number,
            "amount": euros(cheque.amount), "issuer": cheque.issuer or "–",
        },
        name, record.line, "rang", str(record.rank),
    )  # fmt: skip
