"""Two towns that use everything: every plugin enabled, every table filled."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO

from PIL import Image
from sqlalchemy import MetaData, Table, TextClause, func, insert, select, text
from sqlalchemy import types as sql

import core.rooms  # noqa: F401 - completes the metadata
from core.api.invoices import Attachment
from core.api.payments import Means
from core.broadcasts.service import Draft
from core.debits.files import Accepted
from core.debits.service import MAX_AT_ONCE
from core.domain.debit_decisions import Finding
from core.domain.debit_files.report import Told
from core.domain.roles import Role
from core.messages.alerts import CONFIRM, UNSUBSCRIBE
from core.platform.clock import today
from core.platform.db.base import Base
from core.platform.plugins.discovery import Extensions, discovered
from core.platform.settings import load
from core.runtime import Runtime, sync_towns
from core.sign_in.service import LOST_CODES, NEW_ACCOUNT, NEW_EMAIL, WAY_IN, password_mark
from core.testing.fakes import TOWNS, FakeClock, FakePay
from core.testing.portal import Portal, Records, record, write_towns

PLUGINS = """
[plugins.payfip]
simulator = "http://127.0.0.1:9"

[plugins.payfip.regies.GARDERIE]
numcli = "09000{number}"

[plugins.telegram_bot]
token = "99001122{number}:made-up"
bot_username = "Town{number}Bot"
webhook_secret = "made_up_secret_of_town_{number}"

[plugins.cheque_import]
account_key = "made-up-key-of-town-{number}"

[plugins.planning]
feed_key = "made-up-key-of-feeds-{number}"
zone = "A"

[plugins.planning.services.CANTINE]
label = "Cantine"
add = { days = 1, at = "10:00" }
cancel = { days = 1, at = "10:00" }
"""


@cache
def metadata() -> MetaData:
    """The tables of core and of every installed plugin."""
    for plugin in discovered().plugins.values():
        package = type(plugin).__module__
        name = f"{package}.models"
        if find_spec(package).submodule_search_locations and find_spec(name):
            import_module(name)
    return Base.metadata


def dot() -> bytes:
    """A picture of one pixel."""
    out = BytesIO()
    Image.new("RGB", (1, 1), "red").save(out, "PNG")
    return out.getvalue()


def scoped_tables() -> list[Table]:
    """Those that belong to a town, what is pointed to before what points."""
    return [table for table in metadata().sorted_tables if "tenant_id" in table.c]


def make_full_portal(addresses, folder, **settings) -> Portal:
    """A portal whose two towns enable every installed plugin, and the steered provider."""
    write_towns(folder / "tenants")
    for number, slug in enumerate(TOWNS):
        path = folder / "tenants" / slug / "tenant.toml"
        path.write_text(path.read_text("utf-8") + PLUGINS.replace("{number}", str(number)), "utf-8")
    clock, plugin = FakeClock(), FakePay()
    loaded = load(
        database_url=addresses.database_url,
        owner_url=addresses.owner_url,
        relay_url=addresses.relay_url,
        redis_url=addresses.redis_url,
        tenants_dir=folder / "tenants",
        data_dir=folder,
        smtp_port=9,
        **({"public_base_url": "http://localhost"} | settings),
    )
    extensions = Extensions({**discovered().plugins, plugin.name: plugin})
    runtime = Runtime(loaded, extensions, clock=clock)
    assert not runtime.registry.broken, runtime.registry.broken
    sync_towns(loaded.owner_url, runtime.registry)
    return Portal(runtime, clock, plugin, folder, loaded.owner_url)


@dataclass
class Identifiers:
    """What names things of one family, in paths and forms."""

    slug: str
    family: str
    ids: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    session: str = ""
    """The cookie of a browser in which the family signed in."""
    account_session: str = ""
    link_session: str = ""
    """The cookie of a browser that came by a payment link."""
    agent_session: str = ""
    """The cookie of an agent of the same town."""
    reference: str = ""
    """The provider's, of a payment under way."""

    def value(self, name: str) -> str:
        """An id or a token, as an address or a form holds it."""
        return str(self.ids[name] if name in self.ids else self.tokens[name])


def settle(portal: Portal, slug: str, family_id: int, invoice_ids: list[int], key: str) -> int:
    """Pay online, from the form to the confirmation."""
    with portal.town(slug) as town:
        payment = town.attempts.create(
            family_id, invoice_ids, email=f"{key}@{slug}.example", language="fr", key=key
        )
    with portal.town(slug) as town:
        town.attempts.start(payment)
    portal.bank.pay(portal.bank.last, portal.clock)
    with portal.town(slug) as town:
        assert town.attempts.poll(payment) == "settled"
    return payment


def offer_debits(town) -> None:
    """Let families of a town ask to be debited."""
    town.debit_requests.set_offer(
        "CANTINE", is_open=True, creditor="Ville", ics="FR72ZZZ123456", address=["Mairie"],
        next_steps="",
    )  # fmt: skip


def job_of_debits(town, invoice_id: int) -> int:
    """A large file of debits, of which nothing fits; its id."""
    day = today(town.clock.now())
    line = Accepted(invoice_id, Told.SETTLED, 1, day, "", Finding.SETTLE_ANEW)
    return town.debit_files.accept("CANTINE", "csv", [line] * (MAX_AT_ONCE + 1)).id


def live_in(portal: Portal, slug: str, family: str) -> Identifiers:  # noqa: PLR0915 - a long life
    """Let one family do all that a family can do, and tell what names its things."""
    found = Identifiers(slug, family)
    numbers = [f"{slug}-{family}-{n}" for n in range(4)]
    paper = Attachment("facture.pdf", lambda: b"%PDF-1.4\n%%EOF\n")
    found.ids["batch"] = portal.publish(
        *(record(n, family=family, debtor=f"NOM {slug} {family}") for n in numbers[:3]),
        record(numbers[3], family=family, document=paper),
        slug=slug,
    )
    with portal.town(slug) as town:  # The same invoice, changed: what it was is kept.
        town.imports.run(
            Records(record(numbers[0], family=family, label="Changée")), portal.file()
        )
    portal.codes(family, slug)
    with portal.town(slug) as town:
        family_id = town.families.by_code(family).id
        invoices = [town.invoices.by_number(number)[0].id for number in numbers]
        town.alerts.add(family_id, f"{family}@{slug}.example")
        town.alerts.add(family_id, f"{family}-2@{slug}.example")
        town.alerts.add(family_id, f"{family}-3@{slug}.example")
        contact, second, third = town.alerts.addresses(family_id)
        found.ids |= {"second_contact": second.id, "third_contact": third.id}
        found.ids["contact"] = contact.id
        found.tokens["unsubscribe"] = town.links.sign(UNSUBSCRIBE, [contact.id, contact.address])
        found.tokens["confirm"] = town.links.sign(CONFIRM, [contact.id, contact.address])
        town.alerts.confirm(found.tokens["confirm"])
        town.news.publish(f"n-{family}", title=f"À {slug}", body="Texte")
        found.ids["news"] = town.news.latest()[0].id
        found.ids["picture"] = town.news.add_picture(found.ids["news"], dot(), "Un préau")
        offer_debits(town)
        town.debit_requests.ask(family_id, "CANTINE")
        found.ids["debit_request"] = town.debit_requests.last(family_id)["CANTINE"].id
        found.ids["debit_job"] = job_of_debits(town, invoices[0])
    found.ids |= {
        "family": family_id,
        "invoice": invoices[1],
        "document": invoices[3],
        "settled": settle(portal, slug, family_id, [invoices[2]], f"{slug}-{family}"),
    }
    with portal.town(slug) as town:
        cash = town.payments.record(
            regie="CANTINE", family_id=family_id, means=Means.CASH, amount=100,
            paid_at=portal.clock.now(), payer="x", shares=[], key=f"cash-{family}",
        )  # fmt: skip
        (credit,) = town.credits.of_payment(cash.payment_id)
        found.ids["credit"] = credit.id
        town.credits.refund(
            found.ids["credit"], 1, means=Means.CASH, note="x", key=f"back-{family}"
        )
        found.ids["remittance"] = town.accounts.remittances.make("CANTINE", means=["cash"]).id
        found.ids["payment"] = town.attempts.create(
            family_id, [invoices[3]], email="", language="fr", key=f"open-{family}"
        )
    with portal.town(slug) as town:
        town.attempts.start(found.ids["payment"])
    found.reference = portal.bank.last
    with portal.town(slug) as town:
        account = town.sign_in.create_account(family_id, f"{family}@{slug}.example", "a long one")
        found.session = town.web_sessions.open(family_id)
        found.account_session = town.web_sessions.open(family_id, account_id=account)
        found.link_session = town.web_sessions.open(family_id, only_invoice_ids=[invoices[1]])
        end = portal.clock.now() + timedelta(hours=1)
        found.tokens["lost"] = town.sign_in.one_time_token(LOST_CODES, family_id, end, {})
        found.tokens["way_in"] = town.sign_in.one_time_token(
            WAY_IN, family_id, end,
            {"account_id": account, "password": password_mark(town.sign_in.account(account).password_hash)},
        )
        asked = {"email": f"new-{family}@{slug}.example"}
        found.tokens["account_new"] = town.sign_in.one_time_token(NEW_ACCOUNT, family_id, end, asked)
        found.tokens["account_email"] = town.sign_in.one_time_token(
            NEW_EMAIL, family_id, end, {"account_id": account, "email": f"other-{family}@{slug}.example"}
        )
        link = town.invoices.payment_link(invoices[1], family_id)
        found.tokens["pay"] = link.rpartition("/")[2]
        found.tokens["bill"] = town.bills.token(invoices[1])
        town.families.issue_code(family_id, holder="second")
        found.ids["upload"] = town.uploads.receive(BytesIO(b"x"), "x.csv", "csv")
        found.ids["agent"] = town.agents.create(f"agent-{family}@{slug}.example", "Agent", Role.REGISSEUR)
        found.agent_session = town.agent_sessions.open(found.ids["agent"])
        found.tokens["invitation"] = town.agent_invitations.new(found.ids["agent"])
        found.tokens["dead"] = str(
            town.session.scalars(
                text(
                    "UPDATE outbox SET state = 'dead' WHERE id ="
                    " (SELECT id FROM outbox WHERE state = 'ready' LIMIT 1) RETURNING id"
                )
            ).one()
        )
    portal.publish(record(f"{slug}-{family}-late", family=family), slug=slug)
    with portal.town(slug) as town:
        (late,) = town.invoices.by_number(f"{slug}-{family}-late")
        found.ids["till_report"] = town.accounts.officers.make_report(
            "CANTINE", kind="check", outgoing="x", incoming="y", counted=0, note=""
        ).id
        found.ids["broadcast"] = town.broadcasts.write(
            None,
            Draft("Grève", "Pas de cantine.", "all", {}, is_necessary=True, on_news=False),
        ).id
        found.ids["handover"] = town.handovers.make("CANTINE", [late.id]).id
        found.ids["payment_export"] = town.payment_exports.make("CANTINE").id
        found.tokens["exchange"] = town.exchange_tokens.renew()
    if "cheque_import" in portal.runtime.config(slug).enabled:
        _bring_a_cheque(portal, found, numbers[0])
    if "planning" in portal.runtime.config(slug).enabled:
        _book_a_day(portal, found)
    return found


HEADER = (
    "remise;date_remise;rang;cheque;z3;z2;cle;montant;emetteur;banque;ref;code_famille;date_cheque;"
    "observations"
)


def _bring_a_cheque(portal: Portal, found: Identifiers, number: str) -> None:
    from plugins.cheque_import import plugin
    from plugins.cheque_import.desk import Desk
    from plugins.cheque_import.intake import Intake
    from plugins.cheque_import.matching import Matching
    from plugins.cheque_import.models import Cheque
    from plugins.cheque_import.records import Hasher
    from plugins.cheque_import.slips import Slips

    lines = [
        f"R-{found.family};;{rank};{found.family[-1]}00012{rank};099999000015;012345678906;;56,87;"
        f"NOM {found.slug} {found.family};;{number};;;"
        for rank in (1, 2)
    ]
    content = "\n".join((HEADER, *lines))
    with portal.town(found.slug) as town:
        settings = town.settings(plugin)
        intake = Intake(town, Hasher("k" * 32, found.slug))
        done = intake.import_file(
            f"{found.family}.csv", content.encode(), regie="CANTINE", actor="agent:1"
        )  # fmt: skip
        assert not done.problems, done.problems
        desk = Desk(town, settings, actor="agent:1")
        Matching(town, settings).rematch("CANTINE")
        cheques = town.session.scalars(select(Cheque).where(Cheque.tenant_id == found.slug).order_by(Cheque.id.desc())).all()
        found.ids["cheque"] = cheques[0].id
        desk.accept(cheques[1].id)
        found.ids["slip"] = Slips(town, settings, actor="agent:1").make("CANTINE").id


def _book_a_day(portal: Portal, found: Identifiers) -> None:
    from plugins.planning import plugin
    from plugins.planning.book import Asked, Book
    from plugins.planning.feed import Feeds
    from plugins.planning.models import PlanningEnrolment, PlanningRequest
    from plugins.planning.rules import Wish

    day = portal.clock.now().date() + timedelta(days=10)
    with portal.town(found.slug) as town:
        settings = town.settings(plugin)
        # A child of this home alone: the one of the invoices lives in both.
        child = town.families.add_child(found.ids["family"], f"P{found.family}")
        town.session.add(
            PlanningEnrolment(
                tenant_id=found.slug, child_id=child.id, service="CANTINE", place="École", meal="",
                kind="occasional", weekdays="", first=day, last=day + timedelta(days=9), batch="x",
            )
        )
        book = Book(town, settings, actor="family", family_id=found.ids["family"])
        key = f"{found.ids['family']}:form"
        book.ask([Asked(child.id, "CANTINE", day, Wish.ADD)], key=key)
        found.ids["planning_child"] = child.id
        found.ids["planning_request"] = town.session.scalars(
            select(PlanningRequest.id).where(PlanningRequest.key == key)
        ).one()
        feeds = Feeds(town, settings.feed_key.get_secret_value())
        found.tokens["planning_feed"] = feeds.new(found.ids["family"])


def fill_the_rest(session, slug: str) -> list[str]:
    """Write one row into every table of the town that is still empty; which ones they were.

    So a table that is new tomorrow is tested without a line here.
    """
    filled = []
    for table in scoped_tables():
        if session.execute(select(func.count()).select_from(table)).scalar_one():
            continue
        filled.append(table.name)
        session.execute(insert(table).values(row_for(session, table, slug)))
    return filled


NOT_BOTH = {
    # An entry is of a payment or of a remittance.
    ("journal_entry", "remittance_id"): "payment_id",
    # A line is of one of both, and every allocation of the towns is told already.
    ("payment_export_line", "allocation_id"): "credit_id",
    # One rejection a payment, and the towns have one already.
    ("debit_rejection", "payment_id"): None,
}
"""References that a row leaves out, each with the one that leaves where it is given after all."""


def row_for(session, table: Table, slug: str, pointing: dict | None = None) -> dict:
    """Values that make a good row: references to rows of the town, and made-up values.

    `pointing` holds references that are given whatever the row would have said.
    """
    pointing = pointing or {}
    values = {"tenant_id": slug}
    for constraint in table.foreign_key_constraints:
        target = constraint.referred_table
        if target.name == "tenant" or any((table.name, name) in NOT_BOTH for name in constraint.column_keys):
            continue
        pairs = [(e.parent.name, e.column) for e in constraint.elements]
        columns = [column for _name, column in pairs]
        found = session.execute(select(*columns).order_by(*columns).limit(1)).first()
        assert found is not None, f"{target.name} is empty"
        values |= dict(zip((name for name, _column in pairs), found, strict=True))
    for column in table.columns:
        generated = column.identity is not None or column.server_default is not None
        if column.name in values or generated or column.nullable:
            continue
        values[column.name] = made_up(column.type)
    for name in pointing:
        values.pop(NOT_BOTH.get((table.name, name)), None)
    return values | pointing


def made_up(kind):
    """A value of an SQL type."""
    for types, value in (
        (sql.ARRAY, []),
        (sql.JSON, {}),
        (sql.Boolean, False),
        (sql.LargeBinary, uuid.uuid4().bytes),
        (sql.Uuid, uuid.uuid4()),
        (sql.DateTime, datetime(2026, 1, 1, tzinfo=UTC)),
        (sql.Date, date(2026, 1, 1)),
        (sql.Numeric, Decimal(1)),
        (sql.Integer, secrets.randbelow(10**9)),
        (sql.String, uuid.uuid4().hex),
    ):
        if isinstance(kind, types):
            return value
    raise NotImplementedError(kind)


@cache
def _digests() -> TextClause:
    """One statement for all tables: these tests ask for it a thousand times."""
    return text(
        " UNION ALL ".join(
            f"SELECT '{table.name}', (SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM \"{table.name}\" t)"
            for table in scoped_tables()
        )
    )


def contents(portal: Portal, slug: str) -> dict[str, str]:
    """A digest of every table of a town, as the town itself sees it."""
    with portal.town(slug) as town:
        return dict(map(tuple, town.session.execute(_digests())))
