"""The columns of the format of invoices (docs/import-format.md)."""

from __future__ import annotations

from collections.abc import Sequence

from core.platform.tabular.header import Columns

_MEANT = {
    "numero": r"(n|no|num|numero|nr|ref|reference)(_de)?(_la)?_facture|facture|n|no|num|n_piece",
    "code_famille": r"(code|n|no|num|numero|id|ref)_(client|famille|payeur|tiers|redevable)",
    "montant": r"(montant_)?(total|ttc|du|net)(_ttc|_a_payer|_facture)?|net_a_payer|somme|prix",
    "date_facture": r"date(_d)?(_edition|_emission|_de_facturation|_de_la_facture)?|emission",
    "date_echeance": r"echeance|date_limite(_de_paiement)?|a_payer_avant(_le)?|limite_de_paiement",
    "libelle": r"objet|designation|intitule|description|lot|periode",
    "debiteur": r"nom|famille|payeur|client|redevable|nom_(de_la_)?famille|nom_et_prenom|titulaire",
}
"""Titles that billing programs give to a column."""

INVOICE = Columns(
    required=(
        "regie", "numero", "code_famille", "libelle", "date_facture", "date_echeance", "montant",
    ),
    optional=(
        "ref_tipi", "exercice", "debiteur", "adresse1", "adresse2", "adresse3", "code_postal",
        "ville", "periode_debut", "periode_fin", "prelevement", "pdf", "type", "facture_origine",
    ),
    meant=_MEANT,
)  # fmt: skip
"""``factures.csv`` with one row an invoice."""

LINE = Columns(
    required=("numero", "activite", "nature_fiscale", "montant"),
    optional=("regie", "rang", "enfant", "quantite", "prix_unitaire"),
    meant=_MEANT,
)
"""``lignes.csv``."""

LINE_AMOUNT = "montant_ligne"
"""In one table the line's amount needs a name of its own: ``montant`` is the invoice's."""

FLAT = Columns(
    required=(*INVOICE.required, "activite", "nature_fiscale", LINE_AMOUNT),
    optional=(*INVOICE.optional, "rang", "enfant", "quantite", "prix_unitaire"),
    meant=_MEANT,
)
"""One table with one row a line, the invoice's own columns repeated on each."""

_LINE_ONLY = frozenset(FLAT.all) - frozenset(INVOICE.all)


def kind_of(header: Sequence[str]) -> Columns:
    """Columns of a table of invoices: of one row an invoice, or of one row a line."""
    return INVOICE if _LINE_ONLY.isdisjoint(header) else FLAT
