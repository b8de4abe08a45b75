"""Préau's core: tenants, families, invoices, payments, and the hooks that plugins fill."""

import sys

if "structlog" not in sys.modules:
    # structlog loads rich where it is installed, for tracebacks that we show nowhere: a sixth of
    # the start of a command. Whoever draws a table with it loads it then.
    _rich = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog  # noqa: F401

    del sys.modules["rich"]
    if _rich is not None:
        sys.modules["rich"] = _rich
