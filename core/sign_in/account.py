"""A parent's own account: e-mail, password, and the families it opens."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Form, PasswordField
from wtforms.validators import EqualTo, InputRequired, Length

from core.api.errors import UserError
from core.platform.i18n import gettext as _
from core.platform.web.forms import EmailForm, number, required
from core.platform.web.known import browser_of
from core.sign_in.service import MINIMUM_PASSWORD


class NewPassword(Form):
    """A password, typed twice."""

    password = PasswordField(
        validators=[
            InputRequired("Choisissez un mot de passe."),
            Length(
                min=MINIMUM_PASSWORD,
                max=200,
                message="Choisissez un mot de passe d’au moins 10 caractères.",
            ),
        ]
    )
    again = PasswordField(
        validators=[EqualTo("password", "Les deux mots de passe ne sont pas les mêmes.")]
    )


class CreateForm(NewPassword, EmailForm):
    """An e-mail and a password, instead of the codes."""


class PasswordForm(NewPassword):
    """Another password."""

    current = PasswordField(validators=[InputRequired("Saisissez votre mot de passe actuel.")])


class CloseForm(Form):
    """The proof that the account's owner closes it."""

    closing = PasswordField(validators=[InputRequired("Saisissez votre mot de passe actuel.")])


class LinkForm(Form):
    """The codes of one more family."""

    family_code = required("Saisissez le code famille.")
    child_code = required("Saisissez le code enfant.")


@view_config(
    route_name="account", request_method="GET", renderer="account.jinja2", permission="parent"
)
def account_page(request: Request) -> dict[str, Any]:
    """The account, or the way to make one."""
    return _page(request)


@view_config(
    route_name="account", request_method="POST", renderer="account.jinja2", permission="parent"
)
def account(request: Request) -> dict[str, Any] | Response:
    """Create the account, change its password, or link a family."""
    action = request.POST.get("action", "")
    if action == "remove":
        return _remove(request)
    forms: dict[str, type[Form]] = {
        "create": CreateForm,
        "password": PasswordForm,
        "link": LinkForm,
        "close": CloseForm,
    }
    if action not in forms or (action == "create") != (request.signed_in.account_id is None):
        return HTTPSeeOther(location=request.route_path("account"))
    form = forms[action](request.POST)
    if form.validate():
        try:
            return _do(request, action, form)
        except UserError as error:
            form.form_errors.append(error.message)
    request.response.status_int = 422
    return _page(request, **{action: form})


def _remove(request: Request) -> Response:
    """Take an account's access to this family away; one's own too."""
    account_id = number(request.POST.get("id", ""))
    request.ctx.access.remove(request.family_id, account_id)
    request.session.flash(_("Ce compte n’ouvre plus le dossier de la famille."), "success")
    gone = account_id == request.signed_in.account_id
    return HTTPSeeOther(location=request.route_path("sign_in" if gone else "account"))


def _do(request: Request, action: str, form: Any) -> Response:
    sign_in, signed_in = request.ctx.sign_in, request.signed_in
    if action == "create":
        account_id = sign_in.create_account(
            request.family_id, form.email.data, form.password.data
        )
        request.ctx.web_sessions.attach_account(signed_in, account_id)
        message = _("Votre compte est créé : vous pourrez vous connecter avec cette adresse.")
    elif action == "password":
        sign_in.change_password(
            signed_in.account_id,
            form.current.data,
            form.password.data,
            keep=signed_in.session_id,
        )
        message = _("Le mot de passe est changé.")
    elif action == "close":
        sign_in.close_account(
            signed_in.account_id, form.closing.data, session=signed_in.session_id
        )
        request.session.flash(
            _("Le compte est fermé. Les codes de votre courrier ouvrent toujours le portail."),
            "success",
        )
        return HTTPSeeOther(location=request.route_path("sign_in"))
    else:
        sign_in.link_family(
            signed_in.account_id,
            form.family_code.data,
            form.child_code.data,
            request.address,
            browser=browser_of(request),
        )
        message = _("La famille est rattachée : vous passez de l’une à l’autre en haut de la page.")
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("account"))


def _page(
    request: Request,
    create: Form | None = None,
    password: Form | None = None,
    link: Form | None = None,
    close: Form | None = None,
) -> dict[str, Any]:
    account_id = request.signed_in.account_id
    accounts = request.ctx.access.accounts(request.family_id)
    if account_id is None:
        return {
            "accounts": accounts,
            "account": None,
            "form": create or CreateForm(),
            "password_form": None,
            "link_form": None,
            "close_form": None,
        }
    return {
        "accounts": accounts,
        "account": request.ctx.sign_in.account(account_id),
        "form": None,
        "password_form": password or PasswordForm(),
        "link_form": link or LinkForm(),
        "close_form": close or CloseForm(),
    }
