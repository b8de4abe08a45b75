"""Objects that a plugin is given to work with in one town, for one unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from core.api.chat import ChatAnswer, ChatPress, ChatQuestion, ChatSkillInfo
from core.api.messages import Document, Notification
from core.api.payments import Means

if TYPE_CHECKING:
    from pydantic import BaseModel
    from sqlalchemy.orm import Session

    from core.api.plugin import Plugin

S = TypeVar("S", bound="BaseModel")


@dataclass(frozen=True, slots=True)
class RegieInfo:
    """A régie of the town: `collects` is False where the trésorerie does (*titre* invoices)."""

    key: str
    label: str
    collects: bool


@dataclass(frozen=True, slots=True)
class ContactInfo:
    """Contact details of the town for families; each may be empty."""

    phone: str = ""
    email: str = ""
    hours: str = ""
    address: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MailInfo:
    """Addresses of the town's mails; each may be empty: the installation's own is used then."""

    sender: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class CertificateYear:
    """A year in which something was paid for care (cents); `final` once the year is over."""

    year: int
    total: int
    final: bool


@dataclass(frozen=True, slots=True)
class TownInfo:
    """The town as its families know it. `base_url` is absolute and has no slash at its end."""

    slug: str
    name: str
    base_url: str
    languages: tuple[str, ...]
    regies: tuple[RegieInfo, ...]
    contact: ContactInfo = ContactInfo()
    mail: MailInfo = MailInfo()


@dataclass(frozen=True, slots=True)
class FamilyInfo:
    """A family's file, without its secrets."""

    id: int
    code: str
    name: str
    language: str


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """A child, as the files of the billing software name it."""

    id: int
    code: str
    """The number that the files give for the child; without one, made of the family's code and the
    first name."""
    name: str
    """The names as the files write them: often first and last name, sometimes the first alone."""
    family_ids: tuple[int, ...]
    """The homes: one family, or several where the parents live apart; none once all are erased.

    For decisions only: what one home is shown never names another one.
    """


@dataclass(frozen=True, slots=True)
class InvoiceInfo:
    """A published invoice. `amount` and `balance` (what is still due) are cents."""

    id: int
    family_id: int
    regie: str
    number: str
    payment_reference: str
    label: str
    amount: int
    balance: int
    issued_on: date
    due_on: date
    payable: bool
    """True if a parent may pay the invoice online now."""
    credited: int = 0
    """Cents that credit notes took off `amount`."""
    closes_on: date | None = None
    """The last day to pay it here; the trésorerie collects what is left. None: no day is set."""
    handed_over: bool = False
    """True if the trésorerie collects the invoice now: still shown, no longer payable here."""
    under_way: int | None = None
    """The payment that a parent began and that may still settle it."""
    debited_on: date | None = None
    """The day of the recurring direct debit that collects `balance`: there is nothing to do, and it
    belongs in no sum to pay. None: no debit collects it, or no longer (it was rejected)."""
    debit_rejected_on: date | None = None
    """The day on which its bank sent the direct debit back: what is left is to be paid otherwise.
    None: no debit came back, it is debited anew, or nothing is left to pay."""

    @property
    def is_credit_note(self) -> bool:
        """True if the invoice asks for nothing, and takes `amount` off another one (an *avoir*)."""
        return self.amount <= 0


class SharedInfo(Protocol):
    """The lines of a shared child on an invoice of its other home, and nothing else of it."""

    @property
    def regie(self) -> str:
        """The régie's key."""
        ...

    @property
    def label(self) -> str:
        """The invoice's label."""
        ...

    @property
    def child(self) -> str:
        """The child's name."""
        ...

    @property
    def issued_on(self) -> date:
        """The day of the invoice."""
        ...

    @property
    def amount(self) -> int:
        """Cents of this child's lines."""
        ...


@dataclass(frozen=True, slots=True)
class PaymentInfo:
    """A recorded payment of a family. `amount` is in cents."""

    id: int
    family_id: int
    regie: str
    amount: int
    means: Means
    payer: str
    paid_at: datetime
    authorisation: str
    receipt_number: str
    invoice_ids: tuple[int, ...]
    note: str = ""
    """Note of the agent at the counter."""


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """Information for a parent on an unsettled online payment, in the reader's language."""

    payment_id: int
    situation: str
    """A word of the table in `core.domain.attempt_status`."""
    title: str
    text: str
    label: str
    """Two or three words for a list."""
    holds: bool
    """Its invoices cannot be paid otherwise: nothing may invite to pay them."""
    acts: tuple[str, ...] = ()
    """Acts open to the payer, as `core.domain.attempt_status.Act` names them, the best first."""
    next_act: str = ""
    """Words for a button to `url`: the first of `acts` that a page offers, or to look."""
    url: str = ""
    """The absolute address of the payment's page, which offers all of `acts`."""


@dataclass(frozen=True, slots=True)
class StartedAttemptInfo:
    """An attempt that a provider knows: what it was asked, and what became of it (cents).

    `state` is a payment's state (``pending``, ``settled``, ``reversed``...); `asked` is what the
    provider gave back with its `Redirect`.
    """

    payment_id: int
    family_id: int
    regie: str
    reference: str
    asked: Mapping[str, str]
    amount: int
    state: str
    authorisation: str
    created_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment made outside a provider, to be recorded: `Payments.record` says what each means."""

    family_id: int | None
    means: str
    amount: int
    paid_at: datetime
    payer: str
    shares: Sequence[tuple[int, int]]
    key: str
    authorisation: str = ""
    note: str = ""
    excess: int | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """Result of recording a payment: its id, and the cents that no invoice could take."""

    payment_id: int
    excess: int


@dataclass(frozen=True, slots=True)
class RemittanceInfo:
    """A remittance (*versement*) of a régie's money to the trésorerie or the bank."""

    id: int
    regie: str
    name: str
    """Its number on paper, without a gap by régie and year: ``V-2026-CANTINE-0003``."""
    made_on: date
    total: int
    """Cents of all its means."""
    in_force: bool
    """False once it was cancelled, before it left: its money is in hand again."""
    payments: Mapping[int, str]
    """The payments whose money it took, by number, each with the means."""


class Families(Protocol):
    """Reading families' files."""

    def get(self, family_id: int) -> FamilyInfo | None:
        """The family of this number in this town, or None."""
        ...

    def several(self, family_ids: Collection[int]) -> Mapping[int, FamilyInfo]:
        """The families of these numbers, as `get` finds each; unknown ones are left out."""
        ...

    def by_code(self, code: str) -> FamilyInfo | None:
        """The family of this printed code in this town, or None."""
        ...

    def emails(self, family_id: int) -> Sequence[str]:
        """The confirmed addresses that this family registered (*Être averti*)."""
        ...

    def children(self, family_id: int) -> Sequence[ChildInfo]:
        """The children who live in this home, sorted by name."""
        ...

    def child(self, child_id: int) -> ChildInfo | None:
        """The child of this number in this town, or None."""
        ...

    def children_by_code(self, codes: Collection[str]) -> Mapping[str, ChildInfo]:
        """The children of these codes (`ChildInfo.code`); unknown codes are left out."""
        ...

    def children_by_id(self, child_ids: Collection[int]) -> Mapping[int, ChildInfo]:
        """The children of these numbers; unknown ones are left out."""
        ...

    def child_named(self, family_id: int, child: str) -> ChildInfo | None:
        """The child whom a file calls so, by its number or by its first name within the family."""
        ...

    def add_child(self, family_id: int, child: str, name: str = "") -> ChildInfo:
        """Note that a child lives in a home; a child who is there already is returned as it is.

        Args:
            family_id: the home.
            child: what a file gives: a number of the billing software, or a first name.
            name: the name to show; `child` unless told.

        Raises:
            UserError: there is no such family, or no name.
        """
        ...

    def open(self, code: str, name: str) -> FamilyInfo:
        """Open a family's file under its printed code, unless it is open already.

        Raises:
            UserError: the code is not made of letters and digits, or another family's code differs
                from it in writing alone (``1-23`` and ``12-3``).
        """
        ...

    def names(self) -> Sequence[tuple[int, str, Sequence[str]]]:
        """For every family: its id, its code, and all names it may sign with (debtor, children)."""
        ...


class Invoices(Protocol):
    """Reading published invoices."""

    def unpaid(self, family_id: int) -> Sequence[InvoiceInfo]:
        """Invoices that this family sees and still owes, oldest due date first."""
        ...

    def get(self, invoice_id: int) -> InvoiceInfo | None:
        """One published invoice of this town, or None."""
        ...

    def several(self, invoice_ids: Sequence[int]) -> Sequence[InvoiceInfo]:
        """Those of `invoice_ids` that are published, read together; oldest due date first."""
        ...

    def seen_by(self, family_id: int, invoice_ids: Sequence[int]) -> Sequence[InvoiceInfo]:
        """Those of `invoice_ids` that this family may see: its own, and a shared child's."""
        ...

    def children(self, invoice_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        """The names of the children on each invoice's lines, by invoice."""
        ...

    def activities(self, child_ids: Collection[int], since: date) -> Mapping[int, Sequence[str]]:
        """Sorted activities that published invoices issued since a day bill for each child.

        The nearest that core knows to what a child is registered for.
        """
        ...

    def by_number(self, number: str) -> Sequence[InvoiceInfo]:
        """The published invoices with this number (several régies may use one)."""
        ...

    def open_in(self, regie: str) -> Sequence[InvoiceInfo]:
        """Every open invoice of a régie, for reconciliation."""
        ...

    def document(self, invoice_id: int) -> Document | None:
        """The invoice's PDF: the source's own, else rendered."""
        ...

    def shared(self, family_id: int) -> Sequence[SharedInfo]:
        """Sums invoiced to other homes for the children that this family sees, newest first.

        For information: the other home pays them, and they belong in no sum of this family.
        """
        ...

    def payment_link(self, invoice_ids: int | Collection[int], family_id: int) -> str:
        """An absolute URL that opens on paying these invoices, once and soon, without signing in.

        Several are paid at once, and have to be of one régie: ask `Payments.online` before.
        """
        ...

    def together(self, family_ids: Collection[int]) -> AbstractContextManager[None]:
        """Answer for several families at once, in a block.

        What all of them owe is read with the first `unpaid`, payment links are written at the end
        of the block: none serves before, and none serves if the block raises.
        """
        ...


class Certificates(Protocol):
    """The yearly tax certificates of what a family paid for care."""

    def years(self, family_id: int) -> Sequence[CertificateYear]:
        """The years that have a certificate, newest first."""
        ...

    def document(self, family_id: int, year: int) -> Document | None:
        """The certificate of a year; None when nothing was paid for care in it."""
        ...


class Payments(Protocol):
    """Reading payments, asking after them, and recording those made elsewhere."""

    def history(self, family_id: int) -> Sequence[PaymentInfo]:
        """The family's payments in force, newest first."""
        ...

    def get(self, payment_id: int) -> PaymentInfo | None:
        """One settled payment of this town, or None."""
        ...

    def attempts(self, payment_ids: Collection[int]) -> Mapping[int, AttemptInfo]:
        """Information on online payments, such as those that hold an invoice (`under_way`)."""
        ...

    def online(self, invoices: Sequence[InvoiceInfo]) -> bool:
        """True if these invoices can be paid online now, together in one payment.

        The answer says nothing of attempts that are under way (`InvoiceInfo.under_way`).
        """
        ...

    def receipt(self, payment_id: int) -> Document | None:
        """The receipt (*reçu*) of a settled payment."""
        ...

    def asked(
        self, provider: str, since: datetime, until: datetime
    ) -> Sequence[StartedAttemptInfo]:
        """The attempts that `provider` was asked for or that were paid between two moments."""
        ...

    def ask_again(self, provider: str, reference: str) -> bool:
        """Ask the provider how the attempt `reference` stands, soon and outside this request.

        Tells whether such an attempt exists in this town. A forged or repeated notification costs
        at most one bounded question.
        """
        ...

    def hold(self, invoice_ids: Sequence[int]) -> None:
        """Keep everyone else from paying these invoices until the transaction ends.

        What is looked at afterwards still holds when a payment is recorded. Hold all that the
        transaction will pay at once, before it records the first: two who hold one invoice each and
        wait for the other's never end.
        """
        ...

    def record(
        self,
        *,
        regie: str,
        family_id: int | None,
        means: Means,
        amount: int,
        paid_at: datetime,
        payer: str,
        shares: Sequence[tuple[int, int]],
        key: str,
        authorisation: str = "",
        note: str = "",
        excess: int | None = None,
        alone: bool = False,
    ) -> Recorded:
        """Record a payment made outside a provider, shared over `shares` (invoice id, cents).

        Settles at once: allocations, receipt number, event and messages in this transaction. The
        same `key` again returns what was recorded and does nothing. Cents beyond what an invoice
        still owes become a credit of the family: at most `excess` of them, which a person
        confirmed (None: any number), else `UserError`. With `alone`, an invoice that a parent is
        paying online is refused too.

        Without a family it is money that came before anybody knows whose it is (*recettes à
        classer*): in the journal from now on, with nothing to share, and nobody is told.
        """
        ...

    def record_many(
        self, regie: str, payments: Sequence[NewPayment], *, alone: bool = False
    ) -> Sequence[Recorded]:
        """Record payments of a régie in their order, as `record` does each, in a few statements.

        All of them, or, where one may not be, none: whoever wants the others records them in a
        savepoint, and then in smaller parts.
        """
        ...

    def classify(
        self,
        payment_id: int,
        *,
        family_id: int,
        shares: Sequence[tuple[int, int]],
        excess: int | None = None,
        alone: bool = False,
    ) -> Recorded:
        """Say whose a payment is that was recorded without a family, and what it pays.

        The journal does not move. What is left over is the family's credit, as in `record`; a share
        that its invoice cannot take whole is refused.
        """
        ...

    def reverse(self, payment_id: int, *, reason: str) -> None:
        """Take a settled payment back (bounce, returned debit): entries with the same split."""
        ...


class Remittances(Protocol):
    """Remittances (*versements*): recorded money leaves the till, as an act of the régie."""

    def make(
        self, regie: str, means: str, payment_ids: Collection[int], *, note: str = ""
    ) -> RemittanceInfo:
        """Remit these payments of one means, all of which are in hand.

        Raises:
            UserError: one of them was remitted or reversed meanwhile, or there is none.
        """
        ...

    def replace(self, old: Collection[int], new: Collection[int]) -> None:
        """Let payments take the place of others, which were reversed, in their remittance.

        For money that the bank has, and of which it turns out otherwise whose it is: recorded
        anew, it is not in hand a second time. Nothing happens where the old ones are in hand, or
        the new ones are not of the same amount.
        """
        ...

    def get(self, remittance_id: int) -> RemittanceInfo | None:
        """One remittance of this town as it stands now, or None."""
        ...


class Outbox(Protocol):
    """Effects that leave after the commit."""

    def add(
        self,
        topic: str,
        payload: dict[str, Any],
        *,
        key: str,
        after: datetime | None = None,
        bulk: bool = False,
    ) -> None:
        """Ask for an effect. The same topic and key again is the same effect: one row.

        Say `bulk` for one of very many that nobody waits for: all other effects pass it.
        """
        ...

    def take_along(self, topic: str, limit: int) -> Sequence[dict[str, Any]]:
        """Take over other effects of `topic` that are due and wait for their first try.

        For a consumer that does many at once cheaper than one by one. They are over with the
        transaction, which has to do them or to ask for what will: rolled back, they wait as before.

        Returns:
            Their payloads, `limit` at most, those that have waited longest first; those that
            another worker has at hand are left out.
        """
        ...


class Messages(Protocol):
    """Messages of a plugin's own kinds (hook `message_kinds`) to families."""

    def send(
        self,
        plugin: Plugin[Any],
        kind: str,
        *notifications: Notification,
        after: datetime | None = None,
        bulk: bool = False,
    ) -> None:
        """Ask for messages of the kind that `plugin` calls so; they leave after the commit.

        Each family is told over all its channels, in its language, but for kinds that it switched
        off. Nothing leaves before `after`. Say `bulk` for very many that nobody waits for.

        Raises:
            ValueError: a key is empty or longer than 200 characters, or a payload is no JSON.
        """
        ...

    def mail(
        self, plugin: Plugin[Any], kind: str, address: str, *, key: str, payload: Mapping[str, Any]
    ) -> None:
        """Mail a message of the kind that `plugin` calls so to somebody who is no family.

        For a partner of the town whose address stands in the plugin's settings, such as a caterer.
        It leaves after the commit, in French; `MessageKind.write` is given `family_id` 0.

        Raises:
            ValueError: see `send`; or the address is none.
        """
        ...


class Chat(Protocol):
    """Skills of all plugins (hook `chat_skills`), for a plugin that carries a chat."""

    def skills(self) -> Sequence[ChatSkillInfo]:
        """All skills in this town, by name."""
        ...

    def answer(self, name: str, question: ChatQuestion) -> ChatAnswer | None:
        """Have a skill answer words; None: they mean something else.

        Raises:
            PreauError: it failed, or is not there.
        """
        ...

    def press(self, name: str, press: ChatPress) -> ChatAnswer:
        """Have a skill do what one of its buttons says; what it writes is committed at once.

        Raises:
            PreauError: it failed, or is not there.
        """
        ...

    def sign(self, name: str, data: str, chat: str) -> str:
        """Make a button's data such that nobody else can: 13 characters more."""
        ...

    def read(self, name: str, signed: str, chat: str) -> str | None:
        """Give the data that `sign` made for this chat; None for anything else."""
        ...


class Tenants(Protocol):
    """The installation's towns, for a plugin's own commands."""

    def open(self, slug: str) -> AbstractContextManager[TenantContext]:
        """Open a town for one unit of work: committed at the end, rolled back if it raises.

        Raises:
            UnknownTownError: there is no such town.
        """
        ...

    def enabled(self, plugin: Plugin[Any]) -> Sequence[str]:
        """Slugs of the towns that enable a plugin."""
        ...


class Clock(Protocol):
    """The time, so that tests can set it."""

    def now(self) -> datetime:
        """Now, in UTC, aware."""
        ...


class TenantContext(Protocol):
    """One town, one transaction: everything a plugin works with."""

    @property
    def town(self) -> TownInfo:
        """The town."""
        ...

    @property
    def session(self) -> Session:
        """The SQLAlchemy session of the unit of work, bound to the town by row-level security.

        For the plugin's own tables only; core's rows go through the services below.
        """
        ...

    @property
    def clock(self) -> Clock:
        """The time: never ask the machine's."""
        ...

    @property
    def families(self) -> Families:
        """The families' files."""
        ...

    @property
    def invoices(self) -> Invoices:
        """The published invoices."""
        ...

    @property
    def payments(self) -> Payments:
        """Payments: asking, recording, reversing."""
        ...

    @property
    def remittances(self) -> Remittances:
        """Remittances of recorded money."""
        ...

    @property
    def certificates(self) -> Certificates:
        """Yearly tax certificates."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Effects that leave after the commit."""
        ...

    @property
    def messages(self) -> Messages:
        """Messages of the plugin's own kinds."""
        ...

    @property
    def chat(self) -> Chat:
        """Skills of all plugins, for a plugin that carries a chat."""
        ...

    def installation_settings(self, plugin: Plugin[Any]) -> Any:
        """The plugin's settings for the whole installation: its model `Installation`, validated."""
        ...

    def keyed_hash(self, plugin: Plugin[Any], value: str) -> str:
        """64 hexadecimal digits that stand for `value`.

        Nobody outside this installation can tell them; another plugin or town gets others.
        """
        ...

    def settings(self, plugin: Plugin[S]) -> S:
        """The plugin's own settings in this town, validated. A plugin can name only itself."""
        ...
