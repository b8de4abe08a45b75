"""Reading what was typed as plain words: no accents, no capitals, SMS spellings written out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

_NOT_A_WORD = re.compile(r"[^0-9a-z\u0370-\U0010ffff]+")
_ONE_WORD = re.compile(r"multi[ -]accueil")
_STRETCHED = re.compile(r"([a-z])\1{2,}")

WRITTEN_OUT = {
    "jai": "j ai", "g": "j ai", "jé": "j ai", "gt": "j etais", "jsuis": "je suis",
    "chui": "je suis",
    "jpe": "je peux", "jpeux": "je peux", "jpeu": "je peux", "jveu": "je veux", "jveux": "je veux",
    "jvoudrais": "je voudrais", "jvoudré": "je voudrais", "jvoudrai": "je voudrais",
    "jdois": "je dois", "jdoi": "je dois", "jarrive": "j arrive", "jariv": "j arrive",
    "jcomprends": "je comprends", "yaura": "il y aura", "ya": "il y a", "ia": "il y a",
    "c": "c est", "cest": "c est", "ke": "que", "ki": "qui",
    "keske": "qu est ce que", "keski": "qu est ce qui",
    "koi": "quoi", "qoi": "quoi", "kan": "quand", "qd": "quand", "kand": "quand",
    "cb": "carte bleue", "combi1": "combien", "kombien": "combien", "cmbien": "combien",
    "cbien": "combien", "pr": "pour", "pa": "pas", "pk": "pourquoi",
    "pq": "pourquoi", "pkoi": "pourquoi", "pck": "parce que", "psk": "parce que",
    "ds": "dans",
    "ns": "nous", "vs": "vous", "tt": "tout", "tte": "toute", "ttes": "toutes", "ts": "tous",
    "ms": "mais", "mtn": "maintenant", "auj": "aujourd hui", "ojd": "aujourd hui",
    "aujourdhui": "aujourd hui", "ajd": "aujourd hui", "2m1": "demain", "dem1": "demain",
    "2main": "demain", "dmain": "demain",
    "bjr": "bonjour", "bsr": "bonsoir", "slt": "salut", "cc": "coucou", "stp": "svp",
    "mrc": "merci", "mer6": "merci", "mci": "merci", "dsl": "desole", "dac": "d accord",
    "dacc": "d accord", "okk": "ok", "okay": "ok", "oki": "ok", "okey": "ok",
    "fac": "facture", "fact": "facture", "factu": "facture", "paimen": "paiement",
    "paiemen": "paiement", "payement": "paiement", "paimt": "paiement", "rglt": "reglement",
    "doi": "dois", "doit": "dois", "peu": "peux", "peut": "peux", "pe": "peux", "veu": "veux",
    "resu": "recu", "reussu": "recu", "recue": "recu", "recues": "recu",
    "mdp": "mot de passe", "pb": "probleme", "pbm": "probleme", "tel": "telephone",
    "num": "numero", "rdv": "rendez vous", "qqn": "quelqu un", "qq1": "quelqu un",
    "co": "connecter", "notif": "notification", "notifs": "notification",
    "2x": "2 fois", "3x": "3 fois", "4x": "4 fois", "qf": "quotient familial",
    "aled": "aide", "tar": "tard", "largent": "l argent", "lecole": "l ecole", "lautre": "l autre",
    "dargent": "d argent", "nai": "n ai", "jaurai": "j aurai", "javais": "j avais",
    "impot": "impots", "msg": "message", "pls": "please", "plz": "please", "u": "you",
}  # fmt: skip
"""SMS spellings and what they stand for. Keys with an accent are compared before accents go."""
_WITH_ACCENT = {key: value for key, value in WRITTEN_OUT.items() if not key.isascii()}


def normalise(text: str) -> str:
    """Small letters without accents, and anything else than letters and digits as a space."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe"))
    plain = "".join(char for char in decomposed if not unicodedata.combining(char))
    return "".join(char if char.isalnum() else " " for char in plain)


def words_of(text: str) -> list[str]:
    """The words of a text, SMS spellings written out. A question mark is a word of its own."""
    found: list[str] = []
    text = _ONE_WORD.sub("multiaccueil", text.casefold()).replace("?", " ? ")
    for raw in re.split(r"[\s'’`´.,;:!()\"«»/_-]+", text):
        if raw == "?":
            found.append("?")
            continue
        if raw in _WITH_ACCENT:
            found += _WITH_ACCENT[raw].split()
            continue
        for word in normalise(raw).split():
            short = _STRETCHED.sub(r"\1", word)
            found += WRITTEN_OUT.get(short, short).split()
    return found


def speller(vocabulary: Iterable[str], known: Iterable[str]) -> Callable[[str], str]:
    """Make a function that mends slips of the finger towards `vocabulary`.

    Words of five letters and more that are not `known`, and that begin alike: a short word is too
    near to too many others.
    """
    right = sorted(set(vocabulary))
    leave = frozenset(known) | frozenset(right)

    def mend(word: str) -> str:
        if len(word) < 5 or word in leave or not word.isalpha():
            return word
        from rapidfuzz import fuzz, process  # noqa: PLC0415 - where chats are answered

        near = process.extractOne(word, right, scorer=fuzz.ratio, score_cutoff=84)
        return near[0] if near and near[0][0] == word[0] else word

    return mend
