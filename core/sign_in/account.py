"""A parent's own account: e-mail, password, and the families it opens."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config
from wtforms import Form, PasswordField
from wtforms.validators import InputRequired, Length

from core.api.errors import UserError
from core.platform.i18n import gettext as _
from core.platform.web.forms import EmailForm, new_password, number, required, typed_again
from core.platform.web.known import account as as_account
from core.platform.web.known import browser_of, remember
from core.sign_in.confirmations import Asked
from core.sign_in.service import MINIMUM_PASSWORD


class NewPassword(Form):
    """A password, typed twice."""

    password = new_password(
        Length(
            min=MINIMUM_PASSWORD,
            max=200,
            message="Choisissez un mot de passe d’au moins 10 caractères.",
        )
    )
    again = typed_again()


class ChangeEmailForm(EmailForm):
    """Another address, and the proof that the account's owner gives it."""

    proof = PasswordField(validators=[InputRequired("Saisissez votre mot de passe actuel.")])


class JoinForm(Form):
    """The password of the account that there is."""

    current = PasswordField(validators=[InputRequired("Saisissez le mot de passe du compte.")])


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
    """Ask for an account, change its address or password, or link a family."""
    action = request.POST.get("action", "")
    if action == "remove":
        return _remove(request)
    forms: dict[str, type[Form]] = {
        "create": EmailForm,
        "email": ChangeEmailForm,
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
        request.ctx.confirmations.ask_account(signed_in.family, form.email.data)
        return _mailed(request, form.email.data)
    if action == "email":
        request.ctx.confirmations.ask_email(
            signed_in.account_id,
            signed_in.family,
            form.email.data,
            form.proof.data,
            session=signed_in.session_id,
        )
        return _mailed(request, form.email.data)
    if action == "password":
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
        message = _("La famille est rattachée : vous passez de l’une à l’autre en haut de la page.")
    request.session.flash(message, "success")
    return HTTPSeeOther(location=request.route_path("account"))


def _mailed(request: Request, email: str) -> Response:
    """The same page, whether the address has an account or not."""
    return render_to_response("account_mailed.jinja2", {"email": email}, request)


@view_config(
    route_name="account_confirm",
    request_method="GET",
    renderer="account_confirm.jinja2",
    permission="parent",
)
def confirm_page(request: Request) -> dict[str, Any]:
    """Choose the password of the account that this browser's family asked for."""
    return _confirm_page(request, _asked(request))


@view_config(
    route_name="account_confirm",
    request_method="POST",
    renderer="account_confirm.jinja2",
    permission="parent",
)
def confirm(request: Request) -> dict[str, Any] | Response:
    """Make the account, or link the one there is."""
    asked, signed_in = _asked(request), request.signed_in
    if asked is None:
        return _confirm_page(request, None)
    joins = request.POST.get("action") == "join" and asked.known
    form: Any = JoinForm(request.POST) if joins else NewPassword(request.POST)
    token, confirmations = request.matchdict["token"], request.ctx.confirmations
    if form.validate():
        try:
            if joins:
                account_id = confirmations.join(
                    token, asked, form.current.data, session=signed_in.session_id
                )
            else:
                account_id = confirmations.create(
                    token, asked, form.password.data, session=signed_in.session_id
                )
        except UserError as error:
            form.form_errors.append(error.message)
        else:
            if account_id is None:
                return _confirm_page(request, None)
            request.ctx.web_sessions.attach_account(signed_in, account_id)
            if joins:
                message = _(
                    "La famille est rattachée : vous passez de l’une à l’autre en haut de la page."
                )
            elif asked.known:
                message = _("Le mot de passe est changé, et le compte ouvre cette famille.")
            else:
                message = _(
                    "Votre compte est créé : vous pourrez vous connecter avec cette adresse."
                )
            return _back(request, message, asked.email)
    request.response.status_int = 422
    return _confirm_page(request, asked, **{"join" if joins else "create": form})


def _asked(request: Request) -> Asked | None:
    return request.ctx.confirmations.asked(request.matchdict["token"], request.families)


def _confirm_page(
    request: Request, asked: Asked | None, create: Form | None = None, join: Form | None = None
) -> dict[str, Any]:
    if asked is None:
        request.response.status_int = 404
        return {"email": "", "form": None, "join_form": None}
    return {
        "email": asked.email,
        "form": create or NewPassword(),
        "join_form": (join or JoinForm()) if asked.known else None,
    }


@view_config(
    route_name="account_email",
    request_method="GET",
    renderer="account_email.jinja2",
    permission="parent",
)
def new_email_page(request: Request) -> dict[str, Any]:
    """Ask before the link is used: mail scanners open links too."""
    email = request.ctx.confirmations.new_email(
        request.matchdict["token"], request.signed_in.account_id
    )
    if email is None:
        request.response.status_int = 404
    return {"email": email, "problem": ""}


@view_config(
    route_name="account_email",
    request_method="POST",
    renderer="account_email.jinja2",
    permission="parent",
)
def new_email(request: Request) -> dict[str, Any] | Response:
    """Give the account its new address."""
    confirmations, token = request.ctx.confirmations, request.matchdict["token"]
    account_id = request.signed_in.account_id
    try:
        email = confirmations.change_email(token, account_id, request.signed_in.family)
    except UserError as error:
        request.response.status_int = 422
        return {"email": confirmations.new_email(token, account_id), "problem": error.message}
    if email is None:
        request.response.status_int = 404
        return {"email": None, "problem": ""}
    return _back(request, _("L’adresse de votre compte est changée."), email)


def _back(request: Request, message: str, email: str) -> Response:
    request.session.flash(message, "success")
    response = HTTPSeeOther(location=request.route_path("account"))
    remember(request, response, as_account(email))
    return response


def _page(
    request: Request,
    create: Form | None = None,
    email: Form | None = None,
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
            "form": create or EmailForm(),
            "email_form": None,
            "password_form": None,
            "link_form": None,
            "close_form": None,
        }
    return {
        "accounts": accounts,
        "account": request.ctx.sign_in.account(account_id),
        "form": None,
        "email_form": email or ChangeEmailForm(),
        "password_form": password or PasswordForm(),
        "link_form": link or LinkForm(),
        "close_form": close or CloseForm(),
    }
