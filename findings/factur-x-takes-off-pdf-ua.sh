#!/bin/bash
# factur-x rewrites the metadata of an invoice to which it attaches its XML: a PDF/UA-1 from WeasyPrint keeps
# its tags, its language and its title on show, and loses the line that says it is PDF/UA-1, without a word.
# A reader that goes by that line, and every checker, then takes the invoice for one that claims nothing.
# Exits non-zero when that changes.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
timeout 240 python3 -m venv "$work/venv"
timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check factur-x==7.8 weasyprint==70.0 pypdf==7.1.1
timeout 120 "$work/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import io
import sys

import pypdf
import weasyprint
from facturx import generate_from_binary

XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<r:CrossIndustryInvoice
 xmlns:r="urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100"
 xmlns:a="urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"
 xmlns:u="urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100">
<r:ExchangedDocumentContext><a:GuidelineSpecifiedDocumentContextParameter>
<a:ID>urn:factur-x.eu:1p0:minimum</a:ID>
</a:GuidelineSpecifiedDocumentContextParameter></r:ExchangedDocumentContext>
<r:ExchangedDocument><a:ID>2026-1</a:ID><a:TypeCode>380</a:TypeCode><a:IssueDateTime>
<u:DateTimeString format="102">20261130</u:DateTimeString></a:IssueDateTime></r:ExchangedDocument>
<r:SupplyChainTradeTransaction><a:ApplicableHeaderTradeAgreement><a:SellerTradeParty><a:Name>Ville</a:Name>
<a:SpecifiedLegalOrganization><a:ID schemeID="0002">123456789</a:ID></a:SpecifiedLegalOrganization>
<a:PostalTradeAddress><a:CountryID>FR</a:CountryID></a:PostalTradeAddress></a:SellerTradeParty>
<a:BuyerTradeParty><a:Name>Famille</a:Name></a:BuyerTradeParty></a:ApplicableHeaderTradeAgreement>
<a:ApplicableHeaderTradeDelivery/><a:ApplicableHeaderTradeSettlement>
<a:InvoiceCurrencyCode>EUR</a:InvoiceCurrencyCode><a:SpecifiedTradeSettlementHeaderMonetarySummation>
<a:TaxBasisTotalAmount>12.10</a:TaxBasisTotalAmount><a:TaxTotalAmount currencyID="EUR">0</a:TaxTotalAmount>
<a:GrandTotalAmount>12.10</a:GrandTotalAmount><a:DuePayableAmount>12.10</a:DuePayableAmount>
</a:SpecifiedTradeSettlementHeaderMonetarySummation></a:ApplicableHeaderTradeSettlement>
</r:SupplyChainTradeTransaction></r:CrossIndustryInvoice>"""
PAGE = """<html lang="fr"><head><title>Facture</title></head><body><h1>Facture</h1>
<p>Total 12,10 €</p></body></html>"""


def look(pdf):
    """Whether a PDF is tagged, and whether it says that it is PDF/UA."""
    root = pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    return "/StructTreeRoot" in root, b"pdfuaid" in root["/Metadata"].get_data()


for name in ("factur-x", "weasyprint", "pypdf"):
    print(name, importlib.metadata.version(name))
plain = weasyprint.HTML(string=PAGE).write_pdf(pdf_variant="pdf/ua-1")
attached = generate_from_binary(plain, XML, lang="fr-FR")
print("(tagged, says PDF/UA) before:        ", look(plain))
print("(tagged, says PDF/UA) after, expected:", (True, True))
print("(tagged, says PDF/UA) after, seen:    ", look(attached))
sys.exit((look(plain), look(attached)) != ((True, True), (True, False)))
PYTHON
