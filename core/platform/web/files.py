"""Answers that are files."""

from __future__ import annotations

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
