"""``preau families``: their codes, and the children that households share."""

from __future__ import annotations

import csv
import sys

import click

from core.cli.invoices import town_work
from core.domain.access_codes import grouped


@click.group()
def families() -> None:
    """Give families their codes."""


@families.command()
@click.argument("town_slug", metavar="TOWN")
@click.argument("family_codes", metavar="[FAMILY]...", nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="Every family that has no code yet.")
@click.option("--holder", default="", help="Whose code it is, where a family has several.")
def codes(town_slug: str, family_codes: tuple[str, ...], holder: str, *, everyone: bool) -> None:
    """Draw new second codes and print them once, as CSV for a mailing.

    An earlier code of the same holder stops working.
    """
    with town_work(town_slug) as town:
        wanted = town.families.without_code() if everyone else family_codes
        if not wanted and not everyone:
            raise click.UsageError("name families, or say --all")
        sheet = csv.writer(sys.stdout, delimiter=";")
        sheet.writerow(("code_famille", "nom", "second_code"))
        for code in wanted:
            family = town.families.by_code(code)
            if family is None:
                raise click.ClickException(f"no family {code!r}")
            secret = town.files.issue(family.id, holder=holder)
            sheet.writerow((family.code, family.name, grouped(secret)))


@families.command("share-child")
@click.argument("town_slug", metavar="TOWN")
@click.argument("family_code", metavar="FAMILY")
@click.argument("child_code", metavar="CHILD")
@click.option("--sees-all/--own-only", default=False, help="Also the other household's invoices.")
def share_child(town_slug: str, family_code: str, child_code: str, *, sees_all: bool) -> None:
    """Link CHILD to a second household, and say what that household sees of the child."""
    with town_work(town_slug) as town:
        family = town.families.by_code(family_code)
        if family is None:
            raise click.ClickException(f"no family {family_code!r}")
        town.families.share_child(family.id, child_code, sees_all=sees_all)
        town.audit.write("child.shared", f"family:{family.id}", child=child_code, all=sees_all)
