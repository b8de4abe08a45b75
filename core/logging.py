"""Logs: structured, with request and town, and without personal data.

Every process calls `configure` once. Code logs by ``structlog.get_logger(__name__)``: an event name
in dots (``mail.refused``) and keys; request id and town come from context variables, bound by the
web application and by the worker.
"""

from __future__ import annotations

import logging
import logging.config
from typing import TYPE_CHECKING

import structlog
from structlog.typing import EventDict, WrappedLogger

if TYPE_CHECKING:
    from core.settings import Settings

PERSONAL = frozenset(
    {
        "address", "authorization", "body", "child", "code", "cookie", "email", "first_name",
        "last_name", "mail", "name", "password", "payer", "phone", "secret", "subject", "token",
    }
)  # fmt: skip
"""Keys whose values never reach a log: who may read logs may not read families' files."""

HIDDEN = "[hidden]"


def configure(settings: Settings, process: str = "") -> None:
    """Send structlog's and the standard library's records to stderr, in one format."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        hide_personal_data,
    ]
    renderer: structlog.typing.Processor
    # Both ways show tracebacks without local variables, which hold families' data.
    if settings.log_format == "json":
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
        traces = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        shared.append(structlog.processors.ExceptionRenderer(traces))
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        shared.append(structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False))
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=plain)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for chatty in ("httpx", "httpcore", "fontTools", "weasyprint", "alembic", "mail.log"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Warnings of libraries are for us, not for the operator of a portal.
    logging.captureWarnings(settings.environment == "development")
    if process:
        structlog.contextvars.bind_contextvars(process=process)


def hide_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that name a person or a secret."""
    for key in event.keys() & PERSONAL:
        event[key] = HIDDEN
    return event
