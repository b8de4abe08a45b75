"""Every view of the application: who may ask, and what its address and form name.

A view that is missing here fails `test_routes.py`. One line a view and way to ask it::

    ("route", "METHOD"): [Line(permission, own status, foreign status, path, query, form)]

Statuses are those of who has the permission: `own` with what is theirs, `foreign` with what is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PUBLIC, PARENT, PAYER = "public", "parent", "payer"
AGENT, OFFICE, KEYS, REGISSEUR = "agent", "office", "keys", "regisseur"

FAMILY = "family"
"""Foreign is what is another family's, of this town or another."""
FILE = "file"
"""Foreign is what is not in the file at hand, though the agent sees all of the town."""
TOWN = "town"
"""Foreign is what is another town's: all of this town may see it, or whoever holds the link."""


@dataclass(frozen=True)
class Id:
    """The name of an identifier of `isolation_towns.Identifiers`."""

    name: str


@dataclass(frozen=True)
class Own(Id):
    """An identifier that is one's own even where the others are foreign."""


@dataclass(frozen=True)
class Line:
    """One way to ask a view."""

    permission: str = PUBLIC
    own: int = 200
    foreign: int | tuple[int, ...] = 404
    path: dict[str, object] = field(default_factory=dict)
    query: dict[str, object] = field(default_factory=dict)
    form: dict[str, object] = field(default_factory=dict)
    scope: str = FAMILY
    session: str = "session"
    """Which of the family's sessions to use."""

    @property
    def refusals(self) -> tuple[int, ...]:
        """The statuses for what is foreign."""
        return (self.foreign,) if isinstance(self.foreign, int) else self.foreign

    @property
    def names(self) -> bool:
        """Whether anything in it is somebody's."""
        return any(
            isinstance(value, Id) and not isinstance(value, Own)
            for part in (self.path, self.query, self.form)
            for value in part.values()
        )


def page(permission: str = PUBLIC, own: int = 200) -> list[Line]:
    """A view that names nothing of anybody's."""
    return [Line(permission, own)]


def one(permission: str, name: str, own: int = 200, **more) -> list[Line]:
    """A view whose address names one thing by its number."""
    return [Line(permission, own, path={"id": Id(name)}, **more)]


def link(name: str, own: int = 200, foreign: int = 404) -> list[Line]:
    """A link from a message: whoever holds it, in its town."""
    return [Line(PUBLIC, own, foreign, path={"token": Id(name)}, scope=TOWN)]


NOBODYS = {"towns", "live", "ready", "metrics", "unavailable", "__static/"}
"""Outside any town: they open no unit of work, so they reach no row."""

ADDRESS = "visitor@exemple.fr"

# In this order the lines are asked with what is one's own: what uses a thing up comes last.
TABLE: dict[tuple[str, str], list[Line]] = {
    ("home", "GET"): page(),
    ("news", "GET"): one(PUBLIC, "news", scope=TOWN),
    ("news_image", "GET"): one(PUBLIC, "picture", scope=TOWN),
    ("help", "GET"): page(),
    ("guide", "GET"): page(),
    ("legal", "GET"): page(),
    ("accessibility", "GET"): page(),
    ("theme", "GET"): page(),
    ("manifest", "GET"): page(),
    ("logo", "GET"): page(own=404),
    ("language", "POST"): page(own=303),
    ("sign_in", "GET"): page(),
    ("sign_in", "POST"): page(own=422),
    ("sign_in_account", "GET"): page(),
    ("sign_in_account", "POST"): page(own=422),
    ("way_in", "GET"): link("way_in"),
    ("lost_codes", "GET"): page(),
    ("lost_codes", "POST"): page(own=422),
    ("new_code", "GET"): link("lost"),
    ("menu", "GET"): page(PARENT),
    ("invoices", "GET"): page(PARENT),
    ("paid", "GET"): page(PARENT),
    ("paid_year", "GET"): [
        Line(PARENT, 404, path={"year": 2001, "format": kind}) for kind in ("csv", "pdf")
    ],
    ("certificates", "GET"): page(PARENT),
    ("certificate_pdf", "GET"): [Line(PARENT, 404, path={"year": 2026})],
    ("account", "GET"): page(PARENT),
    ("account", "POST"): page(PARENT, own=303),
    ("account_confirm", "GET"): [Line(PARENT, path={"token": Id("account_new")})],
    ("account_email", "GET"): [
        Line(PARENT, path={"token": Id("account_email")}, session="account_session")
    ],
    # A form without a password makes no account.
    ("account_confirm", "POST"): [Line(PARENT, 422, path={"token": Id("account_new")})],
    ("account_email", "POST"): [
        Line(PARENT, 303, path={"token": Id("account_email")}, session="account_session")
    ],
    ("switch_family", "POST"): [
        Line(PARENT, 303, form={"family_id": Id("family")}, session="account_session")
    ],
    ("invoice_pdf", "GET"): one(PAYER, "document"),
    ("payment_link", "GET"): link("pay"),
    ("bill", "GET"): link("bill"),
    ("checkout", "GET"): [Line(PAYER, query={"invoice": Id("invoice")})],
    ("payments", "POST"): [
        Line(PAYER, 303, form={"invoice": Id("invoice"), "email": ADDRESS}),
        # It is too young to be started again: the way back to it is shown.
        Line(PAYER, 409, form={
            "invoice": Id("document"), "restart": Id("payment"), "email": ADDRESS,
        }),
    ],
    ("payment", "GET"): one(PAYER, "payment"),
    ("payment_go", "GET"): one(PAYER, "payment", 303),
    ("payment_state", "GET"): one(PAYER, "payment"),
    ("payment_return", "GET"): one(PAYER, "payment", 303),
    # It only leads on to the address above.
    ("payment_return", "POST"): [Line(PUBLIC, 303, (303, 404), path={"id": Id("payment")})],
    ("receipt", "GET"): one(PAYER, "settled"),
    # --- The back office: an agent sees all of the town ---------------------------------------
    ("office", "GET"): page(OFFICE),
    ("office_report", "GET"): [Line(OFFICE, path={"year": 2026, "month": "03"})],
    ("office_sign_in", "GET"): page(),
    ("office_sign_in", "POST"): page(own=422),
    ("office_invitation", "GET"): link("invitation"),
    ("office_invitation", "POST"): link("invitation", 422),
    ("office_account", "GET"): page(AGENT),
    ("office_account", "POST"): page(AGENT, 422),
    ("office_agents", "GET"): page(KEYS),
    ("office_agents", "POST"): page(KEYS, 422),
    ("office_agent", "GET"): one(KEYS, "agent"),
    ("office_agent", "POST"): one(KEYS, "agent", 422, form={"action": "change"}),
    ("office_audit", "GET"): page(KEYS),
    ("office_audit_file", "GET"): [Line(KEYS, path={"format": "csv"})],
    ("office_outbox", "GET"): page(OFFICE),
    # The answer is the same for what was retried, and for what never was.
    ("office_outbox", "POST"): [Line(OFFICE, 303, (303, 404), form={"id": Id("dead")})],
    ("office_health", "GET"): page(OFFICE),
    ("office_search", "GET"): [Line(OFFICE, 200, query={"q": "nobody"})],
    ("office_families", "GET"): page(OFFICE),
    ("office_family_new", "GET"): page(OFFICE),
    ("office_family_new", "POST"): page(OFFICE, 422),
    ("office_family", "GET"): one(OFFICE, "family"),
    # It prints only a secret that was just drawn for this family.
    ("office_family_letter", "POST"): one(OFFICE, "family", 404, form={"secret": "7KMPQ2RSTV4X"}),
    ("office_family_data", "POST"): one(OFFICE, "family"),
    ("office_family_merge", "GET"): one(REGISSEUR, "family"),
    ("office_family_merge", "POST"): one(REGISSEUR, "family", 422),
    ("office_retention", "GET"): page(REGISSEUR),
    ("office_letters", "POST"): page(OFFICE, 303),
    ("office_imports", "GET"): page(OFFICE),
    ("office_import", "GET"): one(OFFICE, "batch"),
    ("office_import", "POST"): one(OFFICE, "batch", 303, form={"action": "publish"}),
    ("office_layouts", "GET"): page(OFFICE),
    ("office_layouts", "POST"): page(OFFICE, 422),
    ("office_receptions", "GET"): page(OFFICE),
    ("office_uploads", "POST"): page(OFFICE, 422),
    ("office_upload", "GET"): one(OFFICE, "upload"),
    ("office_upload_state", "GET"): one(OFFICE, "upload"),
    ("office_upload", "POST"): one(OFFICE, "upload", 303),
    ("office_invoices", "GET"): page(OFFICE),
    ("office_families_file", "GET"): [Line(OFFICE, path={"format": "csv"})],
    ("office_credits_file", "GET"): [Line(OFFICE, path={"format": "csv"})],
    ("office_imports_file", "GET"): [Line(OFFICE, path={"format": "csv"})],
    ("office_debits_file", "GET"): [Line(OFFICE, path={"format": "csv"})],
    ("office_invoices_file", "GET"): [Line(OFFICE, path={"format": "csv"})],
    ("office_invoice", "GET"): one(OFFICE, "invoice"),
    ("office_invoice", "POST"): one(OFFICE, "invoice", 422, form={"action": "cancel"}),
    ("office_invoice_pdf", "GET"): one(OFFICE, "document"),
    ("office_correction", "GET"): one(OFFICE, "invoice"),
    ("office_correction", "POST"): one(OFFICE, "invoice", 422),
    ("office_invoice_closing", "POST"): one(OFFICE, "invoice", 303),
    ("office_reminders", "GET"): page(OFFICE),
    ("office_reminders", "POST"): page(REGISSEUR, 422),
    ("office_reminders_preview", "GET"): page(OFFICE),
    ("office_desk", "GET"): page(OFFICE),
    ("office_payments", "GET"): page(OFFICE),
    ("office_payments_file", "GET"): [Line(OFFICE, path={"format": "csv"})],
    ("office_payment", "GET"): one(OFFICE, "settled"),
    ("office_payment", "POST"): one(OFFICE, "settled", 422, form={"action": "reverse"}),
    ("office_debits", "GET"): page(OFFICE),
    ("office_debits", "POST"): [
        # Without a régie and a day nothing is looked at, whosever the invoice is.
        Line(OFFICE, 422, (404, 422), path={}, form={"invoice": Id("invoice")}),
    ],
    ("office_debit_file", "GET"): page(OFFICE),
    ("office_debit_file", "POST"): page(OFFICE, 422),
    ("office_debit_job", "GET"): one(OFFICE, "debit_job"),
    ("office_debit_job_state", "GET"): one(OFFICE, "debit_job"),
    ("office_debit_requests", "GET"): page(OFFICE),
    ("office_debit_requests", "POST"): [
        Line(OFFICE, 303, (404, 422), form={"id": Id("debit_request"), "action": "accept"}),
    ],
    ("office_debit_offer", "GET"): page(OFFICE),
    ("office_debit_offer", "POST"): page(REGISSEUR, 404),
    ("office_debit_form", "GET"): page(OFFICE),
    ("debit", "GET"): page(PARENT),
    ("debit", "POST"): page(PARENT, 404),
    ("debit_form", "GET"): [Line(PARENT, query={"regie": "CANTINE"})],
    ("office_receipt", "GET"): one(OFFICE, "settled"),
    ("office_family_payment", "GET"): one(OFFICE, "family"),
    ("office_family_payment", "POST"): [
        Line(OFFICE, 422, path={"id": Id("family")}, form={"invoice": Id("invoice")}),
        # A foreign invoice is none of those that may be ticked.
        Line(OFFICE, 303, (404, 422), path={"id": Own("family")}, form={
            "invoice": Id("invoice"), "regie": "CANTINE", "amount": "1,00", "means": "cash",
            "paid_on": "2026-03-10", "key": "k",
        }, scope=FILE),
    ],
    ("office_news_list", "GET"): page(OFFICE),
    ("office_news_new", "GET"): page(OFFICE),
    ("office_news_new", "POST"): page(OFFICE, 422),
    ("office_news", "GET"): one(OFFICE, "news"),
    ("office_news", "POST"): one(OFFICE, "news", 303, form={"action": "hide"}),
    ("office_accounts", "GET"): page(OFFICE),
    ("office_accounts", "POST"): page(REGISSEUR, 422),
    ("office_account_table", "GET"): [Line(OFFICE, path={"name": "journal"})],
    ("office_entries", "GET"): page(OFFICE),
    ("office_bank", "GET"): page(OFFICE),
    ("office_bank", "POST"): page(OFFICE, 422),
    ("office_remittances", "GET"): page(OFFICE),
    ("office_remittances", "POST"): page(OFFICE, 422),
    ("office_remittance", "GET"): one(OFFICE, "remittance"),
    ("office_remittance", "POST"): one(OFFICE, "remittance", 422, form={"action": "leave"}),
    ("office_remittance_file", "GET"): [
        Line(OFFICE, path={"id": Id("remittance"), "format": "csv"})
    ],
    ("office_broadcasts", "GET"): page(OFFICE),
    ("office_broadcast_new", "GET"): page(OFFICE),
    ("office_broadcast_new", "POST"): page(OFFICE, 422),
    ("office_broadcast", "GET"): one(OFFICE, "broadcast"),
    ("office_broadcast", "POST"): one(OFFICE, "broadcast", 422, form={"action": "undo"}),
    ("office_broadcast_edit", "GET"): one(OFFICE, "broadcast"),
    ("office_broadcast_edit", "POST"): one(OFFICE, "broadcast", 422),
    ("office_broadcast_state", "GET"): one(OFFICE, "broadcast"),
    ("office_broadcast_unreached", "GET"): [
        Line(OFFICE, path={"id": Id("broadcast"), "format": "csv"})
    ],
    ("office_handovers", "GET"): page(OFFICE),
    ("office_handovers", "POST"): page(OFFICE, 422),
    ("office_handover", "GET"): one(OFFICE, "handover"),
    ("office_handover", "POST"): one(OFFICE, "handover", 422, form={"action": "cancel"}),
    ("office_handover_file", "GET"): [
        Line(OFFICE, path={"id": Id("handover"), "format": "csv"})
    ],
    ("office_exports", "GET"): page(OFFICE),
    ("office_exports", "POST"): page(OFFICE, 422),
    ("office_export", "GET"): one(OFFICE, "payment_export"),
    ("office_export", "POST"): one(REGISSEUR, "payment_export", 404),
    ("office_export_file", "GET"): one(OFFICE, "payment_export"),
    ("office_export_columns", "GET"): page(OFFICE),
    ("office_export_columns", "POST"): page(OFFICE, 422),
    # Without the town's token nobody is told anything.
    ("exchange_payments", "GET"): [Line(PUBLIC, 401, path={"regie": "CANTINE"})],
    ("exchange_payments_one", "GET"): [
        Line(PUBLIC, 401, path={"regie": "CANTINE", "number": 1})
    ],
    ("office_officers", "GET"): page(OFFICE),
    ("office_officers", "POST"): [Line(REGISSEUR, 422, form={"action": "report"})],
    ("office_till_report", "GET"): one(OFFICE, "till_report"),
    ("office_credits", "GET"): page(OFFICE),
    ("office_credit", "GET"): one(OFFICE, "credit"),
    ("office_credit", "POST"): one(OFFICE, "credit", 422, form={"action": "pay"}),
    ("office_account_file", "GET"): [
        Line(OFFICE, path={"name": "journal", "format": "csv"})
    ],
    ("alerts", "GET"): page(PARENT),
    ("alerts", "POST"): [
        Line(PARENT, 303, form={"action": "resend", "id": Id("contact")}),
        Line(PARENT, 303, form={"action": "remove", "id": Id("third_contact")}),
    ],
    ("alert_confirm", "GET"): link("confirm"),
    ("alert_confirm", "POST"): link("confirm"),
    ("alert_unsubscribe", "GET"): link("unsubscribe"),
    # A mailbox may ask twice, and is told that it is done (RFC 8058).
    ("alert_unsubscribe", "POST"): link("unsubscribe", 200, 200),
    # --- Plugins -----------------------------------------------------------------------------
    ("payfip.notification", "POST"): [  # It tells a stranger nothing, whatever is asked.
        Line(PUBLIC, 200, 200, form={"idop": Id("reference")}, scope=TOWN)
    ],
    ("payfip.notification", "GET"): [
        Line(PUBLIC, 200, 200, query={"idop": Id("reference")}, scope=TOWN)
    ],
    ("payfip.journal", "GET"): page(OFFICE),
    ("payfip.journal", "POST"): page(OFFICE, 422),
    ("telegram_bot.home", "GET"): page(PARENT),
    ("telegram_bot.unlink", "POST"): [Line(PARENT, 303, 303, form={"id": Id("chat")})],
    ("telegram_bot.webhook", "POST"): page(own=403),
    ("cheque_import.queue", "GET"): page(OFFICE),
    ("cheque_import.queue", "POST"): page(OFFICE, 303),
    ("cheque_import.upload", "GET"): page(OFFICE),
    ("cheque_import.upload", "POST"): page(OFFICE, 422),
    ("cheque_import.entry", "GET"): page(OFFICE),
    ("cheque_import.entry", "POST"): page(OFFICE, 422),
    ("cheque_import.cheque", "GET"): one(OFFICE, "cheque"),
    ("cheque_import.cheque", "POST"): one(OFFICE, "cheque", 422, form={"action": "x"}),
    ("cheque_import.slips", "GET"): page(OFFICE),
    ("cheque_import.slips", "POST"): page(OFFICE, 422),
    ("cheque_import.slip_file", "GET"): [
        Line(OFFICE, path={"id": Id("slip"), "kind": "csv"})
    ],
    ("cheque_import.slip_for_bank", "POST"): one(OFFICE, "slip", 422),
    ("planning.sheet", "GET"): page(),
    ("planning.script", "GET"): page(),
    ("planning.week", "GET"): page(PARENT),
    ("planning.week", "POST"): page(PARENT, 303),
    ("planning.month", "GET"): page(PARENT),
    ("planning.pattern", "GET"): page(PARENT),
    ("planning.pattern", "POST"): page(PARENT, 422),
    ("planning.confirm", "POST"): page(PARENT, 303),
    ("planning.requests", "GET"): page(PARENT),
    ("planning.request", "GET"): one(PARENT, "planning_request"),
    ("planning.ics", "GET"): link("planning_feed"),
    ("planning.feed", "GET"): page(PARENT),
    ("planning.feed", "POST"): page(PARENT, 200),
    ("planning.office", "GET"): page(OFFICE),
    ("planning.people", "GET"): page(OFFICE),
    ("planning.mark", "POST"): [
        # A page of the list is shown again, with the word that nothing was marked.
        Line(OFFICE, 303, 303, form={"child": Id("planning_child")}),
    ],
    ("planning.close", "POST"): page(OFFICE, 303),
    ("planning.child", "GET"): one(OFFICE, "planning_child"),
    ("planning.child", "POST"): one(OFFICE, "planning_child", 303),
    ("planning.waiting", "GET"): page(OFFICE),
    ("planning.export", "GET"): [
        Line(OFFICE, query={"first": "2026-03-01", "last": "2026-03-31"}),
    ],
    ("planning.export", "POST"): page(OFFICE, 303),
    # --- What ends the session that asks -----------------------------------------------------
    ("way_in", "POST"): link("way_in", 303),
    ("office_family_codes", "POST"): one(OFFICE, "family"),
    ("new_code", "POST"): link("lost"),
    ("office_family", "POST"): [
        Line(OFFICE, 422, path={"id": Id("family")}, form={"action": "change"}),
        # In one's own family's file, what is another's; of the same town too.
        *(
            Line(OFFICE, 303, path={"id": Own("family")}, form={"action": action, "id": Id(name)},
                 scope=FILE)
            for action, name in (
                ("resend", "second_contact"), ("remove", "second_contact"), ("revoke", "access_code"),
            )
        ),
    ],
    ("payment_link", "POST"): link("pay", 303),
    ("bill", "POST"): link("bill", 303),
    ("sign_out", "POST"): page(own=303),
    ("office_sign_out", "POST"): page(own=303),
}  # fmt: skip
