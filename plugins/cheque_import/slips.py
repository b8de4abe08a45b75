"""The *bordereau de remise*: made once, numbered without gaps, frozen; as PDF, CSV and TLMC 320."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import or_, select

from core.plugin import (
    Cents,
    Document,
    Means,
    RemittanceInfo,
    Table,
    TenantContext,
    UserError,
    csv_text,
    decimal_text,
    render_pdf,
)
from core.plugin import gettext as _
from plugins.cheque_import import history, validity
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matcher.explain import euros
from plugins.cheque_import.models import (
    IN_PORTFOLIO,
    PENDING,
    Cheque,
    ChequeDeposit,
    ChequeDepositLine,
    ChequeState,
)
from plugins.cheque_import.postings import Postings
from plugins.cheque_import.readers import read_file, tlmc
from plugins.cheque_import.records import Hasher
from plugins.cheque_import.settings import ChequeSettings, DepositAccount

_CHUNK = 1000


class Slips:
    """The deposit slips of one town."""

    def __init__(self, ctx: TenantContext, settings: ChequeSettings, *, actor: str) -> None:
        self._ctx = ctx
        self._settings = settings
        self._actor = actor
        self._postings = Postings(ctx, settings)

    def ready(self, regie: str, *, lock: bool = False) -> Sequence[Cheque]:
        """Cheques that the next slip would take: decided or to classify, not deposited, not held.

        A cheque to classify is deposited with the others: it must not wait in a drawer.
        """
        today = history.today(self._ctx)
        query = (
            select(Cheque)
            .where(
                Cheque.tenant_id == self._ctx.town.slug,
                Cheque.regie == regie,
                Cheque.state.in_(IN_PORTFOLIO),
                Cheque.deposit_id.is_(None),
                or_(
                    Cheque.drawn_on.is_(None),
                    Cheque.drawn_on <= today,
                    Cheque.drawn_on > today + validity.FAR,
                ),
            )
            .order_by(Cheque.slip, Cheque.rank, Cheque.id)
        )
        return self._ctx.session.scalars(query.with_for_update() if lock else query).all()

    def make(
        self, regie: str, *, control_count: int | None = None, control_total: int | None = None
    ) -> ChequeDeposit:
        """Freeze a slip over all cheques that are ready.

        Raises:
            UserError: there is none, or the control count or total (cents) differs.
        """
        history.collecting(self._ctx, regie)
        history.hold(self._ctx, regie)
        cheques = self.ready(regie, lock=True)
        if not cheques:
            raise UserError(_("Aucun chèque n’est prêt à être remis."))
        total = sum(cheque.amount for cheque in cheques)
        if control_count not in {None, len(cheques)} or control_total not in {None, total}:
            raise UserError(
                _("Le contrôle ne tombe pas juste : %(count)s chèques pour %(total)s.")
                % {"count": len(cheques), "total": euros(total)}
            )
        for left in self._unbooked(regie):
            self._postings.bank(left)
        for cheque in cheques:
            self._postings.bank(cheque)
        paid = [number for one in cheques for number in self._postings.payments(one)]
        remittance = self._ctx.remittances.make(regie, Means.CHEQUE, paid)
        return self._freeze(regie, cheques, remittance)

    def follow(self, remittance_id: int, intake: Intake) -> None:
        """Have a slip for the cheques of a remittance that core's own page made; or cancel it.

        A cheque that was taken at the counter a moment ago is noted first.
        """
        remittance = self._ctx.remittances.get(remittance_id)
        if remittance is None:
            return
        history.hold(self._ctx, remittance.regie)
        deposit = self._ctx.session.scalars(
            select(ChequeDeposit).where(
                ChequeDeposit.tenant_id == self._ctx.town.slug,
                ChequeDeposit.remittance_id == remittance_id,
            )
        ).one_or_none()
        if not remittance.in_force:
            if deposit is not None and deposit.cancelled_at is None:
                self._cancel(deposit)
            return
        if deposit is not None:
            return
        paid = [number for number, means in remittance.payments.items() if means == Means.CHEQUE]
        for number in paid:
            intake.taken_at_counter(number)
        self._leave_cancelled(paid)
        cheques = self._of_payments(paid)
        if cheques:
            self._freeze(remittance.regie, cheques, remittance)

    def _cancel(self, deposit: ChequeDeposit) -> None:
        """Take the cheques off a slip whose remittance was cancelled: the next one takes them."""
        deposit.cancelled_at = self._ctx.clock.now()
        cheques = self._ctx.session.scalars(
            select(Cheque)
            .where(
                Cheque.tenant_id == self._ctx.town.slug,
                Cheque.deposit_id == deposit.id,
                Cheque.state != ChequeState.BOUNCED,
            )
            .order_by(Cheque.id)
            .with_for_update()
        ).all()
        for cheque in cheques:
            cheque.deposit_id = None
            history.note(self._ctx, cheque, self._actor, "withdrawn", slip=name_of(deposit))
        self._ctx.session.flush()

    def _leave_cancelled(self, payment_ids: Sequence[int]) -> None:
        """Cancel the slips of these cheques whose remittance was cancelled, if none has told yet.

        The events of two remittances may come in any order.
        """
        found: set[int] = set()
        for start in range(0, len(payment_ids), _CHUNK):
            found |= set(
                self._ctx.session.scalars(
                    select(Cheque.deposit_id)
                    .where(
                        Cheque.tenant_id == self._ctx.town.slug,
                        Cheque.payment_id.in_(payment_ids[start : start + _CHUNK]),
                        Cheque.deposit_id.is_not(None),
                    )
                    .distinct()
                )
            )
        for deposit_id in sorted(found):
            deposit = self.get(deposit_id)
            known = deposit.remittance_id and self._ctx.remittances.get(deposit.remittance_id)
            if known and not known.in_force and deposit.cancelled_at is None:
                self._cancel(deposit)

    def _of_payments(self, payment_ids: Sequence[int]) -> list[Cheque]:
        """The cheques of these payments that are on no slip."""
        found: list[Cheque] = []
        for start in range(0, len(payment_ids), _CHUNK):
            found += self._ctx.session.scalars(
                select(Cheque)
                .where(
                    Cheque.tenant_id == self._ctx.town.slug,
                    Cheque.payment_id.in_(payment_ids[start : start + _CHUNK]),
                    Cheque.deposit_id.is_(None),
                )
                .with_for_update()
            )
        return sorted(found, key=lambda cheque: (cheque.slip, cheque.rank, cheque.id))

    def _freeze(
        self, regie: str, cheques: Sequence[Cheque], remittance: RemittanceInfo
    ) -> ChequeDeposit:
        today = history.today(self._ctx)
        account = self._settings.deposit.get(regie) or DepositAccount(depositor=self._label(regie))
        deposit = ChequeDeposit(
            tenant_id=self._ctx.town.slug, regie=regie, year=today.year,
            number=history.next_number(self._ctx, f"deposit/{regie}/{today.year}"), made_on=today,
            actor=self._actor, depositor=account.depositor, account=account.account,
            siret=account.siret, count=len(cheques),
            total=sum(cheque.amount for cheque in cheques), remittance_id=remittance.id,
            remittance=remittance.name,
        )  # fmt: skip
        self._ctx.session.add(deposit)
        self._ctx.session.flush()
        for rank, cheque in enumerate(cheques, 1):
            self._ctx.session.add(
                ChequeDepositLine(
                    tenant_id=self._ctx.town.slug, deposit_id=deposit.id, cheque_id=cheque.id,
                    rank=rank, number=cheque.number, bank=cheque.bank, issuer=cheque.issuer,
                    amount=cheque.amount,
                )
            )  # fmt: skip
            cheque.deposit_id = deposit.id
            history.note(self._ctx, cheque, self._actor, "deposited", slip=name_of(deposit))
        self._ctx.session.flush()
        return deposit

    def _unbooked(self, regie: str) -> Sequence[Cheque]:
        """Cheques of earlier slips that are in no book: those of before they had to be."""
        return self._ctx.session.scalars(
            select(Cheque)
            .where(
                Cheque.tenant_id == self._ctx.town.slug,
                Cheque.regie == regie,
                Cheque.state.in_((*PENDING, ChequeState.TO_CLASSIFY)),
                Cheque.deposit_id.is_not(None),
                Cheque.payment_id.is_(None),
            )
            .order_by(Cheque.id)
            .with_for_update()
        ).all()

    def all(self) -> Sequence[ChequeDeposit]:
        """The slips, newest first."""
        return self._ctx.session.scalars(
            select(ChequeDeposit)
            .where(ChequeDeposit.tenant_id == self._ctx.town.slug)
            .order_by(ChequeDeposit.id.desc())
            .limit(200)
        ).all()

    def get(self, deposit_id: int) -> ChequeDeposit:
        """One slip. Raises `UserError` when there is none."""
        deposit = self._ctx.session.get(ChequeDeposit, (self._ctx.town.slug, deposit_id))
        if deposit is None:
            raise UserError(_("Ce bordereau n’existe pas."))
        return deposit

    def lines(self, deposit: ChequeDeposit) -> Sequence[ChequeDepositLine]:
        """The lines of a slip, in order."""
        return self._ctx.session.scalars(
            select(ChequeDepositLine)
            .where(
                ChequeDepositLine.tenant_id == self._ctx.town.slug,
                ChequeDepositLine.deposit_id == deposit.id,
            )
            .order_by(ChequeDepositLine.rank)
        ).all()

    def csv(self, deposit: ChequeDeposit) -> Document:
        """The slip for a spreadsheet: UTF-8 with BOM, semicolons, decimal commas."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=";")
        writer.writerow(("bordereau", "date", "rang", "cheque", "banque", "emetteur", "montant"))
        for line in self.lines(deposit):
            writer.writerow(
                (
                    name_of(deposit), f"{deposit.made_on:%d/%m/%Y}", line.rank,
                    csv_text(line.number), csv_text(line.bank), csv_text(line.issuer),
                    decimal_text(line.amount),
                )
            )  # fmt: skip
        return Document(
            f"remise-{name_of(deposit)}.csv", "text/csv", out.getvalue().encode("utf-8-sig")
        )

    def xlsx(self, deposit: ChequeDeposit) -> Document:
        """The slip as a workbook: cheque numbers are text, so that no zero is lost."""
        lines = self.lines(deposit)
        return Table(
            name=f"remise-{name_of(deposit)}",
            title=_("Bordereau de remise de chèques %s") % name_of(deposit),
            columns=(
                _("Bordereau"), _("Date"), _("Rang"), _("Chèque"), _("Banque"), _("Émetteur"),
                _("Montant"),
            ),
            rows=[
                (
                    name_of(deposit), deposit.made_on, line.rank, line.number, line.bank,
                    line.issuer, Cents(line.amount),
                )
                for line in lines
            ],
            foot=("", None, len(lines), "", "", _("Total"), Cents(deposit.total)),
        ).xlsx()  # fmt: skip

    def pdf(self, deposit: ChequeDeposit) -> Document:
        """The slip to sign."""
        environment = Environment(
            loader=PackageLoader("plugins.cheque_import", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
        )
        html = environment.get_template("slip.print.jinja2").render(
            deposit=deposit, lines=self.lines(deposit), name=name_of(deposit), euros=euros, _=_,
            town=self._ctx.town, regie=self._label(deposit.regie),
        )  # fmt: skip
        content = render_pdf(
            html,
            title=_("Bordereau de remise de chèques %s") % name_of(deposit),
            language="fr",
            author=self._ctx.town.name,
            created=deposit.made_on,
        )
        return Document(f"remise-{name_of(deposit)}.pdf", "application/pdf", content)

    def tlmc(self, deposit: ChequeDeposit, files: Sequence[bytes], hasher: Hasher) -> Document:
        """The slip for the bank, TLMC 320.

        Account zones are not kept here, so the cheque reader's own `files` are read again and each
        cheque found by its key.

        Raises:
            UserError: a cheque of the slip is in none of the files.
        """
        zones = {
            hasher.natural_key(record, deposit.regie): record.zones
            for content in files
            for record in read_file("lecteur", content).records
        }
        number = f"{deposit.year}{deposit.number:04d}"
        cheques = []
        for line in self.lines(deposit):
            cheque = self._ctx.session.get_one(Cheque, (self._ctx.town.slug, line.cheque_id))
            found = zones.get(cheque.natural_key)
            if found is None:
                raise UserError(
                    _("La ligne magnétique du chèque %s n’est pas dans le fichier donné.")
                    % line.number
                )
            cheques.append((found, line.amount, f"{number}{line.rank:04d}"))
        content = tlmc.write(
            tlmc.Deposit(
                deposit.depositor, number, deposit.account, deposit.made_on, deposit.siret
            ),
            cheques,
        )
        return Document(f"remise-{name_of(deposit)}.tlmc", "text/plain", content)

    def _label(self, regie: str) -> str:
        return next((one.label for one in self._ctx.town.regies if one.key == regie), regie)


def name_of(deposit: ChequeDeposit) -> str:
    """Name of a slip: ``2025-CANTINE-0007``."""
    return f"{deposit.year}-{deposit.regie}-{deposit.number:04d}"
