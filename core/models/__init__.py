"""All tables of core, one module an aggregate. Importing this module completes the metadata."""

from core.models.agent import Agent, AgentInvitation, AgentSession, RecoveryCode, Role
from core.models.audit import AuditEntry
from core.models.closing import Closing
from core.models.family import AccessCode, Child, ContactEmail, Family, FamilyChild
from core.models.importing import ImportBatch, InvoiceChange
from core.models.invoice import Document, Invoice, InvoiceLine, InvoiceState
from core.models.journal import EntryKind, JournalEntry
from core.models.messages import MessageRow, MessageState
from core.models.news import News, NewsImage
from core.models.outbox import OutboxRow, OutboxState
from core.models.payment import (
    Allocation,
    Counter,
    Credit,
    CreditUse,
    Payment,
    PaymentAnswer,
    PaymentItem,
)
from core.models.reminder import RegieCalendar, Reminder
from core.models.sign_in import Account, AccountFamily, OneTimeToken, WebSession
from core.models.tenant import Tenant
from core.models.upload import Upload, UploadPart, UploadState

__all__ = [
    "AccessCode", "Account", "AccountFamily", "Agent", "AgentInvitation", "AgentSession",
    "Allocation", "AuditEntry", "Child", "Closing", "ContactEmail", "Counter", "Credit",
    "CreditUse", "Document", "EntryKind", "Family", "FamilyChild", "ImportBatch", "Invoice",
    "InvoiceChange", "InvoiceLine", "InvoiceState", "JournalEntry", "MessageRow",
    "MessageState", "News", "NewsImage", "OneTimeToken", "OutboxRow", "OutboxState", "Payment",
    "PaymentAnswer", "PaymentItem", "RecoveryCode", "RegieCalendar", "Reminder", "Role",
    "Tenant", "Upload", "UploadPart", "UploadState", "WebSession",
]  # fmt: skip
