"""Coming in, going out, and codes that were lost."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import PasswordField
from wtforms.validators import InputRequired

from core.domain.access_codes import grouped
from core.platform.errors import ThrottledError, WrongCodesError
from core.platform.web.forms import EmailForm, NextForm, number, required
from core.platform.web.known import account as as_account
from core.platform.web.known import browser_of, remember
from core.platform.web.links import safe_next_url
from core.platform.web.security import (
    end_session,
    forget_pages,
    note_sign_in,
    refuse_sign_in,
    start_session,
)
from core.sign_in.service import LOST_CODES


class CodesForm(NextForm):
    """The two codes of the letter."""

    family_code = required("Saisissez le code famille.")
    child_code = required("Saisissez le code enfant.")


class AccountForm(NextForm, EmailForm):
    """A parent's own e-mail and password."""

    password = PasswordField(validators=[InputRequired("Saisissez votre mot de passe.")])


@view_config(route_name="sign_in", request_method="GET")
def sign_in_page(request: Request) -> Response:
    """The form; a word first for those whose session ended."""
    form = CodesForm(data={"next": request.GET.get("next", "")})
    name = "session_ended" if request.session_ended else "sign_in"
    return render_to_response(f"{name}.jinja2", {"form": form}, request)


@view_config(route_name="sign_in", request_method="POST", renderer="sign_in.jinja2")
def sign_in(request: Request) -> dict[str, Any] | Response:
    """Check the codes."""
    form = CodesForm(request.POST)
    request.response.status_int = 422
    if form.validate():
        try:
            family_id = request.ctx.sign_in.by_codes(
                form.family_code.data,
                form.child_code.data,
                request.address,
                browser=browser_of(request),
            )
        except (WrongCodesError, ThrottledError) as error:
            refuse_sign_in(request, form, error)
        else:
            return _enter(request, request.ctx.web_sessions.open(family_id), form.next.data)
    return {"form": form}


@view_config(
    route_name="sign_in_account", request_method="GET", renderer="sign_in_account.jinja2"
)
def account_page(request: Request) -> dict[str, Any]:
    """The form for an own account."""
    return {"form": AccountForm(data={"next": request.GET.get("next", "")})}


@view_config(
    route_name="sign_in_account", request_method="POST", renderer="sign_in_account.jinja2"
)
def account(request: Request) -> dict[str, Any] | Response:
    """Check the e-mail and password."""
    form = AccountForm(request.POST)
    request.response.status_int = 422
    if form.validate():
        whom = as_account(form.email.data)
        try:
            found = request.ctx.sign_in.by_account(
                form.email.data,
                form.password.data,
                request.address,
                browser=browser_of(request, whom),
            )
        except (WrongCodesError, ThrottledError) as error:
            refuse_sign_in(request, form, error)
        else:
            if found is None:
                note_sign_in(request, "mailed")
                return render_to_response("sign_in_mailed.jinja2", {}, request)
            account_id, family_id = found
            token = request.ctx.web_sessions.open(family_id, account_id=account_id)
            return _enter(request, token, form.next.data, whom)
    return {"form": form}


def _enter(request: Request, token: str, wanted: str, whom: str = "") -> Response:
    response = HTTPSeeOther(location=safe_next_url(request, wanted or "", otherwise="invoices"))
    start_session(request, response, token)
    remember(request, response, whom)
    note_sign_in(request, "in")
    return response


@view_config(route_name="way_in", request_method="GET", renderer="way_in.jinja2")
def way_in_page(request: Request) -> dict[str, Any]:
    """Ask before the link is used: mail scanners open links too."""
    valid = request.ctx.sign_in.way_in_works(request.matchdict["token"])
    if not valid:
        request.response.status_int = 404
    return {"valid": valid}


@view_config(route_name="way_in", request_method="POST", renderer="way_in.jinja2")
def way_in(request: Request) -> dict[str, Any] | Response:
    """Come in by the link that followed a right password."""
    found = request.ctx.sign_in.by_way_in(request.matchdict["token"])
    if found is None:
        request.response.status_int = 404
        return {"valid": False}
    account_id, family_id = found
    email = request.ctx.sign_in.account(account_id).email
    token = request.ctx.web_sessions.open(family_id, account_id=account_id)
    return _enter(request, token, "", as_account(email))


@view_config(route_name="sign_out", request_method="POST")
def sign_out(request: Request) -> Response:
    """Go out."""
    response = HTTPSeeOther(location=request.route_path("home"))
    end_session(request, response)
    forget_pages(response)
    return response


@view_config(route_name="lost_codes", request_method="GET", renderer="lost_codes.jinja2")
def lost_codes_page(_request: Request) -> dict[str, Any]:
    """Ask for the e-mail."""
    return {"form": EmailForm()}


@view_config(route_name="lost_codes", request_method="POST")
def lost_codes(request: Request) -> Response:
    """Mail a link if the address is a family's; the same page whether it is or not."""
    form = EmailForm(request.POST)
    if not form.validate():
        response = render_to_response("lost_codes.jinja2", {"form": form}, request)
        response.status_int = 422
        return response
    request.ctx.sign_in.request_new_code(form.email.data)
    return render_to_response("lost_codes_sent.jinja2", {}, request)


@view_config(route_name="new_code", request_method="GET", renderer="new_code.jinja2")
def new_code_page(request: Request) -> dict[str, Any]:
    """Ask before the link is used: mail scanners open links too."""
    token = request.ctx.sign_in.peek(LOST_CODES, request.matchdict["token"])
    family = request.ctx.families.get(token.family_id) if token else None
    if family is None:
        request.response.status_int = 404
    return {
        "valid": family is not None,
        "family_code": family.code if family else "",
        "secret": None,
    }


@view_config(route_name="new_code", request_method="POST", renderer="new_code.jinja2")
def new_code(request: Request) -> dict[str, Any]:
    """Draw a new code and show it once."""
    drawn = request.ctx.sign_in.new_code(request.matchdict["token"])
    if drawn is None:
        request.response.status_int = 404
        return {"valid": False, "family_code": "", "secret": None}
    return {"valid": True, "family_code": drawn[0], "secret": grouped(drawn[1])}


@view_config(route_name="switch_family", request_method="POST", permission="parent")
def switch_family(request: Request) -> Response:
    """Turn to another family of the same account."""
    chosen = number(request.POST.get("family_id", ""))
    request.ctx.sign_in.switch(request.signed_in, chosen)
    return HTTPSeeOther(
        location=safe_next_url(request, request.POST.get("next", ""), otherwise="invoices")
    )
