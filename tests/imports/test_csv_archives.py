"""Zips and folders: what belongs together is found, what is dangerous is refused."""

import io
import stat
import unicodedata
import zipfile

import pytest
from csv_building import FLAT_ROWS, GOOD, flat, row, table
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from core.api.invoices import InvoiceRecord, SourceFile, SourceProblem
from core.imports.format import bundle
from core.imports.format.csv import CsvSource

LINES_HEADER = "numero;rang;enfant;activite;nature_fiscale;quantite;prix_unitaire;montant"
LINES = (
    f"{GOOD['numero']};2;E0451;GARDERIE SOIR;garde;;;15,27",
    f"{GOOD['numero']};1;E0451;REPAS MATERNELLE;repas;16;2,60;41,60",
)


def pdf(change=lambda writer: None):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


PDF = pdf()


def archive(members, change=lambda info: None):
    """A zip of `members` (content by name); `change` alters each entry before it is written."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            change(info)
            made.writestr(info, content)
    return out.getvalue()


def whole(**changes):
    """The members of a good import, some replaced or, with None, left out."""
    members = {
        "factures.csv": table(row(pdf="2025-010-000314.pdf")),
        "lignes.csv": table(*LINES, header=LINES_HEADER),
        "pdf/2025-010-000314.pdf": PDF,
        **changes,
    }
    return {name: content for name, content in members.items() if content is not None}


def other(name, content):
    return whole(**{name: content})


def test_invoices_lines_and_pdfs_of_a_zip_come_together(read):
    (invoice,) = read(archive(whole()), "octobre.zip")
    assert [(line.rank, line.amount, line.child) for line in invoice.lines] == [
        (1, 4160, "E0451"),
        (2, 1527, "E0451"),
    ]
    assert invoice.document.name == "2025-010-000314.pdf"
    # Read late, when the import has let go of the file.
    assert invoice.document.read() == PDF


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({f"export/{k}": v for k, v in whole().items()}, id="in a folder"),
        pytest.param({f"export\\{k}": v for k, v in whole().items()}, id="in a Windows folder"),
        pytest.param({k.upper(): v for k, v in whole().items()}, id="capitals"),
        pytest.param(whole(**{"__MACOSX/._factures.csv": b"\0"}), id="Mac litter"),
        pytest.param(whole(**{"pdf/Thumbs.db": b"\0"}), id="Windows litter"),
        pytest.param(whole(**{"factures.csv": table(row())}), id="PDF by invoice number"),
        pytest.param(
            whole(**{"factures.csv": None, "export 2025.csv": table(row(pdf="2025-010-000314"))}),
            id="own name of the table, PDF without ending",
        ),
    ],
)
def test_an_import_is_recognised_however_it_was_packed(read, members):
    (invoice,) = read(archive(members), "octobre.zip")
    assert isinstance(invoice, InvoiceRecord)
    assert invoice.document is not None
    assert len(invoice.lines) == 2


def test_a_number_with_a_stroke_takes_nobody_else_s_pdf(read):
    """``2025/14`` is no folder with the PDF of another family's invoice 14."""
    first, second = row(numero="2025/14", ref_tipi="1"), row(numero="14", ref_tipi="2")
    content = archive({"factures.csv": table(first, second), "14.pdf": PDF})
    one, other = read(content, "a.zip")
    assert (one.number, one.document) == ("2025/14", None)
    assert (other.number, other.document.name) == ("14", "14.pdf")


@pytest.mark.parametrize("encoding", ["utf-8", "cp850", "cp437"])
def test_accents_in_names_survive_packers_that_do_not_say_their_encoding(read, encoding):
    stored = "École.pdf".encode(encoding)
    placeholder = b"X" * len(stored)
    content = archive({"factures.csv": table(row(pdf="École.pdf")), placeholder.decode(): PDF})
    (invoice,) = read(content.replace(placeholder, stored), "a.zip")
    assert invoice.document.read() == PDF


def test_decomposed_accents_are_the_same_name(read):
    name = unicodedata.normalize("NFD", "École.pdf")
    (invoice,) = read(archive({"factures.csv": table(row(pdf="École.pdf")), name: PDF}), "a.zip")
    assert invoice.document.read() == PDF


def test_a_folder_gives_its_tables_and_its_pdfs(read, tmp_path):
    folder = tmp_path / "octobre"
    (folder / "pdf").mkdir(parents=True)
    for name, content in whole(**{"notes.txt": b"", "pdf/other.pdf": PDF}).items():
        (folder / name).write_bytes(content)
    (invoice,) = read(folder, "octobre")
    assert invoice.document.read() == PDF
    assert len(invoice.lines) == 2


def test_a_plain_csv_takes_the_pdfs_beside_it(read, tmp_path):
    (tmp_path / "2025-010-000314.pdf").write_bytes(PDF)
    (invoice,) = read(table(row(pdf="2025-010-000314.pdf")))
    assert invoice.document.read() == PDF


def test_an_upload_does_not_see_its_neighbours(tmp_path):
    (tmp_path / "other.pdf").write_bytes(PDF)
    upload = tmp_path / "upload-1"
    upload.write_bytes(table(row(pdf="other.pdf")))
    (problem,) = CsvSource().read(SourceFile(upload, "factures.csv", 1))
    assert problem.column == "pdf"


def test_links_beside_a_csv_are_not_followed(read, tmp_path):
    (tmp_path / "secret").write_bytes(PDF)
    (tmp_path / "a.pdf").symlink_to(tmp_path / "secret")
    (problem,) = read(table(row(pdf="a.pdf")))
    assert problem.column == "pdf"


def test_a_folder_without_invoices_is_refused(read, tmp_path):
    (tmp_path / "empty").mkdir()
    (problem,) = read(tmp_path / "empty", "empty")
    assert "factures.csv" in problem.message


def _script(writer):
    writer.root_object[NameObject("/OpenAction")] = DictionaryObject(
        {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject("x()")}
    )


def _link(info):
    if info.filename.endswith(".pdf"):
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16


def _bzip2(info):
    info.compress_type = zipfile.ZIP_BZIP2


def _encrypted(content):
    # Bit 0 of the flags, in the local headers and in the central directory.
    raw = bytearray(content)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = raw.find(magic)
        while start >= 0:
            raw[start + offset] |= 1
            start = raw.find(magic, start + 4)
    return bytes(raw)


def _damaged(content, name=b"lignes.csv"):
    raw = bytearray(content)
    start = raw.find(name) + len(name) + 20
    raw[start : start + 8] = b"\xff" * 8
    return bytes(raw)


REFUSED = [
    pytest.param(archive({}), "ne contient pas", id="empty zip"),
    pytest.param(archive({"lisez-moi.txt": b""}), "ne contient pas", id="no table"),
    pytest.param(archive({"[Content_Types].xml": b"", "xl/a.xml": b""}), "tableur", id="xlsx"),
    pytest.param(archive(whole())[:-30], "abîmée", id="cut short"),
    pytest.param(archive(whole())[:100], "abîmée", id="only its beginning"),
    pytest.param(_damaged(archive(whole())), "abîmé", id="damaged lines"),
    pytest.param(
        _damaged(archive(whole()), b"pdf/2025-010-000314.pdf"), "PDF est abîmé", id="damaged PDF"
    ),
    pytest.param(_encrypted(archive(whole())), "mot de passe", id="encrypted"),
    pytest.param(archive(other("../evil.pdf", PDF)), "hors de l’archive", id="parent folder"),
    pytest.param(archive(other("/etc/evil.pdf", PDF)), "hors de l’archive", id="absolute"),
    pytest.param(archive(other("C:\\evil.pdf", PDF)), "hors de l’archive", id="drive"),
    pytest.param(archive(other("a\\..\\..\\evil.pdf", PDF)), "hors de", id="backslashes"),
    pytest.param(archive(whole(), _link), "Lien symbolique", id="link"),
    pytest.param(archive(whole(), _bzip2), "Compression", id="bzip2"),
    pytest.param(archive(other("inner.zip", archive({}))), "inattendu", id="zip in the zip"),
    pytest.param(archive(other("virus.exe", b"MZ")), "inattendu", id="program"),
    pytest.param(archive(other("autres.csv", table(row()))), "inattendu", id="second table"),
    pytest.param(archive(other("b/factures.csv", table(row()))), "deux fois", id="table twice"),
    pytest.param(archive(other("factures.csv", b" " * 2_000_000)), "décompressé", id="CSV bomb"),
    pytest.param(archive(other("bomb.pdf", b"%PDF-" + b"0" * 2_000_000)), "décompressé", id="bomb"),
    pytest.param(archive(other("pdf/2025-010-000314.pdf", b"GIF89a")), "pas un PDF", id="no PDF"),
    pytest.param(archive(other("pdf/2025-010-000314.pdf", b"")), "pas un PDF", id="empty PDF"),
    pytest.param(archive(other("pdf/2025-010-000314.pdf", b"%PDF-1.4")), "abîmé", id="bad PDF"),
    pytest.param(
        archive(other("pdf/2025-010-000314.pdf", pdf(_script))), "script", id="script in PDF"
    ),
    pytest.param(
        archive(other("pdf/2025-010-000314.pdf", pdf(lambda w: w.encrypt("x")))),
        "mot de passe",
        id="locked PDF",
    ),
    pytest.param(archive(other("pdf/2025-010-000314.pdf", None)), "pas joint", id="PDF missing"),
    pytest.param(archive(other("pdf/stray.pdf", PDF)), "ne cite ce PDF", id="PDF of nobody"),
    pytest.param(archive(other("2025-010-000314.pdf", PDF)), "Plusieurs fichiers", id="two PDFs"),
    pytest.param(
        archive(
            whole(
                **{
                    "factures.csv": table(
                        row(pdf="2025-010-000314.pdf"),
                        row(numero="2", ref_tipi="", pdf="2025-010-000314.PDF"),
                    ),
                    "lignes.csv": None,
                }
            )
        ),
        "autre facture",
        id="one PDF for two",
    ),
    pytest.param(archive(other("factures.csv", flat(*FLAT_ROWS))), "déjà dans", id="lines twice"),
    pytest.param(
        archive(other("lignes.csv", table(*LINES, "9;1;;A;autre;;;1,00", header=LINES_HEADER))),
        "Aucune facture de ce numéro",
        id="line of nobody",
    ),
    pytest.param(
        archive(other("lignes.csv", table(LINES[0], header=LINES_HEADER))),
        "total des lignes est de 15,27",
        id="line missing",
    ),
    pytest.param(
        archive(other("lignes.csv", table(header=LINES_HEADER))), "Aucune ligne", id="no lines"
    ),
    pytest.param(
        archive(
            whole(
                **{
                    "factures.csv": table(
                        row(), row(regie="CRECHE", ref_tipi="", pdf="2025-010-000314.pdf")
                    )
                }
            )
        ),
        "Deux régies",
        id="number in two régies",
    ),
]


@pytest.mark.parametrize(("content", "words"), REFUSED)
def test_what_is_wrong_with_an_archive_is_said(read, content, words):
    problems = [item for item in read(content, "octobre.zip") if isinstance(item, SourceProblem)]
    assert any(words in problem.message for problem in problems), problems
    assert len(problems) <= 3


@pytest.mark.parametrize("limit", ["MAX_MEMBERS", "MAX_TOTAL", "MAX_TABLE"])
def test_an_archive_has_limits(read, monkeypatch, limit):
    monkeypatch.setattr(bundle, limit, 2)
    assert all(isinstance(item, SourceProblem) for item in read(archive(whole()), "octobre.zip"))


def test_a_line_that_cannot_be_read_is_said_once(read):
    bad = table(LINES[0], LINES[1].replace("41,60", "41,600"), header=LINES_HEADER)
    (problem,) = read(archive(other("lignes.csv", bad)), "octobre.zip")
    assert (problem.file, problem.line, problem.column) == ("lignes.csv", 3, "montant")


def test_an_invoice_that_cannot_be_read_does_not_orphan_its_lines(read):
    members = other("factures.csv", table(row(regie="PISCINE", pdf="2025-010-000314.pdf")))
    (problem,) = read(archive(members), "octobre.zip")
    assert problem.column == "regie"


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_a_pdf_that_opens_for_everybody_is_taken_whoever_owns_it(read, algorithm):
    opens = pdf(lambda w: w.encrypt("", "owner", algorithm=algorithm))
    (found,) = read(archive(other("pdf/2025-010-000314.pdf", opens)), "octobre.zip")
    assert isinstance(found, InvoiceRecord), found
    assert found.document.read() == opens
    locked = pdf(lambda w: w.encrypt("parent", "owner", algorithm=algorithm))
    (refused,) = read(archive(other("pdf/2025-010-000314.pdf", locked)), "octobre.zip")
    assert "mot de passe" in refused.message


def test_a_script_is_found_behind_an_owners_password(read):
    def change(writer):
        _script(writer)
        writer.encrypt("", "owner", algorithm="AES-256")

    (refused,) = read(archive(other("pdf/2025-010-000314.pdf", pdf(change))), "octobre.zip")
    assert "script" in refused.message
