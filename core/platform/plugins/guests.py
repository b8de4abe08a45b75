"""A town as contained plugin code sees it: never over the session of the request or worker.

What such code does in the database is its own: a statement that fails, a lock, a setting of the
connection or a wait for another row costs its own call, and nothing that core wants to commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel
from sqlalchemy.orm import Session

from core.api.chat import ChatAnswer, ChatPress, ChatQuestion, ChatSkill
from core.api.context import (
    Certificates,
    Chat,
    Clock,
    Families,
    Invoices,
    Messages,
    Outbox,
    Payments,
    Remittances,
    TenantContext,
    TownInfo,
)
from core.api.groups import FamilyGroup
from core.api.invoices import (
    InvoiceRecord,
    InvoiceSource,
    SourceFile,
    SourceNotice,
    SourceProblem,
)
from core.api.messages import (
    Address,
    Delivery,
    Message,
    MessageKind,
    Notification,
    NotificationChannel,
    Wording,
)
from core.api.payments import (
    Attempt,
    Capabilities,
    Outcome,
    PaymentIntent,
    PaymentProvider,
    Redirect,
)
from core.api.plugin import Plugin
from core.api.records import RecordImport, RecordReport
from core.platform.db.session import break_off, retire
from core.platform.plugins.discovery import Brought
from core.platform.plugins.visits import Access, Visit, current_visit
from core.platform.settings import Settings, installation_settings
from core.platform.signing import keyed_hash

if TYPE_CHECKING:
    from core.platform.tenancy.config import TenantConfig

S = TypeVar("S", bound=BaseModel)


def keyed_digits(installation: Settings, slug: str, plugin: Plugin[Any], value: str) -> str:
    """64 hexadecimal digits that stand for a value of a plugin in a town."""
    key = installation.secret_key
    return keyed_hash(key, f"plugin:{plugin.name}", f"{slug}/{value}").hex()


class OutOfReachError(Exception):
    """A plugin reached for the database where it may not."""


class Guest:
    """One town for contained calls; satisfies `core.api.context.TenantContext`.

    A plugin's object may keep it. Each call of a hook, or of a method of such an object, has a
    session of its own, which ends with the call.
    """

    def __init__(
        self,
        config: TenantConfig,
        town: TownInfo,
        clock: Clock,
        installation: Settings,
        open_: Callable[[float, bool], TenantContext],
    ) -> None:
        """`open_` opens the town with a session of its own, bounded in seconds; True: to read."""
        self._config = config
        self._installation = installation
        self._open = open_
        self.town = town
        self.clock = clock

    @property
    def session(self) -> Session:
        """The session of the current call."""
        return self._work().session

    @property
    def families(self) -> Families:
        """The families' files."""
        return self._work().families

    @property
    def invoices(self) -> Invoices:
        """The published invoices."""
        return self._work().invoices

    @property
    def certificates(self) -> Certificates:
        """Yearly tax certificates."""
        return self._work().certificates

    @property
    def payments(self) -> Payments:
        """Payments."""
        return self._work().payments

    @property
    def remittances(self) -> Remittances:
        """Remittances of recorded money."""
        return self._work().remittances

    @property
    def outbox(self) -> Outbox:
        """Effects that leave after the commit."""
        return self._work().outbox

    @property
    def messages(self) -> Messages:
        """Messages of the plugin's own kinds."""
        return self._work().messages

    @property
    def chat(self) -> Chat:
        """Skills of all plugins."""
        return self._work().chat

    def installation_settings(self, plugin: Plugin[Any]) -> Any:
        """The settings of `plugin` for the whole installation."""
        return installation_settings(self._installation, plugin)

    def keyed_hash(self, plugin: Plugin[Any], value: str) -> str:
        """Digits that only this installation can tell."""
        return keyed_digits(self._installation, self.town.slug, plugin, value)

    def settings(self, plugin: Plugin[S]) -> S:
        """The settings of `plugin` in this town."""
        return cast("S", self._config.settings[plugin.name])

    def _work(self) -> TenantContext:
        visit = current_visit()
        if visit is None:
            raise OutOfReachError("the town's data is within reach during a call only")
        if visit.access is Access.NONE:
            raise OutOfReachError("this is answered from the settings alone, without a database")
        return visit.opened(self, partial(_Work, visit, self._open)).context


class _Work:
    """The session of one call (`core.platform.plugins.visits.Resource`)."""

    def __init__(self, visit: Visit, open_: Callable[[float, bool], TenantContext]) -> None:
        self._writes = visit.access is Access.WRITE
        self.context = open_(visit.seconds, not self._writes)

    def end(self, *, well: bool) -> None:
        """Commit what a call that may write has done; then close."""
        session = self.context.session
        try:
            with session:
                if well and self._writes:
                    session.commit()
        finally:
            retire(session)

    def break_off(self) -> None:
        """Cut the connection."""
        break_off(self.context.session)


class Held:
    """An object that a plugin brings: its key and label as they were when it was brought."""

    def __init__(self, brought: Brought) -> None:
        self.plugin = brought.plugin
        self.key = brought.key
        self.label = brought.label
        self.built_in = brought.built_in
        self.it = brought.it


class HeldProvider(Held):
    """A payment provider (`core.api.payments.PaymentProvider`)."""

    def capabilities(self, regie: str) -> Capabilities | None:
        """See `PaymentProvider.capabilities`."""
        return cast("PaymentProvider", self.it).capabilities(regie)

    def start(self, intent: PaymentIntent) -> Redirect:
        """See `PaymentProvider.start`."""
        return cast("PaymentProvider", self.it).start(intent)

    def outcome(self, attempt: Attempt) -> Outcome:
        """See `PaymentProvider.outcome`."""
        return cast("PaymentProvider", self.it).outcome(attempt)


class HeldChannel(Held):
    """A notification channel (`core.api.messages.NotificationChannel`)."""

    def __init__(self, brought: Brought) -> None:
        super().__init__(brought)
        self.capabilities = brought.capabilities

    def addresses(self, family_id: int, kind: str) -> tuple[Address, ...]:
        """See `NotificationChannel.addresses`."""
        return cast("NotificationChannel", self.it).addresses(family_id, kind)

    def deliver(self, message: Message, to: Address, key: str) -> Delivery:
        """See `NotificationChannel.deliver`."""
        return cast("NotificationChannel", self.it).deliver(message, to, key)


class HeldKind(Held):
    """A kind of message (`core.api.messages.MessageKind`)."""

    @property
    def name(self) -> str:
        """The kind's name among those of all plugins."""
        return f"{self.plugin}.{self.key}"

    def write(self, notification: Notification) -> Wording | None:
        """See `MessageKind.write`."""
        return cast("MessageKind", self.it).write(notification)


class HeldGroup(Held):
    """A group of families (`core.api.groups.FamilyGroup`)."""

    def __init__(self, brought: Brought) -> None:
        super().__init__(brought)
        self.fields = brought.fields

    def describe(self, chosen: Mapping[str, str]) -> str:
        """See `FamilyGroup.describe`."""
        return cast("FamilyGroup", self.it).describe(chosen)

    def families(self, chosen: Mapping[str, str]) -> Collection[int]:
        """See `FamilyGroup.families`."""
        return cast("FamilyGroup", self.it).families(chosen)


class HeldRecords(Held):
    """A kind of file of records (`core.api.records.RecordImport`)."""

    def read(self, file: SourceFile) -> Iterator[Any]:
        """See `RecordImport.read`."""
        return cast("RecordImport", self.it).read(file)

    def merge(self, ctx: TenantContext, records: Sequence[Any], import_id: int) -> RecordReport:
        """See `RecordImport.merge`."""
        return cast("RecordImport", self.it).merge(ctx, records, import_id)

    def undo(self, ctx: TenantContext, import_id: int) -> RecordReport:
        """See `RecordImport.undo`."""
        return cast("RecordImport", self.it).undo(ctx, import_id)


class HeldSkill(Held):
    """Something to do in a chat (`core.api.chat.ChatSkill`)."""

    def __init__(self, brought: Brought) -> None:
        super().__init__(brought)
        self.rules = brought.rules

    def answer(self, question: ChatQuestion) -> ChatAnswer | None:
        """See `ChatSkill.answer`."""
        return cast("ChatSkill", self.it).answer(question)

    def press(self, press: ChatPress) -> ChatAnswer:
        """See `ChatSkill.press`."""
        return cast("ChatSkill", self.it).press(press)


class HeldSource(Held):
    """An invoice source (`core.api.invoices.InvoiceSource`)."""

    def read(self, file: SourceFile) -> Iterator[InvoiceRecord | SourceProblem | SourceNotice]:
        """See `InvoiceSource.read`."""
        return cast("InvoiceSource", self.it).read(file)
