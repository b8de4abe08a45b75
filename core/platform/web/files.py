"""Answers that are files."""

from __future__ import annotations

from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response

from core.api.messages import Document


def download(document: Document) -> Response:
    """A file to keep. It runs nothing here, whatever is in it."""
    response = Response(document.content, content_type=document.media_type)
    if document.media_type.startswith("text/"):
        response.charset = "utf-8"
    response.content_disposition = f'attachment; filename="{document.name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def pdf(document: Document | None) -> Response:
    """A finished document, shown in the browser; 404 when there is none."""
    if document is None:
        raise HTTPNotFound
    response = Response(document.content, content_type=document.media_type)
    response.content_disposition = f'inline; filename="{_ascii(document.name)}"'
    # A PDF from a billing software is somebody else's file: it runs nothing here.
    response.headers["Content-Security-Policy"] = "default-src 'none'; object-src 'self'; sandbox"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _ascii(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name if c.isascii())
