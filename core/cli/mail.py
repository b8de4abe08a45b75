"""``preau mail``: what the mail server hands back."""

from __future__ import annotations

import os
import sys

import click
from sqlalchemy.exc import OperationalError

from core.api.errors import TownClosedError
from core.messages.email.bounces import read
from core.platform.settings import get_settings
from core.platform.tenancy.registry import UnknownTownError
from core.runtime import get_runtime

LARGEST = 2_000_000
"""Bytes read of a returned mail: what counts stands at its beginning."""


@click.group()
def mail() -> None:
    """Take back mails that could not be delivered."""


@mail.command()
@click.option("--to", default="", metavar="ADDRESS", help="The envelope recipient.")
def returned(to: str) -> None:
    """Read one returned mail from standard input, and show it on the family's file.

    For the mail server's pipe behind PREAU_MAIL_RETURNS (docs/operating.md). Ends with 75, "try
    again later", when the mail is one of ours and cannot be noted now, and with 0 for all else.
    """
    returns = get_settings().mail_returns
    if not returns:
        raise click.ClickException("PREAU_MAIL_RETURNS is not set")
    back = read(sys.stdin.buffer.read(LARGEST), returns, to)
    if back is None:
        click.echo("nothing to note")
        return
    try:
        with get_runtime().unit_of_work(back.town, actor="mail-server") as town:
            noted = town.notifications.returned(back.number, back.reason)
    except UnknownTownError:
        click.echo("nothing to note")
        return
    except TownClosedError:
        click.echo(f"{back.town} is closed for maintenance, or has moved", err=True)
        sys.exit(os.EX_TEMPFAIL)
    except OperationalError:
        click.echo("the database is away", err=True)
        sys.exit(os.EX_TEMPFAIL)
    if not noted:
        # It may have come back before the worker had written that it left.
        click.echo("no such mail yet", err=True)
        sys.exit(os.EX_TEMPFAIL)
    click.echo("noted")
