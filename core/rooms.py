"""The one list of rooms. Importing this module completes the tables' metadata."""

import core.agents.models
import core.books.models
import core.broadcasts.models
import core.debits.models
import core.exchanges.models
import core.families.models
import core.imports.layout_models
import core.imports.models
import core.imports.upload_models
import core.invoices.handover_models
import core.invoices.models
import core.journal.models
import core.links.models
import core.messages.models
import core.news.models
import core.overview.models
import core.payments.models
import core.platform.audit.models
import core.platform.outbox.models
import core.platform.tenancy.models
import core.reminders.models
import core.sign_in.models  # noqa: F401 - all of them are wanted for what they define

VIEWS = (
    "core.families.office",
    "core.guide.parents",
    "core.news.parents",
    "core.news.office",
    "core.messages.parents",
    "core.sign_in.parents",
    "core.sign_in.account",
    "core.agents.office",
    "core.agents.sign_in",
    "core.invoices.parents",
    "core.invoices.office",
    "core.imports.office",
    "core.imports.office_layouts",
    "core.imports.office_corrections",
    "core.payments.parents",
    "core.payments.parents_paid",
    "core.payments.office",
    "core.payments.office_counter",
    "core.debits.office",
    "core.debits.office_files",
    "core.debits.office_requests",
    "core.debits.parents",
    "core.reminders.office",
    "core.broadcasts.office",
    "core.credits.office",
    "core.certificates.parents",
    "core.books.office",
    "core.books.bank",
    "core.books.office_handovers",
    "core.books.office_officers",
    "core.books.office_remittances",
    "core.exchanges.office",
    "core.exchanges.office_columns",
    "core.exchanges.office_receptions",
    "core.exchanges.pull",
    "core.overview.office",
    "core.overview.health_page",
)
"""Modules that are scanned for pages."""

TEMPLATES = (
    "core:platform/web/templates",
    "core:sign_in/templates",
    "core:messages/templates",
    "core:certificates/templates",
    "core:payments/templates",
    "core:debits/templates",
    "core:news/templates",
    "core:invoices/templates",
    "core:agents/templates",
    "core:books/templates",
    "core:exchanges/templates",
    "core:overview/templates",
    "core:imports/templates",
    "core:credits/templates",
    "core:families/templates",
    "core:personal_data/templates",
    "core:reminders/templates",
    "core:broadcasts/templates",
)
"""Folders in which pages' templates are looked for, by their short names."""

__all__ = ["TEMPLATES", "VIEWS"]
