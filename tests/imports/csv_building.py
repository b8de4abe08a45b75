"""Files of the import format, right until a test changes them."""

HEADER = (
    "regie;numero;ref_tipi;exercice;code_famille;debiteur;libelle;periode_debut;periode_fin;"
    "date_facture;date_echeance;montant;prelevement;pdf;type;facture_origine"
)
GOOD = {
    "regie": "PERISCOLAIRE",
    "numero": "2025-010-000314",
    "ref_tipi": "2025-TS-00-1000314",
    "exercice": "2025",
    "code_famille": "F01207",
    "debiteur": "MARTIN Céline",
    "libelle": "CANTINE ET GARDERIE OCTOBRE 2025",
    "periode_debut": "2025-10-01",
    "periode_fin": "31/10/2025",
    "date_facture": "03/11/2025",
    "date_echeance": "2025-11-25",
    "montant": "56,87",
    "prelevement": "N",
    "pdf": "",
    "type": "facture",
    "facture_origine": "",
}
FLAT_HEADER = (
    "regie;numero;code_famille;libelle;date_facture;date_echeance;montant;"
    "rang;enfant;activite;nature_fiscale;quantite;prix_unitaire;montant_ligne"
)


def row(**changes):
    return ";".join({**GOOD, **changes}.values())


def table(*rows, header=HEADER, encoding="utf-8", end="\r\n"):
    return end.join((header, *rows, "")).encode(encoding)


def flat(*rows):
    return table(*rows, header=FLAT_HEADER)


def flat_row(rank="1", amount="41,60", *, number="1", total="56,87", rest=";REPAS;repas;16;2,60"):
    return f"CRECHE;{number};F1;MOIS;03/11/2025;25/11/2025;{total};{rank};E1{rest};{amount}"


FLAT_ROWS = (flat_row(), flat_row("2", "15,27", rest=";SOIR;garde;;"))
