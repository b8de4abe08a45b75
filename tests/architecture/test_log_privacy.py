"""Who may read the logs may not read families' files: a whole journey, and what it leaves there."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import text
from webtest import TestApp

from core.api.errors import RetryableError
from core.messages.alerts import CONFIRM
from core.platform.logging import configure
from core.sign_in.service import NEW_ACCOUNT
from core.testing.portal import pages_of

PASSWORD = "correct cheval pile"
WHO = {
    "console": ("F001", "1", "camille@exemple.fr"),
    "json": ("F003", "3", "dominique@exemple.fr"),
}


@pytest.fixture(params=["console", "json"])
def output(request, portal, capsys):
    """What a process of production or of development writes."""
    before = structlog.get_config(), logging.getLogger().handlers[:]
    configure(portal.runtime.settings.model_copy(update={"log_format": request.param}))
    made = lambda: "".join(capsys.readouterr())  # noqa: E731
    made.who = WHO[request.param]
    yield made
    structlog.configure(**before[0])
    logging.getLogger().handlers[:] = before[1]


def form_of(page, field):
    return next(form for form in page.forms.values() if field in form.fields)


def open_account(portal, app, family_id, email):
    """Ask for an own account and confirm it; the link's token."""
    form = form_of(app.get("/valmont/compte"), "email")
    form["email"] = email
    assert form.submit("action", value="create").status_int == 200
    with portal.town() as town:
        end = portal.clock.now() + timedelta(hours=1)
        token = town.sign_in.one_time_token(NEW_ACCOUNT, family_id, end, {"email": email})
    form = form_of(app.get(f"/valmont/compte/confirmer/{token}"), "again")
    form["password"], form["again"] = PASSWORD, PASSWORD
    assert form.submit("action", value="create").status_int == 303
    return token


def test_a_journey_leaves_no_name_code_or_link_in_the_logs(portal, output):
    code_of_family, number, email = output.who
    secrets = {email, PASSWORD, "DURAND", "10.9.8.7"}
    app = TestApp(pages_of(portal.runtime), extra_environ={
        "HTTP_HOST": "localhost", "REMOTE_ADDR": "10.9.8.7",
    })  # fmt: skip
    with portal.town() as town:
        family = town.families.by_code(code_of_family)
        code = town.families.issue_code(family.id)
        (invoice,) = town.invoices.by_number(number)
        link = town.invoices.payment_link(invoice.id, family.id).rpartition("/")[2]
    secrets |= {code, link}

    for typed in ("2222-3333-4444", code):
        form = form_of(app.get("/valmont/connexion"), "family_code")
        form["family_code"], form["child_code"] = code_of_family, typed
        answer = form.submit(expect_errors=True)
        secrets.add(typed)
    secrets.add(app.cookies["preau_family"])
    app.get(answer.location)
    app.get(f"/valmont/payer/{link}")
    app.get(f"/valmont/connexion?next=/valmont/menu&email={email}")

    form = form_of(app.get("/valmont/alertes"), "address")
    form["address"] = email
    form.submit("action", value="add")
    with portal.town() as town:
        (contact,) = town.alerts.addresses(family.id)
        token = town.links.sign(CONFIRM, [contact.id, contact.address])
    secrets |= {token, token.partition(".")[0]}
    next(f for f in app.get(f"/valmont/alertes/confirmer/{token}").forms.values()).submit()

    secrets.add(open_account(portal, app, family.id, email))
    form = form_of(app.get("/valmont/codes-perdus"), "email")
    form["email"] = email
    form.submit()

    portal.bank.down = RetryableError("the service is away")
    form = form_of(app.get(f"/valmont/factures/recapitulatif?invoice={invoice.id}"), "email")
    form["email"] = email
    form.submit().follow()
    portal.bank.down = None
    with portal.town() as town:
        payment = max(town.session.scalars(text("SELECT id FROM payment")).all())
    app.get(f"/valmont/paiements/{payment}/aller")
    portal.bank.pay(portal.bank.last, portal.clock)
    app.get(f"/valmont/paiements/{payment}/retour").follow()
    app.get(f"/valmont/paiements/{payment}/recu.pdf")
    portal.work()  # Nobody takes the mails: each failure is logged.
    for _time in range(3):
        portal.clock.pass_time(hours=1)
        portal.work()
    app.post("/valmont/deconnexion", {"csrf_token": "x"}, expect_errors=True)

    said = output()
    assert "request" in said, "nothing was captured"
    assert "payment.provider_away" in said
    assert {secret for secret in secrets if secret in said} == set()


def test_an_error_of_the_database_quotes_no_value(portal, output):
    """PostgreSQL and SQLAlchemy like to repeat what they could not store."""
    email = "nobody.else@exemple.fr"
    app = TestApp(pages_of(portal.runtime), extra_environ={"HTTP_HOST": "localhost"})
    with portal.town() as town:
        token = town.web_sessions.open(town.families.by_code("F002").id)

    def broken(alerts, family_id, address):
        alerts._session.execute(
            text(
                "INSERT INTO contact_email (tenant_id, family_id, address)"
                " VALUES (:tenant, :family, :address), (:tenant, :family, :address)"
            ),
            {"tenant": "valmont", "family": family_id, "address": address},
        )

    app.set_cookie("preau_family", token)
    form = form_of(app.get("/valmont/alertes"), "address")
    form["address"] = email
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.messages.alerts.Alerts.add", broken)
        answer = form.submit("action", value="add", expect_errors=True)
    assert answer.status_int == 500
    assert email not in answer.text
    said = output()
    assert "web.fault" in said
    assert email not in said


def test_settings_and_plugins_do_not_print_their_secrets(portal):
    settings = portal.runtime.settings.model_copy(
        update={"secret_key": "top-secret-key", "smtp_password": "top-secret-password"}
    )
    assert "top-secret" not in repr(settings)
    assert "top-secret" not in str(settings)
