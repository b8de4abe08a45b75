"""Provider for each régie's payments: asked of the plugins once a minute, for pages show it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from types import NoneType

from core.api.errors import RetryableError
from core.api.payments import Capabilities, PaymentProvider
from core.platform.plugins.cache import TenantCache
from core.platform.plugins.calls import batch_calls, call_bounded
from core.platform.plugins.visits import Access


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """The provider that takes a régie's payments in this town, and what it can do there."""

    provider: str
    """Its key."""
    label: str
    capabilities: Capabilities


class ProviderSelection:
    """Providers of online payments for the régies of one town."""

    def __init__(
        self,
        tenant: str,
        answers: TenantCache,
        *,
        providers: Callable[[], Mapping[str, PaymentProvider]],
        all_there: Callable[[], bool],
    ) -> None:
        """`all_there`: whether no plugin failed to give its `providers`."""
        self._tenant = tenant
        self._answers = answers
        self._providers = providers
        self._all_there = all_there

    def of(self, regies: Collection[str]) -> dict[str, ProviderChoice | None]:
        """Provider for payments of each régie; None for a régie that cannot be paid online."""
        known, unknown = self._answers.known("capabilities", regies)
        return known | batch_calls(partial(self._ask, unknown)) if unknown else known

    def _ask(self, regies: Collection[str]) -> dict[str, ProviderChoice | None]:
        found = {}
        for regie in regies:
            found[regie], certain = self._choose(regie)
            if certain:
                self._answers.keep("capabilities", regie, found[regie])
        return found

    def _choose(self, regie: str) -> tuple[ProviderChoice | None, bool]:
        """The first provider that takes the régie, and whether all were there and could answer."""
        certain = True
        for provider in self._providers().values():
            try:
                capabilities = call_bounded(
                    provider.key,
                    "capabilities",
                    partial(provider.capabilities, regie),
                    (Capabilities, NoneType),
                    town=self._tenant,
                    access=Access.NONE,
                )
            except RetryableError:  # It cannot say so now: as good as not installed.
                certain = False
                continue
            if capabilities is not None:
                choice = ProviderChoice(provider.key, provider.label, capabilities)
                return choice, certain and self._all_there()
        return None, certain and self._all_there()
