"""Writing PES V2 recette files, made up from the format's public description; no real one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

NAMESPACE = "http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/aller"

DEBTOR = {
    "RefTiers": "F01207", "CatTiers": "01", "NatJur": "01", "TypTiers": "01", "Civilite": "MME",
    "Nom": "MARTIN", "Prenom": "CÉLINE",
}  # fmt: skip
ADDRESS = {
    "TypAdr": "1", "Adr2": "1 RUE DU LAVOIR", "CP": "99000", "Ville": "DEMOVILLE", "CodRes": "0",
}  # fmt: skip


def block(tag: str, values: dict[str, str], *inside: str) -> str:
    """An element whose data are empty elements with an attribute V."""
    data = "".join(f"<{name} V={quoteattr(value)}/>" for name, value in values.items())
    return f"<{tag}>{data}{''.join(inside)}</{tag}>"


def line(
    amount: str = "41.60", label: str = "LEA - REPAS", *, product: str = "RS01", vat: str = "",
    debtor: dict[str, str] | None = None, inside: str = "", rank: int = 1, beside: str = "",
    attached: str = "",
) -> str:  # fmt: skip
    """A line; `beside` are other ``Tiers``, `attached` its own ``PJRef``."""
    info = {
        "IdLigne": str(rank), "ObjLignePce": label, "CodProdLoc": product, "Nature": "7067",
        "Majo": "0", "TvaIntraCom": "0", "MtHT": amount,
    }  # fmt: skip
    if vat:
        info["MtTVA"] = vat
    who = tiers(**(debtor or {}))
    inner = block("InfoLignePiece", info, attached)
    return block("LigneDePiece", {}, block("BlocLignePiece", {}, inner, inside), who, beside)


def tiers(**changes: str) -> str:
    """A debtor; an empty value takes the datum away."""
    values = {name: value for name, value in (DEBTOR | changes).items() if value}
    return block("Tiers", {}, block("InfoTiers", values), block("Adresse", ADDRESS))


def piece(*lines: str, number: int = 314, kind: str = "15", inside: str = "", **more: str) -> str:
    values = {
        "IdPce": str(9000 + number), "TypPce": kind, "NatPce": "01",
        "ObjPce": f"FACTURE {number} OCTOBRE 2026", "NumDette": str(number), "Per": "1",
        "NumeroFacture": f"2026-010-{number:06d}",
    }  # fmt: skip
    values |= more
    values = {name: value for name, value in values.items() if value}
    return block("Piece", {}, block("BlocPiece", values, inside), *lines)


def slip(*pieces: str, total: str, kind: str = "06", count: int | None = None, **more: str) -> str:
    values = {
        "Exer": "2026", "IdBord": "42", "DteBordEm": "2026-11-03", "TypBord": kind,
        "NbrPce": str(len(pieces) if count is None else count), "MtBordHt": total,
        "DteAsp": "2026-11-05", "Objet": "CANTINE OCTOBRE 2026",
    }  # fmt: skip
    values |= more
    values = {name: value for name, value in values.items() if value}
    return block("Bordereau", {}, block("BlocBordereau", values), *pieces)


HEAD = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
    f'<n:PES_Aller xmlns:n="{NAMESPACE}" Id="x1">'
    '<Enveloppe><Parametres><Version V="2"/><TypFic V="PESORMC"/><NomFic V="CANTINE202610"/>'
    '</Parametres><Emetteur><Sigle V="DEMO"/><Adresse V="DEMO 1.0"/></Emetteur></Enveloppe>'
    '<EnTetePES><DteStr V="2026-11-03"/><IdPost V="099001"/><IdColl V="21990001500012"/>'
    '<CodCol V="123"/><CodBud V="00"/></EnTetePES>\n'
)
RECETTE = '<EnTeteRecette><IdVer V="2"/><InfoDematerialisee V="0"/></EnTeteRecette>'


def pes(*slips: str, attachments: Iterable[str] = (), recette: str = RECETTE) -> str:
    joined = "".join(attachments)
    behind = f'<PES_PJ><EnTetePES_PJ><IdVer V="2"/></EnTetePES_PJ>{joined}</PES_PJ>' * bool(joined)
    return (
        HEAD
        + f"<PES_RecetteAller>{recette}{''.join(slips)}</PES_RecetteAller>{behind}</n:PES_Aller>"
    )


def attachment(key: str, content: bytes, *, kind: str = "010", name: str = "FACTURE.PDF") -> str:
    packed = b64encode(content).decode()
    file = f'<Contenu><Fichier MIMEType="application/pdf">{packed}</Fichier></Contenu>'
    known = {"IdUnique": key, "NomPJ": name, "TypePJ": kind}
    return block("PJ", {}, file, *(f"<{tag} V={quoteattr(said)}/>" for tag, said in known.items()))


def refers_to(key: str) -> str:
    return block("PJRef", {"Support": "01", "IdUnique": key, "NomPJ": "FACTURE.PDF"})


def many(count: int) -> Iterator[str]:
    """The parts of a file of `count` invoices of two lines each, 56,87 € in all."""
    yield HEAD + f"<PES_RecetteAller>{RECETTE}"
    yield block("Bordereau", {}).removesuffix("</Bordereau>")
    yield block("BlocBordereau", {
        "Exer": "2026", "IdBord": "42", "DteBordEm": "2026-11-03", "TypBord": "06",
        "NbrPce": str(count), "MtBordHt": f"{count * 5687 // 100}.{count * 5687 % 100:02d}",
    })  # fmt: skip
    for number in range(1, count + 1):
        yield (
            piece(
                line("41.60", "REPAS"),
                line("15.27", "GARDERIE", product="GA01", rank=2),
                number=number,
            )
            + "\n"
        )
    yield "</Bordereau></PES_RecetteAller></n:PES_Aller>"


def write(folder: Path, content: str | Iterable[str], encoding: str = "iso-8859-1") -> Path:
    path = folder / "recette.xml"
    with path.open("w", encoding=encoding) as out:
        out.writelines([content] if isinstance(content, str) else content)
    return path
