"""Parts that all views share: use cases of the agent who asks, and the display of a refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from pyramid.httpexceptions import HTTPNotFound, HTTPSeeOther

from core.plugin import RegieInfo, TenantContext, UserError
from core.plugin import gettext as _
from plugins.cheque_import import forms
from plugins.cheque_import.desk import Desk
from plugins.cheque_import.intake import Intake
from plugins.cheque_import.matching import Matching
from plugins.cheque_import.models import Cheque
from plugins.cheque_import.overview import Overview
from plugins.cheque_import.records import Hasher
from plugins.cheque_import.settings import ChequeSettings
from plugins.cheque_import.slips import Slips

View = Callable[[Any], Any]


class Office:
    """One request of an agent."""

    def __init__(self, request: Any) -> None:
        from plugins.cheque_import import plugin  # noqa: PLC0415 - the plugin object imports us

        self.ctx: TenantContext = request.ctx
        settings: ChequeSettings = self.ctx.settings(plugin)
        self.actor = str(request.authenticated_userid or "agent")
        self.hasher = Hasher(settings.account_key.get_secret_value(), self.ctx.town.slug)
        self.intake = Intake(self.ctx, self.hasher)
        self.matching = Matching(self.ctx, settings)
        self.desk = Desk(self.ctx, settings, actor=self.actor)
        self.slips = Slips(self.ctx, settings, actor=self.actor)
        self.overview = Overview(self.ctx)

    @property
    def regies(self) -> Sequence[RegieInfo]:
        """Those that take cheques."""
        return [regie for regie in self.ctx.town.regies if regie.collects]

    def regie(self, request: Any) -> str:
        """The régie of the page: the one asked for, else the first."""
        asked = str(request.params.get("regie", ""))
        keys = [regie.key for regie in self.regies]
        return asked if asked in keys or not keys else keys[0]

    def cheque(self, request: Any) -> Cheque:
        """The cheque of the address, or a 404."""
        number = forms.whole(request.matchdict["id"], _("Chèque"))
        cheque = self.ctx.session.get(Cheque, (self.ctx.town.slug, number))
        if cheque is None:
            raise HTTPNotFound
        return cheque


def or_again(page: View) -> Callable[[View], View]:
    """Show `page` again with the reason when the view is refused."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: Any) -> Any:
            try:
                return view(request)
            except UserError as refusal:
                request.response.status_int = 422
                return {**page(request), "error": refusal.message}

        return wrapped

    return decorate


def see(request: Any, route: str, **parts: Any) -> HTTPSeeOther:
    """Send the browser on to another page of ours."""
    return HTTPSeeOther(request.route_path(f"cheque_import.{route}", **parts))
