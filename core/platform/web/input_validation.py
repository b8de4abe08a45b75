"""Refusal of input that none of our pages sends, before any view sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPBadRequest
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from webob.request import DisconnectionError

from core.platform.web.security import OF_THE_OFFICE

FILE_FIELDS = frozenset({"file", "fichier", "journal", "picture"})
"""Names of the fields that take a file, in forms of core and of plugins."""

MAX_FIELDS = 5_000
"""Fields of a form; taking apart far more would hold up all other requests."""

View = Callable[[Any, Request], Response]


def includeme(config: Configurator) -> None:
    """Behind the permission, so that strangers' files are not even read; before the CSRF check."""
    config.add_tween(
        "core.platform.web.input_validation.body_tween",
        under="core.platform.web.headers.headers_tween",
        over="core.platform.web.tenancy.tenancy_tween",
    )
    config.add_view_deriver(_well_formed, under="secured_view", over="csrf_view")


class _Body:
    """A request's body, of which a server finds only when it is read that it is malformed.

    Each server says so by errors of its own; what reads knows one, which is the client's fault.
    """

    def __init__(self, given: Any) -> None:
        self._given = given

    def read(self, *size: int) -> bytes:
        """Bytes of the body; see `io.RawIOBase.read`."""
        return self._read(self._given.read, *size)

    def readline(self, *size: int) -> bytes:
        """One line of it; see `io.IOBase.readline`."""
        return self._read(self._given.readline, *size)

    def _read(self, read: Callable[..., bytes], *size: int) -> bytes:
        try:
            return read(*size)
        except Exception as error:
            raise DisconnectionError(f"malformed body: {type(error).__name__}") from error


def body_tween(
    handler: Callable[[Request], Response], _registry: Registry
) -> Callable[[Request], Response]:
    """Close the temporary files of a request with the request; a malformed body is told alike.

    WebOb keeps a body over 10 kB in a file, as it keeps what is uploaded, and closes none of them.
    """

    def tween(request: Request) -> Response:
        given = request.environ["wsgi.input"] = _Body(request.environ["wsgi.input"])
        request.is_body_seekable = False  # It was, where a test gave the body: WebOb copies it now.
        try:
            return handler(request)
        finally:
            form, _body = request.environ.get("webob._parsed_post_vars", ({}, None))
            for value in form.values():
                if (file := getattr(value, "file", None)) is not None:  # b"" where none was chosen.
                    file.close()
            kept = request.environ["wsgi.input"]
            if kept is not given:
                kept.close()

    return tween


def _well_formed(view: View, info: Any) -> View:
    """Refuse files but from agents, in the place of texts too, and texts that no row can hold.

    A view with ``form=False`` reads no form: a webhook, say, whose body has any type and encoding.
    """
    if info.exception_only:
        return view
    takes_files = info.options.get("permission") in OF_THE_OFFICE
    takes_a_form = info.options.get("form", True)

    def checked(context: Any, request: Request) -> Response:
        texts = request.GET.values()
        if takes_a_form:
            if request.content_type == "multipart/form-data" and not takes_files:
                raise HTTPBadRequest
            form = _form(request)
            # A file may come in the place of a text: who writes the request decides.
            if any(
                not isinstance(value, str) and name not in FILE_FIELDS
                for name, value in form.items()
            ):
                raise HTTPBadRequest
            texts = (*texts, *form.values())
        if any("\0" in value for value in texts if isinstance(value, str)):
            raise HTTPBadRequest
        try:
            return view(context, request)
        except DisconnectionError as error:  # A webhook's body, read by the view, ends too early.
            raise HTTPBadRequest from error

    return checked


_well_formed.options = ("form",)  # type: ignore[attr-defined]


def _form(request: Request) -> Any:
    """The fields of the form.

    Raises:
        HTTPBadRequest: it cannot be read: another encoding than UTF-8, which is what our pages
            send, or a type that WebOb cannot take apart; more fields than any page has; or a body
            that ends too early or in malformed chunks.
    """
    if request.content_type != "multipart/form-data":
        try:
            body = request.body
        except OSError as error:
            raise HTTPBadRequest from error
        if body.count(b"&") >= MAX_FIELDS:
            kept = request.body_file_raw  # What is left unread is nobody's to take apart later.
            request.body = b""
            kept.close()
            raise HTTPBadRequest
    try:
        return request.POST
    except (DeprecationWarning, ValueError, LookupError, OSError) as error:
        # WebOb 1.8 raises a DeprecationWarning for a form that names another encoding.
        raise HTTPBadRequest from error
