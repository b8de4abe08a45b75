"""Asking a WSGI application as fast as it answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from webtest import TestApp

from core.platform.logging import configure


def quiet_logs(runtime: Any) -> None:
    """Log as in production, lines that are written, but to nowhere."""
    settings = runtime.settings.model_copy(update={"log_format": "json", "log_level": "info"})
    configure(settings, "web", open(os.devnull, "w"))  # noqa: PTH123, SIM115


def signed_in(application: Any, portal: Any, family: str) -> dict[str, str]:
    """The cookies of a browser that came in by a family's codes."""
    browser = TestApp(application, extra_environ={"HTTP_HOST": "localhost"})
    forms = browser.get("/valmont/connexion").forms.values()
    form = next(form for form in forms if "family_code" in form.fields)
    form["family_code"], form["child_code"] = family, portal.codes(family)
    form.submit(status=303).follow(status=200)
    return dict(browser.cookies)


def asking(
    application: Any, path: str, cookies: Mapping[str, str] | None = None, town: str = "/valmont"
) -> Callable[[], bytes]:
    """A function that asks for a page of a town and gives its body; anything but 200 is an error.

    What makes a request is put together once: it is no part of what is measured.
    """
    environ = TestApp(application).RequestClass.blank(town + path).environ
    environ["HTTP_HOST"] = "localhost"
    environ["wsgi.errors"] = None
    if cookies:
        environ["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in cookies.items())

    def ask() -> bytes:
        status = ""

        def start_response(said: str, _headers: Any, _exc_info: Any = None) -> None:
            nonlocal status
            status = said

        answer = application(dict(environ), start_response)
        try:
            body = b"".join(answer)
        finally:
            close = getattr(answer, "close", None)
            if close:
                close()
        assert status.startswith("200"), (path, status)
        return body

    return ask
