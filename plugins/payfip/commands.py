"""``preau payfip check``, ``preau payfip activate`` and ``preau payfip-simulator``."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.plugin import (
    AmountError,
    PermanentError,
    RetryableError,
    TenantContext,
    UnknownTownError,
    decimal_text,
    parse_amount,
)
from core.plugin import gettext as _
from plugins.payfip import faults, fields
from plugins.payfip.checking import check as check_regie
from plugins.payfip.checking import moved, page_problem
from plugins.payfip.faults import PayFiPFaultError
from plugins.payfip.provider import PARIS
from plugins.payfip.settings import Mode, PayFiPSettings, Regie

if TYPE_CHECKING:
    from plugins.payfip.client import Client, PaymentDetail

Open = Callable[[TenantContext], "tuple[PayFiPSettings, Client]"]
UnitOfWork = Callable[[str], AbstractContextManager[TenantContext]]

PERIOD_SECONDS = 5.0
WAIT_SECONDS = 15 * 60.0


def build(open_: Open, town_context: UnitOfWork) -> list[click.Command]:
    """The commands. `open_` gives a town's settings and client, `town_context` the town."""

    def open_town(slug: str) -> tuple[PayFiPSettings, Client, str]:
        # Left before PayFiP is asked: no transaction waits for another machine.
        try:
            with town_context(slug) as ctx:
                return *open_(ctx), ctx.town.base_url
        except UnknownTownError as error:
            raise click.ClickException(_("Aucune commune « %s » n’est servie.") % slug) from error
        except KeyError as error:
            raise click.ClickException(
                _("La commune « %s » n’active pas l’extension payfip.") % slug
            ) from error

    @click.group()
    def payfip() -> None:
        """PayFiP: look whether it is open, and bring a régie into production."""

    @payfip.command()
    @click.argument("town")
    def check(town: str) -> None:
        """Ask PayFiP about each régie of TOWN, and say in words whether it is open."""
        settings, client, _base_url = open_town(town)
        if not settings.regies:
            raise click.ClickException(
                _("Aucune régie n’est décrite sous [plugins.payfip.regies].")
            )
        click.echo(_("Service : %s") % settings.service_url)
        answers = {key: check_regie(client, regie) for key, regie in settings.regies.items()}
        for key, answer in answers.items():
            click.echo(f"{key} ({settings.regies[key].numcli}) : {answer.words}")
        for problem in filter(None, (moved(client), page_problem(settings))):
            click.echo(problem)
        if not all(answer.open for answer in answers.values()):
            raise click.exceptions.Exit(1)

    @payfip.command()
    @click.argument("town")
    @click.argument("regie")
    @click.option("--email", prompt=True, help="Where PayFiP sends the ticket.")
    @click.option("--amount", default="1,00", show_default=True, help="Euros, really paid.")
    @click.option("--id-op", default="", help="Follow an activation payment begun before.")
    def activate(town: str, regie: str, email: str, amount: str, id_op: str) -> None:
        """Make the real payment (mode X) that the DGFiP asks for before production."""
        settings, client, base_url = open_town(town)
        own = settings.regies.get(regie)
        if own is None:
            raise click.ClickException(_("La régie %s n’est pas paramétrée.") % regie)
        if own.mode is Mode.PRODUCTION:
            raise click.ClickException(_("La régie %s est déjà en production.") % regie)
        answer = check_regie(client, own)
        click.echo(f"1. {regie} ({own.numcli}) : {answer.words}")
        if not answer.open:
            raise click.exceptions.Exit(1)
        try:
            if not id_op:
                creation = activation(own, email, amount, base_url, datetime.now(UTC))
                _announce(settings, creation)
                id_op = client.create(creation)
            click.echo(_("3. Payez à cette adresse, dans les 15 minutes :"))
            click.echo(f"   {settings.page_url}?idop={id_op}")
            detail = follow(client, id_op)
        except (PermanentError, RetryableError) as error:
            raise click.ClickException(error.reason) from error
        except PayFiPFaultError as fault:
            raise click.ClickException(str(fault)) from fault
        _conclude(detail, id_op, regie)

    return [payfip, simulator]


@click.command(name="payfip-simulator")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8091, show_default=True)
@click.option("--smtp", default="", metavar="HOST:PORT", help="Takes the ticket mails.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the memory over restarts; without it, memory only.",
)
def simulator(host: str, port: int, smtp: str, state: Path | None) -> None:
    """Serve a PayFiP that moves no money: web service, pages, notifications, tickets."""
    # Imported here: Pyramid and its templates are for this command alone.
    from plugins.payfip.simulator.app import make_simulator, running  # noqa: PLC0415

    smtp_host, _colon, smtp_port = smtp.rpartition(":")
    if smtp and not (smtp_host and smtp_port.isdigit()):
        raise click.BadParameter("HOST:PORT", param_hint="--smtp")
    made = make_simulator(state=state, smtp=(smtp_host, int(smtp_port)) if smtp else None)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_args: ended.set())
    with running(made, host=host, port=port) as base:
        click.echo(_("Simulateur de PayFiP : %s (aucun argent n’est prélevé)") % base)
        click.echo(_("Commandes : %s/_simulator") % base)
        ended.wait()


def activation(
    regie: Regie, email: str, amount: str, base_url: str, now: datetime
) -> fields.Creation:
    """The activation payment: real money, in mode ``X``, for a reference of its own.

    Raises:
        FieldError: something cannot be sent to PayFiP.
    """
    try:
        cents = parse_amount(amount)
    except AmountError:
        raise fields.FieldError("montant", _("montant illisible")) from None
    local = now.astimezone(PARIS)
    return fields.Creation(
        exer=fields.exer(local.year),
        mel=fields.mel(email),
        montant=fields.montant(cents),
        numcli=fields.numcli(regie.numcli),
        objet=fields.objet("Activation de PayFiP"),
        refdet=fields.refdet(f"{regie.prefix}ACTIVATION{local:%d%H%M%S}"),
        saisie=Mode.ACTIVATION.value,
        # Unknown to the portal's payments, so that its notification changes nothing; but DGFiP's
        # proxy meets the address that production will use.
        urlnotif=fields.url("urlnotif", f"{base_url}/+payfip/notification"),
        urlredirect=fields.url("urlredirect", f"{base_url}/"),
    )


def follow(
    client: Client,
    id_op: str,
    *,
    patience: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> PaymentDetail | None:
    """Ask until the payment is paid; None when it was not within `patience` seconds.

    A refusal or a cancellation is waited out: the person may try again on the same page.
    """
    detail = None
    for _round in range(max(1, int(patience / PERIOD_SECONDS))):
        try:
            detail = client.payment(id_op)
        except PayFiPFaultError as fault:
            if fault.functional and fault.code not in faults.UNDECIDED:
                raise
        except RetryableError as error:
            click.echo(f"   {error.reason}")
        if detail is not None and detail.resultrans in {"P", "V"}:
            return detail
        sleep(PERIOD_SECONDS)
    return detail


def _announce(settings: PayFiPSettings, creation: fields.Creation) -> None:
    euros = decimal_text(int(creation.montant))
    if settings.simulator:
        click.echo(_("2. Répétition au simulateur : aucun argent ne sera prélevé."))
    else:
        click.echo(_("2. Paiement réel de %s € avec une vraie carte.") % euros)
        click.confirm(_("   Continuer ?"), abort=True)


def _conclude(detail: PaymentDetail | None, id_op: str, regie: str) -> None:
    if detail is None or detail.resultrans not in {"P", "V"}:
        click.echo(_("4. Pas encore payé. Pour reprendre : --id-op %s") % id_op)
        raise click.exceptions.Exit(1)
    click.echo(
        _("4. Payé : référence %(refdet)s, autorisation %(numauto)s, le %(date)s à %(hour)s.")
        % {
            "refdet": detail.refdet,
            "numauto": detail.numauto or "–",
            "date": detail.dattrans,
            "hour": detail.heurtrans,
        }
    )
    click.echo(
        _(
            "5. Donnez ces éléments à votre correspondant de la DGFiP. Après son accord, écrivez "
            'mode = "W" sous [plugins.payfip.regies.%s] et redémarrez.'
        )
        % regie
    )
