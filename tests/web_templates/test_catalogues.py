"""Every message of core and of the plugins has its English, and says the same values."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po
from template_samples import Pages, samples

import core
from core.platform import i18n

ROOT = Path(core.__file__).parent.parent
ROOTS = [ROOT / "core", *sorted(p.parent for p in ROOT.glob("plugins/*/__init__.py"))]
MAPPING = [("**.py", "python"), ("**.jinja2", "jinja2")]
OPTIONS = {"**.jinja2": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}
VALIDATORS = {
    "DataRequired": None,
    "InputRequired": None,
    "required": None,
    "ValidationError": None,
    "EqualTo": (2,),
    "Length": {2: (2,), 3: (3,), 4: (3,)},
}
"""Their messages stand in the code as they are: forms are made before any language is known."""
VALUES = re.compile(r"%\(\w+\)s|%s")
NOT_FRENCH = re.compile(
    r"""\w'\w                        # a straight apostrophe
    |[^\u202f][;!?](?:\s|$|<)       # tall punctuation: a narrow space
    |[^\u00a0]:(?:\s|$|<)           # a colon (not that of an address): a whole one
    |«[^\u202f]|[^\u202f]»          # guillemets
    |[nN]°[^\u00a0]                 # a number parted from its sign
    |\d[ ]€|%s[ ]€                  # an amount that may break
    |\.\.\.""",
    re.VERBOSE,
)
NOT_ENGLISH = re.compile(r"\w'\w|[«»]|\s[:;!?](\s|$)|n°|\.\.\.")
Id = str | tuple[str, ...]


def messages(root: Path) -> set[Id]:
    """What `root` says to people, as babel.cfg finds it."""
    found = extract_from_dir(
        root,
        method_map=MAPPING,
        options_map=OPTIONS,
        keywords=DEFAULT_KEYWORDS | VALIDATORS,
    )
    # A message extracted from ngettext is a tuple; the context of pgettext is not used here.
    return {
        tuple(message) if isinstance(message, tuple | list) else message
        for _name, _, message, *_ in found
    }


def catalogue(root: Path) -> Catalog:
    """The English catalogue of `root`, empty if there is none."""
    path = root / "locale" / "en" / "LC_MESSAGES" / "preau.po"
    if not path.is_file():
        return Catalog(locale="en")
    with path.open("rb") as source:
        return read_po(source, locale="en")


def translated(root: Path) -> dict[Id, Id]:
    """Message and translation, of those that are complete and not marked as doubtful."""
    entries = ((m.id, m.string) for m in catalogue(root) if m.id and not m.fuzzy)
    return {
        key: string
        for key, string in entries
        if (string if isinstance(string, str) else all(string))
    }


def forms(value: Id) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def test_no_message_stands_inside_an_f_string() -> None:
    """Before Python 3.12 what collects the messages does not see it there: it would have no English."""
    marks = {"_", "gettext", "ngettext"}
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for folder in ("core", "plugins")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for text in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in marks
    ]
    assert found == []


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_every_message_has_its_english(root: Path) -> None:
    have = translated(root).keys() | translated(ROOT / "core").keys()
    # A singular alone may be found under its plural's entry, as gettext finds it.
    have |= {forms(key)[0] for key in have}
    assert sorted(map(str, messages(root) - have)) == []


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_no_catalogue_keeps_what_is_gone(root: Path) -> None:
    assert sorted(map(str, translated(root).keys() - messages(root))) == []


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_both_languages_name_the_same_values(root: Path) -> None:
    for key, string in translated(root).items():
        # One form may leave a value out ("une ligne", "%(num)s lignes"); `%s` has no name, but a place.
        assert set(VALUES.findall(" ".join(forms(string)))) == set(
            VALUES.findall(" ".join(forms(key)))
        ), key


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_plurals_stay_plurals(root: Path) -> None:
    for key, string in translated(root).items():
        assert len(forms(key)) == len(forms(string)), key


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_french_is_set_as_french_is(root: Path) -> None:
    """Pages, mails, papers and refusals alike; see locale/README.md."""
    said = {form for message in messages(root) for form in forms(message)}
    assert sorted(text for text in said if NOT_FRENCH.search(text)) == []


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_english_is_set_as_english_is(root: Path) -> None:
    said = {form for string in translated(root).values() for form in forms(string)}
    assert sorted(text for text in said if NOT_ENGLISH.search(text)) == []


@pytest.mark.parametrize(
    "text",
    ["Oui !", "Oui\u00a0!", "Oui!", "Total\N{NARROW NO-BREAK SPACE}: 3", "Total : 3", "Total:", "« ici\u202f»", "l'eau",
     "n° 3", "3 €"],
)
def test_bad_setting_is_seen(text: str) -> None:
    assert NOT_FRENCH.search(text)


def test_pages_in_english_keep_no_french() -> None:
    """What only French has: its accents inside words, outside of names and samples."""
    pages = Pages()
    help_page = next(sample for sample in samples() if sample.name == "help")
    text = pages.render(help_page, "en")
    assert "Signing in" in text
    assert "Se connecter" not in text


def test_english_is_found_through_the_portal() -> None:
    with i18n.use("en"):
        assert i18n.gettext("Déconnexion") == "Sign out"
        assert (
            i18n.ngettext("La facture à régler", "Les factures à régler", 2)
            == "The invoices to pay"
        )
    assert i18n.gettext("Déconnexion") == "Déconnexion"
