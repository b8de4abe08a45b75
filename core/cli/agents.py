"""``preau agents``: who works in the régie, and their way in."""

from __future__ import annotations

import click

from core.api.errors import UserError
from core.cli.invoices import town_work
from core.domain.addresses import AddressError, typed
from core.domain.roles import Role
from core.unit_of_work import UnitOfWork


@click.group()
def agents() -> None:
    """Invite the régie's agents, list them, let one in again."""


@agents.command()
@click.argument("town_slug", metavar="TOWN")
@click.argument("email")
@click.option("--name", default="", help="As the others know the person.")
@click.option(
    "--role",
    type=click.Choice([str(role) for role in Role]),
    default=str(Role.AGENT),
    show_default=True,
    help="What the person may do.",
)
@click.option(
    "--regie",
    "regies",
    multiple=True,
    metavar="KEY",
    help="A régie that the person sees and works in; again for another. Default: all.",
)
def add(town_slug: str, email: str, name: str, role: str, regies: tuple[str, ...]) -> None:
    """Add an agent and print the link to come in by: it works once, within a week."""
    with town_work(town_slug) as town:
        try:
            agent_id = town.agents.create(_address(email), name, Role(role), regies)
        except UserError as error:
            raise click.ClickException(error.message) from None
        click.echo(_link(town, agent_id))


@agents.command("list")
@click.argument("town_slug", metavar="TOWN")
def list_(town_slug: str) -> None:
    """List the town's agents."""
    with town_work(town_slug) as town:
        for agent in town.agents.all():
            state = "closed" if agent.disabled_at else "open" if agent.password_hash else "invited"
            regies = f" ({', '.join(agent.only_regies)})" if agent.only_regies else ""
            click.echo(f"{agent.role:10} {state:8} {agent.email} {agent.name}{regies}")


@agents.command()
@click.argument("town_slug", metavar="TOWN")
@click.argument("email")
def reset(town_slug: str, email: str) -> None:
    """Forget an agent's password and telephone, and print a new link."""
    with town_work(town_slug) as town:
        agent = town.agents.by_email(email)
        if agent is None:
            raise click.ClickException(f"no agent {email!r} in this town")
        town.agents.reset(agent.id)
        click.echo(_link(town, agent.id))


def _link(town: UnitOfWork, agent_id: int) -> str:
    return f"{town.base_url}/regie/invitation/{town.agent_invitations.new(agent_id)}"


def _address(text: str) -> str:
    try:
        return typed(text)
    except AddressError as error:
        raise click.ClickException(f"no mail would reach {text!r}: {error}") from None
