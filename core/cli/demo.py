"""``preau demo``: fills the demonstration towns through the doors that everybody uses."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from pyotp import TOTP
from sqlalchemy import func, select

from core.api.invoices import SourceFile
from core.api.payments import Means
from core.books.period import next_month
from core.cli.database import migrate_all
from core.cli.demo_data import DemoTown, town_files
from core.domain.access_codes import grouped
from core.domain.direct_debits import RejectReason
from core.domain.roles import Role
from core.families.models import Family
from core.news.models import News
from core.payments.counter import Given
from core.platform.clock import midnight, today
from core.platform.errors import ThrottledError, WrongCodesError
from core.platform.settings import Settings, get_settings
from core.platform.web.trial import AGENT, AGENT_PASSWORD, CODES_FILE
from core.runtime import Runtime, get_runtime
from core.unit_of_work import UnitOfWork

TOWNS = ("ville-de-demo", "bourg-exemple")
AGENTS_FILE = "demo-agents.json"
"""In the data folder: the second factors of the demonstration's régisseurs."""

AGENT_NAME = "Hélène Marchand"
CESU_SHOWN = 3
"""Invoices of each régie that are paid by CESU."""

@click.group(invoke_without_command=True)
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Fill the demonstration towns that are empty, and print codes to sign in with."""
    if ctx.invoked_subcommand is None:
        load_demo(get_settings())
        click.echo("\n".join(access_lines()))


@demo.command()
def codes() -> None:
    """Print where to click and which codes open, as at the start of `preau run`."""
    click.echo("\n".join(access_lines()) or "Nothing was filled here: preau demo")


def load_demo(settings: Settings) -> None:
    """Migrate, and fill each demonstration town that has no family yet."""
    migrate_all(settings)
    runtime = get_runtime()
    for slug in TOWNS:
        if runtime.registry.get(slug) is None:
            continue
        with runtime.unit_of_work(slug, actor="demo") as town:
            load_news(town)
            if not settings.is_production:
                load_agent(town, settings.data_dir / AGENTS_FILE)
            if town.session.scalar(select(func.count()).select_from(Family)):
                continue
            click.echo(f"Filling {slug}…")
            fill(town, settings.data_dir / CODES_FILE, settings.demo_households)
            enabled = town.config.enabled
            for name in runtime.extensions.implementers(enabled, "demonstrate"):
                runtime.extensions.call_one(enabled, name, "demonstrate", ctx=town)


def fill(town: UnitOfWork, codes_file: Path, households: int) -> None:
    """Import the town's files, record what was paid, link shared children, draw some codes."""
    with tempfile.TemporaryDirectory() as folder:
        day = today(town.clock.now())
        data = town_files(town.config.slug, day, Path(folder), households)
        _import(town, data)
    for shared in data.shared_children:
        family = town.families.by_code(shared.family_code)
        if family:
            town.families.share_child(family.id, shared.child_code, sees_all=shared.sees_all)
    _record(town, data)
    _take_titles(town, data)
    _reject(town, data)
    known = json.loads(codes_file.read_text("utf-8")) if codes_file.exists() else {}
    known[town.config.slug] = [
        {"family": code, "secret": grouped(_issue(town, code)), "why": why}
        for code, why in data.highlight_families.items()
    ]
    codes_file.write_text(json.dumps(known, ensure_ascii=False, indent=1), "utf-8")


def _import(town: UnitOfWork, data: DemoTown) -> None:
    for path in data.files:
        file = SourceFile(path, path.name, path.stat().st_size)
        report = town.imports.run(town.sources["csv"], file)
        if report.batch_id is None:
            raise click.ClickException(f"{path.name}: {report.problems[:3]}")
        town.imports.publish(report.batch_id)


class _PastClock:
    """A clock that shows what it is told."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The moment it was told."""
        return self.moment


def _record(present: UnitOfWork, data: DemoTown) -> None:
    """Record each payment on its own day, so that the books have a past too.

    What a month brought is remitted and its books are closed on the first of the next one; the last
    month that is over is left for the visitor.
    """
    payments = sorted(data.payments, key=lambda payment: payment.paid_at)
    if not payments:
        return
    clock = _PastClock(payments[0].paid_at)
    town = present.with_clock(clock)
    this_month = today(present.clock.now()).replace(day=1)
    month = today(clock.moment).replace(day=1)
    for payment in payments:
        while next_month(month) <= today(payment.paid_at):
            clock.moment = midnight(next_month(month))
            if next_month(month) < this_month:
                _close(town, month)
            month = next_month(month)
        clock.moment = payment.paid_at
        family = town.families.by_code(payment.family_code)
        invoice = next(
            found
            for found in town.invoices.by_number(payment.number)
            if found.regie == payment.regie
        )
        if family:
            town.payments.record(
                regie=payment.regie,
                family_id=family.id,
                means=payment.means,
                amount=payment.amount,
                paid_at=payment.paid_at,
                payer=payment.payer,
                shares=[(invoice.id, min(payment.amount, invoice.balance))],
                key=payment.key,
                authorisation=payment.authorisation,
                note=payment.note,
            )


def _take_titles(town: UnitOfWork, data: DemoTown) -> None:
    """Have a few invoices paid by CESU, with what is left of each in cash."""
    now = town.clock.now()
    for regie in town.accounts.regies():
        if not any(one.means == Means.CESU_PAPER for one in town.config.means(regie)):
            continue
        taken = 0
        for invoice in town.invoices.open_in(regie):
            family = town.families.get(invoice.family_id)
            if not invoice.payable or not family or family.code in data.highlight_families:
                continue
            caps = town.titles.payable(regie, Means.CESU_PAPER, [invoice.id]) or {}
            cents = min(caps.get(invoice.id, 0), invoice.balance)
            if not cents:
                continue
            taken += 1
            given = [Given(Means.CESU_PAPER, cents, titles=(f"1026{taken:08d}",))]
            if rest := invoice.balance - cents:
                given.append(Given(Means.CASH, rest))
            town.desk.take(
                regie=regie, family_id=family.id, invoice_ids=[invoice.id], given=given,
                paid_at=now, payer=family.name, key=f"demo:cesu:{invoice.id}",
            )  # fmt: skip
            if taken == CESU_SHOWN:
                break


def _reject(town: UnitOfWork, data: DemoTown) -> None:
    """Let the bank send the latest noted debit back, of a family that nobody signs in as."""
    debits = [
        payment
        for payment in sorted(data.payments, key=lambda payment: payment.paid_at, reverse=True)
        if payment.means == Means.DIRECT_DEBIT
        and payment.family_code not in data.highlight_families
    ]
    number = town.payments.recorded(debits[0].key) if debits else None
    if number is not None:
        town.debits.reject(number, RejectReason.INSUFFICIENT_FUNDS)


def _close(town: UnitOfWork, month: date) -> None:
    books = town.accounts
    for regie in books.regies():
        if not books.entries.sums(books.period(regie, month)).count:
            continue
        if books.remittances.in_hand(regie):
            made = books.remittances.make(regie)
            books.remittances.leave(made.id, carrier="Police municipale")
        books.closings.close(books.period(regie, month))


def _issue(town: UnitOfWork, code: str) -> str:
    family = town.families.by_code(code)
    if family is None:
        raise click.ClickException(f"no family {code!r} in the demonstration's files")
    return town.families.issue_code(family.id)


def load_news(town: UnitOfWork) -> None:
    """Publish the town's ``news/*.md``: a head of ``key: value`` lines between ``---``, Markdown.

    Once each: what an agent changed since is left alone.
    """
    known = set(town.session.scalars(select(News.key).where(News.tenant_id == town.config.slug)))
    for path in sorted((town.config.folder / "news").glob("*.md")):
        if path.stem in known:
            continue
        _before, head, body = path.read_text("utf-8").split("---\n", 2)
        fields = {
            name.strip(): value.strip()
            for name, _colon, value in (line.partition(":") for line in head.splitlines())
        }
        day = datetime.fromisoformat(fields["date"]) if "date" in fields else datetime.now(UTC)
        town.news.publish(
            path.stem,
            title=fields["title"],
            summary=fields.get("summary", ""),
            kind=fields.get("kind", "news"),
            body=body.strip(),
            published_at=day if day.tzinfo else day.replace(tzinfo=ZoneInfo("Europe/Paris")),
        )


def load_agent(town: UnitOfWork, agents_file: Path) -> None:
    """Let a régisseur in by the door that all agents use; its secrets go to a file of ours."""
    if town.agents.by_email(AGENT):
        return
    token = town.agent_invitations.new(
        town.agents.create(AGENT, AGENT_NAME, Role.REGISSEUR)
    )
    enrolment = town.agent_invitations.pending(token)
    if enrolment is None:
        raise click.ClickException("the demonstration's invitation does not work")
    code = TOTP(enrolment.secret).at(town.clock.now())
    _id, recovery_codes = town.agent_invitations.accept(token, AGENT_PASSWORD, code)
    known = json.loads(agents_file.read_text("utf-8")) if agents_file.exists() else {}
    known[town.config.slug] = {"secret": enrolment.secret, "codes": recovery_codes}
    agents_file.write_text(json.dumps(known, indent=1), "utf-8")


def agent_lines(settings: Settings, slug: str) -> list[str]:
    """Lines with the address and codes of a demonstration town's back office."""
    path = settings.data_dir / AGENTS_FILE
    agent = json.loads(path.read_text("utf-8")).get(slug) if path.exists() else None
    if agent is None:
        return []
    return [
        f"  Back office: {settings.public_base_url}/{slug}/regie",
        f"    {AGENT}   {AGENT_PASSWORD}",
        f"    code now: {TOTP(agent['secret']).now()}   or, each once: "
        + "  ".join(agent["codes"][:3]),
        f"    in an application, for other times: {agent['secret']}",
    ]


def _opens(uow: UnitOfWork, item: Mapping[str, str]) -> bool:
    """Tell whether a code that was drawn here still opens; it may have been renewed by hand."""
    try:
        uow.sign_in.by_codes(item["family"], item["secret"], "preau demo")
    except (ThrottledError, WrongCodesError):
        return False
    return True


def access_lines() -> list[str]:
    """Lines with the addresses to click on, and the codes to sign in with."""
    settings = get_settings()
    path = settings.data_dir / CODES_FILE
    if not path.exists():
        return []
    runtime: Runtime = get_runtime()
    lines = []
    for slug, families in json.loads(path.read_text("utf-8")).items():
        config = runtime.registry.get(slug)
        if config is None:
            continue
        lines += [f"{config.name}: {settings.public_base_url}/{slug}/"]
        with runtime.unit_of_work(slug, actor="demo") as uow:
            lines += [
                f"  code famille {item['family']}   code enfant"
                f" {item['secret'] if _opens(uow, item) else 'was renewed since'}   ({item['why']})"
                for item in families
            ]
        lines += agent_lines(settings, slug)
    return lines
