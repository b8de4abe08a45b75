"""Check that a PDF that came with invoices may be shown to parents."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject

from core.platform.i18n import gettext as _

_ACTIVE = frozenset(
    {
        "/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/Rendition", "/Movie", "/Sound",
        "/GoToR", "/GoToE", "/GoTo3DView", "/RichMediaExecute", "/Thread",
    }
)  # fmt: skip
"""Kinds of actions that run something or open another file, whoever clicks on them."""
_ACTIVE_KEYS = ("/JS", "/AA", "/XFA", "/RichMediaContent", "/Collection")
_ACTIVE_ANNOTATIONS = frozenset(
    {"/RichMedia", "/3D", "/Screen", "/Movie", "/Sound", "/FileAttachment"}
)
_ELECTRONIC_INVOICES = frozenset({"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"})
"""Names of the one file that a PDF may carry: its own figures, for programs (Factur-X)."""

_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
"""Schemes of links that parents may be shown."""

# What pypdf would say of a damaged file is said in the problem.
logging.getLogger("pypdf").addHandler(logging.NullHandler())


def pdf_problem(content: bytes) -> str:
    """Reason to refuse `content` as an invoice's PDF, or "".

    Refused: what is no PDF, asks for a password before it opens, or holds scripts or actions that
    a reader would run.
    """
    if not content.startswith(b"%PDF-"):
        return _("Ce fichier n’est pas un PDF.")
    try:
        reader = PdfReader(BytesIO(content))
        # An owner's password only keeps programs from printing or copying: it opens without one.
        if reader.is_encrypted and not reader.decrypt(""):
            return _("Ce PDF est protégé par un mot de passe.")
        if not len(reader.pages):
            return _("Ce PDF n’a aucune page.")
        active = any(_acts(item) for item in _dictionaries(reader))
    except Exception:  # noqa: BLE001 - pypdf raises a dozen kinds of error on a damaged file
        return _("Ce PDF est abîmé.")
    if active:
        return _("Ce PDF contient un script ou une action automatique.")
    return ""


def _dictionaries(reader: PdfReader) -> Iterator[DictionaryObject]:
    """Every dictionary of the file, so that no corner of it need be known to be searched."""
    names = {(number, 0) for number in reader.xref_objStm}
    names |= {(number, generation) for generation, s in reader.xref.items() for number in s}
    waiting: list[Any] = [
        IndirectObject(number, generation, reader).get_object()
        for number, generation in sorted(names)
    ]
    while waiting:
        item = waiting.pop()
        if isinstance(item, DictionaryObject):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, ArrayObject):
            waiting.extend(item)


def _acts(item: DictionaryObject) -> bool:
    return (
        any(key in item for key in _ACTIVE_KEYS)
        or _value(item, "/S") in _ACTIVE
        or _value(item, "/Subtype") in _ACTIVE_ANNOTATIONS
        # A stream or a picture that is kept in another file.
        or (isinstance(item, StreamObject) and ("/F" in item or "/Ref" in item))
        or not _may_be_followed(_value(item, "/URI"))
        or ("/EF" in item and not _is_electronic_invoice(item))
        or not _only_turns_a_page(_value(item, "/OpenAction"))
    )


def _value(item: DictionaryObject, key: str) -> Any:
    """Value under a key, wherever in the file it is written."""
    try:
        return item[key]  # Follows a reference, as `get` does not.
    except KeyError:
        return None


def _may_be_followed(address: Any) -> bool:
    if not isinstance(address, str | bytes):
        return True
    text = address if isinstance(address, str) else address.decode("latin-1")
    text = "".join(text.split())
    scheme, colon, _rest = text.partition(":")
    # Before a host's port, or in a path, a colon ends no scheme.
    is_scheme = bool(colon) and not {".", "/"} & set(scheme)
    return not text.startswith(("\\", "//")) and (not is_scheme or scheme.casefold() in _SCHEMES)


def _is_electronic_invoice(item: DictionaryObject) -> bool:
    names = [str(_value(item, key)).lower() for key in ("/F", "/UF") if key in item]
    return bool(names) and _ELECTRONIC_INVOICES.issuperset(names)


def _only_turns_a_page(action: Any) -> bool:
    """True if the action on opening is nothing, or a jump to a page: not a link."""
    for _step in range(100):
        if not isinstance(action, DictionaryObject):
            return True  # A destination.
        if _value(action, "/S") != "/GoTo":
            return False
        action = _value(action, "/Next")
        if isinstance(action, ArrayObject):
            return False
    return False
