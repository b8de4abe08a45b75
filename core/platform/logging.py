"""Logs: structured, with request and town, and without personal data.

Every process calls `configure` once. Code logs by ``structlog.get_logger(__name__)``: an event name
in dots (``mail.refused``) and keys; request id and town come from context variables, bound by the
web application and by the worker.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

if "structlog" not in sys.modules:
    # structlog loads rich where it is installed, for tracebacks that we show nowhere: a sixth of
    # the start of a command. Whoever draws a table with it loads it then. Every process loads this
    # module first, of those that load structlog.
    _rich = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog

    del sys.modules["rich"]
    if _rich is not None:
        sys.modules["rich"] = _rich

import structlog
from structlog.stdlib import NAME_TO_LEVEL
from structlog.typing import EventDict, WrappedLogger

if TYPE_CHECKING:
    from core.platform.settings import Settings

PERSONAL = frozenset(
    {
        "address", "authorization", "body", "child", "code", "cookie", "email", "first_name",
        "last_name", "mail", "name", "password", "payer", "phone", "secret", "subject", "token",
    }
)  # fmt: skip
"""Keys whose values never reach a log: who may read logs may not read families' files."""

HIDDEN = "[hidden]"

# The same list always: a logger keeps the one that it began with.
_processors: list[structlog.typing.Processor] = []


class Lines:
    """Target of structlog's loggers: a line for each event.

    A record of the standard library in between would take three times as long.
    """

    out: ClassVar[TextIO | None] = None
    """Standard error, unless another stream is given."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._logger = logging.getLogger(name)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - as the standard library's loggers
        """True if events of this level are written, as set for the logger of this name."""
        return self._logger.isEnabledFor(level)

    def write(self, line: str) -> None:
        """Write an event; lose it rather than break the work that it tells of."""
        # AttributeError: a process may have no standard error. ValueError: or a closed one.
        with suppress(OSError, ValueError, AttributeError):
            # In one piece: other threads and processes write there too.
            (self.out or sys.stderr).write(f"{line}\n")

    debug = info = warning = error = exception = critical = write


def configure(settings: Settings, process: str = "", out: TextIO | None = None) -> None:
    """Send structlog's events and the standard library's records to stderr, in one format.

    Or to `out`.
    """
    shared: list[structlog.typing.Processor] = [
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
    Lines.out = out
    _processors[:] = [_loud_enough, *shared, _or_else(renderer)]
    structlog.configure(
        processors=_processors,
        logger_factory=Lines,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(out)
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


def _loud_enough(logger: Lines, method: str, event: EventDict) -> EventDict:
    """Drop events below the logger's level."""
    if not logger.isEnabledFor(NAME_TO_LEVEL[method]):
        raise structlog.DropEvent
    return event


def _or_else(renderer: structlog.typing.Processor) -> structlog.typing.Processor:
    """Show what cannot be rendered as Python does, rather than break the work that it tells of."""

    def render(logger: WrappedLogger, method: str, event: EventDict) -> Any:
        try:
            return renderer(logger, method, event)
        except Exception:  # noqa: BLE001 - see above
            return repr(event)

    return render


def hide_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that name a person or a secret."""
    for key in event.keys() & PERSONAL:
        event[key] = HIDDEN
    return event
