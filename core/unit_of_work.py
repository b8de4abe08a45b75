"""One town in one unit of work: every service, made when it is first used.

It satisfies `core.api.context.TenantContext`, so it is what hooks and consumers are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

import core.rooms  # noqa: F401 - completes the tables' metadata in whatever process works for a town
from core.agents.invitations import AgentInvitations
from core.agents.proof import AgentProof
from core.agents.second_factor import SecondFactor
from core.agents.service import Agents
from core.agents.sessions import AgentSessions
from core.api.context import Clock, TenantContext, TownInfo
from core.api.errors import RetryableError, UserError
from core.api.plugin import HealthCheck, Plugin
from core.api.web import Audience, MenuEntry, TodoEntry
from core.books.accounts import Accounts
from core.books.remittances import PluginRemittances
from core.broadcasts.groups import Groups
from core.broadcasts.service import Broadcasts
from core.certificates.service import Certificates
from core.credits.lists import CreditList
from core.credits.service import Credits
from core.debits.files import DebitFiles
from core.debits.reasons import reason_words
from core.debits.requests import DebitRequests
from core.debits.service import Debits
from core.exchanges.exports import PaymentExports
from core.exchanges.intake import Intake
from core.exchanges.sending import Sending
from core.exchanges.states import ExchangeStates
from core.exchanges.tokens import ExchangeTokens
from core.families.editing import Files
from core.families.lists import FamilyList
from core.families.service import Families
from core.imports.corrections import Corrections
from core.imports.fanout import Fanout
from core.imports.format.mapped import InvoiceLayout, MappedSource
from core.imports.layouts import INVOICES, Layouts
from core.imports.lists import ImportList
from core.imports.records import RecordImports
from core.imports.service import Imports
from core.imports.uploads import Uploads
from core.invoices.bills import Bills
from core.invoices.files import Files as DocumentFiles
from core.invoices.handling import Billing
from core.invoices.handovers import Handovers
from core.invoices.lists import InvoiceList, owed_by_family
from core.invoices.money import Money
from core.invoices.papers import InvoicePapers, PapersAhead
from core.invoices.service import Invoices
from core.invoices.sheets import InvoiceSheets
from core.invoices.sweeping import sweep
from core.journal.service import Journal
from core.letters.service import Letters
from core.messages.alerts import Alerts
from core.messages.kinds import Kinds
from core.messages.service import EMAIL, Notifications
from core.news.service import NewsDesk
from core.overview.charts import Charts
from core.overview.figures import Figures
from core.overview.health import Health, PapersState
from core.overview.search import Search
from core.overview.subjects import Subjects
from core.payments.attempts import Attempts
from core.payments.counter import Desk
from core.payments.ledger import Ledger
from core.payments.lists import PaymentList
from core.payments.models import MONEY
from core.payments.paid import PaidInvoices
from core.payments.receipts import Receipts
from core.payments.service import Payments
from core.payments.titles import Titles
from core.payments.watching import Watch
from core.personal_data.housekeeping import forget_served
from core.personal_data.merging import Merging
from core.personal_data.service import PersonalData
from core.platform.audit.service import Audit
from core.platform.audit.trail import Trail
from core.platform.db import limits
from core.platform.db.session import guest_session, held, mark_foreign, restore
from core.platform.documents.objects import ObjectStore, StoreAwayError
from core.platform.doors import Doors
from core.platform.i18n import gettext as _
from core.platform.interruption import errors_only
from core.platform.outbox.dead import DeadEffects
from core.platform.outbox.service import Outbox
from core.platform.plugins import process_state
from core.platform.plugins.cache import PluginCache
from core.platform.plugins.calls import ContractError, report_fault
from core.platform.plugins.chat import Chat
from core.platform.plugins.discovery import Brought, Extensions
from core.platform.plugins.events import Events
from core.platform.plugins.guests import (
    Guest,
    Held,
    HeldChannel,
    HeldGroup,
    HeldKind,
    HeldProvider,
    HeldRecords,
    HeldSkill,
    HeldSource,
    keyed_digits,
)
from core.platform.plugins.selection import ProviderSelection
from core.platform.settings import Settings, installation_settings
from core.platform.signing import Links
from core.platform.tenancy.config import TenantConfig
from core.platform.throttling import Throttle
from core.platform.wiring import wired
from core.reminders.service import Reminders
from core.sign_in.access import Access
from core.sign_in.confirmations import Confirmations
from core.sign_in.service import SignIn
from core.sign_in.sessions import WebSessions

S = TypeVar("S", bound=BaseModel)
H = TypeVar("H", bound=Held)


_WITHIN_PLUGIN = frozenset(
    {"message_kinds", "chat_skills", "record_imports", "family_groups"}
)
"""Hooks whose keys say nothing outside their plugin."""


@dataclass(frozen=True, slots=True)
class SharedServices:
    """Services that all units of work of a process share."""

    settings: Settings
    extensions: Extensions
    clock: Clock
    throttle: Throttle
    answers: PluginCache
    guests: Engine
    """Connections for contained plugin code."""
    objects: ObjectStore | None = None
    """Store of finished papers; None: they are in the database."""


@wired(
    types={
        Session: "session",
        TenantConfig: "config",
        Clock: "clock",
        Throttle: "_throttle",
        Money: "_money",
    },
    names={
        "tenant": "slug",
        "base_url": "base_url",
        "secret_key": "_secret_key",
        "ask_plugins": "ask_plugins",
    },
)
class UnitOfWork:
    """One town, one session, one actor (``family:<id>``, ``agent:<id>``, ``cli:<user>``...).

    Services that need nothing but others and the names above are one line each: `wired` makes them
    when they are first used. Those with something of their own are written out below.
    """

    # The process and its town.
    outbox: Outbox
    links: Links
    trail: Trail
    dead_effects: DeadEffects
    doors: Doors

    # Families, news, messages.
    families: Families
    news: NewsDesk
    alerts: Alerts

    # Who comes in.
    sign_in: SignIn
    confirmations: Confirmations
    access: Access
    web_sessions: WebSessions
    agents: Agents
    agent_invitations: AgentInvitations
    second_factor: SecondFactor
    agent_proof: AgentProof
    agent_sessions: AgentSessions

    # Invoices.
    bills: Bills
    sheets: InvoiceSheets
    invoices: Invoices
    invoice_list: InvoiceList
    billing: Billing
    handovers: Handovers
    reminders: Reminders

    # Imports.
    imports: Imports
    import_list: ImportList
    fanout: Fanout
    layouts: Layouts
    corrections: Corrections

    # Payments.
    journal: Journal
    ledger: Ledger
    watch: Watch
    receipts: Receipts
    payments: Payments
    payment_list: PaymentList
    paid_invoices: PaidInvoices
    titles: Titles
    desk: Desk
    credits: Credits
    credit_list: CreditList
    certificates: Certificates

    # Direct debits, broadcasts.
    debit_files: DebitFiles
    debit_requests: DebitRequests
    broadcasts: Broadcasts

    # Exchanges, search, personal data.
    payment_exports: PaymentExports
    exchange_states: ExchangeStates
    intake: Intake
    sending: Sending
    exchange_tokens: ExchangeTokens
    search: Search
    merging: Merging

    def __init__(
        self,
        config: TenantConfig,
        session: Session,
        shared: SharedServices,
        *,
        base_url: str,
        actor: str,
    ) -> None:
        self.config = config
        self.session = session
        self.slug = config.slug
        self.clock = shared.clock
        self.base_url = base_url
        self._shared = shared
        self._extensions = shared.extensions
        self._throttle = shared.throttle
        self._secret_key = shared.settings.secret_key
        self._money = MONEY
        self._actor = actor
        self._answers = shared.answers.of(config.slug)
        self._collected: dict[str, dict[str, Held]] = {}
        self._incomplete: set[str] = set()
        """Hooks to which not every plugin gave an answer."""

    def with_clock(self, clock: Clock) -> UnitOfWork:
        """The same town, transaction and actor, by another clock: for a past that is made up."""
        return UnitOfWork(
            self.config,
            self.session,
            replace(self._shared, clock=clock),
            base_url=self.base_url,
            actor=self._actor,
        )

    def on(self, session: Session) -> UnitOfWork:
        """The same town, actor and rights in another session: on a standby, to read."""
        regies = limits.regies_of(self.session)
        if regies is not None:
            limits.limit(session, regies)
        return UnitOfWork(
            self.config, session, self._shared, base_url=self.base_url, actor=self._actor
        )

    def limit(self, regies: Iterable[str]) -> None:
        """Work in these régies of the town only, from here on: see `core.platform.db.limits`.

        None named, or all of them: the whole town.
        """
        named = set(regies)
        if not named or named >= set(self.config.file.regies):
            return
        limits.limit(self.session, named)
        self.config = self.config.only(named)
        for name, member in vars(type(self)).items():
            # What was made before knows the whole town. The trail keeps its actor.
            if isinstance(member, cached_property) and name != "audit":
                self.__dict__.pop(name, None)

    @cached_property
    def town(self) -> TownInfo:
        """The town as plugins see it."""
        return self.config.info(self.base_url)

    def settings(self, plugin: Plugin[S]) -> S:
        """The settings of `plugin` in this town."""
        return cast("S", self.config.settings[plugin.name])

    def installation_settings(self, plugin: Plugin[Any]) -> Any:
        """The settings of `plugin` for the whole installation."""
        return installation_settings(self._shared.settings, plugin)

    def keyed_hash(self, plugin: Plugin[Any], value: str) -> str:
        """Digits that only this installation can tell."""
        return keyed_digits(self._shared.settings, self.config.slug, plugin, value)

    @property
    def guest(self) -> TenantContext:
        """This town for contained plugin code, which has sessions of its own."""
        return Guest(
            self.config, self.town, self.clock, self._shared.settings, self._apart
        )

    def _apart(self, seconds: float, reads: bool) -> TenantContext:
        session = guest_session(
            self._shared.guests,
            self.config.slug,
            seconds=seconds,
            reads=reads,
            regies=limits.regies_of(self.session),
        )
        return UnitOfWork(
            self.config, session, self._shared, base_url=self.base_url, actor=self._actor
        )

    # --- What the enabled plugins bring ------------------------------------------------------

    # Not cached_property: its lock is one for all towns (in Python 3.11), and would be held while a
    # plugin hangs.

    @property
    def providers(self) -> Mapping[str, HeldProvider]:
        """Payment providers by key, in the order of the town's file."""
        return self._by_key("payment_providers", HeldProvider)

    @property
    def channels(self) -> Mapping[str, HeldChannel]:
        """Notification channels by key."""
        return self._by_key("notification_channels", HeldChannel)

    @property
    def sources(self) -> Mapping[str, HeldSource]:
        """Invoice sources by key: the plugins', and the lists of which the town keeps a layout."""
        brought = self._by_key("invoice_sources", HeldSource)
        kept = [
            MappedSource(
                f"layout-{layout.id}",
                layout.name,
                InvoiceLayout.of(layout.settings),
                self.town.regies,
            )
            for layout in self.layouts.all(INVOICES)
        ]
        return {
            **brought,
            **{
                source.key: HeldSource(Brought("csv", source.key, source.label, True, source))
                for source in kept
            },
        }

    @property
    def message_kinds(self) -> Mapping[str, HeldKind]:
        """The plugins' kinds of messages, by ``<plugin>.<key>``."""
        return self._by_key("message_kinds", HeldKind)

    @property
    def family_groups(self) -> Mapping[str, HeldGroup]:
        """The plugins' groups of families, by ``<plugin>.<key>``."""
        return self._by_key("family_groups", HeldGroup)

    @property
    def chat_skills(self) -> Mapping[str, HeldSkill]:
        """The plugins' skills for chats, by ``<plugin>.<key>``."""
        return self._by_key("chat_skills", HeldSkill)

    def menu(self, audience: Audience) -> Sequence[MenuEntry]:
        """The plugins' entries of a menu, sorted; asked once a minute."""
        known, unknown = self._answers.known("menu_entries", [audience])
        if not unknown:
            return known[audience]
        found = self._collect("menu_entries", audience=audience)
        entries = chain.from_iterable(entries for _plugin, entries in found)
        menu = tuple(sorted(entries, key=lambda entry: (entry.order, entry.label)))
        if "menu_entries" not in self._incomplete:
            self._answers.keep("menu_entries", audience, menu)
        return menu

    def tile_lines(self, family_id: int) -> Mapping[str, str]:
        """The plugins' lines about a family, by the route of the tile: of their own pages only."""
        return {
            line.route: line.text
            for plugin, lines in self._collect("tile_lines", family_id=family_id)
            for line in lines
            if line.route.startswith(f"{plugin}.")
        }

    def todo_entries(self) -> list[tuple[str, TodoEntry]]:
        """Tasks that wait for the agents in the plugins' pages, with the plugin of each."""
        return [
            (plugin, entry)
            for plugin, entries in self._collect("todo_entries")
            for entry in entries
            if entry.count > 0
        ]

    def call_plugin(self, plugin: str, hook: str, **arguments: Any) -> Any:
        """Call a hook of one plugin in this transaction; its exceptions pass.

        Raises:
            SQLAlchemyError: it hid the failure of a statement, which aborted the transaction.
        """
        mark_foreign(self.session)
        with process_state.kept():
            answer = self._extensions.call_one(
                self.config.enabled, plugin, hook, ctx=self, **arguments
            )
        restore(self.session)
        return answer

    def ask_plugins(self, hook: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Answer of each enabled plugin to a hook, in this transaction.

        Raises:
            UserError: one of them fails, so that the whole must not be done.
        """
        answers = {}
        for name in self._extensions.implementers(self.config.enabled, hook):
            try:
                # A broken statement must not break the page; nor may the plugin end the
                # transaction, of which its part would then be done, and the rest not.
                with self.session.begin_nested(), held(self.session, name), errors_only():
                    answers[name] = self.call_plugin(name, hook, **arguments)
            except Exception as error:
                report_fault(name, hook, error)
                raise UserError(
                    _("L’extension « %(name)s » a échoué : rien n’a été fait.") % {"name": name}
                ) from error
        return answers

    def _collect(self, hook: str, **arguments: Any) -> list[tuple[str, list[Any]]]:
        found = self._extensions.contained(self.config.enabled, hook, ctx=self, **arguments)
        if len(found) < len(self._extensions.implementers(self.config.enabled, hook)):
            self._incomplete.add(hook)
        order = {name: rank for rank, name in enumerate(self.config.settings)}
        return sorted(found, key=lambda item: order[item[0]])

    def _by_key(self, hook: str, kind: type[H]) -> Mapping[str, H]:
        """Objects of the plugins, by key; asked for once. A key that is taken cannot be taken over.

        Kinds of messages and skills have a key within their plugin.
        """
        if hook not in self._collected:
            by_key: dict[str, Held] = {}
            for plugin, items in self._collect(hook):
                for item in items:
                    key = f"{plugin}.{item.key}" if hook in _WITHIN_PLUGIN else item.key
                    if hook == "payment_providers" and item.key != plugin:
                        # Payments under way are asked for under this name, for years.
                        report_fault(plugin, hook, ContractError(f"key {item.key!r}, not its name"))
                    elif key in by_key:
                        report_fault(plugin, hook, ContractError(f"key {item.key!r} is taken"))
                    else:
                        by_key[key] = kind(item)
            self._collected[hook] = by_key
        return cast("Mapping[str, H]", self._collected[hook])

    # --- Services ----------------------------------------------------------------------------

    @cached_property
    def audit(self) -> Audit:
        """The audit trail."""
        return Audit(self.session, self.config.slug, self._actor)

    @cached_property
    def events(self) -> Events:
        """Events, for plugins and messages."""
        return Events(self.outbox, self._extensions, self.config.enabled)

    @cached_property
    def document_files(self) -> DocumentFiles:
        """Finished files, wherever they are kept."""
        return DocumentFiles(self.session, self.config.slug, self._shared.objects)

    def sweep_documents(self) -> int:
        """Remove what no row names from the object store; the number of files removed.

        Raises:
            NotOverError: files are being written now.
        """
        if self._shared.objects is None:
            return 0
        try:
            return sweep(
                self.session, self.config.slug, self._shared.objects, self.clock.now()
            )
        except StoreAwayError as error:
            raise RetryableError(f"the object store does not answer: {error}") from error

    @cached_property
    def papers_ahead(self) -> PapersAhead | None:
        """Papers made before families ask; None where the settings want none."""
        if not self._shared.settings.papers_ahead:
            return None
        return PapersAhead(
            self.session,
            self.config.slug,
            papers=InvoicePapers(self.session, self.config.slug, self.clock),
            sheet=self.invoices.sheet_to_print,
            outbox=self.outbox,
        )

    @cached_property
    def uploads(self) -> Uploads:
        """Files on their way in."""
        return Uploads(
            self.session,
            self.config,
            self.clock,
            sources=lambda: self.sources,
            imports=self.imports,
            records=self.record_imports,
            outbox=self.outbox,
            audit=self.audit,
        )

    @cached_property
    def record_imports(self) -> RecordImports:
        """Files of plugins' own records."""
        return RecordImports(
            self.session,
            self.config.slug,
            self.clock,
            kinds=lambda: self._by_key("record_imports", HeldRecords),
            ctx=self,
            audit=self.audit,
        )

    @cached_property
    def attempts(self) -> Attempts:
        """Online payments until they are settled."""
        return Attempts(
            self.session,
            self.config.slug,
            self.clock,
            ledger=self.ledger,
            watch=self.watch,
            invoices=self.invoices,
            audit=self.audit,
            choices=self.selection,
            providers=lambda: self.providers,
            base_url=self.base_url,
            language=self.config.languages[0],
        )

    @cached_property
    def selection(self) -> ProviderSelection:
        """Payment provider of each régie."""
        return ProviderSelection(
            self.config.slug,
            self._answers,
            providers=lambda: self.providers,
            all_there=lambda: "payment_providers" not in self._incomplete,
        )

    @cached_property
    def debits(self) -> Debits:
        """Recurring direct debits."""
        return Debits(
            self.session,
            self.config,
            self.clock,
            ledger=self.ledger,
            payments=self.payments,
            events=self.events,
            audit=self.audit,
            # Asked for late: few acts on debits ask of a closing.
            is_closed=lambda regie, day: self.accounts.closings.is_closed(regie, day),  # noqa: PLW0108
        )

    @cached_property
    def notifications(self) -> Notifications:
        """Messages to families."""
        return Notifications(
            self.session,
            self.config.slug,
            self.clock,
            outbox=self.outbox,
            families=self.families,
            channels=lambda: self.channels,
            writer=self.letters,
            kinds=self.messages,
            inviting=self._inviting_channel,
            # Asked for late: few messages are about a payment.
            payer_email=lambda payment_id: self.payments.payer_email(payment_id),  # noqa: PLW0108
        )

    def _inviting_channel(self) -> str:
        """The channel of one-time links; asked once a minute."""
        known, unknown = self._answers.known("inviting_channel", [""])
        if not unknown:
            return str(known[""])
        able = (key for key, channel in self.channels.items() if channel.capabilities.invitations)
        key = next(able, EMAIL)
        if "notification_channels" not in self._incomplete:
            self._answers.keep("inviting_channel", "", key)
        return key

    @cached_property
    def messages(self) -> Kinds:
        """Messages of the plugins' own kinds."""
        return Kinds(
            self.session,
            self.config.slug,
            outbox=self.outbox,
            kinds=lambda: self.message_kinds,
            # Asked for when it is needed: the two hold each other.
            queue=lambda: self.notifications.queue,
        )

    @cached_property
    def chat(self) -> Chat:
        """The plugins' skills for chats."""
        return Chat(self.config.slug, self._secret_key, skills=lambda: self.chat_skills)

    @cached_property
    def letters(self) -> Letters:
        """Texts of messages."""
        return Letters(
            self.session,
            self.config,
            self.clock,
            invoices=self.invoices,
            payments=self.payments,
            links=self.links,
            kinds=self.messages,
            debit_reason=lambda payment_id: self.debits.reason_of(payment_id),  # noqa: PLW0108
            reject_words=reason_words,
            # Asked for late: agents write by notifications, which write by letters.
            invite=lambda agent_id: self.agent_invitations.new(agent_id),  # noqa: PLW0108
            written=lambda number, language: self.broadcasts.written(number, language),  # noqa: PLW0108
            base_url=self.base_url,
        )

    @cached_property
    def family_list(self) -> FamilyList:
        """Lists of families."""
        slug = self.config.slug
        return FamilyList(self.session, slug, lambda regie: owed_by_family(slug, regie))

    @cached_property
    def subjects(self) -> Subjects:
        """Names of things that the audit trail is about."""
        regies = {key: regie.label for key, regie in self.config.file.regies.items()}
        return Subjects(self.session, self.config.slug, regies)

    @cached_property
    def charts(self) -> Charts:
        """The dashboard's charts, drawn or kept."""
        return Charts(
            self.session,
            self.config.slug,
            self.clock,
            draw=self.figures.report,
            outbox=self.outbox,
        )

    @cached_property
    def figures(self) -> Figures:
        """The dashboard."""
        return Figures(self.session, self.config.slug, self.clock, channels=lambda: self.channels)

    @cached_property
    def groups(self) -> Groups:
        """Groups of families to write to."""
        return Groups(self.session, self.config, self.clock, brought=lambda: self.family_groups)

    @cached_property
    def personal_data(self) -> PersonalData:
        """Data that families may ask for, and data that time erases."""
        return PersonalData(
            self.session,
            self.config,
            self.clock,
            audit=self.audit,
            ask_plugins=self.ask_plugins,
            books_need=self.accounts.closings.needs,
        )

    def tidy_up(self) -> None:
        """Forget what has served."""
        forget_served(self.session, self.config.slug, self.clock.now())
        InvoicePapers(self.session, self.config.slug, self.clock).forget_old()
        self.charts.redraw_all()

    def health_checks(self) -> list[tuple[str, HealthCheck]]:
        """The plugins' questions about their own health, with the plugin that asks."""
        return [
            (plugin, check) for plugin, checks in self._collect("health_checks") for check in checks
        ]

    @cached_property
    def health(self) -> Health:
        """State of the town's machinery."""
        return Health(
            self.session,
            self.config.slug,
            self.clock,
            channels=lambda: self.channels,
            providers=lambda: self.providers,
            checks=self.health_checks,
            papers=self.papers_state,
        )

    def papers_state(self) -> PapersState | None:
        """State of the papers of an object store; None where they are in the database."""
        if self._shared.objects is None:
            return None
        try:
            self._shared.objects.check()
            problem = ""
        except StoreAwayError as error:
            problem = str(error)
        return PapersState(problem, self.document_files.places().in_database)

    @cached_property
    def files(self) -> Files:
        """Families' files in the hands of agents."""
        return Files(
            self.session,
            self.config,
            self.clock,
            secret_key=self._secret_key,
            base_url=self.base_url,
            families=self.families,
            audit=self.audit,
            # Asked for late: most files are opened without it.
            cut=lambda family_id: self.access.cut(family_id),  # noqa: PLW0108
            is_billed=lambda *child: self.invoices.names_child(*child),  # noqa: PLW0108
        )

    @cached_property
    def accounts(self) -> Accounts:
        """The régies' books."""
        return Accounts(
            self.session,
            self.config,
            self.clock,
            journal=self.journal,
            audit=self.audit,
            events=lambda: self.events,
            ledger=self.ledger,
            titles=self.titles,
            ask_plugins=self.ask_plugins,
            names=lambda: self.agents.names(),  # noqa: PLW0108 - made late: few pages need agents
        )

    @cached_property
    def remittances(self) -> PluginRemittances:
        """Remittances, for plugins; core's own pages take `accounts.remittances`."""
        return PluginRemittances(self.accounts.remittances)
