"""Requests and files that no page and no billing program of ours makes: refused, and cheap."""

from __future__ import annotations

import itertools
import struct
import tempfile
import time
import zlib
from io import BytesIO
from types import SimpleNamespace

import pytest
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.unreader import IterUnreader
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    NullObject,
    StreamObject,
    TextStringObject,
)
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.request import Request
from webtest import TestApp

from core.api.errors import UserError
from core.imports.format.pdf import pdf_problem
from core.news.pictures import prepare
from core.platform.tenancy.registry import Registry
from core.platform.web.input_validation import _well_formed


@pytest.mark.parametrize("field", ["", "a=", "a=b"])
def test_a_form_of_very_many_fields_is_refused_before_it_is_read(browser, field):
    body = "&".join([field] * 340_000)
    started = time.thread_time()
    answer = browser.app.post(
        "/valmont/connexion",
        body,
        content_type="application/x-www-form-urlencoded",
        expect_errors=True,
    )
    assert answer.status_int == 400
    assert time.thread_time() - started < 0.5


@pytest.mark.parametrize("path", ["/valmont/connexion", "/valmont/regie/connexion"])
def test_a_large_form_leaves_no_file_open(browser, monkeypatch, path):
    """WebOb keeps it in a temporary file, which is closed with the request and not some day."""
    made, make = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *args, **kw: made.append(make(*args, **kw)) or made[-1])
    browser.app.post(path, {"family_code": "x" * 30_000}, expect_errors=True)
    assert made
    assert [file for file in made if not file.closed] == []


@pytest.mark.parametrize("cookie", ["a=\xff", 'a="\\377"', "\xff=1", '$Path="\\351"; a=1'])
def test_a_cookie_that_is_not_utf_8_costs_nothing_but_itself(browser, application, cookie):
    """A page of the town's own site may have set it for the whole domain."""
    browser.sign_in()
    ours = "; ".join(f"{name}={value}" for name, value in browser.app.cookies.items())
    app = TestApp(application)
    page = app.get("/valmont/factures", headers={"Cookie": f"{cookie}; {ours}"}, status=200)
    app.get("/valmont/connexion", headers={"Cookie": cookie}, status=200)
    assert "CANTINE mars" in page.text


CHUNKS = (
    b"zz\r\nabc\r\n0\r\n\r\n",
    b"-5\r\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b"3;=\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcd\r\n0\r\n\r\n",
    b"3\r\nabc\r\n0\r\n",
    b"3\r\nab",
    b"FFFFFFFFFFFFFFFF\r\nabc",
    b"",
)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"])
@pytest.mark.parametrize("address", ["/valmont/connexion", "/valmont/paiements/1/retour", "/valmont/regie/connexion"])
def test_a_body_in_malformed_chunks_is_refused(browser, address, kind):
    """As gunicorn reads it, with errors of its own."""
    statuses = set()
    for chunks in CHUNKS:
        message = SimpleNamespace(limit_request_field_size=0, max_buffer_headers=0, trailers=[])
        body = Body(ChunkedReader(message, IterUnreader(iter([chunks]))))
        environ = {
            "REQUEST_METHOD": "POST",
            "CONTENT_TYPE": kind,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input": body,
            "wsgi.input_terminated": True,
        }
        answer = browser.app.request(address, method="POST", environ=environ, expect_errors=True)
        statuses.add(answer.status_int)
    assert max(statuses) < 500, statuses
    if "retour" not in address:
        assert 400 in statuses


def test_a_host_is_a_name_and_a_port():
    town = b'[tenant]\nname = "Ville"\nhosts = ["ville.fr"]\n[regies.R]\nlabel = "R"\n'
    registry = Registry({"ville": town}, {}, {})
    assert [registry.by_host(host) for host in ("ville.fr", "VILLE.fr:443")] == ["ville", "ville"]
    for host in ("ville.fr:80@ailleurs.fr", "ville.fr:", "ville.fr:x", "ville.fr:80:80", "x@ville.fr", ""):
        assert registry.by_host(host) is None


@pytest.mark.parametrize("side", [50_000, 12_000, 2**31 - 1])
def test_a_picture_of_absurd_size_is_refused_in_words(side):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    png += chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(UserError):
        prepare(png)


def action(kind, **more):
    made = DictionaryObject({NameObject("/S"): NameObject(kind)})
    made.update({NameObject(f"/{key}"): value for key, value in more.items()})
    return made


def pdf(change=None):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    if change:
        change(writer)
    out = BytesIO()
    writer.write(out)
    PdfReader(BytesIO(out.getvalue()))
    return out.getvalue()


def opening(value):
    def change(writer):
        writer.root_object[NameObject("/OpenAction")] = value

    return change


def annotation(**entries):
    def change(writer):
        made = DictionaryObject({NameObject(f"/{key}"): value for key, value in entries.items()})
        writer.pages[0][NameObject("/Annots")] = ArrayObject([writer._add_object(made)])

    return change


def form(writer):
    made = DictionaryObject({NameObject("/XFA"): TextStringObject("x")})
    writer.root_object[NameObject("/AcroForm")] = writer._add_object(made)


def link(address):
    return annotation(Subtype=NameObject("/Link"), A=action("/URI", URI=TextStringObject(address)))


def of_outline(act):
    def change(writer):
        item = writer._add_object(DictionaryObject({NameObject("/Title"): TextStringObject("x"), NameObject("/A"): act}))
        writer.root_object[NameObject("/Outlines")] = DictionaryObject({NameObject("/First"): item, NameObject("/Last"): item})

    return change


def of_names(act):
    def change(writer):
        tree = DictionaryObject({NameObject("/Names"): ArrayObject([TextStringObject("x"), act])})
        writer.root_object[NameObject("/Names")] = DictionaryObject({NameObject("/JavaScript"): tree})

    return change


def elsewhere(writer):
    """A page whose content stands in another file."""
    stream = StreamObject()
    stream[NameObject("/F")] = TextStringObject("x.dat")
    writer.pages[0][NameObject("/Contents")] = writer._add_object(stream)


URI = action("/URI", URI=TextStringObject("https://exemple.fr"))
PAGE = ArrayObject([NullObject(), NameObject("/Fit")])


@pytest.mark.parametrize(
    "change",
    [
        opening(URI),
        opening(action("/GoTo", D=PAGE, Next=URI)),
        opening(action("/GoTo", D=PAGE, Next=ArrayObject([URI]))),
        opening(action("/GoToR", F=TextStringObject("x.pdf"))),
        annotation(Subtype=NameObject("/Link"), A=action("/GoToR", F=TextStringObject("x.pdf"))),
        annotation(Subtype=NameObject("/Link"), A=action("/GoToE")),
        annotation(Subtype=NameObject("/RichMedia")),
        annotation(Subtype=NameObject("/FileAttachment")),
        form,
        lambda writer: writer.add_attachment("x.txt", b"x"),
        *(link(address) for address in ("javascript:alert(1)", " JavaScript :x", "file:///etc/passwd", "\\\\host\\x",
                                        "//host/x", "data:text/html,x", "ms-word:x")),
        annotation(Subtype=NameObject("/Link"), A=action("/Thread", F=TextStringObject("x.pdf"))),
        annotation(Subtype=NameObject("/Widget"), A=action("/SubmitForm", F=TextStringObject("https://exemple.fr"))),
        annotation(Subtype=NameObject("/Link"), A=action("/GoTo", D=PAGE, Next=action("/Launch"))),
        annotation(Subtype=NameObject("/Link"), AA=DictionaryObject()),
        of_outline(action("/JavaScript")),
        of_names(action("/JavaScript", JS=TextStringObject("x"))),
        elsewhere,
    ],
)
def test_a_pdf_that_does_more_than_show_itself_is_refused(change):
    assert "action" in pdf_problem(pdf(change))


@pytest.mark.parametrize(
    "change",
    [
        None,
        opening(PAGE),
        opening(action("/GoTo", D=PAGE)),
        annotation(Subtype=NameObject("/Link"), A=URI),
        *(link(address) for address in ("http://exemple.fr", "mailto:regie@exemple.fr", "tel:0199001234", "www.exemple.fr:443/a?b=c:d", "/a:b")),
        lambda writer: writer.add_attachment("factur-x.xml", b"<x/>"),
    ],
)
def test_a_pdf_with_a_link_or_its_own_figures_is_taken(change):
    assert pdf_problem(pdf(change)) == ""


@pytest.mark.parametrize("takes_a_form", [True, False])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"])
def test_less_body_than_was_announced_is_refused(takes_a_form, kind):
    """Its sender is gone, or means it so. A webhook reads what it wants by itself."""
    request = Request.blank("/", method="POST", content_type=kind)
    request.environ |= {"CONTENT_LENGTH": "9", "wsgi.input": BytesIO(b"--a")}
    options = {"form": takes_a_form, "permission": "office"}
    view = _well_formed(lambda _context, request: request.body, SimpleNamespace(exception_only=False, options=options))
    with pytest.raises(HTTPBadRequest):
        view(None, request)


ODD_HEADERS = {
    "COOKIE": ["a=" + "x" * 65_000, "; ".join(f"c{n}=1" for n in range(1000)), "preau_family=" + "x" * 9000, ";;;=;=",
               "preau_language=../..", "preau_known=" + "A" * 3000],
    "HOST": ["localhost:99999", "localhost:-1", "[::1", "", "a" * 5000, "\xe9", "localhost:80@exemple.fr", "%00"],
    "X_FORWARDED_FOR": ["garbage", ",,,", "1.2.3.4," * 2000, "::ffff:999.1", "\xe9", "fe80::1%eth0"],
    "RANGE": ["bytes=-1", "bytes=99999999999999999999-", "bytes=a-b", "bytes=5-2"],
    "IF_MODIFIED_SINCE": ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 1900 00:00:00 GMT",
                          "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 30 Feb 2026 00:00:00 GMT", "0"],
    "IF_NONE_MATCH": ["*", '"x', "a" * 9000],
    "ACCEPT_LANGUAGE": ["fr;q=abc", "en;q=NaN", ",,,", "x" * 9000, "fr-FR-x-\xe9", "en," * 3000],
    "ACCEPT": ["text/html;q=x", "*/*;q=-1", ";;;", "\xff"],
    "REFERER": ["http://[", "\xe9", "http://localhost:x/"],
    "ORIGIN": ["null", "http://[", "http://localhost:999999"],
    "AUTHORIZATION": ["Basic !!!", "\xe9"],
    "USER_AGENT": ["x" * 9000, "\xff"],
}  # fmt: skip
"""What a proxy, a scanner or a broken browser sends."""


def test_no_header_is_an_error_of_ours(browser, application):
    browser.sign_in()
    ours = "; ".join(f"{name}={value}" for name, value in browser.app.cookies.items())
    paths = itertools.cycle(["/valmont/factures", "/valmont/connexion", "/valmont/theme.css", "/valmont/regie", "/"])
    wrong = []
    for name, value in ((name, value) for name, values in ODD_HEADERS.items() for value in values):
        request = Request.blank(path := next(paths))
        request.environ |= {"HTTP_HOST": "localhost", "HTTP_COOKIE": ours}
        request.environ[f"HTTP_{name}"] = f"{value}; {ours}" if name == "COOKIE" else value
        if (status := request.get_response(application).status_int) >= 500:
            wrong.append((path, name, value[:40], status))
    assert wrong == []
