"""Whether PayFiP is open for a régie, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.plugin import RetryableError
from core.plugin import gettext as _
from plugins.payfip.faults import PayFiPFaultError
from plugins.payfip.settings import Mode, Regie

if TYPE_CHECKING:
    from plugins.payfip.client import Client


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: `words` is a sentence for the operator."""

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
