"""Exports in the shapes of French banks; accounts, people and amounts are made up."""

from datetime import date

from core.domain.bank import Credit

PAYFIP = Credit(date(2026, 11, 27), "VIR PAYFIP", 5687)
"""The one receipt of each export; a commission of 12,10 left on the day before."""

TABLES = {
    "Crédit Agricole": (
        "Téléchargement du 28/11/2026;\n\nREGIE CANTINE DE VALMONT\nCompte courant carte n° 00012345678;\n"
        "Solde au 28/11/2026 ;1 234,56 €\n\nListe des opérations du compte entre le 01/11/2026 et le 28/11/2026;\n\n"
        "Date;Libellé;Débit Euros;Crédit Euros;\n"
        '27/11/2026;"VIR PAYFIP       \n\n\n";;56,87;\n26/11/2026;"COMMISSION \nNOVEMBRE  ";12,10;;\n'
    ),
    "Crédit Agricole, zeros": "Date,Libellé,Débit euros,Crédit euros\n27/11/2026,VIR PAYFIP,0,56.87\n26/11/2026,COMMISSION,12.10,0\n",
    "LCL": (
        "27/11/2026;56,87;Virement;;VIR PAYFIP;;0;Divers\n26/11/2026;-12,10;Frais;;COMMISSION;;0;Divers\n"
        "28/11/2026;1234,56;;;;;;\n"
    ),
    "LCL, titles": "Date;Date valeur;Libellé;Débit;Crédit\n27/11/2026;27/11/2026;VIR PAYFIP;;56,87\n26/11/2026;26/11/2026;COMMISSION;12,10;\n",
    "Caisse d'Épargne, before 2023": (
        "Code de la banque : 12345;Code de l'agence : 00001;Date de début de téléchargement : 01/11/2026\n"
        "Numéro de compte : 04000000000;Nom du compte : REGIE;Devise : EUR\nSolde en fin de période;;;;1234,56;\n\n"
        "Date;Numéro d'opération;Libellé;Débit;Crédit;Détail;\n27/11/26;20261127;VIR PAYFIP;;+56,87;;\n26/11/26;20261126;COMMISSION;-12,10;;;\n"
        "Solde en début de période;;;;1189,79;\n"
    ),
    "CIC": "Date;Date de valeur;Débit;Crédit;Libellé;Solde\n27/11/2026;27/11/2026;;56,87;VIR PAYFIP;1234,56\n26/11/2026;26/11/2026;-12,10;;COMMISSION;1177,69\n",
    "Crédit Mutuel": "Date;Valeur;Montant;Libellé;Solde\n27/11/2026;27/11/2026;56,87;VIR PAYFIP;1234,56\n26/11/2026;26/11/2026;-12,10;COMMISSION;1177,69\n",
    "Société Générale": (
        '="00012345678";01/11/2026;30/11/2026;2;30/11/2026;1234,56 EUR\n\n'
        "Date de l'opération;Libellé;Détail de l'écriture;Montant de l'opération;Devise\n"
        "27/11/2026;VIR PAYFIP;VIR PAYFIP;56,87;EUR\n26/11/2026;COMMISSION;;-12,10;EUR\n"
    ),
    "BNP Paribas": (
        "Compte de dépôt;Compte de dépôt;****1234;28/11/2026;;1 234,56\n\n"
        "Date operation;Libelle court;Type operation;Libelle operation;Montant operation en euro\n"
        "27/11/2026;;Virement;VIR PAYFIP;56,87\n26/11/2026;;Frais;COMMISSION;-12,10\n"
    ),
    "BoursoBank": (
        "dateOp;dateVal;label;category;categoryParent;supplierFound;amount;comment;accountNum;accountLabel;accountbalance\n"
        '2026-11-27;2026-11-27;"VIR PAYFIP";Virements;Virements;;56,87;;00012345678;REGIE;1234.56\n'
        '2026-11-26;2026-11-26;"COMMISSION";Frais;Frais;;-12,10;;00012345678;REGIE;1234.56\n'
    ),
    "BoursoBank, currencies": (
        "dateOp;dateVal;label;amount;accountNum;accountLabel;isoCurrencyCode;originalAmount;originalCurrency\n"
        "2026-11-27;2026-11-27;VIR PAYFIP;56.87;1;x;EUR;56.87;EUR\n2026-11-26;2026-11-26;COMMISSION;-12.10;1;x;EUR;-12.10;EUR\n"
    ),
    "Banque Postale, tabs": (
        "Numéro Compte\t1234567A020\nType\tCCP\nCompte tenu en  \teuros\nDate            \t28/11/2026\nSolde (EUROS)   \t1234,56\n\n"
        "Date\tLibellé\tMontant(EUROS)\n27/11/2026\tVIR PAYFIP\t56,87\n26/11/2026\tCOMMISSION\t-12,10\n"
    ),
    "Banque Postale, francs": "Date;Libellé;Montant(EUROS);Montant(FRANCS)\n27/11/2026;VIR PAYFIP;56,87;373,04\n26/11/2026;COMMISSION;-12,10;-79,37\n",
    "Trésor, dépôt de fonds": (
        "Relevé de compte;;;;;\nCompte;00001 12345;;;;\nPériode du 01/11/2026 au 30/11/2026;;;;;\n\n"
        "Date opération;Date valeur;Libellé de l'opération;Référence;Débit;Crédit\n"
        "01/11/2026;;ANCIEN SOLDE;;;1 189,79\n27/11/2026;27/11/2026;VIR PAYFIP;20261127;;56,87\n26/11/2026;26/11/2026;COMMISSION;20261126;12,10;\n"
        "30/11/2026;;NOUVEAU SOLDE;;;1 234,56\nTotal des mouvements;;;;12,10;56,87\n"
    ),
    "amount and side": "Date comptable;Libellé;Montant;Sens\n27/11/2026;VIR PAYFIP;56,87;C\n26/11/2026;COMMISSION;12,10;D\n",
    "side in words": "Date;Type;Libellé;Montant en euros\n27/11/2026;Crédit;VIR PAYFIP;56,87 €\n26/11/2026;Débit;COMMISSION;-12,10 €\n",
    "side as a sign": "Jour|Sens|Libellé|Somme\n27/11/2026|+|VIR PAYFIP|56,87\n26/11/2026|-|COMMISSION|12,10\n",
    "pages": "Date;Libellé;Débit;Crédit\n27/11/2026;VIR PAYFIP;;56,87\n\nDate;Libellé;Débit;Crédit\n26/11/2026;COMMISSION;12,10;\nSous-total;;12,10;56,87\n\nCe document n'a pas valeur de relevé;;;\n",
    "pending": "Date;Libellé;Montant;Statut\n27/11/2026;VIR PAYFIP;56,87;Comptabilisé\n26/11/2026;COMMISSION;-12,10;Comptabilisé\n28/11/2026;VIR X;9,99;En attente\n",
    "moments": "Date;Libellé;Montant\n2026-11-27 08:30:00;VIR PAYFIP;56,87\n26.11.2026;COMMISSION;-12,10\n",
}

CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"><BkToCstmrStmt><Stmt><Id>1</Id>
<Bal><Amt Ccy="EUR">1189.79</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>
<Ntry><Amt Ccy="EUR">56.87</Amt><CdtDbtInd>CRDT</CdtDbtInd>{booked}<BookgDt><Dt>2026-11-27</Dt></BookgDt><ValDt><Dt>2026-11-28</Dt></ValDt>
<NtryDtls><TxDtls><Amt Ccy="EUR">56.87</Amt><RmtInf><Ustrd>VIR PAYFIP</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>
<Ntry><Amt Ccy="EUR">12.1</Amt><CdtDbtInd>DBIT</CdtDbtInd>{booked}<BookgDt><DtTm>2026-11-26T08:00:00+01:00</DtTm></BookgDt><AddtlNtryInf>COMMISSION</AddtlNtryInf></Ntry>
<Ntry><Amt Ccy="EUR">9.99</Amt><CdtDbtInd>CRDT</CdtDbtInd>{pending}<BookgDt><Dt>2026-11-28</Dt></BookgDt></Ntry>
</Stmt></BkToCstmrStmt></Document>"""

OFX = """OFXHEADER:100
DATA:OFXSGML
VERSION:102
SECURITY:NONE
ENCODING:USASCII
CHARSET:1252
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><DTSERVER>20261130<LANGUAGE>FRA</SONRS></SIGNONMSGSRSV1>
<BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS><STMTRS><CURDEF>EUR
<BANKACCTFROM><BANKID>12345<BRANCHID>00001<ACCTID>00012345678<ACCTTYPE>CHECKING</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20261101<DTEND>20261130
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20261127120000<TRNAMT>+56{point}87<FITID>1<NAME>VIR PAYFIP<MEMO></STMTTRN>
<STMTTRN><TRNTYPE>OTHER<DTPOSTED>20261126<TRNAMT>-12{point}10<FITID>2<NAME>COMMISSION & FRAIS</STMTTRN>
</BANKTRANLIST><LEDGERBAL><BALAMT>1234{point}56<DTASOF>20261130</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
OFX_2 = """<?xml version="1.0" encoding="UTF-8"?>
<?OFX OFXHEADER="200" VERSION="220" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>
<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR</CURDEF><BANKTRANLIST>
<STMTTRN><TRNTYPE>CREDIT</TRNTYPE><DTPOSTED>20261127</DTPOSTED><TRNAMT>56.87</TRNAMT><FITID>1</FITID><NAME>VIR PAYFIP</NAME><MEMO/></STMTTRN>
<STMTTRN><TRNTYPE>FEE</TRNTYPE><DTPOSTED>20261126</DTPOSTED><TRNAMT>-12.10</TRNAMT><FITID>2</FITID><NAME>COMMISSION</NAME></STMTTRN>
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"""
