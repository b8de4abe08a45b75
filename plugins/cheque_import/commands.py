"""``preau cheques``: import files, match them, see what waits."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from sqlalchemy import func, select

from core.plugin import (
    TenantContext,
    UnknownTownError,
    UserError,
    decimal_text,
)
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.intake import Imported, Intake
from plugins.cheque_import.matcher import Match, State
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.models import PENDING, Cheque, ChequeProposal, ChequeState
from plugins.cheque_import.records import ChequeProblem, Hasher

_CHEQUE_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class _Work:
    ctx: TenantContext
    intake: Intake
    matching: Matching
    desk: Desk


class _NothingKeptError(Exception):
    """Ends a dry run: the unit of work is rolled back."""


@contextmanager
def _work(town: str) -> Iterator[_Work]:
    from plugins.cheque_import import plugin  # noqa: PLC0415 - the plugin object imports us

    actor = f"cli:{getpass.getuser()}"
    try:
        with click.get_current_context().obj.open(town) as ctx:
            settings = ctx.settings(plugin)
            hasher = Hasher(settings.account_key.get_secret_value(), ctx.town.slug)
            yield _Work(
                ctx,
                Intake(ctx, hasher),
                Matching(ctx, settings),
                Desk(ctx, settings, actor=actor),
            )
    except _NothingKeptError:
        return
    except UnknownTownError:
        raise click.ClickException(f"no town {town!r}: see preau tenants check") from None
    except KeyError:
        raise click.ClickException(f"{town} does not enable cheque_import") from None
    except UserError as error:
        raise click.ClickException(error.message) from None


@contextmanager
def _errors_in_json(wanted: bool) -> Iterator[None]:
    """Let a program that reads JSON read of an error too; the exit code is the same."""
    try:
        yield
    except click.ClickException as error:
        if not wanted:
            raise
        click.echo(json.dumps({"error": error.format_message()}, ensure_ascii=False, indent=1))
        raise SystemExit(error.exit_code) from None


@click.group()
def cheques() -> None:
    """Import cheques, match them with open invoices, see what waits."""


@cheques.command("import")
@click.argument("town")
@click.argument("regie")
@click.argument("file", type=_CHEQUE_FILE)
@click.option("--slip", default="", help="Name of the pile, when the file does not tell it.")
def import_(town: str, regie: str, file: Path, slip: str) -> None:
    """Store the cheques of FILE and match them; a person accepts them in the back office."""
    with _work(town) as work:
        done = _store(work, regie, file, slip)
        work.matching.rematch(regie)
        work.matching.tell_others(regie)
        _say(done)


@cheques.command("match")
@click.argument("town")
@click.argument("file", type=_CHEQUE_FILE)
@click.option("--regie", default="", help="Needed where several régies collect.")
@click.option("--slip", default="", help="Name of the pile, when the file does not tell it.")
@click.option("--dry-run", is_flag=True, help="Say what would be applied, keep nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document for programs.")
def match(town: str, file: Path, *, regie: str, slip: str, dry_run: bool, as_json: bool) -> None:
    """Store the cheques of FILE, match them, and accept those that are certain."""
    with _errors_in_json(as_json), _work(town) as work:
        regie = regie or _only_regie(work.ctx)
        done = _store(work, regie, file, slip)
        # In the transaction, so that the answer is exactly what a real run would do.
        waiting = work.matching.waiting(regie)
        found = dict(zip(waiting, work.matching.matches(regie, waiting), strict=True))
        report = [
            _line(work.ctx, line, cheque, found.get(cheque))
            for line, cheque in work.intake.cheques(done.lines)
        ]
        applied = 0
        if not dry_run:
            work.matching.rematch(regie)
            work.matching.tell_others(regie)
            applied = _accept_all(work, regie)
        if as_json:
            click.echo(json.dumps({"dry_run": dry_run, "applied": applied, "new": done.new,
                                   "known": done.known, "cheques": report},
                                  ensure_ascii=False, indent=1))  # fmt: skip
        else:
            _say(done)
            for row in report:
                _tell(row)
        if dry_run:
            raise _NothingKeptError


@cheques.command("review")
@click.argument("town")
def review(town: str) -> None:
    """Say how many cheques wait, by régie and state, and list those a person must see."""
    with _work(town) as work:
        rows = work.ctx.session.execute(
            select(Cheque.regie, Cheque.state, func.count(), func.sum(Cheque.amount))
            .where(Cheque.tenant_id == work.ctx.town.slug)
            .group_by(Cheque.regie, Cheque.state)
            .order_by(Cheque.regie, Cheque.state)
        ).all()
        for regie, state, count, cents in rows:
            click.echo(f"{regie}  {state:<12} {count:>6}  {decimal_text(int(cents)):>12} €")
        waiting = work.ctx.session.execute(
            select(Cheque, ChequeProposal)
            .outerjoin(
                ChequeProposal,
                (ChequeProposal.tenant_id == Cheque.tenant_id)
                & (ChequeProposal.cheque_id == Cheque.id)
                & (ChequeProposal.rank == 1),
            )
            .where(Cheque.tenant_id == work.ctx.town.slug, Cheque.state == ChequeState.REVIEW)
            .order_by(Cheque.regie, Cheque.id)
        )
        for cheque, proposal in waiting:
            click.echo(f"\n{cheque.slip}/{cheque.rank} n° {cheque.number} "
                       f"{decimal_text(cheque.amount)} € {cheque.issuer}")  # fmt: skip
            for reason in (*cheque.warnings, *(proposal.reasons if proposal else ())):
                click.echo(f"  {reason}")


def _only_regie(ctx: TenantContext) -> str:
    keys = [regie.key for regie in ctx.town.regies if regie.collects]
    if len(keys) != 1:
        raise click.UsageError(f"name a régie with --regie: {', '.join(keys)}")
    return keys[0]


def _store(work: _Work, regie: str, file: Path, slip: str) -> Imported:
    actor = f"cli:{getpass.getuser()}"
    done = work.intake.import_file(
        file.name, file.read_bytes(), regie=regie, actor=actor, slip=slip
    )
    if done.problems:
        raise click.ClickException(_problems(done.problems))
    return done


def _problems(problems: Sequence[ChequeProblem]) -> str:
    return "\n".join(("nothing was stored:", *(f"  {problem}" for problem in problems)))


def _accept_all(work: _Work, regie: str) -> int:
    """Accept, learn and match anew until nothing more is certain: order still changes nothing."""
    applied = 0
    while accepted := work.desk.accept_certain(regie):
        applied += accepted
        # The journal is let go before other invoices are held: others take them the other way.
        work.ctx.session.commit()
    return applied


def _say(done: Imported) -> None:
    if done.already:
        click.echo("already imported: nothing changed")
    else:
        click.echo(f"{done.new} new, {done.known} known, {done.corrected} corrected")
    for line in done.left_out:
        click.echo(f"left out: {line}")


def _line(ctx: TenantContext, line: int, cheque: Cheque, found: Match | None) -> dict[str, Any]:
    """One line of the file; `found` is None for a cheque that was decided before."""

    def number(invoice_id: int) -> str:
        info = ctx.invoices.get(invoice_id)
        return info.number if info else str(invoice_id)

    return {
        "line": line, "slip": cheque.slip, "rank": cheque.rank, "number": cheque.number,
        "amount": cheque.amount, "state": str(found.state if found else cheque.state),
        "warnings": list(found.warnings) if found else [],
        "would_apply": cheque.state in PENDING and found is not None
        and found.state is State.CERTAIN,
        "proposals": [
            {
                "family": proposal.family_id,
                "invoices": [
                    {"id": invoice, "number": number(invoice), "amount": cents}
                    for invoice, cents in proposal.shares
                ],
                "gap": proposal.gap, "confidence": proposal.confidence,
                "rule": str(proposal.rule), "reasons": list(proposal.reasons),
                "scores": dict(proposal.scores), "algorithm": proposal.algorithm,
            }
            for proposal in (found.proposals if found else ())
        ],
    }  # fmt: skip


def _tell(row: dict[str, Any]) -> None:
    click.echo(f"{row['line']:>5}  {row['number']}  {decimal_text(row['amount']):>10} €  "
               f"{row['state']}")  # fmt: skip
    for warning in row["warnings"]:
        click.echo(f"       ! {warning}")
    for proposal in row["proposals"][:3]:
        numbers = " + ".join(one["number"] for one in proposal["invoices"])
        click.echo(f"       {proposal['confidence']:>3} {numbers} ({proposal['rule']})")
        for reason in proposal["reasons"]:
            click.echo(f"           {reason}")
