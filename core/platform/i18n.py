"""Words in the reader's language, in pages, mails, PDFs and chats alike.

French is the language of the message ids, so French needs no catalogue and can never be missing a
word. The locale is a context variable: no request is needed to translate.
"""

from __future__ import annotations

import gettext as gnu
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE_LOCALE = "fr"
DIRECTORY = Path(__file__).parents[1] / "locale"

_current: ContextVar[str] = ContextVar("preau_locale", default=SOURCE_LOCALE)
_directories: list[Path] = [DIRECTORY]


def add_directory(directory: Path) -> None:
    """Add a plugin's catalogues: ``<directory>/<locale>/LC_MESSAGES/preau.po``."""
    if directory not in _directories:
        _directories.append(directory)
        translations.cache_clear()


@cache
def translations(locale: str) -> gnu.NullTranslations:
    """The catalogue of `locale`, core's and the plugins' in one; empty for French."""
    merged: gnu.NullTranslations = gnu.NullTranslations()
    for directory in _directories:
        path = directory / locale / "LC_MESSAGES" / "preau.po"
        if path.is_file():
            # Compiled in memory (some 20 ms, once a process): no build step to forget.
            compiled = io.BytesIO()
            with path.open("rb") as source:
                write_mo(compiled, read_po(source, locale=locale))
            compiled.seek(0)
            catalogue = gnu.GNUTranslations(compiled)
            catalogue.add_fallback(merged)
            merged = catalogue
    return merged


def current_locale() -> str:
    """The locale of what is being written now."""
    return _current.get()


def formats() -> str:
    """The locale whose dates and amounts go with the words: English as written in Europe."""
    return {"en": "en_GB"}.get(_current.get(), _current.get())


@contextmanager
def use(locale: str) -> Iterator[None]:
    """Write in `locale` inside the block."""
    token = _current.set(locale)
    try:
        yield
    finally:
        _current.reset(token)


def gettext(message: str) -> str:
    """Translate `message` into the current locale."""
    locale = _current.get()
    return message if locale == SOURCE_LOCALE else translations(locale).gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """Translate, choosing the form for `n`. French takes the singular for 0 and 1."""
    locale = _current.get()
    if locale == SOURCE_LOCALE:
        return singular if abs(n) < 2 else plural
    return translations(locale).ngettext(singular, plural, n)
