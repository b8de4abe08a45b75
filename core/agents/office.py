"""One's own access, and, for the régisseur, the agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Form, PasswordField, SelectField, SelectMultipleField
from wtforms.validators import InputRequired

from core.agents.models import Agent
from core.agents.sign_in import NewAgentPassword
from core.api.errors import UserError
from core.domain.roles import Role
from core.platform.errors import NotFoundError
from core.platform.i18n import gettext as _
from core.platform.web import labels as words
from core.platform.web.forms import EmailForm, required

T = "office"


class CurrentForm(Form):
    """One's password, again, for what matters."""

    current = PasswordField(validators=[InputRequired("Saisissez votre mot de passe actuel.")])


class PasswordForm(NewAgentPassword, CurrentForm):
    """Another password."""


class AgentForm(Form):
    """An agent's name, role and régies."""

    name = required("Saisissez le nom de l’agent.")
    role = SelectField(choices=[str(role) for role in Role])
    regies = SelectMultipleField(validate_choice=False)
    """None chosen: all of the town."""


class NewAgentForm(AgentForm, EmailForm):
    """Somebody to invite."""


@view_config(
    route_name="office_account",
    request_method="GET",
    renderer=f"{T}/account.jinja2",
    permission="agent",
)
def account_page(request: Request) -> dict[str, Any]:
    """One's sessions, password and recovery codes."""
    return _account(request)


@view_config(
    route_name="office_account",
    request_method="POST",
    renderer=f"{T}/account.jinja2",
    permission="agent",
)
def account(request: Request) -> dict[str, Any] | Response:
    """Change the password, draw recovery codes, or end the other sessions."""
    action = request.POST.get("action", "")
    if action == "sessions":
        request.ctx.agent_sessions.end_others(request.agent)
        request.session.flash(_("Les autres sessions sont fermées."), "success")
        return HTTPSeeOther(location=request.route_path("office_account"))
    form = PasswordForm(request.POST) if action == "password" else _codes_form(request.POST)
    if form.validate():
        try:
            return _do(request, action, form)
        except UserError as error:
            form.form_errors.append(error.message)
    request.response.status_int = 422
    return _account(request, **{"password" if action == "password" else "codes": form})


def _do(request: Request, action: str, form: Any) -> Response:
    if action == "password":
        request.ctx.agent_proof.change_password(
            request.agent, form.current.data, form.password.data
        )
        request.session.flash(_("Le mot de passe est changé."), "success")
        return HTTPSeeOther(location=request.route_path("office_account"))
    codes = request.ctx.agent_proof.renew_recovery_codes(request.agent, form.current.data)
    return render_to_response(f"{T}/recovery_codes.jinja2", {"codes": codes}, request)


def _account(
    request: Request, password: Form | None = None, codes: Form | None = None
) -> dict[str, Any]:
    return {
        "sessions": request.ctx.agent_sessions.of(request.agent.agent_id),
        "codes_left": request.ctx.second_factor.recovery_codes_left(request.agent.agent_id),
        "roles": words.roles(),
        "password_form": password or PasswordForm(),
        "codes_form": codes or _codes_form(),
        "error_form": password or codes,
    }


def _codes_form(posted: Any = None) -> CurrentForm:
    """Its field has a name of its own: another form of the page asks for the same."""
    return CurrentForm(posted, prefix="codes-")


@view_config(
    route_name="office_agents",
    request_method="GET",
    renderer=f"{T}/agents.jinja2",
    permission="keys",
)
def agents_page(request: Request) -> dict[str, Any]:
    """The agents, and the form to invite one."""
    return _agents(request, NewAgentForm(data={"role": Role.AGENT}))


@view_config(
    route_name="office_agents",
    request_method="POST",
    renderer=f"{T}/agents.jinja2",
    permission="keys",
)
def invite(request: Request) -> dict[str, Any] | Response:
    """Invite an agent by mail."""
    form = NewAgentForm(request.POST)
    if form.validate():
        try:
            _answer_for(request, form.role.data)
            agent_id = request.ctx.agents.create(
                form.email.data, form.name.data, Role(form.role.data), form.regies.data
            )
            request.ctx.agents.invite(agent_id)
        except UserError as error:
            form.form_errors.append(error.message)
        else:
            request.session.flash(_("L’invitation part par e-mail."), "success")
            return HTTPSeeOther(location=request.route_path("office_agents"))
    request.response.status_int = 422
    return _agents(request, form)


def _agents(request: Request, form: Form) -> dict[str, Any]:
    return {
        "agents": request.ctx.agents.all(),
        "roles": words.roles(),
        "regies": _regies(request, ()),
        "form": form,
    }


def _regies(request: Request, named: Sequence[str]) -> dict[str, str]:
    """The régies to choose from, and those of `named` that the town's file no longer has."""
    keys = dict.fromkeys((*request.town.file.regies, *named))
    return {key: request.town.regie_label(key) for key in keys}


@view_config(
    route_name="office_agent",
    request_method="GET",
    renderer=f"{T}/agent.jinja2",
    permission="keys",
)
def agent_page(request: Request) -> dict[str, Any]:
    """One agent."""
    agent = _agent(request)
    return _one(
        request,
        AgentForm(
            data={"name": agent.name, "role": agent.role, "regies": agent.only_regies}
        ),
    )


@view_config(
    route_name="office_agent",
    request_method="POST",
    renderer=f"{T}/agent.jinja2",
    permission="keys",
)
def agent(request: Request) -> dict[str, Any] | Response:
    """Correct, invite again, reset, or shut out."""
    form, action = AgentForm(request.POST), request.POST.get("action", "")
    try:
        _answer_for(request, _agent(request).role, form.role.data)
        if action != "change":
            message = _act(request, _agent(request).id, action)
        elif form.validate():
            request.ctx.agents.change(
                _agent(request).id,
                name=form.name.data,
                role=Role(form.role.data),
                only_regies=form.regies.data,
            )
            message = _("L’agent est modifié.")
        else:
            message = ""
    except UserError as error:
        form.form_errors.append(error.message)
        message = ""
    if not message:
        request.response.status_int = 422
        return _one(request, form)
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("office_agents"))


def _answer_for(request: Request, *roles: str) -> None:
    """Refuse an administrator what concerns a régisseur: who keeps the keys takes no cash."""
    if Role.REGISSEUR in roles and not request.agent.is_regisseur:
        raise UserError(_("Seul un régisseur nomme, modifie ou ferme l’accès d’un régisseur."))


def _act(request: Request, agent_id: int, action: str) -> str:
    agents = request.ctx.agents
    if action == "disable":
        agents.disable(agent_id)
        return _("L’accès est fermé.")
    if action == "reset":
        agents.reset(agent_id)
    elif action != "invite":
        raise NotFoundError
    agents.invite(agent_id)
    return _("L’invitation part par e-mail.")


def _one(request: Request, form: Form) -> dict[str, Any]:
    return {
        "agent": _agent(request),
        "roles": words.roles(),
        "regies": _regies(request, _agent(request).only_regies),
        "form": form,
        "sessions": request.ctx.agent_sessions.of(_agent(request).id),
    }


def _agent(request: Request) -> Agent:
    found: Agent = request.ctx.agents.get(int(request.matchdict["id"]))
    return found
