"""The public API for plugins: everything a plugin may import from core.

>>> from core.plugin import Plugin, PluginSettings, hookimpl
"""

from core.api.chat import (
    ChatAnswer,
    ChatButton,
    ChatPress,
    ChatQuestion,
    ChatRule,
    ChatSkill,
    ChatSkillInfo,
)
from core.api.context import (
    AttemptInfo,
    CertificateYear,
    Chat,
    ChildInfo,
    Clock,
    ContactInfo,
    Families,
    FamilyInfo,
    InvoiceInfo,
    Invoices,
    Messages,
    Outbox,
    PaymentInfo,
    Payments,
    Recorded,
    RegieInfo,
    SharedInfo,
    StartedAttemptInfo,
    TenantContext,
    TownInfo,
)
from core.api.errors import (
    PayerField,
    PermanentError,
    PreauError,
    RetryableError,
    SettingsProblemError,
    StartRefusedError,
    UserError,
)
from core.api.invoices import (
    Attachment,
    InvoiceKind,
    InvoiceRecord,
    InvoiceSource,
    LineRecord,
    Relation,
    SourceFile,
    SourceNotice,
    SourceProblem,
    TaxKind,
)
from core.api.messages import (
    Address,
    Delivered,
    Delivery,
    Document,
    Link,
    Message,
    MessageKind,
    Notification,
    NotificationChannel,
    Rejected,
    Retry,
    Wording,
)
from core.api.payments import (
    Anomaly,
    Attempt,
    Capabilities,
    Failed,
    FailureKind,
    InvoiceDue,
    InvoicesPublished,
    InvoiceToPay,
    Means,
    Outcome,
    PaymentIntent,
    PaymentProvider,
    PaymentReversed,
    PaymentSettled,
    Pending,
    Redirect,
    Settled,
)
from core.api.plugin import HealthCheck, MigrationSource, Plugin, PluginSettings, hookimpl
from core.api.records import Figure, RecordImport, RecordReport
from core.api.web import Audience, MenuEntry, TileLine, TodoEntry, WebConfig
from core.api.work import Consumer, Effect, Periodic
from core.domain.addresses import AddressError, leaving
from core.domain.dates import DateError, in_bounds, is_surprising, parse_day
from core.domain.money import AmountError, decimal_text, parse_amount, parse_decimal
from core.domain.references import bare, check_character
from core.domain.start_refusals import RefusalKind
from core.domain.tabular.decoding import DecodeError, Encoding, decode, detect
from core.domain.tabular.rows import Row as TableRow
from core.domain.tabular.rows import TableError, read_tables
from core.domain.tabular.spreadsheets import csv_text
from core.platform.clock import PARIS
from core.platform.db.base import Base, TenantScoped
from core.platform.db.rls import protect
from core.platform.documents.pdf import render_pdf
from core.platform.i18n import gettext, ngettext, use
from core.platform.tabular.writing import Cents, Table
from core.platform.templating import day, hour, money
from core.platform.tenancy.registry import UnknownTownError
from core.runtime import enabled_towns, town_context

__all__ = [
    "Address", "StartedAttemptInfo", "AmountError", "Anomaly", "Attachment", "Attempt", "Audience", "Base",
    "Capabilities", "CertificateYear", "ChildInfo", "Clock", "Consumer", "ContactInfo", "Rejected",
    "Delivered", "Delivery", "Document", "Effect",
    "Failed", "FailureKind", "Families", "FamilyInfo", "HealthCheck", "InvoiceDue", "InvoiceInfo",
    "InvoiceKind", "InvoiceRecord", "InvoiceSource", "InvoiceToPay", "Invoices",
    "InvoicesPublished", "LineRecord", "Link", "Means", "MenuEntry", "Message", "MigrationSource",
    "NotificationChannel", "Outbox", "Outcome", "PARIS", "PaymentInfo", "PaymentIntent",
    "PaymentProvider", "PaymentReversed", "PaymentSettled", "Payments", "Pending", "Periodic",
    "PermanentError", "Plugin", "PluginSettings", "PreauError", "Recorded", "Redirect", "RegieInfo",
    "Relation", "Retry", "RetryableError", "SettingsProblemError", "Settled", "SharedInfo",
    "SourceFile", "SourceNotice", "SourceProblem", "TaxKind", "TenantContext", "TenantScoped",
    "TownInfo", "UnknownTownError", "UserError", "WebConfig", "bare", "check_character", "csv_text",
    "day",
    "decimal_text", "enabled_towns", "gettext", "hookimpl", "hour", "money", "ngettext",
    "parse_amount",
    "protect", "render_pdf", "town_context", "use",
    "DateError", "DecodeError", "Encoding", "decode", "detect", "in_bounds", "is_surprising",
    "parse_day", "parse_decimal",
    "Chat", "ChatAnswer", "ChatButton", "ChatPress", "ChatQuestion", "ChatRule", "ChatSkill",
    "ChatSkillInfo", "Figure", "RecordImport", "RecordReport", "Table", "TableError", "TableRow",
    "read_tables", "Cents", "MessageKind", "Messages", "Notification", "TileLine", "TodoEntry",
    "Wording",
    "AddressError", "AttemptInfo", "PayerField", "RefusalKind", "StartRefusedError", "leaving",
]  # fmt: skip
