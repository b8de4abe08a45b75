"""Acceptance rules of the web service, with its codes, as the real service was recorded.

Written apart from the client's `fields`, which it must be able to contradict. A reference is looked
at before an e-mail address, and that before the amount's limits; the place of the others is free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from plugins.payfip.simulator.scenarios import UNKNOWN_CLIENTS, UNSECURED_CLIENTS
from plugins.payfip.simulator.store import ClientRow, Store


@dataclass(frozen=True, slots=True)
class Refusal:
    """A functional fault: its code and the words that come with it."""

    code: str
    words: str


P1 = Refusal("P1", "IdOp incorrect.")
P3 = Refusal("P3", "Cette opération a déjà été utilisée.")
P4 = Refusal("P4", "L’opération est enregistrée depuis plus de 15 minutes.")
P5 = Refusal("P5", "Résultat de la transaction non connu.")

URL_LENGTH = 250
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]+")


def client(store: Store, numcli: str) -> ClientRow | Refusal:
    """The client of this number; one that nobody set up is a body of the demonstration."""
    if not re.fullmatch(r"[0-9]{6}", numcli):
        return Refusal("T1", "Le numéro client n’est pas au bon format.")
    found = store.client(numcli) or ClientRow(
        numcli=numcli,
        label1="COLLECTIVITE DE SIMULATION",
        label2=f"REGIE {numcli}",
        label3="",
        direct_debit=1,
        secure=int(numcli not in UNSECURED_CLIENTS),
        known=int(numcli not in UNKNOWN_CLIENTS),
    )
    if not found.known:
        return Refusal("T2", "Le numéro client n’est pas connu de PayFiP.")
    if not found.secure:
        return Refusal("T4", "Ce client ne dispose pas de l’accès sécurisé.")
    return found


def creation(store: Store, values: Mapping[str, str]) -> Refusal | None:
    """Check the fields of `creerPaiementSecurise`; the first thing wrong, or None."""
    who = client(store, values["numcli"])
    if isinstance(who, Refusal):
        return who
    if values["saisie"] not in {"T", "X"}:
        words = "Le type de saisie n’est pas valide."
        if values["saisie"] == "W":
            # A régie that believes to be in production must not be "paid" by a simulator.
            words = "Le simulateur ne prend pas le mode W : aucun argent réel ne passe par lui."
        return Refusal("S1", words)
    if not re.fullmatch(r"[0-9]{1,12}", values["montant"]):
        return Refusal("M1", "Le montant n’est pas au bon format.")
    if not re.fullmatch(r"[A-Za-z0-9]{6,30}", values["refdet"]):
        return Refusal("R3", "Le format du paramètre REFDET n'est pas conforme")
    if not values["mel"]:
        return Refusal("A1", "Adresse mél absente.")
    if not 6 <= len(values["mel"]) <= 80 or not _EMAIL.fullmatch(values["mel"]):
        return Refusal("A2", "Adresse mél incorrecte.")
    if int(values["montant"]) < 100:
        return Refusal("M3", "Le montant est inférieur à 1 euro.")
    if int(values["montant"]) > 10_000_000:
        return Refusal("M5", "Le montant dépasse la limite.")
    if not _web_address(values["urlnotif"]):
        return Refusal("N1", "L’adresse de notification n’est pas valide.")
    if not _web_address(values["urlredirect"]):
        return Refusal("D1", "L’adresse de redirection n’est pas valide.")
    # The two codes below are the simulator's own; the guide's are not in the open. A year that is
    # short or not there was seen to pass.
    if not re.fullmatch(r"[0-9]{0,4}", values["exer"]):
        return Refusal("E1", "L’exercice n’est pas au bon format.")
    if not re.fullmatch(r"[A-Za-z0-9 ]{0,100}", values["objet"]):
        return Refusal("O1", "L’objet n’est pas au bon format.")
    return None


def _web_address(text: str) -> bool:
    if len(text) > URL_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
