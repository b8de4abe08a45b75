"""A pause of the garbage collector, for work that makes many objects and no cycle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect no garbage meanwhile: each collection would look through a town's invoices again.

    It took a fifth of the time of 20 000 cheques against 200 000 invoices. What was already paused
    stays so.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
