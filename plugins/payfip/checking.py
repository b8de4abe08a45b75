"""Checks that PayFiP is open for a régie, with the result in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from core.plugin import RetryableError
from core.plugin import gettext as _
from plugins.payfip.faults import PayFiPFaultError
from plugins.payfip.places import redirect_target
from plugins.payfip.settings import Mode, PayFiPSettings, Regie

if TYPE_CHECKING:
    from plugins.payfip.client import Client


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of a check: `words` is a sentence for the operator."""

    open: bool
    words: str


def check(client: Client, regie: Regie) -> Checked:
    """Ask PayFiP about a régie's client number. Raises nothing that PayFiP may cause."""
    try:
        found = client.regie(regie.numcli)
    except PayFiPFaultError as fault:
        if fault.functional:
            return Checked(False, _refusals().get(fault.code, str(fault)))
        return Checked(False, _("PayFiP est en difficulté : %s.") % fault)
    except RetryableError as error:
        return Checked(False, _("PayFiP ne répond pas : %s.") % error.reason)
    return Checked(
        True,
        _("ouverte (%(mode)s) au nom de « %(label)s ».")
        % {"mode": _modes()[regie.mode], "label": found.label},
    )


def moved(client: Client) -> str:
    """Tell that the service answers from another address than the settings name; "" if it does not.

    It works for as long as the old address sends on, and in 2021 that was one year.
    """
    if not client.moved_to:
        return ""
    words = _(
        "PayFiP répond, mais d’une autre adresse. Écrire « %(url)s » dans `endpoint`, et vérifier"
        " `page`."
    )
    return words % {"url": client.moved_to}


def page_problem(settings: PayFiPSettings) -> str:
    """Tell that the page to which parents are sent is no longer where the settings say.

    A browser follows a redirection by itself, for as long as the old host sends on. Whatever the
    page answers when it is asked for no payment, its host is still there.
    """
    from plugins.payfip import wire  # noqa: PLC0415 - only the doctor asks: a process starts without

    url = settings.page_url
    line = wire.Wire(
        url,
        headers={"Accept": "text/html", "User-Agent": "Preau"},
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
    )
    try:
        target = urljoin(url, line.location(url))
    except (*wire.TIMEOUTS, *wire.BROKEN, ValueError) as error:
        return _("La page de paiement ne répond pas : %s.") % (str(error) or type(error).__name__)
    finally:
        line.close()
    if urlsplit(target).hostname == urlsplit(url).hostname:
        return ""
    if redirect_target(url, target):
        words = _("La page de paiement a changé d’adresse. Vérifier et écrire « %s » dans `page`.")
    else:
        words = _(
            "La page de paiement renvoie hors des sites de l’État, vers « %s » : prévenir la DGFiP."
        )
    return words % target.partition("?")[0]


def _refusals() -> dict[str, str]:
    return {
        "T1": _("le numéro client n’est pas bien formé."),
        "T2": _("PayFiP ne connaît pas ce numéro client."),
        "T4": _("ce client n’a pas encore l’accès par service web : le demander à la DGFiP."),
    }


def _modes() -> dict[Mode, str]:
    return {
        Mode.TEST: _("essai, aucun argent n’est prélevé"),
        Mode.ACTIVATION: _("activation, paiements réels"),
        Mode.PRODUCTION: _("production"),
    }
