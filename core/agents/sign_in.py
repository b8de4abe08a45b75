"""Agents come in by e-mail, password and telephone, and first of all by an invitation."""

from __future__ import annotations

from typing import Any

import segno
from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Form, PasswordField
from wtforms.validators import InputRequired, Length

from core.agents.invitations import MINIMUM_PASSWORD, Enrolment
from core.api.errors import UserError
from core.platform.errors import ThrottledError, WrongCodesError
from core.platform.web.forms import EmailForm, NextForm, new_password, required, typed_again
from core.platform.web.known import agent as as_agent
from core.platform.web.known import browser_of, remember
from core.platform.web.links import safe_next_url
from core.platform.web.security import (
    forget_pages,
    let_agent_in,
    let_agent_out,
    note_sign_in,
    refuse_sign_in,
)

T = "office"


class SignInForm(NextForm, EmailForm):
    """All three at once: nothing tells which of them was wrong."""

    password = PasswordField(validators=[InputRequired("Saisissez votre mot de passe.")])
    code = required("Saisissez le code de votre téléphone.", limit=40)


class NewAgentPassword(Form):
    """An agent's password, typed twice."""

    password = new_password(
        Length(
            min=MINIMUM_PASSWORD,
            max=200,
            message="Choisissez un mot de passe d’au moins 12 caractères.",
        )
    )
    again = typed_again()


class InvitationForm(NewAgentPassword):
    """A password, and the proof that the telephone is set up."""

    code = required("Saisissez le code de votre téléphone.", limit=40)


@view_config(route_name="office_sign_in", request_method="GET", renderer=f"{T}/sign_in.jinja2")
def sign_in_page(request: Request) -> dict[str, Any]:
    """The form."""
    return {"form": SignInForm(data={"next": request.GET.get("next", "")})}


@view_config(route_name="office_sign_in", request_method="POST", renderer=f"{T}/sign_in.jinja2")
def sign_in(request: Request) -> dict[str, Any] | Response:
    """Check all three."""
    form = SignInForm(request.POST)
    request.response.status_int = 422
    if form.validate():
        try:
            agent_id = request.ctx.agent_proof.prove(
                form.email.data,
                form.password.data,
                form.code.data,
                request.address,
                browser=browser_of(request, as_agent(form.email.data)),
            )
        except (WrongCodesError, ThrottledError) as error:
            refuse_sign_in(request, form, error)
        else:
            target = safe_next_url(request, form.next.data or "", otherwise="office")
            return _enter(request, HTTPSeeOther(location=target), agent_id)
    return {"form": form}


@view_config(route_name="office_sign_out", request_method="POST")
def sign_out(request: Request) -> Response:
    """Go out."""
    response = HTTPSeeOther(location=request.route_path("office_sign_in"))
    let_agent_out(request, response)
    forget_pages(response)
    return response


@view_config(
    route_name="office_invitation", request_method="GET", renderer=f"{T}/invitation.jinja2"
)
def invitation_page(request: Request) -> dict[str, Any]:
    """Show the secret for the telephone, and the form to choose a password."""
    return _invitation(request, InvitationForm())


@view_config(
    route_name="office_invitation", request_method="POST", renderer=f"{T}/invitation.jinja2"
)
def invitation(request: Request) -> dict[str, Any] | Response:
    """Use the invitation: come in, with the recovery codes to write down."""
    form = InvitationForm(request.POST)
    page = _invitation(request, form)
    if form.validate():
        try:
            agent_id, codes = request.ctx.agent_invitations.accept(
                request.matchdict["token"], form.password.data, form.code.data
            )
        except UserError as error:
            form.form_errors.append(error.message)
        else:
            response = render_to_response(f"{T}/recovery_codes.jinja2", {"codes": codes}, request)
            return _enter(request, response, agent_id)
    request.response.status_int = 422
    return page


def _invitation(request: Request, form: InvitationForm) -> dict[str, Any]:
    enrolment: Enrolment | None = request.ctx.agent_invitations.pending(request.matchdict["token"])
    if enrolment is None:
        raise HTTPNotFound
    picture = segno.make(enrolment.uri, error="m").svg_data_uri(scale=5, border=4, light="#fff")
    return {"form": form, "enrolment": enrolment, "picture": picture}


def _enter(request: Request, response: Response, agent_id: int) -> Response:
    token = request.ctx.agent_sessions.open(agent_id, request.user_agent or "")
    let_agent_in(request, response, token)
    remember(request, response, as_agent(request.ctx.agents.get(agent_id).email))
    note_sign_in(request, "in")
    return response
