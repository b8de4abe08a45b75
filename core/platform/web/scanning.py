"""Registering pages without looking up the line of source of each, which was a tenth of a start."""

from __future__ import annotations

import inspect
from types import FrameType, SimpleNamespace

import pyramid.view
import venusian.advice


def without_source_lines() -> None:
    """Let the decorators of pages note file and line only; to be called before any page loads.

    Pyramid tells of two pages in conflict with the text of both lines. For this text, the standard
    library went through all loaded modules, and read each source, twice a page.
    """
    quick = SimpleNamespace(getframeinfo=_place)
    pyramid.view.inspect = quick
    venusian.advice.inspect = quick


def _place(frame: FrameType) -> inspect.Traceback:
    """The place of a call, as `inspect.getframeinfo` gives it, without the text of its line."""
    code = frame.f_code
    return inspect.Traceback(code.co_filename, frame.f_lineno, code.co_name, [""], 0)
