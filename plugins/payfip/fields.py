"""The fields of a PayFiP request: brought into the shape the service takes, or refused.

Everything is checked here, before anything is sent: a refusal by PayFiP costs a parent a minute
and says less. Rules: the field table of the DGFiP's guide for régies and titres.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from urllib.parse import urlsplit

from core.plugin import AddressError, PayerField, RefusalKind, StartRefusedError, leaving
from core.plugin import gettext as _

MIN_CENTS = 100
MAX_CENTS = 10_000_000
"""1,00 € to 100 000,00 €: the limits of the web service (the old URL mode ends earlier)."""
OBJECT_LENGTH = 100
REFERENCE_LENGTHS = range(6, 31)
"""The guide says from 1; the service was seen to refuse four characters (R3) and to take six."""
EMAIL_LENGTHS = range(6, 81)
URL_LENGTH = 250

_LIGATURES = str.maketrans(
    {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ß": "ss", "ø": "o", "Ø": "O", "€": " euros "}
)
_NOT_OBJECT = re.compile(r"[^A-Za-z0-9]+")
_SEPARATOR = r"[\s\-\u2010-\u2015\u2212./_]"
"""Characters without meaning that people and printers put between the parts of a reference."""
REFERENCE_PATTERN = (
    rf"{_SEPARATOR}*(?:[A-Za-z0-9]{_SEPARATOR}*)"
    f"{{{REFERENCE_LENGTHS.start},{REFERENCE_LENGTHS.stop - 1}}}"
)
"""A reference that `refdet` takes."""
_CLIENT = re.compile(r"[0-9]{6}")
_EXERCISE = re.compile(r"20[0-9]{2}")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]{2,}")


SETTINGS_FIELDS = frozenset({"numcli", "saisie", "urlnotif", "urlredirect"})
"""Fields that come from the settings of the régie or of the portal."""


class FieldError(StartRefusedError):
    """A value that PayFiP would refuse. `field` is PayFiP's name for it, `reason` a sentence.

    The settings are the operator's to correct; what else does not fit comes from the invoice.
    """

    def __init__(self, field: str, reason: str) -> None:
        settings = field in SETTINGS_FIELDS
        said = f"{field} : {reason}"
        super().__init__(RefusalKind.SETTINGS if settings else RefusalKind.INVOICE, said)
        self.field = field


class EmailError(FieldError):
    """An address that PayFiP would refuse; `reason` words it for whoever reads."""

    def __init__(self, reason: Callable[[], str]) -> None:
        StartRefusedError.__init__(
            self,
            RefusalKind.PAYER,
            f"mel : {reason()}",
            payer_field=PayerField.EMAIL,
            message=lambda: f"{(said := reason())[:1].upper()}{said[1:]}",
        )
        self.field = "mel"


def objet(text: str) -> str:
    """Write what is paid with letters, digits and single spaces only, 100 at most.

    >>> objet("L’école d’Évry – goûter nº 3")
    'L ecole d Evry gouter no 3'
    """
    plain = unicodedata.normalize("NFKD", text.translate(_LIGATURES))
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return _NOT_OBJECT.sub(" ", letters).strip()[:OBJECT_LENGTH].rstrip()


def refdet(reference: str) -> str:
    """Take the separators out of a reference; never change a letter or a digit of it.

    >>> refdet("2012-TS-00-3000314")
    '2012TS003000314'
    """
    if not is_refdet(reference):
        raise FieldError(
            "refdet",
            _("la référence « %(value)s » doit tenir en 6 à 30 lettres sans accent et chiffres.")
            % {"value": reference},
        )
    return bare_reference(reference)


def is_refdet(reference: str) -> bool:
    """True if PayFiP takes this reference once its separators are removed."""
    return re.fullmatch(REFERENCE_PATTERN, reference) is not None


def bare_reference(reference: str) -> str:
    """Take the separators out of a reference, whatever else stands in it."""
    return re.sub(_SEPARATOR, "", reference)


def montant(cents: int) -> str:
    """Write an amount of integer cents as PayFiP reads it: ``5687`` for 56,87 €."""
    if isinstance(cents, bool) or not isinstance(cents, int):
        # A float here is a cent lost somewhere else: refuse it loudly.
        raise TypeError("an amount is an integer number of cents")
    if cents < MIN_CENTS:
        raise FieldError("montant", _("PayFiP ne prend pas de montant inférieur à 1,00 €."))
    if cents > MAX_CENTS:
        raise FieldError("montant", _("PayFiP ne prend pas de montant supérieur à 100 000,00 €."))
    return str(cents)


def mel(address: str) -> str:
    """Check the one e-mail address that gets PayFiP's ticket: 6 to 80 plain characters.

    >>> mel("parent@école.fr")
    'parent@xn--cole-9oa.fr'
    """
    bare = address.strip()
    with suppress(AddressError):  # What has no such form is refused below.
        bare = leaving(bare)
    if len(bare) not in EMAIL_LENGTHS:
        raise EmailError(lambda: _("l’adresse électronique doit tenir en 6 à 80 caractères."))
    if not _EMAIL.fullmatch(bare):
        raise EmailError(
            lambda: _(
                "le service de paiement n’accepte pas cette adresse : saisissez-en une sans accent"
                " ni caractère spécial, comme nom@exemple.fr."
            )
        )
    return bare


def numcli(number: str) -> str:
    """Check a client number: the 6 digits that the DGFiP gave the régie."""
    if not _CLIENT.fullmatch(number):
        raise FieldError("numcli", _("le numéro client a 6 chiffres."))
    return number


def exer(year: int) -> str:
    """Write a fiscal year with its 4 digits."""
    text = str(year)
    if not _EXERCISE.fullmatch(text):
        raise FieldError("exer", _("l’exercice est une année de 4 chiffres."))
    return text


def url(field: str, value: str) -> str:
    """Check an absolute address that PayFiP is to call or send the parent to."""
    parts = urlsplit(value)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or not value.isascii()
        or not value.isprintable()
        or " " in value
        or len(value) > URL_LENGTH
    ):
        raise FieldError(field, _("l’adresse du portail n’est pas valable."))
    return value


@dataclass(frozen=True, slots=True)
class Creation:
    """Fields of `creerPaiementSecurise`, in the order in which they must be sent."""

    exer: str
    mel: str
    montant: str
    numcli: str
    objet: str
    refdet: str
    saisie: str
    urlnotif: str
    urlredirect: str

    def items(self) -> list[tuple[str, str]]:
        """Names and values, in the interface's order."""
        return list(zip((field.name for field in fields(self)), astuple(self), strict=True))
